"""Yearly disclosures, crisis windows and the comparison of margins, as sections of a page and as records."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmargin.report.figures import BLUE, GREY, ORANGE
from crossmargin.report.sections import DataTable, Section
from crossmargin.validation.correct_model import PassRates
from crossmargin.validation.disclosure import CrisisWindow, Disclosure, ShortfallTest
from crossmargin.validation.judgement import Judgement

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = (BLUE, ORANGE, GREY, "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7a5cc9")


def comparison_section(judged: Sequence[Judgement]) -> Section:
    """Return coverage against cost, and against how fast margins rise: one point per margin."""
    return Section(
        heading="Coverage, cost and procyclicality",
        words=(
            "Up and to the left is better in both: more days covered by a lower margin, and by one that rises slower.",
        ),
        figures=(
            _points(judged, "mean margin, of size", [each.mean_margin for each in judged]),
            _points(judged, "median book's largest 5-day rise", [median_rise(each) for each in judged]),
        ),
    )


def disclosure_section(found: Mapping[str, Sequence[Disclosure]], dates: Sequence[dt.date]) -> Section:
    """Return the yearly figures of every margin, numbered as in the disclosure standards."""
    heads = ("margin", "twelve months to", "below (6.5.1)", "observations (6.5.2)", "coverage (6.5.3)",
             "peak uncovered (6.5.4)", "average uncovered (6.5.5)", "largest call of a day (6.8.1)")  # fmt: skip
    rows = tuple(
        (
            margin,
            dates[year.last].isoformat(),
            f"{year.below:,}",
            f"{year.observations:,}",
            f"{year.coverage:.2%}",
            f"{year.peak:.1%}",
            f"{year.average:.1%}",
            f"{year.largest_call:.1%}",
        )
        for margin, years in found.items()
        for year in years
    )
    words = (
        "In the manner of the CPMI-IOSCO public quantitative disclosure; amounts per dollar of a book's size. "
        "The first period may be shorter.",
    )
    return Section(heading="Disclosure", words=words, tables=(DataTable(heads=heads, rows=rows),))


def crisis_section(found: Mapping[str, Sequence[CrisisWindow]]) -> Section:
    """Return coverage around each crisis, a row per margin."""
    names = list(dict.fromkeys(window.crisis for windows in found.values() for window in windows))
    rows = []
    for margin, windows in found.items():
        by_name = {window.crisis: window for window in windows}
        shown = [_covered_and_risen(by_name[name]) if name in by_name else "" for name in names]
        rows.append((margin, *shown))
    return Section(
        heading="Inside crises",
        words=(
            "Share of book-days covered in the fifteen days around the middle of each crisis, and the median book's largest "
            "five-day rise then, before a speed limit.",
        ),
        tables=(DataTable(heads=("margin", *names), rows=tuple(rows)),),
    )


def _covered_and_risen(window: CrisisWindow) -> str:
    rise = f", {window.median_rise:.0%}" if math.isfinite(window.median_rise) else ""
    return f"{window.coverage:.2%}{rise}"


def disclosure_records(years: Sequence[Disclosure], dates: Sequence[dt.date]) -> list[dict[str, Any]]:
    """Return plain values of yearly figures."""
    return [
        {
            "from": dates[year.first].isoformat(),
            "to": dates[year.last].isoformat(),
            "times_below": year.below,
            "observations": year.observations,
            "coverage": year.coverage,
            "peak_uncovered": year.peak,
            "average_uncovered": year.average,
            "largest_call": year.largest_call,
        }
        for year in years
    ]


def crisis_records(windows: Sequence[CrisisWindow]) -> list[dict[str, Any]]:
    """Return plain values of coverage around crises."""
    return [
        {
            "crisis": window.crisis,
            "coverage": window.coverage,
            "breaches": window.breaches,
            "observations": window.observations,
            "median_rise": window.median_rise if math.isfinite(window.median_rise) else None,
        }
        for window in windows
    ]


def shortfall_record(test: ShortfallTest) -> dict[str, Any]:
    """Return plain values of the test of expected shortfall."""
    return {
        "mean_z1": float(np.nanmean(test.z1)) if np.isfinite(test.z1).any() else None,
        "mean_joint_score": float(test.score.mean()),
        "mean_z2": float(test.z2.mean()),
        "mean_z3": None if test.z3 is None else float(np.nanmean(test.z3)),
        "lowest_z2": float(test.z2.min()),
        "critical": [float(test.critical.min()), float(test.critical.max())],
        "not_rejected": test.share_above,
    }


def pass_rate_records(rates: Mapping[str, PassRates]) -> dict[str, dict[str, float]]:
    """Return plain values of the pass rates of a correct model."""
    return {name: {"mean": each.mean, "low": each.low} for name, each in rates.items()}


def median_rise(judged: Judgement) -> float:
    """Return the median book's largest five-day rise."""
    return float(np.median([book.largest_rise for book in judged.books]))


def _points(judged: Sequence[Judgement], title: str, across: Sequence[float]) -> "go.Figure":
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure(layout={"title": {"text": f"coverage against {title}"}, "template": "plotly_white"})
    for each, x, number in zip(judged, across, range(len(judged)), strict=True):
        figure.add_scatter(
            x=[x],
            y=[each.coverage],
            mode="markers+text",
            text=[each.margin],
            textposition="top center",
            name=each.margin,
            marker={"color": COLOURS[number % len(COLOURS)], "size": 11},
        )
    figure.add_hline(y=judged[0].level, line={"dash": "dot", "color": GREY})
    return figure.update_layout(
        xaxis={"tickformat": ".0%", "title": {"text": title}},
        yaxis={"tickformat": ".2%", "title": {"text": "days covered"}},
        showlegend=False,
    )
