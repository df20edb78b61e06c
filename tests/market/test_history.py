"""Price histories and the scenarios drawn from them."""

from pathlib import Path

import numpy as np
import pytest

from crossmargin.errors import InputError, MarketDataError
from crossmargin.files.history import read_history
from crossmargin.market.history import PriceHistory
from crossmargin.market.snapshot import MarketSnapshot, Price
from crossmargin.scenarios.historical import historical_scenarios
from crossmargin.scenarios.stress import Stress, stress_scenarios
from crossmargin.units import Currency

BTC, ETH = Currency("BTC"), Currency("ETH")
HISTORY = PriceHistory(
    times_ns=np.arange(1, 7),
    currencies=(BTC, ETH),
    prices=np.array([[1.0, 2.0, 1.0, 4.0, 2.0, 8.0], [np.nan, 1.0, 2.0, 1.0, 2.0, 1.0]]),
)


def test_overlapping_and_separate_returns() -> None:
    assert np.exp(HISTORY.log_returns(2)[0]) == pytest.approx([1.0, 2.0, 2.0, 2.0])
    assert np.exp(HISTORY.log_returns(2, overlapping=False)[0]) == pytest.approx([2.0, 2.0])
    assert HISTORY.return_times_ns(2, overlapping=False).tolist() == [4, 6]


def test_only_dates_complete_for_every_coin_become_scenarios() -> None:
    scenarios = historical_scenarios(HISTORY, (BTC, ETH))
    assert scenarios.size == 4
    assert scenarios.price_factor[0] == pytest.approx([0.5, 4.0, 0.5, 4.0])
    assert historical_scenarios(HISTORY, (BTC,)).size == 5


def test_age_weights_fall_by_the_decay() -> None:
    weights = historical_scenarios(HISTORY, (BTC,), decay=0.5).weights
    assert weights[1:] / weights[:-1] == pytest.approx(2.0)
    assert weights.sum() == pytest.approx(1.0)


def test_a_coin_outside_the_history_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="lacks SOL"):
        historical_scenarios(HISTORY, (BTC, Currency("SOL")))


def test_a_snapshot_refuses_a_history_from_its_future() -> None:
    with pytest.raises(MarketDataError, match="must end by its time"):
        MarketSnapshot(time_ns=5, index={BTC: Price(1.0)}, history=HISTORY)
    assert MarketSnapshot(time_ns=5, index={BTC: Price(1.0)}, history=HISTORY.until(5)).history is not None


def test_stresses_move_what_they_name_and_nothing_else() -> None:
    scenarios = stress_scenarios(
        [Stress(name="fall", prices={BTC: -0.4}, vols={BTC: 1.0}), Stress(name="depeg", prices={ETH: 0.1})]
    )
    assert scenarios.labels == ("fall", "depeg")
    assert scenarios.price_factors(BTC).tolist() == [0.6, 1.0]
    assert scenarios.price_factors(ETH).tolist() == [1.0, 1.1]
    assert scenarios.vol_shocks(BTC).tolist() == [1.0, 0.0]


def test_the_long_parquet_layout_of_daily_bars_is_read(shared: Path) -> None:
    history = read_history(shared / "data" / "perp_1d.parquet")
    assert history.prices.shape[0] == 21
    # the bar that opened on 1 January 2020 closed at 7,197.57 and was known a day later
    assert history.prices[history.currencies.index(BTC), 0] == 7197.57
    assert history.times_ns[0] == 1_577_923_200 * 10**9
    scenarios = historical_scenarios(history, (BTC, ETH), horizon=2, count=500)
    assert scenarios.size == 500


def test_a_gap_in_time_is_no_ordinary_step() -> None:
    gapped = PriceHistory(
        times_ns=np.array([1, 2, 3, 6, 7, 8]), currencies=(BTC,), prices=np.array([[1.0, 1.1, 1.2, 9.0, 9.1, 9.2]])
    )
    assert np.isnan(gapped.log_returns(1)[0]).tolist() == [False, False, True, False, False]
    assert historical_scenarios(gapped, (BTC,)).price_factor.max() < 1.2
