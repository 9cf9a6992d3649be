"""Events to a class of the owner's, in a process of its own: started when there is something to bring, and ended after any failure.

It may raise, block, exit, print without end or fork: the daemon loses no more than that process. The class: ingest/interface; what
runs there: ingest/python_worker.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from forged.ingest.base import BATCH
from forged.ingest.python_letters import LENGTH_BYTES, MOST_ANSWER_BYTES, Answered, Asked, Letter, Opening, framed
from forged.ingest.surroundings import environment
from forged.kit.child import started
from forged.kit.log_lines import clean
from forged.model.errors import IngestError, IngestRefused
from forged.model.events import Event, EventId
from forged.model.settings import PythonIngest

WORKER = "forged.ingest.python_worker"

START_S = 60.0
"""For starting, and importing what the class imports; chosen, not measured."""

CLOSE_S = 5.0
"""For `close()` of the class."""

GRACE_S = 2.0
"""For the last words in the pipe of a process that has ended."""

LAST_WORDS_BYTES = 2000

HINT = "forged starts it anew and tries again by itself; a class is loaded anew with it"


class Python:
    """A Handler. Make and use it in the thread that lasts as long as the program: the kernel kills the process with it."""

    batch = BATCH

    def __init__(self, name: str, settings: PythonIngest) -> None:
        self.name = name
        self._settings = settings
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one."""
        return self._process.pid if self._process else None

    async def deliver(self, events: Sequence[Event]) -> None:
        """Raises IngestError; then the process has ended."""
        if not events:
            return
        taken, about = False, list[EventId]()
        try:
            if self._process is None:
                self._process = await _Process.started(environment(self.name))
                await self._process.open(self._settings.handler)
            about = [event.id for event in events]  # whatever happens now, it may be one of them that did it
            await self._process.take(events, self._settings.timeout_s * len(events))
            taken = True
        except _Failed as failed:
            raise IngestError(f"{self._settings.handler} {failed}", hint=HINT, about=failed.about or about) from None
        finally:
            if not taken:
                await self._killed()

    async def try_out(self) -> str:
        """Loads the class and makes one of it, in a process that ends with this."""
        process: _Process | None = None
        try:
            process = await _Process.started(environment(self.name))
            await process.open(self._settings.handler)
            await process.goodbye()
        except _Failed as failed:
            hint = "it has to be importable where forged runs: PYTHONPATH, or installed beside forged"
            raise IngestRefused(f"{self._settings.handler} {failed}", hint=hint) from None
        finally:
            if process is not None:
                await process.kill()
        return f"{self._settings.handler} can be loaded"

    async def _killed(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            await process.kill()

    async def aclose(self) -> None:
        """One that works is not waited for; one that rests may say goodbye."""
        if self._process is not None and self._process.at_rest:
            await self._process.goodbye()
        await self._killed()


class _Failed(Exception):
    """Says how, in words that follow the class's name, and with which events, where that is known."""

    def __init__(self, how: str, about: Sequence[int] = ()) -> None:
        super().__init__(how)
        self.about = about


class _Process:
    """The worker, from the daemon's side."""

    def __init__(
        self, child: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, words: _Words
    ) -> None:
        self._child, self._reader, self._writer, self._words = child, reader, writer, words
        self._number = 0
        self.at_rest = False
        """It is asked nothing."""

    @classmethod
    async def started(cls, env: dict[str, str]) -> _Process:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                words, write_end = await _Words.piped()
                try:
                    child = started(WORKER, theirs.fileno(), write_end, stderr=write_end, env=env)
                finally:
                    os.close(write_end)
            except OSError as e:
                ours.close()
                raise _Failed(f"cannot be started: {e.strerror}") from e
        reader, writer = await asyncio.open_connection(sock=ours, limit=MOST_ANSWER_BYTES)
        return cls(child, reader, writer, words)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def open(self, handler: str) -> None:
        """Raises _Failed: the class cannot be loaded."""
        answer = await self._ask(msgspec.json.encode(Opening(handler)), 0, START_S)
        if answer.error is not None:
            raise _Failed(f"cannot be loaded: {clean(answer.error, LAST_WORDS_BYTES)}")

    async def take(self, events: Sequence[Event], within_s: float) -> None:
        """Raises _Failed: not all of them were taken."""
        self._number += 1
        letters = tuple(Letter(one.id, one.kind.value, one.target, one.at_ns, _text(one.key), _text(one.body)) for one in events)
        answer = await self._ask(msgspec.json.encode(Asked(self._number, letters)), self._number, within_s)
        if answer.error is not None:
            raise _Failed(f"did not take them: {clean(answer.error, LAST_WORDS_BYTES)}", answer.about)

    async def _ask(self, content: bytes, number: int, within_s: float) -> Answered:
        self.at_rest = False
        try:
            async with asyncio.timeout(within_s):
                self._writer.write(framed(content))
                await self._writer.drain()
                answer = await self._answer()
        except TimeoutError:
            raise _Failed(f"has not answered within {within_s:g} s{self._words.last}") from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise _Failed(f"{await self._how_it_ended()}{self._words.last}") from None
        if answer.number != number:
            raise _Failed("said something that is no answer")
        self.at_rest = True
        return answer

    async def _answer(self) -> Answered:
        size = int.from_bytes(await self._reader.readexactly(LENGTH_BYTES), "big")
        if size > MOST_ANSWER_BYTES:
            raise _Failed("said something that is no answer")
        try:
            return msgspec.json.decode(await self._reader.readexactly(size), type=Answered)
        except msgspec.DecodeError:
            raise _Failed("said something that is no answer") from None

    async def _how_it_ended(self) -> str:
        await asyncio.wait([self._words.silent], timeout=GRACE_S)
        _kill_group(self._child.pid)
        status = await asyncio.to_thread(self._child.wait)
        return f"was ended by signal {-status}" if status < 0 else f"ended its process with exit status {status}"

    async def goodbye(self) -> None:
        """Nothing comes any more: it closes its class, and ends. Not waited for for long."""
        self._writer.close()
        with suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._child.wait, CLOSE_S)

    async def kill(self) -> None:
        """And all that it started."""
        _kill_group(self._child.pid)
        if self._child.poll() is None:
            self._child.kill()  # where it had no group of its own yet
        self._writer.close()
        self._words.close()
        await asyncio.to_thread(self._child.wait)


class _Words(asyncio.Protocol):
    """What the process prints: its end is kept."""

    def __init__(self) -> None:
        self.silent: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kept = bytearray()
        self._transport: asyncio.BaseTransport | None = None

    @classmethod
    async def piped(cls) -> tuple[_Words, int]:
        """And the end to write to."""
        read_end, write_end = os.pipe()
        _, words = await asyncio.get_running_loop().connect_read_pipe(cls, os.fdopen(read_end, "rb", 0))
        return words, write_end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._kept += data
        del self._kept[:-LAST_WORDS_BYTES]

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.silent.done():
            self.silent.set_result(None)

    @property
    def last(self) -> str:
        """To be put behind what went wrong."""
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return f": {clean(lines[-1], LAST_WORDS_BYTES)}" if lines else ""

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _text(text: str) -> str:
    """Half a surrogate pair has no place in JSON."""
    return text.encode("utf-8", "replace").decode()
