"""The service as it stood: figures after a record are those that were shown when it was the last."""

from decimal import Decimal

import pytest
from litestar.testing import TestClient

from crossmargin.engine.commands import Deposit
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer


@pytest.fixture
def writer(tmp_path):
    commands = tuple(opening_commands([each for each in sample_book() if each.account == "hedger"], sample_market()))
    writer = Writer(tmp_path, opening=lambda: commands)
    yield writer
    writer.close()


def rows(answer):
    return {row["account"]: row for row in answer["accounts"]}


def test_each_moment_is_what_was_shown_then(writer):
    shown = {}
    with TestClient(application(writer)) as client:
        for number in range(1, 6):
            deposit = Deposit(id=f"d{number}", account="hedger", asset="USDC", amount=Decimal(1000 * number))
            writer.submit(deposit).result(timeout=60)
            shown[writer.record] = client.get("/api/v1/overview").json(), client.get("/api/v1/accounts").json()
        assert len({seen["equity"] for seen, _ in shown.values()}) == 5
        # forth, back and forth again: from a snapshot, from the moment before, and anew
        for record in (*shown, *reversed(shown), *shown):
            found = client.get("/api/v1/replay", params={"record": record}).json()
            overview, accounts = shown[record]
            assert found["overview"] | {"sequence": 0} == overview | {"sequence": 0}
            assert rows(found) == rows(accounts)
            assert (found["record"], found["last"]) == (record, writer.record)
        assert client.get("/api/v1/replay").json()["record"] == writer.record


def test_a_moment_before_every_price_says_how_many_accounts_have_no_figures(writer):
    with TestClient(application(writer)) as client:
        found = [client.get("/api/v1/replay", params={"record": record}).json() for record in range(1, writer.record)]
    assert all((each["overview"] is None) == (each["unpriced"] > 0) for each in found)
    assert found[0]["accounts"] == []


@pytest.mark.parametrize("record", [0, -1, 1_000_000])
def test_a_record_that_never_was_is_refused(writer, record):
    with TestClient(application(writer)) as client:
        answer = client.get("/api/v1/replay", params={"record": record})
    assert answer.status_code == 400
    assert answer.json()["error"]["rule"].startswith("a record must be 1 to")
