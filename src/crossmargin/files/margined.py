"""Margin a book in one call, with the parameters in force: what a notebook uses."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import polars as pl

from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.method import Requirement
from crossmargin.margin.methods import method_named
from crossmargin.margin.requirements import requirements as margined
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio


@dataclass(frozen=True, slots=True)
class Requirements:
    """The requirements of a book, in the order of its accounts."""

    results: tuple[Requirement, ...]

    def __iter__(self) -> Iterator[Requirement]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, account: str) -> Requirement:
        found = next((result for result in self.results if result.account == account), None)
        if found is None:
            raise InputError(f"an account must be in the book, was {account!r}")
        return found

    def to_polars(self) -> pl.DataFrame:
        """Return one row per account; USD."""
        names = ("account", "method", "version", "equity", "initial", "maintenance", "excess", "worst_scenario")
        return pl.DataFrame({name: [getattr(result, name) for result in self.results] for name in names})

    def _repr_html_(self) -> str:
        return self.to_polars()._repr_html_()


def requirements(
    book: Iterable[Portfolio], market: MarketSnapshot, *, method: str = "scenario_grid", as_of: str | None = None
) -> Requirements:
    """Return the requirement of every account of `book` under the method called `method`.

    Raises
    ------
    InputError
        If there is no such method, or no parameters of it in force on the ISO date `as_of`.

    Examples
    --------
    >>> from crossmargin.files.sample import sample_book, sample_market
    >>> requirements(sample_book(), sample_market())["cash-only"].initial
    0.0
    """
    chosen = method_named(method)
    return Requirements(margined(book, market, chosen, read_parameters(chosen, as_of)))
