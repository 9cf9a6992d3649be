"""Boxes that discoveries know, and alarms that are raised."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "boxes",
        sa.Column("discovery", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("addresses", sa.Text, nullable=False),
        sa.Column("label", sa.LargeBinary),
        sa.Column("end_ns", sa.BigInteger),
        sa.Column("why", sa.LargeBinary, nullable=False),
        sa.Column("missed", sa.BigInteger, nullable=False),
        sa.Column("missing_since_ns", sa.BigInteger),
        sa.Column("gone_since_ns", sa.BigInteger),
        sa.Column("left_files", sa.BigInteger, nullable=False),
        sa.Column("left_bytes", sa.BigInteger, nullable=False),
        sa.Column("unseen", sa.Boolean, nullable=False),
    )
    op.create_table(
        "alarms",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
    )
