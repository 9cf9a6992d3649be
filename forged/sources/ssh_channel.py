"""One SSH session that runs an agent, as an agent's `Channel`, with a bound on what it buffers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack

import asyncssh

from forged.model.errors import Lacking, SourceBroken, SourceError, SourceLost
from forged.model.paths import shown
from forged.sources.agent.launch import NO_PYTHON_STATUS, TOO_OLD

PAUSE_BYTES = 8 << 20
"""Unread bytes from which on no more is taken from asyncssh. An honest agent sends no more than it was granted, and the client
reads all the time, so this is for the others. asyncssh re-opens its whole window with the first byte it delivers after a
pause; reading is therefore resumed only when everything was read, and a box that floods us costs at most two windows."""

READ_BYTES = 1 << 20
"""The most that one read joins: several SSH packets of 32 KiB at once save the reader work, more would only cost memory."""

STDERR_BYTES = 4096
"""The tail of standard error that is kept for messages."""

MOST_STDERR_BYTES = 1 << 20
"""More than that on standard error, which nobody grants, only serves to keep us busy; a login script says far less."""

STDERR_HINT = "does a login script of the box print without end? Otherwise take the target out of forged.toml"

HEAD_BYTES = 512
"""The first words on standard output that are kept, to explain why no agent came to run."""

LAST_WORDS_S = 5.0
"""How long the end of the session is awaited after its output ended. A guess: OpenSSH sends both in the same moment."""

NO_PYTHON_HINT = "install python3 (>= 3.6) on the box"
NO_SHELL_HINT = "this account may not run commands; use another one, or sftp://"

NOT_EXECUTABLE, NOT_FOUND = 126, 127
"""Exit statuses of every POSIX shell for a command that it could not run."""

Refusal = Callable[[str, int | None, str], SourceError | None]
"""Of a session that ended: place, exit status, and what it said. Why the command did not come to run, where the box has said so
clearly; None where it has not."""


class AgentSession(asyncssh.SSHClientSession[bytes]):
    """What asyncssh calls while bytes move. Keeps them in order and wakes the one reader."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._paused = False
        self._filling = False
        self._wake: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = False
        self._gone = asyncio.Event()
        self.error: Exception | None = None
        self.status: int | None = None
        self.head = b""
        self.stderr = b""
        self.stderr_bytes = 0

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._chan = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is not None:
            self._complains(data)
            return
        if len(self.head) < HEAD_BYTES:
            self.head += data[:HEAD_BYTES]
        self._chunks.append(data)
        self._unread += len(data)
        if not self._filling:
            self._pause_if_full()
        self._notify()

    def _complains(self, data: bytes) -> None:
        self.stderr = (self.stderr + data)[-STDERR_BYTES:]
        self.stderr_bytes += len(data)
        if self.floods:
            self._chunks.clear()
            self._ended = True
            self._gone.set()
            self._chan.abort()
            self._notify()

    @property
    def floods(self) -> bool:
        """It has printed more on standard error than anybody reads."""
        return self.stderr_bytes > MOST_STDERR_BYTES

    def eof_received(self) -> bool:
        self._ended = True
        self._notify()
        return True

    def exit_status_received(self, status: int) -> None:
        self.status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        self.stderr = (self.stderr + f"ended by signal {signal}".encode())[-STDERR_BYTES:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._ended = True
        self._gone.set()
        self._writable.set()
        self._notify()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _pause_if_full(self) -> None:
        if self._unread > PAUSE_BYTES and not self._paused:
            self._paused = True
            self._chan.pause_reading()

    def _refill(self) -> None:
        """Takes all that asyncssh holds back, in one go: see PAUSE_BYTES."""
        self._paused, self._filling = False, True
        self._chan.resume_reading()
        self._filling = False
        self._pause_if_full()

    async def take(self) -> bytes:
        """Some bytes, or b"" when no more will come."""
        if not self._chunks and self._paused:
            self._refill()
        while not self._chunks and not self._ended:
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        return self._joined()

    def _joined(self) -> bytes:
        taken: list[bytes] = []
        size = 0
        while self._chunks and (not taken or size + len(self._chunks[0]) <= READ_BYTES):
            taken.append(self._chunks.popleft())
            size += len(taken[-1])
        self._unread -= size
        return taken[0] if len(taken) == 1 else b"".join(taken)

    async def writable(self) -> None:
        await self._writable.wait()

    async def gone(self) -> None:
        """Returns when the session has ended on both sides, or after LAST_WORDS_S."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self._gone.wait()
        except TimeoutError:
            return


class SshChannel:
    """A Channel over one SSH session. It owns what it was opened with (`closing`), and ends all of it."""

    def __init__(
        self,
        place: str,
        chan: asyncssh.SSHClientChannel[bytes],
        session: AgentSession,
        closing: AsyncExitStack,
        why_refused: Refusal,
    ) -> None:
        self._place = place
        self._why_refused = why_refused
        self._chan = chan
        self._session = session
        self._closing = closing
        self._closed = False

    async def read(self) -> bytes:
        """See Channel. Raises Lacking when the box could not run the command, SourceBroken for a flood of complaints."""
        data = await self._session.take()
        if data:
            return data
        if self._session.floods:
            raise SourceBroken(f"{self._place} prints without end on standard error", hint=STDERR_HINT)
        await self._session.gone()
        if self._session.error is not None or self._closed:
            raise self._lost()
        refusal = self._refusal()
        if refusal is not None:
            raise refusal
        return b""

    async def write(self, data: bytes) -> None:
        """See Channel."""
        await self._session.writable()
        if self._closed:
            raise self._lost()
        if self._chan.is_closing():
            raise self._refusal() or self._lost()
        self._chan.write(data)
        await self._session.writable()

    async def close(self) -> str:
        """See Channel."""
        if not self._closed:
            self._closed = True
            self._chan.abort()
            await self._closing.aclose()
        return shown(self._session.stderr.strip())

    def _lost(self) -> SourceLost:
        reason = self._session.error
        return SourceLost(f"the connection to {self._place} ended" + (f": {reason}" if reason else ""))

    def _refusal(self) -> SourceError | None:
        """Why what was to run did not, where the box has said so."""
        said = shown((self._session.head + self._session.stderr).strip())
        return self._why_refused(self._place, self._session.status, said)


def why_no_agent(place: str, status: int | None, said: str) -> SourceError | None:
    """A Refusal: no Python, too old a one, or no commands for this account, by the customs of shells, OpenSSH and nologin."""
    if status in (NO_PYTHON_STATUS, NOT_FOUND):
        return Lacking(f"{place} has no python3", hint=NO_PYTHON_HINT, lacks="no python3")
    if (status == 1 and TOO_OLD in said) or (status == 2 and "nknown option: -I" in said):
        return Lacking(f"{place} has too old a Python", hint=NO_PYTHON_HINT, lacks="no python3 from 3.6 on")
    if _runs_no_commands(said):
        return Lacking(f"{place} runs no commands: {said}", hint=NO_SHELL_HINT, lacks="no commands allowed")
    return None


def why_no_shell(place: str, status: int | None, said: str) -> SourceError | None:
    """A Refusal: no `sh`, or no commands for this account."""
    if status in (NOT_FOUND, NOT_EXECUTABLE):
        return Lacking(f"{place} has no sh", hint=NO_PYTHON_HINT, lacks="no shell")
    if _runs_no_commands(said):
        return Lacking(f"{place} runs no commands: {said}", hint=NO_SHELL_HINT, lacks="no commands allowed")
    return None


def _runs_no_commands(said: str) -> bool:
    return "sftp connections only" in said or "account is currently not available" in said
