"""Tables in SQLite or PostgreSQL that follow the journal: a projector fills them, and lists are read from them.

Commands never wait for the database. While it is down they go on, lists are refused, and the projector tries again;
what it missed it gets by replaying the journal from where the tables stand, which is written with every change in the
same transaction.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sql
from sqlalchemy.engine.interfaces import DBAPIConnection

from crossmargin.engine.events import Drawn, Event
from crossmargin.errors import CrossMarginError, InputError
from crossmargin.service.projection_changes import MINUTE_NS, PLACES_A_RECORD, Change, Row
from crossmargin.service.projection_tables import (
    ACCOUNTS,
    BALANCES,
    HAPPENED,
    LIQUIDATIONS,
    METADATA,
    POSITION,
    POSITIONS,
    REQUIREMENTS,
    WATERFALL,
)

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
CONNECT_TIMEOUT_S = 5
STARTED = "LiquidationStarted"
RANGES_ASKED_TOGETHER = 100
"""Of places; SQLite takes no condition of 1,000 parts."""
ROWS_AT_ONCE = 1_000
"""Of a question whose answer has no bound."""


_EVENTS: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
"""Made once: of so many kinds it takes longer to make than to use."""


class DatabaseDownError(CrossMarginError):
    """The database of the projection does not answer; the engine does."""


class UnknownFormError(CrossMarginError):
    """The tables were brought to a form that this version of the code does not know."""


def open_database(url: str) -> sql.Engine:
    """Return the database at `url`; connects to nothing yet.

    Raises
    ------
    InputError
        If it is no URL of SQLite or PostgreSQL.
    """
    try:
        parsed = sql.make_url(url)
    except (sql.exc.ArgumentError, ValueError):
        # nothing of it is told: a part that is out of its place may be the password
        raise InputError("a database must be a URL like postgresql://user@host/name, it cannot be read") from None
    if parsed.get_backend_name() == "postgresql":
        options = {"connect_timeout": CONNECT_TIMEOUT_S}
        parsed = parsed.set(drivername="postgresql+psycopg")
        database = sql.create_engine(parsed, connect_args=options, pool_pre_ping=True)
        sql.event.listen(database, "connect", _wait_for_no_disk)
        return database
    if parsed.get_backend_name() != "sqlite":
        raise InputError(f"a database must be SQLite or PostgreSQL, was {parsed.get_backend_name()}")
    database = sql.create_engine(parsed)
    sql.event.listen(database, "connect", _use_wal)
    sql.event.listen(database, "begin", _begin)
    return database


def _begin(connection: sql.Connection) -> None:
    # the driver would begin before rows are changed, but not before tables are: a kill would leave half a migration
    connection.exec_driver_sql("BEGIN")


def _wait_for_no_disk(connection: DBAPIConnection, _: object) -> None:
    # a crash of the database may lose the last rows, and with them the position: the projector writes them again
    connection.cursor().execute("SET SESSION synchronous_commit TO off")
    connection.commit()


def _use_wal(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    # a crash of the machine may lose the last rows likewise
    connection.execute("PRAGMA synchronous=NORMAL")


def migrate(database: sql.Engine) -> None:
    """Bring the tables to the form that this code reads.

    Raises
    ------
    UnknownFormError
        If a newer version has brought them to one of its own; they are left as they are.
    """
    with database.connect() as connection:
        if _is_newest(connection):
            return
    from alembic import command as alembic  # slow to load, and only tables of an older form need it
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with database.begin() as connection:
        _require_known(connection, config)
        config.attributes["connection"] = connection
        alembic.upgrade(config, "head")


def _is_newest(connection: sql.Connection) -> bool:
    """Whether the tables have the form of the last migration; each migration's file begins with its revision."""
    if not sql.inspect(connection).has_table("alembic_version"):
        return False
    newest = max(each.name.partition("_")[0] for each in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalars().all() == [newest]


def _require_known(connection: sql.Connection, config: "Config") -> None:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    known = {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
    unknown = set(MigrationContext.configure(connection).get_current_heads()) - known
    if unknown:
        raise UnknownFormError(
            f"tables must be of a form that this version knows, they are of revision {', '.join(sorted(unknown))}:"
            " start the version that made them, or drop them, and they are filled anew"
        )


def position(connection: sql.Connection) -> tuple[int, str]:
    """Return the record up to which the tables stand, and the hash of the commands until there."""
    found = connection.execute(sql.select(POSITION.c.record, POSITION.c.history)).first()
    return (0, "") if found is None else (int(found.record), str(found.history))


def clear(connection: sql.Connection) -> None:
    """Empty all tables, to be filled from the beginning."""
    for table in METADATA.sorted_tables:
        connection.execute(sql.delete(table))


def write(connection: sql.Connection, changes: Iterable[Change]) -> None:
    """Write consecutive changes, and the position after the last; the caller commits both at once."""
    happened: dict[str, list[Row]] = {}
    accounts: dict[str, Row] = {}
    requirements: dict[tuple[str, int], Row] = {}
    balances: dict[str, tuple[Row, ...]] = {}
    positions: dict[str, tuple[Row, ...]] = {}
    last: Change | None = None
    for last in changes:
        for table, row in last.happened:
            happened.setdefault(table, []).append(row)
        accounts |= {row["account"]: row for row in last.accounts}
        requirements |= {(row["account"], row["minute_ns"]): row for row in last.requirements}
        balances |= last.balances
        positions |= last.positions
    if last is None:
        return
    for name, rows in happened.items():
        connection.execute(sql.insert(METADATA.tables[name]), rows)
    _upsert(connection, ACCOUNTS, list(accounts.values()))
    _upsert(connection, REQUIREMENTS, list(requirements.values()))
    _replace(connection, BALANCES, balances)
    _replace(connection, POSITIONS, positions)
    connection.execute(sql.delete(POSITION))
    connection.execute(sql.insert(POSITION), {"record": last.record, "history": last.history})


def _upsert(connection: sql.Connection, table: sql.Table, rows: list[Row]) -> None:
    if not rows:
        return
    insert: Any = _inserting(connection)(table)
    keys = [column.name for column in table.primary_key]
    new = {column.name: insert.excluded[column.name] for column in table.columns if column.name not in keys}
    connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=new), rows)


