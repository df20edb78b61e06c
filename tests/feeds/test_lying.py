"""A feed that lies is contained: what cannot be is turned away and counted, what can be is not believed alone."""

import math
from concurrent.futures import Future
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.engine import commands as ask
from crossmargin.feeds.pump import Pump, PumpRules
from crossmargin.feeds.ticks import Door, Said
from crossmargin.files.parameters import read_parameters
from crossmargin.margin.methods import method_named

PERPETUAL = "deribit:BTC/USD:BTC"
SECOND = 10**9
START = 1_773_100_800 * SECOND


class Clock:
    def __init__(self):
        self.time_ns = START

    def __call__(self):
        return self.time_ns


@pytest.fixture
def market(desk_at):
    """An engine with a levered long, a pump, and a clock."""
    import msgspec

    desk = desk_at(START, index_min_sources=2, index_outlier=0.02, mark_band=0.02, index_own_source="own")
    desk.list(PERPETUAL)
    parameters = msgspec.to_builtins(read_parameters(method_named("scenario_grid")))
    desk.submit(ask.SetMarginParameters(id="margin", method="scenario_grid", parameters=parameters))
    clock = Clock()
    pump = Pump(desk.submit, desk.is_listed, clock=clock)
    say(pump, dict.fromkeys(("a", "b", "c", "own"), 100000), mark=100_000)
    for name in ("long", "short"):
        desk.submit(ask.OpenAccount(id=f"open {name}", account=name))
        desk.submit(ask.Deposit(id=f"deposit {name}", account=name, asset="BTC", amount=Decimal(1)))
    (event, *_) = desk.submit(
        ask.RecordTrade(
            id="trade",
            buyer="long",
            seller="short",
            instrument=PERPETUAL,
            quantity=Decimal(15000),
            price=Decimal(100_000),
        )
    ).result()
    assert type(event).__name__ == "Traded", event
    return desk, pump, clock


def say(pump, prices, mark=None, time_ns=None):
    now = pump._clock() if time_ns is None else time_ns
    for source, price in prices.items():
        pump.offer(Said(source=source, kind="index", subject="BTC", values={"price": price}, time_ns=now))
    if mark is not None:
        pump.offer(Said(source="own", kind="mark", subject=PERPETUAL, values={"price": mark}, time_ns=now))
    pump.tell()


def index(desk):
    return float(desk.engine.state.market.index["BTC"].price)


def hurt(desk):
    return desk.engine.state.accounts["long"].state


def test_one_source_that_falls_by_nine_tenths_moves_nothing_and_hurts_nobody(market):
    """F01: the own venue at a tenth while three others stay; then all fall, and the engine follows."""
    desk, pump, clock = market
    for step in range(10):
        clock.time_ns += SECOND
        say(pump, {"a": 100_000, "b": 100_001, "c": 99_999, "own": 10_000}, mark=10_000)
        assert index(desk) == pytest.approx(100_000, rel=1e-4)
        # the mark's band is 2 % of the index, whose average leaves the lowest and the highest source out
        assert float(desk.engine.mark(PERPETUAL)) >= 0.98 * index(desk) * (1 - 1e-9)
        assert hurt(desk) == "HEALTHY", step
    clock.time_ns += SECOND
    say(pump, dict.fromkeys(("a", "b", "c", "own"), 60000), mark=60_000)
    assert (index(desk), float(desk.engine.mark(PERPETUAL))) == (60_000, 60_000)
    assert hurt(desk) != "HEALTHY"


def test_a_minority_of_liars_leaves_the_index_among_the_honest(market):
    """F09: two of five sources say anything, among it nonsense, extremes and old prices."""
    desk, pump, clock = market
    honest = {"a": 99_900, "b": 100_000, "c": 100_100}
    for lies in ((0, 1e9), (math.nan, -5), (None, "nonsense"), (math.inf, 1e300), (1e-30, 100_000), (True, [])):
        clock.time_ns += SECOND
        say(pump, {**honest, "d": lies[0], "e": lies[1]})
        assert 99_900 <= index(desk) <= 100_100, lies
        assert hurt(desk) == "HEALTHY"
    assert pump.refused == {}
    turned_away = {status.source: sum(status.rejected.values()) for status in pump.statuses()}
    assert (turned_away["d"], turned_away["e"], turned_away["a"]) == (6, 4, 0)


