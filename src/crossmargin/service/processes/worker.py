"""A worker: a process that answers from what the engine's process put up: the market, and where accounts stand.

Connections come to it from there and go back there with every request that is not its own, or that it cannot answer as
the engine's process would. It holds nothing that anybody could lose.
"""

import asyncio
import gc
import itertools
import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from time import monotonic, time_ns

import msgspec

from crossmargin.errors import CrossMarginError
from crossmargin.service.error_records import failed_record, refused_record
from crossmargin.service.processes.board import Board
from crossmargin.service.processes.channel import (
    Answered,
    Asked,
    Channel,
    Counted,
    Ready,
    Ruled,
    Wanted,
    hand_back,
    received,
    taken_over,
)
from crossmargin.service.processes.nursery import given
from crossmargin.service.processes.plain_requests import NotPlain, PlainRequest, plain_request
from crossmargin.service.processes.programs import run_program
from crossmargin.service.processes.questions import ROUTES, Answer, Behind, Seen
from crossmargin.service.processes.responses import response
from crossmargin.service.standings import Own

_LOG = logging.getLogger(__name__)
KEY = b"x-crossmargin-key"
TRACE = (b"traceparent", b"tracestate")
IDLE_SECONDS = 5.0
"""A connection on which nothing is asked this long is closed, as the engine's process does."""
COUNTED_SECONDS = 1.0
LOOK_SECONDS = 0.002
"""How often it is looked whether columns are up that somebody waits for."""
LONGEST_PAUSE_SECONDS = 10.0
"""For columns to be put up; the engine's process answers what has waited longer."""
_READ = 1 << 18
_JSON = [(b"content-type", b"application/json")]


class Settings(msgspec.Struct, frozen=True):
    """What a worker is started with: whose requests are for us, whether everybody may ask, and is traced."""

    hosts: tuple[str, ...]
    open: bool
    traced: bool = False


_ENCODE = msgspec.json.Encoder().encode


