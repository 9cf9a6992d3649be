"""Which files at home are equal, and which look alike, in SQL.

Equal contents are found by an index over their hashes. A picture looks like another where their dhashes differ in few of 64 bits.
Of four quarters of 16 bits, one at least then differs in one bit at most: so each picture is kept under its four quarters, and who
asks looks under each of them and under what is one bit away, 68 short walks in an index. Of a million pictures that spread evenly,
that are some thousand candidates. Where they do not (flat pictures), each walk ends after MOST_CANDIDATES.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from forged.model.manifest import ManifestName
from forged.model.media import Alike, Copy, Equals
from forged.store.border import Border
from forged.store.schema import likeness, media

QUARTERS, QUARTER_BITS = 4, 16

MOST_BITS = 6
"""Re-encoded and scaled copies differ in 1 bit at most, other pictures in 15 and more (22 pictures, 2026-11). With four quarters no
more than 7 can be found for sure."""

MOST_CANDIDATES = 500
"""Looked at for one quarter: with 68 of them 34,000 at most, a tenth of a second."""

_COPY = (media.c.manifest, media.c.path, media.c.home, media.c.sha256, media.c.size_bytes, media.c.landed_at_ns)


class SqlCopies:
    """The promises are in store/base.Copies."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def equals(self, after: bytes | None, limit: int) -> Sequence[Equals]:
        files = sa.func.count().label("files")
        query = sa.select(media.c.sha256, sa.func.max(media.c.size_bytes).label("size_bytes"), files)
        query = query.where(media.c.sha256 > (after or b"")).group_by(media.c.sha256).having(files > 1)
        async with self._border.reading() as connection:
            found = await connection.execute(query.order_by(media.c.sha256).limit(limit))
            return [Equals(row.sha256, row.size_bytes, row.files) for row in found]

    async def copies(self, sha256: bytes, after: Copy | None, limit: int) -> Sequence[Copy]:
        query = sa.select(*_COPY).where(media.c.sha256 == sha256)
        place = (media.c.manifest, media.c.landed_at_ns, media.c.home, media.c.path)
        if after is not None:
            last = (after.manifest, after.landed_at_ns, after.home, after.path)
            query = query.where(sa.tuple_(*place) > sa.tuple_(*(sa.literal(v, c.type) for v, c in zip(last, place, strict=True))))
        return await self._found(query.order_by(*place).limit(limit))

    async def firsts(self, sha256: bytes, names: Sequence[ManifestName]) -> Sequence[Copy]:
        found: list[Copy] = []
        for name in names:
            query = sa.select(*_COPY).where(media.c.sha256 == sha256, media.c.manifest == name)
            found += await self._found(query.order_by(media.c.landed_at_ns, media.c.home, media.c.path).limit(1))
        return found

    async def same_pixels(self, pixels_sha256: bytes, limit: int) -> Sequence[Copy]:
        query = sa.select(*_COPY).where(media.c.pixels_sha256 == pixels_sha256)
        return await self._found(query.order_by(media.c.id).limit(limit))

    async def alike(self, dhash: bytes, limit: int) -> Sequence[Alike]:
        ids: dict[int, int] = {}
        wanted = int.from_bytes(dhash, "big")
        async with self._border.reading() as connection:
            for quarter in _nearby(dhash):
                near = sa.select(media.c.id, media.c.dhash).join(likeness, likeness.c.media == media.c.id)
                found = await connection.execute(near.where(likeness.c.quarter == quarter).limit(MOST_CANDIDATES))
                bits = ((id, (int.from_bytes(other, "big") ^ wanted).bit_count()) for id, other in found)
                ids.update((id, count) for id, count in bits if count <= MOST_BITS)
            nearest = sorted(ids, key=lambda id: (ids[id], id))[:limit]
            rows = [(await connection.execute(sa.select(*_COPY).where(media.c.id == id))).one() for id in nearest]
        return [Alike(_copy(row), ids[id]) for row, id in zip(rows, nearest, strict=True)]

    async def _found(self, query: sa.Select[*tuple[Any, ...]]) -> list[Copy]:
        async with self._border.reading() as connection:
            return [_copy(row) for row in await connection.execute(query)]


def quarters(dhash: bytes) -> list[int]:
    """The four quarters of a dhash, each with its number before it."""
    return [number << QUARTER_BITS | int.from_bytes(dhash[2 * number : 2 * number + 2], "big") for number in range(QUARTERS)]


def _nearby(dhash: bytes) -> Iterator[int]:
    """What at least one quarter of each picture within MOST_BITS is: one of ours, or one with another bit."""
    exact = quarters(dhash)
    yield from exact
    for quarter in exact:
        yield from (quarter ^ 1 << bit for bit in range(QUARTER_BITS))


def _copy(row: sa.Row[*tuple[Any, ...]]) -> Copy:
    return Copy(ManifestName(row.manifest), row.path, row.home, row.sha256, row.size_bytes, row.landed_at_ns)
