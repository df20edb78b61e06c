"""A coin's calibration finds the volatility and the tail that its moves were drawn from."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

from crossmargin.errors import InputError
from crossmargin.scenarios.grouped_t import TailFit
from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.calibration import calibrations
from crossmargin.validation.collateral_calibration import dependence, pair_offsets
from crossmargin.validation.daily_bars import DailyBars
from crossmargin.validation.implied_calibration import implied_calibration

LAST = dt.datetime(2024, 7, 1, tzinfo=dt.UTC)


def test_drawn_coins_are_found_again_and_a_young_one_is_left_out() -> None:
    dice = np.random.default_rng(6)
    returns = 0.03 * dice.standard_t(3, (3, 3_000)) / np.sqrt(3.0)
    closes = 100.0 * np.exp(np.cumsum(returns, axis=1))
    closes[2, :2_900] = np.nan
    bars = DailyBars(
        days_ns=np.arange(1, 3_001) * NANOSECONDS_PER_DAY,
        currencies=(Currency("BTC"), Currency("ETH"), Currency("NEW")),
        closes=closes,
        variances=np.where(np.isfinite(closes), 9e-4 * dice.gamma(5.0, 0.2, closes.shape), np.nan),
    )
    found = calibrations(bars)
    assert [each.currency for each in found] == ["BTC", "ETH"]
    for each in found:
        # 3 % a day is 0.03 sqrt(365) = 57 % a year; Student t with three degrees has tail index 1/3
        assert each.vol_forecast == pytest.approx(0.03 * np.sqrt(365.0), rel=0.15)
        assert each.tail_xi_losses == pytest.approx(1.0 / 3.0, abs=0.2)
        # drawn with three degrees of freedom, leaning to no side
        assert each.tail.degrees == pytest.approx(3.0, abs=0.4)
        assert each.tail.skew == 0.0
        # volatility that stands still has thin tails: no burst to put a buffer against but the forecast's own noise
        assert each.buffer.own.interval[1] > 15.0
        # what stands still is best forecast by the longest memory, and worst by the shortest
        loss = {name: seen.qlike for name, seen in each.choice.diagnostics.items()}
        assert loss["ewma 0.99"] < loss["ewma 0.97"] < loss["ewma 0.94"] < loss["ewma 0.9"]


@pytest.fixture
def few_coins(shared: Path, tmp_path: Path) -> Path:
    """Return a folder with the history of five coins: what is judged of one coin or pair is judged as in the whole."""
    names = [f"{coin}USDT" for coin in ("BTC", "ETH", "SOL", "LTC", "SUI")]
    folder = tmp_path / "data"
    folder.mkdir()
    for name, time in (("perp_1d", "date"), ("perp_1h", "timestamp")):
        rows = pl.scan_parquet(shared / "data" / f"{name}.parquet").filter(
            pl.col("symbol").is_in(names), pl.col(time).is_between(dt.datetime(2022, 6, 1, tzinfo=dt.UTC), LAST)
        )
        rows.collect().write_parquet(folder / f"{name}.parquet")
    (folder / "dvol_btc_daily.parquet").symlink_to(shared / "data" / "dvol_btc_daily.parquet")
    return folder


def test_calibrate_as_typed(
    run: Run, few_coins: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    check_calibrated(run, few_coins, tmp_path, record_property)


@pytest.mark.soak
def test_calibrate_as_typed_on_every_coin(
    run: Run, shared: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found = check_calibrated(run, shared / "data", tmp_path, record_property)
    cuts = {(cut["currency"], cut["amount"]): cut["haircut"] for cut in found["haircuts"]}
    assert cuts["BTC", 1e6] < cuts["LTC", 1e6]  # over two years alone LTC was the calmer


def check_calibrated(
    run: Run, data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> dict[str, Any]:
    page = tmp_path / "page.html"
    arguments = ["calibrate", "--data", data, "--to", "2024-06-30", "--offset-cap", 0.5]
    code, out, _ = run(*arguments, "--report", page, "--json")
    assert code == 0
    found = json.loads(out)
    records = {record["currency"]: record for record in found["coins"]}
    assert 0.2 < records["BTC"]["vol_forecast"] < 1.0
    assert "SUI" in records
    assert "Correlation" in page.read_text(encoding="utf-8")
    cuts = {(cut["currency"], cut["amount"]): cut["haircut"] for cut in found["haircuts"]}
    assert cuts["LTC", 1e6] < cuts["LTC", 1e7] < cuts["LTC", 1e8] <= 1.0
    for coin, tiers in found["haircut_tiers"].items():
        assert [tier["up_to"] for tier in tiers] == [1e6, 1e7, 1e8]
        marginal = [tier["haircut"] for tier in tiers]
        assert marginal == sorted(marginal)
        # selling the whole loses what its tiers charge, to half a percent of rounding of each
        charged = marginal[0] * 1e6 + marginal[1] * 9e6 + marginal[2] * 9e7
        assert charged == pytest.approx(cuts[coin, 1e8] * 1e8, abs=0.011 * 1e8)
    for offset in found["offsets"]:
        assert offset["charged"] == pytest.approx(max(offset["together"], 0.5 * offset["alone"]))
    for pair in ("BTC-ETH", "SOL-ETH"):
        shares = [offset["share"] for offset in found["offsets"] if offset["pair"] == pair]
        # as it is, towards one, towards none, towards against one another
        assert shares[1] > shares[0] > shares[2] > shares[3] > 0.0
        # tails of their own change what netting saves by little, the correlation being the same
        assert shares[4] == pytest.approx(shares[0], abs=0.06)
    matrix, expected = (np.array(found["correlation"][name]) for name in ("matrix", "expected_next_day"))
    assert np.linalg.eigvalsh(matrix)[0] > 0.0
    for name in ("eigenvalue_clipped", "exponentially_weighted"):
        other = np.array(found["correlation"][name])
        assert np.linalg.eigvalsh(other)[0] > 0.0
        assert 0.0 < np.abs(matrix - other).max() < 0.6
    assert 2.1 <= records["BTC"]["student_t"]["degrees"] < 6.0
    implied = found["implied"]
    # implied vol rises with falls, and says something of the next day that past ranges do not
    assert implied["spot_vol"]["beta_down"] < 0.0 < implied["blend"]["weight"] <= 1.0
    low, high = sorted((implied["vol_implied"], implied["vol_forecast"]))
    assert 0.5 * low < implied["vol_blended"] < 1.5 * high
    assert "Implied vol" in page.read_text(encoding="utf-8")
    assert np.linalg.eigvalsh(expected)[0] > 0.0
    assert 0.0 < np.abs(matrix - expected).max() < 0.6
    losses = {name: seen["qlike"] for name, seen in records["BTC"]["forecasts"].items()}
    assert set(losses) == {"ranges", "ewma 0.9", "ewma 0.94", "ewma 0.97", "ewma 0.99", "garch", "gjr"}
    assert records["BTC"]["forecast_chosen"] == min(losses, key=losses.get)
    record_property("outside_cases", len(records))
    assert run("calibrate", "--data", data, "--to", "yesterday")[0] == 2
    assert run("calibrate", "--data", data, "--offset-cap", "2")[0] == 2
    return dict(found)


def test_a_vol_that_follows_the_price_is_found_to_and_one_that_knows_the_day_is_believed() -> None:
    dice = np.random.default_rng(11)
    vols = 0.03 * np.exp(0.5 * dice.standard_normal(901))
    returns = vols[1:] * dice.standard_normal(900)
    moves = np.where(returns < 0.0, -0.8, -0.2) * returns
    closes = 100.0 * np.exp(np.concatenate([[0.0], np.cumsum(returns)]))[None]
    bars = DailyBars(
        days_ns=np.arange(1, 902) * NANOSECONDS_PER_DAY,
        currencies=(Currency("BTC"),),
        closes=closes,
        variances=vols[None] ** 2,
    )
    followed = implied_calibration(bars, Currency("BTC"), 0.6 * np.exp(np.concatenate([[0.0], np.cumsum(moves)])))
    law = followed.spot_vol
    assert (law.beta_down, law.beta_up) == pytest.approx((-0.8, -0.2), abs=0.02)
    # an index that tells each evening the vol of the next day, half as much again: all the weight, and the level back
    told = implied_calibration(bars, Currency("BTC"), 1.5 * np.sqrt(365.0) * np.append(vols[1:], 0.02))
    assert told.blend.weight == pytest.approx(1.0, abs=0.01)
    assert told.vol_blended == pytest.approx(0.02 * np.sqrt(365.0), rel=0.01)
    with pytest.raises(InputError, match="daily bars must hold ETH"):
        implied_calibration(bars, Currency("ETH"), vols)


def test_offsets_under_tails_of_their_own_are_those_of_one_t_where_the_tails_are_equal() -> None:
    dice = np.random.default_rng(4)
    closes = 100.0 * np.exp(np.cumsum(0.01 * dice.standard_normal((2, 1_000)), axis=1))
    bars = DailyBars(
        days_ns=np.arange(1, 1_001) * NANOSECONDS_PER_DAY,
        currencies=(Currency("BTC"), Currency("ETH")),
        closes=closes,
        variances=np.full(closes.shape, 1e-4),
    )
    law = TailFit(degrees=4.0, skew=0.0, fitted_skew=0.0, likelihood_ratio=0.0, p_value=1.0)
    laws = pair_offsets(bars, dependence(bars), dict.fromkeys(bars.currencies, law))[0].laws
    assert [each.law for each in laws][::4] == ["as it is", "own tails"]
    assert laws[4].share == pytest.approx(laws[0].share, abs=0.02)
    # one that is far wilder than the other changes it
    wild = pair_offsets(bars, dependence(bars), {Currency("BTC"): law, Currency("ETH"): replace(law, degrees=2.2)})
    assert wild[0].laws[4].share != pytest.approx(laws[4].share, abs=0.005)


def test_an_offset_of_normal_moves_has_the_closed_form() -> None:
    # two coins of one vol and correlation 0.8: the pair's standard deviation is sqrt(2 - 1.6) of a leg's
    dice = np.random.default_rng(2)
    moves = 0.01 * dice.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], 1_500).T
    closes = 100.0 * np.exp(np.cumsum(moves, axis=1))
    bars = DailyBars(
        days_ns=np.arange(1, 1_501) * NANOSECONDS_PER_DAY,
        currencies=(Currency("BTC"), Currency("ETH")),
        closes=closes,
        variances=np.full(closes.shape, 1e-4),
    )
    found = dependence(bars)
    assert found.correlation[0, 1] == pytest.approx(0.8, abs=0.08)
    pair = pair_offsets(bars, found, {})[0]
    # a t copula of four degrees is a little tighter in its tail than the normal law: 1 - sqrt(0.4) / 2 = 68 %
    assert pair.laws[0].share == pytest.approx(1.0 - np.sqrt(2.0 - 2.0 * found.correlation[0, 1]) / 2.0, abs=0.05)