class Worker:
    """Answers on the connections that it is handed."""

    def __init__(self, settings: Settings, seen: Seen, channel: Channel, way: socket.socket) -> None:
        self.settings, self.channel, self.way = settings, channel, way
        self.hosts = frozenset(name.encode() for name in settings.hosts)
        self.loop = asyncio.get_running_loop()
        self.seen = seen
        self.connections: set[Connection] = set()
        self._asked: dict[int, Connection] = {}
        self._questions = itertools.count()
        self.date = _date()
        self._counted: list[Answered] = []
        self.paused: set[Connection] = set()
        """Those whose question is about accounts, until columns are up that are new enough."""
        self._wanted = -1

    def warm(self) -> None:
        """Load what the first answer would wait for: the market, and kernels from the disk."""
        market = self.seen.market()
        books = None if market is None else self.seen.arrays.plain(market)
        if books is not None:
            books.figures([], [])

    def answer(self, answer: Answer, own: Own | None) -> tuple[int, bytes]:
        """Return status and body of what is answered to who may see these accounts."""
        try:
            return 200, _ENCODE(answer(own))
        except CrossMarginError as error:
            status, record = refused_record(error)
        except Exception:
            # whoever asked learns nothing of our insides; whoever runs the service learns all of them
            _LOG.exception("failed to answer")
            status, record = failed_record()
        return status, _ENCODE(record)

    def count(self, asked: PlainRequest, status: int, seconds: float) -> None:
        """Remember a request that was answered."""
        ended_ns, caller = 0, {}
        if self.settings.traced:
            ended_ns = time_ns()
            caller = {name.decode(): value.decode() for name, value in asked.headers if name in TRACE}
        method, route = asked.method.decode(), asked.path.decode()
        self._counted.append(Answered(method, route, status, seconds, ended_ns, caller))

    def take(self) -> None:
        """Take over what was handed here."""
        while (found := taken_over(self.way)) is not None:
            self.connections.add(Connection(self, found.connection))

    def ask(self, connection: "Connection", asked: PlainRequest, client: tuple[str, int]) -> None:
        """Ask whether a request may be answered."""
        number = next(self._questions)
        self._asked[number] = connection
        self.channel.send(Asked(number, asked.target, asked.headers, client, asked.body, asked.method.decode()))

    def pause(self, connection: "Connection", due: int) -> None:
        """Let a connection go on when columns as of the record `due` are up, or have been waited for too long."""
        if due > self._wanted or not self.paused:
            self._wanted = due
            self.channel.send(Wanted())
        if not self.paused:
            self.loop.call_later(LOOK_SECONDS, self._look)
        self.paused.add(connection)

    def _look(self) -> None:
        now = monotonic()
        for each in tuple(self.paused):
            each.resume(now)
        if self.paused:
            self.loop.call_later(LOOK_SECONDS, self._look)

    def rule(self, ruled: Ruled) -> None:
        """Go on with a request that was asked about."""
        connection = self._asked.pop(ruled.number, None)
        if connection is not None:
            connection.ruled(ruled)

    async def tell(self) -> None:
        """Tell what was answered, and close what nobody asks on, for as long as this runs."""
        while True:
            await asyncio.sleep(COUNTED_SECONDS)
            self.tell_now()
            self.date = _date()
            last = monotonic() - IDLE_SECONDS
            for each in [each for each in self.connections if each.is_idle_since(last)]:
                each.close()

    def tell_now(self) -> None:
        """Tell what was answered since this was told last."""
        if self._counted:
            counted, self._counted = self._counted, []
            self.channel.send(Counted(counted))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request that is being asked about, what answers it, and when it came, s."""

    asked: PlainRequest
    answer: Answer
    since: float


@dataclass(frozen=True, slots=True)
class _Pause:
    """Since when a request waits for columns, s, and as of which record they must be."""

    since: float
    due: int


class Connection:
    """One client: what it has sent, what it is being sent, and the request that is being asked about."""

    def __init__(self, worker: Worker, connection: socket.socket) -> None:
        self._worker, self._socket = worker, connection
        self._begun = bytearray()
        self._unsent = bytearray()
        self._waiting: _Waiting | None = None
        self._pause: _Pause | None = None
        self._closing = False
        self._last = monotonic()
        worker.loop.add_reader(connection, self._read)

    def is_idle_since(self, last: float) -> bool:
        """Whether nothing has come since `last`, and nothing is owed."""
        if self._last >= last or self._waiting is not None or self._pause is not None:
            return False
        try:  # what came while this process was busy has not been read yet
            return bool(self._unsent) or not self._socket.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def close(self) -> None:
        """Let go of the client."""
        self._worker.loop.remove_reader(self._socket)
        self._worker.loop.remove_writer(self._socket)
        self._socket.close()
        self._worker.connections.discard(self)
        self._worker.paused.discard(self)
        self._closing = True

    def ruled(self, ruled: Ruled) -> None:
        """Answer, or pass on what the service answers instead."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or self._closing:
            return
        if ruled.answer is None:
            self._reply(waiting, None if ruled.accounts is None else frozenset(ruled.accounts).__contains__)
        else:  # counted where it was refused
            self._send(response(*ruled.answer), closes=waiting.asked.closes)
        if not self._closing:
            self._worker.loop.add_reader(self._socket, self._read)
            self._go_on()

    def resume(self, now: float) -> None:
        """Look again whether the columns that were waited for are up; give up after a while."""
        pause = self._pause
        if pause is None:
            return
        if now - pause.since > LONGEST_PAUSE_SECONDS:
            self._hand_back()
            return
        self._go_on()
        if self._pause is None and not self._closing:
            self._worker.loop.add_reader(self._socket, self._read)

    def _read(self) -> None:
        content = received(self._socket, _READ)
        if content is None:
            return
        if not content:
            self.close()
            return
        self._last = monotonic()
        self._begun += content
        if self._waiting is None and self._pause is None and not self._unsent:
            self._go_on()
        elif len(self._begun) > _READ:  # who sends on without reading waits
            self._worker.loop.remove_reader(self._socket)

    def _go_on(self) -> None:
        """Answer what has come, request by request, until one is not whole, has to be asked about, or is not ours."""
        while self._begun and self._waiting is None and not self._unsent and not self._closing:
            try:
                asked = plain_request(self._begun)
                if asked is None:
                    return
                self._begin(asked)
            except Behind:
                return
            except NotPlain:
                self._hand_back()
                return
            del self._begun[: asked.length]

    def _begin(self, asked: PlainRequest) -> None:
        """Answer a request, or ask whether it may be answered."""
        worker, seen = self._worker, self._worker.seen
        route = ROUTES.get((asked.method, asked.path))
        if route is None or asked.header(b"host") not in worker.hosts:
            raise NotPlain
        if not worker.settings.open and not asked.header(KEY):
            raise NotPlain
        # what counts is what had been acknowledged when the request came
        pause = self._pause or _Pause(monotonic(), seen.due)
        try:
            answer = route(asked, seen, pause.due)
        except Behind:
            self._pause = pause
            worker.pause(self, pause.due)
            raise
        self._pause = None
        worker.paused.discard(self)
        waiting = _Waiting(asked, answer, pause.since)
        if worker.settings.open:
            self._reply(waiting, None)
            return
        self._waiting = waiting
        client = self._socket.getpeername()
        worker.ask(self, asked, (client[0], client[1]))

    def _reply(self, waiting: _Waiting, own: Own | None) -> None:
        worker, asked = self._worker, waiting.asked
        status, body = worker.answer(waiting.answer, own)
        worker.count(asked, status, monotonic() - waiting.since)
        self._send(response(status, [*_JSON, worker.date], body), closes=asked.closes)

    def _send(self, content: bytes, *, closes: bool) -> None:
        self._closing = closes
        try:
            sent = self._socket.send(content)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent < len(content):
            self._unsent += content[sent:]
            self._worker.loop.add_writer(self._socket, self._write)
        elif closes:
            self.close()

    def _write(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        self._last = monotonic()
        if self._unsent:
            return
        self._worker.loop.remove_writer(self._socket)
        if self._closing:
            self.close()
            return
        self._worker.loop.add_reader(self._socket, self._read)
        self._go_on()

    def _hand_back(self) -> None:
        """Give the connection to the engine's process with what came of the request that is not for us."""
        hand_back(self._worker.way, self._socket, bytes(self._begun))
        self.close()


def _date() -> tuple[bytes, bytes]:
    return b"date", formatdate(usegmt=True).encode()


async def work(settings: Settings, market: int, standings: int, messages: int, connections: int) -> None:
    """Work until the engine's process ends; it puts up two boards, and sends messages and connections."""
    channel = await Channel.over(socket.socket(fileno=messages))
    way = socket.socket(fileno=connections)
    worker = Worker(settings, Seen(Board(market), Board(standings)), channel, way)
    way.setblocking(False)
    worker.loop.add_reader(way, worker.take)
    telling = asyncio.create_task(worker.tell())
    worker.warm()
    gc.freeze()
    channel.send(Ready())
    async for message in channel.messages():
        if isinstance(message, Ruled):
            worker.rule(message)
    telling.cancel()


def main(argument: str, descriptors: Sequence[int]) -> None:
    """Work in a process of its own."""
    settings = msgspec.json.decode(argument, type=Settings)
    run_program(lambda: work(settings, *descriptors))


if __name__ == "__main__":
    main(*given())
