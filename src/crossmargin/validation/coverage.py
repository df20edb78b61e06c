"""Statistical tests of a sequence of breaches and of the shortfall behind them.

A breach is a period whose loss exceeded the measure. `p` is the share of breaches that the measure's level allows.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import chdtrc

from crossmargin.errors import InputError
from crossmargin.units import BoolArray, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """A statistic and the probability of one at least as extreme under a correct model."""

    __test__ = False  # not a pytest class

    statistic: float
    p_value: float


def kupiec(breaches: int, periods: int, p: float) -> TestResult:
    """Return the proportion-of-failures likelihood ratio (Kupiec 1995, J. Derivatives 3(2), 73-84), chi-squared(1).

    Examples
    --------
    >>> round(kupiec(0, 250, 0.01).statistic, 4), round(kupiec(10, 250, 0.01).statistic, 4)
    (5.0252, 12.9555)
    """
    _check(breaches, periods, p)
    share = breaches / periods
    free = _log_likelihood(share, breaches, periods - breaches)
    statistic = max(2.0 * (free - _log_likelihood(p, breaches, periods - breaches)), 0.0)
    return TestResult(statistic=statistic, p_value=float(chdtrc(1, statistic)))


def christoffersen_independence(breaches: BoolArray) -> TestResult:
    """Return the likelihood ratio of first-order independence (Christoffersen 1998, Int. Economic Review 39, 841-862).

    It uses the ``n - 1`` transitions; chi-squared(1).
    """
    hit = np.asarray(breaches, dtype=bool)
    before, after = hit[:-1], hit[1:]
    return independence_of_counts(
        int((~before & ~after).sum()),
        int((~before & after).sum()),
        int((before & ~after).sum()),
        int((before & after).sum()),
    )


def independence_of_counts(n00: int, n01: int, n10: int, n11: int) -> TestResult:
    """Return Christoffersen's independence test from transition counts; ``n01`` counts no breach, then a breach.

    Examples
    --------
    >>> round(independence_of_counts(932, 53, 53, 4).statistic, 5)
    0.25866
    """
    after_calm = n01 / (n00 + n01) if n00 + n01 else 0.0
    after_breach = n11 / (n10 + n11) if n10 + n11 else 0.0
    pooled = (n01 + n11) / (n00 + n01 + n10 + n11)
    free = _log_likelihood(after_calm, n01, n00) + _log_likelihood(after_breach, n11, n10)
    statistic = max(2.0 * (free - _log_likelihood(pooled, n01 + n11, n00 + n10)), 0.0)
    return TestResult(statistic=statistic, p_value=float(chdtrc(1, statistic)))


def conditional_coverage(breaches: BoolArray, p: float) -> TestResult:
    """Return Christoffersen's joint test of coverage and independence, chi-squared(2)."""
    hit = np.asarray(breaches, dtype=bool)
    statistic = kupiec(int(hit.sum()), hit.size, p).statistic + christoffersen_independence(hit).statistic
    return TestResult(statistic=statistic, p_value=float(chdtrc(2, statistic)))


def too_many_breaches(breaches: int, periods: int, p: float) -> float:
    """Return the one-sided probability of at least `breaches` under a correct model."""
    _check(breaches, periods, p)
    return float(stats.binom.sf(breaches - 1, periods, p))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficLight:
    """Fewest breaches that turn the light yellow, and red."""

    yellow: int
    red: int

    def zone(self, breaches: int) -> str:
        """Return ``green``, ``yellow`` or ``red``."""
        return "green" if breaches < self.yellow else "yellow" if breaches < self.red else "red"


def traffic_light(periods: int, p: float) -> TrafficLight:
    """Return the Basel zones for a window: yellow where ``P(X <= k) >= 95 %``, red where it is 99.99 % (BCBS 1996).

    Crypto trades 365 days a year: use windows of 365.

    Examples
    --------
    >>> traffic_light(250, 0.01)
    TrafficLight(yellow=5, red=10)
    >>> traffic_light(365, 0.01)
    TrafficLight(yellow=7, red=13)
    """
    _check(0, periods, p)
    counts = np.arange(periods + 1)
    reached = stats.binom.cdf(counts, periods, p)
    return TrafficLight(yellow=int(counts[reached >= 0.95][0]), red=int(counts[reached >= 0.9999][0]))


def acerbi_szekely_z1(pnl: FloatArray, var: FloatArray, es: FloatArray) -> float:
    """Return Z1: the mean over breaches of ``pnl / es``, plus 1; negative where losses beyond VaR exceed ES.

    `pnl` profit > 0; `var` and `es` positive measures of the same periods (Acerbi & Szekely 2014, Risk, December).

    Raises
    ------
    InputError
        If there was no breach: Z1 then says nothing.
    """
    hit = pnl < -var
    if not hit.any():
        raise InputError("Z1 needs at least one breach, had none")
    return float(np.mean(pnl[hit] / es[hit]) + 1.0)


