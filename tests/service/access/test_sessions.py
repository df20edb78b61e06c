"""Login, cookies, CSRF, and how a session ends; each control once without."""

from types import SimpleNamespace

import pytest
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from crossmargin.service.access import sessions as of_sessions
from crossmargin.service.access.rate_limits import Rate, RateLimits
from crossmargin.service.access.users import UserStore

URL = "/api/v1/session"
PASSWORD = "correct horse battery"  # noqa: S105
OWN = "hedger"


@pytest.fixture
def login(client, access):
    client.cookies.clear()
    access.users.set("alice", password=PASSWORD, role="trader", accounts=frozenset({OWN}))
    yield lambda password=PASSWORD, user="alice": client.post(URL, json={"user": user, "password": password})
    client.cookies.clear()


@pytest.fixture
def clock(access, monkeypatch):
    found = SimpleNamespace(now=access.monotonic())
    monkeypatch.setattr(access, "monotonic", lambda: found.now)
    return found


def inside(client):
    return client.get(f"/api/v1/accounts/{OWN}").status_code == 200


def test_a_login_tells_who_it_is_of_until_it_is_ended(client, login):
    assert client.get(URL).status_code == 401
    answer = login()
    told = {"user": "alice", "scopes": ["read", "trade"], "accounts": [OWN], "open": False}
    assert (answer.status_code, answer.json()) == (200, told)
    assert client.get(URL).json() == told
    assert inside(client)
    token = client.cookies["__Host-crossmargin"]
    csrf = {"X-CSRFToken": client.cookies["csrftoken"]}
    assert client.delete(URL, headers=csrf).json() == {"user": None}
    assert "csrftoken" not in client.cookies
    # the token is good for nothing, though somebody should have kept it
    assert client.get(URL, headers={"Cookie": f"__Host-crossmargin={token}"}).status_code == 401


def test_cookies_are_flagged(login):
    set_cookies = {each.partition("=")[0]: each.lower() for each in login().headers.get_list("set-cookie")}
    for name, flags in set_cookies.items():
        assert "secure" in flags
        assert "samesite=strict" in flags
        assert "path=/" in flags
        assert "domain" not in flags  # of which `__Host-` has a browser make sure
        assert ("httponly" in flags) == (name == "__Host-crossmargin")
    assert set(set_cookies) == {"__Host-crossmargin", "csrftoken"}


def test_a_change_repeats_the_csrf_token(client, login, monkeypatch):
    login()

    def ordered(headers):
        order = {"account": OWN, "instrument": "none"}
        return client.post("/api/v1/orders", json=order, headers={"Idempotency-Key": "k", **headers}).status_code

    assert ordered({}) == 403
    assert ordered({"X-CSRFToken": "guessed"}) == 403
    assert ordered({"X-CSRFToken": ""}) == 403
    assert ordered({"X-CSRFToken": client.cookies["csrftoken"]}) == 400  # the body is next to be looked at
    assert inside(client)
    monkeypatch.setattr(of_sessions.hmac, "compare_digest", lambda *_: True)
    assert ordered({}) == 400, "without the control a form of another site orders"


def test_a_wrong_password_and_an_unknown_name_answer_the_same(login):
    wrong, unknown = login("wrong wrong wrong"), login(user="nobody")
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content)
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers


