"""What the answers of an SFTP server mean: a result, a refusal, or nothing that can be believed. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from forged.model.errors import SourceBroken
from forged.model.paths import MAX_PATH_BYTES, shown
from forged.sources.sftp.wire import (
    LIMITS,
    MAX_MESSAGE_BYTES,
    VERSION,
    Attrs,
    Code,
    Limits,
    Named,
    Packet,
    Reader,
    Refused,
    Say,
)

MAX_NAMES_BYTES = 128 << 10
"""The largest answer with names. OpenSSH sends 100 names at once, asyncssh 128: 80 kB where each is as long as a name can be."""

MOST_REAL_BYTES = 2 * MAX_PATH_BYTES
"""A root, and a path below it. Some servers answer with what they were asked for, whether there can be such a path or not."""

_LENGTH = struct.Struct(">I")
_USUAL = struct.Struct(">IQIIIII")

USUAL = 1 | 2 | 4 | 8
"""Size, owner, mode and times: what OpenSSH tells of every file."""


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


def parse_names(packet: Packet) -> bytes:
    """Of a folder, for `names_of`: not taken apart before their turn, since that makes objects of ten times their size.

    Raises SourceBroken for too many of them at once.
    """
    _expect(packet, Say.NAME)
    if len(packet.body) > MAX_NAMES_BYTES:
        raise SourceBroken("the SFTP server sent too many names at once")
    return bytes(packet.body)


def names_of(body: bytes) -> list[Named]:
    """What `parse_names` has taken, `.` and `..` left out. Raises SourceBroken for what can be no name."""
    names = []
    try:
        for name, attrs in _named(body):
            if not name or b"/" in name or b"\0" in name:
                raise SourceBroken("the SFTP server sent a name that can be no name")
            if name not in (b".", b".."):
                names.append(Named(name, attrs))
    except struct.error as error:
        raise SourceBroken("the SFTP server sent an answer that is cut short") from error
    return names


def _named(body: bytes) -> Iterator[tuple[bytes, Attrs]]:
    """What `Reader` would read, in a third of its time: there may be millions. Raises struct.error where it is cut short."""
    length, usual, at = _LENGTH.unpack_from, _USUAL.unpack_from, 4
    for _ in range(length(body)[0]):
        begin = at + 4
        at = begin + length(body, at)[0]
        name = body[begin:at]
        at += 4 + length(body, at)[0]  # as `ls -l` would show it
        if length(body, at)[0] == USUAL:
            _, size_bytes, _, _, mode, _, mtime_s = usual(body, at)
            at += _USUAL.size
            yield name, Attrs(size_bytes, mode, mtime_s)
        else:
            reader = Reader(memoryview(body)[at:])
            yield name, _attrs(reader)
            at += reader.at
    if at != len(body):
        raise SourceBroken("the SFTP server sent an answer with too much in it")


def parse_realpath(packet: Packet) -> bytes:
    """Absolute, normal, of possible length: it may be kept, shown, and asked for again and again."""
    reader = _expect(packet, Say.NAME)
    count, path = reader.number(), reader.string()
    parts = path[1:].split(b"/") if path != b"/" else []
    if count != 1 or not path.startswith(b"/") or b"\0" in path or not {b"", b".", b".."}.isdisjoint(parts):
        raise SourceBroken("the SFTP server sent a real path that is none")
    if len(path) > MOST_REAL_BYTES:
        raise SourceBroken("the SFTP server sent a real path that is too long")
    return path


def parse_limits(packet: Packet) -> Limits:
    reader = _expect(packet, Say.EXTENDED_REPLY)
    reader.long()
    read_bytes = reader.long()
    reader.long()
    return Limits(read_bytes, reader.long())


def parse_version(packet: Packet) -> bool:
    """Whether the server tells its limits. Raises SourceBroken for no version of ours."""
    if packet.kind != Say.VERSION or packet.number != VERSION:
        raise SourceBroken("it speaks no SFTP of version 3")
    reader = Reader(packet.body)
    told = False
    while reader.more:
        told |= reader.string() == LIMITS
        reader.skip()
    return told
