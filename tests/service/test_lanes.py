"""What must not wait passes what may: time, prices and operators before a flood of orders; once without the lane."""

import threading

import pytest

from crossmargin.engine.commands import AdvanceTime, Halt, OpenAccount, RunAudit
from crossmargin.service import command_queue
from crossmargin.service.command_queue import Busy
from crossmargin.service.writer import Writer

FEW = 8


@pytest.fixture
def writer(tmp_path):
    writer = Writer(tmp_path)
    yield writer
    writer.close()


def ordinary(number):
    return RunAudit(id=f"flood-{number}")


def flooded(writer, monkeypatch, then):
    """Fill the queue while the writer writes, ask for `then`, and return ids in the order in which they were applied."""
    entered, gate, write, applied = threading.Event(), threading.Event(), writer._submitted, []

    def held(commands):
        entered.set()
        assert gate.wait(60)
        applied.extend(each.id for each in commands)
        return write(commands)

    monkeypatch.setattr(writer, "_submitted", held)
    answers = [writer.submit(ordinary(0))]
    assert entered.wait(60)
    try:
        answers += [writer.submit(ordinary(number)) for number in range(1, FEW + 1)]
        if command_queue.LONGEST_QUEUE == FEW:
            with pytest.raises(Busy):
                writer.submit(ordinary(FEW + 1))
        answers += [writer.submit(each) for each in then]
    finally:
        gate.set()
    for each in answers:
        each.result(timeout=60)
    return applied


def test_what_is_urgent_passes_a_flood_that_fills_the_queue(writer, monkeypatch):
    monkeypatch.setattr(command_queue, "LONGEST_QUEUE", FEW)
    found = flooded(writer, monkeypatch, [AdvanceTime(id="tick", time_ns=1), Halt(id="halt", reason="a flood")])
    rest = [f"flood-{number}" for number in range(1, FEW + 1)]
    assert found == ["flood-0", "tick", "halt", *rest]


def test_without_the_lane_operators_are_shut_out(writer, monkeypatch):
    monkeypatch.setattr(command_queue, "LONGEST_QUEUE", FEW)
    monkeypatch.setattr(command_queue, "URGENT", ())
    with pytest.raises(Busy):
        flooded(writer, monkeypatch, [Halt(id="halt", reason="a flood")])


@pytest.mark.parametrize("passable", [False, True])
def test_what_is_urgent_passes_nothing_that_it_may_rest_on(writer, monkeypatch, passable):
    """A house opens accounts, and then time moves: at once or not, in that order; not so where they may be passed."""
    if passable:
        monkeypatch.setattr(command_queue, "OF_ACCOUNTS", (*command_queue.OF_ACCOUNTS, OpenAccount))
    opened = OpenAccount(id="open", account="new")
    found = flooded(writer, monkeypatch, [opened, AdvanceTime(id="tick", time_ns=1), Halt(id="halt", reason="a flood")])
    flood = [f"flood-{number}" for number in range(1, FEW + 1)]
    assert found[1:] == (["tick", "halt", *flood, "open"] if passable else [*flood, "open", "tick", "halt"])


def test_what_is_urgent_keeps_its_order_and_leaves_nothing_behind(writer):
    ticks = [writer.submit(AdvanceTime(id=f"t{number}", time_ns=number + 1)) for number in range(3 * 512)]
    assert not any(type(event).__name__ == "Refused" for each in ticks for event in each.result(timeout=60))
    assert writer.waiting == 0
