"""The comparison of methods as a terminal table, as records, and as a chart."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from crossmargin.margin.comparison import ComparisonRow, Refusal

if TYPE_CHECKING:
    import plotly.graph_objects as go


def compared_table(account: str, rows: Sequence[ComparisonRow]) -> Table:
    """Return one account under every method that can hold it, the cheapest first."""
    table = Table(title=account, title_justify="left")
    table.add_column("method", no_wrap=True)
    for heading in ("initial", "excess", "usage", "distance", "benefit"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(rows, key=_initial):
        answer = row.answer
        if isinstance(answer, Refusal):
            continue
        table.add_row(
            row.method,
            f"{answer.initial:,.0f}",
            f"{answer.excess:,.0f}",
            f"{100 * answer.margin_usage:,.1f} %" if math.isfinite(answer.margin_usage) else "∞",
            "none found" if row.distance is None else f"{100 * row.distance:+.1f} %",
            "-" if row.benefit is None else f"{row.benefit:,.0f}",
            style="bold red" if answer.equity < answer.maintenance else None,
        )
    return table


def compared_notes(rows: Sequence[ComparisonRow], *, reasons: bool = True) -> list[str]:
    """Return why the methods differ, in one line each, then which cannot hold the account, and for what `reasons`."""
    notes = [f"{row.method}: {row.why[0]} {row.why[1]:+,.0f}" for row in rows if row.why is not None]
    notes = (
        [f"differs most from scenario_grid in  {notes[0]}", *(f"{'':35} {note}" for note in notes[1:])] if notes else []
    )
    refused = [row.answer for row in rows if isinstance(row.answer, Refusal)]
    if not reasons:
        return [*notes, f"cannot hold it: {', '.join(answer.method for answer in refused)}"] if refused else notes
    return notes + [f"cannot: {answer.reason}" for answer in refused]


def comparison_record(row: ComparisonRow) -> dict[str, Any]:
    """Return `row` as plain values that JSON can hold."""
    record: dict[str, Any] = {"account": row.account, "method": row.method}
    if isinstance(row.answer, Refusal):
        return {**record, "cannot": row.answer.reason}
    usage = row.answer.margin_usage
    return {
        **record,
        "initial": row.answer.initial,
        "maintenance": row.answer.maintenance,
        "equity": row.answer.equity,
        "excess": row.answer.excess,
        "margin_usage": usage if math.isfinite(usage) else None,
        "distance": row.distance,
        "margin_benefit": row.benefit,
        "differs_most_in": None if row.why is None else {"component": row.why[0], "amount": row.why[1]},
        "version": row.answer.version,
    }


def comparison_figure(rows: Sequence[ComparisonRow]) -> "go.Figure":
    """Return initial requirements as grouped bars: one group per account, one colour per method."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure()
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method and not isinstance(row.answer, Refusal)]
        if own:
            figure.add_bar(name=method, x=[row.account for row in own], y=[_initial(row) for row in own])
    figure.update_layout(
        barmode="group",
        template="plotly_white",
        title="Initial requirement under every method that can hold the account",
        yaxis_title="USD",
        legend_title="method",
    )
    return figure


def _initial(row: ComparisonRow) -> float:
    return math.inf if isinstance(row.answer, Refusal) else row.answer.initial
