"""Our keys behind Deribit's API: what a key may not do over one door, it may not do over the other."""

import base64
import hashlib
import hmac
import itertools
import time

import msgspec
import pytest
from litestar.exceptions import WebSocketDisconnect

from crossmargin.service.access import deribit as access_deribit
from crossmargin.service.access.rate_limits import Rate, RateLimits
from crossmargin.service.access.roles import Scope
from crossmargin.service.deribit import connection

OWN, OTHER = "hedger", "levered-long"
COUNT = itertools.count()
READ, TRADE = frozenset({Scope.READ}), frozenset({Scope.READ, Scope.TRADE})
ORDER = {"instrument_name": "BTC-PERPETUAL", "amount": 10, "price": 1, "type": "limit"}


@pytest.fixture
def key(access):
    """Make a key; each test's own, so that revoking it disturbs no other."""

    def make(scopes=READ, accounts=frozenset({OWN}), **more):
        return access.keys.create(owner="alice", scopes=scopes, accounts=accounts, created_ns=1, **more)

    return make


def now_ms():
    return time.time_ns() // 1_000_000  # noqa: TID251


def signed(key, secret, method, uri, body=b"", *, nonce=None, time_ms=None, altered=""):
    """Return the header of Deribit's documentation, "Authentication: deri-hmac-sha256"."""
    nonce, time_ms = nonce or f"d-{next(COUNT)}", time_ms or now_ms()
    text = f"{time_ms}\n{nonce}\n{method}\n{uri}\n".encode() + body + b"\n" + altered.encode()
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    return {"Authorization": f"deri-hmac-sha256 id={key.id},ts={time_ms},nonce={nonce},sig={signature}"}


def positions(client, headers):
    uri = "/api/v2/private/get_positions?currency=BTC"
    return client.get(uri, headers=headers(uri) if callable(headers) else headers).json()


def error_of(answer):
    return answer.get("error", {}).get("code")


def test_private_methods_need_a_true_signature(client, key):
    made, secret = key()
    for more, code in (
        ({}, None),
        ({"altered": "x"}, 13004),
        ({"time_ms": now_ms() - 6_000}, 13004),
        ({"time_ms": now_ms() + 60_000}, 13004),
    ):
        answer = positions(client, lambda uri, more=more: signed(made, secret, "GET", uri, **more))
        assert error_of(answer) == code, more
    assert error_of(positions(client, {})) == 13009


def test_a_signature_counts_once(client, key, access, monkeypatch):
    made, secret = key()
    uri = "/api/v2/private/get_positions?currency=BTC"
    headers = signed(made, secret, "GET", uri)
    assert error_of(positions(client, headers)) is None
    assert error_of(positions(client, headers)) == 13004
    monkeypatch.setattr(access.nonces, "take", lambda *_, **__: True)  # without the guard it would count again
    assert error_of(positions(client, headers)) is None


def test_a_body_is_part_of_what_is_signed(client, key):
    made, secret = key(TRADE)
    body = msgspec.json.encode({"method": "private/get_positions", "params": {"currency": "BTC"}, "id": 1})
    other = body.replace(b"BTC", b"ETH")
    headers = signed(made, secret, "POST", "/api/v2", body)
    assert error_of(client.post("/api/v2", content=other, headers=headers).json()) == 13004
    assert error_of(client.post("/api/v2", content=body, headers=headers).json()) is None


def test_who_may_read_may_not_trade(client, key, monkeypatch):
    made, secret = key()
    basic = {"Authorization": "Basic " + base64.b64encode(f"{made.id}:{secret}".encode()).decode()}

    def bought():
        body = {"method": "private/buy", "params": ORDER, "id": 1}
        return error_of(client.post("/api/v2/private/buy", json=body, headers=basic).json())

    assert bought() == 13021
    monkeypatch.setattr(access_deribit, "CHANGES", ("nothing",))
    assert bought() != 13021  # the control off, the order is the engine's to judge
    monkeypatch.undo()
    token = client.get(
        "/api/v2/public/auth",
        params={"grant_type": "client_credentials", "client_id": made.id, "client_secret": secret},
    ).json()["result"]
    assert token["scope"] == "account:read trade:read"
    for method in ("private/buy", "private/sell", "private/cancel", "private/cancel_all"):
        body = {"method": method, "params": {**ORDER, "access_token": token["access_token"]}, "id": 1}
        assert error_of(client.post("/api/v2", json=body).json()) == 13021


def test_a_key_that_ends_takes_its_tokens_along(client, key, access):
    made, secret = key()
    ask = {"grant_type": "client_credentials", "client_id": made.id, "client_secret": secret}
    token = client.get("/api/v2/public/auth", params=ask).json()["result"]
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert error_of(positions(client, bearer)) is None
    access.keys.revoke(made.id, 2)
    assert error_of(positions(client, bearer)) == 13009
    refresh = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
    assert error_of(client.get("/api/v2/public/auth", params=refresh).json()) == 13009


def test_an_account_is_named_where_a_key_has_several(client, key):
    made, secret = key(accounts=frozenset({OWN, "cash-only"}))
    for client_id, code in (
        (made.id, 13004),
        (f"{made.id}@{OWN}", None),
        (f"{made.id}@cash-only", None),
        (f"{made.id}@{OTHER}", 13004),
    ):
        ask = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        assert error_of(client.get("/api/v2/public/auth", params=ask).json()) == code


