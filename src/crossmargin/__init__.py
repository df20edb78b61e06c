"""crossmargin: value a book of crypto derivatives, shock it, state its margin, act on it."""

from crossmargin.errors import CrossMarginError, InputError, InvariantError, MarketDataError
from crossmargin.files.book import read_book
from crossmargin.files.history import read_history
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
    "read_market",
    "requirements",
    "sample_book",
    "sample_market",
    "what_if",
]
