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
from forged.model.manifest import ManifestName
from forged.model.media import Examined, Known, MediaInfo, MediaKind, Owed, ToExamine
from forged.model.paths import HomePath, SourcePath
from forged.store.copies import quarters
from forged.store.outbox import append
from forged.store.queue import STEP_ROWS, SqlQueue, done
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
_FORGET_PLACE = Bulk(sa.delete(media).where(_OF_HOME))
_LANDED = (
    sa.select(versions.c.path, versions.c.home, versions.c.sha256, versions.c.landed_at_ns, versions.c.size_bytes)
    .where(versions.c.manifest == bindparam("b_manifest"), versions.c.path.in_(bindparam("b_paths", expanding=True)))
    .where(versions.c.sha256.in_(bindparam("b_contents", expanding=True)))
)
_PUT_LIKENESS = Bulk(
    sa.insert(likeness).from_select(
        ["media", "quarter"], sa.select(media.c.id, bindparam("b_quarter", type_=sa.BigInteger)).where(_OF_HOME)
    )
)


class SqlMedia(SqlQueue):
    """The promises are in store/base.Media."""

    async def finish(self, examined: Sequence[Examined]) -> None:
        packed = await asyncio.to_thread(lambda: [pack(one.info) for one in examined])
        async with self._border.writing() as connection:
            for start in range(0, len(examined), STEP_ROWS):
                step = slice(start, start + STEP_ROWS)
                await _remember(connection, examined[step], packed[step])
            await done(connection, [one.file for one in examined])

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


async def _remember(connection: AsyncConnection, examined: Sequence[Examined], packed: Sequence[bytes]) -> None:
    """In the place of what was known of the same places at home, and tells it; nothing where a version was forgotten meanwhile."""
    landed = await _landed(connection, [one.file for one in examined])
    kept = [(one, info) for one, info in zip(examined, packed, strict=True) if _place(one.file) in landed]
    rows = {_place(one.file): _media_row(one, landed[_place(one.file)], info) for one, info in kept}
    await _FORGET_PLACE.run(connection, [_by_home(row) for row in rows.values()])
    if rows:
        await connection.execute(sa.insert(media), list(rows.values()))
    await _PUT_LIKENESS.run(connection, [values for row in rows.values() for values in _quarters(row)])
    await append(connection, [event for one, _ in kept for event in one.events])


_Place = tuple[str, bytes, bytes, bytes]
"""Manifest, path, home, sha256: which version."""


def _place(file: ToExamine) -> _Place:
    return file.manifest, file.path, file.home, file.sha256


async def _landed(connection: AsyncConnection, files: Sequence[ToExamine]) -> dict[_Place, tuple[int, int]]:
    """When those of these versions landed that are remembered, and their sizes."""
    landed: dict[_Place, tuple[int, int]] = {}
    for name in {file.manifest for file in files}:
        mine = [file for file in files if file.manifest == name]
        asked = {"b_manifest": name, "b_paths": [file.path for file in mine], "b_contents": [file.sha256 for file in mine]}
        for path, home, sha256, landed_at_ns, size_bytes in await connection.execute(_LANDED, asked):
            landed[name, path, home, sha256] = landed_at_ns, size_bytes
    return landed


def _media_row(one: Examined, landed: tuple[int, int], packed: bytes) -> Values:
    file, info = one.file, one.info
    landed_at_ns, size_bytes = landed
    return {
        "manifest": file.manifest,
        "path": file.path,
        "home": file.home,
        "sha256": file.sha256,
        "size_bytes": size_bytes,
        "landed_at_ns": landed_at_ns,
        "kind": info.kind.value,
        "format": info.format,
        "dhash": info.likeness.dhash,
        "pixels_sha256": info.likeness.pixels_sha256,
        "owes": _bits(one.owes),
        "examined_at_ns": one.at_ns,
        "info": packed,
    }


def _by_home(row: Values) -> Values:
    return {"b_manifest": row["manifest"], "b_path": row["path"], "b_home": row["home"]}


def _quarters(row: Values) -> list[Values]:
    dhash = row["dhash"]
    return [_by_home(row) | {"b_quarter": quarter} for quarter in quarters(dhash)] if isinstance(dhash, bytes) else []


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
