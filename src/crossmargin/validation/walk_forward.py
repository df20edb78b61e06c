"""Margin of many linear books day by day, each from the days before it alone.

`filtered_margins` scales whole past dates to the day's volatility forecast (filtered historical simulation);
`historical_margins` takes them as they were. Element t of every answer uses days before t only: poisoning day t and all
that follow changes nothing, and a test does so.
"""

from dataclasses import dataclass

import numpy as np

from crossmargin.compilation import kernel
from crossmargin.elementary import exponential
from crossmargin.errors import InputError
from crossmargin.risk.kernels import tail_and_worst, tail_shape
from crossmargin.scenarios.filtered import largest_moves
from crossmargin.units import BoolArray, FloatArray, IntArray
from crossmargin.validation.books import LinearBooks

_NONE = -1.0
"""In the place of a level that is none: the compiler may assume that no NaN is about."""
_UNKNOWN = 0.0
"""In the place of a coin's deviation on a day without a forecast, for the same reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailSettings:
    """Which tail of how many dates.

    Attributes
    ----------
    confidence
        Of the expected shortfall.
    count
        Newest complete dates to use.
    least
        Dates without which a book has no margin yet.
    horizon
        Days that a position is held.
    """

    confidence: float = 0.975
    count: int = 1_000
    least: int = 250
    horizon: int = 1

    def __post_init__(self) -> None:
        if not (0.5 < self.confidence < 1.0 and 2 <= self.least <= self.count and self.horizon >= 1):
            raise InputError(
                "confidence inside (0.5, 1), 2 <= least <= count and horizon >= 1 must hold, were "
                f"{self.confidence}, {self.least}, {self.count}, {self.horizon}"
            )


def filtered_margins(
    books: LinearBooks, returns: FloatArray, variance_paths: FloatArray, settings: TailSettings | None = None
) -> FloatArray:
    """Return the expected shortfall of each book for each day, and the day after the last.

    Parameters
    ----------
    returns : array of shape (n_coins, n_days)
        Daily log returns, NaN where not listed.
    variance_paths : array of shape (n_coins, n_days + 1)
        Variance forecasts per day; element t from days before t.

    Returns
    -------
    array of shape (n_books, n_days + 1)
        Margin over `horizon` days per USD of size; NaN until there are `least` dates. For several days, past returns
        over as many days are scaled by the root of the horizon times the forecast at their start. No scaled move goes
        beyond `largest_moves`.

    Raises
    ------
    InputError
        If the shapes do not fit.
    """
    return _rescaled(books, returns, variance_paths, settings or TailSettings(), with_ranks=False).shortfall


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """What the tail of each book was for each day, arrays of shape (n_books, n_days + 1); NaN where there is none.

    Attributes
    ----------
    shortfall, quantile
        Expected shortfall and value at risk, both at the confidence of the settings.
    rank
        Share of the day's scenarios at or below what the book then made: uniform under a correct model.
    """

    shortfall: FloatArray
    quantile: FloatArray
    rank: FloatArray


def filtered_forecasts(
    books: LinearBooks, returns: FloatArray, variance_paths: FloatArray, settings: TailSettings | None = None
) -> Forecasts:
    """Return `filtered_margins` with the quantile beside it, and where what happened lay among the scenarios."""
    return _rescaled(books, returns, variance_paths, settings or TailSettings(), with_ranks=True)


def tail_means(
    books: LinearBooks,
    returns: FloatArray,
    variance_paths: FloatArray,
    levels: FloatArray,
    settings: TailSettings | None = None,
) -> FloatArray:
    """Return the mean of each day's quantiles of profit at `levels`, under the forecasts of `filtered_forecasts`.

    Parameters
    ----------
    levels : array of shape (n_books, n_sets, n_levels)
        Inside (0, 1); NaN fills up a set that has fewer.

    Returns
    -------
    array of shape (n_sets, n_books, n_days + 1)
    """
    chosen = settings or TailSettings()
    deviations = np.sqrt(variance_paths * chosen.horizon)
    moved = summed_returns(returns, chosen.horizon)
    return _walked(books, moved, deviations, chosen, np.empty((0, 0)), np.nan_to_num(levels, nan=_NONE))


def _rescaled(
    books: LinearBooks, returns: FloatArray, variance_paths: FloatArray, settings: TailSettings, *, with_ranks: bool
) -> Forecasts:
    if variance_paths.shape != (returns.shape[0], returns.shape[1] + 1):
        raise InputError(f"variance paths must have one day more than returns {returns.shape}")
    deviations = np.sqrt(variance_paths * settings.horizon)
    moved = summed_returns(returns, settings.horizon)
    return _forecasts(books, moved, deviations, settings, books.profits(moved) if with_ranks else np.empty((0, 0)))


def historical_margins(books: LinearBooks, returns: FloatArray, settings: TailSettings | None = None) -> FloatArray:
    """Return `filtered_margins` without scaling: past moves as they were."""
    chosen = settings or TailSettings()
    moved = summed_returns(returns, chosen.horizon)
    as_they_were = np.ones((returns.shape[0], returns.shape[1] + 1))
    return _forecasts(books, moved, as_they_were, chosen, np.empty((0, 0))).shortfall


def summed_returns(returns: FloatArray, horizon: int) -> FloatArray:
    """Return the log return over `horizon` days from each day on, shape as `returns`; NaN where not all are known."""
    if horizon == 1:
        return returns
    summed = np.full(returns.shape, np.nan)
    window = np.lib.stride_tricks.sliding_window_view(returns, horizon, axis=1)
    summed[:, : window.shape[1]] = window.sum(axis=2)
    return summed


def _forecasts(
    books: LinearBooks, moved: FloatArray, deviations: FloatArray, settings: TailSettings, profits: FloatArray
) -> Forecasts:
    out = _walked(books, moved, deviations, settings, profits, np.empty((0, 0, 0)))
    return Forecasts(shortfall=out[0], quantile=out[1], rank=out[2])


def _walked(
    books: LinearBooks,
    moved: FloatArray,
    deviations: FloatArray,
    settings: TailSettings,
    profits: FloatArray,
    levels: FloatArray,
) -> FloatArray:
    """Return shortfall, quantile and rank of every book and day, or its means at `levels` where there are some."""
    shapes = moved / deviations[:, :-1]
    n_days = shapes.shape[1]
    ends = np.pad(profits, ((0, 0), (0, 1)), constant_values=np.nan) if profits.size else profits
    out = np.full((levels.shape[1] if levels.size else 3, len(books.names), n_days + 1), np.nan)
    known = np.isfinite(shapes)
    held = books.held
    # dates on which every coin of a book has a shape
    complete = ~((held.astype(np.float64) @ ~known) > 0.0)
    starts = np.concatenate([[0], np.cumsum(held.sum(axis=1))])
    coins = np.concatenate([np.flatnonzero(row) for row in held])
    weights = np.concatenate([row[row != 0.0] for row in books.weights])
    filled = np.ascontiguousarray(np.where(known, shapes, 0.0))
    count = min(settings.count, n_days)
    whole = {n: tail_shape(n, settings.confidence) for n in range(settings.least, count + 1)}
    tails = np.array([whole.get(n, (1.0, 0, 0.0)) for n in range(count + 1)])
    _walk(
        starts, coins, weights, filled, np.nan_to_num(deviations, nan=_UNKNOWN), largest_moves(moved, settings.horizon),
        complete, settings.least, count, settings.horizon, tails, np.nan_to_num(ends), levels, out,
    )  # fmt: skip
    if profits.size:
        out[2][np.isnan(ends)] = np.nan
    return out


@kernel
def _walk(
    starts: IntArray,
    coins: IntArray,
    weights: FloatArray,
    shapes: FloatArray,
    deviations: FloatArray,
    largest: FloatArray,
    complete: BoolArray,
    least: int,
    count: int,
    horizon: int,
    tails: FloatArray,
    ends: FloatArray,
    levels: FloatArray,
    out: FloatArray,
) -> None:
    n_coins, n_days = shapes.shape
    moves = np.empty((n_coins, n_days))
    values, scratch = np.empty(count), np.empty(count + 64)
    for day in range(least, n_days + 1):
        # a move over several days is known once its last day is over
        last = day - horizon
        begin = max(last + 1 - count - count // 2, 0)
        for i in range(n_coins):
            vol = deviations[i, day]
            if vol > _UNKNOWN and last >= begin:
                part, row = shapes[i, begin : last + 1], moves[i, begin : last + 1]
                for k in range(part.size):
                    row[k] = exponential(min(max(part[k] * vol, largest[0, day]), largest[1, day])) - 1.0
        for b in range(starts.size - 1):
            known = True
            for j in range(starts[b], starts[b + 1]):
                known = known and deviations[coins[j], day] > _UNKNOWN
            if not known:
                continue
            n = _scenarios(
                coins[starts[b] : starts[b + 1]],
                weights[starts[b] : starts[b + 1]],
                moves,
                complete[b],
                begin,
                last,
                values,
            )
            if n >= least and levels.size:
                _write_means(np.sort(values[:n]), levels[b], out[:, b, day])
            elif n >= least:
                tail, whole, normal = tails[n, 0], int(tails[n, 1]), tails[n, 2]
                out[0, b, day] = tail_and_worst(values[:n], tail, whole, normal, scratch)[0]
                if ends.size:
                    out[1, b, day] = -np.partition(values[:n], whole)[whole]
                    out[2, b, day] = _rank(values[:n], ends[b, day])


@kernel
def _scenarios(
    coins: IntArray,
    weights: FloatArray,
    moves: FloatArray,
    complete: BoolArray,
    begin: int,
    last: int,
    values: FloatArray,
) -> int:
    """Fill `values` with a book's profit on its newest complete dates and return how many there are."""
    n, k = 0, last
    while k >= begin and n < values.size:
        if complete[k]:
            total = 0.0
            for j in range(coins.size):
                total = total + weights[j] * moves[coins[j], k]
            values[n] = total
            n += 1
        k -= 1
    return n


@kernel
def _write_means(ordered: FloatArray, levels: FloatArray, out: FloatArray) -> None:
    for kind in range(levels.shape[0]):
        if levels[kind, 0] > _NONE:
            out[kind] = _mean_quantile(ordered, levels[kind])


@kernel
def _mean_quantile(ordered: FloatArray, levels: FloatArray) -> float:
    """Mean of the quantiles at `levels` up to the first that is none, each between the two nearest of `ordered`."""
    total, count = 0.0, 0
    for level in levels:
        if level == _NONE:
            break
        at = level * (ordered.size - 1)
        k = min(int(at), ordered.size - 2)
        total += ordered[k] + (at - k) * (ordered[k + 1] - ordered[k])
        count += 1
    return total / count


@kernel
def _rank(values: FloatArray, end: float) -> float:
    """Share of `values` at or below `end`, inside (0, 1)."""
    return (np.sum(values <= end) + 0.5) / (values.size + 1.0)
