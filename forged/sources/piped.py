"""A channel to an agent that runs as a process on this machine, spoken to through its pipes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence

from forged.model.errors import SourceLost, SourceUnreachable
from forged.sources.agent import launch

READ_BYTES = 1 << 20
"""asyncio reads a pipe in pieces of up to 256 KiB; several may have come together by the time somebody reads."""

GRACE_S = 1.0
"""For a removal in progress; an idle agent goes within milliseconds."""

MAX_LAST_WORDS_BYTES = 4096


class PipedChannel:
    """The pipes of one process. A Channel; made by `started`."""

    def __init__(self, process: Process, transport: asyncio.SubprocessTransport) -> None:
        assert process.stdin and process.stdout and process.stderr
        self.process, self._transport = process, transport
        self._stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._last_words = b""
        self._listening = asyncio.create_task(self._listen(), name=f"stderr of {process.pid}")

    async def _listen(self) -> None:
        """Empties standard error, so that nobody blocks on it, and keeps its end."""
        while words := await self._stderr.read(READ_BYTES):
            self._last_words = (self._last_words + words)[-MAX_LAST_WORDS_BYTES:]

    async def read(self) -> bytes:
        return await self._stdout.read(READ_BYTES)

    async def write(self, data: bytes) -> None:
        try:
            self._stdin.write(data)
            await self._stdin.drain()
        except (BrokenPipeError, ConnectionResetError) as error:
            raise SourceLost("the agent's process ended") from error

    async def close(self) -> str:
        """Ends standard input and output, which ends the agent, and kills it if it does not go by itself."""
        self._stdin.close()
        stdout = self._transport.get_pipe_transport(1)
        if stdout is not None:
            stdout.close()  # what is never read to its end would stay open, and asyncio's wait() waits for it
        try:
            async with asyncio.timeout(GRACE_S):
                await self.process.wait()
        except TimeoutError:
            self._transport.close()  # kills it, and lets go of a standard error that its children may hold
            await self.process.wait()
        await self._listening
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            await self._stdin.wait_closed()
        return self._last_words.decode("utf-8", "replace")


async def piped_channel(python: str = sys.executable) -> PipedChannel:
    """Starts an agent on this machine. Raises SourceUnreachable when there is no such Python."""
    return await started(launch.argv(python))


async def started(argv: Sequence[str], env: Mapping[str, str] | None = None) -> PipedChannel:
    """Starts a program on this machine. Raises SourceUnreachable when there is none of that name."""
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(READ_BYTES, loop),
            *argv,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=env,
            start_new_session=True,
        )
    except OSError as error:
        raise SourceUnreachable(f"{argv[0]} cannot be started: {error.strerror}") from error
    return PipedChannel(Process(transport, protocol, loop), transport)
