"""What was set aside for ingest handlers, which of them take what, and what is brought to them again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("handler", sa.Text))
    op.create_index("outbox_by_key", "outbox", ["key"])
    of_one = sa.text("handler IS NOT NULL")
    op.create_index("outbox_of_one", "outbox", ["handler", "id"], sqlite_where=of_one, postgresql_where=of_one)
    _set_aside()
    op.create_table(
        "takers",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("of", sa.Text, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "replays",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("manifest", sa.Text, primary_key=True),
        sa.Column("after", sa.LargeBinary),
    )


def _set_aside() -> None:
    op.create_table(
        "set_aside",
        sa.Column("handler", sa.Text, primary_key=True),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("at_ns", sa.BigInteger, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sa.Column("error", sa.LargeBinary, nullable=False),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("due_ns", sa.BigInteger),
    )
    op.create_index("set_aside_by_key", "set_aside", ["handler", "key", "id"])
    op.create_index("set_aside_by_time", "set_aside", ["handler", "due_ns"])
