"""Volatility of one series of returns: EWMA, GARCH(1,1), GJR, and estimates from a day's range.

Every `*_path` is a forecast: element ``t`` uses returns before ``t`` only, so walk-forward use cannot look ahead.
Returns are log returns per period; variances are per period.
"""

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from scipy.optimize import brentq, minimize

from crossmargin.errors import InputError
from crossmargin.units import FloatArray


def ewma_variance_path(returns: FloatArray, decay: float, warm_up: int = 30) -> FloatArray:
    """Return the exponentially weighted variance forecast for each period.

    ``s2[t] = decay * s2[t-1] + (1 - decay) * r[t-1]**2`` (RiskMetrics Technical Document 1996), started
    at the mean square of the first `warm_up` returns. Missing returns (NaN) leave the forecast as it was; before the
    start it is NaN.

    Parameters
    ----------
    returns : array of shape (n_times,)
    decay
        Inside (0, 1); 0.94 for daily data.

    Returns
    -------
    array of shape (n_times + 1,)
        The last element is the forecast for the period after the data.

    Raises
    ------
    InputError
        If `decay` is not inside (0, 1).

    Examples
    --------
    >>> path = ewma_variance_path(np.array([0.01, 0.01, 0.05]), decay=0.94, warm_up=2)
    >>> round(float(np.sqrt(path[-1])), 10)
    0.0156204994
    """
    if not 0.0 < decay < 1.0:
        raise InputError(f"decay must be inside (0, 1), was {decay}")
    return _smoothed(np.square(np.asarray(returns, dtype=np.float64)), decay, warm_up)


def smoothed_path(values: FloatArray, decay: float, warm_up: int = 30) -> FloatArray:
    """Return the exponentially weighted mean of `values` before each period; shapes as `ewma_variance_path`.

    Examples
    --------
    >>> smoothed_path(np.array([1.0, 3.0]), decay=0.5, warm_up=1)
    array([nan,  1.,  2.])
    """
    if not 0.0 < decay < 1.0:
        raise InputError(f"decay must be inside (0, 1), was {decay}")
    return _smoothed(np.asarray(values, dtype=np.float64), decay, warm_up)


@njit(cache=True, error_model="numpy")
def _smoothed(values: FloatArray, decay: float, warm_up: int) -> FloatArray:
    out = np.full(values.size + 1, np.nan)
    state, total, seen = np.nan, 0.0, 0
    for t in range(values.size):
        out[t] = state
        value = values[t]
        if not np.isnan(value):
            seen += 1
            if seen <= warm_up:
                total += value
                if seen == warm_up:
                    state = total / warm_up
            else:
                state = decay * state + (1.0 - decay) * value
    out[values.size] = state
    return out


def effective_days(decay: float, tolerance: float) -> float:
    """Return after how many days an EWMA has forgotten all but `tolerance` of its weight: ``ln(tol)/ln(decay)``.

    Examples
    --------
    >>> round(effective_days(0.94, 0.01))
    74
    """
    return math.log(tolerance) / math.log(decay)


