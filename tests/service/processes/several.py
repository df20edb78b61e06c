"""A service of several processes in this one's thread, over a small book, and clients whose requests are written by hand."""

import contextlib
import json
import re
import socket
import threading
import time

import msgspec

from crossmargin.files.book import book_tables
from crossmargin.files.sample import sample_book
from crossmargin.service.application import application
from crossmargin.service.configuration import Settings
from crossmargin.service.listening import server_configuration
from crossmargin.service.processes.front import Front

LONGEST_WAIT_S = 300
"""On a machine with other work."""
HELD = ("cash-only", "inverse-long-own-coin", "hedger")


def free_port():
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def book_of(account):
    (found,) = (each for each in sample_book() if each.account == account)
    return msgspec.to_builtins(book_tables([found]))


class Client:
    """One connection, from an address of this machine."""

    def __init__(self, port, address="127.0.0.1"):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=LONGEST_WAIT_S, source_address=(address, 0))
        self.read = self.socket.makefile("rb")

    def send(self, content):
        self.socket.sendall(content)

    def answer(self):
        """Return status, headers and body of the next answer; the date apart."""
        line = self.read.readline()
        if not line:
            raise ConnectionError("the connection was closed")
        headers = {}
        while (each := self.read.readline().strip()) != b"":
            name, _, value = each.partition(b":")
            headers[name.decode().lower()] = value.strip().decode()
        headers.pop("date", None)
        body = self.read.read(int(headers.get("content-length", 0)))
        return int(line.split()[1]), headers, body

    def ask(self, path, body=None, method=None, **headers):
        method = method or ("GET" if body is None else "POST")
        body = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"{method} {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return self.answer()

    def close(self):
        self.read.close()
        self.socket.close()


class Several:
    """A running service of several processes, and its clients."""

    def __init__(self, writer, start, access=None, workers=2, tracer=None):
        self.writer, self.port, self.clients = writer, free_port(), []
        settings = Settings(port=self.port, open=access is None, workers=workers, folder=str(writer.folder))
        app = application(writer, hosts=settings.hosts, access=access, tracer=tracer)
        self.front = Front(
            server_configuration(app, settings),
            writer,
            lambda: app.state.hub,
            start=start,
            workers=workers,
            hosts=settings.hosts,
            is_open=settings.open,
            tracer=tracer,
        )
        self.thread = threading.Thread(target=self.front.run)
        self.thread.start()

    def client(self, address="127.0.0.1"):
        self.clients.append(Client(self.port, address))
        return self.clients[-1]

    def hang_up(self):
        while self.clients:
            self.clients.pop().close()

    def pids(self):
        """Return the ids of workers that may be handed connections."""
        return [each.process.pid for each in self.front.workers if each.is_ready]

    def is_ready(self):
        return len(self.pids()) == len(self.front.workers) and self.front.fan_out.is_ready

    def metric(self, name):
        """Return a sample of the service's metrics; 0 where there is none."""
        content = self.front._measures.registry
        name, _, labels = name.partition("{")
        return content.get_sample_value(name, dict(re.findall(r'(\w+)="([^"]*)"', labels))) or 0.0

    def until(self, holds):
        """Wait until something holds, and return what it gave."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not (found := holds()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return found

    def stop(self):
        self.hang_up()
        self.front.should_exit = True
        self.thread.join(LONGEST_WAIT_S)
        assert not self.thread.is_alive()
