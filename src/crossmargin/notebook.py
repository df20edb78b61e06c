"""Margin, explain and change a book in one call each, with the parameters in force: what a notebook uses.

Every answer gives frames (`to_polars`, `to_pandas`, `to_arrow`), a picture (`figure`), and shows itself in a notebook.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from crossmargin.errors import InputError
from crossmargin.files.book import Book
from crossmargin.files.parameters import read_parameters
from crossmargin.instruments.contracts import DOLLAR_COINS
from crossmargin.instruments.native_names import parse_instrument_name
from crossmargin.margin.method import Explanation, Requirement
from crossmargin.margin.methods import DEFAULT_METHOD, method_named
from crossmargin.margin.requirements import requirements as margined
from crossmargin.margin.what_if import Change, WhatIf, legs
from crossmargin.margin.what_if import what_if as change_margined
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.figures import change_figure, components_figure, requirements_figure
from crossmargin.report.fragments import change_fragment, explanation_fragment, requirements_fragment
from crossmargin.units import Currency

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go
    import pyarrow as pa

Moves = float | Mapping[str, float]
"""One relative move for every coin, or one per coin."""


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
        names = (
            "account", "method", "version", "equity", "initial", "maintenance", "excess", "margin_usage",
            "worst_scenario",
        )  # fmt: skip
        return pl.DataFrame({name: [getattr(result, name) for result in self.results] for name in names})

    def to_pandas(self) -> "pd.DataFrame":
        """Return `to_polars` as a pandas frame; needs the extra ``crossmargin[frames]``."""
        return _pandas(self.to_polars())

    def to_arrow(self) -> "pa.Table":
        """Return `to_polars` as an Arrow table; needs the extra ``crossmargin[frames]``."""
        return _arrow(self.to_polars())

    def figure(self) -> "go.Figure":
        """Return equity beside the requirements of every account, the tightest first."""
        return requirements_figure(self.results)

    def _repr_html_(self) -> str:
        return requirements_fragment(self.results)


@dataclass(frozen=True, slots=True)
class Explained:
    """Why one account needs what it needs."""

    requirement: Requirement

    def to_polars(self) -> pl.DataFrame:
        """Return one row per component and per node of the tree; USD. A path names the node's place in the tree."""
        found = self.requirement
        rows = [
            (part, component.name, component.amount, component.reason)
            for part, components in (
                ("equity", found.equity_components),
                ("initial", found.initial_components),
                ("maintenance", found.maintenance_components),
            )
            for component in components
        ]
        if found.explanation is not None:
            rows += [("worst scenario", path, pnl, "") for path, pnl in _paths(found.explanation)]
        return pl.DataFrame(rows, schema=["part", "name", "amount", "reason"], orient="row")

    def to_pandas(self) -> "pd.DataFrame":
        """Return `to_polars` as a pandas frame; needs the extra ``crossmargin[frames]``."""
        return _pandas(self.to_polars())

    def to_arrow(self) -> "pa.Table":
        """Return `to_polars` as an Arrow table; needs the extra ``crossmargin[frames]``."""
        return _arrow(self.to_polars())

    def figure(self) -> "go.Figure":
        """Return the waterfall from equity through the components of the initial requirement to the excess."""
        return components_figure(self.requirement)

    def _repr_html_(self) -> str:
        return explanation_fragment(self.requirement)


@dataclass(frozen=True, slots=True)
class Changed:
    """An account's requirement before and after a change."""

    before: Requirement
    after: Requirement

    def to_polars(self) -> pl.DataFrame:
        """Return equity, requirements and excess before and after, and the change; USD."""
        names = ("equity", "initial", "maintenance", "excess")
        before, after = ([getattr(side, name) for name in names] for side in (self.before, self.after))
        change = [new - old for old, new in zip(before, after, strict=True)]
        return pl.DataFrame({"amount": names, "before": before, "after": after, "change": change})

    def to_pandas(self) -> "pd.DataFrame":
        """Return `to_polars` as a pandas frame; needs the extra ``crossmargin[frames]``."""
        return _pandas(self.to_polars())

    def to_arrow(self) -> "pa.Table":
        """Return `to_polars` as an Arrow table; needs the extra ``crossmargin[frames]``."""
        return _arrow(self.to_polars())

    def figure(self) -> "go.Figure":
        """Return before beside after."""
        return change_figure(WhatIf(before=self.before, after=self.after))

    def _repr_html_(self) -> str:
        return change_fragment(WhatIf(before=self.before, after=self.after))


