"""The tables follow the journal: the same by running and by replaying, across restarts, and after the database was down."""

import functools
import subprocess
import sys
import time
from decimal import Decimal

import msgspec
import pytest
import sqlalchemy as sql
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.engine import events as happened
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import following, projection, projection_changes, reading
from crossmargin.service.application import application
from crossmargin.service.lists import liquidation_items
from crossmargin.service.opening import opening_commands
from crossmargin.service.projection_tables import METADATA, POSITION, REQUIREMENTS
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Published, Writer

MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/projection.sqlite"
    return request.getfixturevalue("postgres").create(f"t{time.monotonic_ns()}")


market = functools.cache(sample_market)
"""Read once: a fall is made of it dozens of times."""


def opening():
    names = ("cash-only", "levered-long", "hedger")
    return tuple(opening_commands([book for book in sample_book() if book.account in names], market()))


def fall(number, share):
    """The index and marks of everything fall to `share` of the sample's."""
    index = {
        str(coin): (ask.Quote(source="opening", price=Decimal(repr(market().index_price(coin) * share))),)
        for coin in market().index
    }
    marks = {
        str(item.instrument.id): Decimal(repr(market().mark_price(item.instrument) * share))
        for book in sample_book()
        if book.account in ("levered-long", "hedger")
        for item in book.positions
    }
    return ask.UpdateMarket(id=f"fall-{number}", index=index, marks=marks)


def story():
    """A fall by steps, with time going on, that calls for margin and liquidates."""
    start = market().time_ns
    for number in range(1, 13):
        yield ask.AdvanceTime(id=f"time-{number}", time_ns=start + number * 10 * MINUTE_NS)
        yield fall(number, 1 - 0.02 * number)
        yield ask.Deposit(id=f"d-{number}", account="cash-only", asset="USDC", amount=Decimal("1.25"))


def told(writer, commands):
    return [writer.submit(each).result(timeout=60) for each in commands]


def contents(database):
    with database.connect() as connection:
        return {
            table.name: sorted(map(tuple, connection.execute(sql.select(table))), key=repr)
            for table in METADATA.sorted_tables
        }


def filled_anew(folder, url):
    """What the tables hold when they are filled from the journal alone."""
    other = Projector(url, folder)
    writer = Writer(folder, projector=other)
    assert other.wait_for(writer.record, 60)
    found = contents(other.database)
    writer.close()
    return found


def test_tables_are_the_same_by_running_and_by_replaying(tmp_path, url):
    writer = Writer(tmp_path / "j", opening=opening, projector=Projector(url, tmp_path / "j"))
    told(writer, story())
    assert writer.projector.wait_for(writer.record, 60)
    running = contents(writer.projector.database)
    engine = writer.engine
    writer.close()
    assert filled_anew(tmp_path / "j", f"sqlite:///{tmp_path}/other.sqlite") == running
    assert {name for name in running if running[name]} >= {
        "accounts", "balances", "positions", "requirements", "margin_calls", "liquidations", "parameters", "audit",
    }  # fmt: skip
    # the engine's own state says the same, by another way
    usdc = {row[0]: Decimal(row[2]) for row in running["balances"] if row[1] == "USDC"}
    quantum = engine.state.assets["USDC"].quantum
    assert usdc["cash-only"] == engine.state.ledger.balance("cash-only", "USDC") * quantum
    states = {row[0]: row[1] for row in running["accounts"]}
    assert states == {name: held.state for name, held in engine.state.accounts.items()}
    held = {(row[0], row[1]): Decimal(row[2]) for row in running["positions"]}
    assert held == {
        (name, each): holding.lots * engine.state.listings[each].lot_size
        for name, holdings in engine.state.ledger.holdings.items()
        if name in engine.state.accounts
        for each, holding in holdings.items()
        if holding.lots
    }


