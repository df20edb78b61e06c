"""A guarded service, backed up while it is asked, and restored: it knows its keys and users, and its log is whole."""

import contextlib
import hashlib
import json
import sqlite3
import threading

import pytest
from litestar.testing import TestClient

from crossmargin.cli import app
from crossmargin.errors import InputError
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.access.audit import BrokenChainError
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.roles import Scope
from crossmargin.service.access.signatures import ed25519_public
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer
from crossmargin.store import backup as backups
from crossmargin.store.backup import MANIFEST

from .conftest import PASSWORD, Caller

PRIVATE = bytes(range(1, 33))
LEAST = 30
"""Deposits before the backup and after it."""


def command(capsys, *arguments):
    app(list(map(str, arguments)), result_action="return_value")
    return json.loads(capsys.readouterr().out)


def opened(folder):
    writer = Writer(folder, projector=Projector(f"sqlite:///{folder}/projection.sqlite", folder))
    access = Access(folder)
    access.nonces._earliest_ms = 0  # the tests need not wait for a second
    return writer, access


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A folder with a small book, and callers by both kinds of signature, of which one has ended."""
    folder = tmp_path_factory.mktemp("live")
    master_key(folder, create=True)
    writer, access = opened(folder)
    book = [portfolio for portfolio in sample_book() if portfolio.account == "cash-only"]
    for each in opening_commands(book, sample_market()):
        writer.submit(each).result(timeout=300)
    made = {"hmac": access.keys.create(owner="desk", scopes=frozenset(Scope), accounts=None, created_ns=1)}
    made["ed25519"] = access.keys.create(
        owner="desk", scopes=frozenset(Scope), accounts=None, created_ns=1, public=ed25519_public(PRIVATE).hex()
    )
    made["ended"] = access.keys.create(owner="gone", scopes=frozenset(Scope), accounts=None, created_ns=1)
    access.keys.revoke(made["ended"][0].id, 2)
    access.users.set("ada", password=PASSWORD, role="admin", accounts=None)
    yield folder, writer, access, made
    writer.close()
    access.close()


def callers(client, made):
    return {
        name: Caller(client, key.id, secret, PRIVATE if name == "ed25519" else None)
        for name, (key, secret) in made.items()
    }


def deposit(caller, number):
    body = b'{"account":"cash-only","asset":"USDC","amount":"1"}'
    return caller.send("POST", "/api/v1/deposits", body, idempotency_key=f"b-{number}").status_code


def test_a_restored_service_knows_its_keys_and_users_and_its_log_is_whole(live, tmp_path, capsys):
    folder, writer, access, made = live
    acknowledged, stopping, failures = [], threading.Event(), []

    def load(caller):
        number = 0
        while not stopping.is_set():
            if deposit(caller, number) != 200:
                failures.append(number)
                return
            acknowledged.append(number)
            number += 1

    def until(count):
        while len(acknowledged) < count:
            assert thread.is_alive(), failures
            thread.join(0.01)

    with TestClient(application(writer, access=access), base_url="https://testserver.local") as client:
        thread = threading.Thread(target=load, args=(callers(client, made)["hmac"],))
        thread.start()
        try:
            until(LEAST)
            known = len(acknowledged)
            taken = command(capsys, "backup", folder, tmp_path / "backup", "--json")
            until(known + LEAST)
        finally:
            stopping.set()
            thread.join()
    assert failures == []
    restored = command(capsys, "restore", tmp_path / "backup", tmp_path / "again", "--json")
    assert restored["state_hash"] == taken["state_hash"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "again").rglob("*") if path.is_file())
    again, opened_access = opened(tmp_path / "again")
    try:
        assert again.engine.state_hash() == taken["state_hash"]
        assert all(again.engine.has_applied(f"api-desk:b-{number}") for number in range(known))
        # the log in the backup is a beginning of the live one, and at least as long as what was acknowledged before
        entries = list(opened_access.log.entries())
        assert entries == list(access.log.entries())[: len(entries)]
        assert opened_access.log.verified()[0] == len(entries) >= known
        with TestClient(application(again, access=opened_access), base_url="https://testserver.local") as client:
            found = callers(client, made)
            assert deposit(found["hmac"], "after") == deposit(found["ed25519"], "after-2") == 200
            assert deposit(found["ended"], "never") == 401
            assert client.post("/api/v1/session", json={"user": "ada", "password": PASSWORD}).status_code == 200
            assert client.post("/api/v1/session", json={"user": "ada", "password": PASSWORD[1:]}).status_code == 401
            # what was acknowledged before the backup is asked again, and counts once
            before = client_balance(found["hmac"])
            assert deposit(found["hmac"], 0) == 200
            assert client_balance(found["hmac"]) == before
        assert again.projector.wait_for(again.record, 600)
        # it goes on with the chain
        assert opened_access.log.verified()[0] > len(entries)
    finally:
        again.close()
        opened_access.close()


def client_balance(caller):
    (found,) = caller.send("GET", "/api/v1/accounts/cash-only").json()["balances"]
    return found["amount"]


def test_a_backup_whose_log_or_keys_were_altered_is_refused(live, tmp_path, capsys):
    folder, *_ = live
    command(capsys, "backup", folder, tmp_path / "backup", "--json")
    held = (tmp_path / "backup" / "access.sqlite").read_bytes()
    (tmp_path / "backup" / "access.sqlite").write_bytes(held[:-1] + bytes([held[-1] ^ 1]))
    with pytest.raises(InputError, match=r"access\.sqlite is missing or altered"):
        command(capsys, "restore", tmp_path / "backup", tmp_path / "again", "--json")
    # past the manifest's digests the chain itself still says so
    (tmp_path / "backup" / "access.sqlite").write_bytes(held)
    command(capsys, "restore", tmp_path / "backup", tmp_path / "again", "--json")
    access = Access(tmp_path / "again")
    access.log.append(time_ns=1, who="ada", via="key:1", address="::1", action="POST /x", decision="allowed")
    with sqlite3.connect(tmp_path / "again" / "access.sqlite") as database:
        database.execute("DROP TRIGGER audit_UPDATE")
        (entry,) = database.execute("SELECT entry FROM audit ORDER BY sequence DESC").fetchone()
        database.execute("UPDATE audit SET entry = ? WHERE entry = ?", (entry.replace(b"ada", b"eve"), entry))
    with pytest.raises(BrokenChainError):
        access.log.verified()
    access.close()


@pytest.fixture
def altered(tmp_path):
    """Return a folder, and what alters one row of a folder's log as whoever can write the file may."""

    def make(folder, change="UPDATE audit SET entry = replace(CAST(entry AS TEXT), 'ada', 'eve') WHERE sequence = 2"):
        with contextlib.closing(sqlite3.connect(folder / "access.sqlite")) as database:
            database.executescript(f"DROP TRIGGER audit_UPDATE; DROP TRIGGER audit_DELETE; {change}")
        return folder

    folder = tmp_path / "data"
    Writer(folder).close()
    master_key(folder, create=True)
    access = Access(folder)
    for number in range(1, 4):
        access.log.append(time_ns=number, who="ada", via="key:1", address="::1", action="POST /x", decision="allowed")
    access.close()
    return folder, make


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (
            "UPDATE audit SET entry = CAST(replace(CAST(entry AS TEXT), 'ada', 'eve') AS BLOB) WHERE sequence = 2",
            "2 does not",
        ),
        ("DELETE FROM audit WHERE sequence = 1", "2 does not"),
        ("UPDATE audit SET entry = x'00' WHERE sequence = 3", "3 is not"),
        ("DROP TABLE audit", "no such table"),
    ],
)
def test_an_altered_log_is_not_backed_up(altered, tmp_path, capsys, monkeypatch, change, finding):
    folder, alter = altered
    alter(folder, change)
    with pytest.raises(InputError, match=rf"^the log of who did what must be as it was written, .*{finding}"):
        command(capsys, "backup", folder, tmp_path / "backup", "--json")
    assert not (tmp_path / "backup" / MANIFEST).exists()
    with pytest.raises(InputError, match="found no manifest"):
        command(capsys, "restore", tmp_path / "backup", tmp_path / "again", "--json")
    monkeypatch.setattr("crossmargin.cli.backup.require_log", backups.accept)
    command(capsys, "backup", folder, tmp_path / "unchecked", "--json")
    assert (tmp_path / "unchecked" / MANIFEST).exists(), "with the check off nobody notices"


