"""The decoder of what an agent says, against a plain one that has all bytes at once; then every payload through its parser."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable

from forged.model.errors import SourceBroken
from forged.model.files import Stat
from forged.sources.agent import wire
from forged.sources.agent.wire import MAGIC, Decoder, Kind
from tests.fuzz.target import Poke, rearranged

HEADER = struct.Struct(">BII")
MOST_HELD_BYTES = max(size for kind, size in wire._MOST_BYTES.items() if kind != Kind.DATA)
KNOWN = Stat(1000, 2, 3, 4)
FACTS = struct.pack(">qqqq", 1000, 2, 3, 4)

SLOW_BYTES = 1_000
"""A stream that is shorter is fed byte by byte, a longer one in as many pieces."""

Spelled = tuple[int, int, bytes]
"""A frame: kind, call, payload."""

HONEST: tuple[Spelled, ...] = (
    (Kind.HELLO, 1, struct.pack(">HIqBBB", wire.VERSION, 77, 1, 3, 6, 0) + b"list fetch hash watch"),
    (Kind.REFUSED, 1, b"No such file or directory"),
    (Kind.LISTED, 2, b"some block"),
    (Kind.SAME, 2, b"\0\0\0\1"),
    (Kind.LIST_END, 2, struct.pack(">Qq", 5, 10**18)),
    (Kind.DATA, 3, bytes(300)),
    (Kind.DATA, 3, b"x"),
    (Kind.DONE, 3, 2 * FACTS + bytes(32) + b"rest"),
    (Kind.DONE, 4, FACTS + FACTS[::-1] + bytes(32)),
    (Kind.HASHED, 5, FACTS + bytes(range(32))),
    (Kind.LOOKED, 6, FACTS),
    (Kind.REMOVED, 7, b""),
    (Kind.PROBLEM, 8, b"\3Permission denied \x1b[2J"),
    (Kind.TIME, 9, struct.pack(">q", -1)),
    (Kind.ROOM, 10, struct.pack(">QQ", 1, 2)),
    (Kind.BEAT, 10, b""),
    (Kind.NOTICED, 11, b"\0\0\0\0\0"),
)

Parser = Callable[[bytes], object]

PARSERS: dict[int, tuple[Parser, ...]] = {
    Kind.HELLO: (wire.parse_hello,),
    Kind.REFUSED: (wire.parse_message,),
    Kind.SAME: (lambda payload: struct.pack(f">{len(payload) // 2}H", *wire.parse_places(payload)) == payload,),
    Kind.LIST_END: (lambda payload: struct.pack(">Qq", *wire.parse_list_end(payload)) == payload,),
    Kind.DONE: (lambda payload: _done(payload, hashed=True), lambda payload: _done(payload, hashed=False)),
    Kind.HASHED: (lambda payload: _facts(wire.parse_hashed(payload)[0]) + wire.parse_hashed(payload)[1] == payload,),
    Kind.LOOKED: (lambda payload: _facts(wire.parse_stat(payload)) == payload,),
    Kind.REMOVED: (wire.parse_nothing,),
    Kind.PROBLEM: (wire.parse_trouble,),
    Kind.TIME: (lambda payload: struct.pack(">q", wire.parse_time_ns(payload)) == payload,),
    Kind.ROOM: (lambda payload: _space(wire.parse_space(payload)) == payload,),
}
"""How each kind's payload is read; a DONE with a hash or without, as was asked. Who has a way back answers whether it leads to the
same bytes."""


class Wire:
    """A Target. An input: how the stream is cut (1 byte), whether noise goes before it (1 byte), then what the agent says."""

    def seeds(self) -> list[bytes]:
        return [b"\0\0" + joined(HONEST), b"\7\1" + joined(HONEST[:7]), *(b"\0\0" + joined([frame]) for frame in HONEST)]

    def words(self) -> list[bytes]:
        return [MAGIC, *(bytes([kind]) for kind in Kind), b"\0\0\0\1", b"\0\1\0\0", b"\xff\xff\xff\xff"]

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        """Frames are moved about and poked in their payloads, and their lengths fit; the last one may be cut short."""
        head, frames = data[:2], [bytes([kind]) + call.to_bytes(4) + payload for kind, call, payload in plain(data[2:])[0]]
        changed = [frame for frame in rearranged(frames, chance, poke) if len(frame) >= 5]
        return head + joined((frame[0], int.from_bytes(frame[1:5]), frame[5:]) for frame in changed)

    def check(self, data: bytes) -> bool:
        cut, noise, stream = data[:1], data[1:2], data[2:]
        expected, should_break = plain(stream)
        heard = (b"welcome\n" if noise > b"\0" else b"") + MAGIC + stream
        for size in (1 + len(heard) // SLOW_BYTES, cut[0] if cut and cut[0] else len(heard)):
            frames, broke = decoded(heard, size)
            assert broke == should_break
            # The frames of a piece with a fault in it go with it; byte by byte, all before the fault come out.
            assert merged(frames) == merged(expected) or (broke and size > 1)
        for kind, _, payload in expected:
            parse(kind, payload)
        return not should_break

    def close(self) -> None: ...


def decoded(heard: bytes, size: int) -> tuple[list[Spelled], bool]:
    """What the Decoder makes of it, fed in pieces of so many bytes, and whether it broke."""
    ear, frames = Decoder(), list[Spelled]()
    try:
        for start in range(0, len(heard), size):
            frames += ear.feed(heard[start : start + size])
            assert len(ear._held) <= wire.MAX_NOISE_BYTES + MOST_HELD_BYTES, "more is held than a frame may have"
    except SourceBroken:
        return frames, True
    return frames, False


def plain(stream: bytes) -> tuple[list[Spelled], bool]:
    """The frames of a stream, and whether it breaks the rules: what the Decoder should find, written as simply as can be."""
    frames, at = list[Spelled](), 0
    while len(stream) - at >= HEADER.size:
        kind, call, size = HEADER.unpack_from(stream, at)
        if size > wire._MOST_BYTES.get(kind, -1) or (kind == Kind.DATA and size == 0):
            return frames, True
        payload = stream[at + HEADER.size : at + HEADER.size + size]
        if len(payload) == size or (kind == Kind.DATA and payload):
            frames.append((kind, call, payload))
        at += HEADER.size + size
    return frames, False


def merged(frames: Iterable[Spelled]) -> list[Spelled]:
    """DATA comes in parts as it arrives: neighbours of one call are put together."""
    whole: list[Spelled] = []
    for kind, call, payload in frames:
        if whole and kind == Kind.DATA and whole[-1][:2] == (kind, call):
            whole[-1] = (kind, call, whole[-1][2] + payload)
        else:
            whole.append((kind, call, payload))
    return whole


def joined(frames: Iterable[Spelled]) -> bytes:
    return b"".join(HEADER.pack(kind, call, len(payload)) + payload for kind, call, payload in frames)


def parse(kind: int, payload: bytes) -> None:
    """Reads a payload in all ways in which its kind is read. SourceBroken is an answer; anything else is none."""
    for parser in PARSERS.get(kind, ()):
        try:
            assert parser(payload) is not False, "what was read is not what was said"
        except SourceBroken:
            pass


def _facts(stat: Stat) -> bytes:
    return struct.pack(">qqqq", stat.size_bytes, stat.mtime_ns, stat.inode, stat.ctime_ns)


def _space(space: wire.Space) -> bytes:
    return struct.pack(">QQ", space.free_bytes, space.total_bytes)


def _done(payload: bytes, *, hashed: bool) -> bool:
    done, rest = wire.parse_done(payload, hashed, KNOWN, wire.packed_expected(KNOWN))
    return _facts(done.before) + _facts(done.after) + (done.sha256 or b"") + rest == payload
