"""The cheapest transfers that bring every venue to a wanted headroom: a small linear programme.

Collateral moves in whole values: a coin counts at its venue for ``1 - haircut`` of its worth, so that what leaves one
venue and reaches another may change what it is worth as margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import Currency, FloatArray, Venue


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A way to move one currency from one venue to another.

    Attributes
    ----------
    fixed_cost
        USD a transfer, whatever its size; taken off what arrives, as a network's fee is.
    cost
        Fraction of the amount, taken off what arrives.
    hours
        How long it takes; what is on its way counts nowhere.
    """

    source: Venue
    target: Venue
    currency: Currency
    fixed_cost: float = 0.0
    cost: float = 0.0
    hours: float = 0.0

    def __post_init__(self) -> None:
        if self.fixed_cost < 0.0 or not 0.0 <= self.cost < 1.0 or self.hours < 0.0:
            raise InputError(f"costs and hours must not be negative, and cost below 1, on {self.source}-{self.target}")
        if self.source == self.target:
            raise InputError(f"a route must join two venues, was {self.source} twice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """Move `amount` USD worth of the route's currency."""

    route: Route
    amount: float

    @property
    def cost(self) -> float:
        """USD lost on the way."""
        return self.route.fixed_cost + self.route.cost * self.amount

    @property
    def arrives(self) -> float:
        """USD worth that the target receives."""
        return self.amount - self.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPlan:
    """The transfers, what they cost in USD, when the last arrives, and each venue's headroom after it."""

    transfers: tuple[Transfer, ...]
    cost: float
    hours: float
    headroom: Mapping[Venue, float]


def cheapest_transfers(
    headroom: Mapping[Venue, float],
    wanted: Mapping[Venue, float],
    movable: Mapping[tuple[Venue, Currency], float],
    credit: Mapping[tuple[Venue, Currency], float],
    routes: Sequence[Route],
) -> TransferPlan:
    """Return the transfers of least cost that leave every venue with its wanted headroom.

    Parameters
    ----------
    headroom, wanted
        USD of excess now and wanted, by venue.
    movable
        USD worth of each currency that may leave each venue.
    credit
        What a USD worth of a currency counts for as margin at a venue: one less its marginal haircut.
    routes
        Ways to move.

    Raises
    ------
    InputError
        If no set of transfers gets there; the message names the shortfall.

    Notes
    -----
    A mixed-integer programme (HiGHS): amounts are continuous, and each used route pays its fixed cost once. Haircuts
    are taken as constant over the amounts moved, which tiers are not: check the plan by margining the book after it
    (`rebalancing` does). Of plans of equal cost the one with the fewest transfers is taken, and no more is moved over
    its routes than is needed.
    """
    venues = sorted(set(headroom) | set(wanted))
    short = {venue: wanted.get(venue, 0.0) - headroom.get(venue, 0.0) for venue in venues}
    if all(gap <= 0.0 for gap in short.values()):
        return TransferPlan(transfers=(), cost=0.0, hours=0.0, headroom=dict(headroom))
    if not routes:
        raise InputError(f"every venue must reach its wanted headroom, no route leads to {_named(short)}")
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to load, and seldom needed

    n = len(routes)
    amounts = np.array([movable.get((route.source, route.currency), 0.0) for route in routes])
    gained, paid = np.zeros((len(venues), n)), np.zeros((len(venues), n))
    for column, route in enumerate(routes):
        gained[venues.index(route.source), column] -= credit.get((route.source, route.currency), 0.0)
        counts = credit.get((route.target, route.currency), 0.0)
        gained[venues.index(route.target), column] += (1.0 - route.cost) * counts
        paid[venues.index(route.target), column] -= route.fixed_cost * counts
    leaving = {key: [c for c, r in enumerate(routes) if (r.source, r.currency) == key] for key in movable}
    stock = np.zeros((len(leaving), n))
    for row, columns in enumerate(leaving.values()):
        stock[row, columns] = 1.0
    fixed = np.array([route.fixed_cost for route in routes])
    # variables: amounts, then one switch per route; a switch that is off allows no amount
    constraints = [
        LinearConstraint(np.hstack([gained, paid]), lb=np.array([short[venue] for venue in venues])),
        LinearConstraint(np.hstack([np.eye(n), -np.diag(amounts)]), ub=0.0),
        LinearConstraint(np.hstack([stock, np.zeros_like(stock)]), ub=np.array([movable[key] for key in leaving])),
    ]
    costs = np.array([route.cost for route in routes])

    def solved(per_usd: FloatArray, upper: FloatArray) -> FloatArray | None:
        found = milp(
            c=np.concatenate([per_usd, fixed + _TIE_BREAK]),
            constraints=constraints,
            integrality=np.concatenate([np.zeros(n), np.ones(n)]),
            bounds=Bounds(np.zeros(2 * n), np.concatenate([amounts, upper])),
            options={"mip_rel_gap": 0.0},
        )
        return None if found.x is None else np.asarray(found.x, dtype=np.float64)

    best = solved(costs, np.ones(n))
    if best is not None:  # over the same routes, what need not move stays
        least = solved(costs + _LEAST, np.round(best[n:]))
        best = best if least is None else least
    if best is None:
        raise InputError(f"every venue must reach its wanted headroom, no transfers close {_named(short)}")
    moved = np.where(best[:n] > 1e-9 * max(float(amounts.max()), 1.0), best[:n], 0.0)
    used = [column for column in range(n) if moved[column] > 0.0]
    after = gained @ moved + paid @ (moved > 0.0)
    return TransferPlan(
        transfers=tuple(Transfer(route=routes[column], amount=float(moved[column])) for column in used),
        cost=float(sum(routes[c].fixed_cost + routes[c].cost * moved[c] for c in used)),
        hours=max((routes[c].hours for c in used), default=0.0),
        headroom={venue: headroom.get(venue, 0.0) + float(after[row]) for row, venue in enumerate(venues)},
    )


_TIE_BREAK = 1e-2
"""USD a transfer, so that of two plans of equal cost the one with fewer transfers is taken."""

_LEAST = 1e-4
"""USD per USD moved, in the second pass: above the solver's tolerance, and between the same routes only."""


def _named(short: Mapping[Venue, float]) -> str:
    return ", ".join(f"{gap:,.2f} USD at {venue}" for venue, gap in sorted(short.items()) if gap > 0.0)
