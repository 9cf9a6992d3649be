"""An SSH server for one afternoon: asyncssh on the loopback interface, fresh keys, and real processes behind every command.

It stands in for the rented box's sshd in the tour and in tests. Nothing of it needs root, and nothing survives it: commands run as
the user who started it, in a session of their own, and end with their channel.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh

LOOPBACK = "127.0.0.1"

WINDOW_BYTES = 8 * 2**20
"""Both directions. On loopback any window is fast; asyncssh's own 2 MiB would only make it stop and go."""

PIECE_BYTES = 256 * 1024
"""Read and written at once; larger ones were no faster."""

PIPE_BUFFER_BYTES = 1024 * 1024
"""What asyncio holds of a command's output before it stops reading the pipe."""

KILL_AFTER_S = 1.0
"""From SIGHUP to SIGKILL for a command whose channel is gone; as long as anybody wants to wait for a demo to end."""


@dataclass(frozen=True, slots=True)
class Served:
    """Where the server answers, whom it lets in, and how it is recognised."""

    port: int
    user: str
    identity_file: Path
    fingerprint: str


@asynccontextmanager
async def serving(root: Path, keys: Path) -> AsyncIterator[Served]:
    """Serves until the block ends: commands run in `root`; `keys` gets a fresh client key, readable by its owner only."""
    host_key, client_key = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    identity_file = keys / "id_ed25519"
    write_private(identity_file, client_key.export_private_key())
    commands = Commands(root)
    server = await asyncssh.listen(
        LOOPBACK,
        0,
        server_host_keys=[host_key],
        authorized_client_keys=asyncssh.import_authorized_keys(client_key.export_public_key().decode()),
        process_factory=commands.run,
        encoding=None,
        window=WINDOW_BYTES,
        allow_pty=False,
        agent_forwarding=False,
        reuse_address=False,
    )
    try:
        yield Served(server.get_port(), "demo", identity_file, host_key.get_fingerprint())
    finally:
        server.close()
        await commands.end()
        await server.wait_closed()


def write_private(path: Path, content: bytes) -> None:
    """A file that never was readable by others, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


class Commands:
    """The processes that run behind the channels.

    The streams are pumped by hand: asyncssh's own redirection (2.24.1) to a process's pipes moved 70 MB/s, forgot to await
    `Queue.join`, and lost the connection under uvloop.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._running: set[asyncio.subprocess.Process] = set()

    async def run(self, channel: asyncssh.SSHServerProcess[bytes]) -> None:
        """One exec request: `sh -c COMMAND` as sshd would, its three streams connected to the channel's."""
        if channel.command is None:
            channel.stderr.write(b"This box runs commands only; it has no shell to sit at.\n")
            channel.exit(1)
            return
        process = await self._started(channel.command)
        self._running.add(process)
        try:
            channel.exit(await accompanied(channel, process))
        except (OSError, asyncssh.Error):
            pass  # the client has gone; there is nobody left to tell
        finally:
            await stopped(process)
            self._running.discard(process)

    async def _started(self, command: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            "/bin/sh",
            "-c",
            command,
            cwd=self._root,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=PIPE_BUFFER_BYTES,
            start_new_session=True,
        )

    async def end(self) -> None:
        """Stops what still runs."""
        await asyncio.gather(*(stopped(process) for process in tuple(self._running)))


async def accompanied(channel: asyncssh.SSHServerProcess[bytes], process: asyncio.subprocess.Process) -> int:
    """Carries all three streams until the command has ended and said everything, or the client has gone; the exit status."""
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    feeding = asyncio.ensure_future(fed(channel, process.stdin))
    gone = asyncio.ensure_future(channel.wait_closed())
    saying = asyncio.gather(carried(process.stdout, channel.stdout), carried(process.stderr, channel.stderr))
    try:
        await asyncio.wait((saying, gone), return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise asyncssh.ConnectionLost("the client has closed the channel")
        await saying
        status = await process.wait()
        return status if status >= 0 else 128 - status
    finally:
        for task in (feeding, gone, saying):
            task.cancel()
        await asyncio.gather(feeding, gone, saying, return_exceptions=True)


async def fed(channel: asyncssh.SSHServerProcess[bytes], pipe: asyncio.StreamWriter) -> None:
    """What the client sends goes to the command; the client's end of input is the command's."""
    try:
        while data := await channel.stdin.read(PIECE_BYTES):
            pipe.write(data)
            await pipe.drain()
    except (OSError, asyncssh.Error):
        pass  # the command wants no more, or the connection broke
    finally:
        pipe.close()


async def carried(pipe: asyncio.StreamReader, writer: asyncssh.SSHWriter[bytes]) -> None:
    """What the command says goes to the client, no faster than the client takes it."""
    while data := await pipe.read(PIECE_BYTES):
        writer.write(data)
        await writer.drain()


async def stopped(process: asyncio.subprocess.Process) -> None:
    """Hangs up on the command and everything it started; kills what does not listen."""
    for number in (signal.SIGHUP, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            await asyncio.wait_for(process.wait(), KILL_AFTER_S)
            return
        except ProcessLookupError:
            return
        except TimeoutError:
            continue