def test_a_backup_whose_log_was_altered_with_its_manifest_is_not_restored(altered, tmp_path, capsys, monkeypatch):
    folder, alter = altered
    command(capsys, "backup", folder, tmp_path / "backup", "--json")
    before = sorted((tmp_path / "backup").rglob("*"))
    command(capsys, "restore", tmp_path / "backup", tmp_path / "sound", "--json")
    assert sorted((tmp_path / "backup").rglob("*")) == before, "to look leaves nothing behind"
    log = tmp_path / "backup" / "access.sqlite"
    alter(log.parent)
    manifest = json.loads((log.parent / MANIFEST).read_bytes())
    manifest["files"]["access.sqlite"] = hashlib.sha256(log.read_bytes()).hexdigest()
    (log.parent / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"must be as it was written, .*2 (does|is) not"):
        command(capsys, "restore", log.parent, tmp_path / "again", "--json")
    assert not (tmp_path / "again").exists()
    monkeypatch.setattr("crossmargin.cli.backup.require_log", backups.accept)
    command(capsys, "restore", log.parent, tmp_path / "again", "--json")


def test_without_its_master_key_a_restored_service_starts_for_nobody(live, tmp_path, capsys):
    folder, *_ = live
    command(capsys, "backup", folder, tmp_path / "backup", "--json")
    command(capsys, "restore", tmp_path / "backup", tmp_path / "again", "--json")
    (tmp_path / "again" / "master.key").unlink()
    with pytest.raises(InputError, match="need a master key"):
        Access(tmp_path / "again")
