"""crossmargin: value a book of crypto derivatives, shock it, state its margin, act on it."""

from crossmargin.errors import CrossMarginError, InputError, InvariantError, MarketDataError
from crossmargin.files.book import read_book
from crossmargin.files.history import read_history
from crossmargin.files.market import read_market

__version__ = "0.1.0"

__all__ = [
    "CrossMarginError",
    "InputError",
    "InvariantError",
    "MarketDataError",
    "read_book",
    "read_history",
    "read_market",
]