def test_prices_of_the_past_and_of_the_future_are_turned_away(market):
    desk, pump, clock = market
    clock.time_ns += 100 * SECOND
    say(pump, {"a": 100_000, "b": 100_000, "c": 100_000})
    for offset, reason in ((-200, "too old"), (30, "from the future"), (-5, "out of order")):
        say(pump, {"a": 50_000, "b": 50_000, "c": 50_000}, time_ns=clock.time_ns + offset * SECOND)
        assert index(desk) == 100_000
        assert pump.door.tallies["a"].rejected[reason] == 1
    say(pump, {"a": 100_000})
    assert pump.door.tallies["a"].rejected["said before"] == 1


def test_silence_makes_prices_stale_and_liquidates_nobody(market):
    desk, pump, clock = market
    for _ in range(100):
        clock.time_ns += SECOND
        pump.tell()
    assert desk.engine.state.market.index["BTC"].quality == "STALE"
    assert {status.state for status in pump.statuses()} == {"stale"}
    assert hurt(desk) == "HEALTHY"


anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.decimals(),
    st.lists(st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["index", "mark", "option", "funding", "else"]),
    subject=st.one_of(st.sampled_from(["BTC", PERPETUAL, f"{PERPETUAL}-260327-90000-P"]), anything),
    values=st.dictionaries(
        st.sampled_from(["price", "bid", "ask", "vol", "forward", "rate", "due_ns"]), anything, max_size=7
    ),
    time_ns=st.one_of(anything, st.integers(START - 10**11, START + 10**10)),
)
def test_whatever_is_said_nothing_raises_and_only_possible_numbers_pass(kind, subject, values, time_ns):
    """F11: the door against anything at all."""
    tick = Door().admit(Said(source="x", kind=kind, subject=subject, values=values, time_ns=time_ns), START)
    if tick is None:
        return
    assert START - 60 * SECOND <= tick.time_ns <= START
    price = getattr(tick, "price", None)
    assert price is None or (price.is_finite() and price >= 0)
    bid, ask_ = values.get("bid"), values.get("ask")
    if isinstance(bid, int | float) and isinstance(ask_, int | float) and not isinstance(bid, bool):
        assert not bid > ask_ > 0 or isinstance(ask_, bool)


def test_one_bad_piece_does_not_hold_up_the_others(market):
    """Vols of a coin without an index price have the update refused; its prices arrive all the same."""
    desk, pump, clock = market
    option = "deribit:ETH/USD:ETH-260327-3000-C"
    desk.list(option)
    clock.time_ns += SECOND
    values = {"price": 0.05, "vol": 0.6, "forward": 3000.0}
    pump.offer(Said(source="v", kind="option", subject=option, values=values, time_ns=clock.time_ns))
    pump.offer(Said(source="v", kind="mark", subject="no:such/thing", values={"price": 1}, time_ns=clock.time_ns))
    say(pump, {"a": 100_500, "b": 100_500, "c": 100_500})
    assert index(desk) == 100_500
    assert float(desk.engine.mark(option)) == 0.05
    assert (pump.refused, pump.pending.unlisted) == ({"MALFORMED": 2}, 1)


def test_a_burst_becomes_one_command_and_a_full_queue_loses_nothing(market):
    desk, pump, clock = market
    clock.time_ns += SECOND
    for number in range(1000):
        clock.time_ns += 1000
        pump.offer(
            Said(
                source="own",
                kind="mark",
                subject=PERPETUAL,
                values={"price": 100_000 + number / 1000},
                time_ns=clock.time_ns,
            )
        )
    room = [False]

    def full_or_not(command):
        if room[0]:
            return desk.submit(command)
        answer = Future()
        answer.set_exception(RuntimeError("the queue is full"))
        return answer

    pump._submit = full_or_not
    pump.rules = PumpRules(interval_seconds=0.0)
    due = clock.time_ns
    pump.offer(
        Said(source="own", kind="funding", subject=PERPETUAL, values={"rate": 0.0001, "due_ns": due}, time_ns=due)
    )
    pump.tell()
    pump.tell()
    assert (pump.waited, pump.updates) == (2, 1)
    room[0], before = True, len(desk.told)
    pump.tell()
    told = [type(command).__name__ for command in desk.told[before:]]
    assert told == ["AdvanceTime", "UpdateMarket", "ApplyFunding"]
    assert float(desk.engine.mark(PERPETUAL)) == 100_000.999
    assert pump.pending.coalesced == 999
    pump.offer(
        Said(source="own", kind="funding", subject=PERPETUAL, values={"rate": 0.0002, "due_ns": due}, time_ns=due + 1)
    )
    pump.tell()
    assert sum(isinstance(command, ask.ApplyFunding) for command in desk.told) == 1  # a payment is made once
