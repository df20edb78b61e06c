"""The log of who did what: each entry holds the hash of the one before, so that none can be changed unseen.

Whoever can write the file can cut off its end, or write all of it anew: `verified` returns the head, to be kept
somewhere else and compared.
"""

import contextlib
import hashlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from crossmargin.errors import InputError

GENESIS = "0" * 64
LOOKED_AT = 1_000
"""Newest entries that a start looks at: some ms, where all of a million take seconds."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for what, from where, and what was decided; never a secret, nor a body but by its hash."""

    sequence: int
    time_ns: int
    who: str
    via: str
    address: str
    action: str
    detail: str
    decision: str
    before: str


class BrokenChainError(InputError):
    """The log is not as it was written."""


def entry_hash(entry: Entry) -> str:
    """Return the SHA-256 of the entry in canonical JSON: its fields in order, without white space."""
    return hashlib.sha256(msgspec.json.encode(entry)).hexdigest()


def _follows(entry: Entry, before: str) -> bool:
    return entry.before == before


def _checked(database: sqlite3.Connection, *, last: int = 0, before: str = GENESIS) -> Iterator[Entry]:
    """Yield the entries behind that of sequence `last`, whose hash is `before`, each checked."""
    expected = last + 1
    for sequence, held, stated in database.execute(
        "SELECT sequence, entry, hash FROM audit WHERE sequence > ? ORDER BY sequence", (last,)
    ):
        try:
            entry = msgspec.json.decode(held, type=Entry)
        except (msgspec.MsgspecError, TypeError) as error:
            raise BrokenChainError(f"an entry must be readable, {sequence} is not") from error
        # the bytes, not only what is read of them: nothing may be hidden in a field that is not ours
        whole = held == msgspec.json.encode(entry) and stated == entry_hash(entry)
        if not whole or not _follows(entry, before) or not sequence == entry.sequence == expected:
            raise BrokenChainError(f"an entry must hold the hash of the one before, {sequence} does not")
        before, expected = stated, expected + 1
        yield entry


def require_log(folder: Path) -> None:
    """Refuse a copy of a service's folder that has a log which is not as it was written; nothing may write to the copy.

    Raises
    ------
    BrokenChainError
        If an entry cannot be believed, or the log not be read.
    """
    path = folder / "access.sqlite"
    if not path.exists():  # a service that is open keeps none
        return
    # a reader's connection would make files beside it, and bring triggers back that somebody took away
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)) as database:
            for _ in _checked(database):
                pass
    except (BrokenChainError, sqlite3.DatabaseError) as error:
        raise BrokenChainError(f"the log of who did what must be as it was written, {path}: {error}") from error


def entries_in(folder: Path) -> int | None:
    """Return how many entries the log of a service's folder has, every one checked; None where there is no log.

    The service may write on meanwhile, and nothing is changed.

    Raises
    ------
    BrokenChainError
        If an entry cannot be believed, or the log not be read.
    """
    path = folder / "access.sqlite"
    if not path.exists():
        return None
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            return sum(1 for _ in _checked(database))
    except sqlite3.DatabaseError as error:
        raise BrokenChainError(f"the log of who did what must be readable, {path}: {error}") from error


class AuditLog:
    """Entries in an SQLite database, appended only."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._path = path
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        # the journal of commands is what must outlive a loss of power; this must outlive a death of the process
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA busy_timeout = 5000")
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS audit (sequence INTEGER PRIMARY KEY, entry BLOB NOT NULL, hash TEXT NOT NULL)"
        )
        for change in ("UPDATE", "DELETE"):
            self._database.execute(
                f"CREATE TRIGGER IF NOT EXISTS audit_{change} BEFORE {change} ON audit"
                " BEGIN SELECT RAISE(ABORT, 'the audit log is appended only'); END"
            )

    def append(
        self, *, time_ns: int, who: str, via: str, address: str, action: str, detail: str = "", decision: str
    ) -> None:
        """Write an entry; other processes may write too."""
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                row = self._database.execute(
                    "SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1"
                ).fetchone()
                last, before = row or (0, GENESIS)
                entry = Entry(sequence=last + 1, time_ns=time_ns, who=who, via=via, address=address, action=action,
                              detail=detail, decision=decision, before=before)  # fmt: skip
                self._database.execute(
                    "INSERT INTO audit VALUES (?, ?, ?)", (last + 1, msgspec.json.encode(entry), entry_hash(entry))
                )
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise

    def entries(self) -> Iterator[Entry]:
        """Return every entry, checked as it comes.

        Raises
        ------
        BrokenChainError
            At the first that cannot be believed.
        """
        return _checked(self._database)

    def newest(
        self, limit: int, *, before: int | None = None, who: str | None = None, action: str | None = None
    ) -> list[Entry]:
        """Return entries as they stand, the newest first and at most `limit`; `verified` says whether they can be believed.

        Parameters
        ----------
        before
            Only entries of lower sequences.
        who
            Only what this owner asked for, name for name.
        action
            Only entries whose action or decision holds this text, whatever its case.
        """
        # a connection of its own: to read far back keeps nobody from writing
        with contextlib.closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT entry FROM audit WHERE (:before IS NULL OR sequence < :before)"
                " AND (:who IS NULL OR json_extract(CAST(entry AS TEXT), '$.who') = :who)"
                " AND (:action IS NULL OR instr(lower(json_extract(CAST(entry AS TEXT), '$.action') || ' '"
                " || json_extract(CAST(entry AS TEXT), '$.decision')), lower(:action)) > 0)"
                " ORDER BY sequence DESC LIMIT :limit",
                {"before": before, "who": who, "action": action, "limit": limit},
            ).fetchall()
        return [msgspec.json.decode(held, type=Entry) for (held,) in rows]

    def verified(self) -> tuple[int, str]:
        """Return the count of entries and the hash of the last, every one checked."""
        count, head = 0, GENESIS
        for entry in self.entries():
            count, head = entry.sequence, entry_hash(entry)
        return count, head

    def finding(self, newest: int = LOOKED_AT) -> str | None:
        """Return what is wrong with the `newest` entries, None where they are as they were written.

        An older one that was altered stays unseen here: `verified` looks at all.
        """
        try:
            (count,) = self._database.execute("SELECT coalesce(max(sequence), 0) FROM audit").fetchone()
            first = self._database.execute(
                "SELECT sequence, hash FROM audit WHERE sequence <= ? ORDER BY sequence DESC LIMIT 1", (count - newest,)
            ).fetchone()
            last, before = first or (0, GENESIS)
            for _ in _checked(self._database, last=last, before=before):
                pass
        except (BrokenChainError, sqlite3.DatabaseError) as error:
            return f"the log of who did what is not as it was written: {error}"
        return None

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
