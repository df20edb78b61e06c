"""Stresses and reverse stresses as tables, records and figures."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from crossmargin.margin.exhaustion import Exhausted
from crossmargin.margin.stress_test import StressResult
from crossmargin.report.columns import Column, table
from crossmargin.report.figures import BLUE, GREY, ORANGE
from crossmargin.report.sections import DataTable, Section

if TYPE_CHECKING:
    import plotly.graph_objects as go


def stress_table(results: Sequence[Sequence[StressResult]], width: int) -> Table:
    """Return each account's worst stress, or each of its stresses where there is one account; the worst first."""
    rows = [result for account in results for result in account]
    if len(results) > 1:
        rows = [min(account, key=lambda each: each.equity_after) for account in results]
    rows.sort(key=lambda each: each.equity_after)
    columns = (
        Column(heading="account", cells=[row.account for row in rows], words=True),
        Column(heading="equity", cells=[_usd(row.equity) for row in rows], importance=2),
        Column(heading="profit or loss", cells=[f"{row.pnl:+,.0f}" for row in rows], importance=1),
        Column(heading="closing", cells=[_usd(row.closing_cost) for row in rows], importance=3),
        Column(heading="equity after", cells=[_usd(row.equity_after) for row in rows]),
        Column(heading="stress", cells=[row.stress for row in rows], importance=1, words=True, fills=True),
    )
    styles = ["bold red" if row.equity_after < 0.0 else "" for row in rows]
    title = "worst stress of each account · USD" if len(results) > 1 else "stresses · USD"
    return table(columns, width, title=title, styles=styles)


def stress_record(result: StressResult) -> dict[str, Any]:
    """Return `result` as plain values that JSON can hold."""
    return {
        "account": result.account,
        "stress": result.stress,
        "equity": result.equity,
        "pnl": result.pnl,
        "by_coin": dict(result.by_coin),
        "closing_cost": result.closing_cost,
        "equity_after": result.equity_after,
    }


def stress_figure(result: StressResult) -> "go.Figure":
    """Return the stress as a waterfall: equity, what each coin takes or gives, the cost of closing, equity after."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    parts = [*result.by_coin, *([("closing", -result.closing_cost)] if result.closing_cost else [])]
    figure = go.Figure(layout={"title": {"text": f"{result.account}: {result.stress}"}, "template": "plotly_white"})
    figure.add_waterfall(
        x=["equity", *(name for name, _ in parts), "equity after"],
        y=[result.equity, *(amount for _, amount in parts), result.equity_after],
        measure=["absolute", *["relative"] * len(parts), "total"],
        connector={"line": {"color": GREY}},
        totals={"marker": {"color": BLUE}},
        decreasing={"marker": {"color": ORANGE}},
        increasing={"marker": {"color": BLUE}},
    )
    return figure.update_layout(yaxis={"title": {"text": "USD"}, "tickformat": ",.0f"}, xaxis={})


def stress_sections(results: Sequence[Sequence[StressResult]]) -> list[Section]:
    """Return a section per account, who loses most first: its stresses and the waterfall of the worst."""
    found = []
    for account in sorted(results, key=lambda each: min(result.equity_after for result in each)):
        ranked = sorted(account, key=lambda each: each.equity_after)
        rows = tuple((row.stress, f"{row.pnl:+,.0f}", _usd(row.closing_cost), _usd(row.equity_after)) for row in ranked)
        heads = ("stress", "profit or loss", "closing", "equity after")
        found.append(
            Section(
                heading=ranked[0].account,
                words=(f"Equity {ranked[0].equity:,.0f} USD.",),
                tables=(DataTable(heads=heads, rows=rows),),
                figures=(stress_figure(ranked[0]),),
            )
        )
    return found


def reverse_stress_record(name: str, found: Exhausted) -> dict[str, Any]:
    """Return `found` as plain values that JSON can hold; no move is null."""
    record: dict[str, Any] = {"exhausted": name, "resources": found.resources, "move": None}
    if found.move is None:
        return record
    relative = found.factors.relative(found.move.moves).tolist()
    others = [found.factors.relative(other).tolist() for other in found.move.others]
    return record | {
        "move": dict(zip(found.factors.names, relative, strict=True)),
        "distance": found.move.distance,
        "normal_probability": found.move.tail_probability(),
        "t4_probability": found.move.tail_probability(4.0),
        "loss": found.move.loss,
        "other_moves": [dict(zip(found.factors.names, other, strict=True)) for other in others],
        "shortfalls": dict(found.shortfalls),
    }


def reverse_stress_table(found: Sequence[tuple[str, Exhausted]], width: int) -> Table:
    """Return the most likely move that exhausts each account or fund, the likeliest first."""
    rows = sorted(found, key=lambda each: float("inf") if each[1].move is None else each[1].move.distance)
    moves = [each.move for _, each in rows]
    columns = (
        Column(heading="exhausted", cells=[name for name, _ in rows], words=True),
        Column(heading="resources", cells=[_usd(each.resources) for _, each in rows], importance=2),
        Column(heading="deviations", cells=["-" if m is None else f"{m.distance:.1f}" for m in moves]),
        Column(
            heading="chance",
            cells=["-" if m is None else _chance(m.tail_probability(4.0)) for m in moves],
            importance=3,
        ),
        Column(heading="move", cells=[described(each) for _, each in rows], importance=1, words=True, fills=True),
    )
    return table(columns, width, title="most likely move that exhausts · USD, chance under a t law of 4 degrees")


def described(found: Exhausted) -> str:
    """Return the move in words, the largest first in its own deviations."""
    if found.move is None:
        return "none within 40 deviations"
    relative = found.factors.relative(found.move.moves)
    size = abs(found.move.moves) / found.factors.covariance.diagonal() ** 0.5
    order = (-size).argsort(kind="stable").tolist()
    return ", ".join(
        f"{found.factors.names[place]} {100 * relative[place]:+.0f} %" for place in order if size[place] > 0.05
    )


def _chance(share: float) -> str:
    return "below 0.01 %" if share < 1e-4 else f"{100 * share:.2f} %"


def _usd(amount: float) -> str:
    return f"{amount:,.0f}"
