"""The blocks of a listing: what a reader accepts ascends, stays inside, and is what the agent's own packing would say."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import groupby

from forged.model.errors import SourceBroken
from forged.model.files import Entry, ListingPart
from forged.model.paths import source_path
from forged.sources.agent.blocks import BlockReader, inflated
from forged.sources.agent.program.blocks import Blocks as Packer
from forged.sources.agent.program.blocks import digest
from forged.sources.agent.program.line import FACTS
from forged.sources.agent.wire import MAX_BLOCK_BYTES
from tests.fuzz.target import Poke, rearranged
from tests.sources.agent.packing import files_block, problems_block

FOLDERS = ((), (b"a",), (b"a", b"b/c"))
"""What may have been asked for; the first byte of an input chooses."""

KNOWN = tuple(struct.pack(">H", files) + bytes([files % 256]) * 14 for files in (1, 2, 65_535))

SIZE = struct.Struct(">H")
SAME = 0x80
"""The second byte of a part: its block comes as it is (0), compressed by somebody else (1), or it is places of known blocks."""


class Blocks:
    """A Target. An input: which folders were asked for (1 byte), then parts: how (1 byte), length (2), block."""

    def seeds(self) -> list[bytes]:
        names = [b"%03d.png" % number for number in range(150)]
        first, below = files_block((b"", [b"a", b"b.png"])), files_block((b"a/", [b"x"]), (b"a/y/", [b"y", b"z"]))
        return [
            b"\0" + parts([(0, first), (0, problems_block(b"q\xff")), (0, files_block((b"c/", names)))]),
            b"\2" + parts([(0, below), (SAME, b"\0\0\0\1"), (0, files_block((b"b/c/", names)))]),
            b"\1" + parts([(1, zlib.compress(below)), (0, problems_block(b"a/\1", message=b"gone \x1b[0m"))]),
        ]

    def words(self) -> list[bytes]:
        return [b"\0", b"/", b"..", b"../", b"/a", b"a/", b"b/c/", b"\x7f" + b"\xff" * 7, b"\x80" + bytes(7), b"\0\0", b"\xff\xff"]

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        said = [bytes([how]) + block for how, block in split(data[1:])]
        return data[:1] + parts((part[0], part[1:]) for part in rearranged(said, chance, poke) if part)

    def check(self, data: bytes) -> bool:
        folders = FOLDERS[data[0] % len(FOLDERS)] if data else ()
        reader, heard = BlockReader([source_path(folder) for folder in folders], KNOWN), list[ListingPart]()
        try:
            for how, block in split(data[1:]):
                heard += read(reader, how, block)
        except SourceBroken:
            return False
        entries = [entry for part in heard for entry in part.entries]
        assert reader.entries >= len(entries)
        assert_listing(entries, folders)
        assert_same_again(entries)
        return True

    def close(self) -> None: ...


def parts(said: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(bytes([how]) + SIZE.pack(min(len(block), 65_535)) + block[:65_535] for how, block in said)


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(data) - at >= 1 + SIZE.size:
        size = SIZE.unpack_from(data, at + 1)[0]
        at += 1 + SIZE.size
        yield data[at - 1 - SIZE.size], data[at : at + size]
        at += size


def read(reader: BlockReader, how: int, block: bytes) -> Iterator[ListingPart]:
    if how >= SAME:
        for same in reader.same(block):
            assert same.digest in KNOWN
        return
    plain = inflated(block if how else zlib.compress(block, 1))
    assert len(plain) <= MAX_BLOCK_BYTES
    part = reader.part(plain)
    assert part.digest == (digest(len(part.entries), plain) if part.entries else None)
    assert all(len(problem.message) <= 4 * 300 and problem.message.isprintable() for problem in part.problems)
    yield part


def assert_listing(entries: list[Entry], folders: tuple[bytes, ...]) -> None:
    """Usable paths that strictly ascend, below what was asked for, with numbers that a file may have."""
    paths = [entry.path for entry in entries]
    assert paths == sorted(set(paths))
    for entry in entries:
        assert source_path(entry.path) == entry.path
        assert not folders or entry.path.startswith(tuple(folder + b"/" for folder in folders))
        assert entry.stat.size_bytes >= 0 and (entry.stat.inode or 0) >= 0


def assert_same_again(entries: list[Entry]) -> None:
    """Packed by the agent's half and read once more, they are the same."""
    packed, again = list[bytes](), list[Entry]()
    packer = Packer(packed.append, packed.append, {})
    for folder, files in groupby(entries, lambda entry: entry.path[: entry.path.rfind(b"/") + 1]):
        packer.files(folder, [entry.path[len(folder) :] + b"\0" + _facts(entry) for entry in files])
    packer.flush()
    reader = BlockReader(())
    for block in packed:
        again += reader.part(inflated(zlib.compress(block, 1))).entries
    assert again == entries


def _facts(entry: Entry) -> bytes:
    stat = entry.stat
    return FACTS.pack(stat.size_bytes, stat.mtime_ns, stat.inode, stat.ctime_ns)
