"""Crises against the prices that they were taken from, and the arithmetic of closing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossmargin.errors import InputError
from crossmargin.scenarios.crises import (
    COINS,
    CRISES,
    HORIZONS_HOURS,
    closing_hours,
    crisis_named,
    hypothetical_stresses,
)
from crossmargin.scenarios.stress import stress_scenarios
from crossmargin.units import Currency


def test_every_tabled_move_is_in_the_history(shared: Path, record_property: Callable[[str, object], None]) -> None:
    bars = pl.read_parquet(shared / "data" / "perp_1h.parquet")
    symbols = [f"{coin}USDT" for coin in COINS]
    close = bars.pivot(on="symbol", index="timestamp", values="close").sort("timestamp")
    low = bars.pivot(on="symbol", index="timestamp", values="low").sort("timestamp").select(symbols).to_numpy().T
    times = close["timestamp"].dt.replace_time_zone(None).to_numpy()
    price = close.select(symbols).to_numpy().T
    compared = 0
    for crisis in CRISES:
        inside = (times >= np.datetime64(crisis.first)) & (times < np.datetime64(crisis.last) + np.timedelta64(1, "D"))
        ends = np.flatnonzero(inside)
        for horizon, row in zip(HORIZONS_HOURS, crisis.closes, strict=True):
            moves = price[:, ends] / price[:, ends - int(horizon)]
            compared += _same(moves[:, np.argmin(np.nanmean(np.log(moves), axis=0))], row)
        moves = low[:, ends] / price[:, ends - 24]
        worst = int(np.argmin(np.nanmean(np.log(moves), axis=0)))
        compared += _same(moves[:, worst], crisis.low)
        after = np.arange(ends[worst] + 24, ends[worst] + 97)
        moves = price[:, after] / price[:, after - 24]
        compared += _same(moves[:, np.argmax(np.nanmean(np.log(moves), axis=0))], crisis.rebound)
    record_property("outside_cases", compared)


def _same(moves: np.ndarray, row: tuple[float, ...]) -> int:
    assert np.array_equal(np.round(moves - 1.0, 4), row, equal_nan=True)
    return int(np.isfinite(row).sum())


def test_every_vol_rise_is_in_the_history(shared: Path, record_property: Callable[[str, object], None]) -> None:
    dvol = pl.read_parquet(shared / "data" / "dvol_btc_daily.parquet").sort("date")
    days, level = dvol["date"].dt.date().cast(pl.String).to_numpy(), dvol["dvol_btc_close"].to_numpy()
    measured = [crisis for crisis in CRISES if crisis.vols_measured]
    for crisis in measured:
        ends = np.flatnonzero((days >= crisis.first) & (days <= crisis.last))
        rises = tuple(float(np.max(level[ends] / level[ends - span] - 1.0)) for span in (1, 3))
        assert crisis.vols == pytest.approx(rises, abs=5e-4)
    assert [crisis.name for crisis in CRISES if not crisis.vols_measured] == ["march-2020"]
    record_property("outside_cases", 2 * len(measured))


def test_beyond_the_table_the_log_move_scales_with_the_root_of_time() -> None:
    crisis = crisis_named("november-2022")
    four_times = crisis.price_move(Currency("SOL"), 4 * 72.0)
    assert 1.0 + four_times == pytest.approx((1.0 - 0.7041) ** 2)
    assert crisis.price_move(Currency("SOL"), 0.25) == pytest.approx((1.0 - 0.1323) ** 0.5 - 1.0)
    assert crisis.price_move(Currency("SOL"), 0.0) == 0.0


def test_between_horizons_a_move_lies_between_them() -> None:
    crisis = crisis_named("may-2021")
    # sqrt(h) half way between sqrt(8) and sqrt(24): the geometric mean of the two price ratios
    hours = ((8**0.5 + 24**0.5) / 2) ** 2
    assert 1.0 + crisis.price_move(Currency("BTC"), hours) == pytest.approx(((1 - 0.1089) * (1 - 0.2029)) ** 0.5)


def test_a_coin_that_did_not_trade_gets_the_median_of_the_others() -> None:
    crisis = crisis_named("march-2020")
    assert not crisis.traded(Currency("SOL"))
    # XRP, BNB, DOGE, ADA, LINK over 24 hours: the middle one is ADA
    assert crisis.price_move(Currency("SOL"), 24.0) == crisis.price_move(Currency("ADA"), 24.0) == -0.4652


def test_a_larger_position_meets_more_of_the_crisis() -> None:
    crisis, coin = crisis_named("october-2025"), Currency("DOGE")
    hours = [closing_hours(size, 1e9, participation=0.1, reaction_hours=1.0) for size in (0.0, 1e7, -1e8, 1e9)]
    assert hours == [1.0, pytest.approx(2.2), pytest.approx(13.0), pytest.approx(121.0)]
    stress = crisis.stress({coin: hours[0], Currency("BTC"): hours[3]})
    assert stress.prices[coin] == pytest.approx(-0.1505)
    assert stress.prices[Currency("BTC")] == pytest.approx((1 - 0.1074) ** ((121 / 72) ** 0.5) - 1)


def test_all_stresses_make_one_scenario_set_and_dollars_stand_still_in_history() -> None:
    coins = [Currency("BTC"), Currency("USDT"), Currency("PEPE")]
    history = [stress for crisis in CRISES for stress in crisis.stresses(coins)]
    together = stress_scenarios([*history, *hypothetical_stresses(coins)])
    assert together.size == 6 * len(CRISES) + 4
    usdt = together.price_factors(Currency("USDT"))
    assert (usdt[: 6 * len(CRISES)] == 1.0).all()
    assert usdt[6 * len(CRISES)] == pytest.approx(0.9)


def test_what_is_no_crisis_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="a crisis must be one of march-2020"):
        crisis_named("may-2020")
    with pytest.raises(InputError, match="participation must be inside"):
        closing_hours(1.0, 1.0, participation=0.0, reaction_hours=0.0)
