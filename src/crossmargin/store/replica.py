"""A second engine that follows a journal which another process writes, record by record, and never ahead of it."""

from collections.abc import Iterator
from pathlib import Path

from crossmargin.engine.commands import Command
from crossmargin.engine.engine import Engine
from crossmargin.engine.events import Event
from crossmargin.store.journal import segment_name
from crossmargin.store.records import GENESIS, Asked, Payload, Poisoned, RecordError, decode
from crossmargin.store.snapshots import Standing, newest_snapshot, snapshot_of, write_snapshot


class Tail:
    """Reads a journal's folder on from where it stopped.

    Nothing beyond the record that is asked for is looked at: it may be half written, and may be taken back.

    Parameters
    ----------
    after, after_hash
        Number and hash of the record after which it begins.
    """

    def __init__(self, journal: Path, after: int = 0, after_hash: str = GENESIS) -> None:
        self.number, self.hash = 0, GENESIS
        self._journal, self._segment, self._offset = journal, 1, 0
        for line in self._lines(after):
            self.hash = line[:64].decode("ascii", errors="replace")
        if self.hash != after_hash:
            raise RecordError(after, "it is not the one that a snapshot was taken after")

    def read(self, until: int) -> list[tuple[int, Payload]]:
        """Return the records beyond the last that was read, up to record `until`.

        Raises
        ------
        RecordError
            At the first that cannot be believed.
        """
        found = []
        for line in self._lines(until):
            claimed = line[:64].decode("ascii", errors="replace")
            found.append((self.number, decode(self.number, self.hash, claimed, line[65:-1])))
            self.hash = claimed
        return found

    def _lines(self, until: int) -> Iterator[bytes]:
        while self.number < until:
            path = self._journal / segment_name(self._segment)
            if not path.exists():
                raise RecordError(self.number + 1, f"segment {path.stem} is missing")
            # opened anew each time: what was read ahead of `until` may no longer stand there
            with path.open("rb") as lines:
                lines.seek(self._offset)
                while self.number < until and (line := lines.readline()):
                    if not line.endswith(b"\n") or line[64:65] != b" ":
                        raise RecordError(self.number + 1, "it is torn")
                    self.number += 1
                    self._offset += len(line)
                    yield line
            if self.number < until:
                self._segment, self._offset = self._segment + 1, 0


class Replica:
    """An engine that follows the journal in `folder`, from the newest snapshot that is not later than `record`."""

    def __init__(self, folder: Path, record: int) -> None:
        self._snapshots = folder / "snapshots"
        found = newest_snapshot(self._snapshots, record)
        self.engine: Engine = found.engine
        self._tail = Tail(folder / "journal", found.record, found.record_hash)

    @property
    def record(self) -> int:
        """The last record that was read."""
        return self._tail.number

    def follow(self, until: int) -> Iterator[tuple[int, Command, tuple[Event, ...]]]:
        """Apply the records up to `until`; each command is told right after, with its record's number and its events.

        What is left of it when the caller stops asking is lost, and with it the replica. The writer must have applied
        record `until`: a command that raises is known by the record that says so, which comes after it.
        """
        records = self._tail.read(until)
        poisoned = {payload.record for _, payload in records if isinstance(payload, Poisoned)}
        for number, payload in records:
            if isinstance(payload, Asked):
                # a poisoned command halts where it stood: what stood behind it in its batch met a halted engine
                events = (
                    self.engine.poison(payload.command.id) if number in poisoned else self.engine.apply(payload.command)
                )
                yield number, payload.command, events

    def save_snapshot(self) -> Path:
        """Write a snapshot of the engine as it stands."""
        return write_snapshot(snapshot_of(Standing(self.engine, self._tail.number, self._tail.hash)), self._snapshots)
