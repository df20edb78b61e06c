"""The measures that a walk-forward test can put side by side, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from crossmargin.margin.brakes import Brakes, Levels, braked, tool_costs
from crossmargin.scenarios.range_forecast import RangeForecastSettings, range_variance_paths
from crossmargin.units import FloatArray
from crossmargin.validation.anchored import anchored_as_chosen
from crossmargin.validation.books import LinearBooks
from crossmargin.validation.buffers import book_buffers
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.stressed import stressed_margins
from crossmargin.validation.walk_forward import (
    TailSettings,
    filtered_forecasts,
    filtered_margins,
    historical_margins,
    summed_returns,
    tail_means,
)

ALL_HISTORY = 100_000
"""More dates than any record has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WalkedMargins:
    """Margins per USD of size, shape (n_books, n_days), known before each day; NaN where there are none.

    Attributes
    ----------
    uncovered
        What a speed limit left uncovered, same shape; zeros without one.
    ranks
        Where each day's profit lay among the scenarios behind the margin, same shape; None where there are none.
    quantiles
        Value at risk at the confidence of the margin's expected shortfall, same shape; None for other margins.
    tail_means
        Mean of each day's forecast quantiles of profit at levels of shape (n_books, n_sets, n_levels), of shape (n_sets,
        n_books, n_days); None where there are no forecasts.
    tool_costs
        What each tool adds to the mean of the core, all books and days together; None without tools.
    """

    name: str
    margins: FloatArray
    uncovered: FloatArray
    ranks: FloatArray | None = None
    quantiles: FloatArray | None = None
    tail_means: Callable[[FloatArray], FloatArray] | None = None
    tool_costs: Mapping[str, float] | None = None


def filtered(books: LinearBooks, bars: DailyBars, horizon: int = 1) -> WalkedMargins:
    """Filtered historical ES 97.5 % on 1,000 whole dates, scaled to the range forecast: the core measure."""
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances)
    settings = TailSettings(horizon=horizon)
    found = filtered_forecasts(books, returns, paths, settings)
    margins = found.shortfall[:, :-1]
    return WalkedMargins(
        name="filtered",
        margins=margins,
        uncovered=np.zeros(margins.shape),
        ranks=found.rank[:, :-1],
        tail_means=lambda levels: tail_means(books, returns, paths, levels, settings)[:, :, :-1],
        quantiles=found.quantile[:, :-1],
    )


def filtered_braked(
    books: LinearBooks, bars: DailyBars, horizon: int = 1, brakes: Brakes | None = None
) -> WalkedMargins:
    """The core measure with floor, calibrated buffers and speed limit."""
    return core_with_tools(books, bars, TailSettings(horizon=horizon), RangeForecastSettings(), brakes or Brakes())


def core_with_tools(
    books: LinearBooks, bars: DailyBars, tail: TailSettings, forecast: RangeForecastSettings, brakes: Brakes
) -> WalkedMargins:
    """Return `filtered_braked` under other settings."""
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances, forecast)
    core = filtered_forecasts(books, returns, paths, tail)
    levels = Levels(
        floor=historical_margins(books, returns, replace(tail, count=ALL_HISTORY))[:, :-1],
        stressed=stressed_margins(books, bars.days_ns, tail.horizon),
        buffers=book_buffers(books, returns, paths),
    )
    found = braked(core.shortfall[:, :-1], brakes, levels)
    return WalkedMargins(
        name="filtered_braked",
        margins=found.requirement,
        uncovered=found.uncovered,
        # the tools stretch the law of the core: its quantile grows with its shortfall
        quantiles=core.quantile[:, :-1] * found.requirement / core.shortfall[:, :-1],
        tool_costs=tool_costs(core.shortfall[:, :-1], brakes, levels),
    )


def filtered_anchored(books: LinearBooks, bars: DailyBars, horizon: int = 1) -> WalkedMargins:
    """The core measure, on 1,000 dates or on all, drawn towards its own past level as far as the past alone allows."""
    returns = bars.returns
    paths = range_variance_paths(returns, bars.variances)
    recent, whole = (
        filtered_margins(books, returns, paths, TailSettings(count=count, horizon=horizon))[:, :-1]
        for count in (TailSettings().count, ALL_HISTORY)
    )
    margins = anchored_as_chosen((recent, whole), books.profits(summed_returns(returns, horizon)), horizon)
    return WalkedMargins(name="filtered_anchored", margins=margins, uncovered=np.zeros(margins.shape))


def historical(books: LinearBooks, bars: DailyBars, horizon: int = 1) -> WalkedMargins:
    """Historical ES 97.5 % of the last 500 dates."""
    return _plain("historical", historical_margins(books, bars.returns, TailSettings(count=500, horizon=horizon)))


def historical_floored(books: LinearBooks, bars: DailyBars, horizon: int = 1) -> WalkedMargins:
    """Historical ES 97.5 % of the last 500 dates, not below that of all dates so far."""
    recent = historical_margins(books, bars.returns, TailSettings(count=500, horizon=horizon))
    whole = historical_margins(books, bars.returns, TailSettings(count=ALL_HISTORY, horizon=horizon))
    return _plain("historical_floored", np.fmax(recent, whole))


Measure = Callable[[LinearBooks, DailyBars, int], WalkedMargins]
MEASURES: dict[str, Measure] = {
    "filtered": filtered,
    "filtered_braked": filtered_braked,
    "filtered_anchored": filtered_anchored,
    "historical": historical,
    "historical_floored": historical_floored,
}
"""Measures that are computed for all books and days at once, over a horizon in days."""


def measures(brakes: Brakes) -> Mapping[str, Measure]:
    """Return `MEASURES` with these tools."""
    return MEASURES | {"filtered_braked": partial(filtered_braked, brakes=brakes)}


def _plain(name: str, margins: FloatArray) -> WalkedMargins:
    return WalkedMargins(name=name, margins=margins[:, :-1], uncovered=np.zeros(margins[:, :-1].shape))
