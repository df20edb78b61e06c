"""Signatures that are forged, replayed, re-ordered or out of time, over HTTP and WebSocket; each control once without."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from litestar.exceptions import WebSocketDisconnect

from crossmargin.service.access import guard, signatures
from crossmargin.service.access.keys import ApiKey
from crossmargin.service.access.origins import require_own_site
from crossmargin.service.access.roles import ForbiddenError, Scope
from crossmargin.service.access.signatures import Nonces

URL, STREAM = "/api/v1/accounts/hedger", "/api/v1/stream"
READ = frozenset({Scope.READ})
PRIVATE = bytes(range(32))


def now_ms():
    return time.time_ns() // 1_000_000  # noqa: TID251


@pytest.fixture(params=["hmac", "ed25519"])
def caller(request, client, access, callers):
    """Somebody who reads everything, by either algorithm."""
    if request.param == "hmac":
        return callers["viewer", "all"]
    public = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw().hex()
    key, secret = access.keys.create(owner="carol", scopes=READ, accounts=None, created_ns=1, public=public)
    assert secret is None
    return type(callers["viewer", "all"])(client, key.id, private=PRIVATE)


def over_http(caller, headers):
    return caller.client.get(URL, headers=headers).status_code == 200


def over_websocket(caller, headers):
    try:
        with caller.client.websocket_connect(STREAM, headers=headers) as socket:
            socket.send_json({"subscribe": ["overview"]})
            return socket.receive_json()["snapshot"]
    except WebSocketDisconnect:
        return False


@pytest.fixture(params=["http", "websocket"])
def door(request):
    """Return the headers of a request, and whether it gets in."""
    if request.param == "http":
        return (lambda caller, **more: caller.headers("GET", URL, **more)), over_http
    return (lambda caller, **more: caller.headers("WEBSOCKET", STREAM, **more)), over_websocket


def test_a_signature_counts_once(door, caller, access, monkeypatch):
    headers, enters = door
    sent = headers(caller)
    assert enters(caller, sent)
    assert not enters(caller, sent)
    monkeypatch.setattr(access.nonces, "take", lambda *_, **__: True)
    assert enters(caller, sent), "without the nonces a recorded request is good again"


def test_a_signature_is_of_now(door, caller, access, monkeypatch):
    headers, enters = door
    for shift in (-5_500, -3_600_000, 2_500, 3_600_000):
        assert not enters(caller, headers(caller, time_ms=now_ms() + shift))
    assert enters(caller, headers(caller, time_ms=now_ms() - 2_000))
    monkeypatch.setattr(signatures, "PAST_MS", 10**9)
    access.nonces._earliest_ms = 0
    assert enters(caller, headers(caller, time_ms=now_ms() - 3_600_000)), "without the window an old one is good"


@pytest.mark.parametrize("part", ["Key", "Timestamp", "Nonce", "Signature"])
def test_every_part_is_signed(door, caller, part):
    headers, enters = door
    sent = headers(caller)
    name = f"X-Crossmargin-{part}"
    changed = {"Key": "0" * 16, "Timestamp": str(now_ms() + 1), "Nonce": "another", "Signature": "0" * 64}[part]
    assert not enters(caller, {**sent, name: changed})
    assert not enters(caller, {other: value for other, value in sent.items() if other != name})
    assert enters(caller, sent), "what was refused has used nothing up"


def test_a_signature_is_of_one_request(caller):
    for method, url, body in (
        ("GET", URL + "/explain", b""),
        ("GET", URL + "?x=1", b""),
        ("POST", "/api/v1/margin", b"{}"),
    ):
        sent = caller.headers("GET", URL)
        assert caller.client.request(method, url, content=body, headers=sent).status_code == 401
    sent = caller.headers("POST", "/api/v1/margin", b"{}")
    assert caller.client.post("/api/v1/margin", content=b"{ }", headers=sent).status_code == 401
    # what makes a command count once is signed too, or a recorded one could be made to count again
    sent = caller.headers("POST", "/api/v1/orders", b"{}", idempotency_key="one")
    changed = {**sent, "Idempotency-Key": "two"}
    assert caller.client.post("/api/v1/orders", content=b"{}", headers=changed).status_code == 401
    assert caller.client.post("/api/v1/orders", content=b"{}", headers=sent).status_code == 403


def test_headers_stand_once(caller):
    sent = list(caller.headers("GET", URL).items())
    for name, value in sent:
        assert caller.client.get(URL, headers=[*sent, (name, value)]).status_code == 401


def test_an_ordered_key_takes_no_request_out_of_order(client, access, callers, monkeypatch):
    for ordered in (True, False):
        key, secret = access.keys.create(owner="dave", scopes=READ, accounts=None, created_ns=1, ordered=ordered)
        caller = type(callers["viewer", "all"])(client, key.id, secret)
        first, second = (caller.headers("GET", URL, time_ms=now_ms() - 1_000 + each) for each in (0, 1))
        assert over_http(caller, second)
        # without the control what was sent first and came last counts
        assert over_http(caller, first) == (not ordered)


def test_a_restart_opens_no_gap():
    began = 1_700_000_000_000
    before, after = Nonces(began - 10_000), Nonces(began)
    assert before.take("k", "n", began - 1, began - 1)
    assert before.take("k", "ahead", began + 900, began - 1)
    assert not after.take("k", "n", began - 1, began + 1)
    assert not after.take("k", "ahead", began + 900, began + 1)
    assert after.take("k", "new", began + 1_001, began + 1_001)


def test_nonces_are_kept_for_the_whole_window_and_no_longer():
    nonces = Nonces(0)
    at = 1_000_000
    assert nonces.take("k", "ahead", at + 1_000, at)
    # the last moment at which its time would still do
    assert not nonces.take("k", "ahead", at + 1_000, at + 6_000)
    assert nonces.take("other key", "ahead", at + 1_000, at + 6_000)
    nonces.take("k", "later", at + 60_000, at + 60_000)
    assert len(nonces) == 1


@pytest.mark.parametrize("kept_ms", [signatures.KEPT_MS - signatures.FUTURE_MS, 0])
def test_a_nonce_forgotten_early_is_good_again(monkeypatch, kept_ms):
    at = 1_000_000

    def replayed():
        nonces = Nonces(0)
        assert nonces.take("k", "ahead", at + 1_000, at)
        return nonces.take("k", "ahead", at + 1_000, at + 5_500)

    assert not replayed()
    monkeypatch.setattr(signatures, "KEPT_MS", kept_ms)
    assert replayed()


def test_a_key_is_used_from_its_networks(client, access, callers, monkeypatch):
    key, secret = access.keys.create(
        owner="frank", scopes=READ, accounts=None, created_ns=1, networks=["203.0.113.0/24"]
    )
    caller = type(callers["viewer", "all"])(client, key.id, secret)

    def enters_from(address):
        monkeypatch.setattr(guard, "address_of", lambda _: address)
        return over_http(caller, caller.headers("GET", URL)), over_websocket(
            caller, caller.headers("WEBSOCKET", STREAM)
        )

    assert enters_from("203.0.113.9") == (True, True)
    assert enters_from("198.51.100.9") == (False, False)
    assert enters_from("unknown") == (False, False)
    monkeypatch.setattr(ApiKey, "allows", lambda *_: True)
    assert enters_from("198.51.100.9") == (True, True), "without the list a stolen secret is good from anywhere"


def test_a_clock_set_back_makes_no_old_request_new():
    nonces = Nonces(0)
    at = 10_000_000
    assert nonces.take("k", "n", at, at)
    nonces.take("k", "later", at + 60_000, at + 60_000)
    assert not nonces.take("k", "n", at, at)


def test_a_stream_ends_with_its_key(client, access, callers, monkeypatch):
    monkeypatch.setattr("crossmargin.service.stream.KNOWN_SECONDS", 0.05)
    key, secret = access.keys.create(owner="erin", scopes=READ, accounts=None, created_ns=1)
    caller = type(callers["viewer", "all"])(client, key.id, secret)
    with client.websocket_connect(STREAM, headers=caller.headers("WEBSOCKET", STREAM)) as socket:
        socket.send_json({"subscribe": ["overview"]})
        assert socket.receive_json()["channel"] == "overview"
        access.keys.revoke(key.id, 2)
        assert socket.receive_json()["error"]["rule"] == "a stream needs a live key or session"


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"},
                                     {"Sec-Fetch-Site": "same-site"}])  # fmt: skip
def test_pages_of_other_sites_are_refused(client, callers, headers, monkeypatch):
    caller = callers["viewer", "all"]

    def asked():
        signed = caller.headers("WEBSOCKET", STREAM)
        return client.get(URL, headers={**caller.headers("GET", URL), **headers}).status_code == 200, over_websocket(
            caller, {**signed, **headers}
        )

    assert asked() == (False, False)
    monkeypatch.setattr(guard, "require_own_site", lambda *_: None)
    assert asked() == (True, True)


def test_a_page_of_ours_and_a_link_to_it_are_let_through():
    require_own_site("/api/v1/stream", "Margin.example:8000", "https://margin.example:8000", "same-origin")
    require_own_site("/index.html", "margin.example", None, "cross-site")
    for origin in ("http://margin.example.evil", "http://margin.example:8000", "file://"):
        with pytest.raises(ForbiddenError):
            require_own_site("/", "margin.example", origin, None)
