"""A service whose log of who did what was altered starts, and tells of it."""

import contextlib
import logging
import sqlite3

import pytest
from litestar.testing import TestClient

from crossmargin.service.access.audit import AuditLog
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.application import application
from crossmargin.service.writer import Writer


@pytest.fixture
def folder(tmp_path):
    master_key(tmp_path, create=True)
    log = AuditLog(tmp_path / "access.sqlite")
    for number in range(5):
        log.append(time_ns=number, who="ada", via="key:1", address="::1", action="POST /x", decision="allowed")
    log.close()
    return tmp_path


def altered(folder, sequence):
    with contextlib.closing(sqlite3.connect(folder / "access.sqlite")) as database, database:
        database.execute("DROP TRIGGER audit_UPDATE")
        database.execute(
            "UPDATE audit SET entry = CAST(replace(entry, 'ada', 'eve') AS BLOB) WHERE sequence = ?", (sequence,)
        )


def told(folder):
    """Start a service on the folder; return what it says of its health and the metric."""
    writer, access = Writer(folder), Access(folder)
    try:
        with TestClient(application(writer, access=access), base_url="https://testserver.local") as client:
            app = client.app
            (altered,) = [
                sample.value
                for metric in app.state.figures.collect()
                for sample in metric.samples
                if sample.name == "crossmargin_audit_log_altered"
            ]
            return client.get("/health").json(), altered
    finally:
        writer.close()
        access.close()


def test_an_altered_log_keeps_no_service_down_and_is_told(folder, caplog):
    with caplog.at_level(logging.WARNING):
        health, metric = told(folder)
        assert (health["status"], health["finding"], metric, caplog.records) == ("ok", None, 0, [])
        altered(folder, 4)
        health, metric = told(folder)
    assert health["status"] == "ok"
    assert metric == 1
    assert "not as it was written" in health["finding"]
    assert "4" not in health["finding"], "anybody may ask for the health"
    (warned,) = [each.getMessage() for each in caplog.records if "who did what" in each.getMessage()]
    assert warned.endswith("must hold the hash of the one before, 4 does not")


@pytest.mark.parametrize(("sequence", "newest", "is_seen"), [(4, 3, True), (3, 3, True), (2, 3, False), (2, 4, True)])
def test_a_start_looks_at_the_newest_entries_alone(folder, sequence, newest, is_seen):
    altered(folder, sequence)
    log = AuditLog(folder / "access.sqlite")
    assert (log.finding(newest) is not None) == is_seen
    log.close()
