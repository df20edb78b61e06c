"""Margin on top of the measure: what closing would cost, and what the measure cannot see.

All take and return USD; `delta` is the signed USD exposure to one underlying.
"""

import math
from collections.abc import Iterable

import msgspec

from crossmargin.errors import InputError


class Liquidity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What it takes to close a position in one underlying."""

    daily_volume: float
    """USD a day that the market trades."""
    daily_vol: float
    """Standard deviation of a day's return."""
    half_spread: float = 0.0005
    impact: float = 1.0
    """Factor of the square-root law, of order one."""

    def __post_init__(self) -> None:
        for name in ("daily_volume", "daily_vol"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name} must be positive, was {getattr(self, name)}")


def liquidity_add_on(delta: float, liquidity: Liquidity) -> float:
    """Return the expected cost of closing `delta`: half the spread and the square-root impact.

    ``|delta| (half_spread + impact * daily_vol * sqrt(|delta| / daily_volume))`` (Toth et al. 2011, Phys. Rev. X 1,
    021006). It grows faster than the position, so that a book twice as large needs more than twice as much.

    Examples
    --------
    >>> rule = Liquidity(daily_volume=100.0, daily_vol=0.03, half_spread=0.0)
    >>> round(liquidity_add_on(5.0, rule) / 5.0, 9)
    0.006708204
    """
    size = abs(delta)
    return size * (
        liquidity.half_spread + liquidity.impact * liquidity.daily_vol * math.sqrt(size / liquidity.daily_volume)
    )


def concentration_add_on(delta: float, daily_volume: float, free_share: float, rate: float) -> float:
    """Return `rate` on the part of ``|delta|`` above `free_share` of a day's volume.

    Examples
    --------
    >>> concentration_add_on(-30.0, daily_volume=100.0, free_share=0.1, rate=0.5)
    10.0
    """
    return rate * max(abs(delta) - free_share * daily_volume, 0.0)


def basis_add_on(deltas_by_expiry: Iterable[float], rate: float) -> float:
    """Return `rate` on the exposure that nets only across expiries: ``sum |delta_e| - |sum delta_e|``.

    A calendar spread is hedged against the price and not against the basis, which a price grid does not move.

    Examples
    --------
    >>> basis_add_on([100.0, -80.0], rate=0.01)
    1.6
    """
    deltas = tuple(deltas_by_expiry)
    return rate * (math.fsum(abs(delta) for delta in deltas) - abs(math.fsum(deltas)))
