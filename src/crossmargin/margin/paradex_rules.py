"""Arithmetic of Paradex's margin: portfolio minimum delta risk, cross requirement at the worse side of open orders.

tradeparadex/paradex-docs, commit 9b82a75a: portfolio-margin, cross-margin-requirement, deleveraging, paradex-risk-checks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaRisk:
    """Net, gross and hedged delta of one underlying, in coins, and the least that portfolio margin asks for them, USD."""

    net: float
    gross: float
    hedged: float
    minimum: float


def minimum_delta_risk(deltas: Sequence[float], spot: float, unhedged_rate: float, hedged_rate: float) -> DeltaRisk:
    """Return ``unhedged_rate |net| + hedged_rate hedged``, times spot; hedged is what longs and shorts share.

    Parameters
    ----------
    deltas
        Coins of delta of each position, signed.

    Examples
    --------
    >>> minimum_delta_risk([1.0, -1.5], 70_000.0, 0.02, 0.01).minimum
    1400.0
    """
    net = math.fsum(deltas)
    gross = math.fsum(abs(delta) for delta in deltas)
    hedged = 0.5 * (gross - abs(net))
    return DeltaRisk(
        net=net, gross=gross, hedged=hedged, minimum=(unhedged_rate * abs(net) + hedged_rate * hedged) * spot
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSizes:
    """Coins that all buys and all sells would leave open, each at least 0."""

    buy: float
    sell: float

    @property
    def worse(self) -> float:
        """The larger."""
        return max(self.buy, self.sell)


def open_sizes(position: float, buys: float, sells: float) -> OpenSizes:
    """Return the open size on each side: orders less what the position absorbs.

    Examples
    --------
    >>> open_sizes(-1.0, 3.0, 2.0)
    OpenSizes(buy=2.0, sell=3.0)
    """
    return OpenSizes(buy=max(buys + position, 0.0), sell=max(sells - position, 0.0))


def cross_initial(sizes: OpenSizes, mark: float, initial_rate: float) -> float:
    """Return the initial requirement of one market at the worse side."""
    return sizes.worse * mark * initial_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RestingOrder:
    """An open order; `size` positive."""

    side: str
    size: float
    price: float


def kept_in_deleveraging(position: float, orders: Sequence[RestingOrder]) -> tuple[RestingOrder, ...]:
    """Return the orders that stay when an account may only reduce: on the closing side, up to the position, older first.

    An order that would push the total past the position is cancelled whole; smaller ones behind it may still fit.
    """
    closing = "sell" if position > 0.0 else "buy"
    left, kept = abs(position), []
    for order in orders:
        if order.side == closing and order.size <= left:
            kept.append(order)
            left -= order.size
    return tuple(kept)


def order_passes(
    *,
    collateral: float,
    position: float,
    entry: float,
    mark: float,
    open_sells: float,
    sell: float,
    initial_rate: float,
) -> bool:
    """Return whether a further sell is accepted: it reduces, or the account meets its initial requirement after it.

    An order that leaves the requirement as it was is accepted even below it, since it adds no risk.
    """
    value = collateral + position * (mark - entry)
    before = cross_initial(open_sizes(position, 0.0, open_sells), mark, initial_rate)
    now = max(before, abs(position) * mark * initial_rate)
    after = max(
        cross_initial(open_sizes(position, 0.0, open_sells + sell), mark, initial_rate),
        abs(position) * mark * initial_rate,
    )
    reduces = open_sells + sell <= abs(position) if position > 0.0 else False
    return (after <= now and reduces) or value >= after
