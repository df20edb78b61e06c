"""A follower in a process of its own: it is started again where it dies, ends with its service, and writes snapshots."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from litestar.datastructures import State
from tests.service.test_projection import contents, filled_anew, opening, story, told

from crossmargin.service import following
from crossmargin.service.processes.nursery import started_afresh
from crossmargin.service.projection import DatabaseDownError, open_database
from crossmargin.service.projector import Projector
from crossmargin.service.reading import projected
from crossmargin.service.writer import Writer
from crossmargin.store.replica import Replica
from crossmargin.store.snapshots import newest_snapshot, newest_snapshot_record

LONGEST_S = 300.0
"""On a machine with other work."""


def until(met):
    deadline = time.monotonic() + LONGEST_S
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_process_that_is_killed_is_started_again_and_misses_nothing(tmp_path, forked):
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder, forked))
    assert writer.projector.wait_for(writer.record, LONGEST_S)
    steps = list(story())
    told(writer, steps[:6])
    first = writer.projector.process
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: writer.projector.failure is not None)
    told(writer, steps[6:])
    assert writer.projector.wait_for(writer.record, LONGEST_S)
    assert writer.projector.process.pid != first.pid
    assert writer.projector.failure is None
    running, record = contents(writer.projector.database), writer.record
    writer.close()
    writer.projector.process.wait(0)
    assert newest_snapshot_record(folder / "snapshots") == record  # it ended in order
    assert running == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


def test_a_process_that_is_on_its_way_up_is_not_waited_for_and_the_next_one_misses_nothing(tmp_path, forked):
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder, started_afresh))
    told(writer, list(story())[:3])
    record, ended = writer.record, writer.projector
    until(lambda: ended.process is not None)
    writer.close()
    assert ended.process.returncode == -signal.SIGKILL
    assert newest_snapshot_record(folder / "snapshots") == record  # the writer's
    again = Writer(folder, projector=Projector(url, folder, forked))
    assert again.projector.wait_for(record, LONGEST_S)
    running = contents(again.projector.database)
    again.close()
    again.projector.process.wait(0)
    assert running == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


SERVING = """
import sys
from pathlib import Path
from crossmargin.service.processes.nursery import nursery
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer
folder = Path(sys.argv[1])
with nursery() as start:
    writer = Writer(folder, projector=Projector(f"sqlite:///{folder}/p.sqlite", folder, start))
    assert writer.projector.wait_for(writer.record, 300)
    print(writer.projector.process.pid, flush=True)
    sys.stdin.read()
"""


def test_it_ends_when_its_service_is_killed(tmp_path):
    Writer(tmp_path, opening=opening).close()
    service = subprocess.Popen(
        [sys.executable, "-c", SERVING, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    follower = int(service.stdout.readline())
    others = {follower, *map(int, Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split())}
    assert len(others) == 2  # the nursery, of which it is a child
    assert all(map(is_running, others))
    service.kill()
    service.communicate()
    until(lambda: not any(map(is_running, others)))


ALONE = """
import os, signal, sys
from decimal import Decimal
from pathlib import Path
from crossmargin.engine.commands import Deposit
from crossmargin.service.processes.nursery import nursery
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer
folder = Path(sys.argv[1])
with nursery() as start:
    writer = Writer(folder, projector=Projector(f"sqlite:///{folder}/p.sqlite", folder, start))
    assert writer.projector.wait_for(writer.record, 300)
    (parent,) = map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
    os.kill(parent, signal.SIGKILL)
    os.waitid(os.P_PID, parent, os.WEXITED | os.WNOWAIT)
    writer.submit(Deposit(id="later", account="cash-only", asset="USDC", amount=Decimal(1))).result(300)
    assert writer.projector.wait_for(writer.record, 300)
    assert writer.projector.failure is None
    writer.close()
