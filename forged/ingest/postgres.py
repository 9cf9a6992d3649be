"""The catalog in a PostgreSQL database: schema `forged`, tables files, media, generations and loras, view library.

What every table and column holds is said in the database itself (`\\d+ forged.files`), from postgres_migrations/. A batch is one
transaction. What comes twice changes nothing: a file's row is found by its path at home, and what is said of it replaces what was.
Events that are not about a file count as taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from forged.config.secrets import reveal
from forged.ingest.postgres_rows import Rows, ValueRefused, rows_of
from forged.model.errors import ConfigError, IngestError, IngestRefused
from forged.model.events import Event
from forged.model.settings import PostgresIngest

if TYPE_CHECKING:  # asyncpg is an extra, and takes a while to load
    from forged.ingest.postgres_link import Link

BATCH_S = 60.0
"""For one batch, connecting and migrating included. What takes longer hangs, or waits for somebody's lock."""

GOODBYE_S = 2.0


class Postgres:
    """A Handler. Connects when there is something to write, and again after any failure; the address is read anew then."""

    def __init__(self, name: str, settings: PostgresIngest, batch_s: float = BATCH_S) -> None:
        self.name = name
        self._settings = settings
        self._batch_s = batch_s
        self._link: Link | None = None

    async def deliver(self, events: Sequence[Event]) -> None:
        """Durable when it returns. Raises IngestError."""
        rows = rows_of(events)
        if not rows.files:
            return
        try:
            async with asyncio.timeout(self._batch_s):
                await self._write(rows)
        except ValueRefused as refused:
            raise IngestRefused(refused.message, hint=refused.hint, about=[event.id for event in events]) from None
        except TimeoutError:
            raise self._hung() from None

    def _hung(self) -> IngestError:
        return IngestError(
            f"PostgreSQL has not taken a batch within {self._batch_s:g} s",
            hint="it hangs, or somebody holds a lock on forged's tables; forged tries again by itself",
        )

    async def _write(self, rows: Rows) -> None:
        """Leaves a connection behind that is good, or none."""
        if self._link is None or self._link.lost:
            self._link = await self._opened()
        link, written = self._link, False
        try:
            await link.write(rows)
            written = True
        finally:
            if not written:
                self._link = None
                link.drop()

    async def _opened(self) -> Link:
        link, dsn = await self._way()
        return await link.opened(dsn)

    async def _way(self) -> tuple[type[Link], str]:
        """What connects, and whereto."""
        try:
            from forged.ingest.postgres_link import Link
        except ImportError:
            raise IngestRefused(
                "asyncpg is not installed", hint="pip install 'forged[postgres]', then start forged again"
            ) from None
        try:
            return Link, await asyncio.to_thread(reveal, self._settings.dsn)
        except ConfigError as error:
            raise IngestError(error.message, hint="it is read again when forged tries again") from None

    async def try_out(self) -> str:
        """Makes the tables in a transaction that is taken back."""
        try:
            async with asyncio.timeout(self._batch_s):
                link, dsn = await self._way()
                return await link.tried(dsn)
        except TimeoutError:
            raise self._hung() from None

    async def aclose(self) -> None:
        """A batch that is under way is given up."""
        link, self._link = self._link, None
        if link is None:
            return
        try:
            async with asyncio.timeout(GOODBYE_S):
                await link.aclose()
        except (TimeoutError, IngestError):
            link.drop()
