"""The thread that keeps the projection level with the journal."""

import logging
import threading
from pathlib import Path

import sqlalchemy as sql

from crossmargin.engine.engine import Engine
from crossmargin.service import projection
from crossmargin.service.projection_changes import Change, change
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import applied, engine_at

_LOG = logging.getLogger(__name__)
MOST_WAITING = 50_000
"""Changes kept for a database that is slow or down; more are dropped, and had from the journal later."""
LONGEST_TRANSACTION = 2_000
"""Changes written at once."""
GATHERING_S = 0.05
"""Changes are gathered this long before they are written together, unless somebody waits for them."""
PAUSE_S = 2.0
"""Before the next try while the database is down."""


class Projector:
    """Takes changes from the writer's thread without waiting, and writes them from its own."""

    def __init__(self, url: str, folder: Path) -> None:
        self.database = projection.open_database(url)
        self.failure: str | None = None
        """Why the database cannot be written; None while it can."""
        self._folder = folder
        self._waiting: list[Change] = []
        self._durable = 0
        self._written = 0
        self._awaited = 0
        self._stopping = False
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="projector", daemon=True)

    def start(self, record: int) -> None:
        """Begin; the journal is whole up to `record`, and every later change is offered."""
        self._durable = record
        self._thread.start()

    def offer(self, changes: list[Change], record: int) -> None:
        """Take changes without waiting; the journal is whole up to `record`."""
        with self._moved:
            self._durable = record
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.clear()
            self._waiting += changes
            self._moved.notify_all()

    def wait_for(self, record: int, timeout_s: float) -> bool:
        """Wait until the tables stand at `record`; tell whether they do."""
        with self._moved:
            self._awaited += 1
            self._moved.notify_all()
            try:
                return self._moved.wait_for(lambda: self._written >= record, timeout_s)
            finally:
                self._awaited -= 1

    @property
    def lag(self) -> int:
        """Records that the tables are behind the journal."""
        return max(0, self._durable - self._written)

    def close(self) -> None:
        """Write what waits, if the database answers, and stop."""
        with self._moved:
            self._stopping = True
            self._moved.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self.database.dispose()

    def _run(self) -> None:
        is_new = True
        while True:
            try:
                if is_new:
                    projection.migrate(self.database)
                    self._catch_up()
                    is_new = False
                if not self._follow():
                    return
            except sql.exc.SQLAlchemyError as error:
                is_new = True
                if self._is_told_to_stop_after(error):
                    return
            except Exception as error:
                # a fault of ours must not end the engine; the tables stop, and say so
                self.failure = str(error)
                _LOG.exception("the projection stopped")
                return

    def _is_told_to_stop_after(self, error: sql.exc.SQLAlchemyError) -> bool:
        if self.failure is None:
            _LOG.warning("the projection's database cannot be written: %s", error)
        self.failure = str(error).splitlines()[0]
        with self._moved:
            return self._moved.wait_for(lambda: self._stopping, PAUSE_S)

    def _follow(self) -> bool:
        """Write what waits; tell whether to go on."""
        with self._moved:
            self._moved.wait_for(lambda: self._waiting or self._stopping)
            self._moved.wait_for(lambda: self._awaited or self._stopping, GATHERING_S)
            batch = [each for each in self._waiting[:LONGEST_TRANSACTION] if each.record > self._written]
            del self._waiting[:LONGEST_TRANSACTION]
            if not batch and not self._waiting and self._stopping:
                return False
        before = (self._written, *(each.record for each in batch))
        if any(each.follows > known for each, known in zip(batch, before, strict=False)):
            self._catch_up()
        self._write([each for each in batch if each.record > self._written])
        return True

    def _write(self, batch: list[Change]) -> None:
        if not batch:
            return
        with self.database.begin() as connection:
            projection.write(connection, batch)
        self._tell(batch[-1].record)

    def _tell(self, record: int) -> None:
        self.failure = None
        with self._moved:
            self._written = record
            self._moved.notify_all()

    def _catch_up(self) -> None:
        """Write what the journal has beyond the tables, or all of it where they are of another journal."""
        with self.database.begin() as connection:
            record, history = projection.position(connection)
        until, journal, snapshots = self._durable, open_journal(self._folder / "journal"), self._folder / "snapshots"
        engine = Engine() if record > until else engine_at(journal, snapshots, record)
        if record > until or (record and engine.state.history != history):
            _LOG.warning("the projection is of another journal and is filled anew")
            with self.database.begin() as connection:
                projection.clear(connection)
            engine, record = Engine(), 0
        self._tell(record)
        batch: list[Change] = []
        for number, command, events in applied(engine, journal, record, until):
            batch.append(change(engine, number, record, command, events))
            record = number
            if len(batch) == LONGEST_TRANSACTION:
                self._write(batch)
                batch = []
        self._write(batch)
        self._tell(until)
