"""The tables of the first forged."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _versions()
    _jobs()
    _outbox()
    _names()


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("path", sa.LargeBinary(), nullable=False),
        sa.Column("superseded", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("inode", sa.BigInteger()),
        sa.Column("ctime_ns", sa.BigInteger()),
        sa.Column("exact_stat", sa.Text()),
        sa.Column("sha256", sa.LargeBinary(32), nullable=False),
        sa.Column("home", sa.LargeBinary(), nullable=False),
        sa.Column("landed_at_ns", sa.BigInteger(), nullable=False),
        sa.Column("incomplete", sa.Boolean(), nullable=False),
        sa.Column("at_source", sa.Text(), nullable=False),
        sa.Column("tombstone_at_ns", sa.BigInteger()),
        sa.PrimaryKeyConstraint("manifest", "path", "superseded"),
        sa.CheckConstraint("length(sha256) = 32", name="sha256_is_32_bytes"),
        sqlite_with_rowid=False,
    )


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("start_ns", sa.BigInteger(), nullable=False),
        sa.Column("folders", sa.Text(), nullable=False),
        sa.Column("end_ns", sa.BigInteger()),
        sa.Column("success", sa.Boolean()),
        sa.Column("files_transferred", sa.BigInteger()),
        sa.Column("bytes_transferred", sa.BigInteger()),
        sa.Column("duration_s", sa.Double()),
        sa.Column("errors", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("jobs_by_start", "jobs", ["start_ns", "id"])


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "positions",
        sa.Column("handler", sa.Text(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("handler"),
    )


def _names() -> None:
    op.create_table(
        "pauses",
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("manifest"),
    )
    op.create_table(
        "holds",
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("message", sa.LargeBinary(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("manifest"),
    )
    op.create_table(
        "pins",
        sa.Column("manifest", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("pinned_at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("manifest"),
    )
    op.create_table(
        "destinations",
        sa.Column("dest", sa.LargeBinary(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("dest"),
    )
    op.create_table(
        "identity",
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
