"""The source behind `docker://`: the agent where the container has Python, otherwise what its shell can do.

Files of a container without Python come through its shell as well, not through the engine's own way of copying (`archive`): that
brought one large file three times as fast (301 and 102 MiB/s), but small ones twenty times slower (5 and 99 files/s; podman 4.3,
300 KB each, on a busy machine), follows links in folders on the way, and would be one more format to be read from a hostile place.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Self

from forged.model.errors import Lacking, NotSupported
from forged.model.observer import Observer
from forged.model.target import Target
from forged.sources.agent import launch
from forged.sources.agent.channel import Channel
from forged.sources.agent.client import AgentSource
from forged.sources.docker.channel import AGENT_HEARS, LEASE_S, SHELL_HEARS
from forged.sources.docker.container import ContainerDoor
from forged.sources.shell.client import ShellSource
from forged.sources.shell.opening import Line, OpenShell
from forged.sources.ways import BestWay, Memory, Way

NO_TOOLS_HINT = "install python3 (>= 3.6) in its image, or keep the folder on a volume and use the host's path of that as `source`"

LEASED_SHELL = """\
if (read -t 1 x; [ $? = 1 ]) </dev/null 2>/dev/null
then LC_ALL=C; export LC_ALL; while IFS= read -r -t {lease_s} x; do printf '%s\\n' "$x"; done | exec sh
else exec sh
fi"""
"""A shell that ends when it has heard nothing for so long, where `read` knows how to wait (busybox, bash; not dash)."""


def docker_source(target: Target, observer: Observer, memory: Memory | None = None) -> DockerSource:
    """The target's source, still closed. `memory`: which way into it was found, kept by whoever opens it more than once."""
    door = ContainerDoor(target.source.host, lambda: os.environ, observer, target.name)
    return DockerSource(door, target.source.path, target.transfer.parallel_transfers, memory)


class DockerSource(BestWay):
    """A Source in a container. Opening raises what `ContainerDoor.open_channel` raises, NotSupported where there is no way to look
    into it, and SourceMissing without the folder. `path`: absolute in the container."""

    def __init__(
        self, door: ContainerDoor, path: str, max_lanes: int, memory: Memory | None = None, lease_s: int = LEASE_S
    ) -> None:
        super().__init__(ways(door, os.fsencode(path), max_lanes, lease_s), memory or Memory())
        self._door, self._path = door, path

    async def __aenter__(self) -> Self:
        try:
            return await super().__aenter__()
        except NotSupported as error:
            if not isinstance(error.__cause__, Lacking):
                raise
            raise NotSupported(error.message, hint=await self._way_out()) from error

    async def _way_out(self) -> str:
        """The container's folder as the host sees it, where it does."""
        here = (await self._door.look()).here(self._path)
        return f"its folder is {here} on the engine's machine: use that as `source`" if here else NO_TOOLS_HINT


def ways(door: ContainerDoor, root: bytes, lanes: int, lease_s: int) -> tuple[Way, ...]:
    """An agent that the container's shell finds a Python for; that shell itself; and where no shell is, as in a distroless image,
    an agent by Python's plain name."""
    found = _agents(door, ("sh", "-c", launch.shell_command(lease_s)))
    plain = _agents(door, launch.argv(lease_s=lease_s))
    shells = _shells(door, ("sh", "-c", LEASED_SHELL.format(lease_s=lease_s)))
    return (
        lambda: AgentSource(found, root, transport="docker", max_lanes=lanes),
        lambda: ShellSource(shells, root, transport="docker shell", max_lanes=lanes),
        lambda: AgentSource(plain, root, transport="docker", max_lanes=lanes),
    )


def _agents(door: ContainerDoor, argv: Sequence[str]) -> Callable[[], Awaitable[Channel]]:
    async def open_channel() -> Channel:
        channel = await door.open_channel(argv)
        channel.stay(AGENT_HEARS)
        return channel

    return open_channel


def _shells(door: ContainerDoor, argv: Sequence[str]) -> OpenShell:
    async def open_shell(line: Line) -> Channel:
        channel = await door.open_channel(argv)
        channel.stay(SHELL_HEARS)
        return channel

    return open_shell
