"""The whole store over SQL, for every database that kit/sql knows."""

from __future__ import annotations

import secrets

import sqlalchemy as sa

from forged.store.border import Border
from forged.store.boxes import SqlAlarms, SqlBoxes
from forged.store.copies import SqlCopies
from forged.store.flags import SqlDestinations, SqlFlags, SqlLimits, SqlPins
from forged.store.ingests import SqlIngests
from forged.store.jobs import SqlJobs
from forged.store.journal import Journaled
from forged.store.manifest import SqlManifest
from forged.store.media import SqlMedia
from forged.store.outbox import SqlOutbox
from forged.store.schema import identity


class SqlStore:
    """The promises are in store/base.Store. Made by `open_store` of the database's own module."""

    most_name_bytes: int | None = None

    def __init__(self, border: Border) -> None:
        self._border = border
        self.manifest = Journaled(SqlManifest(border))
        self.media = SqlMedia(border)
        self.copies = SqlCopies(border)
        self.jobs = SqlJobs(border)
        self.outbox = SqlOutbox(border)
        self.ingests = SqlIngests(border)
        self.flags = SqlFlags(border)
        self.limits = SqlLimits(border)
        self.destinations = SqlDestinations(border)
        self.pins = SqlPins(border)
        self.boxes = SqlBoxes(border)
        self.alarms = SqlAlarms(border)

    async def identity(self) -> str:
        async with self._border.reading() as connection:
            known = (await connection.execute(sa.select(identity.c.id))).scalar_one_or_none()
        return known or await self._new_identity()

    async def _new_identity(self) -> str:
        async with self._border.writing() as connection:
            # Another task may have come first; within this transaction nobody can.
            known: str | None = (await connection.execute(sa.select(identity.c.id))).scalar_one_or_none()
            if known is not None:
                return known
            fresh = secrets.token_hex(8)
            await connection.execute(sa.insert(identity).values(id=fresh))
            return fresh

    async def close(self) -> None:
        """Lets running transactions end and closes the database; every later call raises StoreError."""
        await self._border.database.close()
