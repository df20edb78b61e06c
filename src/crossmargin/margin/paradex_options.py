"""Cross margin of Paradex's dated options: leg by leg, and per expiry never more than the group can lose at settlement.

Source: tradeparadex/paradex-docs, dated-options/margin-requirements (read November 2026).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin.payoff_floor import Leg, payoff


class OptionRates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fractions of spot, but the premium multiplier, which is one of the mark."""

    premium: float
    long_itm: float
    short_itm: float
    short_otm: float
    unpaired: float

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) >= 0.0:
                raise InputError(f"{name} must not be negative, was {getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOption:
    """A leg and the mark of one coin of it, in dollars."""

    leg: Leg
    mark: float


def isolated_margin(option: HeldOption, spot: float, rates: OptionRates) -> float:
    """Return the margin of a leg alone: of a long at most its mark, of a short a share of spot less what it is out of it.

    Examples
    --------
    >>> rates = OptionRates(premium=1.0, long_itm=0.2, short_itm=0.15, short_otm=0.1, unpaired=1.2)
    >>> isolated_margin(HeldOption(leg=Leg(True, 110_000.0, -1.0), mark=1_500.0), 100_000.0, rates)
    10000.0
    """
    leg = option.leg
    if leg.quantity >= 0.0:
        return leg.quantity * min(rates.premium * option.mark, rates.long_itm * spot)
    out = max((leg.strike - spot) if leg.is_call else (spot - leg.strike), 0.0)
    return -leg.quantity * max(rates.short_itm * spot - out, rates.short_otm * spot)


def group_margin(options: Sequence[HeldOption], spot: float, rates: OptionRates) -> float:
    """Return the margin of the options of one underlying and expiry.

    ``min(sum of isolated margins, loss to the worst settlement + unpaired * net short calls * spot)``; a group without a
    short keeps the sum.

    Examples
    --------
    The venue's own example: a 100,000 call bought, a 110,000 call sold.

    >>> rates = OptionRates(premium=1.0, long_itm=0.2, short_itm=0.15, short_otm=0.1, unpaired=1.2)
    >>> bought = HeldOption(leg=Leg(True, 100_000.0, 1.0), mark=4_000.0)
    >>> sold = HeldOption(leg=Leg(True, 110_000.0, -1.0), mark=1_500.0)
    >>> group_margin([bought, sold], 100_000.0, rates)
    2500.0
    """
    apart = sum(isolated_margin(option, spot, rates) for option in options)
    legs = [option.leg for option in options]
    if not any(leg.quantity < 0.0 for leg in legs):
        return apart
    value = sum(option.leg.quantity * option.mark for option in options)
    worst = float(payoff(legs, np.array([0.0, *(leg.strike for leg in legs)])).min())
    calls = sum(leg.quantity for leg in legs if leg.is_call)
    return min(apart, max(value - worst, 0.0) + rates.unpaired * max(-calls, 0.0) * spot)
