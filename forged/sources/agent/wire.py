"""What client and agent say to each other, the client's half: frames in and out, strictly parsed and bounded.

A frame is kind (1 byte), call (4), length of the payload (4), payload; numbers are big-endian. Each call is answered by its
agent exactly once at the end: with the answer it asked for, or with PROBLEM. Whatever the agent sends that is not exactly as
written here raises SourceBroken. `program.line` is the other half; a test holds both together.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forged.model.errors import BadPath, SourceBroken
from forged.model.files import ProblemKind, Stat
from forged.model.paths import MAX_PATH_BYTES, SourcePath, shown, source_path
from forged.model.places import Place

VERSION = 1
MAGIC = b"\n\0forged agent\0\n"
MAX_NOISE_BYTES = 65_536
"""What a login script may print before the agent speaks; a message of the day is far smaller."""


class Kind(enum.IntEnum):
    """The kinds of frames: below 0x80 to the agent, above from it."""

    START = 0x01
    LIST = 0x02
    GRANT = 0x03
    CANCEL = 0x04
    FETCH = 0x05
    HASH = 0x06
    LOOK = 0x07
    REMOVE = 0x08
    CLOCK = 0x09
    SPACE = 0x0A
    WATCH = 0x0B
    REMOVE_FOLDER = 0x0C
    RESOLVE = 0x0D

    HELLO = 0x81
    REFUSED = 0x82
    LISTED = 0x83
    LIST_END = 0x84
    DATA = 0x85
    DONE = 0x86
    HASHED = 0x87
    LOOKED = 0x88
    REMOVED = 0x89
    PROBLEM = 0x8A
    TIME = 0x8B
    ROOM = 0x8C
    BEAT = 0x8D
    NOTICED = 0x8E
    SAME = 0x8F
    PLACED = 0x90


MAX_MESSAGE_BYTES = 300
MAX_NEWS_BYTES = 16_384
"""One block of a watch's news: what a burst brings is split, so that little memory is held for whoever reads slowly."""
MAX_REST_BYTES = 65_536
"""Of a file's bytes, what may come with its DONE."""
MAX_BLOCK_BYTES = 81_920
"""Of an inflated block of a listing: the agent ends one at 64 KiB, and may overshoot by one folder's path, file or problem."""
DIGEST_BYTES = 16
"""Of a block of a listing: 2 for the number of its files, and 14 of a hash."""
MAX_KNOWN = 65_535
"""That a listing carries: 1 MiB, for trees of some 25,000,000 files. Of more, the first are taken."""
SHA256_BYTES = 32
_HEADER = struct.Struct(">BII")
_STAT = struct.Struct(">qqqq")
_EXPECTED = struct.Struct(">Bqqqq")
_RANGE = struct.Struct(">?qqQ")
_AMOUNT = struct.Struct(">Q")
_TIME_NS = struct.Struct(">q")
_GREETING = struct.Struct(">HIqBBB")
_COUNT = struct.Struct(">H")
_LIST_END = struct.Struct(">Qq")
_SPACE = struct.Struct(">QQ")
_IDENTITY = struct.Struct(">QQ")


_MOST_BYTES: Mapping[int, int] = {
    Kind.DATA: 1 << 20,
    Kind.LISTED: MAX_BLOCK_BYTES + 1024,  # that does not compress
    Kind.SAME: MAX_KNOWN * _COUNT.size,
    Kind.NOTICED: MAX_NEWS_BYTES,
    Kind.DONE: MAX_REST_BYTES + 512,
    Kind.PLACED: _IDENTITY.size + MAX_PATH_BYTES,
    **dict.fromkeys((Kind.HELLO, Kind.REFUSED, Kind.LIST_END, Kind.HASHED, Kind.LOOKED), 512),
    **dict.fromkeys((Kind.REMOVED, Kind.PROBLEM, Kind.TIME, Kind.ROOM, Kind.BEAT), 512),
}
"""The most that an answer of each kind may carry."""


class Frame(NamedTuple):
    """One thing the agent said. The payload of a DATA frame may come in several Frames, as it arrives, so that it is not copied."""

    kind: int
    call: int
    payload: bytes


