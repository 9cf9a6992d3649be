"""Which handler takes what, and what it has of the files at home, in SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.model.events import EventKind, NewEvent
from forged.model.handing import Handed, Replay
from forged.model.manifest import ManifestName
from forged.model.paths import SourcePath
from forged.store.border import Border, put
from forged.store.outbox import append
from forged.store.queue import IS_QUEUED
from forged.store.schema import media_queue, outbox, positions, replays, set_aside, takers, versions

ALL = ""
"""Stands for all targets in `takers.of`; none has this name."""


class SqlIngests:
    """The promises are in store/base.Ingests."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def enlist(self, takes: Mapping[str, Collection[str]], now_ns: int) -> None:
        async with self._border.writing() as connection:
            rows = (await connection.execute(sa.select(takers))).all()
            known = {(row.handler, row.of): row.since_ns for row in rows}
            wanted = enlisted(known, takes)
            if None in wanted.values():
                begins_ns = max(now_ns, await _newest(connection) + 1)
                wanted = {one: begins_ns if since_ns is None else since_ns for one, since_ns in wanted.items()}
            if wanted != known:
                await connection.execute(sa.delete(takers))
                for (handler, of), since_ns in wanted.items():
                    await connection.execute(sa.insert(takers).values(handler=handler, of=of, since_ns=since_ns))
            await connection.execute(sa.delete(replays).where(replays.c.handler.not_in(list(takes))))

    async def handed(
        self, name: ManifestName, files: Mapping[SourcePath, str], handlers: Sequence[str], of: Collection[str]
    ) -> Handed:
        keys = list(files.values())
        async with self._border.reading() as connection:
            since = await connection.execute(
                sa.select(takers.c.handler, sa.func.min(takers.c.since_ns))
                .where(takers.c.handler.in_(handlers), takers.c.of.in_([ALL, *of]))
                .group_by(takers.c.handler)
            )
            replayed = await connection.execute(
                sa.select(replays.c.handler, replays.c.after).where(replays.c.handler.in_(handlers), replays.c.manifest == name)
            )
            aside = sa.select(set_aside.c.handler, set_aside.c.key).where(
                set_aside.c.handler.in_(handlers), set_aside.c.key.in_(keys)
            )
            queued = (
                sa.select(media_queue.c.path)
                .join(versions, IS_QUEUED)
                .where(media_queue.c.manifest == name, media_queue.c.path.in_(list(files)), versions.c.superseded == 0)
            )
            return Handed(
                {one[0]: one[1] for one in since},
                {handler: after if after is None else SourcePath(after) for handler, after in replayed},
                await _waiting(connection, keys, handlers),
                frozenset((one.handler, one.key) for one in await connection.execute(aside)),
                frozenset(SourcePath(path) for path in (await connection.execute(queued)).scalars()),
            )

    async def replays(self) -> Sequence[Replay]:
        query = sa.select(replays).where(replays.c.after.is_not(None)).order_by(replays.c.handler, replays.c.manifest)
        async with self._border.reading() as connection:
            found = (await connection.execute(query)).all()
        return [Replay(one.handler, ManifestName(one.manifest), SourcePath(one.after)) for one in found]

    async def replayed(self, replay: Replay, events: Sequence[NewEvent] = ()) -> None:
        async with self._border.writing() as connection:
            await put(connection, replays, {"handler": replay.handler, "manifest": replay.manifest, "after": replay.after})
            await append(connection, events, replay.handler)


def enlisted(known: Mapping[tuple[str, str], int], takes: Mapping[str, Collection[str]]) -> dict[tuple[str, str], int | None]:
    """Since when each of these handlers takes what; None = from now on. Who takes less than before, or everything, loses nothing of
    what was known."""
    wanted: dict[tuple[str, str], int | None] = {}
    for handler, names in takes.items():
        for of in names or [ALL]:
            since_ns = [known[handler, one] for one in (of, ALL) if (handler, one) in known]
            wanted[handler, of] = min(since_ns, default=None)
        if not names:
            wanted |= {one: since_ns for one, since_ns in known.items() if one[0] == handler}
    return wanted


async def _newest(connection: AsyncConnection) -> int:
    """When the last of all files landed, by the clocks of those days."""
    return (await connection.execute(sa.select(sa.func.max(versions.c.landed_at_ns)))).scalar_one() or 0


async def _waiting(connection: AsyncConnection, keys: Sequence[str], handlers: Sequence[str]) -> frozenset[tuple[str, str]]:
    """Handler and key of files whose event is in the outbox, and not taken."""
    synced = sa.select(outbox.c.key, outbox.c.handler, sa.func.max(outbox.c.id)).where(
        outbox.c.key.in_(keys), outbox.c.kind == EventKind.FILE_SYNCED.value
    )
    last = (await connection.execute(synced.group_by(outbox.c.key, outbox.c.handler))).all()
    upto = {one.handler: one.upto for one in await connection.execute(sa.select(positions))}
    return frozenset(
        (handler, key) for key, only, id in last for handler in handlers if only in (None, handler) and id > upto.get(handler, 0)
    )
