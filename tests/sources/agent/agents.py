"""Real agents in processes, and impostors that only pretend to be one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from forged.model.files import Entry, ListingEnd, ListingPart, Problem
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent import launch
from forged.sources.agent.client import AgentSource
from forged.sources.agent.wire import _GREETING, _HEADER, MAGIC, VERSION, Kind, packed
from forged.sources.piped import PipedChannel, piped_channel

Command = tuple[Kind, int, bytes]
"""Kind, call, payload."""

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where making thousands of files takes no time, if there is such a place; for `tempfile`."""

GOOD_HELLO = _GREETING.pack(VERSION, 1, 1, 3, 6, 0) + b"list fetch hash look remove clock space"


def local(root: Path | bytes, max_lanes: int = 1, silence_limit_s: float = 20.0) -> AgentSource:
    """A source whose agents are processes on this machine."""
    return AgentSource(piped_channel, bytes(root), transport="pipe", max_lanes=max_lanes, silence_limit_s=silence_limit_s)


class Recorded:
    """Opens real channels and remembers them, so that a test can get hold of the processes. `enough` is set at that many."""

    def __init__(self, enough: int = 1) -> None:
        self.channels: list[PipedChannel] = []
        self.enough = asyncio.Event()
        self._enough = enough

    async def __call__(self) -> PipedChannel:
        self.channels.append(await piped_channel())
        if len(self.channels) == self._enough:
            self.enough.set()
        return self.channels[-1]


async def listing(source: AgentSource) -> tuple[list[Entry], list[Problem], ListingEnd]:
    """A whole listing."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    async for part in source.list():
        if isinstance(part, ListingPart):
            entries += part.entries
            problems += part.problems
        else:
            return entries, problems, part
    raise AssertionError("a listing ended without its end")


def request(entry: Entry, offset: int = 0, hash_at_source: bool = True) -> Request:
    """A request whose staging name is the path."""
    return Request(entry, entry.path.hex(), offset, hash_at_source)


async def fetch_all(source: AgentSource, batch: Sequence[Request], sink: Sink) -> list[Fetched | Problem]:
    return [answer async for answer in source.fetch(batch, sink)]


class Impostor:
    """A Channel to an agent of the test's own. `answer` gets each command and answers the bytes to say."""

    def __init__(self, answer: Callable[[Command], Iterable[bytes]], hello: bytes = GOOD_HELLO) -> None:
        self.closed = False
        self.commands: list[Command] = []
        self._answer, self._hello = answer, hello
        self._heard = bytearray()
        self._skip = len(launch.program())
        self._says: asyncio.Queue[bytes] = asyncio.Queue()
        self._says.put_nowait(MAGIC)

    async def open(self) -> Impostor:
        return self

    async def read(self) -> bytes:
        return await self._says.get()

    async def write(self, data: bytes) -> None:
        self._heard += data
        if self._skip and len(self._heard) >= self._skip:
            del self._heard[: self._skip]
            self._skip = 0
        while not self._skip and len(self._heard) >= _HEADER.size:
            kind, call, size = _HEADER.unpack_from(self._heard)
            payload = bytes(self._heard[_HEADER.size : _HEADER.size + size])
            del self._heard[: _HEADER.size + size]
            self._obey((Kind(kind), call, payload))

    def _obey(self, command: Command) -> None:
        self.commands.append(command)
        if command[0] == Kind.START:
            self.say(packed(Kind.HELLO, command[1], self._hello))
        for said in self._answer(command):
            self.say(said)

    def say(self, data: bytes) -> None:
        self._says.put_nowait(data)

    async def close(self) -> str:
        self.closed = True
        return ""


def pretending(impostor: Impostor, silence_limit_s: float = 20.0) -> AgentSource:
    """A source whose only agent is this impostor."""
    return AgentSource(impostor.open, b"/root", transport="test", silence_limit_s=silence_limit_s)
