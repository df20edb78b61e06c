"""Tables of the projection: what the journal amounts to, for questions in SQL. The journal stays the truth.

Every table can be dropped: the projector fills them again. Amounts that are exact in the engine are exact here; figures
of margin are doubles in USD, as the engine computes them. Times are nanoseconds since 1970, UTC.
"""

from decimal import Decimal
from typing import Any

import sqlalchemy as sql
from sqlalchemy.engine import Dialect

METADATA = sql.MetaData()


class Exact(sql.types.TypeDecorator[str]):
    """A decimal with all its digits: numeric in PostgreSQL, text in SQLite, which has no such number."""

    impl = sql.Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sql.types.TypeEngine[Any]:
        """Return the type of a database."""
        return dialect.type_descriptor(sql.String() if dialect.name == "sqlite" else sql.Numeric())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | Decimal | None:
        """Return a decimal's text as the database takes it."""
        return value if value is None or dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: str | Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002  (the interface)
        """Return a decimal as text."""
        return None if value is None else f"{Decimal(value):f}"


def _happened(name: str) -> sql.Table:
    """Return a table of events of one kind; `place` is the record's number and the event's within it."""
    return sql.Table(
        name,
        METADATA,
        sql.Column("place", sql.BigInteger, primary_key=True, autoincrement=False),
        sql.Column("time_ns", sql.BigInteger, nullable=False),
        sql.Column("command", sql.String, nullable=False),
        sql.Column("kind", sql.String, nullable=False),
        sql.Column("account", sql.String, index=True),
        sql.Column("body", sql.Text, nullable=False),
    )


def _held(name: str, what: str, size: str) -> sql.Table:
    """Return a table of what accounts hold now, and how much of it."""
    return sql.Table(
        name,
        METADATA,
        sql.Column("account", sql.String, primary_key=True),
        sql.Column(what, sql.String, primary_key=True),
        sql.Column(size, Exact, nullable=False),
    )


POSITION = sql.Table(
    "position",
    METADATA,
    sql.Column("record", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("history", sql.String, nullable=False),
)
"""One row: the journal's record up to which all tables stand, and the hash of all commands until there."""

ACCOUNTS = sql.Table(
    "accounts",
    METADATA,
    sql.Column("account", sql.String, primary_key=True),
    sql.Column("state", sql.String, nullable=False),
    sql.Column("method", sql.String, nullable=False),
    sql.Column("equity", sql.Float(53)),
    sql.Column("initial", sql.Float(53)),
    sql.Column("maintenance", sql.Float(53)),
    sql.Column("time_ns", sql.BigInteger, nullable=False),
)
BALANCES = _held("balances", "asset", "amount")
POSITIONS = _held("positions", "instrument", "quantity")
REQUIREMENTS = sql.Table(
    "requirements",
    METADATA,
    sql.Column("account", sql.String, primary_key=True),
    sql.Column("minute_ns", sql.BigInteger, primary_key=True, autoincrement=False),
    sql.Column("time_ns", sql.BigInteger, nullable=False),
    sql.Column("equity", sql.Float(53), nullable=False),
    sql.Column("initial", sql.Float(53), nullable=False),
    sql.Column("maintenance", sql.Float(53), nullable=False),
)
"""Figures of an account as they stood last in each minute of the engine's time in which they changed."""

LIQUIDATIONS = _happened("liquidations")
WATERFALL = _happened("waterfall_draws")
sql.Index("ix_liquidations_kind_place", LIQUIDATIONS.c.kind, LIQUIDATIONS.c.place)
sql.Index("ix_liquidations_account_place", LIQUIDATIONS.c.account, LIQUIDATIONS.c.place)
sql.Index("ix_waterfall_draws_account_place", WATERFALL.c.account, WATERFALL.c.place)
MARGIN_CALLS = _happened("margin_calls")
PARAMETERS = _happened("parameters")
AUDIT = _happened("audit")

HAPPENED: dict[str, tuple[sql.Table, frozenset[str]]] = {
    "liquidation-events": (
        LIQUIDATIONS,
        frozenset({
            "LiquidationStarted", "LiquidationOrdered", "Liquidated", "LiquidationEnded", "TakenOver", "Deleveraged",
        }),
    ),
    "draws": (WATERFALL, frozenset({"Defaulted", "Drawn"})),
    "margin-calls": (MARGIN_CALLS, frozenset({"MarginCalled", "MarginCallMet"})),
    "audit": (AUDIT, frozenset({"Audited", "Reconciled", "Halted", "Resumed", "ParametersChanged"})),
}  # fmt: skip
"""Lists of the API: table, and the kinds of events in it."""
