"""Backups: taken while commands come in, brought back to the same engine, refused where a byte is another."""

import sqlite3
import threading
from decimal import Decimal

import pytest

from crossmargin.engine.commands import Deposit
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import writer as writing
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer
from crossmargin.store import journal
from crossmargin.store.backup import MANIFEST, back_up, restore
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import replay


def opening():
    return tuple(opening_commands([book for book in sample_book() if book.account == "cash-only"], sample_market()))


def deposit(number):
    return Deposit(id=f"d-{number}", account="cash-only", asset="USDC", amount=Decimal(1))


def test_a_backup_of_a_running_service_is_one_moment_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SEGMENT_RECORDS", 150)
    monkeypatch.setattr(writing, "SNAPSHOT_EVERY", 100)
    writer = Writer(tmp_path / "live", opening=opening)
    stopping, last = threading.Event(), []

    def load():
        number = 0
        while not stopping.is_set():
            writer.submit(deposit(number)).result(timeout=60)
            last.append(number)
            number += 1

    thread = threading.Thread(target=load)
    thread.start()
    taken = []
    for number in range(3):
        while len(last) < 40 * (number + 1):
            assert thread.is_alive()
        known = len(last)
        taken.append((known, back_up(tmp_path / "live", tmp_path / f"backup-{number}")))
    stopping.set()
    thread.join()
    writer.close()
    for number, (known, manifest) in enumerate(taken):
        assert restore(tmp_path / f"backup-{number}", tmp_path / f"again-{number}") == manifest
        again = Writer(tmp_path / f"again-{number}", opening=opening)
        assert again.engine.state_hash() == manifest.state_hash
        assert all(again.engine.has_applied(f"d-{each}") for each in range(known))
        answer = again.submit(deposit("after")).result(timeout=60)
        assert type(answer[0]).__name__ == "BalanceChanged"
        again.close()
        assert replay(open_journal(tmp_path / f"again-{number}" / "journal")).engine.state_hash() == (
            again.engine.state_hash()
        )
    assert taken[0][1].record < taken[2][1].record


def test_every_file_of_a_backup_is_checked(tmp_path):
    writer = Writer(tmp_path / "live", opening=opening)
    with sqlite3.connect(tmp_path / "live" / "keys.sqlite") as keys:
        keys.execute("CREATE TABLE keys (name TEXT)")
        keys.execute("INSERT INTO keys VALUES ('a')")
    keys.close()
    manifest = back_up(tmp_path / "live", tmp_path / "backup")
    writer.close()
    assert set(manifest.files) >= {"keys.sqlite", "journal/000001.journal"}
    assert not {"writer.lease", "projection.sqlite"} & set(manifest.files)
    for name in manifest.files:
        path = tmp_path / "backup" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
        with pytest.raises(InputError, match="altered"):
            restore(tmp_path / "backup", tmp_path / "again")
        path.unlink()
        with pytest.raises(InputError, match="missing"):
            restore(tmp_path / "backup", tmp_path / "again")
        path.write_bytes(whole)
    restore(tmp_path / "backup", tmp_path / "again")
    with pytest.raises(InputError, match="must be empty"):
        restore(tmp_path / "backup", tmp_path / "again")
    (tmp_path / "backup" / MANIFEST).unlink()
    with pytest.raises(InputError, match="whole"):
        restore(tmp_path / "backup", tmp_path / "other")
    with pytest.raises(InputError, match="no journal"):
        back_up(tmp_path / "backup" / "snapshots", tmp_path / "third")


def test_a_damaged_journal_is_not_backed_up_in_silence(tmp_path):
    Writer(tmp_path / "live", opening=opening).close()
    path = tmp_path / "live" / "journal" / "000001.journal"
    path.write_bytes(path.read_bytes().replace(b"cash-only", b"cash-onlz", 1))
    with pytest.raises(CrossMarginError, match="record"):
        back_up(tmp_path / "live", tmp_path / "backup")
    assert not (tmp_path / "backup" / MANIFEST).exists()
