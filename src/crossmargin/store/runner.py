"""Run an engine from a journal: write first, then apply; recover from the last snapshot and the records after it.

A command that raises is recorded as poisoned. The engine that raised is thrown away and built anew without it, halted
until an operator resumes; so it is after every later start, until the operator's command stands in the journal.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from crossmargin.engine.commands import Command, encoded
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event
from crossmargin.errors import InputError
from crossmargin.store.journal import Journal
from crossmargin.store.records import Asked, Payload, Poisoned, RecordError, asked
from crossmargin.store.snapshots import Standing, newest_snapshot, snapshot_of, write_snapshot

Watch = Callable[[int, tuple[Event, ...]], None]
Observer = Callable[[int, Command, tuple[Event, ...]], None]
Progress = Callable[[int, int], None]
"""Told of the record that was just applied, and of the last one."""


@dataclass(slots=True)
class Replayed:
    """What a replay gave."""

    engine: Engine
    commands: int = 0
    events: int = 0


def replay(journal: Journal, watch: Watch | None = None) -> Replayed:
    """Apply every command of a journal to an empty engine.

    Raises
    ------
    RecordError
        At the first record that cannot be believed, or whose command raises; nothing is applied after it.
    """
    try:
        return _apply_all(Engine(), list(journal.read()), after=0, watch=watch)
    except _CommandRaised as found:
        raise RecordError(found.number, f"its command raised {found.cause!r}") from found


class _CommandRaised(Exception):  # noqa: N818  (it carries a finding, and never leaves this module)
    """A command raised while a journal was applied."""

    def __init__(self, number: int, command: Command, cause: Exception) -> None:
        super().__init__(f"record {number}: {cause}")
        self.number, self.command, self.cause = number, command, cause


def _apply_all(engine: Engine, records: Sequence[tuple[int, Payload]], *, after: int, watch: Watch | None) -> Replayed:
    poisoned = {payload.record for _, payload in records if isinstance(payload, Poisoned)}
    result = Replayed(engine)
    for number, payload in records:
        if number <= after or not isinstance(payload, Asked):
            continue
        result.commands += 1
        events = _apply(engine, number, payload.command, poisoned=number in poisoned)
        result.events += len(events)
        if watch is not None:
            watch(number, events)
    return result


def _apply(engine: Engine, number: int, command: Command, *, poisoned: bool) -> tuple[Event, ...]:
    if poisoned:
        # here, not where the poison was recorded: what stood behind it in its batch met a halted engine
        return engine.poison(command.id)
    try:
        return engine.apply(command)
    except Exception as error:
        raise _CommandRaised(number, command, error) from error


def engine_at(journal: Journal, snapshots: Path, record: int) -> Engine:
    """Return the engine as it stood after a record, from the newest snapshot before it and the records between."""
    found = newest_snapshot(snapshots, record)
    for _ in applied(found.engine, journal, found.record, record):
        pass
    return found.engine


def applied(
    engine: Engine, journal: Journal, after: int, until: int
) -> Iterator[tuple[int, Command, tuple[Event, ...]]]:
    """Apply the records beyond `after`, and no further than `until`, to an engine that stands at `after`.

    The journal may be growing meanwhile: nothing beyond `until` is looked at. Each command is told right after it was
    applied, with its record's number and its events.
    """
    if until <= after:
        return
    records = []
    for number, payload in journal.read():
        records.append((number, payload))
        if number == until:
            break
    poisoned = {payload.record for _, payload in records if isinstance(payload, Poisoned)}
    for number, payload in records:
        if number > after and isinstance(payload, Asked):
            yield number, payload.command, _apply(engine, number, payload.command, poisoned=number in poisoned)


class Runner:
    """An engine whose commands are on disk before they are applied; `progress` is told how far its recovery has come."""

    def __init__(self, journal: Journal, snapshots: Path | None = None, progress: Progress | None = None) -> None:
        self._journal, self._snapshots = journal, snapshots
        self._progress = progress
        self.engine = self._recovered()

    def submit(self, commands: Sequence[Command], watch: Observer | None = None) -> list[tuple[Event, ...]]:
        """Write commands with one sync, apply them in order, and return the events of each.

        Once this returns they are acknowledged: no crash loses them. `watch` is called right after each.
        """
        texts = [encoded(command) for command in commands]
        last = self._journal.append([asked(text) for text in texts])
        results = []
        for number, (command, text) in enumerate(zip(commands, texts, strict=True), start=last - len(commands) + 1):
            try:
                results.append(self.engine.apply(command, text))
            except Exception as error:
                results.append(self._poison(number, command, error))
            if watch is not None:
                watch(number, command, results[-1])
        return results

    def save_snapshot(self, lock: AbstractContextManager[object] | None = None) -> Path:
        """Write the engine's snapshot beside the journal, under the number of the last record; keep the newest few.

        `lock` is held while the engine is looked at, not while the file is written.
        """
        if self._snapshots is None:
            raise InputError("a runner needs a folder to save snapshots in")
        with lock or nullcontext():
            saved = snapshot_of(Standing(self.engine, *self._journal.head()))
        return write_snapshot(saved, self._snapshots)

    def _poison(self, number: int, command: Command, error: Exception) -> tuple[Event, ...]:
        self._record_poison(number, command, error)
        self.engine = self._recovered(before=number)
        return self.engine.poison(command.id)

    def _record_poison(self, number: int, command: Command, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        self._journal.append([Poisoned(record=number, command=command.id, error=text)])

    def _recovered(self, before: int | None = None) -> Engine:
        """Return the engine after all records, or after those before one that raised."""
        while True:
            records = list(self._journal.read())
            wanted = [(number, item) for number, item in records if before is None or number < before]
            wanted += [(number, item) for number, item in records if isinstance(item, Poisoned) and before is not None]
            last = records[-1][0] if before is None else before - 1
            held = newest_snapshot(self._snapshots, last)
            tell = self._progress
            watch = None if tell is None else lambda number, _, last=last, tell=tell: tell(number, last)
            try:
                return _apply_all(held.engine, wanted, after=held.record, watch=watch).engine
            except _CommandRaised as found:
                # the crash came before the poison was on disk
                self._record_poison(found.number, found.command, found.cause)
