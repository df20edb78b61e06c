"""Filtered historical and Monte-Carlo scenarios."""

import numpy as np
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.risk.measures import expected_shortfall
from crossmargin.scenarios.filtered import filtered_paths, filtered_scenarios, standardised_residuals
from crossmargin.scenarios.monte_carlo import monte_carlo_scenarios, t_copula_shocks
from crossmargin.units import Currency

BTC, ETH = Currency("BTC"), Currency("ETH")


def test_with_steady_volatility_filtering_changes_nothing() -> None:
    returns = np.random.default_rng(1).normal(scale=0.03, size=(2, 400))
    dates = tuple(str(day) for day in range(400))
    scenarios = filtered_scenarios((BTC, ETH), returns, np.full((2, 401), 9e-4), dates=dates, count=250)
    assert np.log(scenarios.price_factor) == pytest.approx(returns[:, -250:], rel=1e-12)
    assert scenarios.labels[-1] == "399, rescaled"


def test_a_doubled_volatility_doubles_every_move_and_keeps_dates_whole() -> None:
    returns = np.random.default_rng(2).normal(scale=0.03, size=(2, 300))
    variances = np.full((2, 301), 9e-4)
    variances[:, -1] *= 4.0
    scenarios = filtered_scenarios((BTC, ETH), returns, variances, dates=tuple(map(str, range(300))))
    # twice every move, and none beyond the largest of either coin
    doubled = np.clip(2.0 * returns, returns.min(), returns.max())
    assert np.log(scenarios.price_factor) == pytest.approx(doubled, rel=1e-12)
    assert (doubled == 2.0 * returns).mean() > 0.8


def test_a_coin_without_history_is_refused_by_name() -> None:
    returns = np.full((2, 300), 0.01)
    returns[1, :250] = np.nan
    with pytest.raises(InputError, match="ETH has 50"):
        filtered_scenarios((BTC, ETH), returns, np.full((2, 301), 1e-4), dates=tuple(map(str, range(300))))


def test_one_step_paths_are_the_residuals_at_today_s_volatility() -> None:
    residuals = np.random.default_rng(3).normal(size=(2, 500))
    flat = np.zeros(2)
    paths = filtered_paths(
        residuals, np.array([4e-4, 9e-4]), alpha=flat, beta=flat + 1.0, omega=flat, horizon=1, count=20_000, seed=5
    )
    assert paths.std(axis=1) == pytest.approx(np.array([0.02, 0.03]) * residuals.std(axis=1), rel=0.02)
    again = filtered_paths(
        residuals, np.array([4e-4, 9e-4]), alpha=flat, beta=flat + 1.0, omega=flat, horizon=1, count=20_000, seed=5
    )
    assert np.array_equal(paths, again)


def test_variance_grows_with_the_horizon_under_steady_dynamics() -> None:
    residuals = np.random.default_rng(3).normal(size=(1, 800))
    one = np.ones(1)
    paths = filtered_paths(
        residuals, 1e-4 * one, alpha=0 * one, beta=one, omega=0 * one, horizon=9, count=40_000, seed=1
    )
    assert paths.std() == pytest.approx(3.0 * 0.01 * residuals.std(), rel=0.02)


def test_sobol_shocks_have_the_tails_and_the_correlation_asked_for() -> None:
    shocks = t_copula_shocks(np.array([[1.0, 0.6], [0.6, 1.0]]), 4.0, 65_536, seed=7)
    quantiles = np.quantile(shocks[0], [0.001, 0.01, 0.5, 0.99])
    expected = stats.t.ppf([0.001, 0.01, 0.5, 0.99], 4) * np.sqrt(0.5)
    assert quantiles == pytest.approx(expected, rel=0.03, abs=1e-3)
    tau = stats.kendalltau(shocks[0, :8_000], shocks[1, :8_000]).statistic
    assert tau == pytest.approx(2 / np.pi * np.arcsin(0.6), abs=0.02)


def test_sobol_expected_shortfall_meets_rockafellar_and_uryasev_s_table() -> None:
    # J. Risk 2000, tables 1-6: minimum-variance portfolio of three assets, 20,000 Sobol paths within .06/.12/.57 %
    mean = np.array([0.010111, 0.0043532, 0.0137058])
    covariance = np.array(
        [
            [0.00324625, 0.00022983, 0.00420395],
            [0.00022983, 0.00049937, 0.00019247],
            [0.00420395, 0.00019247, 0.00764097],
        ]
    )
    weights = np.array([0.452013, 0.115573, 0.432414])
    vols = np.sqrt(np.diag(covariance))
    shocks = t_copula_shocks(covariance / np.outer(vols, vols), 1e7, 20_000, seed=3)
    pnl = weights @ (mean[:, None] + vols[:, None] * shocks)
    for level, published, bar in ((0.90, 0.096975, 0.0006), (0.95, 0.115908, 0.0012), (0.99, 0.152977, 0.0057)):
        assert float(expected_shortfall(pnl, level)) == pytest.approx(published, rel=bar)


def test_monte_carlo_vols_rise_when_prices_fall() -> None:
    drawn = monte_carlo_scenarios((BTC,), np.array([0.05]), np.eye(1), count=1_024, vol_beta=np.array([-1.5]))
    assert ((drawn.price_factor[0] < 1.0) == (drawn.vol_shock[0] > 0.0)).all()


def test_residuals_need_one_forecast_more_than_returns() -> None:
    with pytest.raises(InputError, match="must have shape"):
        standardised_residuals(np.zeros((1, 5)), np.ones((1, 5)))
