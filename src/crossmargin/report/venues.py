"""Several venues at once: tables, records and a chart of what each asks, where exposure lies, and what should move."""

from typing import TYPE_CHECKING, Any

from rich.table import Table

from crossmargin.allocation.rebalancing import Rebalancing
from crossmargin.margin.venue_accounts import Consolidated
from crossmargin.report.columns import Column, table

if TYPE_CHECKING:
    import plotly.graph_objects as go


def venues_table(account: str, found: Consolidated, width: int) -> Table:
    """Return what every venue asks under its rules, and the one pool below them."""
    rows = [(str(venue), answer.method, answer) for venue, answer in found.venues.items()]
    rows.append(("one pool", found.pool.method, found.pool))
    answers = [answer for _, _, answer in rows]
    columns = (
        Column(heading="venue", cells=[name for name, _, _ in rows], words=True),
        Column(heading="rules", cells=[method for _, method, _ in rows], words=True, importance=3),
        Column(heading="equity", cells=[f"{answer.equity:,.0f}" for answer in answers], importance=2),
        Column(heading="initial", cells=[f"{answer.initial:,.0f}" for answer in answers]),
        Column(heading="maintenance", cells=[f"{answer.maintenance:,.0f}" for answer in answers], importance=1),
        Column(heading="headroom", cells=[f"{answer.excess:,.0f}" for answer in answers]),
    )
    styles = ["bold red" if answer.excess < 0.0 else "" for answer in answers]
    return table(columns, width, title=f"{account}: each venue alone, USD", styles=styles)


def exposure_table(found: Consolidated, width: int) -> Table:
    """Return USD per +100 % of each coin, by venue and over all of them."""
    coins = list(found.exposure)
    sums = [sum(by_venue.values()) for by_venue in found.exposure.values()]
    columns = (
        Column(heading="coin", cells=coins, words=True),
        *(
            Column(heading=venue, cells=[f"{found.exposure[coin].get(venue, 0.0):,.0f}" for coin in coins])
            for venue in found.venues
        ),
        Column(heading="together", cells=[f"{amount:,.0f}" for amount in sums]),
    )
    return table(columns, width, title="exposure in USD")


def consolidated_record(account: str, found: Consolidated) -> dict[str, Any]:
    """Return `found` as plain values that JSON can hold."""
    return {
        "account": account,
        "venues": {
            venue: {
                "method": answer.method,
                "equity": answer.equity,
                "initial": answer.initial,
                "maintenance": answer.maintenance,
                "excess": answer.excess,
            }
            for venue, answer in found.venues.items()
        },
        "pool": {"method": found.pool.method, "initial": found.pool.initial, "saving": found.pool_saving},
        "exposure": {
            coin: {**by_venue, "together": sum(by_venue.values())} for coin, by_venue in found.exposure.items()
        },
    }


def transfers_table(found: Rebalancing, width: int) -> Table:
    """Return the transfers with what each costs and how long it takes."""
    moves = found.plan.transfers
    columns = (
        Column(heading="from", cells=[each.route.source for each in moves], words=True),
        Column(heading="to", cells=[each.route.target for each in moves], words=True),
        Column(heading="USD of", cells=[f"{each.amount:,.2f}" for each in moves]),
        Column(heading="currency", cells=[each.route.currency for each in moves], words=True),
        Column(heading="cost", cells=[f"{each.cost:,.2f}" for each in moves]),
        Column(heading="hours", cells=[f"{each.route.hours:g}" for each in moves], importance=1),
    )
    return table(columns, width, title=f"{len(moves)} transfer{'s' * (len(moves) != 1)}")


def rebalancing_record(found: Rebalancing) -> dict[str, Any]:
    """Return `found` as plain values that JSON can hold."""
    return {
        "transfers": [
            {
                "source": each.route.source,
                "target": each.route.target,
                "currency": each.route.currency,
                "usd": each.amount,
                "arrives_usd": each.arrives,
                "cost": each.cost,
                "hours": each.route.hours,
            }
            for each in found.plan.transfers
        ],
        "cost": found.plan.cost,
        "hours": found.plan.hours,
        "headroom": {
            venue: {"before": answer.excess, "after": found.after[venue].excess}
            for venue, answer in found.before.items()
        },
    }


def rebalancing_figure(account: str, found: Rebalancing) -> "go.Figure":
    """Return each venue's headroom before and after the transfers as paired bars."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure()
    for name, answers in (("before", found.before), ("after", found.after)):
        figure.add_bar(name=name, x=list(answers), y=[answer.excess for answer in answers.values()])
    figure.update_layout(
        barmode="group",
        template="plotly_white",
        title=f"{account}: headroom before and after {len(found.plan.transfers)} transfers",
        yaxis_title="USD over initial margin",
    )
    return figure
