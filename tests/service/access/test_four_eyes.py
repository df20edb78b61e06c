"""Four eyes: parameters, and withdrawals above the limit; with the control off one pair of eyes is enough."""

import itertools
from decimal import Decimal

import msgspec
import pytest

from crossmargin.client.house_records import AccessLog
from crossmargin.service.access import approvals as of_approvals
from crossmargin.service.access.roles import Scope

COUNT = itertools.count()
OWN = "hedger"


@pytest.fixture
def desk(client, access, callers):
    """Return a maker of callers, each of its own owner."""

    def make(owner, *scopes, accounts=None):
        key, secret = access.keys.create(owner=owner, scopes=frozenset(scopes), accounts=accounts, created_ns=1)
        return type(callers["viewer", "all"])(client, key.id, secret)

    return make


@pytest.fixture
def limit(access, monkeypatch):
    monkeypatch.setitem(access.approvals._limits, "USDC", Decimal(100))
    access.approvals._database.execute("DELETE FROM withdrawn")


def withdraw(caller, amount, key=None, account=OWN):
    body = msgspec.json.encode({"account": account, "asset": "USDC", "amount": str(amount)})
    return caller.send("POST", "/api/v1/withdrawals", body, idempotency_key=key or f"w-{next(COUNT)}")


def decide(caller, identifier, decision="approve"):
    body = msgspec.json.encode({"decision": decision})
    return caller.send("POST", f"/api/v1/approvals/{identifier}", body)


def balance(writer):
    with writer.lock:
        return Decimal(writer.engine.state.ledger.balance(OWN, "USDC")).scaleb(-8)


def change(caller, key):
    """Ask for the parameters that are in force, with one fee changed."""
    items = caller.send("GET", "/api/v1/parameters").json()["items"]
    values = next(item["values"] for item in items if item["name"] == "engine")
    return caller.send("POST", "/api/v1/parameters", msgspec.json.encode({"parameters": values}), idempotency_key=key)


def test_a_withdrawal_within_the_limit_is_done_at_once(desk, limit, writer):
    before = balance(writer)
    assert withdraw(desk("tom", Scope.READ, Scope.WITHDRAW), 100).status_code == 200
    assert before - balance(writer) == 100


def test_a_withdrawal_above_it_waits_for_somebody_else(desk, limit, writer):
    treasurer, admin = desk("tom", Scope.READ, Scope.WITHDRAW), desk("ann", Scope.READ, Scope.ADMIN)
    before = balance(writer)
    waiting = withdraw(treasurer, 101, "big")
    assert (waiting.status_code, waiting.json()["state"]) == (202, "pending")
    assert balance(writer) == before
    named = waiting.json()["id"]
    assert withdraw(treasurer, 101, "big").json()["id"] == named  # asked again, it is the same
    assert withdraw(treasurer, 102, "big").status_code == 400  # and never another
    assert decide(treasurer, named).status_code == 403
    # another key of the same person, though it administers
    assert decide(desk("tom", Scope.READ, Scope.ADMIN), named).status_code == 403
    assert decide(desk("ann", Scope.READ, Scope.ADMIN, accounts=frozenset({"cash-only"})), named).status_code == 403
    assert balance(writer) == before
    assert decide(admin, named).status_code == 200
    assert before - balance(writer) == 101
    assert decide(admin, named).status_code == 200  # again, for an answer that was lost: done once
    assert before - balance(writer) == 101
    assert decide(admin, named, "reject").status_code == 400


def test_nobody_is_his_own_second_pair_of_eyes(desk, limit, writer, monkeypatch):
    treasurer, himself = desk("tom", Scope.READ, Scope.WITHDRAW), desk("tom", Scope.READ, Scope.ADMIN)
    before = balance(writer)
    named = withdraw(treasurer, 500).json()["id"]
    assert decide(himself, named).status_code == 403
    assert balance(writer) == before
    monkeypatch.setattr(of_approvals, "_require_another", lambda *_: None)
    assert decide(himself, named).status_code == 200
    assert before - balance(writer) == 500, "without the control one person with two keys takes it all"


def test_what_is_rejected_is_not_done(desk, limit, writer):
    before = balance(writer)
    named = withdraw(desk("tom", Scope.READ, Scope.WITHDRAW), 500).json()["id"]
    admin = desk("ann", Scope.READ, Scope.ADMIN)
    assert decide(admin, named, "reject").json()["state"] == "rejected"
    assert decide(admin, named).status_code == 400
    assert balance(writer) == before


def test_many_small_withdrawals_are_one_large_one(desk, limit, writer, access, monkeypatch):
    treasurer = desk("tom", Scope.READ, Scope.WITHDRAW)
    before = balance(writer)
    assert [withdraw(treasurer, 30).status_code for _ in range(5)] == [200, 200, 200, 202, 202]
    # another person's key for the same account finds the same limit
    assert withdraw(desk("tim", Scope.READ, Scope.WITHDRAW), 30).status_code == 202
    assert before - balance(writer) == 90
    monkeypatch.setattr(access.approvals, "needs_two", lambda *_: False)
    assert withdraw(treasurer, 5_000).status_code == 200, "without the control one pair of eyes takes it all"
    assert before - balance(writer) == 5_090


