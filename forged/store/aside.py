"""Events that are out of a handler's stream, in SQL: it failed on them, or on an earlier one of the same key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.kit.sql import BulkInsert
from forged.model.events import Event, EventId, EventKind
from forged.model.handing import AsideCount, SetAside
from forged.store.border import Border, put
from forged.store.schema import positions, set_aside

_earlier = set_aside.alias("earlier")
_BEHIND = sa.exists().where(
    _earlier.c.handler == set_aside.c.handler, _earlier.c.key == set_aside.c.key, _earlier.c.id < set_aside.c.id
)
"""Whether an earlier event of its key is out of the stream, too."""

_INSERT = BulkInsert(set_aside)


class SqlAside:
    """The second half of store/base.Outbox."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def settle(
        self, handler: str, *, upto: EventId | None = None, taken: Collection[EventId] = (), aside: Sequence[SetAside] = ()
    ) -> None:
        async with self._border.writing() as connection:
            if upto is not None and upto > await place(connection, handler):
                await put(connection, positions, {"handler": handler, "upto": upto})
            await _take_out(connection, handler, [*taken, *(one.event.id for one in aside)])
            await _INSERT.run(connection, [_row(handler, one) for one in aside])
            if aside:
                await connection.execute(_follow(handler))

    async def set_aside(self, handler: str, after: EventId, limit: int) -> Sequence[SetAside]:
        return await self._found(sa.select(set_aside).where(_of(handler), set_aside.c.id > after), limit)

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]:
        return await self._found(sa.select(set_aside).where(_of(handler), set_aside.c.due_ns <= now_ns, ~_BEHIND), limit)

    async def next_due(self, handler: str) -> int | None:
        first = sa.select(sa.func.min(set_aside.c.due_ns)).where(_of(handler), ~_BEHIND)
        async with self._border.reading() as connection:
            due_ns: int | None = (await connection.execute(first)).scalar_one()
        return due_ns

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]:
        query = sa.select(set_aside.c.key).where(_of(handler), set_aside.c.key.in_(list(keys))).distinct()
        async with self._border.reading() as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def count_aside(self, handler: str) -> AsideCount:
        query = sa.select(sa.func.count(set_aside.c.due_ns), sa.func.count()).where(_of(handler))
        async with self._border.reading() as connection:
            retried, every = (await connection.execute(query)).one()
        return AsideCount(retried, every - retried)

    async def retry(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        again = sa.update(set_aside).where(_of(handler), _same_keys(handler, ids)).values(due_ns=0, tries=0)
        async with self._border.writing() as connection:
            return (await connection.execute(again)).rowcount

    async def drop(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        meant = set_aside.c.due_ns.is_(None) if ids is None else set_aside.c.id.in_(list(ids))
        async with self._border.writing() as connection:
            behind = _same_keys(handler, ids)
            if ids is not None:  # what waited behind one of them has its turn
                await connection.execute(sa.update(set_aside).where(_of(handler), behind).values(due_ns=0))
            return (await connection.execute(sa.delete(set_aside).where(_of(handler), meant))).rowcount

    async def _found(self, query: sa.Select[Any], limit: int) -> list[SetAside]:
        async with self._border.reading() as connection:
            return [_read(row) for row in await connection.execute(query.order_by(set_aside.c.id).limit(limit))]


async def place(connection: AsyncConnection, handler: str) -> int:
    """The last event that `handler` has taken; 0, which is no event's id, before its first."""
    upto = await connection.execute(sa.select(positions.c.upto).where(positions.c.handler == handler))
    return upto.scalar_one_or_none() or 0


async def _take_out(connection: AsyncConnection, handler: str, ids: Sequence[EventId]) -> None:
    if ids:
        await connection.execute(sa.delete(set_aside).where(_of(handler), set_aside.c.id.in_(ids)))


def _of(handler: str) -> sa.ColumnElement[bool]:
    return set_aside.c.handler == handler


def _same_keys(handler: str, ids: Collection[EventId] | None) -> sa.ColumnElement[bool]:
    """Of these events, and all of their keys. None = every one."""
    if ids is None:
        return sa.true()
    named = sa.select(_earlier.c.key).where(_earlier.c.handler == handler, _earlier.c.id.in_(list(ids)))
    return set_aside.c.key.in_(named)


def _follow(handler: str) -> sa.Update:
    """What is behind an event that waits for a person waits as well."""
    waits = sa.select(_earlier.c.key).where(_earlier.c.handler == handler, _earlier.c.due_ns.is_(None))
    return sa.update(set_aside).where(_of(handler), set_aside.c.due_ns.is_not(None), set_aside.c.key.in_(waits)).values(due_ns=None)


def _row(handler: str, one: SetAside) -> tuple[str | bytes | int | None, ...]:
    e = one.event
    key, body, error = (text.encode("utf-8", "surrogatepass") for text in (e.key, e.body, one.error))  # as AnyText has it
    return handler, e.id, e.kind.value, e.target, e.at_ns, key, body, one.tries, error, one.since_ns, one.due_ns


def _read(r: sa.Row[Any]) -> SetAside:
    event = Event(EventId(r.id), EventKind(r.kind), r.target, r.at_ns, r.key, r.body)
    return SetAside(event, r.tries, r.error, r.since_ns, r.due_ns)