def test_passwords_are_kept_as_argon2id(tmp_path):
    users = UserStore(tmp_path / "access.sqlite")
    kept = users.set("alice", password=PASSWORD, role="viewer", accounts=None).password_hash
    # RFC 9106, section 4: the second recommended option is t = 3, m = 64 MiB, p = 4
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert kept != users.set("bob", password=PASSWORD, role="viewer", accounts=None).password_hash
    assert users.with_password("alice", PASSWORD).name == "alice"
    assert users.with_password("alice", PASSWORD[:-1]) is None
    # what a name is checked against that nobody has: of the same cost, and of no password
    nobody = users._nobody
    assert nobody.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert list(map(len, nobody.split("$"))) == list(map(len, kept.split("$")))
    with pytest.raises(VerifyMismatchError):  # what is not well-formed is refused at once, which would tell names
        PasswordHasher().verify(nobody, PASSWORD)
    assert UserStore(tmp_path / "access.sqlite")._nobody != users._nobody
    assert all(PASSWORD.encode() not in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "who", [{"user": "alice", "password": "wrong wrong wrong"}, {"user": "nobody", "password": "x"}]
)
def test_guesses_have_to_wait(client, access, login, monkeypatch, who):
    few, plenty = Rate(per_second=0.001, burst=4), Rate(per_second=1e6, burst=1e6)
    monkeypatch.setattr(access, "failures", RateLimits(caller=few, common=plenty))
    codes = [client.post(URL, json=who).status_code for _ in range(6)]
    assert codes == [401] * 4 + [429] * 2
    assert client.post(URL, json=who).headers["Retry-After"]
    monkeypatch.setattr(access, "failures", RateLimits(caller=plenty, common=plenty))
    assert [client.post(URL, json=who).status_code for _ in range(3)] == [401] * 3, "without it they go on"


def test_a_session_ends_when_it_idles_and_at_the_end_of_the_day(client, login, clock, monkeypatch):
    login()
    clock.now += 29 * 60
    assert inside(client)
    clock.now += 31 * 60
    assert not inside(client)
    login()
    for _ in range(25):
        assert inside(client)
        clock.now += 29 * 60
    assert not inside(client)  # 12 hours and 5 minutes
    monkeypatch.setattr(of_sessions, "IDLE_SECONDS", 1e9)
    login()
    clock.now += 31 * 60
    assert inside(client), "without the control a screen that was left is whoever's comes by"
    clock.now += 12 * 3600
    assert not inside(client)
    monkeypatch.setattr(of_sessions, "LONGEST_SECONDS", 1e9)
    login()
    clock.now += 365 * 86_400
    assert inside(client), "without the control a stolen cookie is good for ever"


@pytest.mark.parametrize("change", ["disable", "password", "role"])
def test_a_session_ends_with_a_change_of_its_user(client, access, login, change):
    login()
    assert inside(client)
    if change == "disable":
        access.users.disable("alice")
    else:
        role = "viewer" if change == "role" else "trader"
        access.users.set("alice", password=PASSWORD + "2", role=role, accounts=frozenset({OWN}))
    assert not inside(client)


def test_a_session_carries_its_users_binding(client, login):
    login()
    assert client.get("/api/v1/accounts/levered-long").status_code == 403
    assert [row["account"] for row in client.get("/api/v1/accounts").json()["accounts"]] == [OWN]
    assert client.get("/api/v1/overview").status_code == 403


def test_a_stream_ends_with_its_session(client, access, monkeypatch):
    monkeypatch.setattr("crossmargin.service.stream.KNOWN_SECONDS", 0.05)
    access.users.set("wall", password=PASSWORD, role="viewer", accounts=None)
    client.post(URL, json={"user": "wall", "password": PASSWORD})
    cookie = {"Cookie": f"__Host-crossmargin={client.cookies['__Host-crossmargin']}"}
    with client.websocket_connect("/api/v1/stream", headers=cookie) as socket:
        socket.send_json({"subscribe": ["overview"]})
        assert socket.receive_json()["channel"] == "overview"
        access.users.disable("wall")
        assert "error" in socket.receive_json()
    client.cookies.clear()


@pytest.mark.parametrize("more", [{"user": 1}, {"name": "alice"}, {"user": "alice", "also": 1}])
def test_a_malformed_login_is_refused_without_an_echo(client, more):
    answer = client.post(URL, json={"password": PASSWORD, **more})
    assert answer.status_code == 400
    assert PASSWORD not in answer.text
