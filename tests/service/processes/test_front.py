"""Several processes answer as one: the same bytes whoever answers, connections that go where they belong, deaths survived."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from several import LONGEST_WAIT_S, book_of

from crossmargin.cli.serve import _server as served_by
from crossmargin.service.application import application
from crossmargin.service.configuration import settings
from crossmargin.service.processes.front import Front
from crossmargin.service.processes.nursery import started_afresh
from crossmargin.service.silence import Server

MARGIN = "/api/v1/margin"
HEAD = "Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"


def raw(service, first, body=b"", more=""):
    """Return a request as bytes."""
    head = HEAD.format(port=service.port) + more
    return f"{first}\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def asked(service):
    """Requests of every kind that a worker may meet, the good and the bad, by what they are."""
    book, hedger = book_of("inverse-long-own-coin"), book_of("hedger")
    body = json.dumps({"book": book}).encode()

    def post(content, more="", path=MARGIN):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        return raw(service, f"POST {path} HTTP/1.1", content, more)

    unknown = {**book, "positions": [{**book["positions"][0], "instrument": "nowhere:BTC/USD"}]}
    return {
        "a book": post({"book": book}),
        "another": post({"book": hedger}),
        "explained": post({"book": book, "explain": True}),
        "under another method": post({"book": book, "method": "deribit_portfolio"}),
        "an unknown method": post({"book": book, "method": "guess"}),
        "compared": post({"book": book}, path="/api/v1/compare"),
        "an unknown contract": post({"book": unknown}),
        "no accounts": post({"book": {"accounts": []}}),
        "an unknown field": post({"book": book, "colour": "red"}),
        "half a body": post(body[:-7]),
        "no body": post(b""),
        "not text": post(b'{"book": "\xff"}'),
        "deep": post(b"[" * 100_000),
        "of another site": post({"book": book}, "Origin: http://elsewhere.example\r\n"),
        "a session that is none": post({"book": book}, "Cookie: crossmargin-session=x\r\n"),
        "in another type": raw(service, f"POST {MARGIN} HTTP/1.1", body).replace(b"application/json", b"text/plain"),
        "for another host": raw(service, f"POST {MARGIN} HTTP/1.1", body).replace(b"127.0.0.1", b"evil.example", 1),
        "with a query": post({"book": book}, path=f"{MARGIN}?x=1"),
        "encoded": post({"book": book}, path="/api/v1/%6dargin"),
        "got": raw(service, f"GET {MARGIN} HTTP/1.1"),
        "in chunks": f"POST {MARGIN} HTTP/1.1\r\n{HEAD.format(port=service.port)}Transfer-Encoding: chunked\r\n\r\n"
        f"{len(body):x}\r\n".encode()
        + body
        + b"\r\n0\r\n\r\n",
    }


KINDS = [
    "a book", "another", "explained", "under another method", "an unknown method", "compared", "an unknown contract",
    "no accounts", "an unknown field", "half a body", "no body", "not text", "deep", "of another site",
    "a session that is none", "in another type", "for another host", "with a query", "encoded", "got", "in chunks",
]  # fmt: skip
OF_WORKERS = {
    "a book", "another", "explained", "under another method", "an unknown method", "compared", "an unknown contract",
    "no accounts",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_answers_as_the_engines_process_does(service, kind):
    """On a connection that began with another question the engine's process answers, on a new one whoever is to."""
    content = asked(service)[kind]
    given_back = service.metric('crossmargin_connections_handed_total{to="engine"}')
    here, there = service.client(), service.client()
    assert here.ask("/health")[0] == 200
    here.send(content)
    there.send(content)
    assert there.answer() == here.answer()
    handed = service.metric('crossmargin_connections_handed_total{to="engine"}') - given_back
    assert handed == (0 if kind in OF_WORKERS or kind in {"encoded", "got", "with a query"} else 1)


def test_every_kind_is_asked(service):
    assert list(asked(service)) == KINDS


def test_a_connection_goes_back_for_another_question_and_stays_there(service):
    client = service.client()
    margin = client.ask(MARGIN, {"book": book_of("hedger")})
    assert margin[0] == 200
    assert json.loads(client.ask("/health")[2])["status"] == "ok"
    assert client.ask(MARGIN, {"book": book_of("hedger")}) == margin
    assert client.ask("/api/v1/accounts/hedger")[0] == 200


def test_questions_that_are_sent_at_once_are_answered_in_their_order(service):
    book = json.dumps({"book": book_of("hedger")}).encode()
    one = raw(service, f"POST {MARGIN} HTTP/1.1", book)
    client = service.client()
    client.send(one + one + raw(service, "GET /health HTTP/1.1") + one)
    answers = [client.answer() for _ in range(4)]
    assert [status for status, _, _ in answers] == [200] * 4
    assert answers[0] == answers[1]
    assert b"ok" in answers[2][2]
    assert b"hedger" in answers[3][2]


