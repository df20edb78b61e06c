"""Time moved by hand: to make up for an outage, and not to where nothing can follow."""

from dataclasses import dataclass

import pytest
from litestar.testing import TestClient

from crossmargin.engine.commands import AdvanceTime
from crossmargin.service.application import application
from crossmargin.service.clock import Clock
from crossmargin.service.writer import Writer

NS = 10**9
NOW = 1_800_000_000 * NS
OUTAGE = 3 * 3600 * NS
THE_END = 2**63 - 1
"""In April 2262: the last that 64 bits count."""


@dataclass
class Hands:
    system: int = NOW
    monotonic: int = 77 * NS


@pytest.fixture
def stage(tmp_path):
    """An engine that stands where an outage began, three hours ago, and its clock."""
    writer = Writer(tmp_path, opening=lambda: (AdvanceTime(id="begin", time_ns=NOW - OUTAGE),))
    hands = Hands()
    clock = Clock(writer, tick_s=1, longest_jump_s=30, system=lambda: hands.system, monotonic=lambda: hands.monotonic)
    clock.tick()
    yield writer, hands, clock
    writer.close()


def moved(client, time_ns):
    answer = client.post(
        "/api/v1/commands", json={"type": "AdvanceTime", "time_ns": time_ns}, headers={"Idempotency-Key": str(time_ns)}
    )
    return answer.status_code, answer.json().get("error")


def passed(writer, hands, clock):
    """Let a second pass; return by how much the engine's time went on, ns."""
    before = writer.engine.state.time_ns
    hands.system, hands.monotonic = hands.system + NS, hands.monotonic + NS
    clock.tick()
    writer.submit(AdvanceTime(id=f"settled-{writer.record}", time_ns=before)).result(timeout=60)
    return writer.engine.state.time_ns - before


def test_an_outage_is_made_up_for_and_nothing_beyond(stage):
    writer, hands, clock = stage
    with TestClient(application(writer, clock=clock)) as client:
        for too_far in (THE_END, NOW + 31 * NS):
            status, error = moved(client, too_far)
            assert status == 400
            assert error["rule"] == "time may be moved to 2027-01-15T08:00:30.000Z at most"
        assert error["finding"] == "2027-01-15T08:00:31.000Z is 1 s later"
        assert writer.engine.state.time_ns == NOW - OUTAGE
        assert moved(client, NOW) == (200, None)
        assert moved(client, NOW + 30 * NS) == (200, None)
    assert passed(writer, hands, clock) == NS


def test_a_system_clock_that_jumped_lets_nobody_further(stage):
    writer, hands, clock = stage
    hands.system = THE_END - 40 * NS
    clock.tick()
    with TestClient(application(writer, clock=clock)) as client:
        assert moved(client, NOW + 31 * NS)[0] == 400
        assert moved(client, NOW)[0] == 200


def test_without_the_limit_time_stands_for_good(stage):
    writer, hands, clock = stage
    with TestClient(application(writer)) as client:
        assert moved(client, THE_END) == (200, None)
    hands.system = NOW
    assert passed(writer, hands, clock) == 0
    assert passed(writer, hands, clock) == 0
    assert writer.engine.state.time_ns == THE_END
