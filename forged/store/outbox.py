"""The outbox in SQL: events that wait for their handlers, and how far each handler has come."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.store.base import MOST_EVENTS_BYTES
from forged.store.border import Border, put
from forged.store.schema import outbox, positions

PART = 20
"""Events that are read in one go, whatever their size."""


class SqlOutbox:
    """The promises are in store/base.Outbox. Facts bring their events in through `append`, within their own transaction."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def put(self, events: Sequence[NewEvent]) -> None:
        async with self._border.writing() as connection:
            await append(connection, events)

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        waiting = sa.select(outbox).where(_waits(handler)).order_by(outbox.c.id).limit(limit)
        events: list[Event] = []
        size_bytes = 0
        async with self._border.reading() as connection, connection.stream(waiting, execution_options={"yield_per": PART}) as rows:
            async for part in rows.partitions():
                events += [Event(EventId(r.id), EventKind(r.kind), r.target, r.at_ns, r.key, r.body) for r in part]
                size_bytes += sum(len(r.body) for r in part)
                if size_bytes > MOST_EVENTS_BYTES:
                    break
        return events

    async def acknowledge(self, handler: str, upto: EventId) -> None:
        async with self._border.writing() as connection:
            if upto > await _place(connection, handler):
                await put(connection, positions, {"handler": handler, "upto": upto})

    async def waiting(self, handler: str) -> int:
        count = sa.select(sa.func.count()).select_from(outbox).where(_waits(handler))
        async with self._border.reading() as connection:
            return (await connection.execute(count)).scalar_one()

    async def prune(self, handlers: Sequence[str]) -> int:
        async with self._border.writing() as connection:
            taken = sa.delete(outbox)
            if handlers:
                taken = taken.where(outbox.c.id <= min([await _place(connection, handler) for handler in handlers]))
            return (await connection.execute(taken)).rowcount


async def append(connection: AsyncConnection, events: Sequence[NewEvent]) -> None:
    """Puts events into the outbox, in this order, as part of the caller's transaction."""
    if events:
        rows = [{"kind": e.kind.value, "target": e.target, "at_ns": e.at_ns, "key": e.key, "body": e.body} for e in events]
        await connection.execute(sa.insert(outbox), rows)


def _waits(handler: str) -> sa.ColumnElement[bool]:
    """Whether an event comes after the last one that this handler has taken."""
    place = sa.select(positions.c.upto).where(positions.c.handler == handler).scalar_subquery()
    return outbox.c.id > sa.func.coalesce(place, 0)


async def _place(connection: AsyncConnection, handler: str) -> int:
    """The last event that `handler` has taken; 0, which is no event's id, before its first."""
    place = await connection.execute(sa.select(positions.c.upto).where(positions.c.handler == handler))
    return place.scalar_one_or_none() or 0
