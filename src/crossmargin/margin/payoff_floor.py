"""The floor of an option portfolio's payoff: collateral that is enough whatever the price at expiry.

The payoff of European options of one expiry is piecewise linear in the price, so its minimum lies at zero, at a strike,
or at infinity. A book short calls on balance falls without end; for those, coins are held. The rule is that of a fully
collateralised option protocol (Grappa cross-margin engine).
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True)
class Leg:
    """`quantity` options of one strike; short < 0."""

    is_call: bool
    strike: float
    quantity: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.strike) and self.strike > 0.0 and np.isfinite(self.quantity)):
            raise InputError(
                f"a leg needs a positive strike and a finite quantity, were {self.strike}, {self.quantity}"
            )


@dataclass(frozen=True, slots=True)
class Floor:
    """Collateral in dollars and in coins of the underlying; both count."""

    dollars: float
    coins: float


def payoff(legs: Iterable[Leg], prices: FloatArray) -> FloatArray:
    """Return the payoff in dollars at expiry for each of `prices`.

    Examples
    --------
    >>> payoff([Leg(True, 100.0, 1.0), Leg(False, 100.0, 1.0)], np.array([90.0, 120.0]))
    array([10., 20.])
    """
    total = np.zeros_like(prices, dtype=np.float64)
    for leg in legs:
        sign = 1.0 if leg.is_call else -1.0
        total += leg.quantity * np.maximum(sign * (prices - leg.strike), 0.0)
    return np.asarray(total)


def payoff_floor(legs: Iterable[Leg]) -> Floor:
    """Return the collateral that covers the payoff at every price.

    With puts: dollars for the least payoff at zero or at a strike, and a coin for each call short on balance. Calls
    alone never lose more than coins can pay, so that all is held in coins: those short on balance and, where they fall
    short of the loss at its worst strike, the largest ratio of loss to strike.

    Examples
    --------
    >>> payoff_floor([Leg(True, 21_000.0, -1.0), Leg(True, 22_000.0, 1.0)]).coins.__round__(6)
    0.045455
    """
    held = _net(legs)
    if not held:
        return Floor(0.0, 0.0)
    calls_short = max(-sum(leg.quantity for leg in held if leg.is_call), 0.0)
    strikes = np.array(sorted({leg.strike for leg in held}))
    losses = -payoff(held, strikes)
    if any(not leg.is_call for leg in held):
        at_zero = -float(payoff(held, np.zeros(1))[0])
        return Floor(max(at_zero, float(losses.max()), 0.0), calls_short)
    worst = int(np.argmax(losses))
    if calls_short * float(strikes[worst]) >= float(losses[worst]):
        return Floor(0.0, calls_short)
    return Floor(0.0, calls_short + max(float((losses / strikes).max()), 0.0))


_CLOSED = 1e-12
"""A holding below this share of its lots is rounding, and must not decide between dollars and coins."""


def _net(legs: Iterable[Leg]) -> list[Leg]:
    lots: dict[tuple[bool, float], list[float]] = {}
    for leg in legs:
        lots.setdefault((leg.is_call, leg.strike), []).append(leg.quantity)
    return [
        Leg(is_call, strike, math.fsum(quantities))
        for (is_call, strike), quantities in sorted(lots.items())
        if abs(math.fsum(quantities)) > _CLOSED * math.fsum(map(abs, quantities))
    ]
