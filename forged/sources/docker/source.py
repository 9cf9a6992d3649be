"""The source behind `docker://`: the agent where the container has Python, otherwise what its shell can do."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from forged.model.errors import NotSupported, SourceLost
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.observer import Observer
from forged.model.paths import SourcePath
from forged.model.removal import Removable, Removed
from forged.model.target import Target
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent import launch
from forged.sources.agent.channel import Channel
from forged.sources.agent.client import AgentSource
from forged.sources.base import Capabilities, Hashed, Notices, Source
from forged.sources.docker.channel import AGENT_HEARS, LEASE_S, SHELL_HEARS
from forged.sources.docker.container import ContainerDoor
from forged.sources.shell.client import ShellSource
from forged.sources.shell.opening import Line

NO_TOOLS_HINT = "install python3 (>= 3.6) in its image, or keep the folder on a volume and use the host's path of that as `source`"

LEASED_SHELL = """\
if (read -t 1 x; [ $? = 1 ]) </dev/null 2>/dev/null
then LC_ALL=C; export LC_ALL; while IFS= read -r -t {lease_s} x; do printf '%s\\n' "$x"; done | exec sh
else exec sh
fi"""
"""A shell that ends when it has heard nothing for so long, where `read` knows how to wait (busybox, bash; not dash)."""


def docker_source(
    target: Target, observer: Observer, environment: Callable[[], Mapping[str, str]] = lambda: os.environ
) -> DockerSource:
    """The target's source, still closed. `environment`: where DOCKER_HOST is looked up, at each opening."""
    return DockerSource(
        target.source.host, target.source.path, target.transfer.parallel_transfers, observer, target.name, environment
    )


class DockerSource:
    """A Source in a container. Opening raises what `ContainerDoor.open_channel` raises, and SourceMissing without the folder."""

    def __init__(
        self,
        container: str,
        path: str,
        max_lanes: int,
        observer: Observer,
        target: str,
        environment: Callable[[], Mapping[str, str]],
        lease_s: int = LEASE_S,
    ) -> None:
        self._path, self._max_lanes, self._lease_s = path, max_lanes, lease_s
        self._door = ContainerDoor(container, environment, observer, target)
        self._body: Source | None = None

    @property
    def body(self) -> Source:
        """What looks into the container. Raises SourceLost before this was opened."""
        if self._body is None:
            raise SourceLost("the source was not opened")
        return self._body

    @property
    def capabilities(self) -> Capabilities:
        return self.body.capabilities

    # --- life -------------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Tries one body after the other, until one finds in the container what it needs."""
        for body in self._bodies():
            try:
                await body.__aenter__()
            except NotSupported:
                continue
            self._body = body
            return self
        raise await self._nothing_works()

    def _bodies(self) -> Iterator[Source]:
        """An agent that the container's shell finds a Python for; that shell itself; and where no shell is, as in a distroless
        image, an agent by Python's plain name."""
        root, lanes = os.fsencode(self._path), self._max_lanes
        found = ("sh", "-c", launch.shell_command(self._lease_s))
        yield AgentSource(self._agent_opener(found), root, transport="docker", max_lanes=lanes)
        yield ShellSource(self._open_shell, root, transport="docker shell (no python3)", max_lanes=lanes)
        plain = launch.argv(lease_s=self._lease_s)
        yield AgentSource(self._agent_opener(plain), root, transport="docker", max_lanes=lanes)

    def _agent_opener(self, argv: Sequence[str]) -> Callable[[], Awaitable[Channel]]:
        async def open_channel() -> Channel:
            channel = await self._door.open_channel(argv)
            channel.stay(AGENT_HEARS)
            return channel

        return open_channel

    async def _open_shell(self, line: Line) -> Channel:
        channel = await self._door.open_channel(("sh", "-c", LEASED_SHELL.format(lease_s=self._lease_s)))
        channel.stay(SHELL_HEARS)
        return channel

    async def _nothing_works(self) -> NotSupported:
        """With the way out: the container's folder as the host sees it, where it does."""
        container = await self._door.look()
        here = container.here(self._path)
        hint = f"its folder is {here} on the engine's machine: use that as `source`" if here else NO_TOOLS_HINT
        return NotSupported(f"the container {container.name} has neither Python nor a shell with the tools forged needs", hint=hint)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._body is not None:
            await self._body.__aexit__(kind, error, trace)

    # --- the contract, which the body keeps ---------------------------------------------------------------------------------

    def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        return self.body.list(folders, known)

    def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        return self.body.fetch(batch, sink)

    def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        return self.body.hash(entries)

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        return await self.body.look(paths)

    async def clock_ns(self) -> int:
        return await self.body.clock_ns()

    def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        return self.body.watch(folders)

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self.body.remove(batch)

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        return await self.body.remove_unguarded(batch)

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        return await self.body.remove_empty_folders(folders)
