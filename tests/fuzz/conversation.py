"""A whole conversation: the real client asks everything that it can ask, and somebody says what an agent once said, or nearly that.

What the agent said is recorded from a real one, read by read. Each read is handed over when the client has nothing left to do, so
the client has asked by then whatever it had asked when that was said. Time is virtual.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from forged.model.errors import ForgedError, SourceError
from forged.model.files import Entry, ListingEnd, ListingPart, SamePart
from forged.model.manifest import ManifestRow
from forged.model.paths import HomePath, source_path
from forged.model.removal import Removable
from forged.model.transfer import Fetched, Request
from forged.sources.agent.blocks import inflated
from forged.sources.agent.client import AgentSource
from forged.sources.agent.wire import MAGIC, MAX_KNOWN, Kind
from forged.sources.piped import PipedChannel, piped_channel
from tests.fuzz.target import Poke, rearranged
from tests.fuzz.wire import Spelled, joined, plain
from tests.support.sinks import MemorySink
from tests.support.virtual import VirtualLoop

SIZE = struct.Struct(">I")
SILENT = 1
"""A bit of the first byte: after its last words the agent stays there and says nothing. Otherwise it ends."""

PIECE_BYTES = 100
MOST_FILES = 8
"""Of a listing, how many are asked about further."""

PACE_S = 1.0
"""Of virtual time, between two reads: more than the client ever waits on its own account, so it has nothing left to do by then."""

NEWS_S = 5 * PACE_S
SILENCE_LIMIT_S = 20.0
LONGEST_S = 20 * SILENCE_LIMIT_S
"""Of virtual time: no step may wait for longer than the silence limit, and there are fewer steps. What is said is on top."""


class Recorded:
    """A Channel that says what is in `reads`."""

    def __init__(self, reads: list[bytes], then_silent: bool) -> None:
        self.closed = False
        self._reads, self._then_silent = iter(reads), then_silent

    async def open(self) -> Recorded:
        return self

    async def read(self) -> bytes:
        await asyncio.sleep(PACE_S)
        said = next(self._reads, None)
        if said is None and self._then_silent:
            await asyncio.Event().wait()
        return said or b""

    async def write(self, data: bytes) -> None:
        await asyncio.sleep(0)

    async def close(self) -> str:
        self.closed = True
        return "last words \x1b[2J"


class Recorder:
    """A Channel to a real agent that remembers what it said."""

    def __init__(self) -> None:
        self.reads: list[bytes] = []

    async def open(self) -> Recorder:
        self._channel: PipedChannel = await piped_channel()
        return self

    async def read(self) -> bytes:
        await asyncio.sleep(0.05)  # so that what belongs together comes together
        self.reads.append(await self._channel.read())
        return self.reads[-1]

    async def write(self, data: bytes) -> None:
        await self._channel.write(data)

    async def close(self) -> str:
        return await self._channel.close()


class Conversation:
    """A Target. An input: how it ends (1 byte), then each read: length (4), bytes."""

    def __init__(self) -> None:
        self._loop = VirtualLoop()

    def seeds(self) -> list[bytes]:
        reads = recorded()
        return [bytes([0]) + told(reads), bytes([SILENT]) + told([in_pieces(read) for read in reads])]

    def words(self) -> list[bytes]:
        return [bytes([kind]) for kind in Kind] + [b"\0\0\0\1", b"\0\0\0\2", b"\x7f" + b"\xff" * 7, b"../", b"\xff" * 4]

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        """One read is changed: frames moved about, or one poked in its payload, or in its block before compression."""
        reads = list(split(data[1:]))
        if not reads or chance.randrange(8) == 0:
            return data[:1] + told(rearranged(reads, chance, lambda read: read))
        at = chance.randrange(len(reads))
        begin = MAGIC if reads[at].startswith(MAGIC) else b""
        frames = [_opened(frame) for frame in plain(reads[at].removeprefix(begin))[0]]
        changed = [frame for frame in rearranged(frames, chance, poke) if len(frame) >= 5]
        reads[at] = begin + joined(map(_packed, changed))
        return data[:1] + told(reads)

    def check(self, data: bytes) -> bool:
        reads = list(split(data[1:]))
        channel = Recorded(reads, then_silent=bool(data[:1] and data[0] & SILENT))
        return self._loop.run_until_complete(self._check(channel, LONGEST_S + PACE_S * len(reads)))

    async def _check(self, channel: Recorded, limit_s: float) -> bool:
        began_s, sink = self._loop.time(), MemorySink()
        believed = False
        try:
            await converse(AgentSource(channel.open, b"/root", transport="test", silence_limit_s=SILENCE_LIMIT_S), sink)
            believed = True
        except SourceError:
            pass
        assert channel.closed
        sink.assert_even()
        assert asyncio.all_tasks() == {asyncio.current_task()}, "a task was left behind"
        assert self._loop.time() - began_s < limit_s, "it waited for longer than it may"
        return believed

    def close(self) -> None:
        self._loop.close()


# --- what is asked ----------------------------------------------------------------------------------------------------------


async def converse(source: AgentSource, sink: MemorySink, happens: Callable[[], object] = bool) -> None:
    """Asks everything once, and looks at each answer; `happens` while it watches. Raises the SourceError that ended it."""
    async with source:
        entries, digests = await _listed(source, ())
        assert await source.clock_ns() < 2**63
        assert (await source.space()).free_bytes >= 0
        some = entries[:MOST_FILES]
        await asyncio.gather(_looked(source, some), _hashed(source, some), _fetched(source, some, sink))
        await _listed(source, digests)
        await _watched(source, happens)
        await _removed(source, entries[-1:])


async def _listed(source: AgentSource, known: Sequence[bytes]) -> tuple[list[Entry], list[bytes]]:
    """The first few files of a listing, and the digests of its parts. All of it is looked at."""
    kept, digests, left, count, last = list[Entry](), list[bytes](), set(known), 0, b""
    async with aclosing(source.list((), known)) as parts:
        async for part in parts:
            match part:
                case ListingPart(entries):
                    for entry in entries:
                        assert source_path(entry.path) == entry.path > last
                        last = entry.path
                    kept += entries[: MOST_FILES - len(kept)]
                    count += len(entries)
                    digests += [part.digest] if part.digest and len(digests) < MAX_KNOWN else []
                case SamePart(digest):
                    left.remove(digest)
                    count += struct.unpack(">H14s", digest)[0]
                case ListingEnd():
                    assert part.entries == count
    return kept, digests


async def _looked(source: AgentSource, entries: Sequence[Entry]) -> None:
    paths = [*(entry.path for entry in entries), source_path(b"not there")]
    assert len(await source.look(paths)) == len(paths)


async def _hashed(source: AgentSource, entries: Sequence[Entry]) -> None:
    assert len([answer async for answer in source.hash(entries)]) == len(entries)


async def _fetched(source: AgentSource, entries: Sequence[Entry], sink: MemorySink) -> None:
    """Every file is answered once, and what is called fetched is whole in the sink."""
    batch = [Request(entry, str(number), hash_at_source=number % 2 == 0) for number, entry in enumerate(entries)]
    asked = {request.entry.path for request in batch}
    async for answer in source.fetch(batch, sink):
        if isinstance(answer, Fetched):
            asked.remove(answer.request.entry.path)
            assert answer.staged.size_bytes == answer.request.entry.stat.size_bytes
            assert (answer.source_sha256 is not None) == answer.request.hash_at_source
        else:
            asked.remove(source_path(answer.path))
    assert not asked


async def _watched(source: AgentSource, happens: Callable[[], object]) -> None:
    """The first news, and the next if there are any soon: an agent need not tell of anything."""
    async with aclosing(source.watch()) as news:
        with suppress(TimeoutError):
            async with asyncio.timeout(NEWS_S):
                for _ in range(2):
                    notices = await anext(news)
                    for path in (*(entry.path for entry in notices.entries + notices.found), *notices.gone):
                        assert source_path(path) == path
                    happens()


async def _removed(source: AgentSource, entries: Sequence[Entry]) -> None:
    rows = [ManifestRow(entry.path, entry.stat, bytes(32), HomePath(entry.path), 0) for entry in entries]
    answers = await source.remove([Removable(row, row.stat) for row in rows])
    assert [answer.path for answer in answers] == [row.path for row in rows]
    await source.remove_empty_folders([source_path(b"empty")])


# --- what is said -----------------------------------------------------------------------------------------------------------


def recorded() -> list[bytes]:
    """What a real agent says over a small tree, in which all bytes of a file are alike."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "a" / "b").mkdir(parents=True)
        (root / "empty").mkdir()
        for number, path in enumerate(("a/b/one.png", "a/two.png", "three.txt", "z")):
            (root / path).write_bytes(bytes([number]) * PIECE_BYTES * 3 * number)
        (root / "link").symlink_to("z")
        recorder = Recorder()
        source = AgentSource(recorder.open, os.fsencode(root), transport="pipe")
        asyncio.run(converse(source, MemorySink(), lambda: (root / "a" / "new.png").write_bytes(b"new")))
    return recorder.reads


