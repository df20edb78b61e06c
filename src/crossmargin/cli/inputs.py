"""What the commands on one book share: which market, at which time, under which method and parameters."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crossmargin.errors import InputError
from crossmargin.files.book import Book, read_book
from crossmargin.files.history import read_history
from crossmargin.files.market import read_market
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The market and the parameters.

    Parameters
    ----------
    market
        Market snapshot, or a file of many; the embedded sample where not given.
    history
        Past closes, for methods that draw scenarios from them.
    at
        Use the newest snapshot at or before this time (UTC; a date alone means its end).
    as_of
        Use the parameters in force on this ISO date.
    """

    market: Path | None = None
    history: Path | None = None
    at: str | None = None
    as_of: str | None = None

    def snapshot(self) -> MarketSnapshot:
        """Return the market, with its history up to its time."""
        if self.market is None and self.at is not None:
            raise InputError("--at must come with --market: the embedded sample holds one time")
        market = sample_market() if self.market is None else read_market(self.market, self.at)
        if self.history is None:
            return market
        return replace(market, history=read_history(self.history).until(market.time_ns))


Given = Annotated[Observed, Parameter(name="*")]


def given_book(book: Path | None, market: MarketSnapshot | None = None) -> Book:
    """Return the book in the file `book`, or that of the embedded sample; `market` prices its quantities in dollars."""
    return sample_book() if book is None else read_book(book, market=market)


def portfolios(book: Path | None, market: MarketSnapshot | None = None) -> tuple[Portfolio, ...]:
    """Return the accounts of the file `book`, or of the embedded sample."""
    return tuple(given_book(book, market))


def account_of(book: Path | None, account: str | None, market: MarketSnapshot | None = None) -> Portfolio:
    """Return one account of `book`; None means the only one.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    held = portfolios(book, market)
    if account is None and len(held) == 1:
        return held[0]
    found = next((portfolio for portfolio in held if portfolio.account == account), None)
    if found is None:
        names = ", ".join(portfolio.account for portfolio in held[:12]) + (", ..." if len(held) > 12 else "")
        given = "none was named" if account is None else f"was {account!r}"
        raise InputError(f"an account must be one of {names}, {given}")
    return found
