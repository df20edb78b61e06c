"""What a correct model would score in the same tests on the same books.

Tests reject some books of a perfect model too, and books share their bad days, so that how many are rejected varies far
more than for books that had nothing in common. Judged beside it, a share of books that pass means something.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from crossmargin.errors import InputError
from crossmargin.units import BoolArray, FloatArray
from crossmargin.validation.coverage import christoffersen_independence, kupiec

_JOINT_LIMIT = -2.0 * math.log(0.05)
"""What chi-squared with two degrees of freedom exceeds in 5 of 100 cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassRates:
    """Share of books that a test of 5 % does not reject: mean over drawn histories, and their 5 % quantile."""

    mean: float
    low: float


def correct_model_rates(ranks: FloatArray, p: float, *, draws: int = 100, seed: int = 0) -> dict[str, PassRates]:
    """Return the pass rates of a model whose breaches are independent over days, of probability `p`, for these books.

    Parameters
    ----------
    ranks : array of shape (n_books, n_days)
        Where each day's profit lay among the day's scenarios, NaN where there was no forecast. Whole days are drawn
        anew with replacement, which keeps what the books have in common; each book's ranks are made uniform first, which
        makes its model correct.
    p
        Share of days that the model lets through.

    Returns
    -------
    dict
        By test: unconditional, independence, conditional.

    Raises
    ------
    InputError
        If a book has fewer than 30 ranks.
    """
    known = np.isfinite(ranks)
    if (known.sum(axis=1) < 30).any():
        raise InputError("a book needs 30 ranks for a simulation of its tests")
    uniform = np.full(ranks.shape, np.nan)
    for row, each in enumerate(known):
        uniform[row, each] = (rankdata(ranks[row, each]) - 0.5) / each.sum()
    dice = np.random.default_rng(seed)
    days = np.flatnonzero(known.any(axis=0))
    found: dict[str, list[float]] = {"unconditional": [], "independence": [], "conditional": []}
    for _ in range(draws):
        drawn = uniform[:, dice.choice(days, days.size)]
        passed = np.array([_passed(row[np.isfinite(row)] <= p, p) for row in drawn])
        for name, share in zip(found, passed.mean(axis=0).tolist(), strict=True):
            found[name].append(share)
    return {
        name: PassRates(mean=float(np.mean(shares)), low=float(np.quantile(shares, 0.05)))
        for name, shares in found.items()
    }


def _passed(breach: BoolArray, p: float) -> tuple[bool, bool, bool]:
    total, apart = kupiec(int(breach.sum()), breach.size, p), christoffersen_independence(breach)
    both = total.statistic + apart.statistic
    return total.p_value > 0.05, apart.p_value > 0.05, both < _JOINT_LIMIT
