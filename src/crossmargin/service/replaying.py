"""The service as it stood after any record of its journal: from the nearest snapshot before, and the records between."""

import threading
from pathlib import Path

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery

from crossmargin.engine.engine import Engine
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.service import views
from crossmargin.service.views import Record
from crossmargin.service.writer import Writer
from crossmargin.store.journal import open_journal
from crossmargin.store.runner import applied, engine_at

ROWS = 500
"""Accounts told of one moment, those nearest to liquidation first."""


class Replay:
    """The engine at the moment asked for last, so that going on from there costs only what lies between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._held: tuple[int, Engine] | None = None

    def at(self, record: int, last: int) -> Record:
        """Return the overview and accounts after `record` of a journal that is whole up to `last`.

        Raises
        ------
        InputError
            If the journal has no such record.
        """
        if not 1 <= record <= last:
            raise InputError(f"a record must be 1 to {last}, was {record}")
        with self._lock:
            return {"first": 1, "last": last, "record": record, **_seen(self._engine(record), record)}

    def _engine(self, record: int) -> Engine:
        journal = open_journal(self._folder / "journal")
        held, self._held = self._held, None  # an engine that stops on its way is of no moment
        if held is None or held[0] > record:
            engine = engine_at(journal, self._folder / "snapshots", record)
        else:
            engine = held[1]
            for _ in applied(engine, journal, held[0], record):
                pass
        self._held = record, engine
        return engine


def _seen(engine: Engine, record: int) -> Record:
    rows, unpriced = [], 0
    for name, account in engine.state.accounts.items():
        try:
            rows.append(views.account_row(engine, name))
        except CrossMarginError:  # without a price it has no figures
            unpriced += account.state != "CLOSED"
    rows.sort(key=lambda row: (-_usage(row), str(row["account"])))
    return {
        "overview": None if unpriced else views.overview(engine, record),
        "time": views.wire_time(engine.state.time_ns),
        "unpriced": unpriced,
        "accounts": rows[:ROWS],
    }


def _usage(row: Record) -> float:
    usage = row["margin_usage"]
    return float("inf") if usage is None else float(usage)


@get("/replay", sync_to_thread=True)
def replay(state: State, record: FromQuery[int | None] = None) -> Record:
    """Return the service as it stood after a record of its journal, the last one if none is named."""
    writer: Writer = state.writer
    last = writer.record
    past: Replay = state.replay
    return past.at(last if record is None else record, last)
