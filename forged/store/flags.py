"""The small memories in SQL, one row for each name: pauses, holds, releases and troubles, limits, host-key pins, ids of
destinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from forged.model.manifest import Hold, HostKeyPin, ManifestName, Pause
from forged.store.border import Border, put
from forged.store.schema import destinations, holds, limits, pauses, pins, releases, troubles


class SqlFlags:
    """The promises are in store/base.Flags."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def pause(self, name: ManifestName) -> Pause | None:
        since_ns = await self._since(pauses, name)
        return None if since_ns is None else Pause(since_ns)

    async def set_pause(self, name: ManifestName, pause: Pause | None) -> None:
        await self._set_since(pauses, name, None if pause is None else pause.since_ns)

    async def released(self, name: ManifestName) -> int | None:
        return await self._since(releases, name)

    async def set_released(self, name: ManifestName, since_ns: int | None) -> None:
        await self._set_since(releases, name, since_ns)

    async def trouble(self, name: ManifestName) -> int | None:
        return await self._since(troubles, name)

    async def set_trouble(self, name: ManifestName, since_ns: int | None) -> None:
        await self._set_since(troubles, name, since_ns)

    async def hold(self, name: ManifestName) -> Hold | None:
        columns = sa.select(holds.c.reason, holds.c.message, holds.c.since_ns)
        found = await _first(self._border, columns.where(holds.c.manifest == name))
        return None if found is None else Hold(*found)

    async def set_hold(self, name: ManifestName, hold: Hold | None) -> None:
        async with self._border.writing() as connection:
            if hold is None:
                await connection.execute(sa.delete(holds).where(holds.c.manifest == name))
            else:
                values = {"reason": hold.reason, "message": hold.message, "since_ns": hold.since_ns}
                await put(connection, holds, {"manifest": name, **values})

    async def _since(self, table: sa.Table, name: ManifestName) -> int | None:
        found = await _first(self._border, sa.select(table.c.since_ns).where(table.c.manifest == name))
        return None if found is None else int(found[0])

    async def _set_since(self, table: sa.Table, name: ManifestName, since_ns: int | None) -> None:
        async with self._border.writing() as connection:
            if since_ns is None:
                await connection.execute(sa.delete(table).where(table.c.manifest == name))
            else:
                await put(connection, table, {"manifest": name, "since_ns": since_ns})


_ALL_TOGETHER = ""
"""Stands for the limit of all targets in a column that cannot be NULL; no target has this name."""


class SqlLimits:
    """The promises are in store/base.Limits."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def kept(self) -> Mapping[str | None, str]:
        async with self._border.reading() as connection:
            rows = (await connection.execute(sa.select(limits.c.target, limits.c.text).order_by(limits.c.target))).all()
        return {target or None: text for target, text in rows}

    async def keep(self, target: str | None, limit: str | None) -> None:
        name = target or _ALL_TOGETHER
        async with self._border.writing() as connection:
            if limit is None:
                await connection.execute(sa.delete(limits).where(limits.c.target == name))
            else:
                await put(connection, limits, {"target": name, "text": limit})


class SqlPins:
    """The promises are in model/manifest.PinKeeper."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def pinned(self, name: ManifestName) -> HostKeyPin | None:
        columns = sa.select(pins.c.key, pins.c.fingerprint, pins.c.pinned_at_ns)
        found = await _first(self._border, columns.where(pins.c.manifest == name))
        return None if found is None else HostKeyPin(*found)

    async def pin(self, name: ManifestName, pin: HostKeyPin) -> None:
        values = {"key": pin.key, "fingerprint": pin.fingerprint, "pinned_at_ns": pin.pinned_at_ns}
        async with self._border.writing() as connection:
            await put(connection, pins, {"manifest": name, **values})


class SqlDestinations:
    """The promises are in store/base.Destinations."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def known_id(self, dest: str) -> str | None:
        found = await _first(self._border, sa.select(destinations.c.id).where(destinations.c.dest == dest))
        return None if found is None else found[0]

    async def remember(self, dest: str, id: str) -> None:
        async with self._border.writing() as connection:
            await put(connection, destinations, {"dest": dest, "id": id})


async def _first(border: Border, query: sa.Select[*tuple[Any, ...]]) -> sa.Row[*tuple[Any, ...]] | None:
    async with border.reading() as connection:
        return (await connection.execute(query)).first()