def _inserting(connection: sql.Connection) -> Any:  # noqa: ANN401
    # the one in use was loaded when the database was opened; the other would be loaded for nothing
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert
    from sqlalchemy.dialects import sqlite

    return sqlite.insert


def _replace(connection: sql.Connection, table: sql.Table, held: dict[str, tuple[Row, ...]]) -> None:
    if not held:
        return
    gone = sql.delete(table).where(table.c.account == sql.bindparam("whose"))
    connection.execute(gone, [{"whose": name} for name in held])
    rows = [row for each in held.values() for row in each]
    if rows:
        connection.execute(sql.insert(table), rows)


def listed(database: sql.Engine, what: str, limit: int, before: int | None) -> list[Row]:
    """Return the newest rows of a list of the API, at most `limit`, of places below `before`."""
    table = HAPPENED[what][0]
    question = sql.select(table).order_by(table.c.place.desc()).limit(limit)
    return _rows(database, question if before is None else question.where(table.c.place < before))


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as the tables hold it; its place stands for its sequence."""

    sequence: int
    time_ns: int
    command_id: str
    event: Event


def liquidated(database: sql.Engine, limit: int, before: int | None) -> list[Happened]:
    """Return all of the newest liquidations, at most `limit` that began at places below `before`, the oldest first."""
    rows: list[Row] = []
    with answering(), database.connect() as connection:
        # every question sees the tables as they stand at this record, though a follower adds rows between two
        end = (position(connection)[0] + 1) * PLACES_A_RECORD
        begun = connection.execute(_begun(limit, end if before is None else min(before, end), end)).all()
        for first in range(0, len(begun), RANGES_ASKED_TOGETHER):
            asked = begun[first : first + RANGES_ASKED_TOGETHER]
            for table in (LIQUIDATIONS, WATERFALL):
                of_one = (
                    sql.and_(table.c.account == account, table.c.place >= place, table.c.place < until)
                    for account, place, until in asked
                )
                rows += map(dict, connection.execute(sql.select(table).where(sql.or_(*of_one))).mappings())
    return _happened(rows)


def _begun(limit: int, before: int, end: int) -> sql.Select[str, int, int]:
    """Ask for account, start and end of liquidations, the newest first; one ends where the account's next begins."""
    start, later = LIQUIDATIONS.alias("start"), LIQUIDATIONS.alias("later")
    next_start = (
        sql.select(later.c.place)
        .where(later.c.account == start.c.account, later.c.kind == STARTED)
        .where(later.c.place > start.c.place, later.c.place < end)
        .order_by(later.c.place)
        .limit(1)
        .scalar_subquery()
    )
    return (
        sql.select(start.c.account, start.c.place, sql.func.coalesce(next_start, end))
        .where(start.c.kind == STARTED, start.c.place < before)
        .order_by(start.c.place.desc())
        .limit(limit)
    )


