"""What files are to be looked into, and what was found in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_OWES = sa.text("owes != 0")


def upgrade() -> None:
    _queue()
    _media()
    _likeness()


def _queue() -> None:
    op.create_table(
        "media_queue",
        sa.Column("manifest", sa.Text, primary_key=True),
        sa.Column("path", sa.LargeBinary, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
        sa.Column("tries", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("media_queue_by_time", "media_queue", ["manifest", "since_ns", "path"])


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("id", _SERIAL, primary_key=True),
        sa.Column("manifest", sa.Text, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("home", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("landed_at_ns", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("format", sa.Text, nullable=False),
        sa.Column("dhash", sa.LargeBinary(8)),
        sa.Column("pixels_sha256", sa.LargeBinary(32)),
        sa.Column("owes", sa.BigInteger, nullable=False),
        sa.Column("examined_at_ns", sa.BigInteger, nullable=False),
        sa.Column("info", sa.LargeBinary, nullable=False),
    )
    op.create_index("media_by_home", "media", ["manifest", "home", "path"], unique=True)
    op.create_index("media_by_content", "media", ["sha256", "manifest", "landed_at_ns", "home"])
    op.create_index("media_by_pixels", "media", ["pixels_sha256"])
    columns = ["manifest", "home", "path"]
    op.create_index("media_owing", "media", columns, sqlite_where=_OWES, postgresql_where=_OWES)


def _likeness() -> None:
    op.create_table(
        "likeness",
        sa.Column("media", _SERIAL, sa.ForeignKey("media.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
        sa.Column("quarter", sa.BigInteger, primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
    )
    op.create_index("likeness_by_quarter", "likeness", ["quarter", "media"])
