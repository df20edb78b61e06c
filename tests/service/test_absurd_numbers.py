"""Numbers beyond all use, as anybody may send them: one order halted the house, and one time stopped the tables for good."""

import pytest
from litestar.testing import TestClient

from crossmargin.engine import commands as ask
from crossmargin.engine import engine as deciding
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.projector import Projector
from crossmargin.service.writer import Writer

ORDER = {
    "account": "levered-long", "order": "o", "instrument": "deribit:BTC/USD:BTC", "side": "buy", "price": "80000",
    "quantity": "1e400",
}  # fmt: skip
TIME = {"type": "AdvanceTime", "time_ns": 2**70}
OPEN = {"type": "OpenAccount", "account": "a\0b"}


@pytest.fixture
def writer(tmp_path):
    book = [each for each in sample_book() if each.account == "levered-long"]
    writer = Writer(
        tmp_path / "j",
        opening=lambda: tuple(opening_commands(book, sample_market())),
        projector=Projector(f"sqlite:///{tmp_path}/p.sqlite", tmp_path / "j"),
    )
    yield writer
    writer.close()


def asked(client, path, body):
    return client.post(f"/api/v1/{path}", json=body, headers={"Idempotency-Key": path})


@pytest.mark.parametrize(("path", "body"), [("orders", ORDER), ("commands", TIME), ("commands", OPEN)])
def test_a_number_beyond_all_use_is_refused_and_everything_goes_on(writer, path, body):
    with TestClient(application(writer)) as client:
        refused = asked(client, path, body)
        assert refused.status_code == 422
        assert refused.json()["error"]["rule"] == "MALFORMED"
        assert client.get("/api/v1/overview").json()["breakers"] == []
        assert asked(client, "deposits", {"account": "levered-long", "asset": "USDC", "amount": "1"}).status_code == 200
        assert writer.projector.wait_for(writer.record, 600)


def test_without_the_look_at_sizes_one_order_halts_the_house(writer, monkeypatch):
    monkeypatch.setattr(deciding, "misfit", lambda _: None)
    with TestClient(application(writer)) as client:
        asked(client, "orders", ORDER)
        assert asked(client, "deposits", {"account": "levered-long", "asset": "USDC", "amount": "1"}).status_code == 422
    assert writer.engine.state.halt.breaker == "POISONED"


def test_without_the_look_at_sizes_one_time_stops_the_tables(writer, monkeypatch):
    monkeypatch.setattr(deciding, "misfit", lambda _: None)
    assert writer.projector.wait_for(writer.record, 600)
    writer.submit(ask.AdvanceTime(id="t", time_ns=2**70)).result(timeout=600)
    writer.projector._thread.join(600)
    assert writer.projector._is_lost
