"""The outbox in SQL: events that wait for their handlers, and how far each handler has come."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.store.aside import SqlAside, place
from forged.store.base import MOST_EVENTS_BYTES
from forged.store.border import put
from forged.store.schema import outbox, positions, set_aside

PART = 20
"""Events that are read in one go, whatever their size."""


class SqlOutbox(SqlAside):
    """The promises are in store/base.Outbox. Facts bring their events in through `append`, within their own transaction."""

    async def put(self, events: Sequence[NewEvent]) -> None:
        async with self._border.writing() as connection:
            await append(connection, events)

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        waiting = sa.select(outbox).where(waits(handler)).order_by(outbox.c.id).limit(limit)
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
            if upto > await place(connection, handler):
                await put(connection, positions, {"handler": handler, "upto": upto})

    async def waiting(self, handler: str) -> int:
        count = sa.select(sa.func.count()).select_from(outbox).where(waits(handler))
        async with self._border.reading() as connection:
            return (await connection.execute(count)).scalar_one()

    async def prune(self, handlers: Sequence[str]) -> int:
        async with self._border.writing() as connection:
            await connection.execute(sa.delete(set_aside).where(set_aside.c.handler.not_in(handlers)))
            if not handlers:
                return (await connection.execute(sa.delete(outbox))).rowcount
            places = {handler: await place(connection, handler) for handler in handlers}
            taken = [sa.and_(outbox.c.handler.is_(None), outbox.c.id <= min(places.values()))]
            taken += [sa.and_(outbox.c.handler == handler, outbox.c.id <= upto) for handler, upto in places.items()]
            taken += [sa.and_(outbox.c.handler.is_not(None), outbox.c.handler.not_in(handlers))]
            # One by one, so that each finds its rows by an index, however much waits for a handler that is down.
            return sum([(await connection.execute(sa.delete(outbox).where(one))).rowcount for one in taken])


async def append(connection: AsyncConnection, events: Sequence[NewEvent], handler: str | None = None) -> None:
    """Puts events into the outbox, in this order, as part of the caller's transaction. `handler`: only this one gets them."""
    if events:
        rows = [
            {"kind": e.kind.value, "target": e.target, "at_ns": e.at_ns, "key": e.key, "body": e.body, "handler": handler}
            for e in events
        ]
        await connection.execute(sa.insert(outbox), rows)


def waits(handler: str) -> sa.ColumnElement[bool]:
    """Whether an event is one of this handler's, and comes after the last one that it has taken."""
    upto = sa.select(positions.c.upto).where(positions.c.handler == handler).scalar_subquery()
    mine = sa.or_(outbox.c.handler.is_(None), outbox.c.handler == handler)
    return sa.and_(outbox.c.id > sa.func.coalesce(upto, 0), mine)
