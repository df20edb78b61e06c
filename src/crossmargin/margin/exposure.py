"""A book's exposures on a risk array, in one canonical order so that sums come out the same on every machine."""

import math
import operator
from collections.abc import Iterable, Mapping

import numpy as np

from crossmargin.compilation import literal_kernel
from crossmargin.errors import InputError
from crossmargin.instruments.contracts import DOLLAR_COINS, Perpetual, Spot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.risk.risk_array import RiskArray
from crossmargin.units import Currency, FloatArray, InstrumentId, IntArray

_UNDATED = (Perpetual, Spot)


def net_quantities(positions: Iterable[Position]) -> dict[InstrumentId, float]:
    """Return contracts per instrument, sorted by id; lots of one instrument are one holding."""
    lots: dict[InstrumentId, list[float]] = {}
    for position in positions:
        lots.setdefault(position.instrument.id, []).append(position.quantity)
    # correctly rounded, so that two lots in another order do not change the last bit
    return {instrument: math.fsum(quantities) for instrument, quantities in sorted(lots.items())}


def by_underlying(positions: Iterable[Position]) -> dict[Currency, list[Position]]:
    """Return the positions in each underlying, in the order given."""
    groups: dict[Currency, list[Position]] = {}
    for position in positions:
        groups.setdefault(position.instrument.underlying, []).append(position)
    return groups


def book_pnl(quantities: Mapping[InstrumentId, float], risk: RiskArray) -> FloatArray:
    """Return ``sum of quantity * row`` over `quantities` in the order of ids, shape (n_scenarios,)."""
    names = sorted(quantities)
    return weighted_rows(np.array([quantities[name] for name in names]), risk.row_numbers(names), risk.pnl)


@literal_kernel
def weighted_rows(weights: FloatArray, rows: IntArray, table: FloatArray) -> FloatArray:
    """Return ``sum of weights[i] * table[rows[i]]``, added in the order given, shape (table.shape[1],)."""
    total = np.zeros(table.shape[1])
    for place in range(len(rows)):
        weight, row = weights[place], rows[place]
        for column in range(table.shape[1]):
            total[column] += weight * table[row, column]
    return total


def book_delta(quantities: Mapping[InstrumentId, float], risk: RiskArray) -> float:
    """Return the USD exposure of `quantities` per +100 % of their underlyings, all taken together."""
    # correctly rounded: `sum` adds in another way from Python 3.12 on
    deltas = risk.delta[risk.row_numbers(quantities)].tolist()
    return math.fsum(map(operator.mul, quantities.values(), deltas))


def deltas_by_expiry(positions: Iterable[Position], risk: RiskArray) -> dict[int, float]:
    """Return USD exposure per expiry (ns); 0 stands for spot and perpetuals."""
    deltas: dict[int, float] = {}
    held = list(positions)
    of_one = risk.delta[risk.row_numbers(position.instrument.id for position in held)].tolist()
    for position, delta in zip(held, of_one, strict=True):
        contract = position.instrument
        expiry = 0 if isinstance(contract, _UNDATED) else contract.expiry_ns
        deltas[expiry] = deltas.get(expiry, 0.0) + position.quantity * delta
    return dict(sorted(deltas.items()))


def underlyings(portfolio: Portfolio) -> tuple[Currency, ...]:
    """Return the coins whose price moves the positions or balances of `portfolio`, dollars apart, sorted."""
    found = {position.instrument.underlying for position in portfolio.positions}
    found |= {position.instrument.settle for position in portfolio.positions}
    found |= {balance.currency for balance in portfolio.balances if balance.amount != 0.0}
    return tuple(sorted(found - DOLLAR_COINS))


def check_scenarios_move(portfolio: Portfolio, risk: RiskArray, method: str) -> None:
    """Refuse a book that holds a coin which the scenarios leave still.

    Raises
    ------
    InputError
        Naming the coins: a risk that no scenario shows would be margined at nothing.
    """
    still = [coin for coin in underlyings(portfolio) if coin not in risk.scenarios.underlyings]
    if still:
        raise InputError(
            f"{method} needs scenarios for every coin of {portfolio.account}, has none for {', '.join(still)}"
        )
