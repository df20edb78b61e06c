"""Two journals with one meaning: a folder of segment files, or an SQLite database.

A record is on disk, synced, before its command is applied. `append` takes many records and syncs once. A file whose
last line was cut off by a crash holds a record that nobody was told of: opening for writing removes it; reading refuses
it. Two can never write: a folder is locked by who writes it, and a database takes no number twice.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from crossmargin.errors import CrossMarginError, InputError
from crossmargin.store.exclusive import hold_alone
from crossmargin.store.records import FORMAT, GENESIS, Payload, RecordError, SegmentStart, chained, decode, encode

SEGMENT_RECORDS = 100_000
"""Records in a segment before the next begins."""


class UnwrittenError(CrossMarginError):
    """Records did not reach the disk; where the journal `is_whole`, it is as it was before and can be asked again.

    Where it is not, whether they are on disk is known only after a restart, and nothing more may be appended.
    """

    def __init__(self, cause: Exception, *, is_whole: bool) -> None:
        super().__init__(f"a command must be on disk before it is applied, {cause}")
        self.is_whole = is_whole


class Journal(Protocol):
    """Where commands are kept."""

    def read(self) -> Iterator[tuple[int, Payload]]:
        """Yield every record with its number from 1, checked; `RecordError` at the first that cannot be believed."""

    def append(self, payloads: Iterable[Payload | bytes]) -> int:
        """Write records and sync them; return the number of the last. Bytes are those of a payload, as `encode` has them.

        Raises
        ------
        UnwrittenError
            If the disk did not take them, as when it is full.
        """

    def begin_segment(self) -> None:
        """Start a new segment, as after an upgrade."""

    def head(self) -> tuple[int, str]:
        """Return the number and the hash of the last record."""

    def close(self) -> None:
        """Let go of the files."""


def open_journal(path: Path, *, write: bool = False) -> Journal:
    """Return the journal at `path`: SQLite where the name ends in .sqlite or .db, else a folder of segments.

    Raises
    ------
    InputError
        If there is none to read.
    """
    if not write and not path.exists():
        raise InputError(f"a journal must exist, found none at {path}")
    if path.suffix in (".sqlite", ".db"):
        return SqliteJournal(path, write=write)
    if path.is_file():
        raise InputError(f"a journal is a folder of segments or an SQLite file, {path} is neither")
    return FileJournal(path, write=write)


def _start(number: int) -> SegmentStart:
    return SegmentStart(number=number, format=FORMAT, code=version("crossmargin"))


def segment_name(place: int) -> str:
    """Return the file's name of a segment; they count from 1."""
    return f"{place:06d}.journal"


