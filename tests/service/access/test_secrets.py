"""A secret that is planted wherever a request may carry one is in no log and in no file."""

import base64
import contextlib
import io
import logging

import httpx
import pytest
from litestar.testing import TestClient
from serving import running
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from crossmargin.service import listening
from crossmargin.service.application import application
from crossmargin.service.configuration import Settings
from crossmargin.service.logs import open_logs

CANARY = "canary-4f1d9c0e7b"


@contextlib.contextmanager
def served(client, **changed):
    """Serve the application as `crossmargin serve` does, on a real socket; yield its address and what it logs."""
    root, told = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    # another server of this process may have left its own handlers and levels: `crossmargin serve` is the first of its own
    loggers = [logging.getLogger(name) for name in ("uvicorn", "uvicorn.access", "uvicorn.error")]
    found = [(each.handlers[:], each.level, each.propagate) for each in loggers]
    for each in loggers:
        each.handlers[:], each.propagate = [], True
        each.setLevel(logging.NOTSET)
    open_logs(told)
    configuration = listening.server_configuration(client.app, Settings())
    configuration.lifespan = "off"  # the client of the tests has opened it
    for name, value in changed.items():
        setattr(configuration, name, value)
    try:
        with running(configuration) as port:
            yield f"127.0.0.1:{port}", told
    finally:
        root.handlers[:] = before
        root.setLevel(level)
        for each, (handlers, level, propagate) in zip(loggers, found, strict=True):
            each.handlers[:], each.propagate = handlers, propagate
            each.setLevel(level)
            for mine in list(each.filters):
                each.removeFilter(mine)


def plant(address):
    """Put the secret wherever somebody may put one, in the right place and in wrong ones."""
    basic = base64.b64encode(f"0123:{CANARY}".encode()).decode()
    asked = [
        ("GET", f"/api/v2/public/auth?grant_type=client_credentials&client_id=0123&client_secret={CANARY}", {}),
        ("GET", f"/api/v2/private/get_positions?access_token={CANARY}", {}),
        ("GET", "/api/v2/private/get_positions", {"headers": {"Authorization": f"Basic {basic}"}}),
        ("GET", "/api/v2/private/get_positions", {"headers": {"Authorization": f"Bearer {CANARY}"}}),
        ("POST", "/api/v2", {"json": {"method": "public/auth", "params": {"refresh_token": CANARY}}}),
        ("POST", "/api/v2", {"content": CANARY}),
        ("POST", "/api/v1/session", {"json": {"user": "alice", "password": CANARY}}),
        ("POST", "/api/v1/session", {"json": {"user": CANARY, "password": CANARY}}),
        ("POST", "/api/v1/session", {"json": {"user": "alice", "password": CANARY, "extra": CANARY}}),
        ("GET", f"/api/v1/accounts?secret={CANARY}", {"headers": {"X-Crossmargin-Key": CANARY}}),
        ("GET", "/api/v1/accounts", {"headers": {"Cookie": f"__Host-crossmargin={CANARY}"}}),
        ("POST", "/api/v1/orders", {"json": {"account": CANARY}, "headers": {"Idempotency-Key": CANARY}}),
    ]
    codes = []
    with httpx.Client(base_url=f"http://{address}") as client:
        for method, url, more in asked:
            codes.append(client.request(method, url, **more).status_code)
    with pytest.raises(InvalidStatus):
        connect(f"ws://{address}/api/v1/stream?token={CANARY}")
    with connect(f"ws://{address}/ws/api/v2?token={CANARY}") as open_socket:
        open_socket.send(f'{{"method":"public/auth","id":1,"params":{{"client_secret":"{CANARY}"}}}}')
        open_socket.recv()
    return codes


def test_a_planted_secret_is_in_no_log_and_no_file(client, folder):
    with served(client) as (address, told):
        codes = plant(address)
    assert all(400 <= code < 500 for code in codes), codes
    assert "/ws/api/v2" in told.getvalue()  # it is told that somebody connected
    assert CANARY not in told.getvalue()
    for path in folder.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path


def test_an_application_leaves_the_logs_to_who_hides_secrets(writer):
    root, told = logging.getLogger(), io.StringIO()
    before, level = root.handlers[:], root.level
    try:
        open_logs(told)
        with TestClient(application(writer)) as client:  # in the order of `crossmargin serve`
            client.get("/health")
            logging.getLogger("somebody").warning("password=%s", CANARY)
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert '"event":"password=[hidden]"' in told.getvalue()
    assert CANARY not in told.getvalue()


def test_without_the_control_it_is(client, monkeypatch):
    monkeypatch.setattr(listening.WithoutQueries, "filter", lambda *_: True)
    # and the hiding of pairs by name, which would catch some of it
    monkeypatch.setattr("crossmargin.service.logs.Redaction.text", lambda _, text: text)
    with served(client) as (address, told), connect(f"ws://{address}/ws/api/v2?token={CANARY}"):
        pass
    assert CANARY in told.getvalue()


def test_a_line_of_the_log_is_one_request(client, access):
    """CR and LF in what is asked for must not write a second line."""
    with served(client) as (address, told), httpx.Client(base_url=f"http://{address}") as asked:
        asked.get("/api/v1/accounts/a%0d%0aFORGED%20line", headers={"X-Crossmargin-Key": "x"})
        asked.post("/api/v1/session", json={"user": "a\r\nFORGED", "password": "x"})
    assert not any(line.startswith("FORGED") for line in told.getvalue().splitlines())
    assert not any("\n" in entry.action + entry.who + entry.detail for entry in access.log.entries())
