"""Run by alembic itself: gives it the connection that `upgrade` was called with, for both kinds of database."""

from __future__ import annotations

from alembic import context

from forged.store.schema import metadata

# Batch mode rebuilds a table where SQLite cannot alter it in place; PostgreSQL is not affected.
context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
