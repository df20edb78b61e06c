"""A replica stands where the engine stands whose journal it follows, and looks at nothing that may be taken back."""

import pytest
from tests.store.test_journal import STORY

from crossmargin.engine.commands import Resume
from crossmargin.engine.engine import Engine
from crossmargin.files.story import play
from crossmargin.store import journal as journals
from crossmargin.store.journal import open_journal
from crossmargin.store.records import RecordError
from crossmargin.store.replica import Replica, Tail
from crossmargin.store.runner import Runner


def followed(replica, until):
    return [number for number, _, _ in replica.follow(until)]


@pytest.mark.parametrize("records", [3, 100_000], ids=["many segments", "one segment"])
def test_a_replica_follows_step_by_step_over_segments(tmp_path, monkeypatch, records):
    monkeypatch.setattr(journals, "SEGMENT_RECORDS", records)
    journal = open_journal(tmp_path / "journal", write=True)
    runner, replica, seen = Runner(journal, tmp_path / "snapshots"), Replica(tmp_path, 0), []
    for command in play(STORY).commands:
        runner.submit([command])
        seen += followed(replica, journal.head()[0])
        assert replica.engine.state_hash() == runner.engine.state_hash()
    assert len(seen) == len(play(STORY).commands)
    assert len(list((tmp_path / "journal").iterdir())) == (1 if records > 3 else -(-journal.head()[0] // 3))
    assert followed(replica, journal.head()[0]) == []


def test_a_replica_begins_at_the_newest_snapshot_and_gives_one_that_recovers(tmp_path):
    journal = open_journal(tmp_path / "journal", write=True)
    runner, commands = Runner(journal, tmp_path / "snapshots"), play(STORY).commands
    runner.submit(commands[:-2])
    runner.save_snapshot()
    runner.submit(commands[-2:])
    replica = Replica(tmp_path, journal.head()[0])
    assert len(followed(replica, journal.head()[0])) == 2
    replica.save_snapshot()
    journal.close()
    again = Runner(open_journal(tmp_path / "journal", write=True), tmp_path / "snapshots")
    assert again.engine.state_hash() == runner.engine.state_hash()
    assert Replica(tmp_path, replica.record).engine.state_hash() == runner.engine.state_hash()


def test_a_poisoned_command_halts_the_replica_where_it_halted_the_engine(tmp_path, monkeypatch):
    journal = open_journal(tmp_path / "journal", write=True)
    runner, replica, commands = Runner(journal), Replica(tmp_path, 0), play(STORY).commands
    runner.submit(commands[:4])
    assert followed(replica, journal.head()[0])
    apply, poison = Engine.apply, commands[4]

    def raising(engine, command, text=None):
        if command.id == poison.id:
            raise ZeroDivisionError
        return apply(engine, command, text)

    monkeypatch.setattr(Engine, "apply", raising)
    runner.submit(commands[4:])
    followed(replica, journal.head()[0])
    assert replica.engine.state.halt.breaker == "POISONED"
    assert replica.engine.state_hash() == runner.engine.state_hash()
    runner.submit([Resume(id="on", reason="mended")])
    followed(replica, journal.head()[0])
    assert replica.engine.state_hash() == runner.engine.state_hash()


def test_what_was_taken_back_is_never_seen(tmp_path):
    """A disk that fills up takes half of a batch; the journal cuts it off, and goes on with something else."""
    path, commands = tmp_path / "journal", play(STORY).commands
    journal = open_journal(path, write=True)
    runner, replica = Runner(journal), Replica(tmp_path, 0)
    runner.submit(commands[:3])
    segment = path / "000001.journal"
    whole = segment.read_bytes()
    segment.write_bytes(whole + whole[:500])
    assert len(followed(replica, journal.head()[0])) == 3
    segment.write_bytes(whole)
    runner.submit(commands[3:])
    followed(replica, journal.head()[0])
    assert replica.engine.state_hash() == runner.engine.state_hash()


@pytest.mark.parametrize("spoilt", ["changed", "torn", "gone"])
def test_a_record_that_cannot_be_believed_is_refused(tmp_path, spoilt):
    journal = open_journal(tmp_path / "journal", write=True)
    Runner(journal).submit(play(STORY).commands)
    segment = tmp_path / "journal" / "000001.journal"
    whole = segment.read_bytes()
    end = whole.rfind(b"\n", 0, -1) + 1
    last = {"changed": whole[end:].replace(b"1", b"2", 1), "torn": whole[end:-9], "gone": b""}[spoilt]
    segment.write_bytes(whole[:end] + last)
    tail = Tail(tmp_path / "journal")
    tail.read(journal.head()[0] - 1)
    with pytest.raises(RecordError, match=f"record {journal.head()[0]} "):
        tail.read(journal.head()[0])


def test_a_snapshot_of_another_journal_is_refused(tmp_path):
    journal = open_journal(tmp_path / "journal", write=True)
    Runner(journal).submit(play(STORY).commands)
    with pytest.raises(RecordError, match="record 3 "):
        Tail(tmp_path / "journal", 3, "f" * 64)
