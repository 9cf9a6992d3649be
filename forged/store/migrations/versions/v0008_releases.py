"""Who was released by a person, until a look at the source has believed it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "releases",
        sa.Column("manifest", sa.Text, primary_key=True),
        sa.Column("since_ns", sa.BigInteger, nullable=False),
    )
