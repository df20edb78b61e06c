"""How a margin did: coverage, its tests, sizes of breaches, rises, cost; and two margins compared at equal coverage."""

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray
from crossmargin.validation.coverage import (
    TestResult,
    christoffersen_independence,
    conditional_coverage,
    diebold_mariano,
    kupiec,
    quantile_score,
    too_many_breaches,
    traffic_light,
)

WINDOW = 365
"""Days of a traffic-light window: crypto trades every one."""
FEWEST_PERIODS = 30
"""Without which a book is not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BookJudgement:
    """One book's record; probabilities are p-values, amounts per USD of size.

    Attributes
    ----------
    breach_sizes
        Loss over margin of each breach.
    green_windows, windows
        365-day windows that end on different days, and those of them in Basel's green zone.
    largest_rise
        Over five days, relative.
    peak_to_trough
        Highest over lowest margin within any 365 days.
    """

    name: str
    days: int
    breaches: int
    unconditional: float
    independence: float
    conditional: float
    too_many: float
    breach_sizes: tuple[float, ...]
    green_windows: int
    windows: int
    mean_margin: float
    largest_rise: float
    peak_to_trough: float

    @property
    def coverage(self) -> float:
        """Share of days on which the margin covered the loss."""
        return 1.0 - self.breaches / self.days


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The record of every book under one margin."""

    margin: str
    level: float
    books: tuple[BookJudgement, ...]

    @property
    def coverage(self) -> float:
        """Pooled over books and days."""
        return 1.0 - sum(book.breaches for book in self.books) / sum(book.days for book in self.books)

    @property
    def least_coverage(self) -> float:
        """Of the worst book."""
        return min(book.coverage for book in self.books)

    def share_not_rejected(self, test: str, size: float = 0.05) -> float:
        """Return the share of books that `test` does not reject at `size`.

        `test` is unconditional, independence, conditional or too_many.
        """
        return float(np.mean([getattr(book, test) > size for book in self.books]))

    @property
    def green(self) -> float:
        """Share of all windows in the green zone."""
        return sum(book.green_windows for book in self.books) / max(sum(book.windows for book in self.books), 1)

    @property
    def mean_margin(self) -> float:
        """Average over books."""
        return float(np.mean([book.mean_margin for book in self.books]))


def judged(
    name: str,
    names: tuple[str, ...],
    margins: FloatArray,
    profits: FloatArray,
    level: float = 0.99,
    *,
    horizon: int = 1,
) -> Judgement:
    """Return the record of `margins` against `profits`.

    Parameters
    ----------
    margins, profits : arrays of shape (n_books, n_days)
        Margin known before the day and profit over `horizon` days from it on, NaN where either is missing; such days do
        not count.
    level
        Share of periods that the margin is to cover.
    horizon
        Days of a period. Periods do not overlap; what margins cost and how they rise is taken from every day.

    Raises
    ------
    InputError
        If the shapes differ or a book has fewer than 30 periods.
    """
    if margins.shape != profits.shape or margins.shape[0] != len(names):
        raise InputError(f"margins and profits must have one shape, were {margins.shape} and {profits.shape}")
    books = [
        _book(book, margin, profit, level, horizon)
        for book, margin, profit in zip(names, margins, profits, strict=True)
    ]
    return Judgement(margin=name, level=level, books=tuple(books))


def _book(name: str, margin: FloatArray, profit: FloatArray, level: float, horizon: int) -> BookJudgement:
    daily = margin[np.isfinite(margin) & np.isfinite(profit)]
    known = (np.isfinite(margin) & np.isfinite(profit))[::horizon]
    asked, loss = margin[::horizon][known], -profit[::horizon][known]
    if asked.size < FEWEST_PERIODS:
        raise InputError(
            f"a book needs {FEWEST_PERIODS} periods with margin and profit to be judged, {name} has {asked.size}"
        )
    breach, p = loss > asked, 1.0 - level
    count, window = int(breach.sum()), WINDOW // horizon
    light = traffic_light(min(window, asked.size), p)
    sums = np.concatenate([[0], np.cumsum(breach)])
    in_window = sums[window:] - sums[:-window] if asked.size >= window else sums[-1:]
    return BookJudgement(
        name=name,
        days=asked.size,
        breaches=count,
        unconditional=kupiec(count, asked.size, p).p_value,
        independence=christoffersen_independence(breach).p_value,
        conditional=conditional_coverage(breach, p).p_value,
        too_many=too_many_breaches(count, asked.size, p),
        breach_sizes=tuple(float(size) for size in loss[breach] / asked[breach]),
        green_windows=sum(light.zone(int(each)) == "green" for each in in_window),
        windows=in_window.size,
        mean_margin=float(daily.mean()),
        largest_rise=largest_rise(daily),
        peak_to_trough=_peak_to_trough(daily),
    )


