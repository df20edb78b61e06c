"""Floods of requests, and of bytes in one: who still gets through; each control once without."""

from types import SimpleNamespace

import pytest
from litestar.testing import TestClient

from crossmargin.service import application as assembled
from crossmargin.service.access import rate_limits
from crossmargin.service.access.rate_limits import Rate, RateLimits
from crossmargin.service.access.roles import Lane, Scope
from crossmargin.service.access.routes import RULES, Rule

CHEAP, DEAR = "/api/v1/feeds", "/api/v1/accounts/hedger/compare"
PLENTY = Rate(per_second=1e6, burst=1e6)


@pytest.fixture
def still(access, monkeypatch):
    """Let the clock of the limits stand: nothing refills."""
    now = access.monotonic()
    monkeypatch.setattr(access, "monotonic", lambda: now)


@pytest.fixture
def desk(client, access, callers):
    """Return a maker of callers with the given lane."""

    def make(owner, *scopes, lane=Lane.ORDINARY):
        key, secret = access.keys.create(owner=owner, scopes=frozenset(scopes), accounts=None, created_ns=1, lane=lane)
        return type(callers["viewer", "all"])(client, key.id, secret)

    return make


def status(caller, url=CHEAP):
    return caller.send("GET", url).status_code


def passed(caller, most=200):
    """Return how many requests get through before one has to wait."""
    return next(count for count in range(most) if status(caller) == 429)


@pytest.mark.usefixtures("still")
def test_a_flood_shuts_out_neither_liquidators_nor_operators(access, desk, monkeypatch):
    ordinary = desk("crowd", Scope.READ)
    others = desk("closer", Scope.READ, lane=Lane.LIQUIDATION), desk("officer", Scope.READ, Scope.RISK)

    def flooded():
        monkeypatch.setattr(access, "limits", RateLimits(caller=PLENTY, common=Rate(per_second=1, burst=50)))
        return passed(ordinary), *(status(each) for each in others)

    assert flooded() == (40, 200, 200)
    assert status(ordinary) == 429
    monkeypatch.setattr(rate_limits, "RESERVED", dict.fromkeys(Lane, 0.0))
    assert flooded() == (50, 429, 429), "without the lanes whoever floods shuts everybody out"


@pytest.mark.usefixtures("still")
def test_a_dear_request_counts_as_many(access, desk, monkeypatch):
    caller = desk("asker", Scope.READ)

    def asked():
        monkeypatch.setattr(access, "limits", RateLimits(caller=Rate(per_second=1, burst=40), common=PLENTY))
        return [status(caller, DEAR) for _ in range(3)]

    assert asked() == [200, 200, 429]
    route = ("GET", "/api/v1/accounts/{name}/compare")
    monkeypatch.setitem(RULES, route, Rule(scope=RULES[route].scope, bound=RULES[route].bound))
    assert asked() == [200] * 3, "without its weight it costs the service twenty times what it costs the caller"


@pytest.mark.usefixtures("still")
def test_a_caller_keeps_to_his_rate(access, desk, monkeypatch):
    caller, other = desk("eager", Scope.READ), desk("calm", Scope.READ)
    monkeypatch.setattr(access, "limits", RateLimits(caller=Rate(per_second=1, burst=10), common=PLENTY))
    assert passed(caller) == 10
    assert status(other) == 200
    monkeypatch.setattr(access, "limits", RateLimits(caller=PLENTY, common=PLENTY))
    assert [status(caller) for _ in range(20)] == [200] * 20, "without the limit he goes on"


def test_a_body_beyond_the_limit_is_not_read(writer, access, callers, monkeypatch):
    body = b'{"positions": [' + b" " * assembled.LARGEST_BODY + b"]}"

    def sent():
        with TestClient(assembled.application(writer, access=access), base_url="https://testserver.local") as client:
            caller = SimpleNamespace(**vars(callers["viewer", "all"]) | {"client": client})
            headers = type(callers["viewer", "all"]).headers(caller, "POST", "/api/v1/margin", body)
            return client.post("/api/v1/margin", content=body, headers=headers).status_code

    assert sent() == 413
    monkeypatch.setattr(assembled, "LARGEST_BODY", None)
    assert sent() == 400, "without the limit a service reads on until its memory is full"
