"""Feeds of a running service: ccxt.pro's own Deribit client, pointed at one service, feeds another."""

import time
from decimal import Decimal

import polars as pl
import pytest
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.engine.parameters import EngineParameters
from crossmargin.errors import InputError
from crossmargin.feeds.live import LiveRules
from crossmargin.service.application import application
from crossmargin.service.feeding import Recorded, Venues, feeding, parse_feed
from crossmargin.service.writer import Writer

ccxtpro = pytest.importorskip("ccxt.pro")
OPTION = "deribit:BTC/USD:BTC-260327-100000-C"
LISTED = ("deribit:BTC/USD:BTC", "deribit:BTC/USD:BTC-260327", OPTION, "deribit:BTC/USD:BTC-260327-90000-P")


@pytest.fixture
def follower(tmp_path):
    """A second service that knows the contracts and no price."""
    writer = Writer(tmp_path / "follower")
    commands = [
        ask.SetParameters(id="parameters", parameters=EngineParameters(index_max_age_ns=10**19, mark_band=None))
    ]
    commands += [ask.ListAsset(id=f"list {coin}", asset=coin, quantum=Decimal("1e-8")) for coin in ("BTC", "USDC")]
    commands += [ask.ListInstrument(id=f"list {name}", instrument=name, lot_size=Decimal("0.1")) for name in LISTED]
    for command in commands:
        writer.submit(command).result(timeout=60)
    yield writer
    writer.close()


def until(true, seconds=120.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_an_unmodified_client_feeds_prices(follower, client, writer):
    """Marks and index of the venue arrive, a change follows, and what is of another day is turned away."""

    def connect(name):
        def make():
            exchange = getattr(ccxtpro, name)({"enableRateLimit": False, "timeout": 120_000})
            exchange.urls["api"] = client.urls["api"]
            return exchange

        return make

    # the venue's engine stands at its own day; its ticks would be far too old for a clock of today
    writer.submit(ask.AdvanceTime(id="today", time_ns=client.milliseconds() * 10**6)).result(timeout=60)
    prices = {"deribit:BTC/USD:BTC": Decimal(95020), "deribit:BTC/USD:BTC-260327": Decimal(95510)}
    writer.submit(
        ask.UpdateMarket(id="today's", index={"BTC": (ask.Quote(source="x", price=Decimal(95001)),)}, marks=prices)
    ).result(timeout=60)
    with feeding(follower, [Venues(names=("deribit",))], connect=connect, rules=LiveRules(silence=20.0)) as found:
        until(lambda: "deribit:BTC/USD:BTC-260327" in follower.engine.state.market.marks)
        until(lambda: "BTC" in follower.engine.state.market.index)
        until(lambda: "deribit:BTC/USD:BTC" in follower.engine.state.market.marks)
        assert follower.engine.mark("deribit:BTC/USD:BTC") == 95020
        # contracts whose marks are of the venue's own day are turned away, and counted
        until(lambda: found.status()["sources"][0]["rejected"].get("too old", 0) > 0)
        status = found.status()
        assert status["connections"][0]["state"] == "live"
        assert status["sources"][0]["accepted"] >= 3
        writer.submit(ask.AdvanceTime(id="later", time_ns=client.milliseconds() * 10**6)).result(timeout=60)
        writer.submit(ask.UpdateMarket(id="moves", marks={"deribit:BTC/USD:BTC": Decimal(95033)})).result(timeout=60)
        until(lambda: follower.engine.mark("deribit:BTC/USD:BTC") == 95033)
        assert found.status()["refused"] == {}


def test_a_recording_feeds_a_service_and_shows(follower, tmp_path):
    rows = []
    for hour in range(3):
        time_ = f"2026-01-01T0{hour}:00:00Z"
        rows.append({"kind": "index", "time": time_, "currency": "BTC", "price": 50000.0 + hour})
        rows.append({"kind": "quote", "time": time_, "instrument": LISTED[0], "mark": 50010.0 + hour})
    path = tmp_path / "recording.csv"
    pl.DataFrame(rows, infer_schema_length=None).write_csv(path)
    with feeding(follower, [Recorded(path=path, speed=float("inf"))]) as found:
        until(lambda: follower.engine.mark(LISTED[0]) == 50012)
        with TestClient(application(follower, feeds=found.status)) as web:
            shown = web.get("/api/v1/feeds").json()
    assert shown["sources"][0]["source"] == "recording"
    assert (shown["updates"], shown["findings"]) == (3, [])


def test_a_wrong_row_ends_the_recording_and_says_so(follower, tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_text(
        "kind,time,currency,price\nindex,2026-01-01T00:00:00Z,BTC,50000\nindex,2026-01-01T01:00:00Z,BTC,-1\n"
    )
    with feeding(follower, [Recorded(path=path, speed=float("inf"))]) as found:
        until(lambda: found.findings)
        assert found.findings[0].startswith("wrong.csv: ")
        assert follower.engine.state.market.index["BTC"].price == 50000


def test_without_feeds_there_is_nothing_to_show(follower):
    with TestClient(application(follower)) as web:
        assert web.get("/api/v1/feeds").json()["sources"] == []


@pytest.mark.parametrize("text", ["", "replay:", "replay:a@0", "replay:a@x", "ccxt:", "ccxt:a b", "other:a"])
def test_a_feed_that_is_none_is_refused(text):
    with pytest.raises(InputError, match="feed must be"):
        parse_feed(text)


def test_a_venue_that_ccxt_does_not_know_is_refused(follower):
    with pytest.raises(InputError, match="ccxt"), feeding(follower, [Venues(names=("nowhere",))]):
        pass