class Decoder:
    """Turns bytes, cut anywhere, into frames. Holds at most one frame that is not DATA. Raises SourceBroken, and nothing else."""

    def __init__(self) -> None:
        self._started = False
        self._held = bytearray()
        self._frame: tuple[int, int, int] | None = None
        self._data_call = 0
        self._data_left = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames (and parts of DATA frames) that these bytes complete."""
        if not self._started:
            data = self._skip_noise(data)
        frames: list[Frame] = []
        at = 0
        while at < len(data):
            if self._data_left:
                at = self._data(data, at, frames)
            elif self._held or self._frame:
                at = self._other(data, at, frames)
            else:
                at = self._whole(data, at, frames)
        return frames

    @property
    def noise(self) -> bytes:
        """What was said while no agent has spoken yet: perhaps why none came to run."""
        return b"" if self._started else bytes(self._held)

    def _skip_noise(self, data: bytes) -> bytes:
        self._held += data
        begin = self._held.find(MAGIC, max(0, len(self._held) - len(data) - len(MAGIC)))
        if begin > MAX_NOISE_BYTES or (begin < 0 and len(self._held) > MAX_NOISE_BYTES + len(MAGIC)):
            raise SourceBroken("something other than the agent answered", hint="does a login script print without end?")
        if begin < 0:
            return b""
        rest = bytes(self._held[begin + len(MAGIC) :])
        self._held.clear()
        self._started = True
        return rest

    def _data(self, data: bytes, at: int, frames: list[Frame]) -> int:
        end = min(len(data), at + self._data_left)
        self._data_left -= end - at
        whole = at == 0 and end == len(data)
        frames.append(Frame(Kind.DATA, self._data_call, data if whole else data[at:end]))
        return end

    def _whole(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Takes frames for as long as they are there from end to end, which most small ones are."""
        size_bytes = len(data)
        while at + _HEADER.size <= size_bytes:
            kind, call, length = _HEADER.unpack_from(data, at)
            begin, end = at + _HEADER.size, at + _HEADER.size + length
            if kind == Kind.DATA or end > size_bytes or length > _MOST_BYTES.get(kind, -1):
                break
            frames.append(Frame(kind, call, data[begin:end]))
            at = end
        return self._other(data, at, frames) if at < size_bytes else at

    def _other(self, data: bytes, at: int, frames: list[Frame]) -> int:
        """Collects a header, then the payload of any frame but DATA."""
        wanted = self._frame[2] if self._frame else _HEADER.size
        end = min(len(data), at + wanted - len(self._held))
        self._held += data[at:end]
        if len(self._held) == wanted:
            held = bytes(self._held)
            self._held.clear()
            if self._frame:
                self._end_frame(held, frames)
            else:
                self._begin_frame(held, frames)
        return end

    def _begin_frame(self, header: bytes, frames: list[Frame]) -> None:
        kind, call, size = _HEADER.unpack(header)
        if kind not in _MOST_BYTES:
            raise SourceBroken(f"the agent sent a frame of unknown kind {kind:#x}")
        if size > _MOST_BYTES[kind] or (size == 0 and kind == Kind.DATA):
            raise SourceBroken(f"the agent sent a frame of kind {kind:#x} with a length of {size}")
        if kind == Kind.DATA:
            self._data_call, self._data_left = call, size
            return
        self._frame = (kind, call, size)
        if size == 0:
            self._end_frame(b"", frames)

    def _end_frame(self, payload: bytes, frames: list[Frame]) -> None:
        assert self._frame is not None
        kind, call, _ = self._frame
        self._frame = None
        frames.append(Frame(kind, call, payload))


# --- to the agent -----------------------------------------------------------------------------------------------------------


