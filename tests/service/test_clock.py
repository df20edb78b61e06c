"""The service's clock: what passes reaches the engine, what jumps does not and liquidates nobody."""

from dataclasses import dataclass

import pytest

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.clock import Clock
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

NS = 10**9
HOUR = 3600 * NS
CALLED = "near-liquidation"
"""Below its initial margin: called, and liquidated when the deadline of its call has passed."""


@dataclass
class Hands:
    system: int = 1_800_000_000 * NS
    monotonic: int = 77 * NS

    def go(self, seconds, jump=0.0):
        self.monotonic += int(seconds * NS)
        self.system += int((seconds + jump) * NS)


@pytest.fixture
def stage(tmp_path):
    """A small book with an account that is called, and an engine whose time goes by hands of ours."""
    names = (CALLED, "cash-only")
    writer = Writer(
        tmp_path,
        opening=lambda: tuple(
            opening_commands([book for book in sample_book() if book.account in names], sample_market())
        ),
    )
    hands = Hands()
    assert writer.engine.state.accounts[CALLED].state == "MARGIN_CALL"
    yield writer, hands, clock_by(writer, hands)
    writer.close()


def clock_by(writer, hands, longest_jump_s=30.0):
    return Clock(
        writer,
        tick_s=1,
        longest_jump_s=longest_jump_s,
        system=lambda: hands.system,
        monotonic=lambda: hands.monotonic,
    )


def settled(writer):
    """Wait until all that was asked is applied."""
    with writer.lock:
        time_ns = writer.engine.state.time_ns
    from crossmargin.engine.commands import AdvanceTime

    writer.submit(AdvanceTime(id=f"settled-{writer.record}", time_ns=time_ns)).result(timeout=60)
    return writer.engine.state


def test_time_passes_as_it_does(stage):
    writer, hands, clock = stage
    start = writer.engine.state.time_ns
    for _ in range(10):
        clock.tick()
        hands.go(1.5)
        settled(writer)
    assert writer.engine.state.time_ns - start == 9 * 1_500_000_000
    assert clock.finding is None


@pytest.mark.parametrize("jump", [-HOUR / NS, 24 * HOUR / NS, 3e9, -1e9])
def test_a_jump_of_the_systems_clock_has_no_effect(stage, jump):
    writer, hands, clock = stage
    state = writer.engine.state
    before = {name: held.state for name, held in state.accounts.items()}
    start = state.time_ns
    clock.tick()
    hands.go(1)
    assert clock.standing is None
    clock.tick()
    hands.go(1, jump)
    settled(writer)
    clock.tick()
    assert clock.finding == f"the system's clock jumped by {jump:+.1f} s"
    assert clock.standing == f"the system's clock stands {jump:+.0f} s from where it would without its jumps"
    hands.go(1)
    settled(writer)
    clock.tick()
    state = settled(writer)
    assert state.time_ns - start == 3 * NS
    hands.go(1, -jump)
    clock.tick()
    # it is where it was, and nothing is wrong any more
    assert clock.standing is None
    assert {name: held.state for name, held in state.accounts.items()} == before


def test_a_clock_that_is_set_by_little_at_a_time_stands_where_it_comes_to(stage):
    """Steps that are each too small to be told are told by their sum."""
    _, hands, clock = stage
    clock.tick()
    for _ in range(6):
        hands.go(1, 6.0)
        clock.tick()
    assert clock.finding is None
    assert "+36 s" in clock.standing


@pytest.mark.parametrize("seconds", [24 * 3600, 31, -5])
def test_an_interval_in_which_the_service_stood_is_left_out(stage, seconds):
    writer, hands, clock = stage
    before = {name: held.state for name, held in writer.engine.state.accounts.items()}
    start = writer.engine.state.time_ns
    clock.tick()
    hands.go(seconds)
    clock.tick()
    assert "between two ticks" in clock.finding
    hands.go(2)
    clock.tick()
    state = settled(writer)
    assert state.time_ns - start == 2 * NS
    assert {name: held.state for name, held in state.accounts.items()} == before


def test_without_a_limit_the_same_interval_liquidates(stage):
    writer, hands, _ = stage
    clock = clock_by(writer, hands, longest_jump_s=1e9)
    clock.tick()
    hands.go(24 * 3600)
    clock.tick()
    assert settled(writer).accounts[CALLED].state != "MARGIN_CALL"
