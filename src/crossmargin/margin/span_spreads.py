"""What SPAN adds to scan risk within a commodity and takes off between commodities.

Source: CME, "Components of SPAN" (www.cme.com/clearing/rmspan/span/components.html): scanning nets all expiries of a
commodity, so a spread between expiries is charged again; commodities are scanned apart, so a spread between two is
credited with part of their futures price risk. Deltas here are USD per +100 % of the price.
"""

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import Currency, FloatArray

_EXTREMES = 14
"""Scenarios from here on move the price alone, and are their own pair."""


class TierSpread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Charge on each dollar of delta that is long in one tier of expiries and short in the other."""

    first: int
    second: int
    charge: float

    def __post_init__(self) -> None:
        if self.first < 0 or self.second < 0 or not self.charge >= 0.0:
            raise InputError(f"a tier spread needs tiers and a charge of at least 0, was {self}")


class CommoditySpread(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Share of price risk credited to a long in one and a short in the other, `ratio` dollars of `second` to each."""

    first: Currency
    second: Currency
    credit: float
    ratio: float = 1.0

    def __post_init__(self) -> None:
        if self.first == self.second or not 0.0 <= self.credit <= 1.0 or not self.ratio > 0.0:
            raise InputError(f"a commodity spread needs two coins, a credit inside [0, 1] and a ratio > 0, was {self}")


def calendar_charge(deltas: Mapping[int, float], tiers: Mapping[int, int], spreads: Sequence[TierSpread]) -> float:
    """Return the charge for spreads between expiries, formed in the order of `spreads`; delta once used is gone.

    Parameters
    ----------
    deltas
        USD per expiry, signed.
    tiers
        Tier of each expiry.

    Examples
    --------
    >>> spreads = (TierSpread(first=0, second=0, charge=0.01), TierSpread(first=0, second=1, charge=0.02))
    >>> calendar_charge({1: 100.0, 2: -30.0, 9: -50.0}, {1: 0, 2: 0, 9: 1}, spreads)
    1.3
    """
    longs, shorts = dict[int, float](), dict[int, float]()
    for expiry, delta in sorted(deltas.items()):
        side = longs if delta > 0.0 else shorts
        side[tiers[expiry]] = side.get(tiers[expiry], 0.0) + abs(delta)
    total = 0.0
    for spread in spreads:
        for long, short in dict.fromkeys([(spread.first, spread.second), (spread.second, spread.first)]):
            matched = min(longs.get(long, 0.0), shorts.get(short, 0.0))
            if matched:
                longs[long] -= matched
                shorts[short] -= matched
                total += matched * spread.charge
    return total


def price_risk(pnl: FloatArray) -> float:
    """Return the part of scan risk that the price alone makes: paired worst loss less the loss without a price move.

    The worst scenario is averaged with its pair, the same price with the other vol move; what is lost where the price
    stands still, on average over both vol moves, is taken off. Between 0 and the scan risk.

    Examples
    --------
    >>> future = np.array([0, 0, 3, 3, -3, -3, 6, 6, -6, -6, 9, 9, -9, -9, 8.9, -8.9])
    >>> price_risk(future)
    9.0
    """
    worst = int(np.argmin(pnl))
    scan = max(-float(pnl[worst]), 0.0)
    pair = worst if worst >= _EXTREMES else worst ^ 1
    adjusted = -0.5 * float(pnl[worst] + pnl[pair])
    still = -0.5 * float(pnl[0] + pnl[1])
    return min(max(adjusted - still, 0.0), scan)


def commodity_credits(
    deltas: Mapping[Currency, float], price_risks: Mapping[Currency, float], spreads: Sequence[CommoditySpread]
) -> dict[Currency, float]:
    """Return the credit of each commodity, spreads formed in order; delta once used is gone.

    Credit of a leg: its price risk per dollar of net delta, times the delta in the spread, times the credit rate.

    Examples
    --------
    >>> btc, eth = Currency("BTC"), Currency("ETH")
    >>> spread = CommoditySpread(first=btc, second=eth, credit=0.5)
    >>> commodity_credits({btc: 1000.0, eth: -600.0}, {btc: 160.0, eth: 108.0}, (spread,))
    {'BTC': 48.0, 'ETH': 54.0}
    """
    left = dict(deltas)
    credited = dict.fromkeys(sorted(deltas), 0.0)
    for spread in spreads:
        first, second = left.get(spread.first, 0.0), left.get(spread.second, 0.0)
        if first * second >= 0.0:
            continue
        formed = min(abs(first), abs(second) / spread.ratio)
        for name, used in ((spread.first, formed), (spread.second, formed * spread.ratio)):
            # rounding may form more than is there, of deltas near the smallest float by a large factor
            taken = min(used, abs(left[name]))
            left[name] -= math.copysign(taken, left[name])
            credited[name] += spread.credit * price_risks[name] * (taken / abs(deltas[name]))
    return credited
