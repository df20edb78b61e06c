"""A journal gives back what was written, or refuses at the first record that it cannot."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from crossmargin.engine.commands import Command, Deposit, ListAsset, Resume, RunAudit
from crossmargin.engine.engine import Engine
from crossmargin.errors import InputError
from crossmargin.files.story import play
from crossmargin.store.journal import open_journal
from crossmargin.store.records import RecordError
from crossmargin.store.runner import Runner, replay

STORY = """
    fund     deposits 1_000
    alice    deposits 20_000
    bob      deposits 90_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 25_000
    settle   BTC-PERP
"""
KINDS = pytest.mark.parametrize("name", ["journal", "journal.sqlite"])


def write(path: Path, commands: list[Command]) -> Engine:
    journal = open_journal(path, write=True)
    runner = Runner(journal)
    for command in commands:
        runner.submit([command])
    journal.close()
    return runner.engine


@KINDS
def test_a_replay_gives_the_same_state(tmp_path: Path, name: str) -> None:
    story = play(STORY)
    engine = write(tmp_path / name, story.commands)
    found = replay(open_journal(tmp_path / name))
    assert found.commands == len(story.commands)
    assert found.events == len(story.events)
    assert found.engine.state_hash() == engine.state_hash() == story.engine.state_hash()


@KINDS
def test_a_journal_is_continued_where_it_ended(tmp_path: Path, name: str) -> None:
    story = play(STORY)
    for command in story.commands:
        write(tmp_path / name, [command])
    assert replay(open_journal(tmp_path / name)).engine.state_hash() == story.engine.state_hash()


def test_every_altered_byte_is_found_and_its_record_named(tmp_path: Path) -> None:
    write(tmp_path / "j", play(STORY).commands)
    (segment,) = (tmp_path / "j").glob("*.journal")
    clean = segment.read_bytes()
    dice = np.random.default_rng(4)
    for place in dice.choice(len(clean), 200, replace=False):
        altered = bytearray(clean)
        altered[place] ^= 1 << int(dice.integers(8))
        segment.write_bytes(altered)
        expected = clean[:place].count(b"\n") + 1
        with pytest.raises(RecordError) as caught:
            replay(open_journal(tmp_path / "j"))
        assert caught.value.number == expected


def test_a_folder_has_one_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the lock the second's record has a number of the first's, and the journal cannot be read any more."""
    path = tmp_path / "j"
    first = open_journal(path, write=True)
    with pytest.raises(InputError, match="one writer"):
        open_journal(path, write=True)
    assert len(list(open_journal(path).read())) == 1  # who only reads is let in
    monkeypatch.setattr("crossmargin.store.exclusive.fcntl.flock", lambda *_: None)
    second = open_journal(path, write=True)
    for journal in (second, first):
        journal.append([RunAudit(id="a")])
        journal.close()
    with pytest.raises(RecordError):
        list(open_journal(path).read())
    monkeypatch.undo()
    third = open_journal(tmp_path / "k", write=True)
    third.close()
    open_journal(tmp_path / "k", write=True).close()


@pytest.mark.parametrize("what", ["drop", "swap", "repeat"])
def test_records_cannot_be_dropped_moved_or_repeated(tmp_path: Path, what: str) -> None:
    write(tmp_path / "j", play(STORY).commands)
    (segment,) = (tmp_path / "j").glob("*.journal")
    lines = segment.read_bytes().splitlines(keepends=True)
    changed = {
        "drop": lines[:5] + lines[6:],
        "swap": [*lines[:5], lines[6], lines[5], *lines[7:]],
        "repeat": lines[:6] + lines[5:],
    }[what]
    segment.write_bytes(b"".join(changed))
    with pytest.raises(RecordError) as caught:
        replay(open_journal(tmp_path / "j"))
    assert caught.value.number == (7 if what == "repeat" else 6)


def test_an_altered_database_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "j.sqlite", play(STORY).commands)
    with sqlite3.connect(tmp_path / "j.sqlite") as connection:
        connection.execute("UPDATE records SET body = replace(body, '\"20000\"', '\"90000\"')")
        (number,) = connection.execute(
            'SELECT min(number) FROM records WHERE body LIKE \'%"amount":"90000"%\''
        ).fetchone()
    connection.close()
    with pytest.raises(RecordError) as caught:
        replay(open_journal(tmp_path / "j.sqlite"))
    assert caught.value.number == number


def test_a_torn_record_is_refused_by_a_reader_and_cut_off_by_the_writer(tmp_path: Path) -> None:
    commands = play(STORY).commands
    write(tmp_path / "j", commands)
    (segment,) = (tmp_path / "j").glob("*.journal")
    clean = segment.read_bytes()
    segment.write_bytes(clean[:-7])
    with pytest.raises(RecordError, match="torn"):
        replay(open_journal(tmp_path / "j"))
    write(tmp_path / "j", [commands[-1]])
    assert segment.read_bytes() == clean


