"""The manifest in SQL: what we brought home, and which versions of it there were."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from forged.kit.sql import Bulk, BulkInsert
from forged.model.events import NewEvent
from forged.model.files import Outline, Stat
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import SourcePath
from forged.store.border import Border
from forged.store.media import FORGET_ALL_INFO, FORGET_DELETED, FORGET_INFO, FORGET_REPLACED_INFO
from forged.store.outbox import append
from forged.store.queue import TAKE_ALL_OUT, TAKE_CURRENT_OUT, TAKE_OUT, queue_landed
from forged.store.rows import Values, by_name, current_row, key_values, outlines_of, row_of, stat_values
from forged.store.schema import versions

STEP_ROWS = 1_000
"""Rows that cross between the database's thread and the event loop in one go: enough that the crossing costs little, few enough
that the loop is busy with them for 3 ms only (measured on two cores with CPython 3.11)."""

_STAT = (versions.c.size_bytes, versions.c.mtime_ns, versions.c.inode, versions.c.ctime_ns, versions.c.exact_stat)
_VALUES = (
    *_STAT,
    versions.c.sha256,
    versions.c.home,
    versions.c.landed_at_ns,
    versions.c.incomplete,
    versions.c.at_source,
    versions.c.tombstone_at_ns,
    versions.c.seal,
)
_ROW = (versions.c.path, *_VALUES)


def _given(column: sa.Column[Any]) -> sa.BindParameter[Any]:
    return bindparam(f"b_{column.name}", type_=column.type)


_OF_MANIFEST = versions.c.manifest == _given(versions.c.manifest)
_OF_PATH = sa.and_(_OF_MANIFEST, versions.c.path == _given(versions.c.path))
_IS_CURRENT = versions.c.superseded == 0
_CURRENT = sa.and_(_OF_PATH, _IS_CURRENT)

# Reading. No path is empty, so "after nothing" is after the empty one.
_page = (
    sa.select(*_ROW)
    .where(_OF_MANIFEST, _IS_CURRENT, versions.c.path > bindparam("b_after", type_=sa.LargeBinary))
    .order_by(versions.c.path)
    .limit(bindparam("b_limit", type_=sa.Integer))
)
_PAGE = Bulk(_page)
_PAGE_UPTO = Bulk(_page.where(versions.c.path <= bindparam("b_upto", type_=sa.LargeBinary)))
_outline_page = (
    sa.select(versions.c.path, *_STAT)
    .where(_OF_MANIFEST, _IS_CURRENT, versions.c.at_source == AtSource.PRESENT.value)
    .where(versions.c.path > bindparam("b_after", type_=sa.LargeBinary))
    .order_by(versions.c.path)
    .limit(bindparam("b_limit", type_=sa.Integer))
)
_OUTLINES = Bulk(_outline_page)
_OUTLINES_UPTO = Bulk(_outline_page.where(versions.c.path <= bindparam("b_upto", type_=sa.LargeBinary)))
_AMONG = sa.select(*_ROW).where(_OF_MANIFEST, _IS_CURRENT, versions.c.path.in_(bindparam("b_paths", expanding=True)))
_COUNT = Bulk(sa.select(sa.func.count(), sa.func.sum(versions.c.size_bytes)).where(_OF_MANIFEST, _IS_CURRENT))

_NEWEST = 2**62
"""Rank of the current version in the history; above every number that a superseded one can have."""
_rank = sa.case((_IS_CURRENT, _NEWEST), else_=versions.c.superseded)
_HISTORY = Bulk(
    sa.select(_rank, *_ROW)
    .where(_OF_PATH, _rank < bindparam("b_before", type_=sa.BigInteger))
    .order_by(_rank.desc())
    .limit(bindparam("b_limit", type_=sa.Integer))
)
_WITH_CONTENT = Bulk(
    sa.select(*_ROW).where(_OF_PATH, versions.c.sha256 == _given(versions.c.sha256)).order_by(_rank.desc()).limit(1)
)

# Recording. The common case, a new path, is the insert alone; only where a path was known already the other version steps back.
_INSERT_MISSING = BulkInsert(versions)
_DIFFERS = sa.or_(*(c.is_distinct_from(_given(c)) for c in _VALUES))
_FORGET_REPLACED = Bulk(
    sa.delete(versions).where(_OF_PATH, versions.c.home == _given(versions.c.home), sa.or_(~_IS_CURRENT, _DIFFERS))
)
_older = versions.alias("older")
_next_number = (
    sa.select(sa.func.max(_older.c.superseded) + 1)
    .where(_older.c.manifest == versions.c.manifest, _older.c.path == versions.c.path)
    .scalar_subquery()
)
_SUPERSEDE_OTHER = Bulk(sa.update(versions).where(_CURRENT, _DIFFERS).values(superseded=_next_number))

# Changing.
_RESTAT = Bulk(
    sa.update(versions).where(_CURRENT).values({c: _given(c) for c in (*_STAT, versions.c.at_source)}),
)
_MARK = Bulk(sa.update(versions).where(_CURRENT).values(at_source=_given(versions.c.at_source)))
_ENTOMB = Bulk(
    sa.update(versions)
    .where(_CURRENT, versions.c.tombstone_at_ns.is_(None))
    .values(tombstone_at_ns=_given(versions.c.tombstone_at_ns))
)
_FORGET_CURRENT = Bulk(sa.delete(versions).where(_CURRENT))
_FORGET_OLDER = Bulk(sa.delete(versions).where(_OF_PATH))
_FORGET_ALL_CURRENT = Bulk(sa.delete(versions).where(_OF_MANIFEST, _IS_CURRENT))
_FORGET_ALL_OLDER = Bulk(sa.delete(versions).where(_OF_MANIFEST))


class SqlManifest:
    """The promises are in store/base.Rows."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def between(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[ManifestRow]:
        page = _PAGE if upto is None else _PAGE_UPTO
        asked: Values = {"b_manifest": name, "b_after": after or b"", "b_upto": upto}
        rows: list[ManifestRow] = []
        async with self._border.reading() as connection:
            while len(rows) < limit:
                size = min(STEP_ROWS, limit - len(rows))
                found = await page.fetch(connection, {**asked, "b_limit": size})
                rows.extend([row_of(name, plain) for plain in found])
                if len(found) < size:
                    break
                asked["b_after"] = rows[-1].path
        return rows

    async def outlines(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[Outline]:
        page = _OUTLINES if upto is None else _OUTLINES_UPTO
        asked: Values = {"b_manifest": name, "b_after": after or b"", "b_upto": upto, "b_limit": limit}
        async with self._border.reading() as connection:
            return outlines_of(await page.fetch(connection, asked))

    async def current(self, name: ManifestName, paths: Sequence[SourcePath]) -> Sequence[ManifestRow | None]:
        found: dict[SourcePath, ManifestRow] = {}
        async with self._border.reading() as connection:
            for start in range(0, len(paths), STEP_ROWS):
                rows = await connection.execute(_AMONG, {"b_manifest": name, "b_paths": list(paths[start : start + STEP_ROWS])})
                found.update((plain[0], row_of(name, plain)) for plain in rows)
        return [found.get(path) for path in paths]

    async def record(
        self,
        name: ManifestName,
        rows: Sequence[ManifestRow],
        events: Sequence[NewEvent] = (),
        to_examine: Collection[SourcePath] = frozenset(),
    ) -> None:
        async with self._border.writing() as connection:
            for step in _steps(rows):
                plain = [current_row(name, row) for row in step]
                if await _INSERT_MISSING.run(connection, plain) < len(plain):
                    named = [by_name(row) for row in plain]
                    await _FORGET_REPLACED.run(connection, named)
                    await _SUPERSEDE_OTHER.run(connection, named)
                    await _INSERT_MISSING.run(connection, plain)
                    await FORGET_REPLACED_INFO.run(connection, named)
                if to_examine:
                    await queue_landed(connection, name, step, to_examine)
            await append(connection, events)

    async def restat(self, name: ManifestName, seen: Sequence[tuple[SourcePath, Stat]]) -> None:
        present: Values = {"b_at_source": AtSource.PRESENT.value}
        await self._change(_RESTAT, [key_values(name, path) | stat_values(stat) | present for path, stat in seen])

    async def mark(
        self, name: ManifestName, paths: Sequence[SourcePath], at_source: AtSource, events: Sequence[NewEvent] = ()
    ) -> None:
        marked: list[Values] = [key_values(name, path) | {"b_at_source": at_source.value} for path in paths]
        await self._change(_MARK, marked, events=events)

    async def entomb(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> None:
        entombed: list[Values] = [key_values(name, path) | {"b_tombstone_at_ns": at_ns} for path in paths]
        await self._change(_ENTOMB, entombed, then=(TAKE_CURRENT_OUT, FORGET_DELETED))

    async def forget(self, name: ManifestName, paths: Sequence[SourcePath] | None = None) -> int:
        # Each path has exactly one current version, so counting those counts paths.
        if paths is None:
            then = (TAKE_ALL_OUT, FORGET_ALL_INFO, _FORGET_ALL_OLDER)
            return await self._change(_FORGET_ALL_CURRENT, [{"b_manifest": name}], then=then)
        # What was found in them goes by their homes, so it goes before them.
        meant = [key_values(name, path) for path in paths]
        return await self._change(_FORGET_CURRENT, meant, before=(FORGET_INFO, TAKE_OUT), then=(_FORGET_OLDER,))

    async def count(self, name: ManifestName) -> tuple[int, int]:
        async with self._border.reading() as connection:
            ((rows, size_bytes),) = await _COUNT.fetch(connection, {"b_manifest": name})
            return int(rows or 0), int(size_bytes or 0)

    async def history(self, name: ManifestName, path: SourcePath) -> AsyncIterator[ManifestRow]:
        asked: Values = key_values(name, path) | {"b_before": _NEWEST + 1, "b_limit": STEP_ROWS}
        while True:
            async with self._border.reading() as connection:
                found = await _HISTORY.fetch(connection, asked)
                page = [row_of(name, version) for _, *version in found]
            for row in page:
                yield row
            if len(found) < STEP_ROWS:
                return
            asked["b_before"] = found[-1][0]

    async def homes(self, name: ManifestName, path: SourcePath, sha256: bytes) -> ManifestRow | None:
        async with self._border.reading() as connection:
            found = await _WITH_CONTENT.fetch(connection, key_values(name, path) | {"b_sha256": sha256})
            return row_of(name, found[0]) if found else None

    async def _change(
        self,
        statement: Bulk,
        values: Sequence[Values],
        *,
        before: Sequence[Bulk] = (),
        then: Sequence[Bulk] = (),
        events: Sequence[NewEvent] = (),
    ) -> int:
        """Runs a statement for many rows in one transaction, and others around it for the same ones; how many it touched itself."""
        touched = 0
        async with self._border.writing() as connection:
            for start in range(0, len(values), STEP_ROWS):
                step = values[start : start + STEP_ROWS]
                for one in before:
                    await one.run(connection, step)
                touched += await statement.run(connection, step)
                for one in then:
                    await one.run(connection, step)
            await append(connection, events)
        return touched


def _steps(rows: Sequence[ManifestRow]) -> Iterator[list[ManifestRow]]:
    """Bounded steps in which no path comes twice: a statement runs over a whole step, so it must not hold two versions of one."""
    step: dict[SourcePath, ManifestRow] = {}
    for row in rows:
        if len(step) == STEP_ROWS or row.path in step:
            yield list(step.values())
            step = {}
        step[row.path] = row
    yield list(step.values())
