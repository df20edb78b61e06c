"""Walk-forward tests as tables, records, figures and a page."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.table import Table

from crossmargin.report.columns import Column, table
from crossmargin.report.disclosure import (
    COLOURS,
    comparison_section,
    crisis_records,
    crisis_section,
    disclosure_records,
    disclosure_section,
    median_rise,
    pass_rate_records,
    shortfall_record,
)
from crossmargin.report.figures import BLUE, GREY
from crossmargin.report.sections import DataTable, Section
from crossmargin.units import FloatArray
from crossmargin.validation.correct_model import PassRates
from crossmargin.validation.disclosure import CrisisWindow, Disclosure, LimitCost, ShortfallTest
from crossmargin.validation.judgement import Comparison, Judgement
from crossmargin.validation.netting import PairSaving
from crossmargin.validation.sensitivity import Sensitivity

if TYPE_CHECKING:
    import plotly.graph_objects as go

_SHOWN = ("long BTC", "short BTC", "BTC-ETH", "basket")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One margin's record; arrays of shape (n_books, n_days).

    Attributes
    ----------
    dates
        Of the days, shape (n_days,).
    ranks
        Of profits among scenarios, for margins that have them; `shortfall` and `correct` likewise.
    correct
        Share of books that each test would not reject under a correct model.
    tool_costs
        What each tool adds to the mean of the core, for margins that have tools.
    """

    judgement: Judgement
    against: Comparison | None
    margins: FloatArray
    uncovered: FloatArray
    dates: Sequence[dt.date]
    years: tuple[Disclosure, ...]
    windows: tuple[CrisisWindow, ...]
    ranks: FloatArray | None = None
    shortfall: ShortfallTest | None = None
    correct: Mapping[str, PassRates] | None = None
    tool_costs: Mapping[str, float] | None = None
    savings: tuple[PairSaving, ...] = ()
    limit: LimitCost | None = None


def backtest_table(tests: Sequence[Backtest], width: int) -> Table:
    """Return one row per margin: coverage, tests, cost, rises."""
    judged = [test.judgement for test in tests]
    columns = (
        Column(heading="margin", cells=[each.margin for each in judged], words=True),
        Column(heading="coverage", cells=[_percent(each.coverage, 2) for each in judged]),
        Column(heading="worst book", cells=[_percent(each.least_coverage, 2) for each in judged], importance=2),
        Column(heading="LR_cc ok", cells=[_percent(each.share_not_rejected("conditional")) for each in judged]),
        Column(
            heading="independent",
            cells=[_percent(each.share_not_rejected("independence")) for each in judged],
            importance=4,
        ),
        Column(heading="green", cells=[_percent(each.green, 1) for each in judged], importance=3),
        Column(heading="mean", cells=[_percent(each.mean_margin, 1) for each in judged]),
        Column(heading="5-day rise", cells=[_percent(median_rise(each)) for each in judged], importance=5),
        Column(heading="cost", cells=[_change(test, "mean_change") for test in tests], importance=1),
        Column(heading="score", cells=[_change(test, "score_change") for test in tests], importance=6),
    )
    books, level = len(judged[0].books), judged[0].level
    title = f"{books} books, margin to cover {level:.0%} of days; cost and score against {judged[-1].margin}"
    return table(columns, width, title=title)


