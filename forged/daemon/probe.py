"""`forged probe`: looks at a box once, and finds out what a `[[target]]` for it would have to say. Writes nothing, anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from forged.config.presets import KnownFolder, known_folders
from forged.kit.clock import Clock, SystemClock
from forged.model.errors import NotSupported, SourceMissing
from forged.model.files import ListingEnd, ListingPart, Problem, ProblemKind
from forged.model.manifest import HostKeyPin, ManifestName
from forged.model.observer import Nobody
from forged.model.paths import SourcePath, source_path
from forged.model.target import HomePolicy, SourceAddress, SourceKind, SshOptions, Target, TargetName, TargetType
from forged.sources.base import Source
from forged.sources.ssh import ssh_source
from forged.sources.ways import BestWay, Memory

MOST_FILES = 200_000
"""Counted in one folder. Enough to tell a busy box from a quiet one; a tree of millions is no reason to wait."""

COUNT_S = 20.0
"""Spent on counting one folder, for the same reason."""


@dataclass(frozen=True, slots=True)
class Found:
    """One output folder. `cut` = there are more files than were counted."""

    type: TargetType
    path: str
    files: int
    size_bytes: int
    free_bytes: int | None
    """Of the disk it is on; None where the box does not tell."""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Findings:
    """What the box is like."""

    address: SourceAddress
    ssh: SshOptions
    fingerprint: str
    transport: str
    """In words for people: `ssh agent (python 3.10)`."""
    clock_skew_s: float
    """How far its clock is ahead of ours; about half a round trip is the measuring error."""
    folders: tuple[Found, ...]
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
    """One look at one box. `ssh_home`: whose .ssh is used; `known`: folders to look for when the address names none."""

    def __init__(
        self,
        address: SourceAddress,
        ssh: SshOptions,
        ssh_home: Path,
        *,
        known: Sequence[KnownFolder] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._ssh = ssh
        self._ssh_home = ssh_home
        self._known = known_folders() if known is None else known
        self._clock = clock or SystemClock()
        self._pins = FirstUse()
        self._memory = Memory()

    async def look(self) -> Findings:
        """Raises SourceError: unreachable, refused, or (NotSupported) not reached by SSH at all."""
        if self._address.kind is not SourceKind.SSH:
            raise NotSupported("only boxes reached by ssh:// can be probed", hint="write ssh://user@host:port")
        async with self._source("/") as source:
            transport, skew_s = source.capabilities.transport, await self._skew_s(source)
        candidates = self._candidates()
        found = [await self._count(kind, path) for kind, path in await self._present(candidates)]
        return Findings(
            self._address,
            self._ssh,
            self._pins.seen.fingerprint if self._pins.seen else self._ssh.host_key,
            transport,
            skew_s,
            tuple(one for one in found if one is not None),
            tuple(path for _, path in candidates),
        )

    def _source(self, path: str) -> BestWay:
        """The box, seen from a folder of its own. Its root is resolved, so a folder that is a link is found, too."""
        address = SourceAddress(SourceKind.SSH, path, self._address.host, self._address.user, self._address.port)
        target = Target(TargetName("probe"), TargetType.GENERIC, address, HomePolicy(Path("/nowhere")), self._ssh)
        return ssh_source(target, self._pins, Nobody(), self._ssh_home, memory=self._memory)

    async def _skew_s(self, source: Source) -> float:
        before_ns = self._clock.now_ns()
        theirs_ns = await source.clock_ns()
        return (theirs_ns - (before_ns + self._clock.now_ns()) / 2) / 1e9

    def _candidates(self) -> list[tuple[TargetType, str]]:
        """The folder that was named, or every known one; `/home/*` is the login's own home."""
        if self._address.path:
            return [(type_of(self._address.path), self._address.path)]
        home = f"/home/{self._address.user}" if self._address.user not in (None, "root") else None
        return [(one.type, path) for one in self._known for path in expanded(one.path, home)]

    async def _present(self, candidates: Sequence[tuple[TargetType, str]]) -> list[tuple[TargetType, str]]:
        """Those that exist."""
        tops = dict.fromkeys(top(path) for _, path in candidates)
        there = await asyncio.gather(*(self._below(one, [path for _, path in candidates if top(path) == one]) for one in tops))
        found = {path for paths in there for path in paths}
        return [candidate for candidate in candidates if candidate[1] in found]

    async def _below(self, folder: str, paths: Sequence[str]) -> list[str]:
        """Which of these exist. A folder is no regular file, so a look at one answers LINK, and VANISHED where nothing is."""
        try:
            async with self._source(folder) as source:
                asked = [path for path in paths if path != folder]
                looks = await source.look([relative(path, folder) for path in asked])
                there = [path for path, look in zip(asked, looks, strict=True) if is_folder(look)]
                return there + [path for path in paths if path == folder]
        except SourceMissing:
            return []

    async def _count(self, kind: TargetType, path: str) -> Found | None:
        """Its files and their size, as far as patience goes; None when it is no folder after all."""
        files = size_bytes = 0
        free_bytes: int | None = None
        try:
            async with self._source(path) as source, asyncio.timeout(COUNT_S):
                free_bytes = await _free_bytes(source)
                async with aclosing(source.list()) as parts:
                    async for part in parts:
                        if isinstance(part, ListingEnd):
                            return Found(kind, path, files, size_bytes, free_bytes)
                        assert isinstance(part, ListingPart)  # no digest was given
                        files += len(part.entries)
                        size_bytes += sum(entry.stat.size_bytes for entry in part.entries)
                        if files >= MOST_FILES:
                            break
        except SourceMissing:
            return None
        except TimeoutError:
            pass
        return Found(kind, path, files, size_bytes, free_bytes, cut=True)


async def _free_bytes(source: BestWay) -> int | None:
    try:
        return (await source.space()).free_bytes
    except NotSupported:
        return None


def expanded(path: str, home: str | None) -> Iterator[str]:
    """A known folder without its patterns: the login's home for `/home/*`, the plain name elsewhere."""
    if not path.startswith("/home/*/"):
        yield path.replace("*", "")
    elif home is not None:
        yield home + path.removeprefix("/home/*").replace("*", "")


def top(path: str) -> str:
    """Where the looking starts: `/workspace`, `/home/me`. It may be a link itself; below it no link is followed."""
    parts = path.split("/")
    return "/".join(parts[: 3 if parts[1] == "home" else 2])


def relative(path: str, folder: str) -> SourcePath:
    return source_path(path.removeprefix(folder).strip("/").encode("utf-8", "surrogateescape"))


def is_folder(look: object) -> bool:
    return isinstance(look, Problem) and look.kind is ProblemKind.LINK


def type_of(path: str) -> TargetType:
    """The program whose usual folder this path ends in."""
    for one in known_folders():
        if path.endswith(one.path.removeprefix("/workspace")):
            return one.type
    return TargetType.GENERIC
