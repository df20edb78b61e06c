"""The client against the real service: every question, keys, passing noes, and the examples of the documents."""

import asyncio
import contextlib
import inspect
import io
import re
import socket
import ssl
import threading
from decimal import Decimal
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from crossmargin.client import AsyncClient, Client, Key, ServiceError, questions
from crossmargin.errors import InputError
from crossmargin.files.book import book_tables
from crossmargin.files.sample import sample_book
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.roles import ROLES
from crossmargin.service.access.routes import RULES
from crossmargin.service.application import application
from crossmargin.service.writer import Writer

from .conftest import serving

BOOK = msgspec.to_builtins(book_tables([each for each in sample_book() if each.account == "hedger"]))
ASKED = {
    "health": (), "overview": (), "accounts": (), "account": ("hedger",), "explain": ("hedger",),
    "surface": ("hedger",), "history": ("hedger",), "compare": ("hedger",), "deleveraging": ("levered-long",),
    "what_if": ("hedger",), "stress": ({"BTC": -0.1},), "margin": (BOOK,), "compare_book": (BOOK,),
    "deposit": ("cash-only", "USDC", 1), "withdraw": ("cash-only", "USDC", "0.5"), "liquidations": (), "waterfall": (),
    "insurance": (), "parameters": (), "events": ("draws",), "feeds": (), "alerts": (),
    "replay": (), "session": (),
}  # fmt: skip
OTHERWISE = {
    "place_order", "cancel_order", "change_parameters", "acknowledge", "log_in", "log_out", "approvals", "decide",
    "operate", "bid", "access_log",
}  # fmt: skip
"""Asked in tests of their own."""


@pytest.fixture
def client(url):
    with Client(url) as client:
        yield client


def names():
    return {
        name
        for name, each in inspect.getmembers(questions, inspect.isfunction)
        if each.__module__ == questions.__name__
    }


def test_both_clients_have_every_question():
    assert names() == {*ASKED} | OTHERWISE
    for kind in (Client, AsyncClient):
        assert all(getattr(kind, name).__doc__ == getattr(questions, name).__doc__ for name in names())


NOT_ASKED = {
    "/metrics": "Prometheus reads it",
    "/": "a page of the dashboard", "/{file_path}": "its files",
    "/api/v2": "Deribit's clients ask it", "/api/v2/{method}": "likewise", "/ws/api/v2": "likewise",
    "/api/v1/stream": "`follow` and `follow_async` read it",
    **{path: "the description itself" for _, path in RULES if path.startswith("/api/v1/schema")},
}  # fmt: skip


def routes_of(call):
    """Return the routes of the table that a call may mean, that with the fewest variables first."""
    found = []
    for method, path in RULES:
        pattern = re.sub(r"\\{(\w+)\\}", "[^/]+", re.escape(path))
        if method == call.method and re.fullmatch(pattern, call.path):
            found.append((path.count("{"), method, path))
    return [(method, path) for _, method, path in sorted(found)]


def test_every_public_operation_is_a_question_and_every_question_a_route():
    """Both ways: a route that no client asks, and a question that no route answers, are found."""
    example = {
        **ASKED, "place_order": ("a", "o"), "cancel_order": ("a", "o"), "change_parameters": ({},), "acknowledge": ("x",),
        "log_in": ("a", "b"), "log_out": (), "approvals": (), "decide": ("x", "approve"),
        "operate": ("RunAudit",), "bid": ("a", "b"), "access_log": (),
    }  # fmt: skip
    terms = {"place_order": {"instrument": "i", "side": "buy", "quantity": 1, "price": 1}}
    asked = {}
    for name in names():
        call = getattr(questions, name)(*example[name], **terms.get(name, {}))
        assert routes_of(call), f"{name} asks {call.method} {call.path}, which is no route"
        asked[routes_of(call)[0]] = name
    assert len(asked) == len(names()), "two questions are of one route"
    left = {(method, path) for method, path in RULES if path not in NOT_ASKED} - set(asked)
    assert left == set(), "no question asks these"
    assert {path for _, path in asked} & set(NOT_ASKED) == set()


