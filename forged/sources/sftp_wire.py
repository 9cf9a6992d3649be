"""SFTP version 3 as bytes: what is asked, and what of the answers is believed. No I/O.

The protocol: draft-ietf-secsh-filexfer-02 (2001), which is what OpenSSH speaks; `limits@openssh.com`: OpenSSH's PROTOCOL file,
section 4.8. Names are bytes, and stay so. Everything a server says is bounded before it is kept: asyncssh's own client turns each
name of an answer into two Python objects of 60 fields, so that one packet of 4 MiB costs it hundreds of MB.
"""

from __future__ import annotations

import enum
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from forged.model.errors import SourceBroken
from forged.model.files import Stat
from forged.model.paths import shown

VERSION = 3

MAX_PACKET_BYTES = 256 << 10
"""The largest packet that is taken: what OpenSSH allows itself (SFTP_MAX_MSG_LENGTH of sftp-common.h, 9.2)."""

MAX_MESSAGE_BYTES = 200
"""Of a server's own words about an error, so many are shown."""

NANO = 1_000_000_000


class Ask(enum.IntEnum):
    """What a client sends (section 3)."""

    INIT = 1
    OPEN = 3
    CLOSE = 4
    READ = 5
    LSTAT = 7
    FSTAT = 8
    OPENDIR = 11
    READDIR = 12
    REMOVE = 13
    RMDIR = 15
    REALPATH = 16
    STAT = 17
    EXTENDED = 200


class Say(enum.IntEnum):
    """What a server sends."""

    VERSION = 2
    STATUS = 101
    HANDLE = 102
    DATA = 103
    NAME = 104
    ATTRS = 105
    EXTENDED_REPLY = 201


class Code(enum.IntEnum):
    """Why (section 7); all that version 3 has."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    BAD_MESSAGE = 5
    NO_CONNECTION = 6
    CONNECTION_LOST = 7
    OP_UNSUPPORTED = 8


WORDS = {
    Code.NO_SUCH_FILE: "No such file or directory",
    Code.PERMISSION_DENIED: "Permission denied",
    Code.OP_UNSUPPORTED: "the server cannot do that",
}
"""For people; what else went wrong a server may say in its own words."""


class Refused(Exception):
    """The server answered that it did not do it: trouble with one path, or the end of a file."""

    def __init__(self, code: Code, words: str = "") -> None:
        super().__init__(WORDS.get(code) or words or code.name.lower().replace("_", " "))
        self.code = code


class Attrs(NamedTuple):
    """What is known of a file. Whole seconds, no inode, no ctime; None where the server does not say."""

    size_bytes: int | None = None
    mode: int | None = None
    mtime_s: int | None = None

    @property
    def whole(self) -> bool:
        """Enough to judge by."""
        return None not in self

    @property
    def is_regular(self) -> bool:
        return self.mode is not None and stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        return self.mode is not None and stat.S_ISDIR(self.mode)

    @property
    def stat(self) -> Stat:
        """Of a file whose attributes are whole. Raises SourceBroken for others: there is nothing to compare."""
        if self.size_bytes is None or self.mtime_s is None:
            raise SourceBroken("the SFTP server tells no size or time of a file")
        return Stat(self.size_bytes, self.mtime_s * NANO)


class Named(NamedTuple):
    """One name of a folder."""

    name: bytes
    attrs: Attrs


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server says it can do at once. Only ever a reason to ask for less."""

    read_bytes: int = 0
    handles: int = 0


class Packet(NamedTuple):
    """One answer: its kind, the number of the request, and the rest."""

    kind: int
    number: int
    body: memoryview


# --- asking -----------------------------------------------------------------------------------------------------------------

_HEAD = struct.Struct(">IBI")
_LENGTH = struct.Struct(">I")
_RANGE = struct.Struct(">QI")

READING = b"\0\0\0\1" + b"\0\0\0\0"
"""SSH_FXF_READ, and no attributes: the end of an OPEN."""

LIMITS = b"limits@openssh.com"


def string(data: bytes) -> bytes:
    return _LENGTH.pack(len(data)) + data


def asked(kind: Ask, number: int, body: bytes) -> bytes:
    """A request (of INIT the number is the version)."""
    return _HEAD.pack(5 + len(body), kind, number) + body


def read_body(handle: bytes, offset_bytes: int, size_bytes: int) -> bytes:
    return string(handle) + _RANGE.pack(offset_bytes, size_bytes)


# --- what is answered -------------------------------------------------------------------------------------------------------


class Decoder:
    """Puts packets together. Raises SourceBroken for one that is too long, or too short to be one."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def rest(self) -> bytes:
        """What has come of a packet that is not whole."""
        return self._rest

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are whole by now. Their bodies are views of `data`."""
        data = self._rest + data if self._rest else data
        view, place = memoryview(data), 0
        self._rest = data  # in case of trouble: what it was
        while len(data) - place >= 4:
            (length,) = _LENGTH.unpack_from(data, place)
            if not 5 <= length <= MAX_PACKET_BYTES:
                raise SourceBroken(f"the SFTP server sent a packet of {length} bytes")
            if len(data) - place < 4 + length:
                break
            _, kind, number = _HEAD.unpack_from(data, place)
            yield Packet(kind, number, view[place + 9 : place + 4 + length])
            place += 4 + length
        self._rest = data[place:]


