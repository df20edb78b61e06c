"""Recordings through the pump into an engine."""

import datetime as dt

import polars as pl
import pytest

from crossmargin.errors import InputError
from crossmargin.feeds.pump import Pump
from crossmargin.feeds.replay import Playhead, play
from crossmargin.files.market_recording import read_recording
from crossmargin.instruments.symbols import parse_contract


def _pump(desk, time_ns=0):
    playhead = Playhead(time_ns)
    return Pump(desk.submit, desk.is_listed, clock=playhead), playhead


def _file(folder, times):
    """BTC at 50,000 and on, one snapshot an hour; a perpetual ten above."""
    rows = []
    for number, time in enumerate(times):
        rows.append({"kind": "index", "time": time, "currency": "BTC", "price": 50000.0 + number})
        rows.append({"kind": "quote", "time": time, "instrument": "deribit:BTC/USD:BTC", "mark": 50010.0 + number})
    path = folder / "recording.csv"
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    return path


HOURS = [dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC) for hour in range(4)]


def test_a_recording_plays_at_its_speed(desk_at, tmp_path):
    desk = desk_at()
    desk.list("deribit:BTC/USD:BTC")
    pump, playhead = _pump(desk)
    waits = []
    played = play(read_recording(_file(tmp_path, HOURS)), pump, playhead, speed=3600.0, wait=waits.append)
    assert (played.snapshots, played.ticks, waits) == (4, 8, [1.0, 1.0, 1.0])
    market = desk.engine.state.market
    assert market.index["BTC"].price == 50003
    assert market.marks["deribit:BTC/USD:BTC"].price == 50013
    assert desk.engine.state.time_ns == int(HOURS[-1].timestamp()) * 10**9
    assert pump.refused == {}


def test_what_is_older_than_the_engine_is_skipped(desk_at, tmp_path):
    start_ns = int(HOURS[2].timestamp()) * 10**9
    desk = desk_at(start_ns)
    desk.list("deribit:BTC/USD:BTC")
    pump, playhead = _pump(desk, start_ns)
    played = play(read_recording(_file(tmp_path, HOURS)), pump, playhead, speed=float("inf"))
    assert (played.skipped, played.snapshots, pump.refused) == (2, 2, {})


def test_it_stops_when_asked_and_needs_a_speed(desk_at, tmp_path):
    pump, playhead = _pump(desk_at())
    path = _file(tmp_path, HOURS)
    assert play(read_recording(path), pump, playhead, speed=1e9, going=lambda: False).snapshots == 0
    with pytest.raises(InputError, match="speed"):
        play(read_recording(path), pump, playhead, speed=0.0)
    with pytest.raises(InputError, match="recording"):
        read_recording(tmp_path / "nothing.json")


def test_recorded_chains_reach_the_engine(desk_at, tmp_path, shared, record_property):
    """Three days of Deribit's chains: index, marks and vols in the engine are those of the last snapshot."""
    frame = pl.read_parquet(shared / "data/option_chains_daily.parquet").filter(pl.col("currency") == "BTC")
    days = frame["snapshot_ts"].unique().sort()[:3]
    last = frame.filter(pl.col("snapshot_ts") == days[-1], pl.col("mark") > 0.0, pl.col("mark_iv") > 0.0)
    rows = last.sort("expiry", "strike").filter(pl.col("expiry") > days[-1] + dt.timedelta(days=10)).head(40)
    ids = [
        f"deribit:BTC/USD:BTC-{row['expiry']:%y%m%d}-{row['strike']:.0f}-{row['option_type']}"
        for row in rows.iter_rows(named=True)
    ]
    desk = desk_at(int(days[0].timestamp() - 1) * 10**9, mark_band=None)
    desk.list(*ids)
    pump, playhead = _pump(desk, desk.engine.state.time_ns)
    path = tmp_path / "chains.parquet"
    frame.filter(pl.col("snapshot_ts").is_in(days.implode())).write_parquet(path)
    played = play(read_recording(path), pump, playhead, speed=float("inf"))
    assert (played.snapshots, pump.refused) == (3, {})
    market = desk.engine.market()
    for name, row in zip(ids, rows.iter_rows(named=True), strict=True):
        assert float(desk.engine.mark(name)) == pytest.approx(row["mark"], abs=1e-12)
        assert market.vol(parse_contract(name)) == pytest.approx(row["mark_iv"], abs=2e-3)
    assert market.index_price("BTC") == pytest.approx(last["index_price"][-1], rel=1e-3)
    record_property("outside_cases", len(ids))


def test_recorded_bars_of_the_crash_play(desk_at, shared, record_property):
    """5 August 2024 in steps of 15 minutes: the engine ends at the recorded close."""
    path = shared / "data/perp_15m_crash.parquet"
    desk = desk_at(mark_band=None)
    desk.list("binance:BTC/USDT:USDT")
    pump, playhead = _pump(desk)
    played = play(read_recording(path), pump, playhead, speed=float("inf"))
    frame = pl.read_parquet(path)
    assert played.snapshots == frame["timestamp"].n_unique()
    close = frame.filter(pl.col("symbol") == "BTCUSDT").sort("timestamp")["close"][-1]
    assert float(desk.engine.mark("binance:BTC/USDT:USDT")) == close
    assert float(desk.engine.state.market.index["BTC"].price) == close
    record_property("outside_cases", 2)
