"""The stream at ``/api/v1/stream``: a snapshot, then what changes, in one order for everybody.

A subscriber sends ``{"subscribe": [channel, ...], "from": sequence}`` first. Each message after it is
``{"channel", "sequence", "previous", "snapshot", "data"}``: `sequence` is the engine's place, and `previous` that of the
message before it in the same channel, so that a reader proves that it lost nothing. Events come each with its own number,
one after the other. Figures are gathered for `PACE_SECONDS`, and only those that changed are told. Every message is written
once for all subscribers; one that does not read is told so, and let go.
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from litestar import WebSocket, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError
from crossmargin.service import views
from crossmargin.service.access.guard import Access
from crossmargin.service.views import Record
from crossmargin.service.writer import Published, Starting, Writer

PACE_SECONDS = 0.1
"""Changes are gathered this long."""
LONGEST_WAIT = 256
"""Messages that may wait for one subscriber: half a minute of both figures and events at full pace, or a bit less."""
KNOWN_SECONDS = 2.0
"""How often it is looked whether a stream's key or session has ended."""
CHANNELS = ("overview", "accounts", "events")
TOO_SLOW = 1013
"""Close code "try again later" of RFC 6455's registry."""
KIND = "crossmargin.subscriber"
"""Key of a scope that says what kind of subscriber its client is; no client can put it there."""
Socket = WebSocket[Any, Any, State]
_ENCODE = msgspec.json.Encoder().encode


class Subscription(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first message of a subscriber."""

    subscribe: tuple[str, ...]
    from_: int | None = msgspec.field(name="from", default=None)


class Message(msgspec.Struct, frozen=True):
    """A message, written out."""

    channel: str
    sequence: int
    text: str


def message(channel: str, sequence: int, previous: int | None, data: object, *, snapshot: bool = False) -> Message:
    """Write a message of `channel`; `previous` is None where there is nothing before it."""
    record = {"channel": channel, "sequence": sequence, "previous": previous, "snapshot": snapshot, "data": data}
    return Message(channel, sequence, _ENCODE(record).decode())


class Subscriber:
    """What waits for one reader."""

    def __init__(self, channels: Iterable[str]) -> None:
        self.channels = frozenset(channels)
        self._waiting: deque[Message] = deque()
        self._woken = asyncio.Event()
        self.too_slow = False

    def put(self, messages: Iterable[Message]) -> None:
        """Let messages of the reader's channels wait; a reader for whom too many wait is given up."""
        if self.too_slow:
            return
        self._waiting.extend(each for each in messages if each.channel in self.channels)
        if len(self._waiting) > LONGEST_WAIT:
            self.too_slow = True
            self._waiting.clear()
        if self._waiting or self.too_slow:
            self._woken.set()

    async def take(self) -> list[Message]:
        """Return what waits, as soon as anything does."""
        await self._woken.wait()
        self._woken.clear()
        found = list(self._waiting)
        self._waiting.clear()
        return found


class Hub:
    """Looks at the engine once for all subscribers, and gives each what it asked for."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.subscribers: set[Subscriber] = set()
        self.outlets: list[Callable[[list[Message]], None]] = []
        """Are told what everybody is told, once for all subscribers that they hold."""
        self.dropped = 0
        self._told = dict.fromkeys(CHANNELS, -1)
        self._rows: dict[str, tuple[object, Record]] = {}
        self._woken = asyncio.Event()
        self._looking = asyncio.Lock()
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Say from the writer's thread that something may have changed."""
        with contextlib.suppress(RuntimeError):  # the loop may have closed
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Tell what changes, for as long as there is somebody to tell; never ends by itself."""
        self._writer.listen(self.wake)
        try:
            due = self._loop.time()
            while True:
                await self._woken.wait()
                self._woken.clear()
                # by the clock, not by when the last was done: what looking and telling take must not slow the pace
                now = self._loop.time()
                due = due + PACE_SECONDS if now - due < PACE_SECONDS else now + PACE_SECONDS
                if self.subscribers:
                    async with self._looking:
                        await self._tell()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
        finally:
            self._writer.ignore(self.wake)

    async def join(
        self, asked: Subscription, kind: "Callable[[Iterable[str]], Subscriber] | None" = None
    ) -> Subscriber:
        """Add a subscriber, who first gets what lies between the place it names, or nothing, and now."""
        subscriber = (kind or Subscriber)(asked.subscribe)
        async with self._looking:
            if self.subscribers:
                await self._tell()  # what the others know is then where the newcomer begins
            else:
                await anyio.to_thread.run_sync(self._look)
            subscriber.put(await anyio.to_thread.run_sync(self._first, asked))
            self.subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a subscriber."""
        self.dropped += subscriber.too_slow
        self.subscribers.discard(subscriber)

    async def _tell(self) -> None:
        messages = await anyio.to_thread.run_sync(self._look)
        for outlet in self.outlets:
            outlet(messages)
        for subscriber in self.subscribers:
            subscriber.put(messages)

    def _look(self) -> list[Message]:
        """Write what changed since the last look; the engine is held no longer than that takes to find."""
        with self._writer.lock:
            engine, sequence = self._writer.engine, self._writer.sequence
            if sequence == self._told["overview"]:
                return []
            events = _after(self._writer, self._told["events"])
            changed = self._changed(engine)
            seen = views.overview(engine, sequence)
        found: list[Message] = []
        for channel, data in (("events", [views.event_record(each) for each in events]), ("accounts", changed)):
            # a channel with nothing to say keeps its place, so that `previous` is a message that was sent
            if data:
                found.append(message(channel, sequence, self._told[channel], data))
        found.append(message("overview", sequence, self._told["overview"], seen))
        self._told |= {each.channel: each.sequence for each in found}
        return found

    def _changed(self, engine: Engine) -> list[Record]:
        changed = []
        for name, held in engine.state.accounts.items():
            with contextlib.suppress(CrossMarginError):  # an account without a price has no figures yet
                seen = (held.state, held.method, engine.health(name))
                known = self._rows.get(name)
                if known is None or known[0] != seen:
                    row = views.account_row(engine, name)
                    self._rows[name] = seen, row
                    changed.append(row)
        return changed

    def _first(self, asked: Subscription) -> list[Message]:
        """Write what a newcomer gets first: figures as they are, and the events after the place that it names."""
        found = []
        with self._writer.lock:
            if "overview" in asked.subscribe:
                data = views.overview(self._writer.engine, self._writer.sequence)
                found.append(message("overview", self._told["overview"], None, data, snapshot=True))
            oldest = self._writer.published[0].sequence if self._writer.published else math.inf
            kept = asked.from_ is not None and oldest - 1 <= asked.from_ <= self._writer.sequence
            missed = _after(self._writer, asked.from_ or 0) if kept else []
        if "accounts" in asked.subscribe:
            rows = [row for _, row in self._rows.values()]
            found.append(message("accounts", self._told["accounts"], None, rows, snapshot=True))
        if "events" in asked.subscribe:
            missed = [each for each in missed if each.sequence <= self._told["events"]]
            records = [views.event_record(each) for each in missed]
            found.append(
                message("events", self._told["events"], asked.from_ if kept else None, records, snapshot=not kept)
            )
        return found


def _after(writer: Writer, sequence: int) -> list[Published]:
    found = []
    for each in reversed(writer.published):
        if each.sequence <= sequence:
            break
        found.append(each)
    return found[::-1]


@websocket("/stream")
async def stream(socket: Socket) -> None:
    """Serve one subscriber until either side ends it."""
    await socket.accept()
    hub: Hub = socket.app.state.hub
    with contextlib.suppress(WebSocketDisconnect):
        asked = await _asked(socket)
        if asked is None:
            return
        try:
            kind: Any = socket.scope.get(KIND)
            subscriber = await hub.join(asked, kind)
        except Starting as error:
            await _end(socket, "the engine must be open", str(error))
            return
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_gone, socket, tasks.cancel_scope)
                tasks.start_soon(_known, socket, tasks.cancel_scope)
                await _send(socket, subscriber)
                tasks.cancel_scope.cancel()
        finally:
            hub.leave(subscriber)