def backtest_record(test: Backtest) -> dict[str, Any]:
    """Return a margin's record as plain values that JSON can hold."""
    judged = test.judgement
    return {
        "margin": judged.margin,
        "level": judged.level,
        "coverage": judged.coverage,
        "least_coverage": judged.least_coverage,
        "not_rejected": {
            name: judged.share_not_rejected(name)
            for name in ("unconditional", "independence", "conditional", "too_many")
        },
        "green": judged.green,
        "mean_margin": judged.mean_margin,
        "median_five_day_rise": median_rise(judged),
        "rank_shares": None if test.ranks is None else rank_shares(test.ranks).tolist(),
        "uncovered_mean": float(np.nanmean(test.uncovered)) if np.isfinite(test.uncovered).any() else 0.0,
        "against": None if test.against is None else _comparison(test.against),
        "disclosure": disclosure_records(test.years, test.dates),
        "crises": crisis_records(test.windows),
        "z2": None if test.shortfall is None else shortfall_record(test.shortfall),
        "speed_limit": None if test.limit is None else asdict(test.limit),
        "tool_costs": None if test.tool_costs is None else dict(test.tool_costs),
        "pairs": [{"pair": each.pair, "saving": each.saving, "coverage": each.coverage} for each in test.savings],
        "correct_model": None if test.correct is None else pass_rate_records(test.correct),
        "books": [
            {
                "book": book.name,
                "days": book.days,
                "breaches": book.breaches,
                "coverage": book.coverage,
                "conditional": book.conditional,
                "mean_margin": book.mean_margin,
                "largest_breach": max(book.breach_sizes, default=0.0),
                "largest_rise": book.largest_rise,
                "peak_to_trough": book.peak_to_trough,
            }
            for book in judged.books
        ],
    }


def sensitivity_table(found: Sequence[Sensitivity], method: str, share: float, width: int) -> Table:
    """Return one row per parameter, those that move the requirement most first."""
    rows = sorted(found, key=lambda each: -abs(each.requirement or 0.0))
    columns: tuple[Column, ...] = (
        Column(heading="parameter", cells=[each.parameter for each in rows], words=True),
        Column(heading="is", cells=[f"{each.value:.6g}" for each in rows]),
        Column(heading="moved to", cells=[f"{each.moved:.6g}" for each in rows], importance=2),
        Column(
            heading="requirement",
            cells=["refused" if each.requirement is None else f"{each.requirement:+.2%}" for each in rows],
        ),
    )
    if any(each.coverage is not None for each in rows):
        shown = ["" if each.coverage is None else f"{100.0 * each.coverage:+.3f} pp" for each in rows]
        columns = (*columns, Column(heading="coverage", cells=shown))
    return table(columns, width, title=f"{method}: every parameter moved by {share:.0%}")


def backtest_sections(tests: Sequence[Backtest], names: Sequence[str], profits: FloatArray) -> list[Section]:
    """Return the page's sections: the summary, coverage by book, and margin against loss for a few books."""
    dates = tests[0].dates
    heads = ("margin", "coverage", "worst book", "LR_cc not rejected", "independence not rejected", "green windows",
             "mean margin", "median largest 5-day rise", "left uncovered, mean")  # fmt: skip
    rows = tuple(
        (
            test.judgement.margin,
            _percent(test.judgement.coverage, 2),
            _percent(test.judgement.least_coverage, 2),
            _percent(test.judgement.share_not_rejected("conditional")),
            _percent(test.judgement.share_not_rejected("independence")),
            _percent(test.judgement.green, 1),
            _percent(test.judgement.mean_margin, 2),
            _percent(median_rise(test.judgement)),
            _percent(float(np.nanmean(test.uncovered)), 2),
        )
        for test in tests
    )
    found = [Section(heading="Summary", tables=(DataTable(heads=heads, rows=rows),), figures=(_coverage(tests),))]
    compared = [test for test in tests if test.against is not None]
    found.append(comparison_section([test.judgement for test in tests]))
    if compared:
        found.append(_against(compared, tests[-1].judgement.margin))
    found.append(crisis_section({test.judgement.margin: test.windows for test in tests}))
    found += [_model(test) for test in tests if test.shortfall is not None or test.correct is not None]
    found += [
        _tools(test.judgement.margin, test.tool_costs, test.limit) for test in tests if test.tool_costs is not None
    ]
    if any(test.savings for test in tests):
        found.append(_savings(tests))
    found.append(disclosure_section({test.judgement.margin: test.years for test in tests}, dates))
    found += [_ranks(test.judgement.margin, test.ranks) for test in tests if test.ranks is not None]
    shown = [name for name in _SHOWN if name in names] or list(names[:3])
    found += [Section(heading=name, figures=(_path(tests, list(names).index(name), dates, profits),)) for name in shown]
    return found


