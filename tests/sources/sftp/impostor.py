"""SFTP servers behind a real SSH server (asyncssh's, on a port of its own): an honest one of few words, and those that lie.

Each lie is a small subclass that answers one thing otherwise.
"""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from forged.model.target import SourceAddress, SourceKind, SshOptions
from forged.sources.sftp.source import SftpSource
from forged.sources.sftp.wire import Ask, Code, Say, string
from tests.support.ssh import door

FILE_BYTES, MTIME_S = 1000, 1_600_000_000
FILE, FOLDER, LINK = 0o100644, 0o040755, 0o120777


def packet(kind: Say, number: int, body: bytes = b"") -> bytes:
    return struct.pack(">IBI", 5 + len(body), kind, number) + body


def status(number: int, code: int, words: bytes = b"") -> bytes:
    return packet(Say.STATUS, number, struct.pack(">I", code) + string(words) + string(b""))


def attrs(size_bytes: int = FILE_BYTES, mode: int = FILE, mtime_s: int = MTIME_S) -> bytes:
    return struct.pack(">IQIIIII", 1 | 2 | 4 | 8, size_bytes, 0, 0, mode, mtime_s, mtime_s)


def names(number: int, *found: tuple[bytes, bytes]) -> bytes:
    listed = b"".join(string(name) + string(b"") + seen for name, seen in found)
    return packet(Say.NAME, number, struct.pack(">I", len(found)) + listed)


class Honest:
    """A box with one file, `file`. Handles name what they are of, and count what was read of it."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self._read: set[bytes] = set()
        self._handles = 0

    def answers(self, kind: int, number: int, body: bytes) -> Iterable[bytes]:
        """What is said to one request."""
        if kind == Ask.INIT:
            return [self.hello()]
        self.asked.append(Ask(kind))
        size_bytes = struct.unpack(">I", body[:4])[0]
        name, rest = body[4 : 4 + size_bytes], body[4 + size_bytes :]
        answer: Callable[[int, bytes, bytes], Iterable[bytes]] = getattr(self, Ask(kind).name.lower())
        return answer(number, name, rest)

    def hello(self) -> bytes:
        return packet(Say.VERSION, 3, string(b"limits@openssh.com") + string(b"1"))

    def extended(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.EXTENDED_REPLY, number, struct.pack(">QQQQ", 256 << 10, 255 << 10, 255 << 10, 1000))]

    def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (name, attrs()))]

    def lstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return self.stat(number, name, rest)

    def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, attrs(mode=FILE if name.endswith(b"file") else FOLDER))]

    def fstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, attrs())]

    def open(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if not name.endswith(b"file"):
            return [status(number, Code.NO_SUCH_FILE)]
        return self.opendir(number, name, rest)

    def opendir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        self._handles += 1
        return [packet(Say.HANDLE, number, string(b"%d" % self._handles))]

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if name in self._read:
            return [status(number, Code.EOF)]
        self._read.add(name)
        return [names(number, (b".", attrs(mode=FOLDER)), (b"file", attrs()))]

    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        offset_bytes, size_bytes = struct.unpack(">QI", rest)
        data = bytes(max(0, min(size_bytes, FILE_BYTES - offset_bytes)))
        return [packet(Say.DATA, number, string(data)) if data else status(number, Code.EOF)]

    def close(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [status(number, Code.OK)]

    def remove(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [status(number, Code.OK)]

    def rmdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [status(number, Code.FAILURE)]


class Session(asyncssh.SSHServerSession[bytes]):
    """One session at such a box."""

    def __init__(self, box: Honest) -> None:
        self._box, self._rest = box, b""

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        return subsystem == "sftp"

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        self._rest += data
        while len(self._rest) >= 4 and len(self._rest) >= 4 + (length := struct.unpack(">I", self._rest[:4])[0]):
            asked, self._rest = self._rest[4 : 4 + length], self._rest[4 + length :]
            kind, number = struct.unpack(">BI", asked[:5])
            for answer in self._box.answers(kind, number, asked[5:]):
                self._chan.write(answer)


class Server(asyncssh.SSHServer):
    def __init__(self, box: Honest) -> None:
        self._box = box

    def session_requested(self) -> Session:
        return Session(self._box)


@asynccontextmanager
async def pretending(box: Honest, folder: Path, silence_limit_s: float = 60.0, lanes: int = 1) -> AsyncIterator[SftpSource]:
    """A closed source over a real SSH connection to `box`."""
    identity = folder / "id"
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(identity))

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
        server_factory=lambda: Server(box),
        encoding=None,
    )
    try:
        where = SourceAddress(SourceKind.SFTP, "/root", "127.0.0.1", "demo", server.get_port())
        opened = door(where, folder, SshOptions(identity_file=identity))
        yield SftpSource(opened.open_link, b"/root", max_lanes=lanes, silence_limit_s=silence_limit_s)
    finally:
        server.close()
        await server.wait_closed()
