"""One trader on several venues: the transfers that bring every venue to a wanted headroom, checked by margining again.

The linear programme sees a coin as a constant number of dollars of margin. Haircut tiers, and coins that hedge what they
secure, make it less than that, so each plan is carried out on the book, every venue is margined anew, and the programme
is asked again for what is still short.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crossmargin.allocation.transfers import Route, Transfer, TransferPlan, cheapest_transfers
from crossmargin.errors import InputError
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.margin.venue_accounts import by_venue
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Balance, Portfolio
from crossmargin.units import Currency, Venue

Rules = Mapping[Venue, tuple[Method[Any], Parameters]]

ROUNDS = 12
"""How often the programme is asked again before a headroom counts as out of reach."""

ONE_CENT = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalancing:
    """A plan, and each venue's requirement before it and after its last transfer has arrived."""

    plan: TransferPlan
    before: Mapping[Venue, Requirement]
    after: Mapping[Venue, Requirement]


def rebalanced(
    portfolio: Portfolio, market: MarketSnapshot, rules: Rules, wanted: Mapping[Venue, float], routes: Sequence[Route]
) -> Rebalancing:
    """Return the cheapest transfers that leave every venue of `portfolio` with its wanted excess, to a cent.

    Parameters
    ----------
    rules
        Method and parameters by venue.
    wanted
        USD of excess by venue; 0 where not named.
    routes
        Ways to move; those from a venue without the currency are passed over.

    Raises
    ------
    InputError
        If a venue has no rules, or no transfers get there.
    """
    parts = by_venue(portfolio)
    missing = sorted((parts.keys() | wanted.keys()) - rules.keys())
    if missing:
        raise InputError(f"every venue needs a method, {', '.join(missing)} has none")
    before = _margined(parts, market, rules)
    movable = _movable(parts, market)
    open_routes = [route for route in routes if movable.get((route.source, route.currency)) and route.target in parts]
    credit = _credits(parts, before, market, rules, open_routes)
    headroom = {venue: result.excess for venue, result in before.items()}
    asked = {venue: wanted.get(venue, 0.0) for venue in parts}
    for _ in range(ROUNDS):
        plan = cheapest_transfers(headroom, asked, movable, credit, open_routes)
        after = _margined(after_transfers(parts, plan.transfers, market), market, rules)
        short = {venue: wanted.get(venue, 0.0) - result.excess for venue, result in after.items()}
        if all(gap <= ONE_CENT for gap in short.values()):
            reached = replace(plan, headroom={venue: result.excess for venue, result in after.items()})
            return Rebalancing(plan=reached, before=before, after=after)
        asked = {venue: asked[venue] + max(gap, 0.0) for venue, gap in short.items()}
    named = ", ".join(f"{gap:,.2f} USD at {venue}" for venue, gap in sorted(short.items()) if gap > ONE_CENT)
    raise InputError(f"every venue must reach its wanted headroom, {ROUNDS} plans leave {named}")


def after_transfers(
    parts: Mapping[Venue, Portfolio], transfers: Sequence[Transfer], market: MarketSnapshot
) -> dict[Venue, Portfolio]:
    """Return the part of a book at each venue once `transfers` have left and arrived."""
    later = dict(parts)
    for transfer in transfers:
        route, price = transfer.route, market.index_price(transfer.route.currency)
        for venue, usd in ((route.source, -transfer.amount), (route.target, transfer.arrives)):
            balance = Balance(currency=route.currency, amount=usd / price, venue=venue)
            later[venue] = replace(later[venue], balances=(*later[venue].balances, balance))
    return later


def _margined(parts: Mapping[Venue, Portfolio], market: MarketSnapshot, rules: Rules) -> dict[Venue, Requirement]:
    return {venue: requirements((part,), market, *rules[venue])[0] for venue, part in parts.items()}


def _movable(parts: Mapping[Venue, Portfolio], market: MarketSnapshot) -> dict[tuple[Venue, Currency], float]:
    """USD worth of every positive balance; unrealised profit cannot leave."""
    coins: dict[tuple[Venue, Currency], float] = {}
    for venue, part in parts.items():
        for balance in part.balances:
            key = (venue, balance.currency)
            coins[key] = coins.get(key, 0.0) + balance.amount
    return {key: amount * market.index_price(key[1]) for key, amount in coins.items() if amount > 0.0}


def _credits(
    parts: Mapping[Venue, Portfolio],
    before: Mapping[Venue, Requirement],
    market: MarketSnapshot,
    rules: Rules,
    routes: Sequence[Route],
) -> dict[tuple[Venue, Currency], float]:
    """Excess per USD of a currency at a venue, by adding a hundredth of what it holds; 0 where its rules refuse it."""
    ends = {(end, route.currency) for route in routes for end in (route.source, route.target)}
    found = {}
    for venue, currency in sorted(ends):
        usd = max(abs(before[venue].equity) * 0.01, 1.0)
        more = Balance(currency=currency, amount=usd / market.index_price(currency), venue=venue)
        part = replace(parts[venue], balances=(*parts[venue].balances, more))
        try:
            result = requirements((part,), market, *rules[venue])[0]
        except InputError:
            found[venue, currency] = 0.0
            continue
        found[venue, currency] = max((result.excess - before[venue].excess) / usd, 0.0)
    return found
