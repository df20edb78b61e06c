"""Forecasts of requirements and margin calls as tables, records, figures and report sections."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from crossmargin.margin.forecast import Forecast
from crossmargin.report.columns import Column, table
from crossmargin.report.figures import BLUE, GREY, ORANGE
from crossmargin.report.sections import DataTable, Section
from crossmargin.validation.forecast_calibration import Outcome, brier_score, interval_coverage, reliability

if TYPE_CHECKING:
    import plotly.graph_objects as go

QUANTILES = (0.05, 0.5, 0.95, 0.99)


def forecast_table(found: Sequence[Forecast], periods: int, width: int) -> Table:
    """Return one row per account, the likeliest to be liquidated first."""
    rows = sorted(found, key=lambda each: (-each.liquidation, -each.call, each.account))
    columns = (
        Column(heading="account", cells=[each.account for each in rows], words=True),
        Column(heading="initial", cells=[_usd(each.now.initial) for each in rows], importance=2),
        Column(heading="median", cells=[_usd(_quantile(each, 0.5)) for each in rows], importance=5),
        Column(heading="95 %", cells=[_usd(_quantile(each, 0.95)) for each in rows], importance=4),
        Column(heading="99 %", cells=[_usd(_quantile(each, 0.99)) for each in rows], importance=3),
        Column(heading="call", cells=[_chance(each.call) for each in rows], importance=1),
        Column(heading="liquidation", cells=[_chance(each.liquidation) for each in rows]),
        Column(heading="± of initial", cells=[f"{100 * each.error:.1f} %" for each in rows], importance=6),
    )
    styles = ["bold red" if each.liquidation > 0.1 else "" for each in rows]
    title = f"initial requirement after a day, chances within {periods} days · USD"
    return table(columns, width, title=title, styles=styles)


def forecast_record(each: Forecast) -> dict[str, Any]:
    """Return `each` as plain values that JSON can hold."""
    return {
        "account": each.account,
        "method": each.now.method,
        "equity": each.now.equity,
        "initial": each.now.initial,
        "maintenance": each.now.maintenance,
        "initial_quantiles": {f"{level:g}": _quantile(each, level) for level in QUANTILES},
        "call": each.call,
        "liquidation": each.liquidation,
        "call_at_close": each.call_at_close,
        "liquidation_at_close": each.liquidation_at_close,
        "error": each.error,
    }


def calibration_record(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return how forecasts came true, as plain values; skill is null where nothing happened."""
    call, called = _calls(outcomes)
    score, skill = brier_score(call, called)
    return {
        "outcomes": len(outcomes),
        "days": len({each.time_ns for each in outcomes}),
        "mean_forecast": float(call.mean()),
        "frequency": float(called.mean()),
        "brier_score": score,
        "skill": skill if np.isfinite(skill) else None,
        "interval_coverage": {f"{level:g}": share for level, share in interval_coverage(_ranks(outcomes))},
        "reliability": [
            {"forecast": b.forecast, "observed": b.observed, "low": b.low, "high": b.high, "count": b.count}
            for b in reliability(call, called)
        ],
    }


def calibration_words(outcomes: Sequence[Outcome]) -> str:
    """Return the calibration in one sentence."""
    call, called = _calls(outcomes)
    inside = ", ".join(
        f"{100 * share:.1f} % in {100 * level:.0f} %" for level, share in interval_coverage(_ranks(outcomes))
    )
    return (
        f"On {len({each.time_ns for each in outcomes})} past days margin calls were forecast at {100 * call.mean():.1f} % "
        f"and came at {100 * called.mean():.1f} %; requirements lay {inside} of the forecast."
    )


def forecast_sections(found: Sequence[Forecast], outcomes: Sequence[Outcome], periods: int) -> list[Section]:
    """Return the table of all accounts, the calibration where there is one, and each account that may be called."""
    rows = sorted(found, key=lambda each: (-each.liquidation, -each.call, each.account))
    heads = (
        "account",
        "initial now",
        *(f"{100 * level:g} %" for level in QUANTILES),
        "call",
        "liquidation",
        "± of initial",
    )
    cells = tuple(
        (
            each.account,
            _usd(each.now.initial),
            *(_usd(_quantile(each, level)) for level in QUANTILES),
            _chance(each.call),
            _chance(each.liquidation),
            f"{100 * each.error:.1f} %",
        )
        for each in rows
    )
    caption = f"Initial requirement after a day (quantiles), chances within {periods} days, USD"
    sections = [Section(heading="Accounts", tables=(DataTable(heads=heads, rows=cells, caption=caption),))]
    if outcomes:
        figures = (reliability_figure(outcomes), rank_figure(outcomes))
        sections.append(Section(heading="Calibration", words=(calibration_words(outcomes),), figures=figures))
    named = [each for each in rows if each.call > 0.0 or each.liquidation > 0.0] or rows[:6]
    for each in named[:24]:
        words = f"Call {_chance(each.call)}, liquidation {_chance(each.liquidation)} within {periods} days."
        sections.append(
            Section(heading=each.account, words=(words,), figures=(requirement_figure(each), fan_figure(each)))
        )
    return sections


