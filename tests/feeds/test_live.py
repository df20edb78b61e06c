"""A venue through ccxt.pro's protocol: sessions break and come back, gaps and silence show."""

import asyncio
import contextlib
from decimal import Decimal

import pytest

from crossmargin.errors import InputError
from crossmargin.feeds.live import Follow, LiveFeed, LiveRules, said_by_ticker
from crossmargin.feeds.ticks import Door, OptionTick

BTC = Follow(symbol="BTC/USD", kind="index", subject="BTC")


class Clock:
    """Time that passes only when somebody sleeps or a script says so."""

    def __init__(self):
        self.now = 0.0
        self.slept = []
        self.task = None

    def end(self):
        self.task.cancel()

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) > 50:
            self.end()
        await asyncio.sleep(0)


def run(feed, clock):
    """Run a feed until its script is at its end."""

    async def until_cancelled():
        clock.task = asyncio.create_task(feed.run())
        with contextlib.suppress(asyncio.CancelledError):
            await clock.task

    asyncio.run(until_cancelled())


class Scripted:
    """An exchange that says what a script has next: a ticker, a pause in seconds, or an exception."""

    id = "scripted"

    def __init__(self, script, clock, closed):
        self.script, self.clock, self.closed = script, clock, closed
        self.tickers = {}

    async def load_markets(self):
        if self.script and isinstance(self.script[0], OSError):
            raise self.script.pop(0)
        return {"BTC/USD": {}}

    async def watch_tickers(self, symbols):
        await asyncio.sleep(0)
        while self.script and isinstance(self.script[0], float):
            self.clock.now += self.script.pop(0)
        if not self.script:
            self.clock.end()
            await asyncio.Event().wait()
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        if step == "silence":
            await asyncio.Event().wait()
        self.tickers[symbols[0]] = step
        return {symbols[0]: step}

    async def close(self):
        self.closed.append(True)


def follow(script, **rules):
    clock, closed, said = Clock(), [], []
    feed = LiveFeed(
        "scripted",
        lambda: Scripted(script, clock, closed),
        lambda _: [BTC],
        said.append,
        rules=LiveRules(**rules),
        sleep=clock.sleep,
        clock=clock,
    )
    run(feed, clock)
    return feed.status, said, clock, closed


def price(number):
    return {"bid": number, "ask": number, "timestamp": 1_773_100_800_000}


def test_a_broken_session_comes_back_and_is_written_down():
    status, said, clock, closed = follow([price(1), ConnectionError("reset"), price(2), price(3)])
    assert [each.values["price"] for each in said] == [1, 2, 3]
    assert (status.sessions, status.broken, len(closed)) == (2, 1, 2)
    assert status.last_error == "ConnectionError: reset"
    assert clock.slept[0] == 0.5


def test_pauses_double_up_to_a_limit_and_begin_anew_after_news():
    script = [*(OSError("no route") for _ in range(5)), price(1), *(OSError("no route") for _ in range(2)), price(2)]
    script.insert(6, ConnectionError("reset"))
    status, said, clock, _ = follow(script, first_pause=1.0, longest_pause=4.0)
    assert clock.slept[:8] == [1.0, 2.0, 4.0, 4.0, 4.0, 1.0, 2.0, 4.0]
    assert len(said) == 2
    assert status.broken == 8


def test_a_silent_connection_is_given_up():
    status, said, _, _ = follow([price(1), "silence", price(2)], silence=0.05, gap=0.05)
    assert [each.values["price"] for each in said] == [1, 2]
    assert status.last_error.startswith("TimeoutError")


def test_gaps_are_counted():
    status, _, _, _ = follow([price(1), 1.0, price(2), 7.0, price(3), ConnectionError("x"), 60.0, price(4)], gap=5.0)
    assert (status.messages, status.gaps) == (4, 2)


def test_a_venue_with_nothing_of_ours_is_a_broken_session():
    clock = Clock()
    feed = LiveFeed(
        "scripted", lambda: Scripted([], clock, []), lambda _: [], print,
        sleep=clock.sleep, clock=clock,
    )  # fmt: skip
    run(feed, clock)
    assert feed.status.state == "down"
    assert "lists nothing" in feed.status.last_error


@pytest.mark.parametrize(
    ("follows", "ticker", "expected"),
    [
        pytest.param(BTC, {"bid": 10, "ask": 12}, 11, id="middle"),
        pytest.param(BTC, {"bid": 10, "ask": None, "last": 9.5}, Decimal("9.5"), id="last where a side is missing"),
        pytest.param(
            Follow(symbol="BTC/USDC", kind="index", subject="BTC", quote="USDC"), {"bid": 100, "ask": 100}, 88,
            id="USDC at 0.88, as in March 2023",
        ),
        pytest.param(
            Follow(symbol="BTC/DAI", kind="index", subject="BTC", quote="DAI"), {"bid": 1, "ask": 1}, None,
            id="a quote coin without a price",
        ),
        pytest.param(Follow(symbol="a", kind="mark", subject="a"), {"bid": 1, "markPrice": 2.5}, Decimal("2.5"), id="mark"),
        pytest.param(
            Follow(symbol="BTC/USD:BTC", kind="index", subject="BTC"), {"bid": 9, "ask": 9, "indexPrice": 10}, 10,
            id="the index that a contract states",
        ),
        pytest.param(BTC, None, None, id="nothing"),
        pytest.param(BTC, {"bid": "x", "ask": float("nan"), "last": -1}, None, id="nonsense"),
    ],
)  # fmt: skip
def test_what_a_ticker_says(follows, ticker, expected):
    assert said_by_ticker("v", follows, ticker, {"USDC": Decimal("0.88")}.get).values["price"] == expected


def test_an_option_comes_with_its_vol_and_forward():
    """Deribit's answer in the documentation of public/ticker: 61.27 % and 38,992.71."""
    info = {"mark_iv": 61.27, "underlying_price": 38992.71, "mark_price": 0.2168}
    follows = Follow(symbol="BTC/USD:BTC-240927-40000-C", kind="mark", subject="deribit:BTC/USD:BTC-240927-40000-C")
    said = said_by_ticker("deribit", follows, {"markPrice": 0.2168, "info": info, "timestamp": 1699578548021}, {}.get)
    tick = Door().admit(said, now_ns=1_699_578_548_021_000_000)
    assert isinstance(tick, OptionTick)
    assert (tick.price, tick.vol, tick.forward) == (Decimal("0.2168"), 0.6127, 38992.71)


def test_rules_refuse_nonsense():
    with pytest.raises(InputError, match="gap"):
        LiveRules(gap=0.0)
