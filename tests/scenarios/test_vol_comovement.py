"""Spot and vol together: regressions against scipy, the algebra of stickiness against smiles that move, real vols."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.market.svi import Svi
from crossmargin.market.vol_surface import SviSmile
from crossmargin.scenarios.vol_comovement import (
    STICKY_DELTA,
    STICKY_STRIKE,
    fit_spot_vol,
    joint_covariance,
    stickiness,
    strike_beta,
)


def test_the_slope_agrees_with_scipy() -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(scale=0.04, size=300)
    y = 0.001 - 0.7 * x + rng.normal(scale=0.03, size=300)
    fit, oracle = fit_spot_vol(x, y), stats.linregress(x, y)
    assert fit.beta == pytest.approx(oracle.slope, rel=1e-10)
    assert fit.alpha == pytest.approx(oracle.intercept, rel=1e-8)
    assert fit.explained == pytest.approx(oracle.rvalue**2, rel=1e-10)
    # the errors were drawn with equal variance, so that the robust error is near the plain one
    assert fit.standard_error == pytest.approx(oracle.stderr, rel=0.15)


def test_both_slopes_of_a_smile_in_spot_are_recovered() -> None:
    x = np.linspace(-0.2, 0.2, 401)
    fit = fit_spot_vol(x, -0.9 * np.minimum(x, 0.0) + 0.3 * np.maximum(x, 0.0))
    assert (fit.beta_down, fit.beta_up) == (pytest.approx(-0.9), pytest.approx(0.3))


def test_the_joint_covariance_is_that_of_simulated_moves() -> None:
    rng = np.random.default_rng(7)
    price, residual = np.array([[4.0, 3.0], [3.0, 9.0]]), np.array([[1.0, 0.6], [0.6, 2.0]])
    betas = np.array([[-0.5, 0.0], [-0.2, -0.4]])
    returns = rng.multivariate_normal(np.zeros(2), price, 400_000).T
    vols = betas @ returns + rng.multivariate_normal(np.zeros(2), residual, 400_000).T
    assert joint_covariance(price, betas, residual) == pytest.approx(np.cov(np.concatenate([returns, vols])), abs=0.06)


@pytest.mark.parametrize("ratio", [STICKY_STRIKE, STICKY_DELTA])
def test_a_view_of_the_surface_moves_the_vol_of_a_strike_as_it_says(ratio: float) -> None:
    smile = SviSmile(expiry_ns=1, forward=100.0, years=0.1, svi=Svi(a=0.02, b=0.1, rho=-0.4, m=0.01, sigma=0.15))
    step = 1e-5
    vol = smile.vol(100.0)
    skew = (smile.vol(100.0 * math.exp(step)) - smile.vol(100.0 * math.exp(-step))) / (2.0 * step)
    # the forward moves by `step`; a sticky delta carries the smile along, a sticky strike leaves it
    forward = 100.0 * math.exp(step) if ratio == STICKY_DELTA else 100.0
    later = SviSmile(expiry_ns=1, forward=forward, years=0.1, svi=smile.svi)
    assert math.log(later.vol(100.0) / vol) / step == pytest.approx(strike_beta(ratio, vol, skew), abs=1e-3)
    at_the_money = math.log(later.vol(100.0 * math.exp(step)) / vol) / step
    assert stickiness(at_the_money, vol, skew) == pytest.approx(ratio, abs=2e-3)


def test_vols_of_btc_rise_when_it_falls(shared: Path, record_property: Callable[[str, object], None]) -> None:
    dvol = pl.read_parquet(shared / "data" / "dvol_btc_daily.parquet").select(
        pl.col("date").dt.date(), "dvol_btc_close"
    )
    bars = pl.read_parquet(shared / "data" / "perp_1d.parquet").filter(pl.col("symbol") == "BTCUSDT")
    joined = dvol.join(bars.select(pl.col("date").dt.date(), "close"), on="date").sort("date")
    x, y = (np.diff(np.log(joined[name].to_numpy())) for name in ("close", "dvol_btc_close"))
    fit, oracle = fit_spot_vol(x, y), stats.linregress(x, y)
    assert fit.beta == pytest.approx(oracle.slope, rel=1e-9)
    assert fit.beta_down < -0.4
    assert fit.beta < -3.0 * fit.standard_error
    record_property("outside_cases", fit.observations)


def test_too_few_days_and_a_still_price_are_refused() -> None:
    with pytest.raises(InputError, match="needs 20 complete periods, had 5"):
        fit_spot_vol(np.arange(5.0), np.arange(5.0))
    with pytest.raises(InputError, match="returns that vary"):
        fit_spot_vol(np.ones(30), np.arange(30.0))
    with pytest.raises(InputError, match="flat smile"):
        stickiness(-0.5, 0.6, 0.0)
