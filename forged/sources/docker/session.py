"""One process in a container: what it is sent, what it says, how it ended. Over `exec` of the engine's API.

The engine sends standard output and standard error interleaved in messages of 8 KiB (podman 4.3) or up to 32 KiB (Docker), which
aiodocker takes apart.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import cast

import aiohttp
from aiodocker.execs import Exec
from aiodocker.stream import Stream, _ExecParser

from forged.model.errors import SourceBroken, SourceLost
from forged.sources.docker.engine import NEWS_HINT, in_our_words

AHEAD_BYTES = 1 << 20
"""Taken from aiodocker before anybody asks, so that many messages are handed over at once. aiodocker itself stops reading at
128 KiB, and what is in the sockets then stays there."""

MOST_MESSAGE_BYTES = 1 << 20
"""Far more than either engine puts into one. An engine at the end of a line (`tcp://`) is no more to be trusted than a box."""

STDERR_BYTES = 4096
"""The tail of standard error that is kept for messages."""

MOST_STDERR_BYTES = 1 << 20
"""More than that on standard error, which nobody grants, only serves to keep us busy."""

GRACE_S = 1.0
"""For the process to end by itself once its standard input has: an idle agent goes within milliseconds."""

STDERR = 2
"""The number of standard error in the messages of the engine (API 1.41, ContainerAttach, stream format)."""

FLOOD_HINT = "something in the container prints without end where an agent should run; if that is not known, do not trust the image"

BROKEN_LINE = (aiohttp.ClientError, OSError)


class Session:
    """Made by `open_session`. `close` ends it; then the process finds its standard input and output closed."""

    def __init__(self, url: str, process: Exec, stream: Stream) -> None:
        self.stderr = b""
        """The last of it."""
        self._url, self._process, self._stream = url, process, stream
        self._chunks: deque[bytes] = deque()
        self._ahead_bytes = self._stderr_bytes = 0
        self._ended: Exception | None = None
        self._over = False
        self._some, self._room = asyncio.Event(), asyncio.Event()
        self._listening = asyncio.create_task(self._listen(), name="what a process in a container says")

    # --- what it says -----------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Takes messages without a pause while there are some, and no more than AHEAD_BYTES of them."""
        try:
            while (message := await self._stream.read_out()) is not None:
                if message.stream == STDERR:
                    self._complains(message.data)
                else:
                    await self._says(message.data)
        except BROKEN_LINE as error:
            self._ended = SourceLost(f"the connection to the container engine broke: {error}")
        except SourceBroken as error:
            self._ended = error
        finally:
            self._over = True
            self._some.set()

    async def _says(self, data: bytes) -> None:
        self._chunks.append(data)
        self._ahead_bytes += len(data)
        self._some.set()
        while self._ahead_bytes > AHEAD_BYTES:
            self._room.clear()
            await self._room.wait()

    def _complains(self, data: bytes) -> None:
        self.stderr = (self.stderr + data)[-STDERR_BYTES:]
        self._stderr_bytes += len(data)
        if self._stderr_bytes > MOST_STDERR_BYTES:
            raise SourceBroken("a process in the container prints without end on standard error", hint=FLOOD_HINT)

    async def read(self) -> bytes:
        """Some of its standard output; b"" when no more will come. Raises SourceLost, SourceBroken."""
        while not self._chunks and not self._over:
            self._some.clear()
            await self._some.wait()
        data, self._ahead_bytes = b"".join(self._chunks), 0
        self._chunks.clear()
        self._room.set()
        if not data and self._ended is not None:
            raise self._ended
        return data

    # --- what it is told --------------------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        """Sends to its standard input; waits while that is full. Raises SourceLost."""
        try:
            await self._stream.write_in(data)
        except (*BROKEN_LINE, RuntimeError, AssertionError) as error:  # the last two: how aiodocker says that it has ended
            raise SourceLost("the process in the container ended, or the connection to the engine did") from error

    def _end_input(self) -> None:
        """aiodocker can only end the whole connection, and then the last words would be lost."""
        connection = self._stream._resp.connection if self._stream._resp is not None else None
        if connection is not None and connection.transport is not None and connection.transport.can_write_eof():
            connection.transport.write_eof()

    # --- its end ----------------------------------------------------------------------------------------------------------

    async def status(self) -> int | None:
        """Its exit status; None while it runs. Raises SourceUnreachable."""
        async with in_our_words(self._url):
            seen = await self._process.inspect()
            return None if seen["Running"] else int(seen["ExitCode"])

    async def close(self) -> None:
        """Ends its standard input, waits a moment for its own end, and then ends the connection. Never raises."""
        self._listening.cancel()
        await asyncio.wait([self._listening])
        try:
            async with asyncio.timeout(GRACE_S):
                self._end_input()
                while await self._stream.read_out() is not None:  # Podman 4.3 forgets the process if it still speaks to nobody
                    pass
        except (TimeoutError, SourceBroken, *BROKEN_LINE):
            pass
        finally:
            with suppress(*BROKEN_LINE, AssertionError):
                await self._stream.close()


async def open_session(url: str, process: Exec) -> Session:
    """Begins a process that the engine has made ready. Raises SourceError."""
    async with in_our_words(url):
        stream = process.start()
        try:
            await stream.__aenter__()
            _bound_messages(stream)
        except BaseException:
            with suppress(*BROKEN_LINE, AssertionError):
                await stream.close()
            raise
        return Session(url, process, stream)


class _Bounded:
    """aiodocker's parser, which would keep all of a message until it is whole, however long that says it is."""

    def __init__(self, parser: _ExecParser) -> None:
        self._parser = parser

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        if len(self._parser._buf) <= MOST_MESSAGE_BYTES:
            return self._parser.feed_data(data)
        self.set_exception(SourceBroken("the container engine sends a message that does not end", hint=NEWS_HINT))
        return False, b""

    def set_exception(self, exc: BaseException) -> None:
        self._parser.set_exception(exc)

    def feed_eof(self) -> None:
        self._parser.feed_eof()


def _bound_messages(stream: Stream) -> None:
    assert stream._resp is not None
    connection = stream._resp.connection
    assert connection is not None and connection.protocol is not None
    parser = cast("_ExecParser", connection.protocol._payload_parser)
    connection.protocol.set_parser(_Bounded(parser), stream._queue)