def packed(kind: Kind, call: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return _HEADER.pack(kind, call, len(payload)) + payload


def packed_expected(stat: Stat) -> bytes:
    """What a file must still look like; inode and ctime only where they are known."""
    known = (stat.inode is not None) | (stat.ctime_ns is not None) << 1
    return _EXPECTED.pack(known, stat.size_bytes, stat.mtime_ns, stat.inode or 0, stat.ctime_ns or 0)


def folders_payload(folders: Sequence[SourcePath]) -> bytes:
    return b"".join(folder + b"\0" for folder in folders)


def list_payload(folders: Sequence[SourcePath], known: Sequence[bytes] = ()) -> bytes:
    """`known` are at most MAX_KNOWN."""
    assert all(len(digest) == DIGEST_BYTES for digest in known)
    return _COUNT.pack(len(known)) + b"".join(known) + folders_payload(folders)


def grant_payload(amount: int) -> bytes:
    return _AMOUNT.pack(amount)


def fetch_payload(path: SourcePath, expected: bytes, begin: int, end: int, granted_bytes: int, want_hash: bool) -> bytes:
    """The bytes from `begin` to `end`, and leave to send that many of them. `expected` as packed by `packed_expected`."""
    return expected + _RANGE.pack(want_hash, begin, end, granted_bytes) + path


def hash_payload(path: SourcePath, expected: Stat) -> bytes:
    return packed_expected(expected) + path


def remove_payload(path: SourcePath, expected: Stat, sha256: bytes) -> bytes:
    assert len(sha256) == SHA256_BYTES
    return packed_expected(expected) + sha256 + path


# --- from the agent ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hello:
    """Who answers: `abilities` are the commands it knows, so that later agents may know more."""

    pid: int
    clock_ns: int
    python: str
    abilities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a call has no other answer. `kind` is None when it was cancelled."""

    kind: ProblemKind | None
    message: str


class Done(NamedTuple):
    """The end of a fetched range: the file's look when opened and after the last byte, and its hash if that was asked for."""

    before: Stat
    after: Stat
    sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Space:
    """The disk of the source's root folder."""

    free_bytes: int
    total_bytes: int


TROUBLES = (
    None,
    ProblemKind.CHANGED,
    ProblemKind.VANISHED,
    ProblemKind.UNREADABLE,
    ProblemKind.BAD_NAME,
    ProblemKind.LINK,
)
"""The kinds of PROBLEM by their number on the wire."""


def _numbers(form: struct.Struct, payload: bytes) -> tuple[int, ...]:
    if len(payload) != form.size:
        raise SourceBroken(f"the agent sent {len(payload)} bytes where {form.size} belong")
    return form.unpack(payload)


def expect(frame: Frame, kind: Kind) -> bytes:
    """The payload of a frame that must be of this kind."""
    if frame.kind != kind:
        raise SourceBroken(f"the agent sent a frame of kind {frame.kind:#x} where {kind.name} belongs")
    return frame.payload


def parse_stat(payload: bytes) -> Stat:
    """Size and inode are not negative; times are any signed 64-bit number of nanoseconds."""
    size_bytes, mtime_ns, inode, ctime_ns = _numbers(_STAT, payload)
    if size_bytes < 0 or inode < 0:
        raise SourceBroken("the agent sent a file of negative size or inode")
    return Stat(size_bytes, mtime_ns, inode, ctime_ns)


def parse_hello(payload: bytes) -> Hello:
    """Raises SourceBroken for another version than ours: the program is sent anew each time, so that cannot be honest."""
    version, pid, clock_ns, *python = _numbers(_GREETING, payload[: _GREETING.size])
    if version != VERSION:
        raise SourceBroken(f"the agent speaks version {version}, not {VERSION}")
    abilities = payload[_GREETING.size :].decode("ascii", "replace").split()
    return Hello(pid, clock_ns, ".".join(map(str, python)), frozenset(abilities))


def parse_message(payload: bytes) -> str:
    """Text for people, harmless to a terminal."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SourceBroken("the agent sent an endless message")
    return shown(payload)


def parse_trouble(payload: bytes) -> Trouble:
    if not payload or payload[0] >= len(TROUBLES):
        raise SourceBroken("the agent sent a problem of unknown kind")
    return Trouble(TROUBLES[payload[0]], parse_message(payload[1:]))


def parse_done(payload: bytes, hashed: bool, known: Stat, expected: bytes) -> tuple[Done, bytes]:
    """Also answers the last bytes of the range. `hashed`: whether the hash was asked for.

    `known`, packed in `expected`, is how the file should look: where it does, no other Stat is made.
    """
    rest = 2 * _STAT.size
    if payload[:rest] == 2 * expected[1:]:
        before = after = known
    else:
        before, after = parse_stat(payload[: _STAT.size]), parse_stat(payload[_STAT.size : rest])
    if not hashed:
        return Done(before, after, None), payload[rest:]
    end = rest + SHA256_BYTES
    return Done(before, after, parse_sha256(payload[rest:end])), payload[end:]


def parse_hashed(payload: bytes) -> tuple[Stat, bytes]:
    return parse_stat(payload[: _STAT.size]), parse_sha256(payload[_STAT.size :])


def parse_sha256(payload: bytes) -> bytes:
    if len(payload) != SHA256_BYTES:
        raise SourceBroken("the agent sent a hash of a wrong length")
    return payload


def parse_time_ns(payload: bytes) -> int:
    return _numbers(_TIME_NS, payload)[0]


def parse_list_end(payload: bytes) -> tuple[int, int]:
    """How many entries the listing had, and the time it began."""
    entries, clock_ns = _numbers(_LIST_END, payload)
    return entries, clock_ns


def parse_places(payload: bytes) -> tuple[int, ...]:
    """Which of the known digests, by their place in the question, are of blocks that are as they were. At least one."""
    if not payload or len(payload) % _COUNT.size:
        raise SourceBroken("the agent sent something that is no list of known blocks")
    return struct.unpack(f">{len(payload) // _COUNT.size}H", payload)


def parse_space(payload: bytes) -> Space:
    return Space(*_numbers(_SPACE, payload))


def parse_place(payload: bytes) -> Place:
    """A folder's identity and its path: absolute, normal, of possible length."""
    identity, path = payload[: _IDENTITY.size], payload[_IDENTITY.size :]
    device, inode = _numbers(_IDENTITY, identity)
    try:
        if path != b"/":
            source_path(path.removeprefix(b"/"))
    except BadPath as error:
        raise SourceBroken("the agent sent a folder's place that is no path") from error
    if not path.startswith(b"/"):
        raise SourceBroken("the agent sent a folder's place that is not absolute")
    return Place(path, (device, inode))


def parse_nothing(payload: bytes) -> None:
    if payload:
        raise SourceBroken("the agent sent bytes where none belong")
