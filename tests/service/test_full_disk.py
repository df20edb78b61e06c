"""The service as a process of its own whose disk is full: it refuses, keeps what it acknowledged, and goes on with room.

In the suite a limit on the size of files stands for the disk, on a soaking night a small file system is really full, where
the user may mount one.
"""

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
from decimal import Decimal

import pytest
from own_process import served, small_folder

from crossmargin.service.writer import Writer
from crossmargin.store.journal import open_journal

RULE = "a command must be on disk before it is applied"
FREE = resource.RLIM_INFINITY, resource.RLIM_INFINITY
MOUNT, UNMOUNT = ("mount", "-t", "tmpfs", "-o", "size=24m", "none"), ("umount", "--lazy")
LONGEST_S = 300
MOST = 20_000
"""Deposits, far more than any room that is left."""


class Depositor:
    """Asks for deposits of 1 USDC one after the other, each under a key of its own."""

    def __init__(self, service):
        self.service, self.acknowledged, self.refused = service, [], []

    def ask(self, key):
        body = {"account": "cash-only", "asset": "USDC", "amount": "1"}
        answer = self.service.pages.post("/api/v1/deposits", json=body, headers={"Idempotency-Key": key})
        if answer.status_code == 200:
            self.acknowledged.append(key)
            return True
        assert answer.status_code == 503, answer.text
        error = answer.json()["error"]
        assert error["rule"] == RULE
        assert "File too large" in error["finding"] or "No space left on device" in error["finding"]
        self.refused.append(key)
        return False

    def fill(self, name):
        """Ask until `refused` have been in a row, so that no remainder is left that a smaller command would fit in."""
        in_a_row = 0
        for number in range(MOST):
            in_a_row = 0 if self.ask(f"{name}-{number}") else in_a_row + 1
            if in_a_row == 5:
                return
        raise AssertionError("the disk is never full")

    def ask_again(self):
        again, self.refused = self.refused, []
        assert all(self.ask(key) for key in again)


def wait_for_tables(service):
    """Wait until they are level: a process of theirs that is still on its way up is not waited for at the end."""
    deadline = time.monotonic() + LONGEST_S
    while "\ncrossmargin_projection_lag_records 0.0\n" not in service.pages.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def judge(folder, acknowledged):
    """What was acknowledged is there once, nothing else is, and the tables say the same."""
    assert len(set(acknowledged)) == len(acknowledged)
    *_, (last, _) = open_journal(folder / "journal").read()
    tables = sqlite3.connect(folder / "projection.sqlite")
    with contextlib.closing(tables):
        assert tables.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        ((stood,),) = tables.execute("SELECT record FROM position")
        ((text,),) = tables.execute("SELECT amount FROM balances WHERE account = 'cash-only' AND asset = 'USDC'")
    assert stood == last
    writer = Writer(folder)
    engine = writer.engine
    assert all(engine.has_applied(f"api-{key}") for key in acknowledged)
    assert Decimal(text) == engine.state.ledger.balance("cash-only", "USDC") * engine.state.assets["USDC"].quantum
    writer.close()
    return Decimal(text)


def test_a_limit_on_files_refuses_commands_until_it_is_gone(tmp_path):
    folder = tmp_path / "data"
    small_folder(folder)
    writer = Writer(folder)
    before = writer.engine.state.ledger.balance("cash-only", "USDC") * writer.engine.state.assets["USDC"].quantum
    writer.close()
    with served(folder, "--open") as service:
        depositor = Depositor(service)
        assert depositor.ask("first")
        wait_for_tables(service)
        size = sum(path.stat().st_size for path in (folder / "journal").iterdir())
        for each in service.family():
            resource.prlimit(each, resource.RLIMIT_FSIZE, (size + 3000, resource.RLIM_INFINITY))
        depositor.fill("full")
        assert service.health()["status"] == "ok"
        assert service.pages.get("/api/v1/accounts/cash-only").status_code == 200
        for each in service.family():
            resource.prlimit(each, resource.RLIMIT_FSIZE, FREE)
        assert depositor.refused
        depositor.ask_again()
        assert depositor.ask("last")
    assert judge(folder, depositor.acknowledged) - before == len(depositor.acknowledged)


@pytest.fixture
def small_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run([*MOUNT, disk]).returncode:
        pytest.skip("no small file system may be mounted here")
    yield disk
    subprocess.run([*UNMOUNT, disk], check=True)


def leave(disk, free):
    """Fill a file system until so many bytes are left."""
    with (disk / "filler").open("ab") as filler:
        filler.write(b"\0" * (shutil.disk_usage(disk).free - free))


@pytest.mark.soak
def test_a_file_system_that_is_full_refuses_commands_until_there_is_room(tmp_path, small_disk, record_property):
    """The second time the service is killed meanwhile, and started while it still is, its log on the same disk."""
    folder, logs = small_disk / "data", (tmp_path / "log", tmp_path / "log", small_disk / "log")
    small_folder(folder)
    writer = Writer(folder)
    before = writer.engine.state.ledger.balance("cash-only", "USDC") * writer.engine.state.assets["USDC"].quantum
    writer.close()
    acknowledged, refused = [], 0
    for turn in range(3):
        with served(folder, "--open", log=logs[turn]) as service:
            depositor = Depositor(service)
            assert depositor.ask(f"first-{turn}") or turn == 2
            if turn < 2:
                wait_for_tables(service)
                leave(small_disk, 60_000)
                depositor.fill(f"full-{turn}")
            refused += len(depositor.refused)
            assert service.health()["status"] == "ok"
            assert service.pages.get("/api/v1/accounts/cash-only").status_code == 200
            if turn == 1:
                acknowledged += depositor.acknowledged
                os.kill(service.process.pid, signal.SIGKILL)
                service.process.join()
                continue
            (small_disk / "filler").unlink()
            depositor.ask_again()
            assert depositor.ask(f"last-{turn}")
            wait_for_tables(service)
            acknowledged += depositor.acknowledged
    record_property("acknowledged", len(acknowledged))
    record_property("refused", refused)
    assert judge(folder, acknowledged) - before == len(acknowledged)
