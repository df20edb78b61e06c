"""The margins that a walk-forward test can put side by side, by name: our measures, and any method or rulebook."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.instruments.contracts import Perpetual
from crossmargin.instruments.symbols import parse_contract
from crossmargin.margin.brakes import Brakes, braked
from crossmargin.margin.method import Method, Parameters
from crossmargin.margin.requirements import requirements
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.portfolio import Balance, Portfolio, Position
from crossmargin.scenarios.range_forecast import range_variance_paths
from crossmargin.units import AccountId, Currency, FloatArray
from crossmargin.validation.books import LinearBooks
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.walk_forward import (
    TailSettings,
    filtered_forecasts,
    filtered_margins,
    historical_margins,
)

ALL_HISTORY = 100_000
"""More dates than any record has."""
BOOK_SIZE = 100_000.0
"""USD of a book that a rulebook margins: small, so that add-ons for size stay out of a comparison of risk."""
USDT = Currency("USDT")


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkedMargins:
    """Margins per USD of size, shape (n_books, n_days), known before each day; NaN where there are none.

    Attributes
    ----------
    uncovered
        What a speed limit left uncovered, same shape; zeros without one.
    ranks
        Where each day's profit lay among the scenarios behind the margin, same shape; None where there are none.
    """

    name: str
    margins: FloatArray
    uncovered: FloatArray
    ranks: FloatArray | None = None


def filtered(books: LinearBooks, bars: DailyBars) -> WalkedMargins:
    """Filtered historical ES 97.5 % on 1,000 whole dates, scaled to the range forecast: the core measure."""
    returns = bars.returns
    found = filtered_forecasts(books, returns, range_variance_paths(returns, bars.variances))
    margins = found.shortfall[:, :-1]
    return WalkedMargins(name="filtered", margins=margins, uncovered=np.zeros(margins.shape), ranks=found.rank[:, :-1])


def filtered_braked(books: LinearBooks, bars: DailyBars) -> WalkedMargins:
    """The core measure with floor, buffer and speed limit."""
    floor = historical_margins(books, bars.returns, TailSettings(count=ALL_HISTORY))[:, :-1]
    found = braked(_filtered(books, bars), Brakes(), floor=floor)
    return WalkedMargins(name="filtered_braked", margins=found.requirement, uncovered=found.uncovered)


def historical(books: LinearBooks, bars: DailyBars) -> WalkedMargins:
    """Historical ES 97.5 % of the last 500 dates."""
    return _plain("historical", historical_margins(books, bars.returns, TailSettings(count=500))[:, :-1])


def historical_floored(books: LinearBooks, bars: DailyBars) -> WalkedMargins:
    """Historical ES 97.5 % of the last 500 dates, not below that of all dates so far."""
    recent = historical_margins(books, bars.returns, TailSettings(count=500))
    whole = historical_margins(books, bars.returns, TailSettings(count=ALL_HISTORY))
    return _plain("historical_floored", np.fmax(recent, whole)[:, :-1])


MEASURES: dict[str, Callable[[LinearBooks, DailyBars], WalkedMargins]] = {
    each.__name__: each for each in (filtered, filtered_braked, historical, historical_floored)
}
"""Measures that are computed for all books and days at once."""


def rulebook_days(
    method: Method[Parameters], parameters: Parameters, books: LinearBooks, bars: DailyBars, days: range
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the initial requirement per USD of size of every book for each of `days`, margined on the close before.

    Books hold Binance perpetuals of `BOOK_SIZE` dollars; a book that the method cannot hold that day gets NaN.
    """
    contracts = [parse_contract(f"binance:{coin}/USDT:USDT") for coin in bars.currencies]
    for day in days:
        closes = bars.closes[:, day - 1]
        listed = np.isfinite(closes)
        market = MarketSnapshot(
            time_ns=int(bars.days_ns[day - 1]),
            index={USDT: Price(1.0)}
            | {coin: Price(float(close)) for coin, close in zip(bars.currencies, closes, strict=True) if close > 0.0},
            history=PriceHistory(
                times_ns=bars.days_ns[:day], currencies=bars.currencies, prices=bars.closes[:, :day]
            ).of(tuple(coin for coin, known in zip(bars.currencies, listed, strict=True) if known)),
        )
        asked = np.full(len(books.names), np.nan)
        for row, (name, weights) in enumerate(zip(books.names, books.weights, strict=True)):
            held = np.flatnonzero(weights)
            if listed[held].all():
                positions = tuple(_position(contracts[i], weights[i] / closes[i]) for i in held)
                asked[row] = _asked(name, positions, market, method, parameters)
        yield day, asked


def _position(contract: object, coins: float) -> Position:
    if not isinstance(contract, Perpetual):
        raise InputError(f"a book of this test holds perpetuals, was given {contract}")
    return Position(instrument=contract, quantity=BOOK_SIZE * coins / contract.contract_size_float)


def _asked(
    name: str,
    positions: tuple[Position, ...],
    market: MarketSnapshot,
    method: Method[Parameters],
    parameters: Parameters,
) -> float:
    cash = Balance(currency=USDT, amount=10.0 * BOOK_SIZE)
    portfolio = Portfolio(account=AccountId(name), balances=(cash,), positions=positions)
    try:
        return requirements([portfolio], market, method, parameters)[0].initial / BOOK_SIZE
    except CrossMarginError:
        return float("nan")


def _filtered(books: LinearBooks, bars: DailyBars) -> FloatArray:
    returns = bars.returns
    return filtered_margins(books, returns, range_variance_paths(returns, bars.variances))[:, :-1]


def _plain(name: str, margins: FloatArray) -> WalkedMargins:
    return WalkedMargins(name=name, margins=margins, uncovered=np.zeros(margins.shape))
