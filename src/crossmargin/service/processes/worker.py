"""A worker: a process that margins and compares books of nobody's, on the market that the engine's process put up.

Connections come to it from there and go back there with every request that is not its own, or that it cannot answer as
the engine's process would. It holds nothing that anybody could lose.
"""

import asyncio
import gc
import itertools
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from time import monotonic, perf_counter
from typing import Any

import msgspec

from crossmargin.errors import CrossMarginError
from crossmargin.market.snapshot import MarketSnapshot
from crossmargin.service.error_records import failed_record, refused_record
from crossmargin.service.processes.board import Board
from crossmargin.service.processes.channel import (
    Asked,
    Channel,
    Counted,
    Ready,
    Ruled,
    hand_back,
    taken_over,
)
from crossmargin.service.processes.market_pages import told
from crossmargin.service.processes.plain_requests import NotPlain, PlainRequest, plain_request
from crossmargin.service.processes.programs import run_program
from crossmargin.service.processes.responses import response
from crossmargin.service.stateless import CompareQuestion, MarginQuestion, RiskArrays, compare_answer, margin_answer

_LOG = logging.getLogger(__name__)
KEY = b"x-crossmargin-key"
IDLE_SECONDS = 5.0
"""A connection on which nothing is asked this long is closed, as the engine's process does."""
COUNTED_SECONDS = 1.0
_READ = 1 << 18
_JSON = [(b"content-type", b"application/json")]


class Settings(msgspec.Struct, frozen=True):
    """What a worker is started with: descriptors, whose requests are for us, and whether everybody may ask."""

    board: int
    messages: int
    connections: int
    hosts: tuple[str, ...]
    open: bool


@dataclass(frozen=True, slots=True)
class _Route:
    """A question's type, and what answers it."""

    decode: Callable[[bytes], Any]
    answer: Callable[[Any, MarketSnapshot, RiskArrays], Any]


_ROUTES = {
    b"/api/v1/margin": _Route(msgspec.json.Decoder(MarginQuestion).decode, margin_answer),
    b"/api/v1/compare": _Route(
        msgspec.json.Decoder(CompareQuestion).decode, lambda asked, market, _: compare_answer(asked, market)
    ),
}
_ENCODE = msgspec.json.Encoder().encode


class Worker:
    """Answers on the connections that it is handed."""

    def __init__(self, settings: Settings, board: Board, channel: Channel, way: socket.socket) -> None:
        self.settings, self.channel, self.way = settings, channel, way
        self.hosts = frozenset(name.encode() for name in settings.hosts)
        self.loop = asyncio.get_running_loop()
        self._board, self._page = board, 0
        self._arrays = RiskArrays()
        self._market: MarketSnapshot | None = None
        self.connections: set[Connection] = set()
        self._asked: dict[int, Connection] = {}
        self._questions = itertools.count()
        self.date = _date()
        self._counted: list[tuple[str, int, float]] = []

    def market(self) -> MarketSnapshot | None:
        """Return the market that is up now; None where the engine's process has none for us."""
        if self._board.number != self._page:
            page = self._board.read()
            seen = told(page.content) if page.content else None
            self._page, self._market = page.number, None if seen is None else seen.market
            if seen is not None:
                self._arrays.begin(seen.market, seen.arrays)
        return self._market

    def warm(self) -> None:
        """Load what the first answer would wait for: the market, and kernels from the disk."""
        market = self.market()
        books = None if market is None else self._arrays.plain(market)
        if books is not None:
            books.figures([], [])

    def answer(self, route: _Route, question: Any, market: MarketSnapshot) -> tuple[int, bytes]:  # noqa: ANN401
        """Return status and body of what a question is answered."""
        try:
            return 200, _ENCODE(route.answer(question, market, self._arrays))
        except CrossMarginError as error:
            status, record = refused_record(error)
        except Exception:
            # whoever asked learns nothing of our insides; whoever runs the service learns all of them
            _LOG.exception("failed to answer")
            status, record = failed_record()
        return status, _ENCODE(record)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Remember a request that was answered."""
        self._counted.append((route, status, seconds))

    def take(self) -> None:
        """Take over what was handed here."""
        while (found := taken_over(self.way)) is not None:
            self.connections.add(Connection(self, found.connection))

    def ask(self, connection: "Connection", asked: PlainRequest, client: tuple[str, int]) -> None:
        """Ask whether a request may be answered."""
        number = next(self._questions)
        self._asked[number] = connection
        self.channel.send(Asked(number, asked.target, asked.headers, client, asked.body))

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
    """A request that is being asked about, the market on which it will be answered, and when it came, s."""

    asked: PlainRequest
    route: _Route
    question: Any
    market: MarketSnapshot
    since: float


class Connection:
    """One client: what it has sent, what it is being sent, and the request that is being asked about."""

    def __init__(self, worker: Worker, connection: socket.socket) -> None:
        self._worker, self._socket = worker, connection
        self._begun = bytearray()
        self._unsent = bytearray()
        self._waiting: _Waiting | None = None
        self._closing = False
        self._last = monotonic()
        worker.loop.add_reader(connection, self._read)

    def is_idle_since(self, last: float) -> bool:
        """Whether nothing has come since `last`, and nothing is owed."""
        if self._last >= last or self._waiting is not None:
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
        self._closing = True

    def ruled(self, ruled: Ruled) -> None:
        """Answer, or pass on what the service answers instead."""
        waiting, self._waiting = self._waiting, None
        if waiting is None or self._closing:
            return
        if ruled.answer is None:
            self._reply(waiting)
        else:  # counted where it was refused
            self._send(response(*ruled.answer), closes=waiting.asked.closes)
        if not self._closing:
            self._worker.loop.add_reader(self._socket, self._read)
            self._go_on()

    def _read(self) -> None:
        try:
            content = self._socket.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            self.close()
            return
        self._last = monotonic()
        self._begun += content
        if self._waiting is None and not self._unsent:
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
            except NotPlain:
                self._hand_back()
                return
            del self._begun[: asked.length]

    def _begin(self, asked: PlainRequest) -> None:
        """Answer a request, or ask whether it may be answered."""
        worker, since = self._worker, perf_counter()
        route = _ROUTES.get(asked.target)
        market = worker.market()
        if route is None or market is None or asked.header(b"host") not in worker.hosts:
            raise NotPlain
        try:
            question = route.decode(asked.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise NotPlain from error
        waiting = _Waiting(asked, route, question, market, since)
        if worker.settings.open:
            self._reply(waiting)
            return
        if not asked.header(KEY):
            raise NotPlain
        self._waiting = waiting
        client = self._socket.getpeername()
        worker.ask(self, asked, (client[0], client[1]))

    def _reply(self, waiting: _Waiting) -> None:
        worker, asked = self._worker, waiting.asked
        status, body = worker.answer(waiting.route, waiting.question, waiting.market)
        worker.count(asked.target.decode(), status, perf_counter() - waiting.since)
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


async def work(settings: Settings) -> None:
    """Work until the engine's process ends."""
    channel = await Channel.over(socket.socket(fileno=settings.messages))
    way = socket.socket(fileno=settings.connections)
    worker = Worker(settings, Board(settings.board), channel, way)
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


if __name__ == "__main__":
    run_program(Settings, work)
