"""SFTP version 3 as bytes: its words, what is asked, and answers taken apart (`answers` reads them). No I/O.

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
        self._body, self.at = body, 0

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
        if self.at != len(self._body):
            raise SourceBroken("the SFTP server sent an answer with too much in it")

    @property
    def more(self) -> bool:
        return self.at < len(self._body)

    def _take(self, size_bytes: int) -> memoryview:
        begin, self.at = self.at, self.at + size_bytes
        if self.at > len(self._body):
            raise SourceBroken("the SFTP server sent an answer that is cut short")
        return self._body[begin : self.at]
