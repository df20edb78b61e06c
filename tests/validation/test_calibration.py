"""A coin's calibration finds the volatility and the tail that its moves were drawn from."""

import json

import numpy as np
import pytest
from tests.cli.conftest import Run
from tests.cli.conftest import run as run

from crossmargin.units import NANOSECONDS_PER_DAY, Currency
from crossmargin.validation.calibration import calibrations
from crossmargin.validation.daily_bars import DailyBars


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


def test_calibrate_as_typed(run: Run, shared: object) -> None:
    code, out, _ = run("calibrate", "--data", f"{shared}/data", "--to", "2024-06-30", "--json")
    assert code == 0
    records = {record["currency"]: record for record in json.loads(out)}
    assert 0.2 < records["BTC"]["vol_forecast"] < 1.0
    assert "SUI" in records
    assert run("calibrate", "--data", f"{shared}/data", "--to", "yesterday")[0] == 2
