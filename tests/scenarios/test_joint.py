"""Joint scenarios against the dates that they come from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.errors import InputError
from crossmargin.scenarios.filtered import filtered_scenarios
from crossmargin.scenarios.joint import joint_filtered_scenarios
from crossmargin.scenarios.volatility import ewma_variance_path
from crossmargin.units import Currency, FloatArray

BTC, ALT = Currency("BTC"), Currency("ALT")


def test_a_date_keeps_its_factors_together_at_today_s_volatility() -> None:
    rng = np.random.default_rng(5)
    returns, vols, basis = (scale * rng.normal(size=(2, 400)) for scale in (0.04, 0.06, 0.02))
    vols[1] = np.nan  # no options on ALT
    dates = tuple(map(str, range(400)))
    drawn = joint_filtered_scenarios((BTC, ALT), returns, vol_moves=vols, basis_moves=basis, dates=dates)
    at = int(drawn.labels[-1].split(",")[0])

    def rescaled(row: FloatArray) -> float:
        path = ewma_variance_path(row, 0.94)
        return float(row[at] * np.sqrt(path[-1] / path[at]))

    assert np.log(drawn.price_factors(ALT)[-1]) == pytest.approx(rescaled(returns[1]))
    assert np.log1p(drawn.vol_shocks(BTC)[-1]) == pytest.approx(rescaled(vols[0]))
    assert drawn.basis_shifts(BTC)[-1] == pytest.approx(rescaled(basis[0]))
    assert (drawn.vol_shocks(ALT) == 0.0).all()
    assert drawn.size == 400 - 30


def test_history_s_own_spot_vol_dependence_is_kept(
    shared: Path, record_property: Callable[[str, object], None]
) -> None:
    dvol = pl.read_parquet(shared / "data" / "dvol_btc_daily.parquet").select(
        pl.col("date").dt.date(), "dvol_btc_close"
    )
    bars = pl.read_parquet(shared / "data" / "perp_1d.parquet").filter(pl.col("symbol") == "BTCUSDT")
    joined = dvol.join(bars.select(pl.col("date").dt.date(), "close"), on="date").sort("date")
    x, v = (np.diff(np.log(joined[name].to_numpy()))[None, :] for name in ("close", "dvol_btc_close"))
    drawn = joint_filtered_scenarios((BTC,), x, vol_moves=v, dates=tuple(map(str, joined["date"][1:])), count=1_000)
    prices, vols = np.log(drawn.price_factor[0]), np.log1p(drawn.vol_shock[0])
    past = [row[0, -1_000:] / np.sqrt(ewma_variance_path(row[0], 0.94)[-1_001:-1]) for row in (x, v)]
    assert np.corrcoef(prices, vols)[0, 1] == pytest.approx(np.corrcoef(*past)[0, 1], rel=1e-9)
    # in the worst hundredth of days vols rise by more than on the average day
    worst = np.argsort(prices)[:10]
    assert vols[worst].mean() > vols.mean() + vols.std()
    record_property("outside_cases", drawn.size)


def test_no_factor_is_rescaled_beyond_what_it_has_done() -> None:
    dice = np.random.default_rng(8)
    returns, vols = 0.01 * dice.normal(size=(2, 1, 300))
    returns[0, 200], vols[0, 200] = 0.4, -0.5  # a jump out of calm ...
    returns[0, -30:] *= 10.0  # ... told again on a stormy day
    vols[0, -30:] *= 10.0
    dates = tuple(map(str, range(300)))
    found = joint_filtered_scenarios((BTC,), returns, vol_moves=vols, dates=dates)
    assert np.log(found.price_factor).max() == pytest.approx(0.4)
    assert np.log1p(found.vol_shock).min() == pytest.approx(-0.5)
    paths = np.array([ewma_variance_path(row, 0.94) for row in returns])
    alone = filtered_scenarios((BTC,), returns, paths, dates=dates)
    assert np.log(alone.price_factor).max() == pytest.approx(0.4)
    assert (returns[:, -270:] / np.sqrt(paths[:, -271:-1]) * np.sqrt(paths[:, -1])).max() > 1.0  # without the bound


def test_what_does_not_fit_is_refused() -> None:
    dates = tuple(map(str, range(200)))
    with pytest.raises(InputError, match="vol moves must have shape"):
        joint_filtered_scenarios((BTC,), np.ones((1, 200)), vol_moves=np.ones((2, 200)), dates=dates)
    with pytest.raises(InputError, match="every coin needs returns, ALT"):
        joint_filtered_scenarios((BTC, ALT), np.array([np.ones(200), np.full(200, np.nan)]), dates=dates)
    with pytest.raises(InputError, match="100 dates must be complete"):
        joint_filtered_scenarios((BTC,), np.ones((1, 90)), dates=dates[:90])
