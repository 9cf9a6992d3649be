"""Bandwidth limits that are kept over restarts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "limits",
        sa.Column("target", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, nullable=False),
    )