@pytest.mark.parametrize("name", list(ASKED))
def test_every_question_is_answered_alike_by_both_clients(url, client, name):
    """And an answer holds all that was said: encoded again it is what came, but for numbers' form."""

    async def ask():
        async with AsyncClient(url) as other:
            return await getattr(other, name)(*ASKED[name])

    answer = getattr(client, name)(*ASKED[name])
    again = asyncio.run(ask())
    assert type(again) is type(answer)
    if name not in {"deposit", "withdraw", "history", "overview", "health", "replay"}:  # these move on
        assert again == answer


TOLD = ["overview", "accounts", "account", "explain", "compare", "insurance", "waterfall", "deleveraging", "feeds", "replay",
        "parameters", "session"]  # fmt: skip


@pytest.mark.parametrize("name", TOLD)
def test_a_record_drops_nothing_that_the_service_says(client, name):
    call = getattr(questions, name)(*ASKED[name])
    raw = client._http.get(f"{client.url}{call.target}").json()

    def check(said, kept):
        if isinstance(said, dict):
            for key, value in said.items():
                if key not in {"largest_difference"}:  # always null
                    check(value, kept[key])
        elif isinstance(said, list):
            for one, other in zip(said, kept, strict=True):
                check(one, other)
        elif isinstance(said, str) and isinstance(kept, str):
            assert said == kept or Decimal(said) == Decimal(kept)
        else:
            assert said == kept

    check(raw, msgspec.to_builtins(client.ask(call)))


def test_pages_are_gone_through(client):
    assert [each.account for each in client.all_accounts(page=1)] == [
        each.account for each in client.accounts().accounts
    ]


def test_a_no_has_status_rule_and_finding(client):
    with pytest.raises(ServiceError, match="an account must be open, found none called nobody") as caught:
        client.account("nobody")
    assert (caught.value.status, caught.value.is_passing) == (404, False)
    with pytest.raises(ServiceError) as caught:
        client.withdraw("cash-only", "USDC", 10**12)
    assert caught.value.status == 422
    with pytest.raises(ServiceError, match="none called x is"):
        client.acknowledge("x")
    with pytest.raises(ServiceError):
        client.change_parameters({"parameters": {"nonsense": 1}})
    with pytest.raises(ServiceError, match="UNKNOWN_LIQUIDATION"):
        client.bid("hedger", "cash-only")


def test_an_operator_asks_for_a_command_of_the_house_once(client):
    done, again = (client.operate("RunAudit", key="audit-by-client") for _ in range(2))
    assert "Repeated" not in {each["type"] for each in done.events}
    assert [each["type"] for each in again.events] == ["Repeated"]
    with pytest.raises(ServiceError, match="a type must be one of"):
        client.operate("Upgrade", version="2")


def test_a_sub_account_is_one_name_in_a_path(client):
    """Its slash goes encoded; a plain one is a path that there is not, and nothing is decoded twice."""
    name = next(each.account for each in client.all_accounts() if "/" in each.account)
    assert client.account(name).account == name
    assert client.explain(name).tree.label == name
    assert client.what_if(name, price_moves={"BTC": -0.1}).after.account == name
    assert httpx.get(f"{client.url}/api/v1/accounts/{name}").status_code == 404
    for spelled in ("%252F", "%2F%2F", "\ue000"):
        answer = httpx.get(f"{client.url}/api/v1/accounts/{name.replace('/', spelled)}")
        assert answer.status_code == 404
        assert answer.json()["error"]["rule"] == "an account must be open"


def test_an_order_is_placed_once_and_cancelled(client):
    perpetual = client.account("levered-long").positions[0]
    terms = {
        "instrument": perpetual.instrument,
        "side": "buy",
        "quantity": 1,
        "price": round(perpetual.mark_price * 9 / 10),
    }
    kinds = [client.place_order("hedger", "o-1", **terms, key="k-1").events[0]["type"] for _ in range(2)]
    assert kinds == ["OrderAccepted", "Repeated"]
    (order,) = client.account("hedger").orders
    assert (order.order, order.quantity, order.price) == ("o-1", 1, terms["price"])
    assert client.cancel_order("hedger", "o-1").events[0]["type"] == "OrderCancelled"
    assert client.account("hedger").orders == ()


class Grumpy:
    """A service that says 503 before it answers, or breaks the connection."""

    def __init__(self, answers):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.answers, self.keys = answers, []
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        for answer in self.answers:
            connection, _ = self.socket.accept()
            with connection:
                text = b""
                while b"\r\n\r\n" not in text:
                    text += connection.recv(65536)
                head = text.decode().lower()
                self.keys += [
                    line.partition(": ")[2] for line in head.split("\r\n") if line.startswith("idempotency-key")
                ]
                if answer is not None:
                    status, body = answer
                    head = f"HTTP/1.1 {status} x\r\nretry-after: 0\r\nconnection: close\r\ncontent-length: {len(body)}"
                    connection.sendall(f"{head}\r\n\r\n{body}".encode())
        self.socket.close()


