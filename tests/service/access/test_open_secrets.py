"""Where nothing keeps a secret away, the search finds it: in backups, on command lines, in the log of access, in answers."""

import subprocess
import types
from pathlib import Path

import msgspec
import pytest
from argon2 import PasswordHasher
from litestar.testing import TestClient
from planted import MASTER, PASSWORD, leaks

from crossmargin.engine import commands as ask
from crossmargin.service import examples, projector
from crossmargin.service.access import guard
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import MASTER_VARIABLE, KeyStore, master_key
from crossmargin.service.access.roles import Scope
from crossmargin.service.application import application
from crossmargin.service.processes import nursery
from crossmargin.service.writer import Writer
from crossmargin.store.backup import back_up

from .conftest import OWN, Caller

CANARY = "canary-open-5Td"
DATABASE = f"postgresql://me:{CANARY}@127.0.0.1:1/none"


class Plain:
    """Keeps passwords as they are."""

    def hash(self, password):
        return password


def backed_up(tmp_path, hasher=None):
    """Back up a folder with a key, a user and a session; return what the backup holds, and what was planted.

    Sessions and what requests are signed with have no control here: they are in memory and never near a file.
    """
    folder, backup = tmp_path / "data", tmp_path / "backup"
    Writer(folder, opening=lambda: [ask.RunAudit(id="first")]).close()
    master = master_key(folder, create=True).hex()
    access = Access(folder)
    _, secret = access.keys.create(owner="desk", scopes=frozenset(Scope), accounts=None, created_ns=1)
    # what a guess costs is not what this is about
    access.users._hasher = hasher or PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    token, _ = access.sessions.begin(access.users.set("ada", password=PASSWORD, role="admin", accounts=None), 0.0)
    back_up(folder, backup)
    access.close()
    held = {path.name: path.read_bytes() for path in backup.rglob("*") if path.is_file()}
    assert all(name in held["access.sqlite"] for name in (b"desk", b"ada"))
    return held, {"master": master, "key": secret, "password": PASSWORD, "session": token}


def test_a_backup_holds_no_secret_where_the_master_key_is_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(MASTER_VARIABLE, MASTER)
    assert leaks(*backed_up(tmp_path)) == []


def test_without_the_environment_a_backup_holds_the_master_key(tmp_path, monkeypatch):
    monkeypatch.delenv(MASTER_VARIABLE, raising=False)
    assert leaks(*backed_up(tmp_path)) == [("master.key", "master")]


def test_without_the_hash_a_backup_holds_the_password(tmp_path, monkeypatch):
    monkeypatch.setenv(MASTER_VARIABLE, MASTER)
    assert leaks(*backed_up(tmp_path, Plain())) == [("access.sqlite", "password")]


def test_without_the_derivation_a_backup_holds_the_keys_secret(tmp_path, monkeypatch):
    """A store that cannot derive a secret has to keep it."""
    create = KeyStore.create

    def kept(store, **more):
        key, secret = create(store, **more)
        record = msgspec.to_builtins(key) | {"secret": secret}
        store._database.execute("UPDATE keys SET record = ?", (msgspec.json.encode(record),))
        return key, secret

    monkeypatch.setenv(MASTER_VARIABLE, MASTER)
    monkeypatch.setattr(KeyStore, "create", kept)
    assert leaks(*backed_up(tmp_path)) == [("access.sqlite", "key")]


def command_lines(tmp_path):
    """Start what keeps the tables of a database with a password; return the command lines of all that was started."""
    follower = projector.Projector(DATABASE, tmp_path, nursery.started_afresh)
    follower.start(0)
    try:
        while follower._link is None:  # it is heard after it was started
            assert follower._thread.is_alive()
            follower._thread.join(0.01)
        # the system gives a program its command line a moment after it has begun
        while not (line := Path(f"/proc/{follower.process.pid}/cmdline").read_bytes()):
            assert follower.process.poll() is None
        return {"command lines": line}
    finally:
        follower._stopping = True
        follower.process.kill()  # how it ends is not what is looked at
        follower.close()


