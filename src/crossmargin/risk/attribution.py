"""Why a book's value changed between two snapshots: delta, gamma, vega, theta, basis, funding, and what is left.

An option's value ``g B(F, K, T, v)`` moves along the straight line from the index, log basis, vol and time of before to
those of after. Its change is the integral of its partial derivatives along the line, so that the parts sum to the
model's change whatever the size of the move; a Taylor series at the start would not (the path attribution of Aumann &
Shapley 1974). Delta is the slope of before over the whole index move; gamma is by how much the slope's change along
the line made it more. What the marks did beyond the model is the residual, and it is stated.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments.contracts import Future, Option, Payoff, Perpetual, Spot
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio, Position
from crossmargin.pricing.greeks import usd_greeks
from crossmargin.pricing.valuation import cash_by_currency, unit_value
from crossmargin.units import NANOSECONDS_PER_SECOND, InstrumentId, years_between

PARTS = ("delta", "gamma", "vega", "theta", "basis", "funding", "residual")
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_EIGHT_HOURS_NS = 8 * 3600 * NANOSECONDS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Parts of a profit (> 0) or loss (< 0), in USD.

    Attributes
    ----------
    delta
        What the index did, at the slope of before; balances in coin included.
    gamma
        By how much the slope changed on the way.
    basis
        Forwards and marks beyond the index, and dollar coins away from their parity in an option's price.
    funding
        Of perpetuals; positive was received.
    residual
        Marks beyond the model.
    """

    name: str
    delta: float = 0.0
    gamma: float = 0.0
    vega: float = 0.0
    theta: float = 0.0
    basis: float = 0.0
    funding: float = 0.0
    residual: float = 0.0

    @property
    def total(self) -> float:
        """The profit: the sum of all parts."""
        return math.fsum(getattr(self, part) for part in PARTS)


def attribution(
    portfolio: Portfolio,
    before: MarketSnapshot,
    after: MarketSnapshot,
    funding: Mapping[InstrumentId, float] | None = None,
) -> tuple[Attribution, ...]:
    """Return the attribution of the profit of `portfolio`, held unchanged, per currency and position.

    Parameters
    ----------
    funding
        What longs paid shorts over the whole time, as a fraction of notional, per perpetual. One that is not named
        accrues at the rate of `before`, or nothing where that has none.

    Returns
    -------
    tuple
        Their totals sum to the change of the book's value plus funding.

    Raises
    ------
    InputError
        If `after` does not come after `before`, or an option expired between: settle it first.
    MarketDataError
        If either snapshot lacks a price that is needed.
    """
    if after.time_ns < before.time_ns:
        raise InputError(f"an attribution goes forward in time, {after.time_ns} ns lies before {before.time_ns} ns")
    found = []
    for currency, coins in sorted(cash_by_currency(portfolio, before).items()):
        moved = coins * (after.index_price(currency) - before.index_price(currency))
        found.append(Attribution(name=currency, delta=moved))
    found += [_position(position, before, after, funding or {}) for position in portfolio.positions]
    return tuple(found)


def summed(parts: tuple[Attribution, ...], name: str) -> Attribution:
    """Return the sum of `parts` under one name."""
    return Attribution(name=name, **{part: math.fsum(getattr(each, part) for each in parts) for part in PARTS})


def _position(
    position: Position, before: MarketSnapshot, after: MarketSnapshot, funding: Mapping[InstrumentId, float]
) -> Attribution:
    contract = position.instrument
    match contract:
        case Option():
            return _option(contract, position.quantity, before, after)
        case Spot():
            moved = unit_value(contract, after) - unit_value(contract, before)
            return Attribution(name=contract.id, delta=position.quantity * moved)
        case Perpetual() | Future():
            held = _future(contract, position.quantity, before, after)
            if isinstance(contract, Future):
                return held
            return replace(held, funding=_funding(contract, position.quantity, before, after, funding))
    assert_never(contract)