def test_a_key_comes_from_its_networks_only(client, key):
    made, secret = key(networks=["203.0.113.0/24"])
    assert error_of(positions(client, lambda uri: signed(made, secret, "GET", uri))) == 13004


def test_rates_are_those_of_the_owner_over_every_door(client, key, access, monkeypatch):
    made, secret = key()
    few, plenty = Rate(per_second=0.001, burst=10), Rate(per_second=1e6, burst=1e6)
    monkeypatch.setattr(access, "limits", RateLimits(caller=few, common=plenty))
    codes = [error_of(positions(client, lambda uri: signed(made, secret, "GET", uri))) for _ in range(11)]
    assert codes == [None] * 10 + [10028]
    # of ten per address, each weighs a tenth at the route and 1 behind it
    codes = [error_of(client.get("/api/v2/public/get_time").json()) for _ in range(9)]
    assert codes[0] is None
    assert 10028 in codes


GARBAGE = ("no JSON", "[]", "{}", '{"method":1}', '{"method":"private/get_positions"}',
           '{"method":"private/get_positions","params":{"access_token":"guess"}}',
           '{"method":"private/logout"}')  # fmt: skip
"""Messages that ask nothing, and questions of nobody."""


def flooded(client, messages):
    """Send garbage until the connection is ended; return the errors, and why it ended."""
    codes = []
    with client.websocket_connect("/ws/api/v2") as socket:
        for number in range(messages):
            socket.send_text(GARBAGE[number % len(GARBAGE)])
            try:
                codes.append(error_of(socket.receive_json()))
            except WebSocketDisconnect as ended:
                return codes, ended.detail
    return codes, None


def test_what_asks_nothing_weighs_on_where_it_comes_from_and_ends_the_connection(client, access, monkeypatch):
    few, plenty = Rate(per_second=0.001, burst=30), Rate(per_second=1e6, burst=1e6)
    monkeypatch.setattr(access, "limits", RateLimits(caller=few, common=plenty))
    codes, reason = flooded(client, 3 * connection.MOST_FAULTS)
    assert codes[:7] == [-32700] * 4 + [13009] * 3
    # the route weighs 1, then one each
    assert codes.index(10028) == 29
    assert {*codes[29:]} == {10028}
    assert len(codes) == connection.MOST_FAULTS
    assert reason == "100 messages in a row were no questions, or came too fast"


def test_without_the_controls_it_is_free_and_never_ends(client, access, monkeypatch):
    few, plenty = Rate(per_second=0.001, burst=30), Rate(per_second=1e6, burst=1e6)
    monkeypatch.setattr(access, "limits", RateLimits(caller=few, common=plenty))
    monkeypatch.setattr(connection, "FAULTS", frozenset())
    codes, reason = flooded(client, 2 * connection.MOST_FAULTS)
    assert (len(codes), reason) == (2 * connection.MOST_FAULTS, None)
    monkeypatch.setattr(access, "limits", RateLimits(caller=few, common=plenty))
    monkeypatch.setattr(access_deribit.KeyCredentials, "admit", lambda *_: None)
    codes, _ = flooded(client, 2 * connection.MOST_FAULTS)
    assert 10028 not in codes


def test_a_question_between_them_keeps_a_connection(client):
    with client.websocket_connect("/ws/api/v2") as socket:
        for _ in range(3):
            for _ in range(connection.MOST_FAULTS - 1):
                socket.send_text("no JSON")
                assert error_of(socket.receive_json()) == -32700
            assert told(socket, "public/test")["result"]["version"] == "crossmargin"


def told(socket, method, params=None):
    socket.send_json({"method": method, "params": params or {}, "id": 1})
    while True:
        answer = socket.receive_json()
        if "id" in answer:
            return answer


def test_a_connection_is_known_by_a_signature_that_counts_once(client, key):
    made, secret = key()
    time_ms, nonce = now_ms(), f"d-{next(COUNT)}"
    signature = hmac.new(secret.encode(), f"{time_ms}\n{nonce}\n".encode(), hashlib.sha256).hexdigest()
    ask = {"grant_type": "client_signature", "client_id": made.id, "timestamp": time_ms, "nonce": nonce, "data": ""}
    with client.websocket_connect("/ws/api/v2") as socket:
        assert error_of(told(socket, "private/get_positions", {"currency": "BTC"})) == 13009
        assert error_of(told(socket, "public/auth", {**ask, "signature": "0" * 64})) == 13004
        assert error_of(told(socket, "public/auth", {**ask, "signature": signature})) is None
        assert error_of(told(socket, "private/get_positions", {"currency": "BTC"})) is None
        assert error_of(told(socket, "private/buy", ORDER)) == 13021
        assert error_of(told(socket, "private/enable_cancel_on_disconnect")) == 13021
    with client.websocket_connect("/ws/api/v2") as socket:
        assert error_of(told(socket, "public/auth", {**ask, "signature": signature})) == 13004


def test_a_connection_ends_with_its_key(client, key, access):
    made, secret = key()
    ask = {"grant_type": "client_credentials", "client_id": made.id, "client_secret": secret}
    with client.websocket_connect("/ws/api/v2") as socket:
        assert error_of(told(socket, "public/auth", ask)) is None
        assert told(socket, "private/subscribe", {"channels": ["user.portfolio.usdc"]})["result"]
        access.keys.revoke(made.id, 2)
        assert error_of(told(socket, "private/get_positions", {"currency": "BTC"})) == 13009
        with pytest.raises(WebSocketDisconnect):
            until_closed(socket)


def until_closed(socket):
    for _ in range(1000):
        told(socket, "public/test")
