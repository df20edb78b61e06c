"""One trader on several venues: what each asks, what a pool would save, and the transfers that give each its headroom."""

from pathlib import Path
from typing import Any

from crossmargin.allocation.rebalancing import rebalanced
from crossmargin.cli.app import console, write_json
from crossmargin.cli.inputs import Given, Observed, account_of
from crossmargin.errors import InputError
from crossmargin.files.parameters import read_parameters
from crossmargin.files.routes import free_routes, read_routes
from crossmargin.margin.method import Method, Parameters
from crossmargin.margin.methods import DEFAULT_METHOD, STANDARD_RULEBOOKS, method_named
from crossmargin.margin.requirements import requirements
from crossmargin.margin.venue_accounts import Consolidated, by_venue, consolidated
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.portfolio import Portfolio
from crossmargin.report.venues import (
    consolidated_record,
    exposure_table,
    rebalancing_figure,
    rebalancing_record,
    transfers_table,
    venues_table,
)
from crossmargin.units import Venue

DEFAULT = Observed()
OWN = "own"
Rules = dict[Venue, tuple[Method[Any], Parameters]]


def venues(
    account: str | None = None,
    *,
    book: Path | None = None,
    method: str = DEFAULT_METHOD,
    rules: list[tuple[str, str]] | None = None,
    given: Given = DEFAULT,
    json: bool = False,
) -> None:
    """Show ACCOUNT venue by venue: requirement and headroom at each, exposure across them, and what a pool would save.

    Parameters
    ----------
    account
        Account of the book; its balances name their venue. The only one where not given.
    book
        Its book; the embedded sample where not given.
    method
        Margin method of every venue; "own" takes each venue's standard rulebook.
    rules
        Venue and its method, for those that differ.
    json
        Print one record.
    """
    market = given.snapshot()
    portfolio = account_of(book, account, market)
    chosen = _rules(portfolio, method, rules or [], given.as_of)
    found, alone = _view(portfolio, market, chosen, method, given.as_of)
    if json:
        write_json(_record(portfolio, found, alone))
    else:
        _show(portfolio, found, alone)


def transfers(
    book: Path | None = None,
    *,
    headroom: str,
    account: str | None = None,
    costs: Path | None = None,
    method: str = DEFAULT_METHOD,
    rules: list[tuple[str, str]] | None = None,
    given: Given = DEFAULT,
    chart: Path | None = None,
    json: bool = False,
) -> None:
    """Find the cheapest transfers that leave every venue of an account with HEADROOM over its initial margin.

    Parameters
    ----------
    book
        Book whose balances name their venue; the embedded sample where not given.
    headroom
        USD at every venue, or a share of each venue's requirement such as 20%.
    account
        Account of the book; the only one where not given.
    costs
        JSON list of routes: source, target, currency, fixed_cost (USD), cost (fraction), hours; "*" stands for all.
        Without it every route is open and free, so that the fewest transfers are found.
    method
        Margin method of every venue; "own" takes each venue's standard rulebook.
    rules
        Venue and its method, for those that differ.
    chart
        Write a chart of headroom before and after to this HTML file.
    json
        Print one record.
    """
    market = given.snapshot()
    portfolio = account_of(book, account, market)
    chosen = _rules(portfolio, method, rules or [], given.as_of)
    found, alone = _view(portfolio, market, chosen, method, given.as_of)
    currencies = [balance.currency for balance in portfolio.balances]
    routes = free_routes(chosen, currencies) if costs is None else read_routes(costs, chosen, currencies)
    wanted = {venue: _headroom(headroom, answer.initial) for venue, answer in found.venues.items()}
    plan = rebalanced(portfolio, market, chosen, wanted, routes)
    if chart is not None:
        rebalancing_figure(portfolio.account, plan).write_html(chart, include_plotlyjs="inline")
    if json:
        write_json({**_record(portfolio, found, alone), "wanted": wanted, **rebalancing_record(plan)})
        return
    _show(portfolio, found, alone)
    console.print()
    if not plan.plan.transfers:
        console.print(f"every venue has its wanted headroom of {headroom}: nothing needs to move")
        return
    console.print(transfers_table(plan, console.width))
    console.print(
        "without --costs every route counts as open, free and instant"
        if costs is None
        else f"cost {plan.plan.cost:,.2f} USD, the last arrives after {plan.plan.hours:g} hours"
    )
    for venue, answer in plan.after.items():
        console.print(f"{venue}: headroom {found.venues[venue].excess:,.0f} to {answer.excess:,.0f}", highlight=False)


def _rules(portfolio: Portfolio, method: str, rules: list[tuple[str, str]], as_of: str | None) -> Rules:
    """Return method and parameters of every venue of the account."""
    named = dict(rules)
    held = by_venue(portfolio)
    strangers = sorted(named.keys() - held.keys())
    if strangers:
        raise InputError(f"rules must name a venue of the account, {', '.join(held)}, was {strangers[0]!r}")
    found: Rules = {}
    for venue in held:
        name = named.get(venue, method)
        if name == OWN:
            if venue not in STANDARD_RULEBOOKS:
                raise InputError(f"a venue's own rulebook must be built here, that of {venue} is not: name its --rules")
            name = STANDARD_RULEBOOKS[venue]
        chosen = method_named(name)
        found[venue] = (chosen, read_parameters(chosen, as_of))
    return found


def _view(
    portfolio: Portfolio, market: MarketSnapshot, rules: Rules, method: str, as_of: str | None
) -> tuple[Consolidated, float]:
    """Return the view, and the venues' sum under the pool's own method: what a pool saves is told under one method."""
    chosen = method_named(DEFAULT_METHOD if method == OWN else method)
    pool = (chosen, read_parameters(chosen, as_of))
    parts = by_venue(portfolio).values()
    alone = sum(result.initial for result in requirements(parts, market, *pool))
    return consolidated(portfolio, market, rules, pool), alone


def _headroom(text: str, initial: float) -> float:
    try:
        share = float(text.removesuffix("%"))
    except ValueError as error:
        raise InputError(f"a headroom must be USD or a share such as 20%, was {text!r}") from error
    if not 0.0 <= share < float("inf"):
        raise InputError(f"a headroom must be finite and not negative, was {text}")
    return share / 100.0 * initial if text.endswith("%") else share


def _record(portfolio: Portfolio, found: Consolidated, alone: float) -> dict[str, Any]:
    record = consolidated_record(portfolio.account, found)
    return record | {"pool": {**record["pool"], "venue_by_venue": alone, "saving": alone - found.pool.initial}}


def _show(portfolio: Portfolio, found: Consolidated, alone: float) -> None:
    console.print(venues_table(portfolio.account, found, console.width))
    console.print(
        f"under {found.pool.method}: {alone:,.0f} venue by venue, {found.pool.initial:,.0f} as one pool, "
        f"which would save {alone - found.pool.initial:,.0f}",
        soft_wrap=True,
        highlight=False,
    )
    console.print()
    console.print(exposure_table(found, console.width))