def _tools(margin: str, costs: Mapping[str, float], limit: LimitCost | None) -> Section:
    rows = tuple((name, f"{cost:+.1%}") for name, cost in costs.items())
    words = ["What each tool alone, and all together, add to the mean of the core; every book and day with a margin."]
    if limit is not None:
        words.append(
            f"The speed limit binds on {limit.binding:.2%} of book-days and leaves {limit.mean:.3%} of size uncovered on "
            f"average, {limit.median_largest:.0%} at most for the median book and {limit.largest:.0%} for any. Breaches cost "
            f"{limit.loss:.1f} dollars for books of a dollar; {limit.loss_by_limit:.2f} of them, on "
            f"{limit.breaches_by_limit} book-days, are due to it."
        )
    table = DataTable(heads=("tool", "of the core"), rows=rows)
    return Section(heading=f"Cost of the tools of {margin}", words=tuple(words), tables=(table,))


def _savings(tests: Sequence[Backtest]) -> Section:
    rows = tuple(
        (test.judgement.margin, each.pair, _percent(each.saving), _percent(each.coverage, 2))
        for test in tests
        for each in test.savings
    )
    words = ("How far a pair's mean margin lies below the sum of its legs apart, and its own coverage.",)
    table = DataTable(heads=("margin", "pair", "below its legs", "coverage"), rows=rows)
    return Section(heading="Hedged pairs", words=words, tables=(table,))


def _model(test: Backtest) -> Section:
    rows = []
    if test.correct is not None:
        rows += [
            (
                f"books not rejected, {name}",
                _percent(test.judgement.share_not_rejected(name)),
                f"{_percent(rates.mean)} (one in twenty below {_percent(rates.low)})",
            )
            for name, rates in test.correct.items()
        ]
    if test.shortfall is not None:
        found = test.shortfall
        critical = f"{found.critical.min():.2f} to {found.critical.max():.2f}"
        if np.isfinite(found.z1).any():
            rows.append(("Z1, mean of books", f"{np.nanmean(found.z1):.2f}", "0"))
        rows.append(("Z2, mean of books", f"{found.z2.mean():.2f}", "0"))
        if found.z3 is not None:
            rows.append(("Z3, mean of books", f"{np.nanmean(found.z3):.2f}", "0"))
        rows.append((f"books whose Z2 is above its critical value ({critical})", _percent(found.share_above), "95%"))
    heads = ("", test.judgement.margin, "a correct model on the same books")
    return Section(heading=f"Tests of {test.judgement.margin}", tables=(DataTable(heads=heads, rows=tuple(rows)),))


def _against(compared: Sequence[Backtest], other: str) -> Section:
    rows = [
        (
            test.judgement.margin,
            f"{found.mean_change:+.1%}",
            f"{found.hindsight_change:+.1%}",
            f"{found.score_change:+.1%}",
            f"{found.raw_mean_change:+.1%}",
            f"{found.diebold_mariano.statistic:.2f} (p {found.diebold_mariano.p_value:.2g})",
            f"{_percent(found.our_coverage, 2)} / {_percent(found.their_coverage, 2)}",
        )
        for test in compared
        if (found := test.against) is not None
    ]
    heads = (
        "margin",
        "mean, scaled",
        "mean, scaled with hindsight",
        "quantile score",
        "mean, raw",
        "Diebold-Mariano",
        "coverage reached, each",
    )
    return Section(
        heading=f"Against {other}, at equal coverage",
        words=(
            "Each margin is scaled, book by book, to the coverage level on the days before; never on what follows. With "
            "hindsight, over the whole record, coverage is equal exactly.",
        ),
        tables=(DataTable(heads=heads, rows=tuple(rows)),),
    )


