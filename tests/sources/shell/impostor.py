"""A shell that speaks as the script does, but is none. Each lie is one answer more, or another one, to one of its functions."""

from __future__ import annotations

import asyncio
import re
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.sources.agent.channel import Channel
from forged.sources.shell.client import ShellSource
from forged.sources.shell.opening import Line

DATA = b"hello"
SHA256 = b"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  -\n"
SEEN = b"81a4 5 1795835914 7 2026-11-28 03:18:34.746938986 +0000 1795835915 2026-11-28 03:18:35.000000001 +0000"
FILE = Entry(source_path(b"file"), Stat(5, 1795835914_746938986, 7, 1795835915_000000001))
BEGAN = b"K 1795835931.000000000//\n"
ENDED = SEEN + b" /..//\nT//\n"

Answer = Iterable[bytes]
"""Pieces of what is printed, without the mark; an endless one is printed for as long as somebody reads."""

HONEST: dict[str, Callable[[], Answer]] = {
    "o": lambda: [b"/root//\ndate dd find head ln mv rm rmdir sha256sum sort stat tail xargs\na.b.\n" + SEEN + b"\ndd\n"],
    "k": lambda: [b"1795835931.000000000\n"],
    "l": lambda: [SEEN + b"\n"],
    "b": lambda: [SEEN + b"\n"],
    "r": lambda: [DATA],
    "e": lambda: [SHA256 + SEEN + b"\n"],
    "h": lambda: [SEEN + b"\n" + SHA256 + SEEN + b"\n"],
    "x": lambda: [b"R\n"],
    "z": lambda: [b"R\n"],
    "p": lambda: [b"/root//\n1 2\n"],
    "t": lambda: [BEGAN + SEEN + b" ./file//\n" + ENDED],
}
"""What the functions of the script print for a box that has one file."""


class Impostor:
    """A Channel, and the OpenShell that leads there. `lies` are answers to functions instead of the honest ones."""

    def __init__(self, **lies: Callable[[Impostor], Answer]) -> None:
        self._lies = lies
        self.shells: list[Impostor] = []
        self._told = b""
        self.mark = b""
        self._says: deque[Iterator[bytes]] = deque()
        self._some = asyncio.Event()
        self.said_bytes = 0
        self.hangs: str | None = None
        """The function that never answers."""
        self._hung = False
        self.closed = False

    async def open(self, line: Line) -> Channel:
        """Every shell is a new one with the same lies."""
        another = type(self)(**self._lies)
        another.hangs = self.hangs
        self.shells.append(another)
        return another

    def source(self, silence_limit_s: float = 60.0) -> ShellSource:
        return ShellSource(self.open, b"/root", silence_limit_s=silence_limit_s)

    # --- the channel ------------------------------------------------------------------------------------------------------

    async def write(self, data: bytes) -> None:
        self._told += data
        if not self.mark and self._told.endswith(b"\nm\n"):
            self.mark, self._told = re.match(rb"N=(\w+)", self._told)[1], b""  # type: ignore[index]
            self._print("m", [])
        *commands, self._told = self._told.split(b" </dev/null;m\n")
        for command in commands:
            function, *_ = shlex.split(command.decode("latin-1"))
            self._print(function, self._lies[function](self) if function in self._lies else HONEST[function]())

    def _print(self, function: str, answer: Answer) -> None:
        self._hung |= function == self.hangs
        if not self._hung:
            self._says += [iter(answer), iter([self.mark + b"\n"])]
            self._some.set()

    async def read(self) -> bytes:
        while True:
            while self._says:
                piece = next(self._says[0], None)
                if piece == b"":
                    continue
                if piece is not None:
                    self.said_bytes += len(piece)
                    await asyncio.sleep(0)
                    return piece
                self._says.popleft()
            self._some.clear()
            await self._some.wait()

    async def close(self) -> str:
        self.closed = True
        return ""
