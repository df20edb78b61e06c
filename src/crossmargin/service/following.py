"""What keeps the tables level with the journal, and writes snapshots: an engine of its own that follows the writer's.

It runs in a process of its own beside the service, or in a thread. It hears how far the journal is whole, applies the
records up to there, and writes what they change; whoever answers requests does none of this. It ends when it is told to,
or when the other end of its link is gone.
"""

import fcntl
import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import sqlalchemy as sql

from crossmargin.service import projection
from crossmargin.service.logs import open_logs, secrets_in
from crossmargin.service.processes.nursery import given
from crossmargin.service.projection_changes import Change, change
from crossmargin.store.replica import Replica
from crossmargin.store.snapshots import newest_snapshot_record

_LOG = logging.getLogger(__name__)
SNAPSHOT_EVERY = 10_000
"""Commands after which a snapshot is written, at least; a tenth of all commands where that is more."""
MOST_WAITING = 50_000
"""Changes kept for a database that is down; more are dropped, and had from the journal later."""
LONGEST_TRANSACTION = 2_000
"""Changes written at once."""
GATHERING_S = 0.05
"""Changes are gathered this long before they are written together, unless somebody waits for them."""
PAUSE_S = 2.0
"""Before the next try while the database is down."""
NICENESS = 5
"""Whoever answers requests goes before."""


class Begin(msgspec.Struct, frozen=True):
    """The first message to a follower: the tables' URL, which is nobody's business, the journal's folder, what to log."""

    url: str
    folder: str
    log_level: int


class Stand(msgspec.Struct, frozen=True):
    """The journal is whole up to `record`, and what it holds is applied; somebody may be waiting for the tables."""

    record: int
    is_awaited: bool = False
    is_last: bool = False


class Stood(msgspec.Struct, frozen=True):
    """The tables stand at `record`; `failure` says why they cannot be written, and `is_lost` that they never will."""

    record: int
    failure: str | None = None
    is_lost: bool = False


class OtherJournalError(Exception):
    """The tables are not of this journal."""


