"""Events to a program of the owner's: one JSON line each on its standard input, all that come together to one run of it.

    {"id": 7, "kind": "file_synced", "target": "studio", "at": "...", "key": "...", "data": {...}}

Exit status 0 says that all of them were taken, whatever of them was read; anything else that none was: then all come again, in
smaller parts, until it shows which of them it cannot take. 75 (EX_TEMPFAIL of sysexits.h) says that it can take none now, whichever
they are: then they wait. What it prints is thrown away; the end of its standard error stands in the error. It is started without a
shell, with no descriptors of ours, and what it has started itself ends with it, unless that made a session of its own.
Where the daemon is killed, the program is as well (`kit/mortal`).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from forged.ingest.base import BATCH
from forged.ingest.bodies import json_lines
from forged.ingest.surroundings import environment
from forged.kit.log_lines import clean
from forged.kit.mortal import mortal
from forged.model.errors import IngestError, IngestRefused
from forged.model.events import Event
from forged.model.settings import CommandIngest

TEMPFAIL = 75
"""EX_TEMPFAIL: "temp failure; user is invited to retry" (sysexits.h, BSD and glibc)."""

LAST_WORDS_BYTES = 2000
"""Of standard error; its end says why."""

GRACE_S = 0.5
"""For what is left in the pipe when it has ended. Whoever still holds the pipe then is somebody else."""

CHECK = "check `command`: the program's whole path, and that forged's user may run it"
HINT = "run it by hand with a line of JSON on its standard input; forged tries again by itself"


class Command:
    """A Handler. Nothing of a run is left when it is over, however it ends."""

    batch = BATCH

    def __init__(self, name: str, settings: CommandIngest) -> None:
        self.name = name
        self._settings = settings
        self._running: asyncio.SubprocessTransport | None = None

    async def deliver(self, events: Sequence[Event]) -> None:
        """Runs the program once. Raises IngestError."""
        if not events:
            return
        within_s = self._settings.timeout_s * len(events)
        transport, run = await self._started()
        self._running = transport
        try:
            run.feed(transport, json_lines(events))
            async with asyncio.timeout(within_s):
                await run.ended
            await asyncio.wait([run.silent], timeout=GRACE_S)
        except TimeoutError:
            raise self._failed(f"has not ended within {within_s:g} s", run, events) from None
        finally:
            self._running = None
            _end(transport)
            await asyncio.wait([run.ended], timeout=GRACE_S)  # killed, so at once; or it would be nobody's when the loop ends
        if status := transport.get_returncode():
            how = f"was ended by signal {-status}" if status < 0 else f"ended with exit status {status}"
            raise self._failed(how, run, () if status == TEMPFAIL else events)

    async def try_out(self) -> str:
        """Looks for the program, and for the interpreter that its first line names; runs neither."""
        return await asyncio.to_thread(self._found)

    def _found(self) -> str:
        program = self._settings.argv[0]
        path = shutil.which(program, path=environment(self.name).get("PATH"))
        if path is None:
            raise IngestRefused(f"{program} is not there, or this user may not run it", hint=CHECK)
        if (interpreter := _interpreter(path)) and not os.access(interpreter, os.X_OK):
            hint = "correct the first line of the program, or install what it names"
            raise IngestRefused(f"{path} wants to be run by {clean(interpreter, 300)}, which is not there", hint=hint)
        return f"{path} can be run"

    async def _started(self) -> tuple[asyncio.SubprocessTransport, _Run]:
        run: _Run
        try:
            surroundings = environment(self.name)
            argv = await asyncio.to_thread(mortal, self._settings.argv, surroundings.get("PATH"))
            transport, run = await asyncio.get_running_loop().subprocess_exec(
                _Run,
                *argv,
                stdout=asyncio.subprocess.DEVNULL,
                env=surroundings,
                start_new_session=True,
            )
        except (OSError, ValueError) as e:  # ValueError: a NUL in an argument
            why = getattr(e, "strerror", None) or e
            raise IngestRefused(f"{self._settings.argv[0]} cannot be started: {why}", hint=CHECK) from e
        return transport, run

    def _failed(self, how: str, run: _Run, about: Sequence[Event]) -> IngestError:
        words = clean(run.last_words.decode("utf-8", "replace").strip(), LAST_WORDS_BYTES)
        return IngestError(
            f"{self._settings.argv[0]} {how}{f': {words}' if words else ''}", hint=HINT, about=[one.id for one in about]
        )

    async def aclose(self) -> None:
        """Nothing is held between two runs; one that is under way is ended."""
        if self._running is not None:
            _end(self._running)


class _Run(asyncio.SubprocessProtocol):
    """The program at work: what it says on standard error, and when it ends."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.last_words = bytearray()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.silent: asyncio.Future[None] = loop.create_future()

    def feed(self, transport: asyncio.SubprocessTransport, lines: bytes) -> None:
        """Goes out as it is read. One that reads nothing, or only some of it, is fine."""
        pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))  # uvloop's do not inherit from it
        if not pipe.is_closing():  # it has ended already: uvloop's would raise
            pipe.write(lines)
            pipe.close()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.last_words += data
        del self.last_words[:-LAST_WORDS_BYTES]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 2 and not self.silent.done():
            self.silent.set_result(None)

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _interpreter(path: str) -> str | None:
    """What execve(2) would start for a script; None for what is none, or cannot be read. Blocks."""
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        return None
    words = first[2:].split()
    return os.fsdecode(words[0]) if first.startswith(b"#!") and words else None


def _end(transport: asyncio.SubprocessTransport) -> None:
    """Its whole process group, also when it has ended itself."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()