def rank_shares(ranks: FloatArray) -> FloatArray:
    """Return the share of ranks in each twentieth, shape (20,): 0.05 each under a correct model.

    Examples
    --------
    >>> rank_shares(np.array([0.01, 0.99]))[[0, 1, -1]].tolist()
    [0.5, 0.0, 0.5]
    """
    counts = np.histogram(ranks[np.isfinite(ranks)], bins=20, range=(0.0, 1.0))[0]
    return np.asarray(counts / max(int(counts.sum()), 1))


def _ranks(margin: str, ranks: FloatArray) -> Section:
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure(layout={"title": {"text": f"{margin}: ranks of what happened"}, "template": "plotly_white"})
    figure.add_bar(x=(np.arange(20) / 20.0 + 0.025).tolist(), y=rank_shares(ranks).tolist(), marker={"color": BLUE})
    figure.add_hline(y=0.05, line={"dash": "dot", "color": GREY})
    figure.update_layout(
        xaxis={"title": {"text": "rank among the scenarios"}}, yaxis={"tickformat": ".1%"}, bargap=0.05
    )
    words = (
        "Where each profit lay among the scenarios of its day, all books together: flat where the model is right.",
    )
    return Section(heading=f"Ranks under {margin}", words=words, figures=(figure,))


def _coverage(tests: Sequence[Backtest]) -> "go.Figure":
    import plotly.graph_objects as go  # slow to load, and seldom needed

    figure = go.Figure(layout={"title": {"text": "coverage of each book"}, "template": "plotly_white"})
    for test, colour in zip(tests, COLOURS, strict=False):
        books = test.judgement.books
        figure.add_scatter(
            x=[book.name for book in books],
            y=[book.coverage for book in books],
            mode="markers",
            name=test.judgement.margin,
            marker={"color": colour},
        )
    figure.add_hline(y=tests[0].judgement.level, line={"dash": "dot", "color": GREY})
    return figure.update_layout(yaxis={"tickformat": ".1%", "title": {"text": "days covered"}})


def _path(tests: Sequence[Backtest], row: int, dates: Sequence[dt.date], profits: FloatArray) -> "go.Figure":
    import plotly.graph_objects as go  # slow to load, and seldom needed

    name = tests[0].judgement.books[row].name
    figure = go.Figure(layout={"title": {"text": f"{name}: margin and loss"}, "template": "plotly_white"})
    loss = -profits[row]
    figure.add_bar(x=list(dates), y=np.maximum(loss, 0.0).tolist(), name="loss", marker={"color": "#bbbbbb"})
    for test, colour in zip(tests, COLOURS, strict=False):
        figure.add_scatter(
            x=list(dates), y=test.margins[row].tolist(), name=test.judgement.margin, line={"color": colour, "width": 1}
        )
    breach = np.flatnonzero(loss > tests[0].margins[row])
    figure.add_scatter(
        x=[dates[int(day)] for day in breach],
        y=loss[breach].tolist(),
        mode="markers",
        name=f"breach of {tests[0].judgement.margin}",
        marker={"color": "#D55E00", "symbol": "x"},
    )
    return figure.update_layout(yaxis={"tickformat": ".0%", "title": {"text": "of size"}}, bargap=0.0)


def _comparison(found: Comparison) -> dict[str, Any]:
    return {
        "mean_change": found.mean_change,
        "hindsight_change": found.hindsight_change,
        "score_change": found.score_change,
        "raw_mean_change": found.raw_mean_change,
        "diebold_mariano": found.diebold_mariano.statistic,
        "p_value": found.diebold_mariano.p_value,
        "coverage": found.our_coverage,
        "their_coverage": found.their_coverage,
    }


def _change(test: Backtest, name: str) -> str:
    return "" if test.against is None else f"{getattr(test.against, name):+.1%}"


def _percent(share: float, digits: int = 0) -> str:
    return f"{share:.{digits}%}"
