"""One trader on several venues: what each venue asks, and what one pool would.

A venue sees only what lies there: positions by their contract's venue, balances by theirs. Netting stops at its door,
which is what a pool would save.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from crossmargin.errors import InputError
from crossmargin.margin.exposure import net_quantities
from crossmargin.margin.method import Method, Parameters, Requirement
from crossmargin.margin.requirements import requirements
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.pricing.valuation import cash_by_currency
from crossmargin.risk.risk_array import risk_array
from crossmargin.scenarios.grid import price_vol_grid
from crossmargin.units import AccountId, Currency, Venue


def by_venue(portfolio: Portfolio) -> dict[Venue, Portfolio]:
    """Return the part of `portfolio` that lies at each venue.

    A balance without a venue goes to the one venue that the book uses.

    Raises
    ------
    InputError
        If a balance names no venue and the book uses several, or none.
    """
    venues = {item.instrument.venue for item in portfolio.positions}
    venues |= {item.instrument.venue for item in portfolio.orders}
    venues |= {balance.venue for balance in portfolio.balances if balance.venue is not None}
    homeless = [balance.currency for balance in portfolio.balances if balance.venue is None]
    if homeless and len(venues) != 1:
        raise InputError(
            f"a balance must name its venue where a book uses {len(venues)} of them, "
            f"{', '.join(sorted(set(homeless)))} of {portfolio.account} does not"
        )
    return {
        venue: replace(
            portfolio,
            account=AccountId(f"{portfolio.account}@{venue}"),
            balances=tuple(replace(b, venue=venue) for b in portfolio.balances if b.venue in (venue, None)),
            positions=tuple(item for item in portfolio.positions if item.instrument.venue == venue),
            orders=tuple(item for item in portfolio.orders if item.instrument.venue == venue),
        )
        for venue in sorted(venues)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Consolidated:
    """A trader's requirement at each venue, and as one pool under `pool`'s method."""

    venues: Mapping[Venue, Requirement]
    pool: Requirement
    exposure: Mapping[Currency, Mapping[Venue, float]]
    """USD per +100 % of each coin, balances included, by venue."""

    @property
    def required(self) -> float:
        """Sum of the venues' initial requirements."""
        return math.fsum(result.initial for result in self.venues.values())

    @property
    def pool_saving(self) -> float:
        """How much less the pool would need than the same method venue by venue, plus what venues add to it."""
        return self.required - self.pool.initial


def consolidated(
    portfolio: Portfolio,
    market: MarketSnapshot,
    methods: Mapping[Venue, tuple[Method[Any], Parameters]],
    pool: tuple[Method[Any], Parameters],
) -> Consolidated:
    """Return each venue's requirement under its own rulebook, the exposure by venue, and the pool's requirement.

    Raises
    ------
    InputError
        If a venue of the book has no method, or its method cannot hold the part that lies there.
    """
    parts = by_venue(portfolio)
    missing = [venue for venue in parts if venue not in methods]
    if missing:
        raise InputError(f"every venue of the book needs a method, {', '.join(missing)} has none")
    found = {venue: requirements((part,), market, *methods[venue])[0] for venue, part in parts.items()}
    whole = requirements((portfolio,), market, *pool)[0]
    exposure: dict[Currency, dict[Venue, float]] = {}
    for venue, part in parts.items():
        for coin, delta in exposures(part, market).items():
            exposure.setdefault(coin, {})[venue] = delta
    return Consolidated(venues=found, pool=whole, exposure=dict(sorted(exposure.items())))


def exposures(portfolio: Portfolio, market: MarketSnapshot) -> dict[Currency, float]:
    """Return USD per +100 % of each coin: positions by their delta, and cash with unrealised profit."""
    deltas: dict[Currency, float] = {}
    for currency, coins in cash_by_currency(portfolio, market).items():
        deltas[currency] = coins * market.index_price(currency)
    if portfolio.positions:
        contracts = {position.instrument.id: position.instrument for position in portfolio.positions}
        coins_held = {contract.underlying for contract in contracts.values()}
        still = price_vol_grid(dict.fromkeys(coins_held, 0.01), price_steps=1, vol_moves=[0.0])
        risk = risk_array(contracts.values(), market, still)
        for name, quantity in net_quantities(portfolio.positions).items():
            coin = contracts[name].underlying
            deltas[coin] = deltas.get(coin, 0.0) + quantity * float(risk.delta[risk.row_number(name)])
    return {coin: delta for coin, delta in sorted(deltas.items()) if delta}
