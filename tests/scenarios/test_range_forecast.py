"""The pooled range forecast."""

import numpy as np
import pytest

from crossmargin.errors import InputError
from crossmargin.scenarios.range_forecast import range_variance_paths


def _stochastic_vol(seed: int, coins: int = 6, days: int = 900) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    log_variance = np.empty((coins, days))
    log_variance[:, 0] = np.log(4e-4)
    for t in range(1, days):
        log_variance[:, t] = 0.97 * log_variance[:, t - 1] + 0.03 * np.log(4e-4) + 0.2 * rng.normal(size=coins)
    variance = np.exp(log_variance)
    measured = variance * rng.gamma(5.0, 0.2, size=variance.shape)
    return rng.normal(size=variance.shape) * np.sqrt(variance), measured, variance


def test_a_poisoned_future_changes_no_earlier_forecast() -> None:
    returns, measured, _ = _stochastic_vol(1)
    before = range_variance_paths(returns, measured)[:, :701]
    returns[:, 700:], measured[:, 700:] = 9.0, 81.0
    assert np.array_equal(before, range_variance_paths(returns, measured)[:, :701], equal_nan=True)


def test_it_forecasts_better_than_an_ewma_of_squared_returns() -> None:
    from crossmargin.scenarios.volatility import ewma_variance_path

    returns, measured, variance = _stochastic_vol(2)
    ours = range_variance_paths(returns, measured)[:, 400:-1]
    ewma = np.array([ewma_variance_path(row, 0.94) for row in returns])[:, 400:-1]

    def error(forecast: np.ndarray) -> float:
        gap = np.log(forecast) - np.log(variance[:, 400:])
        return float((gap - gap.mean()).std())

    assert error(ours) < 0.85 * error(ewma)


def test_a_coin_listed_late_gets_a_forecast_once_it_has_history() -> None:
    returns, measured, _ = _stochastic_vol(3)
    returns[0, :500], measured[0, :500] = np.nan, np.nan
    path = range_variance_paths(returns, measured)
    assert np.isnan(path[0, :500]).all()
    assert np.isfinite(path[0, 600:]).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="one shape"):
        range_variance_paths(np.zeros((2, 5)), np.zeros((2, 6)))