"""


def test_it_goes_on_when_what_forked_it_is_killed(tmp_path):
    """Its parent is nobody to it: it would have told that the tables are lost."""
    Writer(tmp_path, opening=opening).close()
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path)], capture_output=True, text=True, timeout=LONGEST_S
    )
    assert ran.returncode == 0, ran.stderr


def is_running(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_writes_the_snapshots_and_the_last_on_its_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "SNAPSHOT_EVERY", 10)
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    assert writer.projector.wait_for(writer.record, LONGEST_S)
    begun, writes = newest_snapshot_record(folder / "snapshots"), []
    monkeypatch.setattr(writer, "_save_snapshot", lambda: writes.append(writer.record))
    for each in story():
        told(writer, [each])
        assert writer.projector.wait_for(writer.record, LONGEST_S)
    assert newest_snapshot_record(folder / "snapshots") >= begun + 30
    engine, record = writer.engine, writer.record
    writer.close()
    assert writes == []
    found = newest_snapshot(folder / "snapshots", record)
    assert found.record == record
    assert found.engine.state_hash() == engine.state_hash()


def test_the_writer_writes_the_last_snapshot_where_nobody_did(tmp_path, monkeypatch):
    monkeypatch.setattr(Replica, "save_snapshot", lambda _: None)
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    told(writer, story())
    record = writer.record
    writer.close()
    assert newest_snapshot_record(folder / "snapshots") == record


def test_snapshots_are_written_while_the_database_never_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "SNAPSHOT_EVERY", 10)
    monkeypatch.setattr(following, "PAUSE_S", 0.1)
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/no/such/folder/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    monkeypatch.setattr(writer, "_save_snapshot", lambda: None)
    told(writer, story())
    # the last records too: it hears of them though the database has said nothing since
    until(lambda: newest_snapshot_record(folder / "snapshots") > writer.record - 10)
    until(lambda: writer.projector.failure is not None)
    writer.close()


def test_a_database_that_has_come_back_since_it_was_tried_last_gets_all_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "PAUSE_S", 3600.0)
    folder, tables = tmp_path / "j", tmp_path / "tables"
    url = f"sqlite:///{tables}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    until(lambda: writer.projector.failure is not None)
    told(writer, story())
    waits = []
    monkeypatch.setattr(writer.projector, "wait_for", lambda _, wait_s: waits.append(wait_s))
    with pytest.raises(DatabaseDownError):
        projected(State({"writer": writer}))
    assert waits == [0], "nobody waits for tables that are known to be down"
    tables.mkdir()
    writer.close()
    database = open_database(url)
    running = contents(database)
    database.dispose()
    assert running == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


def test_a_fault_of_ours_stops_the_tables_and_nothing_else(tmp_path, monkeypatch):
    """It is said, and the tables are had from the journal once it is mended."""
    made, real = iter(range(1000)), following.change

    def failing(*given):
        if next(made) >= 3:
            raise ValueError("no rows")
        return real(*given)

    monkeypatch.setattr(following, "change", failing)
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    told(writer, story())
    until(lambda: writer.projector.failure is not None)
    assert writer.projector.failure == "no rows"
    assert writer.projector.lag > 0
    told(writer, [next(story())])  # a repeat: the engine answers as ever
    writer.close()
    monkeypatch.setattr(following, "change", real)
    assert filled_anew(folder, url) == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


@pytest.mark.parametrize("unlocked", [False, True])
def test_a_second_follower_waits_for_the_first(tmp_path, monkeypatch, unlocked):
    """One whose service was killed may be in the midst of writing when the next begins; without the lease both would."""
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/p.sqlite"
    Writer(folder, opening=opening).close()
    if unlocked:
        monkeypatch.setattr(following.fcntl, "flock", lambda *_: None)
    first, second = Projector(url, folder), Projector(url, folder)
    first.start(3)
    assert first.wait_for(3, LONGEST_S)
    second.start(5)
    assert second.wait_for(5, LONGEST_S if unlocked else 0.5) == unlocked
    first.close()
    assert second.wait_for(5, LONGEST_S)
    second.close()
