"""The one writer: commands wait in a queue, are written and synced together, applied in order, and published.

Readers hold `lock` while they look at the engine, which caches as it is read.
"""

import fcntl
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event, Refused, Repeated
from crossmargin.errors import InputError
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import Runner

LARGEST_BATCH = 512
LONGEST_QUEUE = 20_000
EVENTS_KEPT = 100_000
"""Events that are still told to a stream that resumes, and in lists; the journal has all."""


class Busy(Exception):  # noqa: N818  (a state, not a fault)
    """More commands wait than may wait; ask again later."""


@dataclass(frozen=True, slots=True)
class Published:
    """An event with its place in the stream, the time at which the engine stood, and its command."""

    sequence: int
    time_ns: int
    command: Command
    event: Event


Answer = tuple[Event, ...]


class Writer:
    """An engine behind its journal, in a folder that no other process may write."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lease = _lease(folder / "writer.lease")
        self.lock = threading.RLock()
        self.published: deque[Published] = deque(maxlen=EVENTS_KEPT)
        self._listeners: list[Callable[[], None]] = []
        self._journal = open_journal(folder / "journal", write=True)
        self._runner = Runner(self._journal, folder / "snapshots")
        # numbers of a later run are above those of an earlier one: no record has so many events
        self.sequence = self._journal.head()[0] << 16
        self._queue: queue.Queue[tuple[Command, Future[Answer]] | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    @property
    def engine(self) -> Engine:
        """The engine as it is now; to be read under `lock`."""
        return self._runner.engine

    @property
    def is_empty(self) -> bool:
        """Whether nothing has ever been asked."""
        return self.engine.state.sequence == 0

    def submit(self, command: Command) -> "Future[Answer]":
        """Queue a command; the future has its events once it is on disk and applied.

        Raises
        ------
        Busy
            If the queue is full.
        """
        answer: Future[Answer] = Future()
        if not self._thread.is_alive():
            raise Busy("the writer has stopped")
        try:
            self._queue.put_nowait((command, answer))
        except queue.Full as error:
            raise Busy(f"{LONGEST_QUEUE} commands wait already") from error
        return answer

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` from the writer's thread after every batch."""
        self._listeners.append(listener)

    def ignore(self, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def close(self) -> None:
        """Finish what waits, write a snapshot, and let go of the folder."""
        self._queue.put(None)
        self._thread.join()
        self._journal.close()
        os.close(self._lease)

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._queue.get()]
            while len(batch) < LARGEST_BATCH:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            asked = [item for item in batch if item is not None]
            going = len(asked) == len(batch)
            if asked:
                self._write(asked)

    def _write(self, asked: list[tuple[Command, "Future[Answer]"]]) -> None:
        try:
            with self.lock:
                answers = self._runner.submit([command for command, _ in asked])
                for (command, _), events in zip(asked, answers, strict=True):
                    self._publish(command, self.engine.state.time_ns, events)
        except Exception as error:
            # whoever waits must hear of it, whatever it is
            for _, waiting in asked:
                waiting.set_exception(error)
            return
        for (_, waiting), events in zip(asked, answers, strict=True):
            waiting.set_result(events)
        for listener in tuple(self._listeners):
            listener()

    def _publish(self, command: Command, time_ns: int, events: tuple[Event, ...]) -> None:
        for event in events:
            if not isinstance(event, Refused | Repeated):
                self.sequence += 1
                self.published.append(Published(self.sequence, time_ns, command, event))


def _lease(path: Path) -> int:
    """Hold a lock that the system lets go of when the process dies."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise InputError(f"a folder must have one writer, another process holds {path}") from error
    return file