def acerbi_szekely_z2(pnl: FloatArray, var: FloatArray, es: FloatArray, p: float) -> float:
    """Return Z2: ``sum(pnl * breach / es) / (n p) + 1``; 0 on average under a correct model."""
    hit = pnl < -var
    return float(np.sum(pnl[hit] / es[hit]) / (pnl.size * p) + 1.0)


def z3_levels(ranks: FloatArray, p: float) -> FloatArray:
    """Return the two sets of levels at which Z3 asks each day's forecast, shape (2, n_tail).

    First the lowest share `p` of the realised ranks, which lie inside (0, 1); then where uniform ones are expected, the
    k-th of n at ``k / (n + 1)``.
    """
    n = ranks.size
    tail = max(int(n * p), 1)
    return np.stack([np.sort(ranks)[:tail], np.arange(1, tail + 1) / (n + 1.0)])


def acerbi_szekely_z3(realised: FloatArray, expected: FloatArray) -> float:
    """Return Z3, which ranks realised profits within the forecast distributions; 0 on average under a correct model.

    Ranks of the realised profits are mapped back through each day's forecast, and their tail mean is compared with the
    one expected of uniform ranks: the third test of Acerbi & Szekely (2014), with quantiles at the expected ranks for the
    expectation of the estimator.

    Parameters
    ----------
    realised, expected : arrays of shape (n_periods,)
        Mean of each day's forecast quantiles of profit at the two rows of `z3_levels`.

    Examples
    --------
    >>> acerbi_szekely_z3(np.array([-2.2, -1.1]), np.array([-2.0, -1.0]))
    -0.10000000000000009
    """
    return float(1.0 - np.mean(realised / expected))


def z2_critical_value(
    periods: int, p: float, level: float = 0.05, *, degrees: float = math.inf, draws: int = 20_000, seed: int = 0
) -> float:
    """Return the value that Z2 falls below with probability `level` under a correct model, by simulation.

    It depends on the number of periods: -0.70 at 250, about -0.58 at 365 and -0.25 at 1,853 (ES 97.5 %). `degrees` of
    freedom of a Student t law; infinite is normal.
    """
    rng = np.random.default_rng(seed)
    law = stats.norm() if math.isinf(degrees) else stats.t(degrees)
    var = -float(law.ppf(p))
    if math.isinf(degrees):
        es = float(stats.norm.pdf(var)) / p
    else:
        es = float(stats.t.pdf(var, degrees)) * (degrees + var**2) / ((degrees - 1.0) * p)
    values = np.empty(draws)
    for start in range(0, draws, 500):
        count = min(500, draws - start)
        # only the tail matters: draw the number of breaches, then their sizes beyond VaR
        number = rng.binomial(periods, p, size=count)
        sizes = law.ppf(p * rng.random(int(number.sum())))
        ends = np.cumsum(number)
        sums = np.concatenate([[0.0], np.cumsum(sizes)])
        values[start : start + count] = (sums[ends] - sums[ends - number]) / es / (periods * p) + 1.0
    return float(np.quantile(values, level))


def quantile_score(pnl: FloatArray, var: FloatArray, p: float) -> FloatArray:
    """Return the elicitation score of a VaR forecast per period: ``(1{loss > var} - p)(loss - var)``; low is good."""
    loss = -pnl
    return np.asarray(((loss > var).astype(np.float64) - p) * (loss - var))


def joint_score(pnl: FloatArray, var: FloatArray, es: FloatArray, p: float) -> FloatArray:
    """Return the joint score of VaR and ES per period; lower is better.

    The 0-homogeneous loss of Fissler & Ziegel (2016) as in Patton, Ziegel & Chen (2019).
    """
    hit = (pnl <= -var).astype(np.float64)
    return np.asarray(hit * (-pnl - var) / (p * es) + var / es + np.log(es) - 1.0)


def diebold_mariano(ours: FloatArray, theirs: FloatArray, lags: int = 10) -> TestResult:
    """Return the test that two sequences of scores have the same mean; negative favours `ours`.

    Two-sided, with Bartlett-weighted autocovariances up to `lags` (Diebold & Mariano 1995; Newey & West 1987).
    """
    difference = np.asarray(ours) - np.asarray(theirs)
    n = difference.size
    centred = difference - difference.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, min(lags, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (lags + 1.0)) * float(centred[lag:] @ centred[:-lag]) / n
    statistic = float(difference.mean() / math.sqrt(variance / n)) if variance > 0.0 else 0.0
    return TestResult(statistic=statistic, p_value=float(2.0 * stats.norm.sf(abs(statistic))))


def _log_likelihood(p: float, hits: int, misses: int) -> float:
    return (hits * math.log(p) if hits else 0.0) + (misses * math.log1p(-p) if misses else 0.0)


def _check(breaches: int, periods: int, p: float) -> None:
    if not 0 <= breaches <= periods or periods < 1:
        raise InputError(f"breaches must lie between 0 and the periods, were {breaches} of {periods}")
    if not 0.0 < p < 1.0:
        raise InputError(f"p must be inside (0, 1), was {p}")
