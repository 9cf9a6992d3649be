"""What a handler of the owner's own looks like: the class to write, and what it is given.

    from forged import MediaEventData, MediaIngestInterface

    class Archive(MediaIngestInterface):
        async def on_file_synced(self, event: MediaEventData) -> bool:
            print(event.file_path, event.prompt)
            return True

`[[ingest]]` with `type = "python"` and `handler = "archive:Archive"` runs it in a process of its own. Every method may be missing,
and may be a plain `def`; a class need not inherit. What is not taken comes again, whole batches of it: `event.id` tells a
repetition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias

import msgspec

from forged.model.events import Event, EventKind
from forged.model.ingest import FileBody
from forged.model.media import MediaInfo

MediaEvent: TypeAlias = EventKind
"""What happened: `MediaEvent.FILE_SYNCED`, `MediaEvent.SYNC_COMPLETE` …"""

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"
"""A value of an event's body."""


class MediaEventData(msgspec.Struct, frozen=True, kw_only=True):
    """An event. What is said of a file is empty, 0 or None for events that are not about one."""

    id: int
    """Ascending, and the same when an event comes again."""
    event: MediaEvent
    target: str
    at: datetime
    """When it happened, with zone."""
    key: str
    """Events of one key come in order."""
    file_path: str = ""
    """The whole path at home; for a name that is not UTF-8 as it is opened: `open(event.file_path)` always works."""
    file_size: int = 0
    """Bytes."""
    file_hash: str = ""
    """sha256, 64 hexadecimal digits."""
    source_path: str = ""
    """Below the target's root at the source, likewise."""
    mtime: datetime | None = None
    """At the source, by its clock."""
    landed_at: datetime | None = None
    manifest: str = ""
    """Whose memory it is in: the target's name, or the id of a rented instance."""
    incomplete: bool = False
    again: bool = False
    """It was looked into again, or is brought again: nothing has landed."""
    media: MediaInfo | None = None
    """What is known of its inside; None where nobody looks into files."""
    body: Mapping[str, Json] = {}
    """All that the event says, as every other handler gets it."""

    @property
    def prompt(self) -> str | None:
        return self.media.generation.prompt if self.media and self.media.generation else None

    @property
    def seed(self) -> str | None:
        """Decimal digits: seeds go to 2^64-1."""
        return self.media.generation.seed if self.media and self.media.generation else None

    @property
    def model(self) -> str | None:
        return self.media.generation.model if self.media and self.media.generation else None


class MediaIngestInterface:
    """A handler of the owner's own; override what you need.

    `False` from a method, or an exception, says: not taken, bring it again. `True` and None say: taken.
    """

    async def on_file_synced(self, event: MediaEventData) -> bool:
        """A file is home, verified and durable."""
        return True

    async def on_batch_synced(self, events: Sequence[MediaEventData]) -> int:
        """Several of them, in order. Returns how many were taken; fewer than there are: all of them come again."""
        taken = 0
        for event in events:
            taken += await self.on_file_synced(event) is not False
        return taken

    async def on_file_removed(self, event: MediaEventData) -> bool:
        """A file was removed at its source, being safe at home, where it stays."""
        return True

    async def on_sync_complete(self, sync_id: str, summary: Mapping[str, Json]) -> bool:
        """A sync ended well. `summary` is the job, as `sync.status` shows it."""
        return True

    async def on_event(self, event: MediaEventData) -> bool:
        """Everything else: sync_failed, target_lost, target_back, instance_ending …"""
        return True

    async def close(self) -> None:
        """Nothing comes any more. It has a few seconds, if the process is ended in peace at all."""


_FILES = frozenset({EventKind.FILE_SYNCED, EventKind.FILE_REMOVED})


def event_data(event: Event) -> MediaEventData:
    """An event of the outbox as a handler of the owner's gets it. Raises msgspec.DecodeError for a body that is none."""
    raw = event.body.encode("utf-8", "replace")
    data = msgspec.json.decode(raw, type=dict[str, object])
    common = {"id": event.id, "event": event.kind, "target": event.target, "at": _time(event.at_ns), "key": event.key, "body": data}
    if event.kind not in _FILES:
        return MediaEventData(**common)  # type: ignore[arg-type]
    file = msgspec.json.decode(raw, type=FileBody)
    return MediaEventData(
        **common,  # type: ignore[arg-type]
        file_path=_path(file.home, file.home_b64),
        file_size=file.size,
        file_hash=file.sha256,
        source_path=_path(file.path, file.path_b64),
        mtime=_time(file.mtime_ns),
        landed_at=_time(file.landed_at_ns),
        manifest=file.manifest,
        incomplete=file.incomplete,
        again=file.again,
        media=file.media,
    )


def _time(at_ns: int) -> datetime:
    """To the microsecond. What no calendar knows is its nearest end."""
    try:
        return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).replace(microsecond=at_ns // 1000 % 1_000_000)
    except (ValueError, OverflowError, OSError):
        return datetime.min.replace(tzinfo=UTC) if at_ns < 0 else datetime.max.replace(tzinfo=UTC)


def _path(text: str, b64: str | None) -> str:
    """As Python names files (os.fsdecode): bytes that are not UTF-8 as half surrogates."""
    return text if b64 is None else msgspec.json.decode(f'"{b64}"', type=bytes).decode("utf-8", "surrogateescape")
