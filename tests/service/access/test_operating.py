"""The house's own commands by its route: what is done at once, what waits for a second owner, and what is not for it."""

import itertools

import msgspec
import pytest
from litestar.testing import TestClient

from crossmargin.files.story import play
from crossmargin.service import operator_routes
from crossmargin.service.access import approvals as of_approvals
from crossmargin.service.access.roles import Scope
from crossmargin.service.application import application
from crossmargin.service.writer import Writer

COUNT = itertools.count()
OWN, OTHER = "hedger", "cash-only"
INSTRUMENT = "deribit:BTC/USD:BTC"
AUCTION = """
    set      auction_duration_ns 60000000000
    alice    deposits 10_000
    bob      deposits 90_000
    dave     deposits 90_000
    BTC-PERP marks 50_000
    alice    buys 1 BTC-PERP at 50_000 from bob
    BTC-PERP marks 42_000
"""
"""One BTC bought at 50,000 with 10,000: at 42,000 the account is auctioned."""


@pytest.fixture
def desk(client, access, callers):
    """Return a maker of callers, each of its own owner."""

    def make(owner, *scopes):
        key, secret = access.keys.create(owner=owner, scopes=frozenset(scopes), accounts=None, created_ns=1)
        return type(callers["viewer", "all"])(client, key.id, secret)

    return make


@pytest.fixture
def officer(desk):
    return desk("officer", Scope.READ, Scope.ADMIN)


def asked(caller, kind, key=None, **fields):
    body = msgspec.json.encode({"type": kind, **fields})
    return caller.send("POST", "/api/v1/commands", body, idempotency_key=key or f"operated-{next(COUNT)}")


def kinds(answer):
    assert answer.status_code == 200, answer.text
    return [event["type"] for event in answer.json()["events"]]


def deposited(caller, amount):
    body = msgspec.json.encode({"account": OTHER, "asset": "USDC", "amount": amount})
    return caller.send("POST", "/api/v1/deposits", body, idempotency_key=f"operated-{next(COUNT)}")


def test_an_operator_halts_and_reopens_while_it_runs(officer, desk, writer, access):
    trader = desk("tess", Scope.TRADE)
    order = {"account": OWN, "instrument": INSTRUMENT, "side": "sell", "quantity": "1000", "price": "100000"}

    def placed():
        name = f"o-{next(COUNT)}"
        body = msgspec.json.encode({**order, "order": name})
        return trader.send("POST", "/api/v1/orders", body, idempotency_key=name).json()

    assert "Halted" in kinds(asked(officer, "Halt", reason="the index of BTC is in doubt"))
    assert [(each.who, each.decision) for each in access.log.entries()][-1] == ("officer", "asked for Halt")
    assert placed()["error"]["rule"] == "HALTED_RISK_REDUCTION_ONLY"
    assert "Resumed" in kinds(asked(officer, "Resume", reason="confirmed with two venues"))
    assert placed().get("error", {}).get("rule") != "HALTED_RISK_REDUCTION_ONLY"


def test_a_matching_engine_opens_an_account_and_records_its_trade_once(officer, writer):
    with writer.lock:
        mark = writer.engine.mark(INSTRUMENT)
    account = f"newcomer-{next(COUNT)}"
    assert kinds(asked(officer, "OpenAccount", account=account)) == ["Accepted"]
    body = msgspec.json.encode({"account": account, "asset": "USDC", "amount": "500000"})
    assert officer.send("POST", "/api/v1/deposits", body, idempotency_key=account).status_code == 200
    trade = {"buyer": account, "seller": OWN, "instrument": INSTRUMENT, "quantity": "1000", "price": str(mark)}
    assert "Traded" in kinds(asked(officer, "RecordTrade", key=account + "-t", **trade))
    assert kinds(asked(officer, "RecordTrade", key=account + "-t", **trade)) == ["Repeated"]


def test_what_takes_money_waits_for_somebody_else(officer, desk, monkeypatch, writer):
    amount = "25"

    def held():
        with writer.lock:
            return writer.engine.state.ledger.balance(OTHER, "USDC")

    assert deposited(officer, "100").status_code == 200
    before = held()
    waiting = asked(officer, "ChargeFee", account=OTHER, asset="USDC", amount=amount, reason="a fee")
    assert (waiting.status_code, waiting.json()["state"]) == (202, "pending")
    assert held() == before
    decision = msgspec.json.encode({"decision": "approve"})
    address = f"/api/v1/approvals/{waiting.json()['id']}"
    assert officer.send("POST", address, decision).status_code == 403
    assert desk("second", Scope.READ, Scope.ADMIN).send("POST", address, decision).status_code == 200
    after = held()
    assert before - after == 25 * 10**8
    monkeypatch.setattr(operator_routes, "FourEyes", of_approvals.Withdraw)
    assert asked(officer, "ChargeFee", account=OTHER, asset="USDC", amount=amount, reason="a fee").status_code == 200
    assert held() < after, "without the control one pair of eyes takes it"


@pytest.mark.parametrize("kind", ["PlaceOrder", "Withdraw", "Deposit", "SetParameters", "Upgrade", "Nonsense", None])
def test_what_has_a_route_of_its_own_is_refused(officer, kind):
    answer = asked(officer, kind, account=OWN)
    assert answer.status_code == 400
    assert answer.json()["error"]["rule"].startswith("a type must be one of")


def test_every_command_of_the_engine_is_operated_or_has_its_own_way():
    own_way = {"PlaceOrder", "Withdraw", "Deposit", "SetParameters", "SetMarginParameters", "BidAuction"}
    not_asked_for = {"Upgrade"}
    known = {each.__name__ for each in operator_routes.ask.Command.__args__}
    assert set(operator_routes.OPERATED) == known - own_way - not_asked_for
    assert set(of_approvals.FourEyes.__args__) >= set(operator_routes.Waiting.__args__)


def test_a_liquidator_takes_over_an_auctioned_account(tmp_path):
    writer = Writer(tmp_path)
    try:
        for command in play(AUCTION).commands:
            writer.submit(command).result(timeout=300)
        with TestClient(application(writer)) as client:
            headers = {"Idempotency-Key": "bid-1"}
            body = {"account": "dave", "auctioned": "alice"}
            found = client.post("/api/v1/bids", json=body, headers=headers)
            assert "TakenOver" in kinds(found)
            again = client.post("/api/v1/bids", json=body, headers={"Idempotency-Key": "bid-2"})
            assert (again.status_code, again.json()["error"]["rule"]) == (422, "UNKNOWN_LIQUIDATION")
            wrong = client.post("/api/v1/bids", json={"bidder": "dave"}, headers={"Idempotency-Key": "bid-3"})
            assert wrong.status_code == 400
    finally:
        writer.close()
