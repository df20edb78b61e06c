"""What a clearing house publishes of its margin, year by year, and coverage inside the named crises.

The figures are those of backtesting in the public quantitative disclosure standards for central counterparties
(CPMI-IOSCO, February 2015, section 6.5): how often margin held against any account fell below what it then lost, of how
many observations, the coverage reached, the peak and the average of what was uncovered; and 6.8, the largest aggregate call
for initial margin of any day.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.crises import CRISES
from crossmargin.units import NANOSECONDS_PER_DAY, FloatArray, IntArray
from crossmargin.validation.coverage import (
    acerbi_szekely_z1,
    acerbi_szekely_z2,
    acerbi_szekely_z3,
    joint_score,
    z2_critical_value,
    z3_levels,
)
from crossmargin.validation.judgement import largest_rise

YEAR = 365
_AROUND = 7
"""Days to either side of the middle of a crisis that are looked at."""
_Z2_DEGREES = 4.0
"""Student's t that critical values of Z2 are simulated under, as fat as daily crypto returns once volatility is taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """Twelve months of one margin over all books; amounts per USD of a book's size.

    Attributes
    ----------
    first, last
        Places of the days.
    below
        Times that margin fell below the loss (6.5.1).
    observations
        Books times periods (6.5.2).
    peak, average
        Uncovered exposure of the breaches (6.5.4, 6.5.5); 0 without one.
    largest_call
        Largest increase of all margins together from one day to the next (6.8.1), per USD of all books.
    """

    first: int
    last: int
    below: int
    observations: int
    peak: float
    average: float
    largest_call: float

    @property
    def coverage(self) -> float:
        """Share of observations that margin covered (6.5.3); NaN without any."""
        return 1.0 - self.below / self.observations if self.observations else math.nan


def disclosures(margins: FloatArray, profits: FloatArray, horizon: int = 1) -> tuple[Disclosure, ...]:
    """Return twelve months after twelve months, the last ones ending with the record; an incomplete year comes first.

    Parameters
    ----------
    margins, profits : arrays of shape (n_books, n_days)
        Profit over `horizon` days; periods do not overlap.

    Examples
    --------
    >>> found = disclosures(np.array([[1.0, 1.0, 2.0]]), np.array([[-0.5, -1.5, 1.0]]))[0]
    >>> found.below, found.observations, found.peak, found.largest_call
    (1, 3, 0.5, 1.0)
    """
    if margins.shape != profits.shape:
        raise InputError(f"margins and profits must have one shape, were {margins.shape} and {profits.shape}")
    n_days = margins.shape[1]
    ends = range(n_days, 0, -YEAR)
    found = [_year(margins, profits, max(end - YEAR, 0), end, horizon) for end in ends]
    return tuple(year for year in reversed(found) if year.observations)


def _year(margins: FloatArray, profits: FloatArray, first: int, end: int, horizon: int) -> Disclosure:
    # periods keep the places that they have in the whole record
    places = np.arange(first + (-first) % horizon, end, horizon)
    asked, loss = margins[:, places], -profits[:, places]
    known = np.isfinite(asked) & np.isfinite(loss)
    uncovered = (loss - asked)[known & (loss > asked)]
    rises = np.diff(margins[:, first:end], axis=1)
    calls = np.nanmean(np.where(np.isfinite(rises).any(axis=0), rises, 0.0), axis=0) if end - first > 1 else np.zeros(1)
    return Disclosure(
        first=first,
        last=end - 1,
        below=uncovered.size,
        observations=int(known.sum()),
        peak=float(uncovered.max()) if uncovered.size else 0.0,
        average=float(uncovered.mean()) if uncovered.size else 0.0,
        largest_call=max(float(calls.max()), 0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CrisisWindow:
    """Coverage in the days around a crisis, all books together.

    Attributes
    ----------
    median_rise
        The median book's largest five-day rise of what was wanted before a speed limit, of the books with a margin on
        every day; NaN without one.
    """

    crisis: str
    breaches: int
    observations: int
    median_rise: float

    @property
    def coverage(self) -> float:
        """Share of book-days that margin covered."""
        return 1.0 - self.breaches / self.observations


def crisis_windows(
    margins: FloatArray, profits: FloatArray, days_ns: IntArray, uncovered: FloatArray | None = None
) -> tuple[CrisisWindow, ...]:
    """Return coverage in the fifteen days around the middle of each named crisis that the record holds.

    Parameters
    ----------
    margins, profits : arrays of shape (n_books, n_days)
    days_ns : array of shape (n_days,)
        Ends of the days.
    uncovered : array of the shape of `margins`, optional
        What a speed limit took from them.
    """
    found, wanted = [], margins if uncovered is None else margins + uncovered
    for crisis in CRISES:
        first, last = (np.datetime64(day, "D").astype(np.int64) for day in (crisis.first, crisis.last))
        dates = days_ns // NANOSECONDS_PER_DAY - 1  # a day ends at the next one's midnight
        inside = np.abs(dates - (first + last) // 2) <= _AROUND
        asked, loss = margins[:, inside], -profits[:, inside]
        known = np.isfinite(asked) & np.isfinite(loss)
        if inside.sum() == 2 * _AROUND + 1 and known.any():
            found.append(
                CrisisWindow(
                    crisis=crisis.name,
                    breaches=int((loss > asked)[known].sum()),
                    observations=int(known.sum()),
                    median_rise=_median_rise(wanted[:, inside]),
                )
            )
    return tuple(found)


def _median_rise(wanted: FloatArray) -> float:
    rises = [largest_rise(row) for row in wanted if np.isfinite(row).all()]
    return float(np.median(rises)) if rises else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitCost:
    """What a speed limit left uncovered, per USD of a book's size.

    Attributes
    ----------
    binding
        Share of book-days on which it held a margin back.
    mean
        Left uncovered, over all book-days.
    median_largest, largest
        The most that it left uncovered on a day: of the median book, and of any.
    loss
        Beyond the margin, all breaches together.
    loss_by_limit, breaches_by_limit
        Of these, what the margin would have covered without the limit, and on how many book-days there was any.
    """

    binding: float
    mean: float
    median_largest: float
    largest: float
    loss: float
    loss_by_limit: float
    breaches_by_limit: int


def limit_cost(margins: FloatArray, uncovered: FloatArray, profits: FloatArray) -> LimitCost:
    """Return what a speed limit cost those who carry what it leaves uncovered; arrays of shape (n_books, n_days)."""
    known = np.isfinite(margins) & np.isfinite(profits)
    held_back = np.where(known, uncovered, 0.0)
    beyond = np.maximum(np.where(known, -profits - margins, 0.0), 0.0)
    by_limit = np.minimum(beyond, held_back)
    largest = held_back.max(axis=1)
    return LimitCost(
        binding=float((held_back > 0.0).sum() / known.sum()),
        mean=float(held_back.sum() / known.sum()),
        median_largest=float(np.median(largest)),
        largest=float(largest.max()),
        loss=float(beyond.sum()),
        loss_by_limit=float(by_limit.sum()),
        breaches_by_limit=int((by_limit > 0.0).sum()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortfallTest:
    """Acerbi & Szekely's tests of every book, and the score of its quantile and shortfall together, shape (n_books,).

    Attributes
    ----------
    z1
        Sizes of breaches alone; NaN without one.
    z2, critical
        Number and sizes of breaches, and what a correct model's falls below in one simulation out of twenty.
    score
        Mean of Fissler & Ziegel's joint score; lower is better, and only differences on the same days mean something.
    z3
        Ranks of all profits within their forecasts; None without forecasts.
    """

    z1: FloatArray
    z2: FloatArray
    critical: FloatArray
    score: FloatArray
    z3: FloatArray | None = None

    @property
    def share_above(self) -> float:
        """Share of books whose Z2 is not below the critical value: not rejected."""
        return float(np.mean(self.z2 >= self.critical))


def shortfall_test(
    margins: FloatArray, quantiles: FloatArray, profits: FloatArray, p: float, *, draws: int = 5_000
) -> ShortfallTest:
    """Return the tests of margins that are expected shortfalls, with 5 % critical values simulated for each book's periods.

    Parameters
    ----------
    margins, quantiles, profits : arrays of shape (n_books, n_periods)
        Expected shortfall and value at risk at the tail `p`, and what happened.
    """
    z1, z2, scores, periods = [], [], [], []
    for margin, quantile, profit in zip(margins, quantiles, profits, strict=True):
        known = np.isfinite(margin) & np.isfinite(quantile) & np.isfinite(profit)
        made, at_risk, shortfall = profit[known], quantile[known], margin[known]
        z1.append(acerbi_szekely_z1(made, at_risk, shortfall) if (made < -at_risk).any() else math.nan)
        z2.append(acerbi_szekely_z2(made, at_risk, shortfall, p))
        scores.append(float(joint_score(made, at_risk, shortfall, p).mean()))
        periods.append(made.size)
    return ShortfallTest(
        z1=np.array(z1), z2=np.array(z2), critical=_critical(periods, p, draws), score=np.array(scores)
    )


def z3_test(ranks: FloatArray, means_at: Callable[[FloatArray], FloatArray], p: float) -> FloatArray:
    """Return Acerbi & Szekely's Z3 of every book, NaN without a rank.

    Parameters
    ----------
    ranks : array of shape (n_books, n_periods)
        Where each profit lay within its forecast; NaN where unknown.
    means_at
        Gives the mean of each period's forecast quantiles, shape (2, n_books, n_periods), at levels of shape (n_books, 2,
        n_levels), NaN beyond a book's last.
    """
    known = np.isfinite(ranks)
    asked = [
        z3_levels(row[each], p) if each.any() else np.empty((2, 0)) for row, each in zip(ranks, known, strict=True)
    ]
    levels = np.full((len(asked), 2, max(each.shape[1] for each in asked)), np.nan)
    for row, each in zip(levels, asked, strict=True):
        row[:, : each.shape[1]] = each
    realised, expected = means_at(levels)
    return np.array(
        [
            acerbi_szekely_z3(made[each], due[each]) if each.any() else math.nan
            for made, due, each in zip(realised, expected, known, strict=True)
        ]
    )


def _critical(periods: Sequence[int], p: float, draws: int) -> FloatArray:
    values = {each: z2_critical_value(each, p, degrees=_Z2_DEGREES, draws=draws) for each in set(periods)}
    return np.array([values[each] for each in periods])
