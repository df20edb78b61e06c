"""How bursty an asset's volatility is: the tail index of its GARCH, with its interval, and the buffer that it asks for.

The index k of Kesten (1973, Acta Math. 131) says how slowly the law of volatility falls off, and by it how far a margin
that follows volatility must be expected to rise (Glasserman & Wu 2018, Management Science 64). Crypto fits sit near
``alpha + beta = 1``, where k is ill determined: persistence is bounded, the long-run variance is the sample's, and what
the returns leave open is shown as an interval.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2

from crossmargin.errors import InputError
from crossmargin.scenarios.volatility import garch_log_likelihood, garch_tail_index, garch_variance_path
from crossmargin.units import FloatArray

FEWEST_RETURNS = 200
LARGEST_INDEX = 60.0
"""Beyond which tails are thin for every purpose."""
WIDEST = 4.0
"""Upper over lower end of an interval beyond which an index is unstable: from half the estimate to twice it."""
EXHAUSTED = 0.05
"""Share of days on which a buffer may be used up."""
_ALPHAS = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.10, 0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.40)
_PERSISTENCES = (0.60, 0.70, 0.80, 0.85, 0.90, 0.925, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99)
_NORMAL_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class TailIndex:
    """What returns say about k: the mean of its logarithm, and how sure.

    Attributes
    ----------
    log_mean, log_spread
        Of ln k.
    """

    log_mean: float
    log_spread: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.log_mean) and self.log_spread >= 0.0):
            raise InputError(
                f"a tail index needs a finite logarithm and spread, had {self.log_mean}, {self.log_spread}"
            )

    @property
    def index(self) -> float:
        """The estimate of k."""
        return math.exp(self.log_mean)

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval."""
        reach = _NORMAL_95 * self.log_spread
        return math.exp(self.log_mean - reach), math.exp(self.log_mean + reach)

    @property
    def stable(self) -> bool:
        """Whether the interval is narrow enough to act upon."""
        low, high = self.interval
        return high <= WIDEST * low


def tail_index(returns: FloatArray) -> TailIndex:
    """Return the tail index of one asset's GARCH(1,1).

    The Gaussian likelihood of alpha and ``alpha + beta`` is taken on a grid that ends at 0.99, with the long-run variance
    that of the sample, and k averaged over it. Returns are fatter than normal, so that the likelihood claims more than it
    knows: it is tempered by ``2 / (kurtosis - 1)`` of standardised returns, which is what separates the two covariances of
    quasi-maximum likelihood (Bollerslev & Wooldridge 1992, Econometric Reviews 11).

    Parameters
    ----------
    returns : array of shape (n_times,)
        NaN where there are none, which are left out.

    Raises
    ------
    InputError
        If there are fewer than 200 returns, or they do not vary.
    """
    known = returns[np.isfinite(returns)]
    if known.size < FEWEST_RETURNS:
        raise InputError(f"a tail index needs {FEWEST_RETURNS} returns, had {known.size}")
    errors = known - known.mean()
    variance = float(errors.var())
    if variance == 0.0:
        raise InputError("a tail index needs returns that vary, all were equal")
    alphas, betas, logs = _grid()
    likelihood = np.array(
        [
            garch_log_likelihood(errors, (1.0 - alpha - beta) * variance, alpha, beta)
            for alpha, beta in zip(alphas, betas, strict=True)
        ]
    )
    best = int(np.argmax(likelihood))
    alpha, beta = float(alphas[best]), float(betas[best])
    path = garch_variance_path(errors, (1.0 - alpha - beta) * variance, alpha, beta)
    squares = errors**2 / path[:-1]
    kurtosis = float(np.mean(squares**2) / np.mean(squares) ** 2)
    weights = np.exp((likelihood - likelihood[best]) * 2.0 / max(kurtosis - 1.0, 2.0))
    weights /= weights.sum()
    mean = float(weights @ logs)
    return TailIndex(log_mean=mean, log_spread=math.sqrt(float(weights @ (logs - mean) ** 2)))