class Follower:
    """Follows the journal in a folder for as long as it is told how far.

    Parameters
    ----------
    link
        Gives `Stand`, and takes `Stood`.
    """

    def __init__(self, url: str, folder: Path, link: "Connection[bytes, bytes]") -> None:
        self._database = projection.open_database(url)
        self._folder, self._link = folder, link
        self._hung_up = select.poll()
        self._hung_up.register(link.fileno(), 0)  # for nothing but the end of the other end
        self._last = Stand(0)
        self._replica: Replica | None = None
        self._snapshot = newest_snapshot_record(folder / "snapshots")
        self._written = 0
        self._found = 0, ""
        """Where the tables stood when they were looked at: record, and hash of the commands until there."""
        self._waiting: list[Change] = []
        self._is_gathering = self._is_connected = False
        """Whether what waits begins where the tables end; whether the database answered last."""
        self._next_try = 0.0
        self._failure: str | None = None

    def run(self) -> None:
        """Follow until the last message, or until nobody is there to tell."""
        try:
            with closing(self._link), self._alone():
                while self._hear():
                    self._step()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return
        finally:
            self._database.dispose()

    def _hear(self) -> bool:
        """Wait until there is something to do; tell whether there will be any more."""
        if self._last.is_last:
            return False
        if not self._link.poll(None if self._failure is None else max(0.0, self._next_try - time.monotonic())):
            return True  # the database is due to be tried again
        self._last = msgspec.msgpack.decode(self._link.recv_bytes(), type=Stand)
        until = time.monotonic() + GATHERING_S
        while not (self._last.is_awaited or self._last.is_last):
            if not self._link.poll(max(0.0, until - time.monotonic())):
                break
            self._last = msgspec.msgpack.decode(self._link.recv_bytes(), type=Stand)
        return True

    def _step(self) -> None:
        try:
            if not self._is_connected and (time.monotonic() >= self._next_try or self._last.is_last):
                self._connect()
            try:
                self._advance()
            except OtherJournalError:
                self._begin_anew()
                self._advance()
        except EOFError:
            raise
        except Exception as error:
            # a fault of ours must not end the engine; the tables stop, and say so
            _LOG.exception("the projection stopped")
            self._tell(Stood(self._written, str(error), is_lost=True))
            raise EOFError from error
        self._save_snapshot()
        self._tell(Stood(self._level, self._failure))

    @property
    def _level(self) -> int:
        """The record at which the tables stand; not every record changes them."""
        is_level = self._is_connected and not self._waiting and self._replica is not None
        return self._replica.record if is_level and self._replica is not None else self._written

    def _tell(self, stood: Stood) -> None:
        self._link.send_bytes(msgspec.msgpack.encode(stood))

    def _connect(self) -> None:
        """Look where the tables stand, and follow from there."""
        try:
            projection.migrate(self._database)
            with self._database.begin() as connection:
                record, history = projection.position(connection)
        except (sql.exc.SQLAlchemyError, projection.UnknownFormError) as error:
            self._disconnect(error)
            return
        self._is_connected, self._failure, self._found = True, None, (record, history)
        known = {self._written, *(each.record for each in self._waiting)}
        if self._is_gathering and record in known:
            self._waiting = [each for each in self._waiting if each.record > record]
        else:
            self._waiting, self._is_gathering = [], True
            self._replica = Replica(self._folder, min(record, self._last.record))
        self._written = record

    def _disconnect(self, error: sql.exc.SQLAlchemyError | projection.UnknownFormError) -> None:
        if self._failure is None:
            _LOG.warning("the projection's database cannot be written: %s", error)
        self._failure = str(error).splitlines()[0]
        self._is_connected, self._next_try = False, time.monotonic() + PAUSE_S

    def _advance(self) -> None:
        """Apply what the journal has, and write what it changes."""
        if self._replica is None:  # the database has never answered, and snapshots are due all the same
            self._replica = Replica(self._folder, self._last.record)
        engine = self._replica.engine
        self._require_same(self._replica.record, engine.state.history)
        for number, command, events in self._replica.follow(self._last.record):
            if number <= self._found[0]:
                self._require_same(number, engine.state.history)
            elif self._is_gathering:
                self._waiting.append(change(engine, number, command, events))
                if len(self._waiting) >= LONGEST_TRANSACTION:
                    self._write()
        if self._is_connected and self._replica.record < self._found[0]:
            raise OtherJournalError
        self._write()

    def _require_same(self, record: int, history: str) -> None:
        if self._is_gathering and record and record == self._found[0] and history != self._found[1]:
            raise OtherJournalError

    def _begin_anew(self) -> None:
        _LOG.warning("the projection is of another journal and is filled anew")
        self._replica, self._waiting, self._written, self._found = Replica(self._folder, 0), [], 0, (0, "")
        try:
            with self._database.begin() as connection:
                projection.clear(connection)
        except sql.exc.SQLAlchemyError as error:
            self._is_gathering = False
            self._disconnect(error)

    def _write(self) -> None:
        """Write what waits, if the database answers."""
        while self._is_connected and self._waiting:
            batch = self._waiting[:LONGEST_TRANSACTION]
            try:
                with self._database.begin() as connection:
                    projection.write(connection, batch)
            except sql.exc.SQLAlchemyError as error:
                self._disconnect(error)
                break
            self._written = batch[-1].record
            del self._waiting[:LONGEST_TRANSACTION]
            self._require_service()
        if len(self._waiting) > MOST_WAITING:
            self._waiting, self._is_gathering = [], False

    def _save_snapshot(self) -> None:
        replica = self._replica
        if replica is None:
            return
        since = replica.record - self._snapshot
        if since >= max(SNAPSHOT_EVERY, replica.engine.state.sequence // 10) or (self._last.is_last and since > 0):
            self._snapshot = replica.record
            try:
                replica.save_snapshot()
            except OSError as error:
                # the journal has everything; only the next start takes longer
                _LOG.warning("a snapshot could not be written: %s", error)

    def _require_service(self) -> None:
        """Raise EOFError where nobody is at the other end any more, whatever may still wait to be heard."""
        if self._hung_up.poll(0):
            raise EOFError

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Wait for a follower whose service was killed: it may still be writing to the same tables."""
        with (self._folder / "projector.lease").open("ab") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    self._require_service()
                    time.sleep(GATHERING_S)
            yield


def main(_: str, descriptors: Sequence[int]) -> None:
    """Follow in a process of its own, over the link that is the only descriptor."""
    for each in (signal.SIGINT, signal.SIGTERM):
        # meant for the service, which tells us when all that it took is on disk
        signal.signal(each, signal.SIG_IGN)
    link: Connection[bytes, bytes] = Connection(descriptors[0])
    begin = msgspec.msgpack.decode(link.recv_bytes(), type=Begin)
    open_logs(sys.stderr, known=secrets_in(begin.url), level=begin.log_level)
    os.nice(NICENESS)
    gc.freeze()
    Follower(begin.url, Path(begin.folder), link).run()


if __name__ == "__main__":
    main(*given())