def garman_klass_variance(open_: FloatArray, high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the variance of a period from its open, high, low and close (Garman & Klass 1980, J. Business 53).

    ``0.5 ln(high/low)**2 - (2 ln 2 - 1) ln(close/open)**2``; several times as precise as the squared return.
    """
    spread, drift = np.log(high / low), np.log(close / open_)
    return np.asarray(0.5 * spread**2 - (2.0 * math.log(2.0) - 1.0) * drift**2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Garch:
    """A fitted GARCH(1,1), with the asymmetry of Glosten, Jagannathan & Runkle where `gamma` is not 0.

    ``s2[t] = omega + (alpha + gamma * [e[t-1] < 0]) e[t-1]**2 + beta s2[t-1]``, ``e = r - mu``.
    """

    mu: float
    omega: float
    alpha: float
    beta: float
    gamma: float
    log_likelihood: float

    @property
    def persistence(self) -> float:
        """``alpha + gamma / 2 + beta``: the share of a shock to variance that is left a period later."""
        return self.alpha + 0.5 * self.gamma + self.beta

    def variance_path(self, returns: FloatArray) -> FloatArray:
        """Return the variance forecast of each period and the one after, shape (n_times + 1,)."""
        errors = np.asarray(returns, dtype=np.float64) - self.mu
        start = float(np.mean(errors**2))
        return _garch_path(errors, self.omega, self.alpha, self.beta, self.gamma, start)


@njit(cache=True, error_model="numpy")
def _garch_path(errors: FloatArray, omega: float, alpha: float, beta: float, gamma: float, start: float) -> FloatArray:
    out = np.empty(errors.size + 1)
    # presample variance and squared error are both the sample mean square (Fiorentini, Calzolari & Panattoni 1996)
    out[0] = omega + (alpha + 0.5 * gamma + beta) * start
    for t in range(errors.size):
        leverage = alpha + (gamma if errors[t] < 0.0 else 0.0)
        out[t + 1] = omega + leverage * errors[t] * errors[t] + beta * out[t]
    return out


@njit(cache=True, error_model="numpy")
def _garch_loss(errors: FloatArray, omega: float, alpha: float, beta: float, gamma: float, start: float) -> float:
    """Negative Gaussian log-likelihood."""
    variance = omega + (alpha + 0.5 * gamma + beta) * start
    loss = 0.5 * errors.size * 1.8378770664093453  # ln(2 pi)
    for t in range(errors.size):
        square = errors[t] * errors[t]
        loss += 0.5 * (math.log(variance) + square / variance)
        variance = omega + (alpha + (gamma if errors[t] < 0.0 else 0.0)) * square + beta * variance
    return loss


def fit_garch(
    returns: FloatArray, *, asymmetric: bool = False, max_persistence: float = 0.9999, mean: bool = True
) -> Garch:
    """Return the maximum-likelihood GARCH(1,1), Gaussian, of `returns`.

    Parameters
    ----------
    returns : array of shape (n_times,)
        Without NaN; at least 50.
    asymmetric
        Whether to fit the leverage term of GJR.
    max_persistence
        Bound on ``alpha + gamma/2 + beta``; crypto fits sit near 1, where forecasts would never come back.

    Raises
    ------
    InputError
        If there are too few returns, NaN among them, or no variation.

    Notes
    -----
    Checked against the benchmark of Fiorentini, Calzolari & Panattoni (1996, J. Applied Econometrics 11, 399-417).
    """
    data = np.asarray(returns, dtype=np.float64)
    if data.size < 50:
        raise InputError(f"a GARCH fit needs at least 50 returns, had {data.size}")
    if not np.isfinite(data).all():
        raise InputError("a GARCH fit needs finite returns, found NaN or infinity")
    scale = float(np.std(data))
    if scale == 0.0:
        raise InputError("a GARCH fit needs returns that vary, all were equal")
    best = _fit_scaled(data / scale, asymmetric=asymmetric, max_persistence=max_persistence, mean=mean)
    mu, omega, alpha, beta, gamma, loss = best
    return Garch(
        mu=mu * scale,
        omega=omega * scale**2,
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        log_likelihood=-loss - data.size * math.log(scale),
    )


def _fit_scaled(
    data: FloatArray, *, asymmetric: bool, max_persistence: float, mean: bool
) -> tuple[float, float, float, float, float, float]:
    def parts(x: FloatArray) -> tuple[float, float, float, float, float]:
        # smooth map from the real line: persistence in (0, max), its split by a softmax
        persistence = max_persistence / (1.0 + math.exp(-x[2]))
        shares = np.exp(np.clip([x[3], 0.0, x[4] if asymmetric else -700.0], -700.0, 50.0))
        shares = shares / shares.sum()
        return (
            float(x[0]) if mean else 0.0,
            math.exp(min(float(x[1]), 50.0)),
            persistence * float(shares[0]),
            persistence * float(shares[1]),
            2.0 * persistence * float(shares[2]) if asymmetric else 0.0,
        )

    def loss(x: FloatArray) -> float:
        mu, omega, alpha, beta, gamma = parts(x)
        errors = data - mu
        value = _garch_loss(errors, omega, alpha, beta, gamma, float(np.mean(errors**2)))
        return float(value) if math.isfinite(value) else 1e12

    found = []
    center = float(np.mean(data)) if mean else 0.0
    for split in (-2.0, -3.0):
        start = np.array([center, math.log(0.03), 3.5, split, -3.0])
        near = minimize(loss, start, method="BFGS", options={"gtol": 1e-7, "maxiter": 500})
        found.append(
            minimize(loss, near.x, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 4000})
        )
    best = min(found, key=lambda each: float(each.fun))
    return (*parts(np.asarray(best.x)), float(best.fun))


def garch_variance_path(errors: FloatArray, omega: float, alpha: float, beta: float) -> FloatArray:
    """Return the variance of each period and the one after of a GARCH(1,1) that starts at the mean square of `errors`."""
    return np.asarray(_garch_path(errors, omega, alpha, beta, 0.0, float(np.mean(errors**2))))


def garch_log_likelihood(errors: FloatArray, omega: float, alpha: float, beta: float) -> float:
    """Return the Gaussian log-likelihood of `errors` under `garch_variance_path`."""
    return -float(_garch_loss(errors, omega, alpha, beta, 0.0, float(np.mean(errors**2))))


_MOMENT_STEP = 0.005
"""Of the normal variable in `garch_tail_index`."""


def garch_tail_index(alpha: float, beta: float) -> float:
    """Return the Kesten tail index of a Gaussian GARCH(1,1).

    It is the k that solves ``E[(alpha Z^2 + beta)^(k/2)] = 1``.
    The smaller, the heavier the tail of the unconditional law; 2 when ``alpha + beta = 1``. It sets the buffer that
    margin needs against its own rise (Glasserman & Wu 2018).

    Raises
    ------
    InputError
        If ``alpha + beta > 1`` or either is negative.

    Examples
    --------
    >>> round(garch_tail_index(0.05, 0.94), 3)
    8.805
    """
    if alpha <= 0.0 or beta < 0.0 or alpha + beta > 1.0 + 1e-12:
        raise InputError(f"alpha > 0, beta >= 0 and alpha + beta <= 1 must hold, were {alpha} and {beta}")

    def log_moment(half: float) -> float:
        # even and all but analytic: the trapezoid rule converges faster than any power of its step. High moments have
        # their mass near sqrt(2 half)
        z = np.arange(_MOMENT_STEP, math.sqrt(2.0 * half) + 12.0, _MOMENT_STEP)
        logs = half * np.log(alpha * z * z + beta) - 0.5 * z * z
        top = float(logs.max())
        at_zero = 0.5 * math.exp(half * math.log(beta) - top) if beta > 0.0 else 0.0
        mass = (float(np.exp(logs - top).sum()) + at_zero) * _MOMENT_STEP
        return top + math.log(2.0 * mass / math.sqrt(2.0 * math.pi))

    if abs(alpha + beta - 1.0) <= 1e-12:
        return 2.0
    upper = 2.0
    while log_moment(upper) < 0.0:
        upper *= 2.0
    return 2.0 * float(brentq(log_moment, 1.0 + 1e-9, upper, xtol=1e-12))
