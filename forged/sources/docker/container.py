"""One container: a name becomes a container that runs, and processes begin in it."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiodocker import Docker, DockerError
from aiodocker.execs import Exec

from forged.model.errors import SourceError, SourceUnreachable
from forged.model.observer import ConnectionClosed, ConnectionOpened, Observer
from forged.sources.docker.channel import DockerChannel
from forged.sources.docker.engine import ANSWER_S, NEWS_HINT, agree, engine, engine_url, in_our_words, told_by, translated
from forged.sources.docker.session import open_session

NO_SUCH = 404
CONFLICT = 409
"""What the engine answers about a container that does not run (API 1.41, ContainerExec)."""

MOST_NAMES = 3
"""Names shown to somebody who may have mistyped one."""

ALIKE = 0.6
"""difflib's own bound for words that look alike."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the engine's machine that a container sees."""

    there: str
    """Where the container sees it."""
    here: str
    """Where it is on the engine's machine."""


@dataclass(frozen=True, slots=True)
class Container:
    """What the engine says about one container now."""

    id: str
    name: str
    status: str
    """created, running, paused, restarting, removing, exited or dead (API 1.41)."""
    mounts: tuple[Mount, ...] = ()

    @classmethod
    def parsed(cls, told: Mapping[str, Any], name: str) -> Container:
        """From ContainerInspect's answer, which also holds the container's secrets: nothing else of it is kept.

        Raises SourceUnreachable when it is none.
        """
        try:
            mounts = [Mount(str(mount["Destination"]), str(mount["Source"])) for mount in told.get("Mounts") or ()]
            return cls(str(told["Id"]), name, str(told["State"]["Status"]), tuple(mounts))
        except (KeyError, TypeError, AttributeError) as error:
            raise SourceUnreachable(f"the engine does not say how the container {name} is", hint=NEWS_HINT) from error

    @property
    def trouble(self) -> SourceError | None:
        """Why nothing can be begun in it; None while it runs."""
        match self.status:
            case "running":
                return None
            case "paused":
                hint = f"`docker unpause {self.name}`; forged keeps trying"
                return SourceUnreachable(f"the container {self.name} is paused", hint=hint)
            case "restarting":
                hint = f"if it goes on: `docker logs {self.name}` says why it ends again and again"
                return SourceUnreachable(f"the container {self.name} is restarting", hint=hint)
        hint = f"`docker start {self.name}`; forged keeps trying"
        return SourceUnreachable(f"the container {self.name} is not running ({told_by(self.status)})", hint=hint)

    def here(self, path: str) -> str | None:
        """Where the engine's own machine has this path of the container, if it lies on a volume or a bind mount."""
        for mount in sorted(self.mounts, key=lambda mount: len(mount.there), reverse=True):
            there = mount.there.rstrip("/")
            if path == there or path.startswith(f"{there}/"):
                return mount.here.rstrip("/") + path[len(there) :]
        return None


class ContainerDoor:
    """Begins processes in one container, for one source. The name is looked up at the first opening; whoever opens the source
    again brings a new door, which then finds a container that was made anew under this name."""

    def __init__(self, name: str, environment: Callable[[], Mapping[str, str]], observer: Observer, target: str = "") -> None:
        self._name, self._environment, self._observer, self._target = name, environment, observer, target
        self._found: Container | None = None

    async def open_channel(self, argv: Sequence[str]) -> DockerChannel:
        """A channel to a new process. It runs as the container's own user, who owns the files.

        Raises SourceUnreachable (no engine, no such container, or it does not run), AuthRefused, NotSupported.
        """
        async with self._engine() as (url, client, stack):
            container = await self._running(client, url)
            process = await self._prepared(client, url, container, argv)
            session = await open_session(url, process)
            self._observer.notice(ConnectionOpened(self._target))
            stack.callback(self._observer.notice, ConnectionClosed(self._target))
            stack.push_async_callback(session.close)
            return DockerChannel(session, lambda: self._now(client, url), self._name, argv[0], stack.pop_all())

    async def look(self) -> Container:
        """The container as it is now, running or not. Raises SourceError."""
        async with self._engine() as (url, client, _):
            return await self._seen(client, url, self._name)

    @asynccontextmanager
    async def _engine(self) -> AsyncIterator[tuple[str, Docker, AsyncExitStack]]:
        """A client, which the stack owns. All that is asked within has ANSWER_S."""
        url = engine_url(self._environment())
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(engine(url))
            async with in_our_words(url), asyncio.timeout(ANSWER_S):
                await agree(client)
                yield url, client, stack

    # --- finding it -------------------------------------------------------------------------------------------------------

    async def _running(self, client: Docker, url: str) -> Container:
        container = await self._seen(client, url, self._found.id if self._found else self._name)
        if container.trouble is not None:
            raise container.trouble
        self._found = container
        return container

    async def _seen(self, client: Docker, url: str, which: str) -> Container:
        try:
            told = await client.containers.get(which)
        except DockerError as error:
            if error.status == NO_SUCH:
                raise await self._unknown(client) from error
            raise translated(error, url) from error
        return Container.parsed(told._container, self._name)

    async def _unknown(self, client: Docker) -> SourceError:
        names = [name.strip("/") for one in await client.containers.list(all="true") for name in one._container.get("Names", ())]
        close = alike(self._name, names)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        return SourceUnreachable(
            f"there is no container called {self._name}", hint=f"{hint}`docker ps -a` lists all; forged keeps trying"
        )

    async def _prepared(self, client: Docker, url: str, container: Container, argv: Sequence[str]) -> Exec:
        try:
            return await client.containers.container(container.id).exec(argv, stdin=True)
        except DockerError as error:
            if error.status in (NO_SUCH, CONFLICT):  # meanwhile
                raise SourceUnreachable(f"the container {self._name} stopped just now: {told_by(error.message)}") from error
            raise translated(error, url) from error

    async def _now(self, client: Docker, url: str) -> Container | None:
        """How the container is after something in it has ended; None when it is gone."""
        assert self._found is not None
        async with in_our_words(url), asyncio.timeout(ANSWER_S):
            try:
                return Container.parsed((await client.containers.get(self._found.id))._container, self._name)
            except DockerError as error:
                if error.status == NO_SUCH:
                    return None
                raise


def alike(name: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that somebody who wrote `name` may have meant: `comfyui` for `ai-comfyui-1`, which compose makes of it."""
    holding = [one for one in sorted(names) if name.lower() in one.lower() or one.lower() in name.lower()]
    return list(dict.fromkeys([*holding, *difflib.get_close_matches(name, names, MOST_NAMES, ALIKE)]))[:MOST_NAMES]
