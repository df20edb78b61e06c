"""The embedded sample: a real market of 15 January 2026, two years of closes, and a made-up book."""

from dataclasses import replace
from importlib import resources

from crossmargin.files.book import Book, read_book
from crossmargin.files.history import read_daily_closes
from crossmargin.files.market import read_market
from crossmargin.market.snapshot import MarketSnapshot

UNDER_WATER = "under-water"


def sample_book() -> Book:
    """Return the portfolios of the sample, one account of each recognisable kind.

    Examples
    --------
    >>> [portfolio.account for portfolio in sample_book()][:2]
    ['cash-only', 'coin-holder']
    """
    with resources.as_file(resources.files("crossmargin") / "sample" / "book.json") as path:
        return read_book(path)


def solvent_sample_book() -> Book:
    """Return the sample's accounts that own more than they owe.

    The one that does not shows what a report says of it. A clearing house that opened with it would begin with a bankruptcy
    that nobody has seen happen; the others show a house at work, healthy but for two margin calls and one liquidation.

    Examples
    --------
    >>> {each.account for each in sample_book()} - {each.account for each in solvent_sample_book()}
    {'under-water'}
    """
    book = sample_book()
    return replace(book, portfolios=tuple(each for each in book if each.account != UNDER_WATER))


def sample_market() -> MarketSnapshot:
    """Return the market of the sample, with its price history.

    Examples
    --------
    >>> round(sample_market().index_price("BTC"))
    96652
    """
    with resources.as_file(resources.files("crossmargin") / "sample") as folder:
        return replace(read_market(folder / "market.json"), history=read_daily_closes(folder / "history.csv"))
