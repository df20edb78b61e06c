"""A margin drawn towards its own past level, as far as the past alone allows.

A volatility forecast errs, more so the further it lies from the usual: a margin that follows it only part of the way
covers as many days with less money. Followed too little, breaches cluster. How much of the way, below the level and above
it, and on how many past dates, is chosen anew every quarter: of the candidates whose breaches on the days so far came
rightly timed for nine books in ten, the one that would have covered those days at the least mean margin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray, IntArray
from crossmargin.validation.coverage import conditional_coverage

SHARES = (
    (0.0, 0.0), (0.0, 0.1), (0.0, 0.2), (0.05, 0.05), (0.05, 0.1), (0.05, 0.2), (0.05, 0.3),
    (0.1, 0.1), (0.1, 0.2), (0.1, 0.3), (0.15, 0.15), (0.15, 0.3), (0.2, 0.2), (0.3, 0.3),
)  # fmt: skip
"""Of the level, while the margin lies below it and above it."""
CHOSEN_EVERY = 90
FEWEST_DAYS = 400
"""Days with margin and profit that a book needs to have a say."""
WELL_TIMED = 0.9
"""Share of books for which conditional coverage must not be rejected at 5 %."""
_SIZE = 0.05


def anchored(margins: FloatArray, below: float, above: float) -> FloatArray:
    """Return ``margin**(1 - share) * level**share`` with the geometric mean of the margins so far as `level`.

    Parameters
    ----------
    margins : array of shape (n_books, n_days)
        Known before each day; NaN where there are none.
    below, above
        The share while the margin lies below its level and above it: 0 for the margin itself, 1 for its level.

    Raises
    ------
    InputError
        If a share is not inside [0, 1].

    Examples
    --------
    >>> anchored(np.array([[1.0, 4.0]]), 0.0, 0.5)
    array([[1.        , 2.82842712]])
    """
    if not (0.0 <= below <= 1.0 and 0.0 <= above <= 1.0):
        raise InputError(f"the shares of an anchor must be inside [0, 1], were {below} and {above}")
    known = np.isfinite(margins)
    logs = np.log(np.where(known, margins, 1.0))
    level = np.cumsum(logs, axis=1) / np.maximum(np.cumsum(known, axis=1), 1)
    share = np.where(logs < level, below, above)
    return np.where(known, np.exp((1.0 - share) * logs + share * level), np.nan)


def candidates(margins: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
    """Return each of `margins`, and the geometric mean of all, drawn towards its level by each pair of `SHARES`."""
    mean = np.exp(np.mean([np.log(each) for each in margins], axis=0))
    bases = [*margins, mean] if len(margins) > 1 else list(margins)
    return tuple(anchored(base, *shares) for base in bases for shares in SHARES)


def chosen_candidates(
    offered: Sequence[FloatArray], profits: FloatArray, horizon: int = 1, level: float = 0.99
) -> IntArray:
    """Return the place among `offered` of the margin to ask on each day, shape (n_days,).

    Parameters
    ----------
    offered, profits : arrays of shape (n_books, n_days)
        Profits over `horizon` days from each day on; a choice knows those that were over before it.
    level
        Share of days that every candidate is scaled to cover, book by book, before its mean margin counts.
    """
    found, chosen = np.zeros(profits.shape[1], dtype=np.int64), 0
    for day in range(0, profits.shape[1], CHOSEN_EVERY):
        over = max(day - horizon + 1, 0)
        records = [_record(each[:, :over], profits[:, :over], horizon, level) for each in offered]
        if all(math.isfinite(record.cost) for record in records):
            best = max(record.well_timed for record in records)
            fit = [place for place, record in enumerate(records) if record.well_timed >= min(WELL_TIMED, best)]
            chosen = min(fit, key=lambda place: records[place].cost)
        found[day : day + CHOSEN_EVERY] = chosen
    return found


def anchored_as_chosen(margins: Sequence[FloatArray], profits: FloatArray, horizon: int = 1) -> FloatArray:
    """Return the candidate that each day's own choice asks, made of `margins`, shape as each of them."""
    offered = candidates(margins)
    chosen = chosen_candidates(offered, profits, horizon)
    found = np.full(profits.shape, np.nan)
    for place in np.unique(chosen):
        found[:, chosen == place] = offered[place][:, chosen == place]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """Mean over books of the logarithm of the mean margin that covers exactly, and the share of books well timed."""

    cost: float
    well_timed: float


def _record(margins: FloatArray, profits: FloatArray, horizon: int, level: float) -> _Record:
    costs, timed = [], []
    for asked, made in zip(margins, profits, strict=True):
        known = np.isfinite(asked) & np.isfinite(made)
        if known.sum() >= FEWEST_DAYS:
            used = -made[known] / asked[known]
            costs.append(math.log(float(np.quantile(used, level)) * float(asked[known].mean())))
            apart = known[::horizon]
            breaches = -made[::horizon][apart] > asked[::horizon][apart]
            timed.append(conditional_coverage(breaches, 1.0 - level).p_value > _SIZE)
    return (
        _Record(cost=float(np.mean(costs)), well_timed=float(np.mean(timed)))
        if costs
        else _Record(cost=math.nan, well_timed=math.nan)
    )
