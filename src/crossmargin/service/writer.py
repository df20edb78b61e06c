"""The one writer: commands wait in a queue, are written and synced together, applied in order, and published.

Its thread first opens the engine: from the newest snapshot and the records after it, or with opening commands where
the folder is new. Until then, looking and asking raise `Starting`. Readers hold `lock` while they look at the engine,
which caches as it is read.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from time import perf_counter

import msgspec

from crossmargin.engine.commands import AdvanceTime, Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event, Refused, Repeated
from crossmargin.errors import CrossMarginError
from crossmargin.service.command_queue import Answer, Busy, CommandQueue, Waiting, tell
from crossmargin.service.compiling import compiling
from crossmargin.service.following import SNAPSHOT_EVERY
from crossmargin.service.measures import Measures, TimedJournal
from crossmargin.service.projector import Projector
from crossmargin.store.exclusive import hold_alone
from crossmargin.store.journal import Journal, UnwrittenError, open_journal
from crossmargin.store.runner import Runner
from crossmargin.store.snapshots import newest_snapshot_record

_LOG = logging.getLogger(__name__)

EVENTS_KEPT = 100_000
"""Events that are still told to a stream that resumes, and in lists; the journal has all."""


class Starting(Exception):  # noqa: N818  (a state, not a fault)
    """The engine is not open yet; ask again later."""


class Published(msgspec.Struct, frozen=True, gc=False):
    """An event with its place in the stream, the time at which the engine stood, and its command."""

    sequence: int
    time_ns: int
    command: Command
    event: Event

    @property
    def command_id(self) -> str:
        """What the command is named by."""
        return self.command.id


class Writer:
    """An engine behind its journal, in a folder that no other process may write.

    Parameters
    ----------
    folder
        Holds the journal and its snapshots.
    opening
        Gives the commands that a new folder begins with. One that was stopped among them goes on with the rest.
    background
        Return at once, and open the engine meanwhile.
    projector
        Is told how far the journal is, writes snapshots while it follows, and is closed with the writer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        opening: Callable[[], Sequence[Command]] | None = None,
        background: bool = False,
        projector: Projector | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        lease = folder / "writer.lease"
        file = os.open(lease, os.O_RDWR | os.O_CREAT, 0o600)
        self._lease = hold_alone(file, f"a folder must have one writer, another process holds {lease}")
        self.folder, self.projector = folder, projector
        self.lock = threading.RLock()
        self.measures = Measures()
        self.published: deque[Published] = deque(maxlen=EVENTS_KEPT)
        self.sequence = 0
        self._failure: Exception | None = None
        self._opened = threading.Event()
        self._journal: Journal | None = None
        self._runner: Runner | None = None
        self._listeners: list[Callable[[], None]] = []
        self.applied: list[Callable[[int], None]] = []
        """Are told the number of the last record, under `lock`, before anybody can learn what came of it."""
        self._waiting: list[Callable[[Engine], None]] = []
        self._since_snapshot = 0
        self.opening_progress: tuple[int, int] | None = None
        """While the engine opens: how many commands are applied, of how many; None until that is known."""
        self.compiling_progress: tuple[int, int] | None = None
        """While kernels are compiled for what opens: how many are, of about how many."""
        self._queue = CommandQueue()
        self._thread = threading.Thread(target=self._work, args=(opening,), name="writer", daemon=True)
        self._thread.start()
        if not background:
            self._opened.wait()
            if self.failure is not None:
                self.close()
                raise self.failure

    @property
    def failure(self) -> Exception | None:
        """What stopped the writer; no command is taken from then on."""
        return self._failure

    @property
    def is_ready(self) -> bool:
        """Whether the engine is open."""
        return self._runner is not None and self._opened.is_set()

    @property
    def waiting(self) -> int:
        """Commands in the queue."""
        return len(self._queue)

    @property
    def record(self) -> int:
        """Number of the journal's last record."""
        return 0 if self._journal is None else self._journal.head()[0]

    @property
    def engine(self) -> Engine:
        """The engine as it is now; to be read under `lock`.

        Raises
        ------
        Starting
            Until it is open.
        """
        if self._runner is None or not self._opened.is_set():
            raise Starting("the engine is being opened" if self.failure is None else str(self.failure))
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
            If the queue is full, or the writer has stopped.
        Starting
            Until the engine is open.
        """
        answer: Future[Answer] = Future()
        answer.set_running_or_notify_cancel()  # a command that waits cannot be called back
        self._take(command, answer)
        return answer

    def ask(self, command: Command) -> "asyncio.Future[Answer]":
        """Queue a command from an event loop, which is woken once for all the commands that were written together.

        Raises
        ------
        Busy, Starting
            As `submit` does.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._take(command, answer)
        return answer

    def _take(self, command: Command, answer: "Future[Answer] | asyncio.Future[Answer]") -> None:
        if self.failure is not None or not self._thread.is_alive():
            raise Busy(f"the writer has stopped, {self.failure}" if self.failure else "the writer has stopped")
        if not self._opened.is_set():
            raise Starting("the engine is being opened")
        self._queue.put(command, answer)
        if self._failure is not None:
            self._turn_away()  # it may have come after the writer had looked for the last time

    def when_open(self, look: Callable[[Engine], None]) -> None:
        """Call `look` with the engine, under `lock`: now where it is open, else as soon as it is and before any command."""
        with self.lock:
            if self.is_ready:
                look(self.engine)
            else:
                self._waiting.append(look)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` from the writer's thread after every batch."""
        self._listeners.append(listener)

    def ignore(self, listener: Callable[[], None]) -> None:
        """Stop calling `listener`."""
        self._listeners.remove(listener)

    def close(self) -> None:
        """Finish what waits, write a snapshot, and let go of the folder."""
        if self._thread.is_alive():
            self._queue.end()
            self._thread.join()
        if self.projector is not None:
            self.projector.close()
        if self._runner is not None and self.failure is None and self._since_snapshot and not self._is_saved():
            self._save_snapshot()
        if self._journal is not None:
            self._journal.close()
        os.close(self._lease)

    def _work(self, opening: Callable[[], Sequence[Command]] | None) -> None:
        try:
            self._open(opening)
        except Exception as error:
            # whoever waits for the engine must hear of it, whatever it is
            self._fail(error)
            self._opened.set()
            return
        self._run()

    def _open(self, opening: Callable[[], Sequence[Command]] | None) -> None:
        journal = open_journal(self.folder / "journal", write=True)
        self._journal = TimedJournal(journal, self.measures.journal_sync_seconds)
        runner = Runner(self._journal, self.folder / "snapshots", progress=self._tell_progress)
        # numbers of a later run are above those of an earlier one: no record has so many events
        self.sequence = self._journal.head()[0] << 16
        with compiling(self._tell_compiled):
            commands = () if opening is None else opening()
        # ids tell a folder whose opening was cut short from one that was begun in another way
        if commands and (runner.engine.state.sequence == 0 or runner.engine.has_applied(commands[0].id)):
            rest = [each for each in commands if not runner.engine.has_applied(each.id)]
            start = self._journal.head()[0]
            applied = runner.submit(rest, watch=lambda number, *_: self._tell_progress(number - start, len(rest)))
            for command, events in zip(rest, applied, strict=True):
                self._publish(command, runner.engine.state.time_ns, events)
                for event in events:
                    if isinstance(event, Refused):
                        _LOG.error("of the opening %s was refused: %s, %s", command.id, event.reason, event.detail)
            self._since_snapshot += len(rest)
        with contextlib.suppress(CrossMarginError):  # an account without a price has no figures yet
            for name in runner.engine.state.accounts:
                runner.engine.health(name)
        if self.projector is not None:
            self.projector.start(self._journal.head()[0])
        with self.lock:
            self._runner = runner
            for look in self._waiting:
                look(runner.engine)
            self._opened.set()
        if self._since_snapshot:
            self._save_snapshot()

    def _tell_compiled(self, done: int, of: int) -> None:
        self.compiling_progress = done, of

    def _tell_progress(self, done: int, of: int) -> None:
        self.opening_progress = done, of

    def _fail(self, error: Exception) -> None:
        self._failure = error
        _LOG.critical("the writer stopped: %s", error)
        for listener in tuple(self._listeners):
            listener()

    def _run(self) -> None:
        going = True
        while going:
            asked, going = self._queue.take()
            if asked:
                self._write(asked)
            if self.failure is not None:
                going = False
                self._turn_away()

    def _turn_away(self) -> None:
        """Answer what still waits after a failure: none of it was written."""
        tell([(each, Busy(f"the writer has stopped, {self.failure}")) for each in self._queue.take_all()])

    def _write(self, asked: list[Waiting]) -> None:
        try:
            with self.lock:
                commands = dated([each.command for each in asked], self.engine.state.time_ns)
                answers = self._submitted(commands)
                for command, events in zip(commands, answers, strict=True):
                    self._publish(command, self.engine.state.time_ns, events)
                for hear in self.applied:
                    hear(self.record)
        except Exception as error:
            # whoever waits must hear of it, whatever it is
            if not (isinstance(error, UnwrittenError) and error.is_whole):
                self._fail(error)
            tell([(each, error) for each in asked])
            return
        tell(list(zip(asked, answers, strict=True)))
        now = perf_counter()
        for each, events in zip(asked, answers, strict=True):
            self.measures.answered(each.command, events, now - each.since)
        for listener in tuple(self._listeners):
            listener()
        self._since_snapshot += len(asked)
        if self.projector is None and self._since_snapshot >= max(SNAPSHOT_EVERY, self.engine.state.sequence // 10):
            self._save_snapshot()  # else whoever follows does, and nobody waits for it

    def _submitted(self, commands: list[Command]) -> list[Answer]:
        runner = self._runner
        if runner is None or self._journal is None:
            raise Starting("the engine is being opened")
        answers = runner.submit(commands)
        if self.projector is not None:
            self.projector.follow(self._journal.head()[0])
        return answers

    def _is_saved(self) -> bool:
        """Whether whoever follows has written a snapshot of where the engine stands."""
        return newest_snapshot_record(self.folder / "snapshots") == self.record

    def _save_snapshot(self) -> None:
        if self._runner is None:
            return
        self._since_snapshot = 0
        try:
            self._runner.save_snapshot(self.lock)
        except OSError as error:
            # the journal has everything; only the next start takes longer
            _LOG.warning("a snapshot could not be written: %s", error)

    def _publish(self, command: Command, time_ns: int, events: tuple[Event, ...]) -> None:
        for event in events:
            if not isinstance(event, Refused | Repeated):
                self.sequence += 1
                self.published.append(Published(self.sequence, time_ns, command, event))


def dated(commands: Sequence[Command], now_ns: int) -> list[Command]:
    """Return commands with the engine's time at which each will be applied, so that their ids are not kept for ever.

    One that says itself when it was sent keeps that, unless it is still to come.

    Examples
    --------
    >>> from crossmargin.engine.commands import AdvanceTime, RunAudit
    >>> asked = [RunAudit(id="a"), AdvanceTime(id="b", time_ns=9), RunAudit(id="c"), RunAudit(id="d", sent_ns=5)]
    >>> [each.sent_ns for each in dated(asked, 7)]
    [7, 7, 9, 5]
    """
    found = []
    for command in commands:
        sent_ns = now_ns if command.sent_ns is None else min(command.sent_ns, now_ns)
        found.append(command if sent_ns == command.sent_ns else msgspec.structs.replace(command, sent_ns=sent_ns))
        if isinstance(command, AdvanceTime):
            now_ns = max(now_ns, command.time_ns)
    return found
