"""Tables of an older form are brought to the newer with their rows; those of a form that the code does not know are left."""

import shutil
import time

import pytest
import sqlalchemy as sql
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import following, projection, reading
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.projection_tables import METADATA
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer

CODES = sorted(each.name[:4] for each in (projection.MIGRATIONS / "versions").glob("[0-9]*.py"))
FURTHER = f"""
import sqlalchemy as sql
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{CODES[-1]}", None, None


def upgrade():
    op.add_column("accounts", sql.Column("note", sql.String, nullable=False, server_default="none yet"))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/projection.sqlite"
    return request.getfixturevalue("postgres").create(f"m{time.monotonic_ns()}")


def copied(tmp_path, name):
    folder = tmp_path / name
    shutil.copytree(projection.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def older(tmp_path):
    """Return a folder with the first migration alone."""
    folder = copied(tmp_path, "older")
    for each in CODES[1:]:
        next((folder / "versions").glob(f"{each}*.py")).unlink()
    return folder


@pytest.fixture
def newer(tmp_path):
    """Return a folder of migrations with one more than ours."""
    folder = copied(tmp_path, "newer")
    (folder / "versions" / "9999_notes.py").write_text(FURTHER)
    return folder


def house():
    yield from opening_commands([book for book in sample_book() if book.account == "cash-only"], sample_market())
    yield ask.Halt(id="halt", reason="exercise")
    yield ask.Resume(id="resume", reason="exercise")


def opened(folder, url):
    return Writer(folder, opening=lambda: tuple(house()), projector=Projector(url, folder))


def level(writer):
    """Wait until the tables stand where the journal does."""
    while not writer.projector.wait_for(writer.record, 1.0):
        assert not writer.projector._is_lost, writer.projector.failure


def rows(database):
    """Return what the tables of the first form hold."""
    with database.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sql.select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def revision(database):
    with database.connect() as connection:
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def indexes(database):
    found = sql.inspect(database)
    return {index["name"] for table in METADATA.sorted_tables for index in found.get_indexes(table.name)}


def test_rows_of_the_first_form_are_kept_by_ours_and_by_the_next(tmp_path, url, older, newer, monkeypatch):
    monkeypatch.setattr(projection, "clear", None)  # they are not filled anew
    with monkeypatch.context() as then:
        then.setattr(projection, "MIGRATIONS", older)
        first = opened(tmp_path / "j", url)
        level(first)
        before = rows(first.projector.database)
        assert revision(first.projector.database) == CODES[0]
        assert "ix_liquidations_kind_place" not in indexes(first.projector.database)
        first.close()
    assert before["accounts"]
    assert before["audit"]
    ours = opened(tmp_path / "j", url)
    level(ours)
    database = ours.projector.database
    assert (revision(database), rows(database)) == (CODES[-1], before)
    assert indexes(database) == {index.name for table in METADATA.sorted_tables for index in table.indexes}
    ours.close()
    monkeypatch.setattr(projection, "MIGRATIONS", newer)
    last = opened(tmp_path / "j", url)
    level(last)
    database = last.projector.database
    assert (revision(database), rows(database)) == ("9999", before)
    last.submit(ask.OpenAccount(id="open-cy", account="cy")).result(timeout=600)
    level(last)
    with database.connect() as connection:
        found = connection.exec_driver_sql("SELECT account, note FROM accounts ORDER BY account").all()
    assert [*found] == [(name, "none yet") for name in ("cash-only", "cy", "opening")]
    last.close()


@pytest.fixture
def ahead(tmp_path, url, newer, monkeypatch):
    """Return a service of this code over tables that a newer one has made, and what they held."""
    with monkeypatch.context() as then:
        then.setattr(projection, "MIGRATIONS", newer)
        made = opened(tmp_path / "j", url)
        level(made)
        before = rows(made.projector.database)
        made.close()
    monkeypatch.setattr(following, "PAUSE_S", 0.05)
    return lambda: opened(tmp_path / "j", url), before


def dropped(database):
    """Drop all tables, as an operator does."""
    with database.begin() as connection:
        METADATA.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")


def test_tables_of_an_unknown_form_are_left_alone_and_filled_anew_once_they_are_dropped(ahead, monkeypatch):
    start, before = ahead
    writer = start()
    writer.submit(ask.OpenAccount(id="open-cy", account="cy")).result(timeout=600)
    while writer.projector.failure is None:
        assert not writer.projector.wait_for(writer.record, 0.05)
    with TestClient(application(writer)) as client, monkeypatch.context() as then:
        then.setattr(reading, "LONGEST_WAIT_S", 0.05)  # the tables come no sooner for being waited for
        refused = client.get("/api/v1/audit")
        assert refused.status_code == 503
        assert "a form that this version knows, they are of revision 9999" in refused.json()["error"]["finding"]
        assert client.get("/api/v1/accounts").status_code == 200
        database = writer.projector.database
        assert (revision(database), rows(database)) == ("9999", before)
        dropped(database)
        level(writer)
        assert len(client.get("/api/v1/audit").json()["items"]) == len(before["audit"])
    assert revision(database) == CODES[-1]
    assert rows(database)["balances"] == before["balances"]
    writer.close()


def test_without_the_look_at_the_form_the_tables_are_lost_until_the_next_start(ahead, monkeypatch):
    monkeypatch.setattr(projection, "_require_known", lambda *_: None)
    start, _ = ahead
    writer = start()
    writer.projector._thread.join(600)
    assert writer.projector._is_lost
    dropped(writer.projector.database)
    assert not writer.projector.wait_for(writer.record, 0.5)
    writer.close()


def test_a_list_and_a_days_history_read_no_more_than_they_tell(tmp_path, monkeypatch):
    """Both follow an index: what is older, and the other minutes of the account, are not read."""
    database = projection.open_database(f"sqlite:///{tmp_path}/plan.sqlite")
    projection.migrate(database)
    plans = []

    def explained(database, question):
        text = str(question.compile(database, compile_kwargs={"literal_binds": True}))
        with database.connect() as connection:
            plans.append([row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")])

    monkeypatch.setattr(projection, "_rows", explained)
    projection.listed(database, "margin-calls", 100, 1 << 40)
    projection.history(database, "ann", 1, 2)
    assert [each[0].partition("(")[2] for each in plans] == ["place<?)", "account=? AND minute_ns>? AND minute_ns<?)"]
    assert [len(each) for each in plans] == [1, 1]  # nothing is sorted
    database.dispose()
