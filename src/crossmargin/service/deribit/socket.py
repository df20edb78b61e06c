"""Deribit's API over a WebSocket at ``/ws/api/v2``: questions are answered in order, channels speak in between.

Nothing is queued for a reader that is slow: what has changed is looked up when the last message has been sent, so a
channel of conditions skips what is out of date and a channel of events goes on from its place.
"""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup
from litestar import WebSocket, websocket
from litestar.datastructures import State
from litestar.exceptions import WebSocketDisconnect

from crossmargin.service.access.guard import address_of
from crossmargin.service.deribit.connection import Connection
from crossmargin.service.deribit.errors import DeribitError, Record
from crossmargin.service.deribit.rpc import Question

SLOW_SECONDS = 0.1
"""How often channels with an interval speak."""
LARGEST_MESSAGE = 1_000_000
Socket = WebSocket[Any, Any, State]
TEST_REQUEST: Record = {"jsonrpc": "2.0", "method": "heartbeat", "params": {"type": "test_request"}}
_ENCODE = msgspec.json.Encoder().encode


class _Session:
    """A connection with its socket, and what wakes it."""

    def __init__(self, socket: Socket) -> None:
        self.socket = socket
        self.connection = Connection(socket.app.state.desk, address=address_of(socket))
        self.woken = asyncio.Event()
        self.sending = asyncio.Lock()
        self.looking = asyncio.Lock()
        self.heard, self.is_ended = True, False
        self._loop = asyncio.get_running_loop()

    def wake(self) -> None:
        """Say from the writer's thread that something may have changed."""
        with contextlib.suppress(RuntimeError):  # the loop may have closed
            self._loop.call_soon_threadsafe(self.woken.set)

    async def send(self, records: list[Record]) -> None:
        """Send records in order; those of one call stay together."""
        async with self.sending:
            for record in records:
                await self.socket.send_data(_ENCODE(record).decode())

    async def read(self) -> None:
        """Answer questions until the other side goes."""
        while self.connection.ends is None:
            text = await self.socket.receive_data(mode="text")
            self.heard = True
            async with self.looking:
                found = await anyio.to_thread.run_sync(self._answered, text)
            await self.send([found])
            self.woken.set()
        await self.end(self.connection.ends)

    async def end(self, reason: str) -> None:
        """Close the socket, once: whoever is first to see that it is to end."""
        if not self.is_ended:
            self.is_ended = True
            await self.socket.close(reason=reason)

    def _answered(self, text: str) -> Record:
        return self.connection.answer(_question(text))

    async def speak(self) -> None:
        """Say what the channels have to say, as it comes or at their interval."""
        slow_at = 0.0
        while True:
            await self.woken.wait()
            self.woken.clear()
            now = self._loop.time()
            slow = now >= slow_at
            if slow:
                slow_at = now + SLOW_SECONDS
            else:
                self._loop.call_later(slow_at - now, self.woken.set)
            async with self.looking:
                found = await anyio.to_thread.run_sync(functools.partial(self.connection.news, slow=slow))
            await self.send(found)
            if self.connection.ends is not None:
                await self.end(self.connection.ends)
                return

    async def test(self) -> None:
        """Ask a silent reader to answer, and give up on one that does not."""
        while True:
            seconds = self.connection.heartbeat_seconds
            await asyncio.sleep(1 if seconds is None else seconds)
            if seconds is None:
                continue
            if not self.heard:
                await self.end("no answer to a heartbeat")
                return
            self.heard = False
            await self.send([TEST_REQUEST])


def _question(text: str) -> Question | DeribitError:
    """Return what is asked, or what is wrong with a text that asks nothing."""
    reason = "a message must be a JSON-RPC request"
    if len(text) > LARGEST_MESSAGE:
        reason = "a message must be smaller"
    else:
        with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
            return msgspec.json.decode(text, type=Question)
    return DeribitError(-32700, "Parse error", {"reason": reason})


async def _until_gone(tasks: TaskGroup, work: Callable[[], Awaitable[None]]) -> None:
    """Do one part of a session; when it ends, or the other side goes, the whole session ends."""
    with contextlib.suppress(WebSocketDisconnect):
        await work()
    tasks.cancel_scope.cancel()


@websocket("/ws/api/v2")
async def deribit_socket(socket: Socket) -> None:
    """Serve one connection until either side ends it."""
    await socket.accept()
    session, writer = _Session(socket), socket.app.state.writer
    writer.listen(session.wake)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_until_gone, tasks, session.speak)
            tasks.start_soon(_until_gone, tasks, session.test)
            tasks.start_soon(_until_gone, tasks, session.read)
    finally:
        writer.ignore(session.wake)
        session.connection.closed()
