"""The tables as the service sees them: how far they are, why they are not, and who keeps them level with the journal."""

import contextlib
import logging
import socket
import subprocess
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

import msgspec

from crossmargin.service import projection
from crossmargin.service.following import PAUSE_S, Begin, Follower, Stand, Stood
from crossmargin.service.processes.nursery import Process, Start

_LOG = logging.getLogger(__name__)
LONGEST_END_S = 60.0
"""For a follower to write what waits, once it is told to end."""
Link: TypeAlias = "Connection[bytes, bytes]"


class Projector:
    """Tells a follower how far the journal is, and hears from it how far the tables are.

    Parameters
    ----------
    url
        Of the tables.
    folder
        Of the journal and its snapshots.
    start
        Starts the follower in a process of its own, again where it dies; it is a thread without.
    """

    def __init__(self, url: str, folder: Path, start: Start | None = None) -> None:
        self.database = projection.open_database(url)
        """For readers."""
        self.failure: str | None = None
        """Why the database cannot be written; None while it can."""
        self.process: Process | None = None
        """Of the follower, where it has one of its own."""
        self._url, self._folder, self._start = url, folder, start
        self._durable = self._said = self._written = self._awaited = 0
        self._is_asked = self._is_hurried = self._is_lost = False
        self._stopping = self._is_heard = False
        """Whether it ends; whether the follower that there is has told anything yet."""
        self._link: Link | None = None
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)

    def start(self, record: int) -> None:
        """Begin; the journal is whole up to `record`."""
        self._durable = record
        self._thread.start()

    def follow(self, record: int) -> None:
        """Say without waiting that the journal is whole up to `record`, and applied."""
        with self._moved:
            self._durable = record
            self._ask()

    def wait_for(self, record: int, timeout_s: float) -> bool:
        """Wait until the tables stand at `record`; tell whether they do."""
        with self._moved:
            self._awaited += 1
            self._ask()
            try:
                return self._moved.wait_for(lambda: self._written >= record, timeout_s)
            finally:
                self._awaited -= 1

    @property
    def lag(self) -> int:
        """Records that the tables are behind the journal."""
        return max(0, self._durable - self._written)

    def close(self) -> None:
        """Write what waits, if the database answers, and stop.

        A follower that is still on its way up is not waited for, for seconds: the next start finds all in the journal.
        """
        with self._moved:
            self._stopping = True
            if self.process is not None and not self._is_heard:
                self.process.kill()
            self._ask()
            self._moved.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self.database.dispose()

    def _ask(self) -> None:
        """Send what there is to say, and no more than one message for each answer, but for somebody who waits."""
        if self._link is None or (self._written >= self._durable and not self._stopping):
            return
        if not self._is_asked or (self._awaited and not self._is_hurried) or self._stopping:
            self._is_asked, self._is_hurried, self._said = True, self._awaited > 0, self._durable
            with contextlib.suppress(OSError):  # it has died, and its thread is about to hear of it
                message = Stand(self._durable, is_awaited=self._is_hurried, is_last=self._stopping)
                self._link.send_bytes(msgspec.msgpack.encode(message))

    def _run(self) -> None:
        while True:
            with self._follower() as link:
                self._begin(link)
                self._listen(link)
            with self._moved:
                self._link = None
                if not (self._stopping or self._is_lost):
                    self.failure = "what keeps the tables level with the journal has ended, and is started again"
                    _LOG.warning(self.failure)
                    self._moved.wait_for(lambda: self._stopping, PAUSE_S)
                if self._stopping or self._is_lost:
                    return

    def _begin(self, link: Link) -> None:
        with self._moved:
            self._link, self._is_asked, self._is_hurried, self._is_heard = link, False, False, False
            self._ask()

    def _listen(self, link: Link) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                stood = msgspec.msgpack.decode(link.recv_bytes(), type=Stood)
                with self._moved:
                    self._is_heard = True
                    self._written, self.failure, self._is_lost = stood.record, stood.failure, stood.is_lost
                    self._is_asked = self._is_hurried = False
                    # while the database is down it is asked on only for records that it has not heard of: it tries by itself
                    if (stood.failure is None or self._said < self._durable) and not self._stopping:
                        self._ask()
                    self._moved.notify_all()

    @contextlib.contextmanager
    def _follower(self) -> Iterator[Link]:
        ours, theirs = socket.socketpair()
        with contextlib.closing(Connection(ours.detach())) as link:
            if self._start is None:
                following = Follower(self._url, self._folder, Connection(theirs.detach()))
                thread = threading.Thread(target=following.run, name="follower", daemon=True)
                thread.start()
                yield link
                thread.join()
                return
            with theirs:
                self.process = self._start(Follower.__module__, "", [theirs.fileno()])
            link.send_bytes(
                msgspec.msgpack.encode(Begin(self._url, str(self._folder), logging.getLogger().getEffectiveLevel()))
            )
            yield link
        try:
            self.process.wait(LONGEST_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()  # what it has not committed is had from the journal at the next start
            self.process.wait()