def test_without_the_pipe_a_command_line_holds_the_databases_password(tmp_path, monkeypatch):
    """The URL is the first message over a pipe, because everybody of this machine may read the command lines."""
    Writer(tmp_path / "data", opening=lambda: [ask.RunAudit(id="first")]).close()
    found = command_lines(tmp_path / "data")
    assert b"following" in found["command lines"]
    assert leaks(found, {"database": CANARY}) == []

    def with_url(arguments, **more):
        return subprocess.Popen([*arguments, DATABASE], **more)

    monkeypatch.setattr(nursery, "subprocess", types.SimpleNamespace(**vars(subprocess) | {"Popen": with_url}))
    assert leaks(command_lines(tmp_path / "data"), {"database": CANARY}) == [("command lines", "database")]


@pytest.fixture
def told(client, access):
    """Ask in the ways that the log of access writes down; return what it then holds, as it is answered and as it is kept."""
    key, secret = access.keys.create(owner="open", scopes=frozenset(Scope), accounts=None, created_ns=1)
    caller = Caller(client, key.id, secret)

    def asked():
        refused = client.get(f"/api/v1/accounts?access_token={CANARY}", headers={"X-Crossmargin-Key": "nobody"})
        body = msgspec.json.encode({"account": OWN, "password": CANARY})
        wrong = caller.send("POST", "/api/v1/orders", body, idempotency_key="open")
        assert (refused.status_code, wrong.status_code) == (401, 400)
        answer = caller.send("GET", "/api/v1/access-log?limit=2")
        assert [each["who"] for each in answer.json()["items"]] == ["open", "unknown"]
        entries = list(access.log.entries())[-2:]
        return {"answer": answer.content, "file": msgspec.json.encode(entries)}

    return asked


def test_the_log_of_access_holds_nothing_of_what_a_request_carried(told):
    assert leaks(told(), {"request": CANARY}) == []


def test_with_what_a_refused_request_carried_the_log_of_access_tells_a_query(told, monkeypatch):
    def failed(access, connection, decision):
        access.log.append(
            time_ns=1, who="unknown", via="unknown", address="", action=str(connection.url), decision=decision
        )

    monkeypatch.setattr(Access, "failed", failed)
    assert leaks(told(), {"request": CANARY}) == [("answer", "request"), ("file", "request")]


def test_without_the_digest_of_a_body_the_log_of_access_tells_it(told, monkeypatch):
    whole = types.SimpleNamespace(sha256=lambda body: types.SimpleNamespace(hexdigest=body.decode))
    monkeypatch.setattr(guard, "hashlib", whole)
    assert leaks(told(), {"request": CANARY}) == [("answer", "request"), ("file", "request")]


def test_answers_of_audit_and_of_parameters_tell_whatever_a_command_holds(client, access, writer, monkeypatch):
    """Nothing hides a secret there, and none is near: both are told of the journal's commands, which hold what callers say.

    What is planted in a command is told, as it must be: an operator's reason, the name of an asset.
    """
    key, secret = access.keys.create(owner="open", scopes=frozenset(Scope), accounts=None, created_ns=1)
    caller = Caller(client, key.id, secret)

    def answers():
        return {name: caller.send("GET", f"/api/v1/{name}").content for name in ("audit", "parameters")}

    planted = {"key": secret, "reason": f"{CANARY}-reason", "money": f"{CANARY}-money"}
    assert leaks(answers(), planted) == []
    writer.submit(ask.Halt(id="open-1", reason=planted["reason"])).result(timeout=60)
    writer.submit(ask.Resume(id="open-2", reason="over")).result(timeout=60)
    named = msgspec.structs.replace(writer.engine.state.parameters, money=planted["money"])
    monkeypatch.setattr(writer.engine.state, "parameters", named)
    assert leaks(answers(), planted) == [("audit", "reason"), ("parameters", "money")]


def test_the_openapi_document_tells_whatever_stands_in_the_code(access, writer, monkeypatch):
    """Nothing hides a secret there, and none is near: it is made of the code's types and examples, never of settings."""
    planted = {"example": examples.BODIES["post", "/api/v1/session"]["password"], "secret": CANARY}
    monkeypatch.setenv("CROSSMARGIN_DATABASE", DATABASE)
    with TestClient(application(writer, access=access), base_url="https://testserver.local") as client:
        document = client.get("/api/v1/schema/openapi.json")
    assert document.status_code == 200
    assert leaks({"document": document.content}, planted) == [("document", "example")]
