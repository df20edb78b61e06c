"""Every route by every role, on its own and on another's account: generated from the table, as the table declares."""

import itertools

import msgspec
import pytest
from litestar import Litestar, get

from crossmargin.errors import InvariantError
from crossmargin.service.access.roles import ROLES, Principal, Scope
from crossmargin.service.access.routes import RULES, Bound, Rule, check_table, served

OWN, OTHER, UNKNOWN = "hedger", "levered-long", "nobody-at-all"
HTTP = sorted(key for key in RULES if key[0] != "WEBSOCKET")
GUARDED = [key for key in HTTP if RULES[key].scope is not None]
KEYS = itertools.count()
REFUSED = {401, 403}


def asked(caller, route, account):
    """Send a request of the route for the account; its body need not be good, only its account right."""
    method, template = route
    url = (
        template.replace("{name}", account)
        .replace("{identifier}", "0" * 16)
        .replace("{what}", "waterfall")
        .replace("{order}", "none")
    )
    body = b"" if method in {"GET", "DELETE", "HEAD"} else msgspec.json.encode({"account": account})
    return caller.send(method, url, body, idempotency_key=f"matrix-{next(KEYS)}" if body else "")


@pytest.fixture(scope="module")
def application(client):
    return client.app


def test_the_table_is_what_is_served(application):
    assert served(application) == set(RULES)


def test_a_route_outside_the_table_is_not_built():
    @get("/forgotten", sync_to_thread=False)
    def forgotten() -> None:
        return None

    with pytest.raises(InvariantError, match="forgotten"):
        check_table(Litestar([forgotten], openapi_config=None))


def test_what_is_described_is_in_the_table(client):
    paths = client.get("/api/v1/schema/openapi.json").json()["paths"]
    described = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert described <= set(RULES)
    assert {key for key in GUARDED if key[1].startswith("/api/v1")} <= described


@pytest.mark.parametrize("account", [OWN, OTHER, UNKNOWN])
@pytest.mark.parametrize("bound", ["own", "all"])
@pytest.mark.parametrize("role", list(ROLES))
@pytest.mark.parametrize("route", GUARDED, ids=lambda route: " ".join(route))
def test_matrix(callers, route, role, bound, account, record_property):
    rule = RULES[route]
    has_scope = rule.scope in ROLES[role]
    on_account = rule.bound in {Bound.PATH, Bound.BODY}
    is_bound = bound == "all" or (account == OWN if on_account else rule.bound is not Bound.HOUSE)
    answer = asked(callers[role, bound], route, account)
    if has_scope and is_bound:
        assert answer.status_code not in REFUSED | {429}
        assert answer.status_code < 500
    else:
        assert answer.status_code == 403, answer.text


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: " ".join(route))
def test_nobody_passes_without_a_key(client, route):
    method, template = route
    url = template.replace("{name}", OWN).replace("{identifier}", "0" * 16).replace("{what}", "waterfall")
    url = url.replace("{order}", "none")
    answer = client.request(method, url)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("route", [key for key in HTTP if RULES[key].scope is None], ids=lambda route: " ".join(route))
def test_what_is_public_is_public(client, route):
    method, template = route
    answer = client.request(method, template.replace("{", "").replace("}", ""))
    assert answer.status_code not in {403, 500}
    assert answer.status_code != 401 or template == "/api/v1/session"


@pytest.mark.parametrize("role", list(ROLES))
def test_a_list_holds_the_callers_accounts_only(callers, role):
    own = callers[role, "own"].send("GET", "/api/v1/accounts").json()["accounts"]
    every = callers[role, "all"].send("GET", "/api/v1/accounts").json()["accounts"]
    assert [row["account"] for row in own] == [OWN]
    assert {OWN, OTHER} < {row["account"] for row in every}


def test_another_s_account_and_none_answer_the_same(callers):
    for route in GUARDED:
        if RULES[route].bound in {Bound.PATH, Bound.BODY}:
            for caller in (callers["trader", "own"], callers["admin", "own"]):
                other, unknown = asked(caller, route, OTHER), asked(caller, route, UNKNOWN)
                assert (other.status_code, other.content) == (unknown.status_code, unknown.content)


def test_the_last_of_two_fields_counts_for_both(callers):
    """A guard that read the first `account` and a route that reads the last would let this through."""
    for first, last in ((OWN, OTHER), (OTHER, OWN)):
        body = f'{{"account":"{first}","account":"{last}","asset":"USDC","amount":"1"}}'.encode()
        answer = callers["treasurer", "own"].send("POST", "/api/v1/withdrawals", body, idempotency_key=f"twice-{first}")
        assert (answer.status_code == 403) == (last == OTHER)


def test_no_role_that_administers_trades_or_withdraws():
    for scopes in ROLES.values():
        assert not (Scope.ADMIN in scopes and scopes & {Scope.TRADE, Scope.WITHDRAW})


def test_a_key_of_an_account_has_no_sub_accounts_and_no_other_by_an_encoded_slash(callers):
    for spelled in (f"{OWN}%2Fg1", f"{OWN}%2F..%2F{OTHER}", f"..%2Faccounts%2F{OTHER}", f"{OWN}%2f{OTHER}"):
        answer = callers["viewer", "own"].send("GET", f"/api/v1/accounts/{spelled}")
        assert answer.status_code == 403


@pytest.mark.parametrize(("control", "role", "bound", "route"), [
    ("require", "viewer", "all", ("POST", "/api/v1/deposits")),
    ("require_account", "viewer", "own", ("GET", "/api/v1/accounts/{name}")),
])  # fmt: skip
def test_without_the_control_the_matrix_has_holes(callers, monkeypatch, control, role, bound, route):
    assert asked(callers[role, bound], route, OTHER).status_code == 403
    monkeypatch.setattr(Principal, control, lambda *_: None)
    assert asked(callers[role, bound], route, OTHER).status_code not in REFUSED


def test_without_a_binding_a_route_tells_of_everybody(callers, monkeypatch):
    route = ("GET", "/api/v1/overview")
    assert asked(callers["viewer", "own"], route, OWN).status_code == 403
    monkeypatch.setitem(RULES, route, Rule(scope=Scope.READ))
    assert asked(callers["viewer", "own"], route, OWN).status_code == 200