def _future(
    contract: Perpetual | Future, quantity: float, before: MarketSnapshot, after: MarketSnapshot
) -> Attribution:
    """The mark carried along by the index is delta; what it moved beyond is basis."""
    entry, mark = before.mark_price(contract), after.mark_price(contract)
    index, quote = (
        after.index_price(currency) / before.index_price(currency) for currency in (contract.base, contract.quote)
    )
    size = contract.contract_size_float * quantity * after.index_price(contract.settle)

    def profit(price: float) -> float:
        inverse = contract.payoff is Payoff.INVERSE
        return size * (1.0 / entry - 1.0 / price) if inverse else size * (price - entry)

    carried = profit(entry * index / quote)
    return Attribution(name=contract.id, delta=carried, basis=profit(mark) - carried)


def _funding(
    contract: Perpetual,
    quantity: float,
    before: MarketSnapshot,
    after: MarketSnapshot,
    funding: Mapping[InstrumentId, float],
) -> float:
    accrued = before.funding_rate_8h.get(contract.id, 0.0) * (after.time_ns - before.time_ns) / _EIGHT_HOURS_NS
    mark = before.mark_price(contract)
    size = contract.contract_size_float * quantity
    notional = size / mark if contract.payoff is Payoff.INVERSE else size * mark
    return -funding.get(contract.id, accrued) * notional * before.index_price(contract.settle)


def _option(option: Option, quantity: float, before: MarketSnapshot, after: MarketSnapshot) -> Attribution:
    if option.expiry_ns <= after.time_ns:
        raise InputError(f"an option must live on to be attributed, {option.id} has expired: settle it first")
    ends = [_state(option, market) for market in (before, after)]
    (index, basis, vol, years, unit), (index2, basis2, vol2, years2, unit2) = ends
    share = 0.5 * (_NODES + 1.0)
    weight = 0.5 * _WEIGHTS
    path = [start + share * (end - start) for start, end in zip(*ends, strict=True)]
    forward = path[0] * np.exp(path[1])
    greeks = usd_greeks(forward, option.strike_float, path[3], path[2], option.is_call)
    start = usd_greeks(index * math.exp(basis), option.strike_float, years, vol, option.is_call)
    # an inverse option is worth B S / F USD: a forward above the index costs it the premium's own share
    inverse = option.payoff is Payoff.INVERSE
    held = np.exp(-path[1]) if inverse else np.ones(share.size)
    size = quantity * option.contract_size_float
    slope = size * path[4] * held * greeks.delta * np.exp(path[1])
    first = size * unit * (math.exp(-basis) if inverse else 1.0) * float(start.delta) * math.exp(basis)
    along = slope * path[0] - (size * path[4] * held * greeks.value if inverse else 0.0)
    moved = float(weight @ slope) * (index2 - index)
    parity = float(weight @ (size * held * greeks.value)) * (unit2 - unit)
    vega = float(weight @ (size * path[4] * held * greeks.vega)) * (vol2 - vol)
    decay = float(weight @ (size * path[4] * held * greeks.theta)) * (years - years2) * 365.0
    carry = float(weight @ along) * (basis2 - basis) + parity
    delta = first * (index2 - index)
    marked = quantity * (unit_value(option, after) - unit_value(option, before))
    return Attribution(
        name=option.id,
        delta=delta,
        gamma=moved - delta,
        vega=vega,
        theta=decay,
        basis=carry,
        residual=marked - moved - vega - decay - carry,
    )


def _state(option: Option, market: MarketSnapshot) -> tuple[float, float, float, float, float]:
    """Index, log basis, vol, years, and USD per unit of the option's dollar price."""
    index = market.index_price(option.underlying)
    forward = market.forward(option.underlying, option.expiry_ns)
    unit = 1.0
    if option.payoff is not Payoff.INVERSE:
        unit = market.index_price(option.settle) / market.index_price(option.quote)
    years = years_between(market.time_ns, option.expiry_ns)
    return index, math.log(forward / index), market.vol(option), years, unit
