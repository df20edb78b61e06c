"""An order whose end is followed by a flood of other events, while nobody asks for it; once without following them."""

from decimal import Decimal

import pytest
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.service.application import application
from crossmargin.service.deribit import history
from crossmargin.service.writer import Writer

from .conftest import PERPETUAL, commands

KEPT, ORDER = 40, "BTC-1"


@pytest.fixture
def writer(tmp_path, monkeypatch):
    monkeypatch.setattr("crossmargin.service.writer.EVENTS_KEPT", KEPT)
    writer = Writer(tmp_path)
    for command in commands():
        writer.submit(command).result(timeout=120)
    yield writer
    writer.close()


def end_of_an_order(writer):
    """Return what Deribit's API says of an order that was cancelled before a flood."""
    with TestClient(application(writer)) as client:
        placed = ask.PlaceOrder(
            id="placed", account="alice", order=ORDER, instrument=PERPETUAL, side="buy", quantity=Decimal(10),
            price=Decimal(94000),
        )  # fmt: skip
        asked = [placed, ask.CancelOrder(id="cancelled", order=ORDER)]
        asked += [ask.RunAudit(id=f"audit-{number}") for number in range(3 * KEPT)]
        for command in asked:
            writer.submit(command).result(timeout=60)
        token = client.get(
            "/api/v2/public/auth",
            params={"grant_type": "client_credentials", "client_id": "alice", "client_secret": "x"},
        ).json()["result"]["access_token"]
        return client.get(
            "/api/v2/private/get_order_state", params={"order_id": ORDER}, headers={"Authorization": f"Bearer {token}"}
        ).json()


def test_the_end_of_an_order_outlives_a_flood_while_nobody_asks(writer, monkeypatch):
    monkeypatch.setattr(history, "FOLLOWED_EVERY", KEPT // 4)
    assert end_of_an_order(writer)["result"]["order_state"] == "cancelled"


def test_without_following_it_is_not_known(writer, monkeypatch):
    monkeypatch.setattr(history, "FOLLOWED_EVERY", 10**9)
    assert "error" in end_of_an_order(writer)