def test_segments_chain_and_a_missing_one_is_found(tmp_path: Path) -> None:
    commands = play(STORY).commands
    journal = open_journal(tmp_path / "j", write=True)
    runner = Runner(journal)
    for place, command in enumerate(commands):
        if place % 5 == 4:
            journal.begin_segment()
        runner.submit([command])
    journal.close()
    assert replay(open_journal(tmp_path / "j")).engine.state_hash() == runner.engine.state_hash()
    (tmp_path / "j" / "000002.journal").unlink()
    with pytest.raises(RecordError, match="missing"):
        replay(open_journal(tmp_path / "j"))


def test_snapshots_leave_every_later_decision_unchanged(tmp_path: Path) -> None:
    story = play(STORY)
    for cut in range(1, len(story.commands), 4):
        folder = tmp_path / str(cut)
        journal = open_journal(folder / "j", write=True)
        first = Runner(journal, folder / "s")
        first.submit(story.commands[:cut])
        first.save_snapshot()
        first.submit(story.commands[cut : cut + 2])
        journal.close()
        again = open_journal(folder / "j", write=True)
        second = Runner(again, folder / "s")
        assert second.engine.state_hash() == first.engine.state_hash()
        second.submit(story.commands[cut + 2 :])
        again.close()
        assert second.engine.state_hash() == story.engine.state_hash()


def test_a_poisoned_command_halts_now_and_after_a_restart_until_an_operator_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(tmp_path / "j", write=True)
    runner = Runner(journal)
    runner.submit(play("alice deposits 5").commands)
    honest = Engine.apply

    def broken(engine: Engine, command: Command, text: bytes | None = None):
        if command.id == "bad":
            raise ZeroDivisionError("a bug")
        return honest(engine, command, text)

    monkeypatch.setattr(Engine, "apply", broken)
    deposits = [Deposit(id=name, account="alice", asset="USDC", amount=Decimal(1)) for name in ("bad", "late")]
    (halted, refused) = runner.submit(deposits)
    assert halted[0].breaker == "POISONED"
    assert refused[0].reason == "ENGINE_HALTED"
    journal.close()
    monkeypatch.undo()
    again = open_journal(tmp_path / "j", write=True)
    restarted = Runner(again)
    assert restarted.engine.state_hash() == runner.engine.state_hash()
    assert restarted.engine.state.halt.breaker == "POISONED"
    restarted.submit([Resume(id="go on", reason="mended"), deposits[1]])
    assert restarted.engine.state.halt is None
    assert restarted.engine.state.ledger.balance("alice", "USDC") == 6_000_000
    again.close()


WRITER = """
import os
import sys
from decimal import Decimal
from pathlib import Path
from crossmargin.engine.commands import Deposit
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import Runner
# imports take a second, a kill must not: each life of the writer is a fork of this process
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        runner = Runner(open_journal(Path(sys.argv[1]), write=True))
        for number in range(runner.engine.state.sequence, 10**9):
            runner.submit([Deposit(id=f"d{number}", account="alice", asset="USDC", amount=Decimal(1))])
            print(number, flush=True)
    print("life", child, flush=True)
    os.waitpid(child, 0)
    print("dead", flush=True)
"""


def live_and_die(process: subprocess.Popen, told: int) -> list[int]:
    """Let a writer live until it has told of so many commands, kill it, and return all that it told of."""
    process.stdin.write("live\n")
    process.stdin.flush()
    acknowledged, child = [], None
    for line in process.stdout:
        word, *rest = line.split()
        if word == "dead":
            break
        if word == "life":
            child = int(rest[0])
        else:
            acknowledged.append(int(word))
        if child is not None and len(acknowledged) >= told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    return acknowledged


def kill_at_random(tmp_path: Path, times: int, seed: int) -> None:
    dice = np.random.default_rng(seed)
    path = tmp_path / "j"
    commands = play("alice deposits 1").commands
    write(path, commands)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], **pipes) as process:
        for _ in range(times):
            told = live_and_die(process, int(dice.integers(1, 60)))
            journal = open_journal(path, write=True)  # cuts a torn tail, as a restart does
            journal.close()
            engine = replay(open_journal(path)).engine
            # sequence counts applied commands: none that was told is lost, and at most one more was on disk
            deposits = engine.state.sequence - len(commands) + 1
            assert engine.state.ledger.balance("alice", "USDC") == deposits * 1_000_000
            assert told[-1] + 1 <= engine.state.sequence <= told[-1] + 2


def test_kill_minus_nine_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    kill_at_random(tmp_path, times=3, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(20))
def test_kill_minus_nine_five_hundred_times(tmp_path: Path, part: int) -> None:
    # a journal grows with every life, and each is replayed twice: twenty journals of 25 deaths
    kill_at_random(tmp_path, times=25, seed=100 + part)


def test_reading_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert ListAsset(id="x", asset="BTC", quantum=Decimal(1)).quantum == 1
    with pytest.raises(Exception, match="must exist"):
        open_journal(tmp_path / "none")
