"""The page that Prometheus reads: GET /metrics over HTTP/1.1, on the daemon's own event loop.

prometheus_client's `start_http_server` would answer from a thread for each connection, without a bound on their number or their
patience, and its ASGI application would need a web server for one page of text. This is less code than either would take to tame.
Each connection answers one request and is closed (RFC 9112 section 9.6): a scrape every few seconds needs no more.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from forged.metrics.request import BadRequest, Request, read_request
from forged.model.errors import ConfigError
from forged.model.settings import ListenAddress

MOST_CONNECTIONS = 32
"""At once; more are turned away. A Prometheus has one open, and each may hold a page of some hundred kilobytes."""

PATIENCE_S = 10.0
"""For one request and its answer: as long as Prometheus itself waits for a scrape (scrape_timeout, 10 s)."""

OPENMETRICS_END = b"# EOF\n"
"""The last line of an OpenMetrics page, and of nothing else."""

FRONT_PAGE = b'<!doctype html><title>forged</title><a href="/metrics">Metrics</a>\n'


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    extra: str = ""

    def to_bytes(self, *, with_body: bool = True) -> bytes:
        head = f"HTTP/1.1 {self.status}\r\nContent-Type: {self.content_type}\r\nContent-Length: {len(self.body)}\r\n"
        head += f"{self.extra}X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
        return head.encode("ascii") + (self.body if with_body else b"")


class MetricsPage:
    """Serves `registry` while it is entered. `refresh` is called before each look, to set what nobody reports as it changes."""

    def __init__(
        self,
        address: ListenAddress,
        registry: CollectorRegistry,
        *,
        refresh: Callable[[], None] = lambda: None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._wanted = address
        self._registry = registry
        self._refresh = refresh
        self._patience_s = patience_s
        self._one_at_a_time = asyncio.Lock()
        self._room = MOST_CONNECTIONS
        self._open: dict[asyncio.Task[object], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> ListenAddress:
        """Where it really listens: the port is known when the system chose it."""
        if self._server is None or not self._server.sockets:
            return self._wanted
        host, port, *_ = self._server.sockets[0].getsockname()
        return ListenAddress(host, port)

    @property
    def open_connections(self) -> int:
        """Clients that are being served now."""
        return len(self._open)

    async def __aenter__(self) -> MetricsPage:
        """Raises ConfigError when nothing can listen there."""
        try:
            self._server = await asyncio.start_server(self._serve, self._wanted.host, self._wanted.port, limit=Request.MOST_BYTES)
        except OSError as e:
            raise ConfigError((f"daemon.metrics: {_why(self._wanted, e)}",)) from e
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Nobody new is let in, and who is still here is sent away: a scrape is not worth waiting for."""
        assert self._server is not None
        self._server.close()
        self._room = 0  # also for a connection that was accepted a moment ago and whose task has not begun
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(self._open)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one answer. Whatever the other side does, it costs at most `patience_s` and leaves no trace."""
        task = asyncio.current_task()
        if task is None or len(self._open) >= self._room:
            writer.transport.abort()
            return
        self._open[task] = writer
        try:
            async with asyncio.timeout(self._patience_s):
                writer.write(await self._answer(reader))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError, TimeoutError):
            writer.transport.abort()
        finally:
            del self._open[task]

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await read_request(reader)
        except BadRequest as bad:
            return _Answer(bad.status, b"").to_bytes()
        return (await self._page(request)).to_bytes(with_body=request.method != "HEAD")

    async def _page(self, request: Request) -> _Answer:
        if request.method not in ("GET", "HEAD"):
            return _Answer("405 Method Not Allowed", b"", extra="Allow: GET, HEAD\r\n")
        match request.path:
            case "/metrics":
                return await self._metrics(request.accept)
            case "/":
                return _Answer("200 OK", FRONT_PAGE, "text/html; charset=utf-8")
            case _:
                return _Answer("404 Not Found", b"The metrics are at /metrics.\n")

    async def _metrics(self, accept: str) -> _Answer:
        """OpenMetrics 1.0 for who names it, else Prometheus's text format 0.0.4, which everything reads.

        prometheus_client's own choice repeats the version that the request names in the answer's header; a header of ours holds
        nothing that came from outside.
        """
        async with self._one_at_a_time:
            self._refresh()
            if "application/openmetrics-text" in accept:
                body = await self._rendered(openmetrics.generate_latest) + OPENMETRICS_END
                return _Answer("200 OK", body, openmetrics.CONTENT_TYPE_LATEST)
            return _Answer("200 OK", await self._rendered(generate_latest), CONTENT_TYPE_PLAIN_0_0_4)

    async def _rendered(self, render: Callable[[CollectorRegistry], bytes]) -> bytes:
        """The page, family by family, and between two of them the loop turns.

        A page of 100 targets costs 50 ms of processor, its largest family 10: nothing may hold up arriving files for longer.
        """
        parts = []
        for metric in self._registry.collect():
            parts.append(render(_Only(metric)).removesuffix(OPENMETRICS_END))
            await asyncio.sleep(0)
        return b"".join(parts)


class _Only(CollectorRegistry):
    """A registry that shows one family."""

    def __init__(self, metric: Metric) -> None:
        super().__init__()
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _why(address: ListenAddress, error: OSError) -> str:
    """What is wrong with the address, and what to do."""
    where = f"{address.host}:{address.port}"
    match error.errno:
        case errno.EADDRINUSE:
            return f'{where} is used by another program (another forged?); choose another port, or "" for no page'
        case errno.EACCES:
            return f"{where} may not be used by this user; choose a port above 1023"
        case _:
            return (
                f"nothing can listen on {where} ({error.strerror or error}); choose an address of this machine, such as 127.0.0.1"
            )