def requirements(
    book: Iterable[Portfolio], market: MarketSnapshot, *, method: str | None = None, as_of: str | None = None
) -> Requirements:
    """Return the requirement of every account of `book` under the method called `method`.

    Without one, each account is margined under the method that it names in the book, or under ``scenario_grid``.

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
    held = tuple(book)
    groups: dict[str, list[Portfolio]] = {}
    for portfolio in held:
        own = book.method_of(portfolio.account) if isinstance(book, Book) else DEFAULT_METHOD
        groups.setdefault(method or own, []).append(portfolio)
    found = {}
    for name, accounts in groups.items():
        chosen = method_named(name)
        for result in margined(accounts, market, chosen, read_parameters(chosen, as_of)):
            found[result.account] = result
    return Requirements(tuple(found[portfolio.account] for portfolio in held))


def explain(
    book: Iterable[Portfolio],
    market: MarketSnapshot,
    account: str,
    *,
    method: str = DEFAULT_METHOD,
    as_of: str | None = None,
) -> Explained:
    """Return why `account` needs what it needs.

    Raises
    ------
    InputError
        If the book holds no such account, or there is no such method.

    Examples
    --------
    >>> from crossmargin.files.sample import sample_book, sample_market
    >>> explain(sample_book(), sample_market(), "hedger").to_polars().columns
    ['part', 'name', 'amount', 'reason']
    """
    return Explained(requirements([_account(book, account)], market, method=method, as_of=as_of)[account])


def what_if(
    book: Iterable[Portfolio],
    market: MarketSnapshot,
    account: str,
    *,
    add: Mapping[str, float] | None = None,
    close: Iterable[str] = (),
    scale: Moves = 1.0,
    deposit: Mapping[str, float] | None = None,
    price: Moves = 0.0,
    vol: Moves = 0.0,
    method: str = DEFAULT_METHOD,
    as_of: str | None = None,
) -> Changed:
    """Return the requirement of `account` before and after trades at the mark, transfers and moves of the market.

    Parameters
    ----------
    add
        Contracts to trade per instrument; negative sells.
    close
        Instruments whose positions are closed.
    scale
        Factor on every position, or per instrument.
    deposit
        Amount per currency; negative withdraws.
    price, vol
        Relative move of every coin, or per coin: -0.1 is -10 %.

    Raises
    ------
    InputError
        If the account, an instrument or a coin is unknown, or a leg is not held.

    Examples
    --------
    >>> from crossmargin.files.sample import sample_book, sample_market
    >>> what_if(sample_book(), sample_market(), "hedger", scale=0.0).after.initial
    0.0
    """
    portfolio, chosen = _account(book, account), method_named(method)
    per_leg = {parse_instrument_name(n).id: f for n, f in scale.items()} if isinstance(scale, Mapping) else {}
    change = Change(
        trades=legs(
            portfolio,
            add=[(parse_instrument_name(name), quantity) for name, quantity in (add or {}).items()],
            close=[parse_instrument_name(name).id for name in close],
            scale=per_leg,
        ),
        scale=1.0 if isinstance(scale, Mapping) else scale,
        deposits={Currency(name): amount for name, amount in (deposit or {}).items()},
        prices=_moves(market, price),
        vols=_moves(market, vol),
    )
    found = change_margined(portfolio, market, change, chosen, read_parameters(chosen, as_of))
    return Changed(before=found.before, after=found.after)


def _account(book: Iterable[Portfolio], account: str) -> Portfolio:
    found = next((portfolio for portfolio in book if portfolio.account == account), None)
    if found is None:
        raise InputError(f"an account must be in the book, was {account!r}")
    return found


def _moves(market: MarketSnapshot, moves: Moves) -> dict[Currency, float]:
    if not isinstance(moves, Mapping):
        return {coin: moves for coin in market.index if coin not in DOLLAR_COINS} if moves else {}
    for name in moves:
        if name not in market.index:
            raise InputError(f"a coin must be in the market snapshot, was {name!r}")
    return {Currency(name): move for name, move in moves.items()}


def _paths(node: Explanation, above: str = "") -> Iterator[tuple[str, float]]:
    path = f"{above} > {node.name}" if above else node.name
    yield path, node.pnl
    for child in node.children:
        yield from _paths(child, path)


def _pandas(frame: pl.DataFrame) -> "pd.DataFrame":
    try:
        return frame.to_pandas()
    except ModuleNotFoundError as error:
        raise _absent(error) from error


def _arrow(frame: pl.DataFrame) -> "pa.Table":
    try:
        return frame.to_arrow()
    except ModuleNotFoundError as error:
        raise _absent(error) from error


def _absent(error: ModuleNotFoundError) -> InputError:
    return InputError(f"pandas and pyarrow must be installed, as pip install 'crossmargin[frames]' does: {error}")
