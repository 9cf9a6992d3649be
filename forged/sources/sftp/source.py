"""The source behind `sftp://`, and behind `ssh://` where a box runs no programs: what SFTP version 3 can do, and no more.

No hash at the source, so no comparison of both ends; no watch; times in whole seconds, no inode, no ctime; no clock of its own
(`clock` says what is made of that). Files are removed only without a guard, for owners who accept that.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from forged.model.errors import NotSupported
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.manifest import PinKeeper
from forged.model.observer import Observer
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.target import Target
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.lanes import Lanes
from forged.sources.agent.listing import outermost
from forged.sources.base import SILENCE_LIMIT_S, Capabilities, Hashed, Notices
from forged.sources.login import SshHome
from forged.sources.sftp.channel import OpenLink
from forged.sources.sftp.clock import clock_ns, told_clock_ns
from forged.sources.sftp.lane import Root, SftpLane, open_sftp_lane
from forged.sources.sftp.listing import Walk, resolve_root
from forged.sources.sftp.look import looked, placed
from forged.sources.sftp.removal import folders_removed, removed
from forged.sources.ssh_link import LinkSettings, SshDoor

LOOKS_AT_ONCE = 256
"""Files looked at in one go: 5,000 a second at 50 ms."""

NO_GUARD_HINT = "where nobody else writes to old files: unguarded = true"


def sftp_source(
    target: Target, pins: PinKeeper, observer: Observer, home: Path, settings: LinkSettings | None = None
) -> SftpSource:
    """The target's source, still closed. `home`: whose .ssh is used; `pins`: where host keys are remembered.

    Opens one connection, and up to `parallel_transfers` while much waits to be fetched. Opening raises what `SshDoor.open_link`
    raises, NotSupported where the box has no SFTP server, and SourceMissing when the path does not exist on it.
    """
    ssh_home = SshHome.of(home)
    door = SshDoor(
        target.source, target.ssh, pins, target.manifest, ssh_home, observer=observer, target=target.name, settings=settings
    )
    return SftpSource(door.open_link, os.fsencode(target.source.path), max_lanes=target.transfer.parallel_transfers)


class SftpSource:
    """A source behind an SFTP server. Keeps the promises of `base.Source`; once lost or broken it stays so: open a new one.

    `open_link` opens a connection: once when the source opens, and up to `max_lanes` times while much waits to be fetched, by the
    same rule as agents (`agent.growth`): what is full or not on a line is its TCP connections, whoever sits at the other end.
    `root` is absolute; `transport` is a word for people.
    """

    def __init__(
        self,
        open_link: OpenLink,
        root: bytes,
        *,
        transport: str = "sftp",
        max_lanes: int = 1,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self._transport, shared_root = transport, Root(root)

        async def opened(name: str) -> SftpLane:
            return await open_sftp_lane(open_link, shared_root, name, silence_limit_s)

        self._lanes = Lanes(opened, max_lanes, hashes=False)

    @property
    def capabilities(self) -> Capabilities:
        _ = self._lanes.first
        return Capabilities(self._transport, hashing=False, guarded_removal=False, watching=False, unguarded_removal=True)

    async def __aenter__(self) -> Self:
        """Raises NotSupported, SourceMissing, SourceError."""
        await self._lanes.open()
        try:
            asked_s = time.monotonic()
            await resolve_root(self._lanes.first)
            self._lanes.answered((time.monotonic() - asked_s) / 2)
        except BaseException:
            await self._lanes.close()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._lanes.close()

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        lane = self._lanes.first
        await resolve_root(lane)
        began_ns = await self.clock_ns()
        walk = Walk(lane, outermost(folders))
        async with aclosing(walk.parts()) as parts:
            async for part in parts:
                yield part
        yield ListingEnd(walk.entries, began_ns)

    def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        return self._lanes.fetch(batch, sink)

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        yield _refused("SFTP cannot hash")

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        lane, looks = self._lanes.first, list[Stat | Problem]()
        for start in range(0, len(paths), LOOKS_AT_ONCE):
            looks += await asyncio.gather(*(looked(lane, path) for path in paths[start : start + LOOKS_AT_ONCE]))
        return looks

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        return await asyncio.gather(*(placed(self._lanes.first, folder) for folder in folders))

    async def clock_ns(self) -> int:
        return await clock_ns(self._lanes.first, time.time_ns)

    async def tells_time(self) -> bool:
        """Whether `clock_ns` is the box's own word, and not ours with a doubt."""
        return await told_clock_ns(self._lanes.first) is not None

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        yield _refused("SFTP cannot watch")

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        _refused("SFTP cannot compare and remove in one step", NO_GUARD_HINT)

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await removed(self._lanes.first, batch)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        return await folders_removed(self._lanes.first, folders)


def _refused(what: str, hint: str = "") -> NoReturn:
    raise NotSupported(what, hint=hint)
