"""Connections of which nothing comes: closed in a moment here, beside a server that leaves them open for ever."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from crossmargin.service.silence import Server, Silence

LONGEST_S = 120
SILENT_S = 0.3
BIG = 1 << 26
BEGUN = threading.Event()
"""An answer has begun."""
HALF = b"POST /api/v1/orders HTTP/1.1\r\nHost: here\r\nContent-Le"
HEAD_ALONE = b"POST /api/v1/orders HTTP/1.1\r\nHost: here\r\nContent-Length: 10\r\n\r\n{"
WHOLE = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def app(scope, receive, send):
    """Answer a GET with more than a connection holds, a POST once it is whole; a stream is told nothing."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    while scope["method"] == "POST":
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        if not event["more_body"]:
            break
    BEGUN.set()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % BIG)]})
    await send({"type": "http.response.body", "body": bytes(BIG)})


class Running:
    """A server in a thread."""

    def __init__(self, kind, **pings):
        config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False, **pings)
        self.server = kind(config)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()

    def connect(self, content):
        while not self.server.started:
            assert self.thread.is_alive()
            time.sleep(0.01)
        port = self.server.servers[0].sockets[0].getsockname()[1]
        found = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_S)
        found.sendall(content)
        return found

    def stop(self):
        self.server.should_exit = self.server.force_exit = True
        self.thread.join(LONGEST_S)


@pytest.fixture(scope="module")
def servers():
    """Return ours, which loses its patience at once, and one without ours that never does."""
    found = [
        Running(lambda config: Server(config, silent_s=SILENT_S), ws_ping_interval=SILENT_S, ws_ping_timeout=SILENT_S),
        Running(uvicorn.Server, ws_ping_interval=None),
    ]
    yield found
    for each in found:
        each.stop()


def rest_of(connection):
    """Read what comes until the other side ends the connection, which this waits for."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while content := connection.recv(1 << 20):
            found += content
    return found


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HALF, id="half a head"),
        pytest.param(HEAD_ALONE, id="half a body"),
        pytest.param(UPGRADE, id="a stream that answers no ping"),
    ],
)
def test_a_silent_connection_is_closed(servers, content):
    """The last is closed by the server's own pings, which we rely on and switch on."""
    ours, other = (each.connect(content) for each in servers)
    assert rest_of(ours).startswith(b"HTTP/1.1 101" if content == UPGRADE else b"")
    other.setblocking(False)
    if content == UPGRADE:
        assert other.recv(1 << 16).startswith(b"HTTP/1.1 101")
    with pytest.raises(BlockingIOError):
        other.recv(1)
    ours.close()
    other.close()


def test_a_client_that_reads_no_more_is_let_go(servers):
    ours, held = servers[0].connect(WHOLE), servers[0].server.server_state.connections
    assert BEGUN.wait(LONGEST_S)
    other = servers[1].connect(WHOLE)
    while held:
        assert servers[0].thread.is_alive()
        time.sleep(0.01)
    assert len(rest_of(ours)) < BIG  # what was on its way is all that comes
    got = 0
    while got < BIG:  # who is waited for gets it all
        got += len(other.recv(1 << 20))
    ours.close()
    other.close()


class Transport:
    unsent = 0

    def get_write_buffer_size(self):
        return self.unsent


class Cycle:
    def __init__(self, *, complete=False, more=False):
        self.response_complete, self.more_body = complete, more


class Connection:
    def __init__(self, cycle):
        self.transport, self.cycle = Transport(), cycle


@pytest.mark.parametrize(
    ("moments", "over"),
    [
        ([(0, None, 0), (60, None, 0)], False),
        ([(0, None, 0), (61, None, 0)], True),
        # a request each minute, that is answered, and whoever is answered slowly
        ([(0, None, 0), (50, "done", 0), (100, "done again", 0)], False),
        ([(0, "at work", 0), (500, "at work", 0)], False),
        ([(0, "done", 0), (61, "done", 0)], True),
        # who takes a little now and then is waited for, who takes nothing is not
        ([(0, "at work", 9), (50, "at work", 8), (100, "at work", 7)], False),
        ([(0, "at work", 9), (50, "at work", 9), (100, "at work", 12)], True),
        ([(0, "at work", 9), (50, "at work", 0), (100, "at work", 9)], False),
    ],
)
def test_how_long_who_is_waited_for(moments, over):
    cycles = {None: None, "at work": Cycle(), "done": Cycle(complete=True), "done again": Cycle(complete=True)}
    silence, connection = Silence(60.0), Connection(None)
    found = []
    for now, cycle, unsent in moments:
        connection.cycle, connection.transport.unsent = cycles[cycle], unsent
        found = silence.over([connection], float(now))
    assert bool(found) is over
