"""A real HTTP/1.1 server on loopback that answers as it is told, faults included: each fault of an answer is a small class."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

MOST_HEAD_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Reply:
    """A whole answer."""

    def __init__(self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.status, self.body, self.headers = status, body, dict(headers or {})

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        """Writes it; False ends the connection."""
        writer.write(self.head({"Content-Length": str(len(self.body))}) + self.body)
        await writer.drain()
        return True

    def head(self, more: Mapping[str, str]) -> bytes:
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**self.headers, **more}.items())
        return f"HTTP/1.1 {self.status} Whatever\r\n{lines}\r\n".encode("latin-1")


class Json(Reply):
    """A value as JSON."""

    def __init__(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class Html(Reply):
    """What a proxy, a captive portal or a firewall says."""

    def __init__(self, status: int = 200) -> None:
        super().__init__(status, b"<!DOCTYPE html>\n<html><body>Just a moment...</body></html>", {"Content-Type": "text/html"})


class Redirect(Reply):
    """Elsewhere."""

    def __init__(self, location: str, status: int = 302) -> None:
        super().__init__(status, b"", {"Location": location})


class CutInTheMiddle(Reply):
    """Half of the body that was promised, then the end of the connection."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(self.head({"Content-Length": str(len(self.body) or 1000)}) + self.body[: len(self.body) // 2])
        await writer.drain()
        return False


class CutUnnoticed(Reply):
    """Half of the body, and nothing that would tell so: HTTP/1.0's way, the end of the connection is the end."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(self.head({"Connection": "close"}) + self.body[: len(self.body) // 2])
        await writer.drain()
        return False


class Hang(Reply):
    """Never a byte."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        await asyncio.Event().wait()
        return False


class Drip(Reply):
    """A byte, and a while later the next one, without end."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(self.head({"Content-Length": "1000000"}))
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)


class Endless(Reply):
    """As fast as it goes, without end."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(self.head({"Transfer-Encoding": "chunked"}))
        while True:
            writer.write(b"10000\r\n" + b"[" * 65_536 + b"\r\n")
            await writer.drain()


class EndlessHeaders(Reply):
    """Headers without end."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
            await writer.drain()


class NoHttp(Reply):
    """Another protocol."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
        return False


class Close(Reply):
    """The connection ends without a word."""

    async def give(self, writer: asyncio.StreamWriter) -> bool:
        return False


Answering = Callable[[Request], Reply]


class HttpServer:
    """Runs on the loop of the test. `answer` may be replaced at any time."""

    def __init__(self, answer: Answering) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self.url = ""
        self._talks: set[asyncio.Task[None]] = set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, asyncio.CancelledError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._talks.discard(task)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        request = Request(method, target, headers, body)
        self.requests.append(request)
        return await self.answer(request).give(writer)

    async def stop(self) -> None:
        for task in list(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await asyncio.sleep(0)  # for the last of the transports to let go of their sockets


@asynccontextmanager
async def http_server(answer: Answering, *, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[HttpServer]:
    """A server that answers so, until the end of the block; no connection outlives it. With a certificate and its key: TLS."""
    server, secure = HttpServer(answer), None
    if certificate:
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        secure.load_cert_chain(*certificate)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0, limit=MOST_HEAD_BYTES, ssl=secure)
    host, port = listening.sockets[0].getsockname()[:2]
    server.url = f"{'https' if secure else 'http'}://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()
        await server.stop()


@contextmanager
def http_server_aside(answer: Answering) -> Iterator[HttpServer]:
    """The same in a thread of its own, for tests that wait for programs."""
    began: list[HttpServer] = []
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with http_server(answer) as server:
            began.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="http server")
    thread.start()
    try:
        assert ready.wait(10)
        yield began[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
