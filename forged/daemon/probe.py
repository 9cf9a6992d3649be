"""`forged probe`: looks at a source once, and finds out what a `[[target]]` for it would have to say. Writes nothing, anywhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from forged.config.presets import preset
from forged.daemon.bodies import Bodies, placed_source
from forged.daemon.finding import Candidate, Chosen, candidates, choose
from forged.kit.clock import Clock, SystemClock
from forged.model.errors import NotSupported, SourceMissing
from forged.model.files import ListingEnd, ListingPart, Problem
from forged.model.manifest import HostKeyPin, ManifestName
from forged.model.observer import Nobody
from forged.model.paths import source_path
from forged.model.target import HomePolicy, Selection, SourceAddress, SshOptions, Target, TargetName, TargetType
from forged.rules.selection import Selector, folder_path
from forged.sources.base import Capabilities, Source
from forged.sources.ways import PerhapsTimeless, Roomy

MOST_FILES = 200_000
"""Counted in one place. Enough to tell a busy box from a quiet one; a tree of millions is no reason to wait."""

COUNT_S = 20.0
"""Spent on counting one place, for the same reason."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one `[[target]]` would bring: the files that its type wants. `cut` = there are more than were counted."""

    type: TargetType
    path: str
    files: int
    size_bytes: int
    free_bytes: int | None = None
    """Of the disk that `path` is on; None where the source does not tell."""
    cut: bool = False
    folders: tuple[str, ...] = ()
    """Those to name in the target; empty where its type knows them, or all below `path` is wanted."""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """What the source is like."""

    address: SourceAddress
    ssh: SshOptions
    fingerprint: str | None
    """Of its host key; None for what has none."""
    capabilities: Capabilities
    clock_skew_s: float | None
    """How far its clock is ahead of ours; about half a round trip is the measuring error. None where it tells no time."""
    folders: tuple[Found, ...]
    left_out: tuple[Problem, ...]
    """Folders that are there and are in no block, and why: refused, unreadable, or the same as another one."""
    looked_at: tuple[str, ...]
    """Where folders were looked for."""


class FirstUse:
    """Host keys of this one look. The first is accepted, as `host_key="pin"` would; nothing is kept."""

    def __init__(self) -> None:
        self.seen: HostKeyPin | None = None

    async def pinned(self, name: ManifestName) -> HostKeyPin | None:
        return self.seen

    async def pin(self, name: ManifestName, pin: HostKeyPin) -> None:
        self.seen = pin


class Probe:
    """One look at one source. `ssh_home`: whose .ssh is used; `places`: where to look when the address names no path."""

    def __init__(
        self,
        address: SourceAddress,
        ssh: SshOptions,
        ssh_home: Path,
        *,
        places: Sequence[Candidate] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address, self._ssh, self._ssh_home = address, ssh, ssh_home
        self._candidates = candidates(address) if places is None or address.path else tuple(places)
        self._clock = clock or SystemClock()
        self._pins = FirstUse()
        self._bodies = Bodies(self._pins, Nobody(), ssh_home)

    async def look(self) -> Findings:
        """Raises SourceError: unreachable, refused, or (NotSupported) of a kind that this version does not reach."""
        trees = [path for candidate in self._candidates for _, path in candidate.trees]
        async with self._bodies.bare(self._target(TargetType.GENERIC, "/")) as source:
            capabilities, skew_s = source.capabilities, await self._skew_s(source)
            places = await source.resolve([os.fsencode(path) for path in trees])
        chosen, left_out = choose(self._candidates, places)
        found = [await self._count(one) for one in chosen]
        return Findings(
            self._address,
            self._ssh,
            self._fingerprint(),
            capabilities,
            skew_s,
            tuple(one for one in found if one is not None),
            left_out,
            tuple(trees),
        )

    def _fingerprint(self) -> str | None:
        if self._pins.seen is not None:
            return self._pins.seen.fingerprint
        return self._ssh.host_key if self._ssh.host_key.startswith("SHA256:") else None

    def _target(self, kind: TargetType, path: str, selection: Selection | None = None) -> Target:
        source = replace(self._address, path=path)
        return Target(
            TargetName("probe"), kind, source, HomePolicy(Path("/nowhere")), self._ssh, selection=selection or Selection()
        )

    async def _skew_s(self, source: Source) -> float | None:
        if isinstance(source, PerhapsTimeless) and not await source.tells_time():
            return None
        before_ns = self._clock.now_ns()
        theirs_ns = await source.clock_ns()
        return (theirs_ns - (before_ns + self._clock.now_ns()) / 2) / 1e9

    async def _count(self, one: Chosen) -> Found | None:
        """The files that a target would bring, as far as patience goes; None when they are not to be had after all."""
        selection = Selection(folders=one.trees, include=one.include, exclude=preset(one.type).exclude)
        target = self._target(one.type, one.path, selection)
        counted = Counted(Selector(selection))
        free_bytes = None
        try:
            async with placed_source(target, self._bodies.bare) as source, asyncio.timeout(COUNT_S):
                free_bytes = await self._free_bytes(source, target)
                await counted.count(source, one.trees)
        except SourceMissing:
            return None
        except TimeoutError:
            counted.cut = True
        return Found(
            one.type, one.path, counted.files, counted.size_bytes, free_bytes, counted.cut, one.folders_to_name, one.include
        )

    async def _free_bytes(self, source: Source, target: Target) -> int | None:
        """Of the open source, or where a coat hides that, of one more."""
        if not target.selection.folders or isinstance(source, Roomy):
            return await _free_bytes(source)
        async with self._bodies.bare(target) as bare:
            return await _free_bytes(bare)


async def _free_bytes(source: Source) -> int | None:
    try:
        return (await source.space()).free_bytes if isinstance(source, Roomy) else None
    except NotSupported:  # reached in a way that cannot tell
        return None


class Counted:
    """What a listing has of wanted files."""

    def __init__(self, selector: Selector) -> None:
        self._selector = selector
        self.files = self.size_bytes = 0
        self.cut = False

    async def count(self, source: Source, folders: Sequence[str]) -> None:
        """Up to `MOST_FILES` of them."""
        async with aclosing(source.list([source_path(folder_path(folder)) for folder in folders])) as parts:
            async for part in parts:
                if isinstance(part, ListingEnd):
                    return
                assert isinstance(part, ListingPart)  # no digest was given
                wanted = [entry for entry in part.entries if self._selector.wants(entry)]
                self.files += len(wanted)
                self.size_bytes += sum(entry.stat.size_bytes for entry in wanted)
                if self.files >= MOST_FILES:
                    self.cut = True
                    return
