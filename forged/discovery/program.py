"""Running a program for what it prints: bounded in bytes and time, without a shell, and ended with all that it started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from forged.kit.mortal import mortal

GRACE_S = 1.0
"""For what a program has left in the pipe when it ends. Whoever still holds the pipe then is somebody else."""

LAST_WORDS_BYTES = 2000
"""Of standard error; its end says why."""


class ProgramFailure(Exception):
    """It did not run to its end, or not as it should. The message says how, in words for people."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a program left when it had ended."""

    status: int
    """As subprocess has it: negative = the signal that ended it."""
    stdout: bytes
    last_words: bytes
    """The end of standard error."""


class _Ears(asyncio.SubprocessProtocol):
    """Hears both pipes and the end of the program."""

    def __init__(self, most_bytes: int) -> None:
        loop = asyncio.get_running_loop()
        self._most_bytes = most_bytes
        self.stdout, self.last_words = bytearray(), bytearray()
        self.too_much: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.last_words += data
            del self.last_words[:-LAST_WORDS_BYTES]
        elif len(self.stdout) + len(data) > self._most_bytes:
            _done(self.too_much)
        else:
            self.stdout += data

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if 1 not in self._open:  # standard error may be held by a daemon that it started; nobody waits for that
            _done(self.silent)

    def process_exited(self) -> None:
        _done(self.ended)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def printed(argv: Sequence[str], *, within_s: float, most_bytes: int) -> Printed:
    """Runs `argv` with an empty standard input and our environment. Raises ProgramFailure; nothing of it runs on afterwards,
    also where we are killed meanwhile (`kit/mortal`).

    What it started in the background goes with it, unless that made a session of its own.
    """
    ears: _Ears
    try:
        command = await asyncio.to_thread(mortal, argv)
        transport, ears = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Ears(most_bytes), *command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument
        raise ProgramFailure(f"it cannot be started: {getattr(error, 'strerror', None) or error}") from None
    try:
        async with asyncio.timeout(within_s):
            await _heard(ears)
    except TimeoutError:
        raise ProgramFailure(f"it has not ended within {within_s:g} s") from None
    finally:
        _end(transport)
    status = transport.get_returncode()
    assert status is not None  # `ended` came first
    return Printed(status, bytes(ears.stdout), bytes(ears.last_words))


async def _heard(ears: _Ears) -> None:
    """Until it has ended and its output has, too."""
    await asyncio.wait((ears.ended, ears.too_much), return_when=asyncio.FIRST_COMPLETED)
    if not ears.too_much.done():
        await asyncio.wait((ears.silent, ears.too_much), timeout=GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    if ears.too_much.done():
        raise ProgramFailure("it prints without end, or far too much")
    if not ears.silent.done():
        raise ProgramFailure("it has ended, but something that it started still holds its output open")


def _end(transport: asyncio.SubprocessTransport) -> None:
    """Its whole session, also when it has ended itself: what runs on would run on every minute anew."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()
