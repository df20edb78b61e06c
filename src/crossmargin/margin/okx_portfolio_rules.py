"""Arithmetic of OKX's portfolio margin: the seven measures of a risk unit, and the account they add up to.

``maintenance of a unit = max(MR1 + MR2 + MR3 + MR4 + MR5, MR6, MR7)``, initial 1.3 times it; borrowing is charged beside
(OKX API v5, POST /api/v5/account/position-builder, response example of 15 January 2025; announcements of January 2025).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.units import FloatArray

INITIAL_FACTOR = 1.3
EXTREME_SHARE = 0.5
"""MR6 takes half of the loss at twice the largest shock of MR1."""
BORROW_INITIAL, BORROW_MAINTENANCE = 0.10, 0.02
"""Of what is owed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitMeasures:
    """The measures of one risk unit, USD, positive.

    Attributes
    ----------
    spot, theta, vega, basis, rate
        MR1 to MR5: spot and vol shock, time decay, term structure of vega, basis, interest rate.
    extreme
        MR6.
    reduction
        MR7: cost of reducing the position.
    stablecoin
        MR9, on top.
    """

    spot: float
    theta: float = 0.0
    vega: float = 0.0
    basis: float = 0.0
    rate: float = 0.0
    extreme: float = 0.0
    reduction: float = 0.0
    stablecoin: float = 0.0

    @property
    def maintenance(self) -> float:
        """The larger of the sum of the first five, the extreme move, and the cost of reducing; and the stablecoin part."""
        ordinary = math.fsum((self.spot, self.theta, self.vega, self.basis, self.rate))
        return max(ordinary, self.extreme, self.reduction) + self.stablecoin

    @property
    def initial(self) -> float:
        """1.3 times maintenance."""
        return INITIAL_FACTOR * self.maintenance


def spot_scenarios(signed_notional: float, shocks: Sequence[float]) -> FloatArray:
    """Return the profit of delta-one positions in each spot shock, from their notional at the index.

    Examples
    --------
    >>> spot_scenarios(-1_000.0, [-0.12, 0.0, 0.12])
    array([ 120.,   -0., -120.])
    """
    return np.asarray(signed_notional * np.asarray(shocks))


def worst(profits: FloatArray) -> float:
    """Return the largest loss, at least 0."""
    return max(0.0, -float(np.min(profits)))


def extreme_loss(signed_notional: float, shock: float) -> float:
    """Return MR6 of delta-one positions: half the loss at the extreme shock, on the side that hurts.

    Examples
    --------
    >>> extreme_loss(-1_000.0, 0.24)
    120.0
    """
    return EXTREME_SHARE * abs(signed_notional) * shock


def proportional(delta: float, rate: float) -> float:
    """Return `rate` of the absolute delta: MR4 at the basis rate, MR7 at the reduction rate."""
    return rate * abs(delta)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMargin:
    """An account's totals, USD."""

    derivatives_maintenance: float
    derivatives_initial: float
    borrow_maintenance: float
    borrow_initial: float

    @property
    def maintenance(self) -> float:
        """Total maintenance requirement."""
        return self.derivatives_maintenance + self.borrow_maintenance

    @property
    def initial(self) -> float:
        """Total initial requirement."""
        return self.derivatives_initial + self.borrow_initial


def account_margin(units: Sequence[UnitMeasures], owed: float) -> AccountMargin:
    """Return the totals of `units` and of `owed` USD of liabilities."""
    return AccountMargin(
        derivatives_maintenance=math.fsum(unit.maintenance for unit in units),
        derivatives_initial=math.fsum(unit.initial for unit in units),
        borrow_maintenance=BORROW_MAINTENANCE * owed,
        borrow_initial=BORROW_INITIAL * owed,
    )
