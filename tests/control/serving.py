"""A server on a real socket with a few methods to try, and ways to talk to it."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from forged.control.listening import Listening, listen
from forged.control.peers import Level, Peer
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Registry
from forged.control.server import Server
from forged.model.errors import HostKeyChanged


@dataclass(frozen=True, slots=True)
class Who:
    uid: int
    gid: int
    groups: list[int]
    level: str


class Methods:
    """What the examples of the specification call, and faults to provoke."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.ended: list[str] = []
        self.at_work = self.most_at_work = 0

    async def subtract(self, minuend: int, subtrahend: int) -> int:
        """Takes one number from another."""
        return minuend - subtrahend

    async def sum(self, a: int, b: int, c: int) -> int:
        return a + b + c

    async def get_data(self) -> tuple[str, int]:
        return ("hello", 5)

    async def note(self, text: str) -> bool:
        self.noted.append(text)
        return True

    async def whoami(self, peer: Peer) -> Who:
        return Who(peer.uid, peer.gid, sorted(peer.groups), peer.level.name)

    async def wait(self, name: str = "") -> str:
        """Ends when the test says so."""
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.ended.append(f"cancelled {name}")
            raise
        finally:
            self.at_work -= 1
        self.ended.append(f"finished {name}")
        return name

    async def large(self, size_bytes: Annotated[int, Field(ge=0)]) -> str:
        return "x" * size_bytes

    async def changed(self) -> None:
        raise HostKeyChanged

    async def broken(self) -> None:
        raise LookupError("a secret detail")

    async def unprintable(self) -> str:
        return "\ud800"

    async def follow(self, connection: Connection, key: str | None = None) -> bool:
        connection.subscribe("fact", key)
        return True

    async def follow_late(self, connection: Connection) -> None:
        await self.may_end.wait()
        connection.subscribe("fact")

    async def unfollow(self, connection: Connection) -> bool:
        connection.unsubscribe("fact")
        return True

    async def steer(self) -> str:
        return "steered"

    async def rule(self) -> str:
        return "ruled"


@dataclass
class Served:
    """A running server, and the test's hold on what is inside."""

    path: Path
    server: Server
    listening: Listening
    publisher: Publisher
    methods: Methods
    faults: list[tuple[str, BaseException]] = field(default_factory=list)
    acts: list[tuple[str, dict[str, object], int]] = field(default_factory=list)
    """What peers had done: the method, its arguments, and who."""

    async def connect(self) -> Line:
        return Line(*await asyncio.open_unix_connection(str(self.path), limit=4 * 1024 * 1024))

    async def ask(self, text: str) -> list[Any]:
        """Sends this, half-closes, and gives all that comes back until the end, line by line."""
        async with asyncio.timeout(20), await self.connect() as line:
            line.writer.write(text.encode())
            line.writer.write_eof()
            return [json.loads(each) async for each in line.reader]


@dataclass
class Line:
    """A client in the test's own loop."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    def send(self, method: str, id_: int | None = None, **params: object) -> None:
        request: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
        self.writer.write(json.dumps(request if id_ is None else {**request, "id": id_}).encode() + b"\n")

    async def receive(self) -> Any:
        async with asyncio.timeout(20):
            line = await self.reader.readline()
        assert line.endswith(b"\n"), "the server closed the connection"
        return json.loads(line)

    async def call(self, method: str, id_: int = 1, **params: object) -> Any:
        self.send(method, id_, **params)
        return await self.receive()


def registry_of(methods: Methods) -> Registry:
    registry = Registry("forged", "1.2.3")
    for name in (
        "subtract",
        "sum",
        "get_data",
        "whoami",
        "large",
        "changed",
        "broken",
        "unprintable",
        "follow",
        "unfollow",
        "wait",
    ):
        registry.add(name, getattr(methods, name), level=Level.LOOK)
    registry.add("update", methods.note, level=Level.LOOK)
    registry.add("wait.finish", methods.wait, level=Level.LOOK, finishes=True)
    registry.add("follow.late", methods.follow_late, level=Level.LOOK, finishes=True)
    registry.add("steer", methods.steer, level=Level.STEER)
    registry.add("rule", methods.rule, level=Level.ADMIN)
    return registry


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that every user may pass; pytest's own are for one user only."""
    with tempfile.TemporaryDirectory(prefix="forged-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@asynccontextmanager
async def serving(*, mode: int = 0o660, group: str = "") -> AsyncIterator[Served]:
    """A server until the end of the `async with`; then it must be empty and have reported nothing unexpected."""
    with open_folder() as folder:
        methods, publisher, faults = Methods(), Publisher(), list[tuple[str, BaseException]]()
        acts: list[tuple[str, dict[str, object], int]] = []
        server = Server(
            registry_of(methods),
            publisher,
            report=lambda where, error: faults.append((where, error)),
            acted=lambda method, arguments, peer: acts.append((method, dict(arguments), peer.uid)),
        )
        listening = listen(folder / "forged.sock", mode=mode, group=group)
        await server.start(listening)
        try:
            yield Served(listening.path, server, listening, publisher, methods, faults, acts)
        finally:
            methods.may_end.set()
            await server.stop(limit_s=5)
        assert server.connections == 0


async def until(condition: Any) -> None:
    """Gives the loop turns until the condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)
