"""What tests of the SSH door need around a server: doors, an ssh-agent, waiting until a box is empty again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from forged.model.manifest import ManifestName
from forged.model.observer import Fact, HostKeyPinned
from forged.model.target import SourceAddress, SourceKind, SshOptions
from forged.sources.agent import launch
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.login import SshHome
from forged.sources.ssh_channel import SshChannel
from forged.sources.ssh_link import LinkSettings, SshDoor
from tests.support.sshd import Sshd

NAME = ManifestName("box")
GREETING = b"forged agent"


@dataclass(slots=True)
class Ears:
    """An observer that keeps the facts."""

    facts: list[Fact] = field(default_factory=list)

    def notice(self, fact: Fact) -> None:
        self.facts.append(fact)

    @property
    def pinned(self) -> list[HostKeyPinned]:
        return [fact for fact in self.facts if isinstance(fact, HostKeyPinned)]


def address(server: Sshd, host: str = "127.0.0.1", port: int | None = None) -> SourceAddress:
    return SourceAddress(SourceKind.SSH, "/", host, server.user, port or server.port)


def door(
    where: Sshd | SourceAddress,
    home: Path,
    ssh: SshOptions | None = None,
    *,
    pins: ForgetfulPins | None = None,
    ears: Ears | None = None,
    settings: LinkSettings | None = None,
) -> SshDoor:
    """A door with `home`/.ssh around it. To a server without options: with the server's own key."""
    if isinstance(where, Sshd):
        ssh = ssh or SshOptions(identity_file=where.identity)
        where = address(where)
    ssh_home = SshHome.of(home)
    pins = ForgetfulPins() if pins is None else pins
    return SshDoor(where, ssh or SshOptions(), pins, NAME, ssh_home, observer=ears or Ears(), target="t", settings=settings)


async def greet(channel: SshChannel) -> bytes:
    """Sends the agent's program; answers its first words."""
    await channel.write(launch.program())
    heard = b""
    while GREETING not in heard:
        more = await channel.read()
        assert more, f"the agent ended: {await channel.close()}"
        heard += more
    return heard


async def logs_in(opened: SshDoor) -> None:
    """Opens a channel and closes it: the box has let us in and runs our command."""
    await (await opened.open_channel()).close()


async def empty(server: Sshd) -> None:
    """Returns once the server runs nothing for any connection any more; fails after 5 s."""
    async with asyncio.timeout(5):
        while server.children():
            await asyncio.sleep(0.01)


@contextlib.contextmanager
def ssh_agent(folder: Path, *keys: Path) -> Iterator[str]:
    """A real ssh-agent that holds `keys`; answers its socket."""
    socket = folder / "agent.sock"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        while not socket.exists():
            assert agent.poll() is None
        for key in keys:
            add = ["ssh-add", "-q", str(key)]
            subprocess.run(add, check=True, env={**os.environ, "SSH_AUTH_SOCK": str(socket)}, capture_output=True)
        yield str(socket)
    finally:
        agent.send_signal(signal.SIGTERM)
        agent.wait(10)
