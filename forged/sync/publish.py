"""Publish: what happens to files, as events for ingest handlers. Pure; who puts them into the outbox does so in the transaction of
what they tell of."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forged.model.events import EventKind, NewEvent
from forged.model.ingest import FileBody, written
from forged.model.manifest import ManifestRow
from forged.model.media import MediaInfo
from forged.model.paths import b64_if_needed, shown
from forged.model.target import Target


def _nobody() -> bool:
    return False


def _none() -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Takers:
    """Who takes the events of a target. Asked each time: a reload may change it."""

    anybody: Callable[[], bool] = _nobody
    """Where nobody takes events, none are written."""
    required: Callable[[], Sequence[str]] = _none
    """The handlers, by name, that have to take a file before it may be removed at its source."""
    discovery: str | None = None
    """The discovery that made the target."""


def home_of(target: Target, row: ManifestRow) -> bytes:
    """The whole path of a version at home."""
    return os.path.join(os.fsencode(target.home.dest), row.home)


def key_of(target: Target, row: ManifestRow) -> str:
    """Events of one file are in order: its whole path at home, as Python reads names (PEP 383)."""
    return os.fsdecode(home_of(target, row))


def file_synced(
    target: Target,
    row: ManifestRow,
    at_ns: int,
    *,
    media: MediaInfo | None = None,
    discovery: str | None = None,
    again: bool = False,
) -> NewEvent:
    """A file is home, and whatever was to be done for it is done."""
    body = _body(target, row, media, discovery, again)
    return NewEvent(EventKind.FILE_SYNCED, target.name, at_ns, key_of(target, row), written(body))


def file_removed(target: Target, row: ManifestRow, at_ns: int, *, discovery: str | None = None) -> NewEvent:
    """Cleanup has removed a file at its source; it stays at home."""
    body = _body(target, row, None, discovery, False)
    return NewEvent(EventKind.FILE_REMOVED, target.name, at_ns, key_of(target, row), written(body))


def _body(target: Target, row: ManifestRow, media: MediaInfo | None, discovery: str | None, again: bool) -> FileBody:
    home = home_of(target, row)
    return FileBody(
        path=shown(row.path),
        home=shown(home),
        size=row.stat.size_bytes,
        sha256=row.sha256.hex(),
        mtime_ns=row.stat.mtime_ns,
        landed_at_ns=row.landed_at_ns,
        manifest=target.manifest,
        incomplete=row.incomplete,
        again=again,
        media=media,
        path_b64=b64_if_needed(row.path),
        home_b64=b64_if_needed(home),
        discovery=discovery,
    )
