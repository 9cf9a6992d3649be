"""What was found in the files at home, in SQL."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.kit.sql import Bulk
from forged.model.events import NewEvent
from forged.model.manifest import ManifestName
from forged.model.media import Examined, Known, MediaInfo, MediaKind, Owed
from forged.model.paths import HomePath, SourcePath
from forged.store.copies import quarters
from forged.store.outbox import append
from forged.store.queue import SqlQueue, done
from forged.store.rows import Values, key_values
from forged.store.schema import likeness, media, versions

_BITS = MappingProxyType({Owed.SIDECAR: 1, Owed.LINK: 2})
"""How what is owed is written down."""

MOST_INFO_BYTES = 64 << 20
"""An info that unpacks to more is none of ours: blocks are bounded when they are read."""

_DAMAGED = "what was remembered of it is damaged: `forgectl media rerun` looks again"

_OF_PATH = sa.and_(
    media.c.manifest == bindparam("b_manifest", type_=sa.Text), media.c.path == bindparam("b_path", type_=sa.LargeBinary)
)
_homes = sa.select(versions.c.home).where(
    versions.c.manifest == bindparam("b_manifest", type_=sa.Text), versions.c.path == bindparam("b_path", type_=sa.LargeBinary)
)

FORGET_INFO = Bulk(sa.delete(media).where(_OF_PATH, media.c.home.in_(_homes)))
"""For paths whose versions are about to be forgotten."""
FORGET_ALL_INFO = Bulk(sa.delete(media).where(media.c.manifest == bindparam("b_manifest", type_=sa.Text)))
FORGET_DELETED = Bulk(sa.delete(media).where(_OF_PATH, media.c.home.in_(_homes.where(versions.c.superseded == 0))))
"""For paths whose current version the owner has deleted."""
FORGET_REPLACED_INFO = Bulk(
    sa.delete(media).where(
        _OF_PATH,
        media.c.home == bindparam("b_home", type_=sa.LargeBinary),
        media.c.sha256 != bindparam("b_sha256", type_=sa.LargeBinary),
    )
)
"""For rows that may have come in the place of other contents."""

_KNOWN = sa.select(
    media.c.manifest, media.c.path, media.c.home, media.c.sha256, media.c.examined_at_ns, media.c.owes, media.c.kind, media.c.info
)


_OF_HOME = sa.and_(_OF_PATH, media.c.home == bindparam("b_home", type_=sa.LargeBinary))
_PAID = Bulk(
    sa.update(media)
    .where(_OF_HOME, media.c.sha256 == bindparam("b_sha256", type_=sa.LargeBinary))
    .values(owes=media.c.owes.op("&")(bindparam("b_left", type_=sa.BigInteger)))
)


class SqlMedia(SqlQueue):
    """The promises are in store/base.Media."""

    async def finish(self, examined: Sequence[Examined], events: Sequence[NewEvent] = ()) -> None:
        packed = await asyncio.to_thread(lambda: [pack(one.info) for one in examined])
        async with self._border.writing() as connection:
            for one, info in zip(examined, packed, strict=True):
                await _remember(connection, one, info)
            await done(connection, [one.file for one in examined])
            await append(connection, events)

    async def info(self, name: ManifestName, path: SourcePath) -> Known | None:
        current = sa.and_(
            versions.c.manifest == media.c.manifest,
            versions.c.path == media.c.path,
            versions.c.superseded == 0,
            versions.c.home == media.c.home,
            versions.c.sha256 == media.c.sha256,
        )
        query = _KNOWN.join(versions, current).where(versions.c.manifest == name, versions.c.path == path)
        return next(iter(await self._found(query)), None)

    async def of_home(self, name: ManifestName, home: HomePath, limit: int = 10) -> Sequence[Known]:
        query = _KNOWN.where(media.c.manifest == name, media.c.home == home)
        return await self._found(query.order_by(media.c.landed_at_ns.desc(), media.c.path).limit(limit))

    async def owing(self, name: ManifestName, what: Owed, after: Known | None, limit: int) -> Sequence[Known]:
        query = _KNOWN.where(media.c.manifest == name, media.c.owes != 0, media.c.owes.op("&")(_BITS[what]) != 0)
        if after is not None:
            behind = sa.and_(media.c.home == after.home, media.c.path > after.path)
            query = query.where(sa.or_(media.c.home > after.home, behind))
        return await self._found(query.order_by(media.c.home, media.c.path).limit(limit))

    async def paid(self, known: Sequence[Known], what: Owed) -> None:
        values: list[Values] = [
            key_values(one.manifest, one.path) | {"b_home": one.home, "b_sha256": one.sha256, "b_left": ~_BITS[what]}
            for one in known
        ]
        async with self._border.writing() as connection:
            await _PAID.run(connection, values)

    async def _found(self, query: sa.Select[*tuple[Any, ...]]) -> list[Known]:
        async with self._border.reading() as connection:
            rows = (await connection.execute(query)).all()
        return await asyncio.to_thread(lambda: [_known(row) for row in rows])


async def _remember(connection: AsyncConnection, one: Examined, packed: bytes) -> None:
    """In the place of what was known of the same place at home; nothing where the version was forgotten meanwhile."""
    file, info = one.file, one.info
    same = (versions.c.manifest == file.manifest, versions.c.path == file.path, versions.c.home == file.home)
    version = sa.select(versions.c.landed_at_ns, versions.c.size_bytes).where(*same, versions.c.sha256 == file.sha256).limit(1)
    landed = (await connection.execute(version)).first()
    if landed is None:
        return
    before = (media.c.manifest == file.manifest, media.c.path == file.path, media.c.home == file.home)
    await connection.execute(sa.delete(media).where(*before))
    values = {
        "manifest": file.manifest,
        "path": file.path,
        "home": file.home,
        "sha256": file.sha256,
        "size_bytes": landed.size_bytes,
        "landed_at_ns": landed.landed_at_ns,
        "kind": info.kind.value,
        "format": info.format,
        "dhash": info.likeness.dhash,
        "pixels_sha256": info.likeness.pixels_sha256,
        "owes": _bits(one.owes),
        "examined_at_ns": one.at_ns,
        "info": packed,
    }
    made = await connection.execute(sa.insert(media).values(values))
    if info.likeness.dhash is not None and made.inserted_primary_key is not None:
        id = made.inserted_primary_key[0]
        rows = [{"media": id, "quarter": quarter} for quarter in quarters(info.likeness.dhash)]
        await connection.execute(sa.insert(likeness), rows)


def pack(info: MediaInfo) -> bytes:
    """As it is kept. ComfyUI's graphs shrink to a fifth and less."""
    return zlib.compress(msgspec.json.encode(info))


def unpack(packed: bytes) -> MediaInfo | None:
    """None where these are not the bytes that `pack` made."""
    try:
        unpacking = zlib.decompressobj()
        text = unpacking.decompress(packed, MOST_INFO_BYTES)
        return msgspec.json.decode(text, type=MediaInfo) if unpacking.eof else None
    except (zlib.error, msgspec.MsgspecError):
        return None


def _known(row: sa.Row[*tuple[Any, ...]]) -> Known:
    info = unpack(row.info) or MediaInfo(MediaKind.OTHER, "", problems=(_DAMAGED,))
    return Known(ManifestName(row.manifest), row.path, row.home, row.sha256, row.examined_at_ns, _owed(row.owes), info)


def _bits(owes: Iterable[Owed]) -> int:
    return sum(_BITS[one] for one in owes)


def _owed(bits: int) -> frozenset[Owed]:
    return frozenset(one for one, bit in _BITS.items() if bits & bit)