class Reader:
    """Takes a body apart. Raises SourceBroken where it is shorter than it says, or longer than it should be."""

    def __init__(self, body: memoryview) -> None:
        self._body, self._at = body, 0

    def number(self) -> int:
        return int(_LENGTH.unpack(self._take(4))[0])

    def long(self) -> int:
        return self.number() << 32 | self.number()

    def string(self) -> bytes:
        return bytes(self._take(self.number()))

    def skip(self) -> None:
        """A string that nobody needs."""
        self._take(self.number())

    def end(self) -> None:
        if self._at != len(self._body):
            raise SourceBroken("the SFTP server sent an answer with too much in it")

    @property
    def more(self) -> bool:
        return self._at < len(self._body)

    def _take(self, size_bytes: int) -> memoryview:
        begin, self._at = self._at, self._at + size_bytes
        if self._at > len(self._body):
            raise SourceBroken("the SFTP server sent an answer that is cut short")
        return self._body[begin : self._at]


def _attrs(reader: Reader) -> Attrs:
    """Section 5: which fields there are, a bit field says."""
    flags = reader.number()
    size_bytes = reader.long() if flags & 1 else None
    if flags & 2:  # uid and gid
        reader.long()
    mode = reader.number() if flags & 4 else None
    mtime_s = None
    if flags & 8:
        reader.number()  # atime
        mtime_s = reader.number()
    if flags & 0x80000000:
        for _ in range(reader.number()):
            reader.skip()
            reader.skip()
    return Attrs(size_bytes, mode, mtime_s)


def _status(packet: Packet) -> Code:
    """What a STATUS says; OK, or raises Refused. A code that version 3 does not have is a failure like another."""
    reader = Reader(packet.body)
    raw = reader.number()
    code = Code(raw) if raw in Code._value2member_map_ else Code.FAILURE
    words = shown(reader.string()[:MAX_MESSAGE_BYTES]) if reader.more else ""  # some servers send neither words nor language
    if code is not Code.OK:
        raise Refused(code, words)
    return code


def _expect(packet: Packet, kind: Say) -> Reader:
    """An answer of that kind. Raises Refused when the server says no, SourceBroken for anything else."""
    if packet.kind == Say.STATUS:
        _status(packet)
    if packet.kind != kind:
        raise SourceBroken("the SFTP server sent an answer that does not belong there")
    return Reader(packet.body)


def parse_done(packet: Packet) -> None:
    if packet.kind != Say.STATUS:
        raise SourceBroken("the SFTP server sent an answer that does not belong there")
    _status(packet)


MAX_HANDLE_BYTES = 256
"""Section 6.3."""


def parse_handle(packet: Packet) -> bytes:
    reader = _expect(packet, Say.HANDLE)
    handle = reader.string()
    reader.end()
    if len(handle) > MAX_HANDLE_BYTES:
        raise SourceBroken("the SFTP server sent a handle that is too long")
    return handle


def parse_attrs(packet: Packet) -> Attrs:
    reader = _expect(packet, Say.ATTRS)
    attrs = _attrs(reader)
    reader.end()
    return attrs


def parse_data(packet: Packet) -> bytes:
    reader = _expect(packet, Say.DATA)
    data = reader.string()
    reader.end()
    return data


def parse_names(packet: Packet) -> list[Named]:
    """Of a folder, `.` and `..` left out. Raises SourceBroken for what can be no name."""
    reader = _expect(packet, Say.NAME)
    names = []
    for _ in range(reader.number()):
        name = reader.string()
        reader.skip()  # as `ls -l` would show it
        attrs = _attrs(reader)
        if not name or b"/" in name or b"\0" in name:
            raise SourceBroken("the SFTP server sent a name that can be no name")
        if name not in (b".", b".."):
            names.append(Named(name, attrs))
    reader.end()
    return names


def parse_realpath(packet: Packet) -> bytes:
    reader = _expect(packet, Say.NAME)
    count, path = reader.number(), reader.string()
    if count != 1 or not path.startswith(b"/") or b"\0" in path:
        raise SourceBroken("the SFTP server sent a real path that is none")
    return path


def parse_limits(packet: Packet) -> Limits:
    reader = _expect(packet, Say.EXTENDED_REPLY)
    reader.long()
    read_bytes = reader.long()
    reader.long()
    return Limits(read_bytes, reader.long())


def parse_version(packet: Packet) -> bool:
    """Whether the server tells its limits. Raises SourceBroken for no version of ours."""
    if packet.kind != Say.VERSION or packet.number < VERSION:
        raise SourceBroken("it speaks no SFTP of version 3")
    reader = Reader(packet.body)
    told = False
    while reader.more:
        told |= reader.string() == LIMITS
        reader.skip()
    return told