def drawn(database: sql.Engine, layer: str, limit: int, before: int | None) -> list[Happened]:
    """Return the newest of what a layer of the waterfall paid, at most `limit` at places below `before`, the oldest first."""
    # within a text of JSON a quotation mark has a backslash before it: no name of an account can read like this
    of_layer = WATERFALL.c.body.contains(f'"layer":{msgspec.json.encode(layer).decode()}', autoescape=True)
    question = sql.select(WATERFALL).where(WATERFALL.c.kind == "Drawn", of_layer)
    question = question.order_by(WATERFALL.c.place.desc()).limit(limit)
    return _happened(_rows(database, question if before is None else question.where(WATERFALL.c.place < before)))


def drawn_after(database: sql.Engine, place: int) -> Iterator[tuple[int, Drawn]]:
    """Yield what the waterfall paid at places above `place`, the oldest first."""
    question = sql.select(WATERFALL.c.place, WATERFALL.c.body).order_by(WATERFALL.c.place)
    question = question.where(WATERFALL.c.kind == "Drawn", WATERFALL.c.place > place)
    with answering(), database.connect().execution_options(yield_per=ROWS_AT_ONCE) as connection:
        for at, body in connection.execute(question):
            event = _EVENTS.decode(body)
            if isinstance(event, Drawn):
                yield at, event


def _happened(rows: Iterable[Row]) -> list[Happened]:
    return [
        Happened(row["place"], row["time_ns"], row["command"], _EVENTS.decode(row["body"]))
        for row in sorted(rows, key=lambda each: each["place"])
    ]


def history(database: sql.Engine, account: str, since_ns: int, until_ns: int) -> list[Row]:
    """Return an account's figures over time, the oldest first."""
    # the minutes are in the key: without them all that the account ever had would be read
    minutes = REQUIREMENTS.c.minute_ns.between(since_ns - since_ns % MINUTE_NS, until_ns)
    question = (
        sql.select(REQUIREMENTS)
        .where(REQUIREMENTS.c.account == account, minutes, REQUIREMENTS.c.time_ns.between(since_ns, until_ns))
        .order_by(REQUIREMENTS.c.minute_ns)
    )
    return _rows(database, question)


def _rows(database: sql.Engine, question: sql.Select[Any]) -> list[Row]:
    with answering(), database.connect() as connection:
        return [dict(row) for row in connection.execute(question).mappings()]


@contextmanager
def answering() -> Iterator[None]:
    """Turn a database's failure into `DatabaseDownError`."""
    try:
        yield
    except sql.exc.SQLAlchemyError as error:
        cause = error.orig if isinstance(error, sql.exc.DBAPIError) else error
        first = str(cause).strip().splitlines()[:1]
        raise DatabaseDownError(f"the database must answer, {first[0] if first else type(cause).__name__}") from error
