"""Variance forecasts of many coins from the range of their days: a pooled log-HAR, averaged with slow EWMAs.

A day's variance is measured far better by its range, or by its intraday returns, than by its squared return. The
forecast is the geometric mean of

- a heterogeneous autoregression of log variance (Corsi 2009, J. Financial Econometrics 7, 174-196), pooled over coins
  and refitted on the past only: own exponentially weighted log variances of several spans, their average over the
  market, and yesterday's standardised return with its sign;
- a fixed mixture of exponentially weighted variances, which keeps it steady while the regression is young.

Pooling matters: one coin has too few days to tell a crisis from noise, twenty coins share them.
"""

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InputError
from crossmargin.scenarios.volatility import smoothed_path
from crossmargin.units import FloatArray

SPANS: tuple[tuple[float, int], ...] = ((1e-4, 5), (0.7, 5), (0.9, 10), (0.97, 25), (0.99, 40))
"""Decay and warm-up of the log-variance regressors; the first is yesterday alone."""

MIXTURE: tuple[tuple[float, float], ...] = ((0.5, 0.85), (0.3, 0.96), (0.2, 0.99))
"""Weight and decay of the slow half."""

SMALLEST_VARIANCE = 1e-7
"""A day without a move (a halted or pegged market) must not send the logarithm to minus infinity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeForecastSettings:
    """How the pooled regression is fitted.

    Attributes
    ----------
    first_fit
        Days before the first regression; until then the EWMA mixture stands alone.
    refit_every
        Days between fits.
    ridge
        Penalty on standardised coefficients, in observations.
    """

    first_fit: int = 300
    refit_every: int = 30
    ridge: float = 5.0

    def __post_init__(self) -> None:
        if self.first_fit < 60 or self.refit_every < 1 or self.ridge <= 0.0:
            raise InputError("first_fit >= 60, refit_every >= 1 and ridge > 0 must hold")


def range_variance_paths(
    returns: FloatArray, day_variances: FloatArray, settings: RangeForecastSettings | None = None
) -> FloatArray:
    """Return the variance forecast of every coin for every day and the day after.

    Parameters
    ----------
    returns : array of shape (n_coins, n_days)
        Daily log returns, NaN where not listed.
    day_variances : array of shape (n_coins, n_days)
        Each day's variance from its range or its intraday returns, NaN where unknown.

    Returns
    -------
    array of shape (n_coins, n_days + 1)
        Element t uses days before t only; NaN until a coin has some weeks of history.

    Raises
    ------
    InputError
        If the shapes differ or a variance is negative.
    """
    if returns.shape != day_variances.shape or returns.ndim != 2:
        raise InputError(f"returns and variances must have one shape, were {returns.shape}, {day_variances.shape}")
    if (day_variances < 0.0).any():
        raise InputError("a day's variance must not be negative")
    chosen = settings or RangeForecastSettings()
    measured = np.maximum(np.where(np.isfinite(returns), day_variances, np.nan), SMALLEST_VARIANCE)
    slow = _mixture(measured)
    regressors = _regressors(returns, measured)
    log_variance = np.log(measured)
    fast = slow.copy()
    fitted: _Regression | None = None
    for day in range(chosen.first_fit, returns.shape[1] + 1):
        if fitted is None or (day - chosen.first_fit) % chosen.refit_every == 0:
            fitted = _fit(regressors[:, :, :day], log_variance[:, :day], chosen.ridge)
        forecast = np.exp(fitted.predict(regressors[:, :, day]))
        fast[:, day] = np.where(np.isfinite(forecast), forecast, slow[:, day])
    return np.sqrt(fast * slow)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regression:
    mean: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    level: float

    def predict(self, x: FloatArray) -> FloatArray:
        """Log variance for regressors of shape (n_regressors, n_coins)."""
        return np.asarray(((x - self.mean[:, None]) / self.scale[:, None]).T @ self.coefficients + self.level)


def _fit(x: FloatArray, y: FloatArray, ridge: float) -> _Regression:
    flat_x, flat_y = x.reshape(x.shape[0], -1), y.reshape(-1)
    known = np.isfinite(flat_y) & np.isfinite(flat_x).all(axis=0)
    flat_x, flat_y = flat_x[:, known], flat_y[known]
    mean, scale = flat_x.mean(axis=1), np.maximum(flat_x.std(axis=1), 1e-12)
    z = (flat_x - mean[:, None]) / scale[:, None]
    level = float(flat_y.mean())
    coefficients = np.linalg.solve(z @ z.T + ridge * np.eye(len(z)), z @ (flat_y - level))
    return _Regression(mean=mean, scale=scale, coefficients=coefficients, level=level)


def _mixture(measured: FloatArray) -> FloatArray:
    return np.asarray(
        sum(weight * np.array([smoothed_path(row, decay, 20) for row in measured]) for weight, decay in MIXTURE)
    )


def _regressors(returns: FloatArray, measured: FloatArray) -> FloatArray:
    """Regressors known before each day, shape (n_regressors, n_coins, n_days + 1)."""
    logs = np.log(measured)
    own = np.array([[smoothed_path(row, decay, start) for row in logs] for decay, start in SPANS])
    listed = np.isfinite(own[:4])
    total = np.where(listed, own[:4], 0.0).sum(axis=1, keepdims=True)
    market = np.broadcast_to(total / np.maximum(listed.sum(axis=1, keepdims=True), 1), own[:4].shape)
    usual = np.sqrt(np.array([smoothed_path(row, 0.9, 20) for row in measured]))[:, :-1]
    standardised = np.clip(np.nan_to_num(returns / usual), -4.0, 4.0)
    yesterday = np.zeros((2, *own.shape[1:]))
    yesterday[0, :, 1:] = np.minimum(standardised, 0.0)
    yesterday[1, :, 1:] = np.abs(standardised)
    return np.concatenate([own, market, yesterday])
