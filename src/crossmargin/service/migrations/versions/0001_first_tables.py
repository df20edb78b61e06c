"""First tables."""

import sqlalchemy as sql
from alembic import op

from crossmargin.service.projection_tables import Exact

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

HAPPENED = ("liquidations", "waterfall_draws", "margin_calls", "parameters", "audit")


def upgrade() -> None:
    """Create them."""
    op.create_table("position", _whole("record", primary_key=True), _text("history"))
    figures = [sql.Column(name, sql.Float(53)) for name in ("equity", "initial", "maintenance")]
    op.create_table(
        "accounts", _text("account", primary_key=True), _text("state"), _text("method"), *figures, _whole("time_ns")
    )
    op.create_table(
        "balances",
        _text("account", primary_key=True),
        _text("asset", primary_key=True),
        sql.Column("amount", Exact, nullable=False),
    )
    op.create_table(
        "positions",
        _text("account", primary_key=True),
        _text("instrument", primary_key=True),
        sql.Column("quantity", Exact, nullable=False),
    )
    op.create_table(
        "requirements",
        _text("account", primary_key=True),
        _whole("minute_ns", primary_key=True),
        _whole("time_ns"),
        *[sql.Column(name, sql.Float(53), nullable=False) for name in ("equity", "initial", "maintenance")],
    )
    for table in HAPPENED:
        op.create_table(
            table,
            _whole("place", primary_key=True),
            _whole("time_ns"),
            _text("command"),
            _text("kind"),
            sql.Column("account", sql.String),
            sql.Column("body", sql.Text, nullable=False),
        )
        op.create_index(f"ix_{table}_account", table, ["account"])


def downgrade() -> None:
    """Drop them."""
    for table in (*HAPPENED, "requirements", "positions", "balances", "accounts", "position"):
        op.drop_table(table)


def _whole(name: str, *, primary_key: bool = False) -> sql.Column[int]:
    return sql.Column(name, sql.BigInteger, primary_key=primary_key, autoincrement=False, nullable=False)


def _text(name: str, *, primary_key: bool = False) -> sql.Column[str]:
    return sql.Column(name, sql.String, primary_key=primary_key, nullable=False)
