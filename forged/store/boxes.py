"""Boxes and alarms in SQL: small tables that are read at the start and written when something has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from forged.model.alarms import Alarm, AlarmKind
from forged.model.boxes import Box, BoxId, BoxState, KnownBox
from forged.model.events import NewEvent
from forged.model.target import SourceAddress, SourceKind
from forged.store.border import Border, Garbled, put
from forged.store.outbox import append
from forged.store.schema import alarms, boxes


class SqlBoxes:
    """The promises are in store/base.Boxes."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def known(self, discovery: str) -> Sequence[KnownBox]:
        query = sa.select(boxes).where(boxes.c.discovery == discovery).order_by(boxes.c.id)
        async with self._border.reading() as connection:
            return [_known(row) for row in await connection.execute(query)]

    async def remember(self, discovery: str, known: Sequence[KnownBox]) -> None:
        async with self._border.writing() as connection:
            await connection.execute(sa.delete(boxes).where(boxes.c.discovery == discovery))
            if known:
                await connection.execute(sa.insert(boxes), [_values(discovery, one) for one in known])

    async def keep_only(self, discoveries: Sequence[str]) -> None:
        async with self._border.writing() as connection:
            await connection.execute(sa.delete(boxes).where(boxes.c.discovery.not_in(discoveries)))


class SqlAlarms:
    """The promises are in store/base.Alarms."""

    def __init__(self, border: Border) -> None:
        self._border = border

    async def raised(self) -> Sequence[Alarm]:
        async with self._border.reading() as connection:
            return [_alarm(row) for row in await connection.execute(sa.select(alarms))]

    async def raise_(self, alarm: Alarm, events: Sequence[NewEvent]) -> None:
        async with self._border.writing() as connection:
            known = await connection.execute(sa.select(alarms).where(*_same(alarm)))
            if known.first() is None:
                values: dict[str, object] = {"kind": alarm.kind.value, "subject": alarm.subject, "since_ns": alarm.since_ns}
                await put(connection, alarms, values)
            await append(connection, events)

    async def end(self, alarm: Alarm, events: Sequence[NewEvent] = ()) -> None:
        async with self._border.writing() as connection:
            await connection.execute(sa.delete(alarms).where(*_same(alarm)))
            await append(connection, events)


def _alarm(row: sa.Row[*tuple[Any, ...]]) -> Alarm:
    """Raises Garbled."""
    try:
        return Alarm(AlarmKind(row.kind), row.subject, row.since_ns)
    except ValueError as e:
        raise Garbled(f"the alarm of {row.subject!r} is none") from e


def _same(alarm: Alarm) -> list[sa.ColumnElement[bool]]:
    return [alarms.c.kind == alarm.kind.value, alarms.c.subject == alarm.subject]


def _values(discovery: str, known: KnownBox) -> dict[str, object]:
    box = known.box
    return {
        "discovery": discovery,
        "id": box.id,
        "state": box.state.value,
        "addresses": json.dumps([[one.kind.value, one.host, one.port, one.user] for one in box.addresses]),
        "label": box.label,
        "end_ns": box.end_ns,
        "why": box.why,
        "missed": known.missed,
        "missing_since_ns": known.missing_since_ns,
        "gone_since_ns": known.gone_since_ns,
        "left_files": known.left_files,
        "left_bytes": known.left_bytes,
        "unseen": known.unseen,
    }


def _box(row: sa.Row[*tuple[Any, ...]]) -> Box:
    """Raises Garbled."""
    try:
        told = json.loads(row.addresses)
        addresses = tuple(SourceAddress(SourceKind(kind), "", host, user, port) for kind, host, port, user in told)
        return Box(BoxId(row.id), BoxState(row.state), addresses, row.label, row.end_ns, row.why)
    except (ValueError, TypeError) as e:
        raise Garbled(f"the box {row.id!r} is none") from e


def _known(row: sa.Row[*tuple[Any, ...]]) -> KnownBox:
    return KnownBox(
        _box(row),
        missed=row.missed,
        missing_since_ns=row.missing_since_ns,
        gone_since_ns=row.gone_since_ns,
        left_files=row.left_files,
        left_bytes=row.left_bytes,
        unseen=row.unseen,
    )
