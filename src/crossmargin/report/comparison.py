"""The comparison of methods as a terminal table, as records, and as a chart."""

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from rich.table import Table

from crossmargin.margin.comparison import ComparisonRow, Refusal


def compared_table(account: str, rows: Sequence[ComparisonRow]) -> Table:
    """Return one account under every method, the cheapest first, then those that cannot hold it and why."""
    table = Table(title=account, title_justify="left")
    table.add_column("method", no_wrap=True)
    for heading in ("initial", "excess", "usage", "distance", "benefit"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("differs most in", overflow="fold")
    held = [row for row in rows if not isinstance(row.answer, Refusal)]
    for row in sorted(held, key=_initial):
        answer = row.answer
        assert not isinstance(answer, Refusal)  # noqa: S101  (for the type checker)
        table.add_row(
            row.method,
            f"{answer.initial:,.0f}",
            f"{answer.excess:,.0f}",
            f"{100 * answer.margin_usage:,.1f} %" if math.isfinite(answer.margin_usage) else "∞",
            "none found" if row.distance is None else f"{100 * row.distance:+.1f} %",
            "-" if row.benefit is None else f"{row.benefit:,.0f}",
            "" if row.why is None else f"{row.why[0]} {row.why[1]:+,.0f}",
            style="bold red" if answer.equity < answer.maintenance else None,
        )
    for row in rows:
        if isinstance(row.answer, Refusal):
            table.add_row(row.method, "cannot", "", "", "", "", row.answer.reason, style="dim")
    return table


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


def comparison_figure(rows: Sequence[ComparisonRow]) -> go.Figure:
    """Return initial requirements as grouped bars: one group per account, one colour per method."""
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
