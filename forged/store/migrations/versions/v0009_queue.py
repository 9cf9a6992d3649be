"""Each version of a path waits by itself to be looked into, also when another one has come after it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.execute(
        "CREATE TABLE media_queue_before AS SELECT q.manifest, q.path, v.home, q.since_ns, q.tries FROM media_queue AS q"
        " JOIN versions AS v ON v.manifest = q.manifest AND v.path = q.path AND v.superseded = 0"
    )
    op.drop_table("media_queue")
    op.create_table(
        "media_queue",
        sa.Column("manifest", sa.Text, primary_key=True),
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("home", sa.LargeBinary, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("media_queue_by_time", "media_queue", ["manifest", "since_ns", "path", "home"])
    op.execute("INSERT INTO media_queue SELECT manifest, path, home, since_ns, tries FROM media_queue_before")
    op.drop_table("media_queue_before")