def largest_rise(margin: FloatArray, days: int = 5) -> float:
    """Return the largest relative increase over up to `days` days.

    Examples
    --------
    >>> round(largest_rise(np.array([1.0, 0.8, 0.9, 1.2, 1.1])), 12)
    0.5
    """
    rise = 0.0
    for gap in range(1, min(days, margin.size - 1) + 1):
        rise = max(rise, float((margin[gap:] / margin[:-gap]).max()) - 1.0)
    return rise


def _peak_to_trough(margin: FloatArray) -> float:
    if margin.size <= WINDOW:
        return float(margin.max() / margin.min())
    windows = np.lib.stride_tricks.sliding_window_view(margin, WINDOW)
    return float((windows.max(axis=1) / windows.min(axis=1)).max())


def scaled_to_coverage(margins: FloatArray, profits: FloatArray, level: float, least: int = 365) -> FloatArray:
    """Return margins times the factor at which the days before would have been covered in a share `level`.

    The factor of a day comes from days before it only, anew every 30 days, and is NaN until there are `least` of them.
    """
    found = np.full(margins.shape, np.nan)
    for row in range(margins.shape[0]):
        used = -profits[row] / margins[row]
        factor = np.nan
        for day in range(margins.shape[1]):
            if day % 30 == 0:
                past = used[:day][np.isfinite(used[:day])]
                factor = float(np.quantile(past, level)) if past.size >= least else np.nan
            found[row, day] = factor * margins[row, day]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Our margin against another at equal coverage; negative changes favour ours.

    `hindsight_change` is that of mean margins scaled to exactly the level in every book over the whole record: no forecast,
    but free of a difference in coverage.
    """

    mean_change: float
    hindsight_change: float
    score_change: float
    raw_mean_change: float
    diebold_mariano: TestResult
    our_coverage: float
    their_coverage: float


def compared(ours: FloatArray, theirs: FloatArray, profits: FloatArray, level: float = 0.99) -> Comparison | None:
    """Return cost and quantile score of `ours` against `theirs`, each scaled to coverage on the days before.

    None if no book has a year of scaled margins: the first year only sets the scale.

    All arrays have shape (n_books, n_days). Changes are averages over books; the Diebold-Mariano test is of the daily
    average over books of score differences, each over its book's mean margin.
    """
    mine, other = (scaled_to_coverage(margins, profits, level) for margins in (ours, theirs))
    known = np.isfinite(mine) & np.isfinite(other) & np.isfinite(profits)
    mine, other = np.where(known, mine, np.nan), np.where(known, other, np.nan)
    p = 1.0 - level
    scores = [np.where(known, quantile_score(profits, margins, p), np.nan) for margins in (mine, other)]
    kept = known.sum(axis=1) >= WINDOW
    if not kept.any():
        return None
    size = np.nanmean(other[kept], axis=1)
    daily = [np.nanmean((score[kept] / size[:, None])[:, known[kept].any(axis=0)], axis=0) for score in scores]
    both = np.isfinite(ours) & np.isfinite(theirs)
    raw = np.array([ours[b][both[b]].mean() / theirs[b][both[b]].mean() for b in range(len(ours)) if both[b].any()])
    return Comparison(
        mean_change=float(np.mean(np.nanmean(mine[kept], axis=1) / size) - 1.0),
        hindsight_change=_hindsight_change(ours, theirs, profits, level),
        score_change=float(np.mean(np.nanmean(scores[0][kept], axis=1) / np.nanmean(scores[1][kept], axis=1)) - 1.0),
        raw_mean_change=float(raw.mean() - 1.0),
        diebold_mariano=diebold_mariano(*daily),
        our_coverage=1.0 - float((-profits > mine)[known].mean()),
        their_coverage=1.0 - float((-profits > other)[known].mean()),
    )


def _hindsight_change(ours: FloatArray, theirs: FloatArray, profits: FloatArray, level: float) -> float:
    changes = []
    for mine, other, made in zip(ours, theirs, profits, strict=True):
        known = np.isfinite(mine) & np.isfinite(other) & np.isfinite(made)
        if known.sum() >= WINDOW:
            means = [np.quantile(-made[known] / each[known], level) * each[known].mean() for each in (mine, other)]
            changes.append(means[0] / means[1] - 1.0)
    return float(np.mean(changes))
