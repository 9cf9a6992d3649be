"""A TCP proxy that breaks connections on purpose. One small class per trouble; each says what a bad line does to the bytes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager


def _nobody() -> None:
    """Who is told of strikes where nobody asked."""


class Line:
    """A good line: every byte passes. Subclasses break it. `passed` counts bytes that came from the server.

    `on_strike` is called each time when bytes on their way are struck: cut off, held back for good, or delayed.
    """

    def __init__(self) -> None:
        self.passed = 0
        self.connections = 0
        self.on_strike: Callable[[], None] = _nobody

    async def from_server(self, data: bytes) -> bytes | None:
        """What becomes of some bytes on their way to the client; None cuts the connection."""
        self.passed += len(data)
        return data

    async def from_client(self, data: bytes) -> bytes | None:
        return data


class CutAfter(Line):
    """The connection is reset once `size_bytes` came from the server, the first `times` times."""

    def __init__(self, size_bytes: int, times: int = 1) -> None:
        super().__init__()
        self.size_bytes, self.times = size_bytes, times

    async def from_server(self, data: bytes) -> bytes | None:
        await super().from_server(data)
        if self.times > 0 and self.passed >= self.size_bytes:
            self.times -= 1
            self.passed = 0
            self.on_strike()
            return None
        return data


class StallAfter(Line):
    """After `size_bytes` from the server nothing passes any more, in either direction, and nobody is told."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self.size_bytes = size_bytes
        self.stalled = asyncio.Event()

    async def from_server(self, data: bytes) -> bytes | None:
        await super().from_server(data)
        if self.passed >= self.size_bytes:
            if not self.stalled.is_set():
                self.on_strike()
            self.stalled.set()
            await asyncio.Event().wait()
        return data

    async def from_client(self, data: bytes) -> bytes | None:
        if self.stalled.is_set():
            await asyncio.Event().wait()
        return data


class Slow(Line):
    """Each read from the server is delayed by `delay_s`: a long, thin line."""

    def __init__(self, delay_s: float) -> None:
        super().__init__()
        self.delay_s = delay_s

    async def from_server(self, data: bytes) -> bytes | None:
        self.on_strike()
        await asyncio.sleep(self.delay_s)
        return await super().from_server(data)


class Proxy:
    """Listens on its own port and passes everything to `to_port` over `line`, which may be exchanged at any time."""

    def __init__(self, to_port: int, line: Line) -> None:
        self.to_port, self.line = to_port, line
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._came: dict[asyncio.StreamWriter, int] = {}

    @property
    def connected(self) -> bool:
        """Whether anybody is connected now."""
        return bool(self._passing)

    @property
    def came_bytes(self) -> int:
        """How much has come from the server over the busiest of the connections there are now."""
        return max(self._came.values(), default=0)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.line.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
            ends.append(far_writer)
            await self._both_ways(self._pass(reader, far_writer, "from_client"), self._pass(far_reader, writer, "from_server"))
        finally:
            self._tasks.discard(task)
            self._came.pop(writer, None)
            for end in ends:
                end.transport.abort()

    async def _both_ways(self, *passing: Coroutine[None, None, None]) -> None:
        """Until one direction ends."""
        sides = [asyncio.create_task(side) for side in passing]
        self._passing.update(sides)
        try:
            await asyncio.wait(sides, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._passing.difference_update(sides)
            for side in sides:
                side.cancel()
            await asyncio.gather(*sides, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, side: str) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                passed = await getattr(self.line, side)(data)
                if passed is None:
                    return
                if side == "from_server":
                    self._came[writer] = self._came.get(writer, 0) + len(passed)
                writer.write(passed)
                await writer.drain()

    def cut(self) -> None:
        """Cuts every connection there is now; new ones are passed on as ever."""
        for side in list(self._passing):  # not the tasks that asyncio waits for: it would log their cancellation
            side.cancel()

    async def close(self) -> None:
        while self._tasks:  # one that is just connecting has nothing to cut yet
            self.cut()
            await asyncio.wait(self._tasks, timeout=0.05)


@asynccontextmanager
async def proxy(to_port: int, line: Line | None = None) -> AsyncIterator[Proxy]:
    """A proxy in front of a port of this machine, ended with all its connections."""
    it = Proxy(to_port, line or Line())
    server = await asyncio.start_server(it.accept, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        await it.close()
        await server.wait_closed()