class FileJournal:
    """A folder with one text file per segment: a hash and a payload per line."""

    def __init__(self, folder: Path, *, write: bool = False) -> None:
        self._folder = folder
        self._number, self._hash, self._in_segment = 0, GENESIS, 0
        self._file: int | None = None
        self._lock: int | None = None
        if write:
            folder.mkdir(parents=True, exist_ok=True)
            # before anything is cut: the tail may be another's record on its way
            rule = f"a journal must have one writer, another process holds {folder}"
            self._lock = hold_alone(os.open(folder, os.O_RDONLY), rule)
            try:
                self._cut_torn_tail()
                for _ in self.read():
                    pass
                self._open_last()
            except BaseException:
                self.close()
                raise

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.journal"))

    def read(self) -> Iterator[tuple[int, Payload]]:
        """Yield every record, checked."""
        number, previous = 0, GENESIS
        for place, segment in enumerate(self._segments(), start=1):
            self._in_segment = 0
            if segment.name != segment_name(place):
                raise RecordError(number + 1, f"segment {place:06d} is missing")
            with segment.open("rb") as lines:
                for line in lines:
                    number += 1
                    payload = _parse(number, previous, line)
                    previous = line[:64].decode()
                    first = self._in_segment == 0
                    if first != isinstance(payload, SegmentStart) or (
                        isinstance(payload, SegmentStart) and payload.number != place
                    ):
                        raise RecordError(number, f"a segment must begin with its own header, {segment.name} does not")
                    self._in_segment += 1
                    yield number, payload
        self._number, self._hash = number, previous

    def append(self, payloads: Iterable[Payload | bytes]) -> int:
        """Write records and sync them."""
        if self._in_segment >= SEGMENT_RECORDS:
            self.begin_segment()
        number, last, lines = self._number, self._hash, []
        for payload in payloads:
            body = payload if isinstance(payload, bytes) else encode(payload)
            number += 1
            last = chained(last, number, body)
            lines.append(b"%b %b\n" % (last.encode(), body))
        self._write(self._writable(), b"".join(lines))
        self._number, self._hash = number, last
        self._in_segment += len(lines)
        return number

    def _write(self, file: int, data: bytes) -> None:
        end = os.fstat(file).st_size
        try:
            _write_all(file, data)
        except OSError as error:
            # what was written of it must not stand before the next record
            try:
                os.ftruncate(file, end)
                os.fsync(file)
            except OSError as again:
                self.close()
                raise UnwrittenError(again, is_whole=False) from error
            raise UnwrittenError(error, is_whole=True) from error
        try:
            os.fsync(file)
        except OSError as error:
            # the system may have dropped the pages, so that a second sync would succeed without them
            self.close()
            raise UnwrittenError(error, is_whole=False) from error

    def begin_segment(self) -> None:
        """Start a new segment."""
        place = len(self._segments()) + 1
        path = self._folder / segment_name(place)
        previous, held = self._file, self._in_segment
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise UnwrittenError(error, is_whole=True) from error
        self._in_segment = 0
        try:
            self.append([_start(place)])
        except UnwrittenError as error:
            if error.is_whole:
                self.close()
                path.unlink()
                self._file, self._in_segment = previous, held
            raise
        if previous is not None:
            os.close(previous)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    def head(self) -> tuple[int, str]:
        """Return the number and the hash of the last record."""
        return self._number, self._hash

    def close(self) -> None:
        """Let go of the file and of the folder."""
        for held in (self._file, self._lock):
            if held is not None:
                os.close(held)
        self._file = self._lock = None

    def _writable(self) -> int:
        if self._file is None:
            raise InputError("a journal must be open for writing to be appended to")
        return self._file

    def _open_last(self) -> None:
        segments = self._segments()
        if not segments:
            self.begin_segment()
            return
        self._file = os.open(segments[-1], os.O_WRONLY | os.O_APPEND)

    def _cut_torn_tail(self) -> None:
        segments = self._segments()
        if not segments:
            return
        data = segments[-1].read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(segments[-1], whole)
        if whole == 0:
            segments[-1].unlink()  # a segment whose header never reached the disk


def _parse(number: int, previous: str, line: bytes) -> Payload:
    if not line.endswith(b"\n") or line[64:65] != b" ":
        raise RecordError(number, "it is torn")
    return decode(number, previous, line[:64].decode("ascii", errors="replace"), line[65:-1])


def _write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


class SqliteJournal:
    """One table of records in a database in WAL mode."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._number, self._hash = 0, GENESIS
        if write:
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS records"
                " (number INTEGER PRIMARY KEY, hash TEXT NOT NULL, body TEXT NOT NULL)"
            )
            for _ in self.read():
                pass
            if self._number == 0:
                self.append([_start(1)])

    def read(self) -> Iterator[tuple[int, Payload]]:
        """Yield every record, checked."""
        previous, number = GENESIS, 0
        try:
            rows = self._connection.execute("SELECT number, hash, body FROM records ORDER BY number")
            for expected, (found, claimed, body) in enumerate(rows, start=1):
                if found != expected:
                    raise RecordError(expected, "it is missing")
                payload = decode(expected, previous, claimed, str(body).encode())
                if expected == 1 and not isinstance(payload, SegmentStart):
                    raise RecordError(1, "a journal must begin with a segment's header")
                previous, number = claimed, expected
                yield expected, payload
        except sqlite3.DatabaseError as error:
            raise RecordError(number + 1, str(error)) from error
        self._number, self._hash = number, previous

    def append(self, payloads: Iterable[Payload | bytes]) -> int:
        """Write records in one transaction."""
        number, last, rows = self._number, self._hash, []
        for payload in payloads:
            body = payload if isinstance(payload, bytes) else encode(payload)
            number += 1
            last = chained(last, number, body)
            rows.append((number, last, body.decode()))
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany("INSERT INTO records VALUES (?, ?, ?)", rows)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.rollback()
            raise UnwrittenError(error, is_whole=True) from error
        self._number, self._hash = number, last
        return number

    def begin_segment(self) -> None:
        """Start a new segment: in a database, a header between records."""
        segments = self._connection.execute('SELECT count(*) FROM records WHERE body LIKE \'%"type":"segment"%\'')
        self.append([_start(int(segments.fetchone()[0]) + 1)])

    def head(self) -> tuple[int, str]:
        """Return the number and the hash of the last record."""
        return self._number, self._hash

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()
