"""The choice of a volatility forecast against its true law, `arch`-style oracles and real days."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from crossmargin.errors import InputError
from crossmargin.files.sample import sample_market
from crossmargin.scenarios.volatility import ewma_variance_path, garman_klass_variance
from crossmargin.scenarios.volatility_choice import (
    at_the_money_vols,
    chosen_forecast,
    diagnostics,
    ewma_candidates,
    fit_blend,
    garch_walk,
    implied_day_variance,
)
from crossmargin.units import Currency, FloatArray


def simulated(n: int, seed: int) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    returns, variances = np.empty(n), np.empty(n)
    variance = 4e-4
    for t in range(n):
        variances[t] = variance
        returns[t] = np.sqrt(variance) * rng.standard_normal()
        variance = 2e-5 + 0.1 * returns[t] ** 2 + 0.85 * variance
    return returns, variances


def test_the_true_variance_leaves_nothing_and_a_constant_leaves_clusters() -> None:
    returns, variances = simulated(4_000, 1)
    true = diagnostics(returns, variances)
    flat = diagnostics(returns, np.full(returns.size, returns.var()))
    assert true.variance_ratio == pytest.approx(1.0, abs=0.06)
    assert true.clustering > 0.01 > flat.clustering
    assert true.qlike < flat.qlike
    z = returns / np.sqrt(variances)
    assert flat.clustering == pytest.approx(_ljung_box_of_statsmodels(returns), rel=1e-6)
    assert true.excess_kurtosis == pytest.approx(stats.kurtosis(z), rel=1e-9)


def _ljung_box_of_statsmodels(returns: FloatArray) -> float:
    from statsmodels.stats.diagnostic import acorr_ljungbox

    return float(acorr_ljungbox(np.square(returns), lags=[10])["lb_pvalue"].iloc[0])


def test_the_truth_is_chosen_and_refitted_garch_comes_near_it() -> None:
    returns, variances = simulated(2_400, 2)
    walked = garch_walk(returns, first=1_000, every=700)
    choice = chosen_forecast(returns, {"truth": variances, "garch": walked, **ewma_candidates(returns)})
    assert choice.name in ("truth", "garch")  # a few hundredths of a percent apart, which 1,400 days cannot tell
    losses = {name: found.qlike for name, found in choice.diagnostics.items()}
    assert losses["garch"] == pytest.approx(losses["truth"], abs=5e-3)
    assert losses["garch"] < min(loss for name, loss in losses.items() if name.startswith("ewma"))
    assert len({found.days for found in choice.diagnostics.values()}) == 1


def test_a_walk_does_not_see_what_comes_after() -> None:
    returns, _ = simulated(900, 3)
    poisoned = returns.copy()
    poisoned[800:] *= 50.0
    walks = [garch_walk(each, first=600, every=150) for each in (returns, poisoned)]
    assert np.array_equal(walks[0][:801], walks[1][:801], equal_nan=True)


@pytest.mark.parametrize("weight", [0.0, 0.4, 1.0])
def test_a_blend_recovers_the_weight_and_the_premium_that_made_the_data(weight: float) -> None:
    rng = np.random.default_rng(4)
    h, i = np.exp(rng.normal(-8.0, 0.6, 20_000)), np.exp(rng.normal(-7.7, 0.5, 20_000))
    truth = np.exp((1.0 - weight) * np.log(h) + weight * np.log(i) - 0.2)
    measured = truth * rng.chisquare(1, h.size)
    found = fit_blend(measured, h, i)
    assert found.weight == pytest.approx(weight, abs=0.03)
    assert found.level == pytest.approx(-0.2, abs=0.03)
    gaps = np.where(np.arange(h.size) % 2, i, np.nan)
    assert np.array_equal(found.variance(h, gaps)[::2], h[::2])


def test_dvol_adds_to_what_btc_s_returns_know(shared: Path, record_property: Callable[[str, object], None]) -> None:
    bars = pl.read_parquet(shared / "data" / "perp_1d.parquet").filter(pl.col("symbol") == "BTCUSDT")
    dvol = pl.read_parquet(shared / "data" / "dvol_btc_daily.parquet")
    joined = (
        bars.select(pl.col("date").dt.date(), "open", "high", "low", "close")
        .join(dvol.select(pl.col("date").dt.date(), "dvol_btc_close"), on="date", how="left")
        .sort("date")
    )
    o, h, low, c, vol = (joined[name].to_numpy() for name in ("open", "high", "low", "close", "dvol_btc_close"))
    measured = garman_klass_variance(o, h, low, c)[1:]
    returns = np.diff(np.log(c))
    past = ewma_variance_path(returns, 0.94)[:-1]
    implied = implied_day_variance(vol[:-1] / 100.0)  # yesterday's close is known today
    known = np.flatnonzero(np.isfinite(implied))
    half = known[known.size // 2]
    blend = fit_blend(measured[:half], past[:half], implied[:half])
    alone = fit_blend(measured[:half], past[:half], past[:half])
    later = slice(half, None)
    better = diagnostics(returns[later], blend.variance(past, implied)[later], measured[later])
    worse = diagnostics(returns[later], alone.variance(past, past)[later], measured[later])
    assert blend.weight > 0.3
    assert better.qlike < worse.qlike
    record_property("outside_cases", better.days)


def test_the_term_structure_is_the_surface_at_the_forward() -> None:
    market, btc = sample_market(), Currency("BTC")
    vols = at_the_money_vols(market, btc, (7.0, 30.0, 90.0))
    assert ((vols > 0.2) & (vols < 1.5)).all()
    smile = market.surfaces[btc].smiles[2]
    days = (smile.expiry_ns - market.time_ns) / 86_400e9
    forward = market.forward(btc, smile.expiry_ns)
    assert at_the_money_vols(market, btc, (days,))[0] == pytest.approx(smile.vol(forward), rel=1e-6)


def test_too_little_is_refused() -> None:
    with pytest.raises(InputError, match="judged on 60 days"):
        diagnostics(np.ones(10), np.ones(10))
    with pytest.raises(InputError, match="at least one forecast"):
        chosen_forecast(np.ones(100), {})
    with pytest.raises(InputError, match="fitted on 60 days"):
        fit_blend(np.ones(5), np.ones(5), np.ones(5))
    with pytest.raises(InputError, match="NOPE has none"):
        at_the_money_vols(sample_market(), Currency("NOPE"), (30.0,))
