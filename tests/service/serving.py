"""Servers on ports of loopback, in a thread of the test's own process."""

import asyncio
import contextlib
import itertools
import socket
import threading
import time

import uvicorn

LONGEST_S = 120
"""For a server to start or to stop on a machine that does much else."""


class Server(uvicorn.Server):
    """Uvicorn's, which looks ten times a second whether it is to end: it is told at once."""

    async def main_loop(self):
        self.loop, self.told = asyncio.get_running_loop(), asyncio.Event()
        ticks = itertools.count()
        while not await self.on_tick(next(ticks)):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.told.wait(), 0.1)

    def end(self):
        self.should_exit = True
        if self.started:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self.loop.call_soon_threadsafe(self.told.set)


@contextlib.contextmanager
def reserved_port():
    """Hold a port at which nobody answers, and which nobody but `serving` is given."""
    with _bound(0) as held:
        yield held.getsockname()[1]


@contextlib.contextmanager
def running(configuration, port=0):
    """Run a server as configured; yield its port."""
    listener = _bound(port)
    listener.listen(100)
    port = listener.getsockname()[1]
    server = Server(configuration)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        deadline = time.monotonic() + LONGEST_S
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < deadline
            thread.join(0.01)
        yield port
    finally:
        server.end()
        thread.join(LONGEST_S)
        listener.close()


@contextlib.contextmanager
def serving(app, port=0):
    """Serve an application; yield its URL."""
    with running(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1), port) as port:
        yield f"http://127.0.0.1:{port}"


def _bound(port):
    # asyncio turns Nagle's algorithm off only for sockets that say they are TCP
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # several may be bound to a port as long as one of them listens
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    found.bind(("127.0.0.1", port))
    return found
