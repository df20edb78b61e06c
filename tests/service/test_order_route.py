"""Orders by the short way are answered as the declared route answers them: status, headers, body, counters, access."""

import asyncio
import itertools

import msgspec
import pytest
from litestar.testing import TestClient

from crossmargin.engine.commands import PlaceOrder
from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service import order_route
from crossmargin.service.access.guard import Access
from crossmargin.service.access.keys import master_key
from crossmargin.service.access.rate_limits import Rate
from crossmargin.service.application import application
from crossmargin.service.command_queue import Busy
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer

COUNT = itertools.count()
ORDER = {"account": "opening", "instrument": "deribit:BTC/USD:BTC", "side": "buy", "quantity": "1", "price": "1000"}
SHORT, DECLARED = "/api/v1/orders", "/api/v1/orders?"
JSON = ("Content-Type", "application/json")


def book():
    return [each for each in sample_book() if each.account == "inverse-long-own-coin"]


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    writer = Writer(tmp_path_factory.mktemp("orders"), opening=lambda: tuple(opening_commands(book(), sample_market())))
    yield writer
    writer.close()


@pytest.fixture
def ways(monkeypatch):
    """Tell which requests took the short way."""
    taken, real = [], order_route.admitted

    async def noted(request):
        taken.append(request.scope["path"])
        await real(request)

    monkeypatch.setattr(order_route, "admitted", noted)
    return taken


@pytest.fixture
def client(writer):
    with TestClient(application(writer, hosts=["testserver.local"])) as client:
        yield client


def both(client, ways, monkeypatch, *, body, headers=(), key="{}"):
    """The answers by the short way and by the declared route, which is all there is where nothing counts as ordinary."""
    found = []
    for ordinary in (True, False):
        number = f"n{next(COUNT)}"
        with monkeypatch.context() as patched:
            if not ordinary:
                patched.setattr(order_route, "_is_ordinary", lambda _: False)
            content = body.replace(b"NUMBER", number.encode())
            sent = [*headers, *([("Idempotency-Key", key.format(number))] if key is not None else [])]
            before = len(ways)
            answer = client.post(SHORT, content=content, headers=[JSON, *sent])
            assert ordinary or len(ways) == before
        shown = answer.text.replace(number, "NUMBER")
        lengths = {"content-length": str(len(shown))} if number in answer.text else {}
        found.append((answer.status_code, dict(answer.headers) | lengths, shown))
    return found


def text(**changes):
    return msgspec.json.encode({**ORDER, "order": "NUMBER"} | changes)


CASES = {
    "accepted": (200, {"body": text()}),
    "refused": (422, {"body": text(instrument="deribit:BTC-31DEC99-1-C")}),
    "unknown account": (422, {"body": text(account="nobody")}),
    "no such field": (400, {"body": text(colour="red")}),
    "not a number": (400, {"body": text(price="much")}),
    "a field is missing": (400, {"body": msgspec.json.encode(ORDER)}),
    "an id": (400, {"body": text(id="mine")}),
    "a type": (400, {"body": text(type="Withdraw")}),
    "another site's page": (403, {"body": text(), "headers": [("Origin", "https://elsewhere.example")]}),
    "another host": (400, {"body": text(), "headers": [("Host", "elsewhere.example")]}),
}
UNUSUAL = {
    "no key": (400, {"body": text(), "key": None}),
    "a long key": (400, {"body": text(), "key": "k" * 101}),
    "no JSON": (400, {"body": b"{"}),
    "a list": (400, {"body": b"[]"}),
    "no body": (400, {"body": b""}),
    "not UTF-8": (400, {"body": b'{"account": "\xff"}'}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_ways_answer_the_same(client, ways, monkeypatch, name):
    status, asked = CASES[name]
    short, declared = both(client, ways, monkeypatch, **asked)
    assert short == declared
    assert short[0] == status
    assert len(ways) == (name != "another host")  # which is refused before anybody is asked who he is


@pytest.mark.parametrize("name", UNUSUAL)
def test_what_is_out_of_the_ordinary_is_left_to_the_declared_route(client, ways, monkeypatch, name):
    status, asked = UNUSUAL[name]
    short, declared = both(client, ways, monkeypatch, **asked)
    assert short == declared
    assert short[0] == status
    assert ways == []


def test_a_repeat_is_answered_once_by_either_way(client, ways, monkeypatch):
    body, headers = text(order="once"), dict([JSON, ("Idempotency-Key", "once")])
    first = client.post(SHORT, content=body, headers=headers).json()
    again = client.post(SHORT, content=body, headers=headers).json()
    monkeypatch.setattr(order_route, "_is_ordinary", lambda _: False)
    declared = client.post(SHORT, content=body, headers=headers).json()
    assert [event["type"] for event in first["events"]] == ["OrderAccepted"]
    assert again == declared
    assert [event["type"] for event in again["events"]] == ["Repeated"]
    assert len(ways) == 2


def test_both_ways_are_counted_alike(client, writer, ways, monkeypatch):
    def counted(status):
        labels = {"method": "POST", "route": SHORT, "status": str(status)}
        return writer.measures.registry.get_sample_value("crossmargin_requests_total", labels) or 0.0

    before = counted(200), counted(400)
    both(client, ways, monkeypatch, body=text())
    both(client, ways, monkeypatch, body=text(price="much"))
    assert (counted(200), counted(400)) == (before[0] + 2, before[1] + 2)


@pytest.mark.parametrize(
    ("fault", "status"),
    [(Busy("20000 commands wait already"), 503), (RuntimeError("a secret"), 500)],
    ids=["busy", "ours"],
)
def test_a_fault_is_told_alike_by_both_ways_and_ours_tells_nothing(client, writer, ways, monkeypatch, fault, status):
    def failing(command):
        raise fault

    monkeypatch.setattr(writer, "ask", failing)
    short, declared = both(client, ways, monkeypatch, body=text())
    assert short == declared
    assert short[0] == status
    assert ("20000" in short[2]) is (status == 503)
    assert "secret" not in short[2]


def test_without_a_key_nobody_orders_by_either_way(tmp_path, writer, ways, monkeypatch):
    master_key(tmp_path, create=True)
    plenty = Rate(per_second=1e6, burst=1e6)
    access = Access(tmp_path, caller=plenty, common=plenty)
    with TestClient(application(writer, access=access), base_url="https://testserver.local") as client:
        short, declared = both(client, ways, monkeypatch, body=text())
    access.close()
    assert short == declared
    assert short[0] == 401
    assert len(ways) == 1


def test_a_loop_is_woken_once_for_all_commands_of_a_batch(writer):
    """Commands that wait together are answered together; one whose asker has gone disturbs nobody."""

    async def ask():
        loop = asyncio.get_running_loop()
        woken, real = [], loop.call_soon_threadsafe

        def noted(call, *given):
            woken.append(call)
            return real(call, *given)

        loop.call_soon_threadsafe = noted
        commands = [
            msgspec.convert({**ORDER, "id": f"b{n}", "order": f"b{n}", "type": "PlaceOrder"}, type=PlaceOrder)
            for n in range(50)
        ]
        with writer.lock:  # the writer waits, so that the rest is one batch
            waiting = [writer.ask(each) for each in commands]
            waiting[7].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        return len(woken), [type(each) for each in answers]

    woken, kinds = asyncio.run(ask())
    assert woken <= 2  # the first may have been taken before the others came
    assert kinds.count(tuple) == 49