def test_a_passing_no_is_asked_again_under_the_same_key():
    starting = 503, '{"error":{"rule":"the engine must be open","finding":"it is being opened"}}'
    service = Grumpy([starting, None, (200, '{"command":"api-x","events":[]}')])
    with Client(service.url) as client:
        assert client.deposit("a", "USDC", 1).command == "api-x"
    service.thread.join()
    assert len(service.keys) == 3
    assert len(set(service.keys)) == 1


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_the_list_of_authorities_is_read_for_https_alone(kind, monkeypatch):
    """It takes longer than a question and its answer."""
    read = []
    make = ssl.create_default_context
    monkeypatch.setattr(ssl, "create_default_context", lambda *of, **more: read.append(of) or make(*of, **more))
    for url in ("http://127.0.0.1:1", "HTTP://127.0.0.1:1/"):
        kind(url)
    assert read == []
    kind("https://127.0.0.1:1")
    assert len(read) == 1


def test_over_plain_http_nobody_is_believed(url):
    """Redirections are not followed; were they, no stranger's certificate would do."""
    with Client(url) as client:
        context = client._http._transport._pool._ssl_context
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509"] == 0


def test_a_no_that_stays_is_raised_at_last():
    service = Grumpy([(503, "<html>bad gateway</html>")] * 2)
    with (
        Client(service.url, attempts=2) as client,
        pytest.raises(ServiceError, match="the service must answer, got 503"),
    ):
        client.overview()
    service.thread.join()


def test_what_waits_for_a_second_owner_is_named():
    service = Grumpy([(202, '{"id":"appr-1","state":"waiting"}')])
    with Client(service.url) as client:
        done = client.withdraw("a", "USDC", 1)
    service.thread.join()
    assert (done.approval, done.command, done.events) == ("appr-1", None, ())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    master_key(folder, create=True)
    access, writer = Access(folder), Writer(folder)
    access.nonces._earliest_ms = 0  # the test need not wait until nonces of an earlier run are too old
    with serving(application(writer, access=access)) as url:
        yield url, access
    writer.close()
    access.close()


def test_requests_are_signed_by_either_kind_of_key(guarded):
    url, access = guarded
    scopes = frozenset().union(*ROLES.values())
    key, secret = access.keys.create(owner="ada", scopes=scopes, accounts=None, created_ns=1)
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw().hex()
    other, _ = access.keys.create(owner="bob", scopes=scopes, accounts=None, created_ns=1, public=public)
    for each in (Key(id=key.id, secret=secret), Key(id=other.id, private=private.private_bytes_raw().hex())):
        assert secret not in repr(each)
        assert private.private_bytes_raw().hex() not in repr(each)
        with Client(url, key=each) as client:
            assert client.accounts(limit=3).accounts == ()
            with pytest.raises(ServiceError) as caught:  # signed with its body and its key; there is no such account
                client.deposit("nobody", "USDC", 1)
            assert caught.value.status == 422
    with Client(url, key=Key(id=key.id, secret="0" * 64)) as client, pytest.raises(ServiceError) as caught:
        client.accounts()
    assert caught.value.status == 401
    with pytest.raises(InputError, match="none or both"):
        Key(id="x")


def test_the_examples_of_the_documents_run(url):
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 8
    said = io.StringIO()
    with contextlib.redirect_stdout(said), Client(url) as nudge:
        done = threading.Event()

        def go_on():
            """Let something happen while the stream is followed, whenever that begins."""
            while not done.wait(0.5):
                nudge.deposit("cash-only", "USDC", 1)

        nudged = threading.Thread(target=go_on)
        nudged.start()
        space: dict[str, object] = {}
        try:
            exec("\n".join(blocks).replace("http://127.0.0.1:8000", url), space)  # noqa: S102  (our own page)
        finally:
            done.set()
            nudged.join()
    lines = said.getvalue().splitlines()
    assert lines[0] == "ok"
    assert "BalanceChanged Repeated" in lines
    assert any(line.startswith("422 ") for line in lines)