def test_lists_and_history_survive_a_restart(tmp_path, url):
    folder = tmp_path / "j"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    told(writer, story())
    paths = (
        "liquidation-events", "margin-calls", "audit", "draws", "accounts/levered-long/history", "liquidations", "waterfall",
        "insurance",
    )  # fmt: skip
    with TestClient(application(writer)) as client:
        before = {path: client.get(f"/api/v1/{path}").json() for path in paths}
        first = client.get("/api/v1/liquidation-events?limit=2").json()
        rest = client.get("/api/v1/liquidation-events", params={"cursor": first["next"]}).json()
        history = "/api/v1/accounts/levered-long/history"
        too_far = [
            client.get("/api/v1/liquidation-events", params={"cursor": 2**63}),
            client.get(history, params={"since": 2**63 // 1_000_000}),
            client.get(history, params={"until": 2**63 // 1_000_000}),
        ]
        points = client.get(history).json()["points"]
        last = points[-3]["time"]["epoch_ms"]
        assert client.get(history, params={"since": last}).json()["points"] == points[-3:]
        assert client.get(history, params={"until": last}).json()["points"] == points[:-2]
        pages = walked(client, "liquidations", 1)
        whole = walked(client, "liquidations", 1000)
    writer.close()
    assert [each for page in pages for each in page] == whole[0] == before["liquidations"]["items"]
    # no database counts so far: it was a fault of the service
    assert {each.status_code for each in too_far} == {400}
    assert first["items"] + rest["items"] == before["liquidation-events"]["items"]
    assert len(before["liquidation-events"]["items"]) > 2
    assert len(before["accounts/levered-long/history"]["points"]) >= 12
    assert before["liquidations"]["items"][0]["steps"]
    again = Writer(folder, projector=Projector(url, folder))
    with TestClient(application(again)) as client:
        assert {path: client.get(f"/api/v1/{path}").json() for path in paths} == before
    again.close()


def walked(client, name, limit):
    """Every page of a list by its cursor, and none of more than `limit`."""
    pages, cursor = [], None
    while True:
        asked = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
        answer = client.get(f"/api/v1/{name}", params=asked)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        assert 1 <= len(pages[-1]) <= limit
        cursor = answer.json()["next"]
        if cursor is None:
            return pages


def defaults(count):
    """Liquidations of three accounts, eleven events each; winners are told of after the end, as the engine does."""
    for number in range(count):
        name = f"account {number % 3}"
        ordered = happened.LiquidationOrdered(
            account=name, instrument="BTC", side="sell", quantity=Decimal(1), limit=Decimal(number), reason="slice"
        )
        yield number, happened.LiquidationStarted(account=name, equity=float(number), maintenance=9.0)
        for _ in range(6):
            yield number, ordered
        yield number, happened.Defaulted(account=name, asset="USDC", shortfall=Decimal(number), market="BTC")
        yield number, happened.Drawn(account=name, layer="insurance", payer="@insurance", amount=Decimal(number))
        yield number, happened.LiquidationEnded(account=name, outcome="default")
        yield (
            number,
            happened.Deleveraged(
                account=name,
                winner="w",
                instrument="BTC",
                quantity=Decimal(1),
                price=Decimal(9),
                haircut=Decimal(number),
            ),
        )


def overlapping(count):
    """The same with the events of three liquidations in turns, each in a record of its own."""
    queues = [list(group) for group in zip(*[iter(defaults(count))] * 11, strict=True)]
    rounds = [event for start in range(0, count, 3) for event in zip(*queues[start : start + 3], strict=True)]
    for record, (number, event) in enumerate((each for told in rounds for each in told), start=1):
        command = ask.Deposit(id=f"c-{record}", account="x", asset="USDC", amount=Decimal(1))
        rows = tuple(projection_changes._happened(record, command, (event,), record * 10**9))
        yield (
            number,
            projection_changes.Change(
                record=record,
                history=f"h{record}",
                happened=rows,
                accounts=(),
                requirements=(),
                balances={},
                positions={},
            ),
        )


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
def test_pages_of_liquidations_hold_each_whole_and_once(url, limit):
    database, count = projection.open_database(url), 30
    projection.migrate(database)
    with database.begin() as connection:
        projection.write(connection, [each for _, each in overlapping(count)])
    pages, before = [], None
    while not pages or before is not None:
        items = liquidation_items(projection.liquidated(database, limit + 1, before))
        before = items[limit - 1]["sequence"] if len(items) > limit else None
        pages.append(items[:limit])
    database.dispose()
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    found = [each for page in pages for each in page]
    # three begin one right after the other: the newest first
    assert [int(float(each["equity"])) for each in found] == list(range(count))[::-1]
    for each in found:
        number = int(float(each["equity"]))
        assert (each["account"], each["state"]) == (f"account {number % 3}", "default")
        assert [step["type"] for step in each["steps"]] == ["LiquidationOrdered"] * 6 + ["Defaulted", "Deleveraged"]
        assert {step["limit"] for step in each["steps"][:6]} == {str(number)}
        assert each["paid_by"] == [{"layer": "insurance", "payer": "@insurance", "amount": str(number)}]


def test_liquidations_are_paged_without_a_database_too(tmp_path, url):
    database = projection.open_database(url)
    projection.migrate(database)
    changes = [each for _, each in overlapping(30)]
    with database.begin() as connection:
        projection.write(connection, changes)
    writer = Writer(tmp_path / "j", opening=opening)
    writer.published.clear()
    for each in changes:
        body = each.happened[0][1]
        event = msgspec.json.decode(body["body"], type=happened.Event)
        command = ask.Deposit(id=body["command"], account="x", asset="USDC", amount=Decimal(1))
        writer.published.append(Published(body["place"], body["time_ns"], command, event))
    with TestClient(application(writer)) as client:
        pages = walked(client, "liquidations", 7)
    assert [len(page) for page in pages] == [7, 7, 7, 7, 2]
    assert [each for page in pages for each in page] == liquidation_items(projection.liquidated(database, 31, None))
    writer.close()
    database.dispose()


def test_liquidations_outlive_a_flood_of_other_events(tmp_path, monkeypatch):
    """The events in memory are the last so many of all kinds, which a busy house passes within a minute."""
    monkeypatch.setattr("crossmargin.service.writer.EVENTS_KEPT", 3)
    folder, url = tmp_path / "j", f"sqlite:///{tmp_path}/flood.sqlite"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    told(writer, story())
    with TestClient(application(writer)) as client:
        assert client.get("/api/v1/liquidations").json()["items"]
        monkeypatch.setattr(writer, "projector", None)  # without the tables they are gone
        assert not client.get("/api/v1/liquidations").json()["items"]
    monkeypatch.undo()
    writer.close()


def test_what_was_missed_is_caught_up(tmp_path, url):
    """Commands that were taken without a database are in the tables once there is one."""
    folder = tmp_path / "j"
    Writer(folder, opening=opening, projector=Projector(url, folder)).close()
    alone = Writer(folder)
    told(alone, story())
    alone.close()
    assert filled_anew(folder, url) == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


def test_tables_of_another_journal_are_filled_anew(tmp_path, url):
    first = Writer(tmp_path / "a", opening=opening, projector=Projector(url, tmp_path / "a"))
    told(first, story())
    first.close()
    second = Writer(tmp_path / "b", opening=opening)
    told(second, list(story())[:9])
    second.close()
    assert filled_anew(tmp_path / "b", url) == filled_anew(tmp_path / "b", f"sqlite:///{tmp_path}/other.sqlite")


def test_no_transaction_waits_for_postgresql_to_write_to_disk(postgres):
    database = projection.open_database(postgres.create("lazy"))
    with database.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
        connection.rollback()
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
    database.dispose()


@pytest.mark.parametrize("most_waiting", [50_000, 3], ids=["kept", "had from the journal"])
def test_commands_go_on_while_the_database_is_down(tmp_path, postgres, monkeypatch, most_waiting):
    monkeypatch.setattr(following, "PAUSE_S", 0.2)
    monkeypatch.setattr(following, "MOST_WAITING", most_waiting)
    monkeypatch.setattr(reading, "LONGEST_WAIT_S", 0.05)  # the tables come no sooner for being waited for
    url, folder = postgres.create(f"down{most_waiting}"), tmp_path / "j"
    writer = Writer(folder, opening=opening, projector=Projector(url, folder))
    assert writer.projector.wait_for(writer.record, 60)
    steps = list(story())
    postgres.stop()
    try:
        told(writer, steps)
        with TestClient(application(writer)) as client:
            answer = client.get("/api/v1/liquidation-events")
            assert answer.status_code == 503
            assert answer.json()["error"]["rule"] == "the database must answer"
            assert client.get("/api/v1/overview").status_code == 200
    finally:
        postgres.start()
    assert writer.projector.wait_for(writer.record, 60)
    assert writer.projector.failure is None
    running = contents(writer.projector.database)
    writer.close()
    assert running == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


KILLED = """
import sys
from decimal import Decimal
from pathlib import Path
from crossmargin.engine.commands import Deposit
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Published, Writer
folder = Path(sys.argv[2])
writer = Writer(folder, projector=Projector(sys.argv[1], folder))
for number in range(10**9):
    writer.submit(Deposit(id=f"k-{writer.record}", account="cash-only", asset="USDC", amount=Decimal(1))).result()
    print(number, flush=True)
"""


def test_a_kill_leaves_position_and_rows_in_step(tmp_path):
    kill_and_compare(tmp_path, f"sqlite:///{tmp_path}/projection.sqlite", (40,))


@pytest.mark.soak
def test_kills_leave_position_and_rows_in_step(tmp_path, url):
    kill_and_compare(tmp_path, url, (1, 2, 3, 5, 8, 40, 400, 3000))


def kill_and_compare(tmp_path, url, counts):
    folder = tmp_path / "j"
    Writer(folder, opening=opening, projector=Projector(url, folder)).close()
    for after in counts:
        process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(folder)], stdout=subprocess.PIPE, text=True)
        for _, line in zip(range(after), process.stdout, strict=False):
            assert line
        process.kill()
        process.communicate()
    assert filled_anew(folder, url) == filled_anew(folder, f"sqlite:///{tmp_path}/other.sqlite")


def test_a_migration_that_is_broken_off_is_none(url, monkeypatch):
    made = []

    def kill_after_two(table, *_, **__):
        made.append(table.name)
        if len(made) == 2:
            raise KeyboardInterrupt

    database = projection.open_database(url)
    sql.event.listen(sql.Table, "after_create", kill_after_two)
    try:
        with pytest.raises(KeyboardInterrupt):
            projection.migrate(database)
    finally:
        sql.event.remove(sql.Table, "after_create", kill_after_two)
    assert len(made) == 2
    assert sql.inspect(database).get_table_names() == []
    projection.migrate(database)
    assert set(sql.inspect(database).get_table_names()) >= {table.name for table in METADATA.sorted_tables}
    database.dispose()


def test_migrations_give_the_tables_that_the_code_uses(tmp_path, url):
    database = projection.open_database(url)
    projection.migrate(database)
    projection.migrate(database)
    found = sql.inspect(database)
    for table in METADATA.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: bool(column.nullable) for column in table.columns}
        assert found.get_pk_constraint(table.name)["constrained_columns"] == [each.name for each in table.primary_key]
        indexes = {each["name"]: each["column_names"] for each in found.get_indexes(table.name)}
        assert indexes == {each.name: [column.name for column in each.columns] for each in table.indexes}
    assert {POSITION.name, REQUIREMENTS.name} <= set(found.get_table_names())
    database.dispose()


def test_requirements_are_what_the_engine_acted_on(tmp_path):
    """The last point of the history is the account's row."""
    folder = tmp_path / "j"
    writer = Writer(folder, opening=opening, projector=Projector(f"sqlite:///{tmp_path}/p.sqlite", folder))
    told(writer, list(story())[:6])
    with TestClient(application(writer)) as client:
        point = client.get("/api/v1/accounts/levered-long/history").json()["points"][-1]
        row = client.get("/api/v1/accounts/levered-long").json()
        assert {name: row[name] for name in point if name != "time"} == {
            name: value for name, value in point.items() if name != "time"
        }
        assert client.get("/api/v1/accounts/nobody/history").status_code == 404
    writer.close()
