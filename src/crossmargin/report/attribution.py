"""Profit attribution as a table, records and a waterfall."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from crossmargin.report.columns import Column, table
from crossmargin.report.figures import BLUE, GREY, ORANGE
from crossmargin.report.sections import DataTable, Section
from crossmargin.risk.attribution import PARTS, Attribution, summed

if TYPE_CHECKING:
    import plotly.graph_objects as go

Accounts = Sequence[tuple[str, tuple[Attribution, ...]]]


def attribution_table(found: Accounts, width: int) -> Table:
    """Return a row per account, or per currency and position where there is one account, who lost most first."""
    rows = [summed(lines, account) for account, lines in found]
    if len(found) == 1:
        lines = found[0][1]
        rows = [*(line for line in lines if line.total), summed(lines, "sum")]
    rows.sort(key=lambda row: (row.name == "sum", row.total))
    importance = {"delta": 1, "gamma": 2, "vega": 2, "theta": 2, "basis": 4, "funding": 4, "residual": 3}
    columns = [Column(heading="account" if len(found) > 1 else "holding", cells=[row.name for row in rows], words=True)]
    columns.append(Column(heading="profit", cells=[_usd(row.total) for row in rows]))
    columns += [
        Column(heading=part, cells=[_usd(getattr(row, part)) for row in rows], importance=importance[part])
        for part in PARTS
    ]
    title = "profit and loss by cause · USD" if len(found) > 1 else f"{found[0][0]}: profit and loss by cause · USD"
    return table(columns, width, title=title, styles=["bold" if row.name == "sum" else "" for row in rows])


def attribution_record(account: str, lines: tuple[Attribution, ...]) -> dict[str, Any]:
    """Return one account as plain values that JSON can hold."""
    return {"account": account, **_record(summed(lines, account)), "lines": [
        {"name": line.name, **_record(line)} for line in lines
    ]}  # fmt: skip


def attribution_figure(total: Attribution) -> "go.Figure":
    """Return the causes as a waterfall to the profit."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure(layout={"title": {"text": f"{total.name}: profit by cause"}, "template": "plotly_white"})
    figure.add_waterfall(
        x=[*PARTS, "profit"],
        y=[*(getattr(total, part) for part in PARTS), total.total],
        measure=[*["relative"] * len(PARTS), "total"],
        connector={"line": {"color": GREY}},
        totals={"marker": {"color": BLUE}},
        decreasing={"marker": {"color": ORANGE}},
        increasing={"marker": {"color": BLUE}},
    )
    return figure.update_layout(yaxis={"title": {"text": "USD"}, "tickformat": ",.0f"}, xaxis={})


def attribution_sections(found: Accounts) -> list[Section]:
    """Return a section per account, who lost most first: its lines and the waterfall."""
    sections = []
    for account, lines in sorted(found, key=lambda each: summed(each[1], each[0]).total):
        total = summed(lines, "sum")
        rows = tuple(
            (line.name, _usd(line.total), *(_usd(getattr(line, part)) for part in PARTS))
            for line in (*(line for line in lines if line.total), total)
        )
        sections.append(
            Section(
                heading=account,
                tables=(DataTable(heads=("holding", "profit", *PARTS), rows=rows),),
                figures=(attribution_figure(summed(lines, account)),),
            )
        )
    return sections


def _record(line: Attribution) -> dict[str, float]:
    return {"total": line.total, **{part: getattr(line, part) for part in PARTS}}


def _usd(amount: float) -> str:
    return f"{amount:+,.0f}" if round(amount) else "0"
