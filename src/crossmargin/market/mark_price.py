"""Mark price of a perpetual or future: index plus a smoothed basis, held inside a band around the index."""

import math
from dataclasses import dataclass

from crossmargin.errors import InputError, MarketDataError
from crossmargin.market.snapshot import Price, Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkRules:
    """How far the mark may be from the index, as a fraction of it, and how fast the basis is followed.

    `half_life_seconds` is the time in which half of a change of the basis is taken over; 0 follows at once.
    """

    band: float = 0.03
    half_life_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not (0.0 < self.band < 1.0 and 0.0 <= self.half_life_seconds < math.inf):
            raise InputError(
                f"mark rules need 0 < band < 1 and half_life_seconds >= 0, were {self.band}, {self.half_life_seconds}"
            )


def smoothed_basis(basis: float, observed: float, elapsed_seconds: float, rules: MarkRules) -> float:
    """Return the exponentially smoothed basis (mark less index, quote currency) after `elapsed_seconds`.

    Examples
    --------
    >>> smoothed_basis(0.0, 10.0, 30.0, MarkRules())
    5.0
    """
    if not (math.isfinite(observed) and math.isfinite(basis) and elapsed_seconds >= 0.0):
        raise MarketDataError(f"a basis must be finite and time go on, were {basis}, {observed}, {elapsed_seconds}")
    if rules.half_life_seconds == 0.0:
        return observed
    kept = math.exp2(-elapsed_seconds / rules.half_life_seconds)
    return observed + kept * (basis - observed)


def mark_price(index: Price, basis: float, rules: MarkRules) -> Price:
    """Return index plus basis, inside ``index (1 -+ band)``; `Quality.BOUND` where the band holds it.

    Examples
    --------
    >>> mark_price(Price(100.0), 5.0, MarkRules())
    Price(value=103.0, quality=<Quality.BOUND: 'bound'>, time_ns=None)
    """
    if not (math.isfinite(basis) and index.value > 0.0):
        raise MarketDataError(f"a mark needs a positive index and a finite basis, had {index.value} and {basis}")
    wanted = index.value + basis
    value = min(max(wanted, index.value * (1.0 - rules.band)), index.value * (1.0 + rules.band))
    held = value != wanted and index.quality is Quality.GOOD
    return Price(value, Quality.BOUND if held else index.quality, index.time_ns)
