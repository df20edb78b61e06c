"""A margin drawn towards its own past level, by a share that the past alone chooses.

A volatility forecast errs, more so the further it lies from the usual: a margin that follows it only part of the way
covers as many days with less money. How much of the way is chosen anew every quarter: the share under which the days so
far would have been covered, book by book, at the least mean margin.
"""

import numpy as np

from crossmargin.errors import InputError
from crossmargin.units import FloatArray

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4)
CHOSEN_EVERY = 90
FEWEST_DAYS = 400
"""Days with margin and profit that a book needs to have a say."""


def anchored(margins: FloatArray, share: float) -> FloatArray:
    """Return ``margin**(1 - share) * level**share`` with the geometric mean of the margins so far as `level`.

    Parameters
    ----------
    margins : array of shape (n_books, n_days)
        Known before each day; NaN where there are none.
    share
        Between 0, the margin itself, and 1, its past level.

    Raises
    ------
    InputError
        If `share` is not inside [0, 1].

    Examples
    --------
    >>> anchored(np.array([[1.0, 4.0]]), 0.5)
    array([[1.        , 2.82842712]])
    """
    if not 0.0 <= share <= 1.0:
        raise InputError(f"the share of an anchor must be inside [0, 1], was {share}")
    known = np.isfinite(margins)
    logs = np.log(np.where(known, margins, 1.0))
    level = np.cumsum(logs, axis=1) / np.maximum(np.cumsum(known, axis=1), 1)
    return np.where(known, np.exp((1.0 - share) * logs + share * level), np.nan)


def chosen_anchors(
    margins: FloatArray, profits: FloatArray, horizon: int = 1, level: float = 0.99, shares: tuple[float, ...] = SHARES
) -> FloatArray:
    """Return the share of the anchor for each day, shape (n_days,), from the profits that were over before it.

    Parameters
    ----------
    margins, profits : arrays of shape (n_books, n_days)
        Profits over `horizon` days from each day on.
    level
        Share of days that every candidate is scaled to cover, book by book, before its mean margin counts.
    """
    candidates = {share: anchored(margins, share) for share in shares}
    found, chosen = np.zeros(margins.shape[1]), 0.0
    for day in range(margins.shape[1]):
        if day % CHOSEN_EVERY == 0:
            over = max(day - horizon + 1, 0)
            costs = {share: _cost(each[:, :over], profits[:, :over], level) for share, each in candidates.items()}
            if all(np.isfinite(cost) for cost in costs.values()):
                chosen = min(costs, key=lambda share: costs[share])
        found[day] = chosen
    return found


def anchored_as_chosen(margins: FloatArray, profits: FloatArray, horizon: int = 1) -> FloatArray:
    """Return the margins drawn by each day's own choice, shape as `margins`."""
    chosen = chosen_anchors(margins, profits, horizon)
    found = np.full(margins.shape, np.nan)
    for share in np.unique(chosen):
        days = chosen == share
        found[:, days] = anchored(margins, float(share))[:, days]
    return found


def _cost(margins: FloatArray, profits: FloatArray, level: float) -> float:
    """Mean over books of the logarithm of the mean margin that covers `level` exactly; NaN without a book."""
    costs = []
    for asked, made in zip(margins, profits, strict=True):
        known = np.isfinite(asked) & np.isfinite(made)
        if known.sum() >= FEWEST_DAYS:
            scale = np.quantile(-made[known] / asked[known], level)
            costs.append(np.log(scale * asked[known].mean()))
    return float(np.mean(costs)) if costs else float("nan")
