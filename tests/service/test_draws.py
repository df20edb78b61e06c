"""Draws of the waterfall: told by pages, summed over all of them, and each read from the tables once."""

import types
from decimal import Decimal

import msgspec
import pytest
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.engine import events as happened
from crossmargin.service import paid, projection, projection_changes
from crossmargin.service.application import application
from crossmargin.service.paid import Paid
from crossmargin.service.writer import Published, Writer

LAYERS = ("house", "insurance", "adl")
COMMAND = ask.Deposit(id="c", account="x", asset="USDC", amount=Decimal(1))


def draws(first, last):
    """Of three layers in turn; one account has a name that reads like a layer."""
    return [
        happened.Drawn(
            account='","layer":"insurance"' if number % 3 == 0 else "a",
            layer=LAYERS[number % 3],
            payer="@p",
            amount=Decimal(number) / 100 + Decimal("1e15"),
        )
        for number in range(first, last)
    ]


def write(database, first, last):
    with database.begin() as connection:
        for record, event in enumerate(draws(first, last), start=first + 1):
            rows = tuple(projection_changes._happened(record, COMMAND, (event,), record * 10**9))
            change = projection_changes.Change(
                record=record, history="h", happened=rows, accounts=(), requirements=(), balances={}, positions={}
            )
            projection.write(connection, [change])


def naive(last):
    found = {}
    for each in draws(0, last):
        found[each.layer] = found.get(each.layer, Decimal(0)) + each.amount
    return found


@pytest.fixture
def database(tmp_path):
    found = projection.open_database(f"sqlite:///{tmp_path}/t.sqlite")
    projection.migrate(found)
    write(found, 0, 100)
    yield found
    found.dispose()


@pytest.fixture
def writer(tmp_path):
    found = Writer(tmp_path / "j")
    yield found
    found.projector = None
    found.close()


def test_postgresql_tells_the_same(database, postgres):
    other = projection.open_database(postgres.create("draws"))
    projection.migrate(other)
    write(other, 0, 100)
    before = None
    for _ in range(2):
        found = projection.drawn(other, "insurance", 5, before)
        assert found == projection.drawn(database, "insurance", 5, before)
        assert len(found) == 5
        before = found[0].sequence
    assert Paid().sums(other, level=True) == naive(100)
    other.dispose()


def tables(database, *, level=True, failure=None):
    return types.SimpleNamespace(database=database, failure=failure, lag=0, wait_for=lambda *_: level)


def pages(client, limit):
    cursor, found = None, []
    while True:
        asked = {"limit": limit} if cursor is None else {"limit": limit, "cursor": cursor}
        answer = client.get("/api/v1/insurance", params=asked).json()
        found.append([each["amount"] for each in answer["draws"]])
        if (cursor := answer["next"]) is None:
            return found


OF_FUND = [str(each.amount) for each in draws(0, 100) if each.layer == "insurance"][::-1]


@pytest.mark.parametrize("limit", [1, 10, 33, 1000])
def test_draws_of_the_fund_come_by_pages_from_the_tables_and_without_them(database, writer, limit):
    for number, event in enumerate(draws(0, 100), start=1):
        writer.published.append(Published(number, number * 10**9, COMMAND, event))
    with TestClient(application(writer)) as client:
        in_memory = pages(client, limit)
        writer.projector = tables(database)
        found = pages(client, limit)
    assert found == in_memory == [OF_FUND[start : start + limit] for start in range(0, 33, limit)]


def test_the_waterfall_sums_all_that_was_ever_drawn_and_reads_each_draw_once(database, writer, monkeypatch):
    read, of_tables = [], projection.drawn_after

    def counted(*asked):
        for place, event in of_tables(*asked):
            read.append(place)
            yield place, event

    monkeypatch.setattr(paid.projection, "drawn_after", counted)
    writer.projector = tables(database)
    with TestClient(application(writer)) as client:

        def sums():
            return {each["layer"]: Decimal(each["drawn"]) for each in client.get("/api/v1/waterfall").json()["items"]}

        assert {name: amount for name, amount in sums().items() if amount} == naive(100)
        write(database, 100, 107)
        assert {name: amount for name, amount in sums().items() if amount} == naive(107)
        assert len(read) == len(set(read)) == 107
        writer.projector = tables(database, level=False, failure="it is away")
        assert sums()["house"] == naive(107)["house"], "while the tables are down, what they last told"
    with TestClient(application(writer)) as client:
        assert client.get("/api/v1/waterfall").status_code == 503, "a sum of nothing is no sum"


def test_sums_of_tables_that_wait_to_be_emptied_are_not_kept(database, tmp_path):
    """They may be of another journal, whose draws would be counted for ever."""
    sums = Paid()
    assert sums.sums(database, level=False) == naive(100)
    assert sums.known() is None
    with database.begin() as connection:
        projection.clear(connection)
    assert sums.sums(database, level=True) == {}
    write(database, 0, 4)
    assert sums.sums(database, level=True) == naive(4)


def test_the_event_that_is_stored_reads_as_the_question_expects():
    body = msgspec.json.encode(draws(0, 1)[0]).decode()
    assert body.count('"layer":"house"') == 1
    assert '"layer":"insurance"' not in body
