"""How Alembic meets the database: on the connection that the projector hands over."""

from alembic import context

from crossmargin.service.projection_tables import METADATA

# Alembic runs this file with a configuration; who merely imports it has none
if hasattr(context, "config"):
    context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
    with context.begin_transaction():
        context.run_migrations()
