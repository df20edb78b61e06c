"""A service on some of the sample book, on a port of loopback."""

import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from crossmargin.files.sample import sample_book, sample_market
from crossmargin.service.application import application
from crossmargin.service.opening import opening_commands
from crossmargin.service.writer import Writer


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serving(app, port=0):
    """Serve in a thread; yield the URL."""
    port = port or free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@pytest.fixture(scope="package")
def writer(tmp_path_factory):
    book = [each for each in sample_book() if each.account in {"cash-only", "hedger", "levered-long", "isolated-pair"}]
    commands = tuple(opening_commands(book, sample_market()))
    writer = Writer(tmp_path_factory.mktemp("client"), opening=lambda: commands)
    yield writer
    writer.close()


@pytest.fixture(scope="package")
def url(writer):
    with serving(application(writer)) as url:
        yield url
