"""crossmargin: value a book of crypto derivatives, shock it, state its margin, act on it.

Names are read from their modules when they are first asked for: a process of the service that needs no tables and no
kernels loads none.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmargin.errors import CrossMarginError, InputError, InvariantError, MarketDataError
    from crossmargin.files.book import read_book
    from crossmargin.files.history import read_history
    from crossmargin.files.instrument_records import read_instrument_records
    from crossmargin.files.market import read_market
    from crossmargin.files.sample import sample_book, sample_market
    from crossmargin.notebook import Changed, Explained, Requirements, explain, requirements, what_if

__version__ = "0.1.0"

__all__ = [
    "Changed",
    "CrossMarginError",
    "Explained",
    "InputError",
    "InvariantError",
    "MarketDataError",
    "Requirements",
    "explain",
    "read_book",
    "read_history",
    "read_instrument_records",
    "read_market",
    "requirements",
    "sample_book",
    "sample_market",
    "what_if",
]

_MODULES = {
    "crossmargin.errors": ("CrossMarginError", "InputError", "InvariantError", "MarketDataError"),
    "crossmargin.files.book": ("read_book",),
    "crossmargin.files.history": ("read_history",),
    "crossmargin.files.instrument_records": ("read_instrument_records",),
    "crossmargin.files.market": ("read_market",),
    "crossmargin.files.sample": ("sample_book", "sample_market"),
    "crossmargin.notebook": ("Changed", "Explained", "Requirements", "explain", "requirements", "what_if"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401
    for module, names in _MODULES.items():
        if name in names:
            found = globals()[name] = getattr(importlib.import_module(module), name)
            return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
