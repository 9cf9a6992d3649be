"""Container engines that lie, flood or hang: a Unix socket that answers what forged asks an engine, one thing of it otherwise.

An honest one has one container, `box`, in which each process says `hello` and then waits for the end of its standard input.
"""

from __future__ import annotations

import asyncio
import enum
import json
import re
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

STDOUT = 1
HELLO = b"hello"


class Step(enum.Enum):
    """What is asked of an engine, by what its path ends with."""

    PING = "/_ping"
    LIST = "/containers/json"
    LOOK = "/containers/[^/]+/json"
    PREPARE = "/containers/[^/]+/exec"
    BEGIN = "/exec/[^/]+/start"
    STATUS = "/exec/[^/]+/json"


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def message(data: bytes, stream: int = STDOUT, size_bytes: int | None = None) -> bytes:
    """As output comes; `size_bytes`: what it says of its length."""
    return struct.pack(">BxxxL", stream, len(data) if size_bytes is None else size_bytes) + data


class HonestEngine:
    """`begun` is what follows an exec's start."""

    UPGRADED = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

    def __init__(self) -> None:
        self.asked: list[Step] = []

    def answer(self, step: Step) -> bytes | None:
        """None = silence."""
        match step:
            case Step.PING:
                return reply(b"OK", "200 OK", "Api-Version: 1.41")
            case Step.LIST:
                return reply(json.dumps([{"Id": "0", "Names": ["/box"]}]).encode())
            case Step.LOOK:
                return reply(json.dumps({"Id": "0", "State": {"Status": "running"}, "Mounts": []}).encode())
            case Step.PREPARE:
                return reply(b'{"Id": "1"}', "201 Created")
            case Step.BEGIN:
                return self.UPGRADED + message(HELLO)
            case Step.STATUS:
                return reply(b'{"Running": false, "ExitCode": 0, "ProcessConfig": {"tty": false}}')

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                await reader.readexactly(int(size[1]) if size else 0)
                path = head.split()[1].partition("?")[0]
                step = next((one for one in Step if re.fullmatch(r"(/v[\d.]+)?" + one.value, path)), None)
                if step is None:
                    writer.write(reply(b'{"message": "page not found"}', "404 Not Found"))
                    continue
                self.asked.append(step)
                await self.says(step, writer)
                if step is Step.BEGIN:
                    await reader.read()
                    break
        writer.close()

    async def says(self, step: Step, writer: asyncio.StreamWriter) -> None:
        answer = self.answer(step)
        if answer is not None:
            writer.write(answer)
            await writer.drain()


@asynccontextmanager
async def listening(engine: HonestEngine, folder: Path) -> AsyncIterator[dict[str, str]]:
    """What leads a client to it. Afterwards all its connections have ended, which shows that nobody holds one."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await engine.serve(reader, writer)
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_unix_server(serve, folder / "s"):
        yield {"DOCKER_HOST": f"unix://{folder}/s"}
        async with asyncio.timeout(10):
            await asyncio.gather(*serving)