def requirement_figure(each: Forecast) -> "go.Figure":
    """Return the histogram of the initial requirement after one period, with today's."""
    import plotly.graph_objects as go  # slow to load, and seldom needed

    counts, edges = np.histogram(each.initial, bins=60)
    figure = go.Figure(layout={"title": {"text": "Initial requirement after a day, USD"}, "template": "plotly_white"})
    middles = 0.5 * (edges[1:] + edges[:-1])
    figure.add_bar(x=middles.tolist(), y=(counts / each.initial.size).tolist(), marker_color=BLUE, name="draws")
    figure.add_vline(x=each.now.initial, line={"color": ORANGE})
    return figure.update_layout(yaxis={"title": {"text": "share"}}, xaxis={}, showlegend=False)


def fan_figure(each: Forecast) -> "go.Figure":
    """Return quantiles of equity less maintenance by the end of each period; below 0 is liquidation."""
    import plotly.graph_objects as go

    cushion = np.concatenate(
        [np.full((1, each.cushion.shape[1]), each.now.equity - each.now.maintenance), each.cushion]
    )
    figure = go.Figure(layout={"title": {"text": "Equity less maintenance, USD"}, "template": "plotly_white"})
    for level in (0.01, 0.05, 0.5, 0.95, 0.99):
        line = np.quantile(cushion, level, axis=1).round().tolist()
        colour = BLUE if level == 0.5 else GREY
        figure.add_scatter(x=list(range(len(line))), y=line, name=f"{100 * level:g} %", line={"color": colour})
    figure.add_hline(y=0.0, line={"color": ORANGE, "dash": "dash"})
    return figure.update_layout(xaxis={"title": {"text": "days"}}, yaxis={"tickformat": ",.0f"})


def reliability_figure(outcomes: Sequence[Outcome]) -> "go.Figure":
    """Return how often margin calls came true against how often they were forecast, with 95 % intervals."""
    import plotly.graph_objects as go

    bins = reliability(*_calls(outcomes))
    top = max([0.01, *(max(b.forecast, b.high) for b in bins)])
    figure = go.Figure(layout={"title": {"text": "Margin calls: forecast and frequency"}, "template": "plotly_white"})
    figure.add_scatter(x=[0.0, top], y=[0.0, top], mode="lines", line={"color": GREY, "dash": "dash"}, name="right")
    figure.add_scatter(
        x=[b.forecast for b in bins],
        y=[b.observed for b in bins],
        error_y={"array": [b.high - b.observed for b in bins], "arrayminus": [b.observed - b.low for b in bins]},
        mode="markers",
        marker={"color": BLUE},
        name="seen",
    )
    percent = {"tickformat": ".0%"}
    return figure.update_layout(
        xaxis={"title": {"text": "forecast"}, **percent}, yaxis={"title": {"text": "frequency"}, **percent}
    )


def rank_figure(outcomes: Sequence[Outcome]) -> "go.Figure":
    """Return the histogram of ranks of requirements among their forecasts: flat if the distribution is right."""
    import plotly.graph_objects as go

    counts, edges = np.histogram(_ranks(outcomes), bins=20, range=(0.0, 1.0))
    figure = go.Figure(
        layout={"title": {"text": "Rank of the requirement in its forecast (PIT)"}, "template": "plotly_white"}
    )
    figure.add_bar(x=(0.5 * (edges[1:] + edges[:-1])).tolist(), y=counts.tolist(), marker_color=BLUE, name="seen")
    figure.add_hline(y=len(outcomes) / 20, line={"color": GREY, "dash": "dash"})
    return figure.update_layout(xaxis={"title": {"text": "rank"}}, yaxis={}, showlegend=False)


def _calls(outcomes: Sequence[Outcome]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    return np.array([each.call for each in outcomes]), np.array([each.called for each in outcomes])


def _ranks(outcomes: Sequence[Outcome]) -> np.ndarray[Any, Any]:
    return np.array([each.rank for each in outcomes])


def _quantile(each: Forecast, level: float) -> float:
    return float(np.quantile(each.initial, level))


def _chance(share: float) -> str:
    return "0" if share == 0.0 else "< 0.01 %" if share < 1e-4 else f"{100 * share:.2f} %"


def _usd(amount: float) -> str:
    return f"{amount:,.0f}"
