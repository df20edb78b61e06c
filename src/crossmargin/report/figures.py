"""Plotly figures of answers, for notebooks. They are built only when asked for, since plotly is slow to load."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossmargin.margin.method import Requirement
from crossmargin.margin.what_if import WhatIf

if TYPE_CHECKING:
    import plotly.graph_objects as go

BLUE, ORANGE, GREY = "#2a7fc9", "#c77a0a", "#8a939c"


def requirements_figure(results: Sequence[Requirement]) -> "go.Figure":
    """Return bars of initial requirement and equity per account, the tightest first."""
    rows = sorted(results, key=lambda result: -result.margin_usage)
    names = [result.account for result in rows]
    figure = _figure("Equity and initial requirement, USD")
    figure.add_bar(name="equity", x=names, y=[result.equity for result in rows], marker_color=BLUE)
    figure.add_bar(name="initial", x=names, y=[result.initial for result in rows], marker_color=ORANGE)
    return figure.update_layout(barmode="group")


def components_figure(result: Requirement) -> "go.Figure":
    """Return the waterfall from equity through the components of the initial requirement to the excess."""
    parts = [part for part in result.initial_components if part.amount]
    figure = _figure(f"{result.account}: from equity to excess, USD")
    figure.add_waterfall(
        x=["equity", *(part.name for part in parts), "excess"],
        y=[result.equity, *(-part.amount for part in parts), result.excess],
        measure=["absolute", *["relative"] * len(parts), "total"],
        connector_line_color=GREY,
        totals_marker_color=BLUE,
        decreasing_marker_color=ORANGE,
        increasing_marker_color=BLUE,
    )
    return figure


def change_figure(result: WhatIf) -> "go.Figure":
    """Return equity, requirements and excess before and after, side by side."""
    names = ("equity", "initial", "maintenance", "excess")
    figure = _figure(f"{result.before.account}: before and after, USD")
    for label, side, colour in (("before", result.before, GREY), ("after", result.after, BLUE)):
        figure.add_bar(name=label, x=list(names), y=[getattr(side, name) for name in names], marker_color=colour)
    return figure.update_layout(barmode="group")


def _figure(title: str) -> "go.Figure":
    import plotly.graph_objects as go

    return go.Figure(layout={"title": title, "template": "plotly_white", "yaxis": {"tickformat": ",.0f"}})
