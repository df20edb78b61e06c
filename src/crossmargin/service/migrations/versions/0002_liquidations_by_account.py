"""Indexes by which a page of liquidations is found without reading the others."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

INDEXES = (("liquidations", "kind"), ("liquidations", "account"), ("waterfall_draws", "account"))


def upgrade() -> None:
    """Create them."""
    for table, column in INDEXES:
        op.create_index(f"ix_{table}_{column}_place", table, [column, "place"])


def downgrade() -> None:
    """Drop them."""
    for table, column in INDEXES:
        op.drop_index(f"ix_{table}_{column}_place", table)
