"""The queue of files that wait to be looked into, in SQL. Landing puts them in within its own transaction: a crash loses none."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.kit.sql import Bulk, BulkInsert
from forged.model.manifest import ManifestName, ManifestRow
from forged.model.media import ToExamine
from forged.model.paths import HomePath, SourcePath
from forged.store.border import Border
from forged.store.rows import Values, key_values, row_of
from forged.store.schema import media, media_queue, versions

STEP_ROWS = 1_000
"""As manifest.STEP_ROWS, and for the same reason."""

_ENTRY = sa.and_(
    media_queue.c.manifest == bindparam("b_manifest", type_=sa.Text),
    media_queue.c.path == bindparam("b_path", type_=sa.LargeBinary),
)
_VERSION = sa.and_(_ENTRY, media_queue.c.home == bindparam("b_home", type_=sa.LargeBinary))
IS_QUEUED = sa.and_(
    versions.c.manifest == media_queue.c.manifest, versions.c.path == media_queue.c.path, versions.c.home == media_queue.c.home
)
"""Which version an entry means."""
_ROW = [column for column in versions.columns if column.name not in ("manifest", "superseded")]

_PUT_MISSING = BulkInsert(media_queue)
_PUT_AGAIN = Bulk(
    sa.update(media_queue)
    .where(_VERSION)
    .values(since_ns=bindparam("b_since_ns", type_=sa.BigInteger), tries=sa.literal_column("0"))
)
_found_before = sa.exists().where(
    media.c.manifest == versions.c.manifest,
    media.c.home == versions.c.home,
    media.c.path == versions.c.path,
    media.c.sha256 == versions.c.sha256,
)
_AT_HOME = (
    sa.select(versions.c.path, versions.c.home)
    .where(versions.c.manifest == bindparam("b_manifest"), versions.c.tombstone_at_ns.is_(None))
    .where(sa.or_(versions.c.superseded == 0, ~_found_before))
    .where(versions.c.path.in_(bindparam("b_paths", expanding=True)))
)
_WAITING = Bulk(
    sa.select(media_queue.c.since_ns, media_queue.c.tries, _found_before, versions.c.superseded, *_ROW)
    .select_from(media_queue)
    .join(versions, IS_QUEUED)
    .where(media_queue.c.manifest == bindparam("b_manifest", type_=sa.Text))
    .order_by(media_queue.c.since_ns, media_queue.c.path, media_queue.c.home)
    .limit(bindparam("b_limit", type_=sa.Integer))
)
_COUNT = sa.select(media_queue.c.manifest, sa.func.count()).group_by(media_queue.c.manifest)
_BEGUN = Bulk(sa.update(media_queue).where(_VERSION).values(tries=media_queue.c.tries + 1))
_PUT_BACK = Bulk(sa.update(media_queue).where(_VERSION).values(tries=bindparam("b_tries", type_=sa.BigInteger)))

TAKE_OUT = Bulk(sa.delete(media_queue).where(_ENTRY))
"""For paths of which nothing is to be looked into any more."""
TAKE_CURRENT_OUT = Bulk(sa.delete(media_queue).where(_ENTRY, sa.exists().where(IS_QUEUED, versions.c.superseded == 0)))
"""For paths whose current version the owner has deleted."""
TAKE_ALL_OUT = Bulk(sa.delete(media_queue).where(media_queue.c.manifest == bindparam("b_manifest", type_=sa.Text)))
"""For a manifest that is forgotten."""
_DONE = Bulk(
    sa.delete(media_queue).where(
        _VERSION,
        media_queue.c.since_ns == bindparam("b_since_ns", type_=sa.BigInteger),
        sa.exists().where(IS_QUEUED, versions.c.sha256 == bindparam("b_sha256", type_=sa.LargeBinary)),
    )
)


class SqlQueue:
    """The first half of store/base.Media."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def queue(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> int:
        async with self._border.writing() as connection:
            put = 0
            for start in range(0, len(paths), STEP_ROWS):
                asked = {"b_manifest": name, "b_paths": list(paths[start : start + STEP_ROWS])}
                found = (await connection.execute(_AT_HOME, asked)).all()
                await _put(connection, name, [(path, home, at_ns) for path, home in found])
                put += len(found)
            return put

    async def waiting(self, name: ManifestName, limit: int) -> Sequence[ToExamine]:
        async with self._border.reading() as connection:
            found = await _WAITING.fetch(connection, {"b_manifest": name, "b_limit": limit})
            return [
                ToExamine(name, row_of(name, plain), since_ns, tries, bool(again), superseded == 0)  # type: ignore[arg-type]
                for since_ns, tries, again, superseded, *plain in found
            ]

    async def count_waiting(self) -> Mapping[ManifestName, int]:
        async with self._border.reading() as connection:
            return {ManifestName(name): count for name, count in await connection.execute(_COUNT)}

    async def begun(self, files: Sequence[ToExamine]) -> None:
        await self._change(_BEGUN, [_key(file) for file in files])

    async def put_back(self, files: Sequence[ToExamine]) -> None:
        await self._change(_PUT_BACK, [_key(file) | {"b_tries": file.tries} for file in files])

    async def drop(self, files: Sequence[ToExamine]) -> None:
        async with self._border.writing() as connection:
            await done(connection, files)

    async def _change(self, statement: Bulk, values: Sequence[Values]) -> None:
        async with self._border.writing() as connection:
            await statement.run(connection, values)


async def queue_landed(
    connection: AsyncConnection, name: ManifestName, rows: Sequence[ManifestRow], wanted: Collection[SourcePath]
) -> None:
    """Those of the rows that are wanted wait from now on, as part of the caller's transaction."""
    await _put(connection, name, [(row.path, row.home, row.landed_at_ns) for row in rows if row.path in wanted])


async def done(connection: AsyncConnection, files: Sequence[ToExamine]) -> None:
    """They wait no more, unless another content has come in their place at home meanwhile, or somebody queued them anew; as part of
    the caller's transaction."""
    values = [_key(file) | {"b_since_ns": file.waits_since_ns, "b_sha256": file.sha256} for file in files]
    await _DONE.run(connection, values)


async def _put(connection: AsyncConnection, name: ManifestName, since_ns: Sequence[tuple[SourcePath, HomePath, int]]) -> None:
    """Most are new, which is the insert alone."""
    rows = [(name, path, home, at_ns, 0) for path, home, at_ns in since_ns]
    if rows and await _PUT_MISSING.run(connection, rows) < len(rows):
        again: list[Values] = [key_values(name, path) | {"b_home": home, "b_since_ns": at_ns} for path, home, at_ns in since_ns]
        await _PUT_AGAIN.run(connection, again)


def _key(file: ToExamine) -> Values:
    return key_values(file.manifest, file.path) | {"b_home": file.home}