def shrunk(found: Sequence[TailIndex]) -> tuple[TailIndex, ...]:
    """Return the indices of several assets, each drawn towards their common mean the more, the less it knows itself.

    The spread between assets is that of DerSimonian & Laird (1986, Controlled Clinical Trials 7). Assets err together, for
    one market moves them all: what is borrowed from the others is as uncertain as they are on average.

    Examples
    --------
    >>> sure, unsure = TailIndex(log_mean=1.0, log_spread=0.1), TailIndex(log_mean=3.0, log_spread=1.0)
    >>> [round(each.log_mean, 2) for each in shrunk([sure, unsure])]
    [1.0, 2.21]
    """
    if not found:
        return ()
    means, spreads = (np.array([getattr(each, name) for each in found]) for name in ("log_mean", "log_spread"))
    weights = 1.0 / np.maximum(spreads, 1e-6) ** 2
    common = float(weights @ means / weights.sum())
    excess = float(weights @ (means - common) ** 2) - (len(found) - 1)
    room = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(excess / room, 0.0) if room > 0.0 else 0.0
    own = between / (between + spreads**2) if len(found) > 1 else np.ones(1)
    borrowed = float(weights @ spreads / weights.sum())
    return tuple(
        TailIndex(
            log_mean=float(share * mean + (1.0 - share) * common),
            log_spread=math.sqrt(share * spread**2 + (1.0 - share) * borrowed**2),
        )
        for share, mean, spread in zip(own, means, spreads, strict=True)
    )


def buffer_of(index: float, exhausted: float = EXHAUSTED) -> float:
    """Return the buffer over its average that volatility goes beyond on a share `exhausted` of days.

    In the limit of short steps the variance of a GARCH is inverse gamma (Nelson 1990, J. Econometrics 45, 7-38): of tail
    index k, ``s2 ~ k / chi2(k)``. The buffer is the quantile of its root over the mean of its root, less one.

    Raises
    ------
    InputError
        If the index is not above 2, where variance has no mean, or the share not inside (0, 0.5).

    Examples
    --------
    >>> [round(buffer_of(index), 3) for index in (4.0, 8.0, 20.0)]
    [0.893, 0.545, 0.306]
    """
    if not (index > 2.0 and 0.0 < exhausted < 0.5):
        raise InputError(f"a buffer needs an index above 2 and a share inside (0, 0.5), had {index} and {exhausted}")
    mean = math.sqrt(0.5 * index) * math.exp(float(gammaln(0.5 * (index - 1.0)) - gammaln(0.5 * index)))
    return math.sqrt(index / float(chi2.ppf(exhausted, index))) / mean - 1.0


def empirical_rise(volatilities: FloatArray, exhausted: float = EXHAUSTED, days: int = 5) -> float:
    """Return the rise of a volatility over up to `days` days that was exceeded on a share `exhausted` of days.

    Parameters
    ----------
    volatilities : array of shape (n_times,)
        Forecasts, NaN where there are none; NaN is returned where too few follow each other.

    Examples
    --------
    >>> empirical_rise(np.array([1.0, 1.0, 1.0, 1.5, 1.5]), 0.25, days=2)
    0.5
    """
    if volatilities.size <= days:
        return math.nan
    windows = np.lib.stride_tricks.sliding_window_view(volatilities, days + 1)
    rises = windows[:, -1] / windows.min(axis=1) - 1.0
    known = rises[np.isfinite(rises)]
    return float(np.quantile(known, 1.0 - exhausted)) if known.size else math.nan


@functools.cache
def _grid() -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return alpha, beta and ln k of every point."""
    points = [(alpha, total - alpha) for total in _PERSISTENCES for alpha in _ALPHAS if alpha < total]
    logs = [math.log(min(garch_tail_index(alpha, beta), LARGEST_INDEX)) for alpha, beta in points]
    return np.array([each[0] for each in points]), np.array([each[1] for each in points]), np.array(logs)
