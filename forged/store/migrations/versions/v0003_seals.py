"""A seal on each row of the manifest: who flips a byte in a home name or in a time of landing is noticed."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

STEP_ROWS = 1_000

_COLUMNS = "manifest, path, superseded, sha256, home, landed_at_ns, incomplete"
_UNSEALED = sa.text(f"SELECT {_COLUMNS} FROM versions WHERE seal IS NULL LIMIT {STEP_ROWS}")
_SEAL = sa.text("UPDATE versions SET seal = :seal WHERE manifest = :manifest AND path = :path AND superseded = :superseded")


def upgrade() -> None:
    op.add_column("versions", sa.Column("seal", sa.LargeBinary(8)))
    while rows := op.get_bind().execute(_UNSEALED).all():
        op.get_bind().execute(
            _SEAL, [{"manifest": r.manifest, "path": r.path, "superseded": r.superseded, "seal": _seal(r)} for r in rows]
        )


def _seal(r: sa.Row) -> bytes:  # type: ignore[type-arg]
    """As rows.seal was when this was written."""
    what = (r.manifest.encode(), r.path, r.home, r.sha256, r.landed_at_ns, bool(r.incomplete))
    return hashlib.blake2b(b"%b\0%b\0%b\0%b\0%d\0%d" % what, digest_size=8).digest()
