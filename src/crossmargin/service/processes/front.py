"""The engine's process as the front of several: it accepts every connection and gives each to whom its first request is for.

The first bytes are looked at and left where they are, so that whoever gets the connection reads it from its beginning.
A client that sends none for a while is let go; one that sends too few to tell is served here, as everything else is.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any, cast

import msgspec
import uvicorn
from opentelemetry.trace import Tracer

from crossmargin.service.measures import Measures
from crossmargin.service.processes.admission import admission
from crossmargin.service.processes.channel import (
    Asked,
    Channel,
    Counted,
    Handed,
    Left,
    Message,
    Opened,
    Said,
    Wanted,
)
from crossmargin.service.processes.children import Child, running
from crossmargin.service.processes.nursery import Start
from crossmargin.service.processes.outlet import Outlet
from crossmargin.service.processes.publishing import Publisher, StandingsPublisher
from crossmargin.service.processes.worker import Settings
from crossmargin.service.silence import SILENT_SECONDS, Server
from crossmargin.service.stream import Hub
from crossmargin.service.tracing import trace_answered
from crossmargin.service.writer import Writer

_LOG = logging.getLogger(__name__)
OF_WORKERS = (
    b"POST /api/v1/margin ", b"POST /api/v1/compare ",
    b"GET /api/v1/overview ", b"GET /api/v1/accounts ", b"GET /api/v1/accounts?",
)  # fmt: skip
OF_FAN_OUT = (b"GET /api/v1/stream ", b"GET /api/v1/stream?")
_ENOUGH = max(map(len, OF_WORKERS + OF_FAN_OUT))
FULL_SECONDS = 0.5
"""Before connections are accepted again after one could not be."""
AT_ONCE = 64
"""Connections that are accepted before others get their turn."""


class Front(Server):
    """A server that shares its connections with `workers` other processes.

    Parameters
    ----------
    hub
        Gives the hub of the application's streams, once that has started.
    start
        Starts the others.
    is_open
        Whether requests are answered without asking who sends them.
    tracer
        Makes the spans of requests that workers answered.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        writer: Writer,
        hub: Callable[[], Hub],
        *,
        start: Start,
        workers: int,
        hosts: list[str],
        is_open: bool,
        tracer: Tracer | None = None,
    ) -> None:
        super().__init__(config)
        self._tracer = tracer
        self._writer, self._find_hub = writer, hub
        self.publisher, self.standings = Publisher(writer), StandingsPublisher(writer)
        self._measures: Measures = writer.measures
        boards = self.publisher.board.descriptor, self.standings.board.descriptor
        settings = msgspec.json.encode(Settings(tuple(hosts), is_open, tracer is not None)).decode()
        count = self._measures.started.labels("worker").inc
        self.workers = [
            Child("worker", start, boards, settings, self._said, self._given_back, count) for _ in range(workers)
        ]
        self.fan_out = Child(
            "fan_out",
            start,
            (),
            "",
            self._said,
            self._given_back,
            self._measures.started.labels("fan_out").inc,
            self._fan_out_ended,
        )
        self._outlet: Outlet | None = None
        self._turns = itertools.cycle(self.workers)
        self._silent: dict[socket.socket, float] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stack = contextlib.AsyncExitStack()
        self._listener: socket.socket | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  (we listen)
        """Start the application, listen, and start the others as soon as the engine is open."""
        await super().startup(sockets=[])
        loop = asyncio.get_running_loop()
        self._listener = self.config.bind_socket()
        self._listener.listen(self.config.backlog)
        self._listener.setblocking(False)
        self._listen()
        self._stack.enter_context(self.publisher)
        self._stack.enter_context(self.standings)
        opened = asyncio.Event()

        def start(_: object) -> None:
            loop.call_soon_threadsafe(opened.set)

        self._writer.when_open(start)
        self._begin(self._run_others(opened))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, let the others end, and then this one."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
        for each in tuple(self._silent):
            self._let_go(each)
            each.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        await super().shutdown(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Close what has been silent for too long."""
        last = monotonic() - SILENT_SECONDS
        for each in [each for each, since in self._silent.items() if since < last]:
            self._sort(each)  # something may have come while this process was busy
            if each in self._silent:
                self._let_go(each)
                each.close()
        return await super().on_tick(counter)

    async def _run_others(self, opened: asyncio.Event) -> None:
        # kernels are compiled once, by the engine, and then read from the disk
        await opened.wait()
        async with running([*self.workers, self.fan_out]):
            await asyncio.Event().wait()

    def _begin(self, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _listen(self) -> None:
        if self._listener is not None and self._listener.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        if self._listener is None:
            return
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, ConnectionError):
                return
            except OSError as error:  # out of descriptors: others have to end before the next can begin
                _LOG.error("a connection could not be accepted: %s", error)
                loop = asyncio.get_running_loop()
                loop.remove_reader(self._listener)
                loop.call_later(FULL_SECONDS, self._listen)
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._silent[connection] = monotonic()
            asyncio.get_running_loop().add_reader(connection, self._sort, connection)

    def _let_go(self, connection: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(connection)
        self._silent.pop(connection, None)

    def _sort(self, connection: socket.socket) -> None:
        """Give a connection of which something has come to whom it is for."""
        try:
            begun = connection.recv(_ENOUGH, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            begun = b""
        self._let_go(connection)
        if not begun:
            connection.close()
            return
        whose = None
        if begun.startswith(OF_WORKERS):
            whose = self._free_worker()
        elif begun.startswith(OF_FAN_OUT):
            whose = self.fan_out
        if not self._pass_on(connection, whose):
            self.adopt(Handed(connection))

    def _free_worker(self) -> Child | None:
        for _ in self.workers:
            found = next(self._turns)
            if found.is_ready:
                return found
        return None

    def _pass_on(self, connection: socket.socket, child: Child | None) -> bool:
        """Hand a connection over; return whether that could be done."""
        if child is None or not child.hand(connection):
            return False
        self._measures.handed.labels(child.kind).inc()
        return True

    def _given_back(self, handed: Handed) -> None:
        self._measures.handed.labels("engine").inc()
        self.adopt(handed)

    def adopt(self, handed: Handed) -> None:
        """Serve a connection here, from what has been read of it on."""

        def protocol() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            made: asyncio.Protocol = kind(
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
            )
            if handed.begun:
                connect = made.connection_made

                def connection_made(transport: asyncio.BaseTransport) -> None:
                    connect(transport)
                    made.data_received(handed.begun)

                made.connection_made = connection_made  # type: ignore[method-assign]
            return made

        self._begin(asyncio.get_running_loop().connect_accepted_socket(protocol, handed.connection))

    @property
    def _hub(self) -> Hub:
        return self._find_hub()

    @property
    def _app(self) -> Callable[..., Awaitable[None]]:
        """The application with what the server puts around it."""
        return cast("Callable[..., Awaitable[None]]", self.config.loaded_app)

    def _said(self, child: Child, message: Message) -> None:
        match message:
            case Asked():
                self._begin(self._rule(child, message))
            case Wanted():
                self.standings.want()
            case Counted():
                for each in message.answered:
                    self._measures.requests.labels(each.method, each.route, each.status).inc()
                    self._measures.request_seconds.labels(each.route).observe(each.seconds)
                    if self._tracer is not None:
                        trace_answered(self._tracer, each)
            case Opened() | Said() | Left() if child.channel is not None:
                self._outlet = self._outlet or self._new_outlet(child, child.channel)
                self._outlet.hear(message)
            case _:
                _LOG.error("a child must ask, want, count or stream, said %s", type(message).__name__)

    def _new_outlet(self, child: Child, channel: Channel) -> Outlet:
        outlet = Outlet(self._app, channel, child.kill)
        self._hub.outlets.append(outlet.tell)
        return outlet

    def _fan_out_ended(self) -> None:
        outlet, self._outlet = self._outlet, None
        if outlet is not None:
            self._hub.outlets.remove(outlet.tell)
            outlet.close()

    async def _rule(self, child: Child, asked: Asked) -> None:
        channel = child.channel
        ruled = await admission(self._app, asked)
        if channel is not None:
            channel.send(ruled)
