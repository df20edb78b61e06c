"""The commands keys, users and audit-log."""

import json
import sqlite3
from types import SimpleNamespace

import pytest

PASSWORD = "correct horse battery"  # noqa: S105


@pytest.fixture
def crossmargin(tmp_path, run, monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_FOLDER", str(tmp_path / "data"))

    def ask(*arguments, password=None):
        if password is not None:
            monkeypatch.setenv("CROSSMARGIN_PASSWORD", password)
        code, out, err = run(*arguments)
        monkeypatch.delenv("CROSSMARGIN_PASSWORD", raising=False)
        return SimpleNamespace(returncode=code, stdout=out, stderr=err)

    return ask


def test_keys_and_users_are_made_listed_and_ended_and_the_log_says_so(crossmargin, tmp_path):
    made = json.loads(
        crossmargin("keys", "create", "--owner", "alice", "--scope", "read", "--account", "a", "--json").stdout
    )
    assert len(made["secret"]) == 64
    assert crossmargin("users", "set", "bob", "--role", "admin", "--all-accounts", password=PASSWORD).returncode == 0
    listed = crossmargin("keys", "list", "--json").stdout
    assert made["secret"] not in listed
    assert [(key["owner"], key["scopes"], key["accounts"]) for key in json.loads(listed)] == [
        ("alice", ["read"], ["a"])
    ]
    users = crossmargin("users", "list", "--json").stdout
    assert "argon2" not in users
    assert [user["name"] for user in json.loads(users)] == ["bob"]
    assert crossmargin("keys", "revoke", made["id"]).returncode == 0
    head = json.loads(crossmargin("audit-log", "--json").stdout)["head"]
    assert crossmargin("users", "disable", "bob").returncode == 0
    log = json.loads(crossmargin("audit-log", "--head", head, "--show", "--json").stdout)
    assert [entry["action"] for entry in log["log"]] == [
        f"create key {made['id']}", "set user bob", f"revoke key {made['id']}", "disable user bob",
    ]  # fmt: skip
    everything = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert made["secret"].encode() not in everything
    assert PASSWORD.encode() not in everything
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "data").iterdir()}
    assert set(modes.values()) == {0}, modes
    # a log whose end was cut off holds together, but not with a head that was stated before
    with sqlite3.connect(tmp_path / "data" / "access.sqlite") as database:
        database.execute("DROP TRIGGER audit_DELETE")
        database.execute("DELETE FROM audit WHERE sequence > 1")
    assert crossmargin("audit-log").returncode == 0
    cut = crossmargin("audit-log", "--head", head)
    assert (cut.returncode, len(cut.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "finding"),
    [
        (["keys", "list"], "found none in"),
        (["keys", "create", "--owner", "alice", "--scope", "read"], "found both or neither"),
        (["keys", "create", "--owner", "alice", "--scope", "root", "--all-accounts"], "scopes must be some of"),
        (["keys", "create", "--owner", "A B", "--scope", "read", "--all-accounts"], "a name must be"),
        (["users", "set", "bob", "--role", "admin", "--all-accounts"], "CROSSMARGIN_PASSWORD"),
        (["audit-log"], "found none in"),
        (["serve"], "must have a key or a user"),
    ],
)
def test_nonsense_is_refused_in_one_line(crossmargin, arguments, finding):
    ran = crossmargin(*arguments)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert finding in ran.stderr
    assert ran.stdout == ""


def test_a_service_whose_only_key_has_ended_does_not_start(crossmargin):
    made = json.loads(
        crossmargin("keys", "create", "--owner", "alice", "--scope", "read", "--account", "a", "--json").stdout
    )
    crossmargin("keys", "revoke", made["id"])
    ran = crossmargin("serve")
    assert (ran.returncode, "must have a live key or user" in ran.stderr) == (2, True)