def test_the_limit_is_of_24_hours(desk, limit, access, monkeypatch):
    treasurer = desk("tom", Scope.READ, Scope.WITHDRAW)
    assert withdraw(treasurer, 100).status_code == 200
    assert withdraw(treasurer, 1).status_code == 202
    access.approvals._database.execute("UPDATE withdrawn SET time_ns = time_ns - 86400000000001")
    assert withdraw(treasurer, 1).status_code == 200


def test_parameters_always_wait_for_somebody_else(desk, writer, access, monkeypatch):
    ann, bea = desk("ann", Scope.READ, Scope.ADMIN), desk("bea", Scope.READ, Scope.ADMIN)
    before = writer.sequence
    waiting = change(ann, "p-1")
    assert (waiting.status_code, writer.sequence) == (202, before)
    assert decide(ann, waiting.json()["id"]).status_code == 403
    assert decide(bea, waiting.json()["id"]).status_code == 200
    assert writer.sequence > before
    listed = ann.send("GET", "/api/v1/approvals").json()["items"]
    assert (listed[0]["asked_by"], listed[0]["decided_by"], listed[0]["state"]) == ("ann", "bea", "approved")
    monkeypatch.setattr(access.approvals, "needs_two", lambda *_: False)
    assert change(ann, "p-2").status_code == 200, "without the control whoever administers changes them alone"


def test_what_waits_is_written_down_before_it_is_done(desk, limit, access):
    named = withdraw(desk("tom", Scope.READ, Scope.WITHDRAW), 500).json()["id"]
    decide(desk("ann", Scope.READ, Scope.ADMIN), named, "reject")
    last = list(access.log.entries())[-1]
    assert (last.who, last.decision.split()[0], last.decision.split()[-1]) == ("ann", "rejected", "tom")


def test_approvals_are_paged_in_the_order_of_asking_and_told_by_state(desk, limit, access):
    tom, ann = desk("tom-pages", Scope.READ, Scope.WITHDRAW), desk("ann-pages", Scope.READ, Scope.ADMIN)
    asked = [withdraw(tom, 500 + number, key=f"page-{number}").json()["id"] for number in range(5)]
    decide(ann, asked[1], "reject")
    whole = ann.send("GET", "/api/v1/approvals?limit=1000").json()
    assert whole["next"] is None
    assert [each["id"] for each in whole["items"]][:5] == asked[::-1]
    found, cursor = [], ""
    while cursor is not None:
        page = ann.send("GET", f"/api/v1/approvals?limit=2{cursor}").json()
        assert 1 <= len(page["items"]) <= 2
        found += page["items"]
        cursor = None if page["next"] is None else f"&cursor={page['next']}"
    assert found == whole["items"]
    for state in ("pending", "rejected", "approved"):
        told = ann.send("GET", f"/api/v1/approvals?state={state}").json()["items"]
        assert told == [each for each in found if each["state"] == state]
    assert ann.send("GET", "/api/v1/approvals?state=lost").status_code == 400


def test_parameters_that_fit_no_method_are_refused_before_anybody_is_asked_to_look(desk, access):
    ann = desk("ann-misfit", Scope.READ, Scope.ADMIN)
    items = ann.send("GET", "/api/v1/parameters").json()["items"]
    found = next(item for item in items if item["name"] == "scenario_grid")
    assert found["in_force"]
    assert found["values"] == found["shipped"]
    body = {"method": "scenario_grid", "parameters": {**found["values"], "maintenance_factor": "much"}}
    waiting = len(access.approvals.newest(1000))
    answer = ann.send("POST", "/api/v1/parameters", msgspec.json.encode(body), idempotency_key="misfit")
    assert answer.status_code == 400
    assert answer.json()["error"]["rule"] == "parameters must fit scenario_grid"
    assert "maintenance_factor" in answer.json()["error"]["finding"]
    assert len(access.approvals.newest(1000)) == waiting


def test_the_log_tells_owners_who_asked_for_what_and_from_where(desk):
    ann, vic = desk("ann-asks", Scope.READ, Scope.ADMIN), desk("vic", Scope.READ)
    assert change(ann, "logged").status_code == 202
    assert vic.send("POST", "/api/v1/stress", b'{"moves": {"BTC": -0.1}}').status_code == 403
    newest = ann.send("GET", "/api/v1/access-log?limit=2").json()
    assert [item["who"] for item in newest["items"]] == ["vic", "ann-asks"]
    assert newest["items"][0]["decision"].startswith("refused: this needs the scope risk")
    assert newest["items"][1]["action"].startswith("POST /api/v1/parameters")
    assert newest["items"][1]["address"] == "testclient"
    assert msgspec.json.decode(msgspec.json.encode(msgspec.convert(newest, AccessLog))) == newest
    older = ann.send("GET", f"/api/v1/access-log?limit=1&cursor={newest['next']}").json()["items"]
    assert older[0]["sequence"] == newest["items"][1]["sequence"] - 1
    of_ann = ann.send("GET", "/api/v1/access-log?who=ann-asks").json()["items"]
    assert {item["who"] for item in of_ann} == {"ann-asks"}
    refused = ann.send("GET", "/api/v1/access-log?who=vic&action=REFUSED").json()["items"]
    assert [item["action"].split()[1] for item in refused] == ["/api/v1/stress"]
    assert ann.send("GET", "/api/v1/access-log?action=no%20such%20thing").json() == {"items": [], "next": None}
    assert vic.send("GET", "/api/v1/access-log").status_code == 403
