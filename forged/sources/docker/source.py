"""The source behind `docker://`: the agent where the container has Python, otherwise what its shell can do."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
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
from forged.sources.docker.channel import LEASE_S, NothingToRun
from forged.sources.docker.container import ContainerDoor

NO_TOOLS_HINT = "install python3 (>= 3.6) in its image, or keep the folder on a volume and use the host's path of that as `source`"


def docker_source(
    target: Target, observer: Observer, environment: Callable[[], Mapping[str, str]] = lambda: os.environ
) -> DockerSource:
    """The target's source, still closed. `environment`: where DOCKER_HOST is looked up, at each opening."""
    return DockerSource(
        target.source.host, target.source.path, target.transfer.parallel_transfers, observer, target.name, environment
    )


def agents(lease_s: int) -> tuple[Sequence[str], ...]:
    """How an agent may come to run: through a shell, which looks for Python in several places, or by Python's plain name, where
    there is no shell, as in a distroless image."""
    return (("sh", "-c", launch.shell_command(lease_s)), launch.argv(lease_s=lease_s))


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
        for argv in agents(self._lease_s):
            body = self._agent(argv)
            try:
                await body.__aenter__()
            except NothingToRun:
                continue
            self._body = body
            return self
        raise await self._nothing_works()

    def _agent(self, argv: Sequence[str]) -> AgentSource:
        return AgentSource(self._opener(argv), os.fsencode(self._path), transport="docker", max_lanes=self._max_lanes)

    def _opener(self, argv: Sequence[str]) -> Callable[[], Awaitable[Channel]]:
        async def open_channel() -> Channel:
            channel = await self._door.open_channel(argv)
            channel.stay()
            return channel

        return open_channel

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
