"""The streams of the fan-out's clients, in the engine's process: each is a connection of the application like any other.

The application lets them in, reads what they subscribe to and writes what they get first, by its own route. What everybody
gets goes to the fan-out once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote

from crossmargin.service.processes.channel import (
    Accepted,
    Channel,
    Ended,
    Everybody,
    Joined,
    Left,
    Opened,
    Ruled,
    Said,
    Told,
)
from crossmargin.service.stream import KIND, Subscriber
from crossmargin.service.stream import Message as Published

LONGEST_QUEUE = 1 << 27
"""Bytes that may wait for the fan-out; more, and it is not going to catch up."""
GONE, REFUSED = 1006, 403


class Outlet:
    """The clients of one fan-out, for as long as it lives."""

    def __init__(self, app: Callable[..., Awaitable[None]], channel: Channel, give_up: Callable[[], None]) -> None:
        self._app, self._channel, self._give_up = app, channel, give_up
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, messages: list[Published]) -> None:
        """Tell everybody."""
        for each in messages:
            self._channel.send(Everybody(each.channel, each.text))
        if self._channel.waiting > LONGEST_QUEUE:
            self._give_up()

    def hear(self, message: Opened | Said | Left) -> None:
        """Pass on what a client does."""
        if isinstance(message, Opened):
            stream = self._streams[message.number] = Stream(message, self._channel)
            task = asyncio.create_task(self._serve(stream))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        found = self._streams.get(message.number)
        if found is not None:
            found.hear(message)

    def close(self) -> None:
        """Let every stream end: its client is gone."""
        for number, each in tuple(self._streams.items()):
            each.hear(Left(number))

    async def _serve(self, stream: "Stream") -> None:
        try:
            await self._app(stream.scope, stream.receive, stream.send)
        finally:
            self._streams.pop(stream.number, None)
            stream.finish()


class Stream:
    """One client's connection, as the application sees it."""

    def __init__(self, opened: Opened, channel: Channel) -> None:
        self.number, self._channel = opened.number, channel
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._events.put_nowait({"type": "websocket.connect"})
        self._subscriber: RemoteSubscriber | None = None
        self._refusal: dict[str, Any] | None = None
        self._is_accepted = self._is_over = False
        path, _, query = opened.target.partition(b"?")
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": None,
            "client": opened.client,
            "root_path": "",
            "path": unquote(path.decode("ascii")),
            "raw_path": path,
            "query_string": query,
            "headers": opened.headers,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {},
            KIND: self._subscribed,
        }

    def hear(self, message: Said | Left) -> None:
        """Let the application see what the client did."""
        if isinstance(message, Said):
            self._events.put_nowait({"type": "websocket.receive", "text": message.text, "bytes": None})
            return
        self._is_over = True
        if self._subscriber is not None:
            self._subscriber.too_slow = message.too_slow
        self._events.put_nowait({"type": "websocket.disconnect", "code": GONE, "reason": None})

    async def receive(self) -> dict[str, Any]:
        """Return the next event for the application."""
        return await self._events.get()

    async def send(self, event: dict[str, Any]) -> None:
        """Do what the application wants done."""
        if self._is_over:
            return
        match event["type"]:
            case "websocket.accept":
                self._channel.send(Accepted(self.number))
                self._is_accepted = True
            case "websocket.send":
                self._channel.send(Told(self.number, event["text"]))
            case "websocket.http.response.start":
                self._refusal = {**event, "body": b""}
            case "websocket.http.response.body" if self._refusal is not None:
                self._refusal["body"] += event.get("body", b"")
                if not event.get("more_body"):
                    self._refuse(self._refusal["status"], self._refusal["headers"], self._refusal["body"])
            case "websocket.close":
                self._close(event.get("code", 1000), event.get("reason") or "")
            case other:
                raise ValueError(f"an application must send events of WebSockets, sent {other}")

    def finish(self) -> None:
        """End what the application left open."""
        if not self._is_over:
            self._close(1011, "")

    def _close(self, code: int, reason: str) -> None:
        if not self._is_accepted:
            self._refuse(REFUSED, [], b"")
            return
        self._is_over = True
        self._channel.send(Ended(self.number, code, reason))

    def _refuse(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        self._is_over = True
        found = [(bytes(name), bytes(value)) for name, value in headers]
        self._channel.send(Ruled(self.number, (status, found, body)))

    def _subscribed(self, channels: Iterable[str]) -> "RemoteSubscriber":
        self._subscriber = RemoteSubscriber(channels, self.number, self._channel)
        return self._subscriber


class RemoteSubscriber(Subscriber):
    """A subscriber whom the fan-out serves: it is sent what it gets first, and joins who gets the rest."""

    def __init__(self, channels: Iterable[str], number: int, channel: Channel) -> None:
        super().__init__(channels)
        self._number, self._channel, self._has_joined = number, channel, False

    def put(self, messages: Iterable[Published]) -> None:
        """Send what comes first; from then on everybody is told together."""
        if self._has_joined:
            return
        self._has_joined = True
        for each in messages:
            if each.channel in self.channels:
                self._channel.send(Told(self._number, each.text))
        self._channel.send(Joined(self._number, tuple(self.channels)))