def test_a_question_may_come_in_pieces(service):
    content = asked(service)["a book"]
    client, whole = service.client(), service.client()
    client.send(content[:30])
    assert service.client().ask(MARGIN, {"book": book_of("hedger")})[0] == 200  # nobody waits for the rest
    for place in range(30, len(content), 97):
        client.send(content[place : place + 97])
    whole.send(content)
    assert client.answer() == whole.answer()


def test_a_connection_is_closed_where_the_client_asks_for_it(service):
    client = service.client()
    assert client.ask(MARGIN, {"book": book_of("hedger")}, Connection="close")[0] == 200
    assert client.read.read() == b""


def test_a_silent_client_holds_nobody_up(service):
    silent = [service.client() for _ in range(20)]
    assert service.client().ask(MARGIN, {"book": book_of("hedger")})[0] == 200
    assert silent[7].ask("/health")[0] == 200


def test_requests_that_workers_answered_are_counted(service):
    """A series that no other test here writes to: what is counted arrives a moment later."""
    name = 'crossmargin_requests_total{method="POST",route="/api/v1/compare",status="400"}'
    client = service.client()
    for _ in range(5):
        assert client.ask("/api/v1/compare", {"book": {"accounts": []}})[0] == 400
    service.until(lambda: service.metric(name) == 5)


def test_a_worker_that_is_killed_takes_nobody_elses_requests_with_it(service):
    """Clients ask all the while; only connections of the dead one break, and another process takes its place."""
    stop, failures, broke, answered = threading.Event(), [], set(), [0] * 6
    body, right = {"book": book_of("hedger")}, service.client().ask(MARGIN, {"book": book_of("hedger")})

    def keep_asking(place):
        client = None
        while not stop.is_set():
            try:
                client = client or service.client()
                if client.ask(MARGIN, body)[2][-200:] != right[2][-200:]:
                    failures.append("another answer")
                answered[place] += 1
            except OSError:
                # who comes again in the instant of its death may be handed to it once more
                broke.add(place)
                client = None

    threads = [threading.Thread(target=keep_asking, args=(place,)) for place in range(6)]
    for each in threads:
        each.start()
    service.until(lambda: min(answered) >= 3)
    starts = service.metric('crossmargin_processes_started_total{kind="worker"}')
    victim = service.pids()[0]
    os.kill(victim, signal.SIGKILL)
    before = list(answered)
    service.until(lambda: all(now >= then + 20 for now, then in zip(answered, before, strict=True)))
    service.until(lambda: service.metric('crossmargin_processes_started_total{kind="worker"}') == starts + 1)
    service.until(lambda: len(service.pids()) == 2 and victim not in service.pids())
    stop.set()
    for each in threads:
        each.join()
    # round robin: half of the connections were its own
    assert failures == []
    assert len(broke) <= 3


def test_the_command_serves_from_several_processes_where_workers_are_asked_for(writer):
    app = application(writer)
    assert isinstance(served_by(app, settings({"workers": 1, "open": True}, {}), writer, started_afresh), Front)
    assert isinstance(served_by(app, settings({}, {"CROSSMARGIN_WORKERS": "1"}), writer, started_afresh), Front)
    alone = served_by(app, settings({"open": True}, {}), writer, started_afresh)
    assert isinstance(alone, Server)  # which closes what is silent, as the others do
    assert not isinstance(alone, Front)


PARENT = """
import json, os, socket, sys
from crossmargin.service.processes import nursery
def run(start):
    # made after the nursery, which would hold its ends too
    (ours, theirs), (way, their_way) = socket.socketpair(), socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    board = os.memfd_create("board")
    os.ftruncate(board, 1 << 16)
    program = "crossmargin.service.processes.worker"
    handed = (board, board, theirs.fileno(), their_way.fileno())
    child = start(program, json.dumps({"hosts": [], "open": True}), handed)
    theirs.close()
    their_way.close()
    assert ours.recv(4)
    print(child.pid, flush=True)
    ours.recv(1 << 20)
    ours.recv(1 << 20)
if sys.argv[1] == "afresh":
    run(nursery.started_afresh)
with nursery.nursery() as start:
    run(start)
"""


@pytest.mark.parametrize("how", ["afresh", "forked"])
def test_a_worker_ends_with_a_parent_that_is_killed(how):
    with subprocess.Popen([sys.executable, "-c", PARENT, how], stdout=subprocess.PIPE, text=True) as parent:
        worker = Path(f"/proc/{int(parent.stdout.readline())}/stat")
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + LONGEST_WAIT_S
    while worker.exists() and worker.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.01)
