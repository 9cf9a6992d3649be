"""A process in a container as a `Channel`, which explains its end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Protocol

from forged.model.errors import Lacking, SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent import launch
from forged.sources.agent.wire import Kind, packed
from forged.sources.docker.session import Session

CANNOT_RUN, NOT_FOUND = 126, 127
"""Exit statuses by the custom of shells, which the engines keep (seen with podman 4.3: crun's message on standard error)."""


KILLED = 128
"""Added to the number of a signal, likewise. Docker ends what runs in a container some moments before it says that it stops."""

KILLED_HINT = "the container is being stopped, or is short of memory; forged reconnects and resumes by itself"

LACKS = {"sh": "no shell", "python3": "no python3"}
"""What a container lacks that cannot run these, in words for people."""

LEASE_S = 120
"""An agent, or a shell, that hears nothing for so long ends by itself. Podman 4.3 does not always end the standard input of a
process whose client was killed: where bytes were on their way, it forgets that process, which would wait for ever."""

STAY_S = 20.0
"""How often it hears that we are still here: five times lost on a starved machine are no reason to leave."""

AGENT_HEARS = packed(Kind.CANCEL, 0)
"""What an agent hears: a call that is not there is cancelled. Nothing answers that."""

SHELL_HEARS = b":\n"
"""What a shell hears: a command that does nothing."""


class State(Protocol):
    """A container as it is now."""

    @property
    def trouble(self) -> SourceError | None: ...


class DockerChannel:
    """A Channel to `program` in the container `name`. It owns what it was opened with (`closing`), and ends all of it.

    `now`: the container's state, None = gone.
    """

    def __init__(
        self, session: Session, now: Callable[[], Awaitable[State | None]], name: str, program: str, closing: AsyncExitStack
    ) -> None:
        self._session, self._now, self._name, self._program, self._closing = session, now, name, program, closing
        self._closed = False
        self._staying: asyncio.Task[None] | None = None

    def stay(self, hears: bytes) -> None:
        """From now on says every STAY_S that we are here, between two writes. For those to whom each write is a whole word."""
        self._staying = asyncio.create_task(self._stay(hears), name=f"staying in {self._name}")

    async def _stay(self, hears: bytes) -> None:
        with suppress(SourceLost):  # whoever reads is told as well
            while True:
                await asyncio.sleep(STAY_S)
                await self._session.write(hears)

    async def read(self) -> bytes:
        """See Channel. Raises Lacking when the container has no such program, SourceLost when it was the container that ended,
        SourceBroken for a flood of complaints."""
        data = await self._session.read()
        if not data:
            await self._explain()
        return data

    async def _explain(self) -> None:
        if self._closed:
            raise SourceLost(f"the connection to the container {self._name} was closed")
        try:
            state = await self._now()
        except SourceError as error:
            raise SourceLost(error.message, hint=error.hint) from error
        trouble = state.trouble if state is not None else SourceLost(f"the container {self._name} was removed")
        if trouble is not None:
            raise SourceLost(trouble.message, hint=trouble.hint)
        refusal = self._refusal(await self._session.status())
        if refusal is not None:
            raise refusal

    def _refusal(self, status: int | None) -> SourceError | None:
        """Why nothing came to run, or what ended it; None where it ended by itself."""
        if not status:  # it runs without us, or left because its input ended, which was none of our doing
            return SourceLost(f"the line into the container {self._name} ended", hint=KILLED_HINT)
        if status > KILLED:
            return SourceLost(f"what ran in the container {self._name} was ended by signal {status - KILLED}", hint=KILLED_HINT)
        said = self._session.stderr.decode("utf-8", "replace")
        if launch.TOO_OLD in said or "nknown option: -I" in said:
            return Lacking(f"the container {self._name} has too old a Python", lacks="no python3 from 3.6 on")
        if status == launch.NO_PYTHON_STATUS:
            return Lacking(f"the container {self._name} has no python3", lacks="no python3")
        if status in (CANNOT_RUN, NOT_FOUND):
            why = shown(self._session.stderr.strip())
            return Lacking(
                f"the container {self._name} cannot run {self._program}" + (f": {why}" if why else ""),
                lacks=LACKS.get(self._program, f"no {self._program}"),
            )
        return None

    async def write(self, data: bytes) -> None:
        """See Channel."""
        await self._session.write(data)

    async def close(self) -> str:
        """See Channel."""
        if not self._closed:
            self._closed = True
            if self._staying is not None:
                self._staying.cancel()
                await asyncio.wait([self._staying])
            await self._closing.aclose()
        return shown(self._session.stderr.strip())
