"""The catalog in a PostgreSQL database: schema `forged`, tables files, media, generations and loras, view library.

What every table and column holds is said in the database itself (`\\d+ forged.files`), from postgres_migrations/. A batch is one
transaction, a large one two at once, so that two cores are at work at the server; all events of a file are in the same one. What
comes twice changes nothing: a file's row is found by its path at home, and what is said of it replaces what was. Events that are
not about a file count as taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

from forged.config.secrets import reveal
from forged.ingest.file_events import ABOUT_FILES
from forged.ingest.postgres_rows import ValueRefused, rows_of
from forged.kit.interpreter import install_command
from forged.model.errors import ConfigError, IngestError, IngestRefused
from forged.model.events import Event
from forged.model.settings import PostgresIngest

if TYPE_CHECKING:  # asyncpg is an extra, and takes a while to load
    from forged.ingest.postgres_link import Link

BATCH_S = 60.0
"""For one batch, connecting and migrating included. What takes longer hangs, or waits for somebody's lock."""

GOODBYE_S = 2.0


LANES = 2
"""Connections for a large batch. Most of the work is the server's (jsonb, full text, indexes), and one connection is one process
there."""

LARGE = 100
"""Files; below that a second connection gains nothing."""


class Postgres:
    """A Handler. Connects when there is something to write, and again after any failure; the address is read anew then."""

    batch = 500
    """A transaction has its price (eight round trips, an fsync), whatever is in it."""

    def __init__(self, name: str, settings: PostgresIngest, batch_s: float = BATCH_S) -> None:
        self.name = name
        self._settings = settings
        self._batch_s = batch_s
        self._links: dict[int, Link] = {}

    async def deliver(self, events: Sequence[Event]) -> None:
        """Durable when it returns. Raises IngestError."""
        shares = _shares([event for event in events if event.kind in ABOUT_FILES])
        if not shares:
            return
        try:
            async with asyncio.timeout(self._batch_s):
                outcomes = await asyncio.gather(*map(self._write, range(LANES), shares), return_exceptions=True)
        except TimeoutError:
            raise self._hung() from None
        for share, outcome in zip(shares, outcomes, strict=True):
            if isinstance(outcome, ValueRefused):
                raise IngestRefused(outcome.message, hint=outcome.hint, about=[event.id for event in share]) from outcome
            if outcome is not None:
                raise outcome

    def _hung(self) -> IngestError:
        return IngestError(
            f"PostgreSQL has not taken a batch within {self._batch_s:g} s",
            hint="it hangs, or somebody holds a lock on forged's tables; forged tries again by itself",
        )

    async def _write(self, lane: int, events: Sequence[Event]) -> None:
        """Leaves a connection behind that is good, or none."""
        rows = await asyncio.to_thread(rows_of, events)
        link = self._links.pop(lane, None)
        if link is None or link.lost:
            link = await self._opened()
        self._links[lane], written = link, False
        try:
            await link.write(rows)
            written = True
        finally:
            if not written:
                self._links.pop(lane, None)
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
                "asyncpg is not installed",
                hint=f"{install_command('asyncpg')}, then start forged again",
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
        links, self._links = self._links, {}
        await asyncio.gather(*map(_closed, links.values()))


async def _closed(link: Link) -> None:
    try:
        async with asyncio.timeout(GOODBYE_S):
            await link.aclose()
    except (TimeoutError, IngestError):
        link.drop()


def _shares(events: Sequence[Event]) -> list[list[Event]]:
    """For each lane its events, in order; what is of one key stays together."""
    lanes = LANES if len(events) >= LARGE else 1
    shares: list[list[Event]] = [[] for _ in range(lanes)]
    for event in events:
        shares[crc32(event.key.encode("utf-8", "surrogatepass")) % lanes].append(event)
    return [share for share in shares if share]
