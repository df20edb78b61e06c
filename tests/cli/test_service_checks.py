"""Doctor: what it finds, and that it exits with 1 where the service could not work."""

import contextlib
import datetime as dt
import json
import os
import socket
import sqlite3

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crossmargin.cli import app
from crossmargin.engine.commands import AdvanceTime
from crossmargin.service import soundness
from crossmargin.service.access.audit import LOOKED_AT, AuditLog
from crossmargin.service.access.keys import KeyStore, master_key
from crossmargin.service.access.roles import Scope
from crossmargin.service.writer import Writer


def looked(capsys, *arguments):
    code = 0
    try:
        app(["doctor", "--service", "--json", *map(str, arguments)], result_action="return_value")
    except SystemExit as stop:
        code = stop.code
    checks = json.loads(capsys.readouterr().out)["checks"]
    return code, {each["check"]: (each["ok"], each["finding"]) for each in checks}


def wrong(found):
    return {name for name, (ok, _) in found.items() if not ok}


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def folder(tmp_path):
    Writer(tmp_path / "data", opening=lambda: (AdvanceTime(id="d-1", time_ns=10**9),)).close()
    return tmp_path / "data"


def test_a_sound_folder_and_one_that_is_new(capsys, folder, port, tmp_path):
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (0, set())
    assert found["journal"][1].endswith("records in their chain, 0 beyond the newest snapshot")
    assert found["lease"][1].startswith("free")
    assert found["port"][1] == f"127.0.0.1:{port} is free"
    before = sorted(tmp_path.iterdir())
    code, found = looked(capsys, "--folder", tmp_path / "new", "--port", port, "--open")
    assert (code, found["journal"][1]) == (0, "none yet, the service begins one")
    assert sorted(tmp_path.iterdir()) == before


def test_an_altered_journal_is_found(capsys, folder, port):
    path = folder / "journal" / "000001.journal"
    path.write_bytes(path.read_bytes().replace(b"d-1", b"d-2", 1))
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (1, {"journal"})
    assert "record" in found["journal"][1]


def test_a_database_that_is_down_is_found(capsys, folder, port):
    code, found = looked(
        capsys, "--folder", folder, "--port", port, "--open", "--database", "postgresql://nobody@127.0.0.1:9/none"
    )  # fmt: skip
    assert (code, wrong(found)) == (1, {"database"})
    assert found["database"][1].startswith("the database must answer")


def test_a_port_that_another_program_has_is_found(capsys, folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        code, found = looked(capsys, "--folder", folder, "--port", taken, "--open")
    assert (code, wrong(found)) == (1, {"port"})


def test_a_writer_that_does_not_answer_is_found(capsys, folder, port):
    writer = Writer(folder)
    try:
        code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    finally:
        writer.close()
    assert (code, wrong(found)) == (1, {"port"})
    assert found["lease"] == (True, "a process writes the folder")
    assert found["port"][1].startswith("the process that writes the folder must answer")


def test_a_service_without_keys_and_a_master_key_that_others_may_read_are_found(capsys, folder, port):
    code, found = looked(capsys, "--folder", folder, "--port", port)
    assert (code, wrong(found)) == (1, {"keys"})
    store = KeyStore(folder / "access.sqlite", master_key(folder, create=True))
    store.create(owner="ada", scopes=frozenset({Scope.READ}), accounts=None, created_ns=1)
    store.close()
    AuditLog(folder / "access.sqlite").close()  # as `keys create` does
    code, found = looked(capsys, "--folder", folder, "--port", port)
    assert (code, found["keys"]) == (0, (True, "1 live keys, 0 users"))
    (folder / "master.key").chmod(0o644)
    code, found = looked(capsys, "--folder", folder, "--port", port)
    assert wrong(found) == {"keys"}
    assert "open to others" in found["keys"][1]


def test_an_altered_log_of_who_did_what_is_found_however_old_the_entry(capsys, folder, port):
    log = AuditLog(folder / "access.sqlite")
    for number in range(LOOKED_AT + 10):
        log.append(time_ns=number, who="ada", via="key:1", address="::1", action="POST /x", decision="allowed")
    _, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert found["audit log"] == (True, f"{LOOKED_AT + 10} entries, each holds the hash of the one before")
    with contextlib.closing(sqlite3.connect(folder / "access.sqlite")) as database, database:
        database.execute("DROP TRIGGER audit_UPDATE")
        database.execute("UPDATE audit SET entry = CAST(replace(entry, 'ada', 'eve') AS BLOB) WHERE sequence = 3")
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (1, {"audit log"})
    assert found["audit log"][1].endswith("must hold the hash of the one before, 3 does not")
    assert log.finding() is None, "a start looks at the newest alone"
    log.close()
    (folder / "access.sqlite").write_bytes(b"no database at all" * 100)
    (folder / "access.sqlite-wal").unlink(missing_ok=True)
    _, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert wrong(found) == {"audit log"}


def test_a_clock_that_went_back_is_found(capsys, folder, port):
    later = (folder / "journal" / "000001.journal").stat().st_mtime + 3600
    os.utime(folder / "journal" / "000001.journal", (later, later))
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (1, {"clock"})
    assert "before the journal's last write" in found["clock"][1]


def test_a_full_disk_is_found(capsys, folder, port, monkeypatch):
    monkeypatch.setattr(soundness, "LEAST_FREE_BYTES", 1 << 62)
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (1, {"disk"})


def test_rules_of_alerts_are_read(capsys, folder, port, monkeypatch, tmp_path):
    (tmp_path / "alerts.toml").write_text('[channels]\ndesk = "env:DESK_URL"\n')
    monkeypatch.setenv("CROSSMARGIN_ALERTS", str(tmp_path / "alerts.toml"))
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, wrong(found)) == (1, {"alerts"})
    monkeypatch.setenv("DESK_URL", "json://secret-part@x")
    code, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert (code, found["alerts"][1]) == (0, "0 rules, 1 channels")
    assert "secret-part" not in str(found)


def in_pem(key, passphrase=None):
    hidden = serialization.NoEncryption() if passphrase is None else serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden)


@pytest.mark.parametrize(("days", "is_wrong"), [(30, False), (3, True), (-1, True)])
def test_a_certificate_that_ends_soon_is_found(capsys, folder, port, tmp_path, monkeypatch, days, is_wrong):
    key, now = Ed25519PrivateKey.generate(), dt.datetime.now(dt.UTC)  # noqa: TID251
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(
        name, name, key.public_key(), 1, now - dt.timedelta(days=9), now + dt.timedelta(days=days)
    )
    (tmp_path / "cert.pem").write_bytes(made.sign(key, None).public_bytes(serialization.Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(in_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    monkeypatch.setenv("CROSSMARGIN_CERTIFICATE", str(tmp_path / "cert.pem"))
    monkeypatch.setenv("CROSSMARGIN_PRIVATE_KEY", str(tmp_path / "key.pem"))
    _, found = looked(capsys, "--folder", folder, "--port", port, "--open")
    assert wrong(found) == ({"certificate"} if is_wrong else set())
