"""What balances count for: haircuts, tiers and caps.

Collateral is risk or is haircut, never both for the same unit: what a method puts into the risk array it takes out of
the schedule.
"""

import itertools
from collections.abc import Mapping

import msgspec

from crossmargin.errors import InputError
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.units import Currency


class HaircutTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Haircut on the part of a balance up to `up_to` USD; None is without end."""

    haircut: float
    up_to: float | None = None


class HaircutSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Haircuts per currency, in tiers that never fall, so that credit is concave in size.

    A currency without a schedule counts for nothing. Beyond the last tier with an end, a further unit counts for
    nothing: a cap. What is owed counts in full.
    """

    tiers: dict[str, tuple[HaircutTier, ...]]

    def __post_init__(self) -> None:
        for currency, tiers in self.tiers.items():
            for tier in tiers:
                if not 0.0 <= tier.haircut <= 1.0:
                    raise InputError(f"a haircut must be inside [0, 1], was {tier.haircut} for {currency}")
            for low, high in itertools.pairwise(tiers):
                if high.haircut < low.haircut:
                    raise InputError(f"haircuts must not fall with size, fell for {currency}")
                if low.up_to is None or (high.up_to is not None and high.up_to <= low.up_to):
                    raise InputError(f"tiers must increase in size, did not for {currency}")

    def credit(self, currency: Currency, value: float) -> float:
        """Return what `value` USD of `currency` counts for; a negative value counts in full.

        Examples
        --------
        >>> tiers = (HaircutTier(haircut=0.1, up_to=100.0), HaircutTier(haircut=0.5))
        >>> HaircutSchedule(tiers={"BTC": tiers}).credit(Currency("BTC"), 120.0)
        100.0
        """
        if value <= 0.0:
            return value
        credit, floor = 0.0, 0.0
        for tier in self.tiers.get(currency, ()):
            end = value if tier.up_to is None else min(value, tier.up_to)
            credit += (1.0 - tier.haircut) * max(end - floor, 0.0)
            floor = end
        return credit


def collateral_credits(
    cash: Mapping[Currency, float], market: MarketSnapshot, schedule: HaircutSchedule
) -> dict[Currency, float]:
    """Return what each currency of `cash` (coins) counts for in USD after haircut."""
    return {
        currency: schedule.credit(currency, amount * market.index_price(currency))
        for currency, amount in sorted(cash.items())
        if amount != 0.0
    }
