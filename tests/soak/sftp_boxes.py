"""SFTP boxes that lie, as a process of its own: who logs in is called as the lie (`tests/sources/sftp/test_hostile.py`).

`HangsAt.READ` is the lie HangsAt, at the question READ. Whatever stands behind a `-` is only a number.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import psutil

from forged.sources.sftp.wire import Ask, Code
from tests.sources.sftp import test_hostile as hostile
from tests.sources.sftp.impostor import FOLDER, Honest, Server, attrs, names, status
from tests.support.sshd import Sshd

ESCAPES = b"\x1b]0;owned\x07\x1b[2J\r\x9b31mred\n\xff" * 8


class PaintedNames(Honest):
    """Names that command a terminal."""

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if name != b"1" or name in self._read:
            return [status(number, Code.EOF)]
        self._read.add(name)
        return [names(number, (ESCAPES + b"file", attrs()), (ESCAPES, attrs(mode=0o120777)), (b"~", attrs(mode=FOLDER)))]


class PaintedErrors(Honest):
    """Words that do."""

    def opendir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [status(number, Code.FAILURE, ESCAPES)]


class ClaimsAnExabyte(Honest):
    """And has it, in zeros."""

    SIZE_BYTES = 1 << 60

    def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [hostile.packet(hostile.Say.ATTRS, number, self._attrs() if name.endswith(b"file") else attrs(mode=FOLDER))]

    def fstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [hostile.packet(hostile.Say.ATTRS, number, self._attrs())]

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if name in self._read:
            return [status(number, Code.EOF)]
        self._read.add(name)
        return [names(number, (b"file", self._attrs()))]

    def _attrs(self) -> bytes:
        return attrs(self.SIZE_BYTES)


class EndlessFile(ClaimsAnExabyte):
    """A file of 3 GB that grows by a little each time it is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self._sizes = itertools.count(3_000_000_000, 4096)

    def _attrs(self) -> bytes:
        return attrs(next(self._sizes))


LIES: dict[str, Callable[[], Honest]] = {
    **{lie.__name__: lie for lie in hostile.LIES},
    **{f"HangsAt.{ask.name}": lambda ask=ask: hostile.HangsAt(ask) for ask in Ask},
    "EndlessFolder": lambda: hostile.EndlessFolder(200),
    **{
        lie.__name__: lie
        for lie in (
            hostile.EndlessRepetition,
            hostile.EndlessEverywhere,
            hostile.EndlessDepth,
            hostile.FloodsBackwards,
            hostile.Crumbling,
            hostile.Backwards,
            hostile.Drips,
            PaintedNames,
            PaintedErrors,
            ClaimsAnExabyte,
            EndlessFile,
        )
    },
}

HARDEST = (
    "EndlessFolder",
    "EndlessEverywhere",
    "FloodsBackwards",
    "EndlessFile",
    "ClaimsAnExabyte",
    "PaintedNames",
    "PaintedErrors",
    "AnswersWhatNobodyAsked",
    "SendsMoreThanAsked",
    "ClimbsOut",
    "HangsAt.READ",
    "HangsAt.READDIR",
    "HangsAt.INIT",
)
"""One of each kind, those that cost the daemon most."""


class Liar(Server):
    """Who logs in says by his name how he wants to be lied to."""

    def __init__(self) -> None:
        super().__init__(Honest())

    def begin_auth(self, username: str) -> bool:
        self._box = LIES[username.partition("-")[0]]()
        return True


@dataclass(frozen=True, slots=True)
class SftpBoxes:
    """The running process, as far as a campaign is concerned with it."""

    port: int
    pid: int

    def url(self, path: str) -> str:
        """`/lies/NAME-3` is a box of that lie."""
        return f"sftp://{path.rpartition('/')[2]}@127.0.0.1:{self.port}/root"

    def children(self) -> list[int]:
        """The connections that it serves, by their descriptors."""
        connections = psutil.Process(self.pid).net_connections("tcp")
        return [one.fd for one in connections if one.status == psutil.CONN_ESTABLISHED]

    def log(self) -> str:
        return ""


@contextmanager
def sftp_boxes(identity_of: Sshd) -> Iterator[SftpBoxes]:
    """For whoever has that identity."""
    command = [sys.executable, "-m", "tests.soak.sftp_boxes", str(identity_of.identity.with_suffix(".pub"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        try:
            told = re.fullmatch(rb"(\d+)\n", process.stdout.readline())
            assert told is not None
            yield SftpBoxes(int(told[1]), process.pid)
        finally:
            process.kill()


async def serve(authorized: Path) -> None:
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=str(authorized),
        server_factory=Liar,
        encoding=None,
        backlog=1000,
    )
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
