"""Shells over SSH: those that ask and list share a connection, those that bring files beside the first have one of their own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from forged.model.errors import NotSupported
from forged.sources.shell.opening import SHELL_COMMAND, Line
from forged.sources.ssh_channel import SshChannel, why_no_shell
from forged.sources.ssh_link import Link, SshDoor

MOST_SHARED = 6
"""Shells on one connection: OpenSSH allows 10 sessions unless told otherwise (MaxSessions), dropbear has no such bound."""


class _Shared:
    """A connection and how many shells are on it. The last one that goes closes it."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.shells = 0

    async def let_go(self) -> None:
        self.shells -= 1
        if not self.shells:
            await self.link.closing.aclose()


class SshShells:
    """An OpenShell."""

    def __init__(self, door: SshDoor) -> None:
        self._door = door
        self._shared: _Shared | None = None
        self._opening = asyncio.Lock()

    async def __call__(self, line: Line) -> SshChannel:
        """Raises what `SshDoor.open_link` raises, and NotSupported."""
        if line is Line.OWN:
            link = await self._door.open_link()
            async with link.closing as closing:
                return await self._door.open_session(link, SHELL_COMMAND, why_no_shell, closing)
        shared = await self._room()
        beside = shared.shells > 1
        try:
            async with AsyncExitStack() as closing:
                closing.push_async_callback(shared.let_go)
                return await self._door.open_session(shared.link, SHELL_COMMAND, why_no_shell, closing)
        except NotSupported:
            if not beside:
                raise
            return await self(Line.OWN)  # dropbear 2022.83 now and then refuses a second session that it has room for

    async def _room(self) -> _Shared:
        """A connection with room for one more, which is counted already."""
        async with self._opening:
            shared = self._shared
            if shared is None or not 0 < shared.shells < MOST_SHARED:
                shared = self._shared = _Shared(await self._door.open_link())
            shared.shells += 1
            return shared
