"""Child processes of the engine's: started again when they die, gone when it is gone."""

import asyncio
import contextlib
import errno
import logging
import socket
import subprocess
from collections import deque
from collections.abc import Callable
from typing import Any

from crossmargin.service.processes.channel import Channel, Handed, Message, Ready, hand_over, taken_over
from crossmargin.service.processes.nursery import Process, Start

_LOG = logging.getLogger(__name__)
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.1, 10.0
"""Before a child that died is started again; twice as long each time it dies before it was ready."""
ENDING_SECONDS = 5.0
MOST_WAITING = 4_096
"""Connections that may wait to be handed over."""
_NO_ROOM = {errno.ETOOMANYREFS, errno.ENOBUFS, errno.ENOMEM}
"""The system keeps no more connections on their way for now."""


class Child:
    """One place for a child, and whoever fills it now.

    Parameters
    ----------
    kind
        The module of this package that is run as a program.
    start
        Starts it.
    started, ended
        Called after every start, and after every end.
    boards
        Descriptors of what it reads in shared memory.
    settings
        What it is told at its start, in JSON.
    said, given_back
        Called with what a child says, and with connections that it gives back.
    """

    def __init__(
        self,
        kind: str,
        start: Start,
        boards: tuple[int, ...],
        settings: str,
        said: Callable[["Child", Message], None],
        given_back: Callable[[Handed], None],
        started: Callable[[], None],
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.kind, self._start, self._boards, self._settings = kind, start, boards, settings
        self._said, self._given_back, self._started, self._ended = said, given_back, started, ended
        self.process: Process | None = None
        self.channel: Channel | None = None
        self.way: socket.socket | None = None
        self._waiting: deque[socket.socket] = deque()
        """Connections for which its way had no room yet."""
        self.is_ready = False

    def hand(self, connection: socket.socket) -> bool:
        """Hand a connection over, at once or as soon as there is room; return False if it stays the caller's."""
        if not self.is_ready or self.way is None or len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(connection)
        if len(self._waiting) == 1:
            self._pass_on()
        return True

    def _pass_on(self) -> None:
        if self.way is None:
            return
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                hand_over(self.way, self._waiting[0])
                self._waiting.popleft().close()
        except BlockingIOError:
            loop.add_writer(self.way, self._pass_on)
            return
        except OSError as error:
            if error.errno in _NO_ROOM:
                loop.call_later(FIRST_WAIT_SECONDS, self._pass_on)
            # else it has just died, which its channel tells
        loop.remove_writer(self.way)

    async def run(self) -> None:
        """Keep a child running until this is cancelled; it is then told to end, and waited for."""
        wait = FIRST_WAIT_SECONDS
        while True:
            was_ready = False
            try:
                was_ready = await self._live()
            except Exception:
                # whatever it was, the place must be filled again
                _LOG.exception("the %s's process could not be started or heard", self.kind)
            finally:
                await self._end()
            wait = FIRST_WAIT_SECONDS if was_ready else min(2 * wait, LONGEST_WAIT_SECONDS)
            _LOG.warning("the %s's process ended, and is started again in %.1f s", self.kind, wait)
            await asyncio.sleep(wait)

    async def _live(self) -> bool:
        """Start a child and listen to it until it ends; return whether it was ever ready."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        # whole messages, as many as its buffer holds: of datagrams only ten may wait on many systems
        way, their_way = socket.socketpair(socket.AF_UNIX, getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM))
        with theirs, their_way:
            descriptors = (*self._boards, theirs.fileno(), their_way.fileno())
            self.process = self._start(f"{__package__}.{self.kind}", self._settings, descriptors)
        self._started()
        way.setblocking(False)
        self.way, self.channel = way, await Channel.over(ours)
        asyncio.get_running_loop().add_reader(way, self._take)
        was_ready = False
        async for message in self.channel.messages():
            if isinstance(message, Ready):
                self.is_ready = was_ready = True
            else:
                self._said(self, message)
        return was_ready

    async def _end(self) -> None:
        """Let go of a child: its channel's end is its own."""
        self.is_ready = False
        self._ended()
        if self.channel is not None:
            self.channel.close()
        if self.way is not None:
            self._take()
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.way)
            loop.remove_writer(self.way)
            self.way.close()
        self.channel = self.way = None
        while self._waiting:
            self._given_back(Handed(self._waiting.popleft()))
        process, self.process = self.process, None
        if process is None:
            return
        try:
            await asyncio.to_thread(process.wait, ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)

    def kill(self) -> None:
        """End a child that does not keep up; another takes its place."""
        if self.process is not None:
            self.process.kill()

    def _take(self) -> None:
        while self.way is not None and (found := taken_over(self.way)) is not None:
            self._given_back(found)


@contextlib.asynccontextmanager
async def running(children: list[Child]) -> Any:  # noqa: ANN401
    """Run children for as long as the block lasts."""
    tasks = [asyncio.create_task(each.run()) for each in children]
    try:
        yield
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