async def _asked(socket: Socket) -> Subscription | None:
    try:
        asked = msgspec.json.decode(await socket.receive_data(mode="text"), type=Subscription)
    except msgspec.MsgspecError as error:
        await _end(socket, "the first message must name channels", str(error))
        return None
    unknown = sorted({*asked.subscribe} - {*CHANNELS})
    if unknown or not asked.subscribe:
        await _end(socket, f"channels are {', '.join(CHANNELS)}", f"asked for {', '.join(unknown) or 'none'}")
        return None
    return asked


async def _send(socket: Socket, subscriber: Subscriber) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            for each in await subscriber.take():
                # straight to the server: a subscriber is sent thousands of these
                await socket.send({"type": "websocket.send", "bytes": None, "text": each.text})
                if subscriber.too_slow:
                    break
            if subscriber.too_slow:
                await _end(socket, "a subscriber must read what it is sent", f"{LONGEST_WAIT} messages waited")
                return


async def _gone(socket: Socket, scope: anyio.CancelScope) -> None:
    """End when the other side goes; whatever else it says is not read."""
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_data(mode="text")
    scope.cancel()


async def _known(socket: Socket, scope: anyio.CancelScope) -> None:
    """End when the key or session ends by which the stream was opened."""
    access: Access | None = socket.app.state.access
    if access is None:
        return
    while access.still_knows(socket):
        await asyncio.sleep(KNOWN_SECONDS)
    await _end(socket, "a stream needs a live key or session", "it has ended")
    scope.cancel()


async def _end(socket: Socket, rule: str, finding: str) -> None:
    await socket.send_data(_ENCODE({"channel": "error", "error": {"rule": rule, "finding": finding}}).decode())
    await socket.close(code=TOO_SLOW, reason=rule)