def in_pieces(read: bytes) -> bytes:
    """Some of what comes with the end of a file comes before it, as the bytes of large files do."""
    begin = MAGIC if read.startswith(MAGIC) else b""
    frames = list[Spelled]()
    for kind, call, payload in plain(read.removeprefix(begin))[0]:
        if kind == Kind.DONE and len(payload) > 3 * PIECE_BYTES:
            frames += [(Kind.DATA, call, payload[-PIECE_BYTES:])] * 2
            payload = payload[: -2 * PIECE_BYTES]
        frames.append((kind, call, payload))
    return begin + joined(frames)


def told(reads: Sequence[bytes]) -> bytes:
    return b"".join(SIZE.pack(len(read)) + read for read in reads)


def split(data: bytes) -> Iterator[bytes]:
    at = 0
    while len(data) - at >= SIZE.size:
        size = SIZE.unpack_from(data, at)[0]
        yield data[at + SIZE.size : at + SIZE.size + size]
        at += SIZE.size + size


def _opened(frame: Spelled) -> bytes:
    """Kind, call, payload; a compressed block as it is before compression."""
    kind, call, payload = frame
    if kind == Kind.LISTED:
        try:
            payload = inflated(payload)
        except ForgedError:
            pass
    return bytes([kind]) + call.to_bytes(4) + payload


def _packed(frame: bytes) -> Spelled:
    kind, call, payload = frame[0], int.from_bytes(frame[1:5]), frame[5:]
    return kind, call, zlib.compress(payload, 1) if kind == Kind.LISTED else payload
