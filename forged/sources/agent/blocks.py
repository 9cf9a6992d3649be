"""The blocks of a listing, as the client reads them: strictly checked, many files at a time. `program.blocks` is the other half."""

from __future__ import annotations

import hashlib
import operator
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import cast

from forged.model.errors import BadPath, SourceBroken
from forged.model.files import Entry, ListingPart, Problem, ProblemKind, SamePart, Stat
from forged.model.paths import MAX_COMPONENT_BYTES, MAX_PATH_BYTES, SourcePath, source_path
from forged.sources.agent.wire import MAX_BLOCK_BYTES, TROUBLES, parse_message, parse_places

_BLOCK = struct.Struct(">BH")
_FILES, _PROBLEMS = range(2)
_RUN = struct.Struct(">HH")
_RECORD = struct.Struct(">BHH")
_DIGEST = struct.Struct(">H14s")
_FACTS_BYTES = 32
_NO_NAMES = frozenset({b"", b".", b".."})
_MAX_PROBLEM_PATH_BYTES = MAX_PATH_BYTES + 1024 + 1
"""A path that is too long is told, too: an allowed folder with one name, and no file system has longer names than 1,020 bytes."""

MAX_PATHS_BYTES = 20 * 65_536
"""Of all paths that a block unfolds to: the agent ends one where they come to about 16 times its 64 KiB. Without a bound a block
would unfold to a hundred times its size, where thousands of files lie in a folder whose path is as long as can be."""

Run = tuple[bytes, int]
"""A folder in a block (its path with a `/`), and how many files of it are in there."""


def inflated(packed: bytes) -> bytes:
    """The block as it was before compression. Raises SourceBroken for anything but one whole, bounded zlib stream."""
    inflater = zlib.decompressobj()
    try:
        block = inflater.decompress(packed, MAX_BLOCK_BYTES)
    except zlib.error as error:
        raise SourceBroken("the agent sent a listing that cannot be decompressed") from error
    if not inflater.eof or inflater.unused_data:
        raise SourceBroken("the agent sent a listing block that is cut short or too large")
    return block


def digest(files: int, block: bytes) -> bytes:
    """Names a block: the number of its files, so that the count of a listing that leaves it out can be checked, and a hash."""
    return _DIGEST.pack(files, hashlib.blake2b(block, digest_size=_DIGEST.size - 2).digest())


class BlockReader:
    """Checks the blocks of one listing: every path usable, below what was asked for, and strictly ascending; counts that add up.

    `known` are the digests that went along with the question. Raises SourceBroken for whatever an honest agent does not send.
    """

    def __init__(self, folders: Sequence[SourcePath], known: Iterable[bytes] = ()) -> None:
        self._prefixes = tuple(folder + b"/" for folder in folders) or (b"",)
        self._known = dict(enumerate(known))
        self._last: bytes = b""
        self.entries = 0
        """Files so far, those of known blocks included."""

    def part(self, block: bytes) -> ListingPart:
        """One block, inflated."""
        kind, count = _unpacked(_BLOCK, block, 0)
        if kind == _FILES:
            entries = self._files(block, count)
            self.entries += len(entries)
            return ListingPart(entries, digest=digest(len(entries), block))
        if kind == _PROBLEMS:
            return ListingPart((), tuple(_problems(block, count)))
        raise SourceBroken("the agent sent a listing block of unknown kind")

    def same(self, places: bytes) -> Iterator[SamePart]:
        """Those of the known blocks that are as they were; each only once."""
        for place in parse_places(places):
            known = self._known.pop(place, None)
            if known is None:
                raise SourceBroken("the agent left out what is not known, or left it out twice")
            self.entries += _DIGEST.unpack(known)[0]
            yield SamePart(known)

    def _files(self, block: bytes, count: int) -> tuple[Entry, ...]:
        runs, begin = self._runs(block, count)
        files = sum(files for _, files in runs)
        end = len(block) - files * _FACTS_BYTES
        if end < begin:  # below 0 it would count from the other end of the block
            raise SourceBroken("the agent sent a listing block that is cut short")
        paths = list(_paths(runs, _names(block[begin:end], files)))
        if paths[0] <= self._last or not all(map(operator.lt, paths, islice(paths, 1, None))):
            raise SourceBroken("the agent sent a listing out of order")
        self._last = paths[-1]
        return tuple(map(Entry, paths, _stats(block[end:], files)))

    def _runs(self, block: bytes, count: int) -> tuple[list[Run], int]:
        """The folders of a block, and where its names begin."""
        runs: list[Run] = []
        at = _BLOCK.size
        for _ in range(count):
            size, files = _unpacked(_RUN, block, at)
            at += _RUN.size + size
            runs.append((self._prefix(block[at - size : at]), files))
        if not runs or not all(files for _, files in runs):
            raise SourceBroken("the agent sent a listing block with nothing in it")
        if sum(len(prefix) * files for prefix, files in runs) > MAX_PATHS_BYTES:
            raise SourceBroken("the agent sent a listing block that unfolds to too much")
        return runs, at

    def _prefix(self, prefix: bytes) -> bytes:
        if prefix:
            _checked(prefix.removesuffix(b"/"))
        if prefix[-1:] not in (b"", b"/") or not prefix.startswith(self._prefixes):
            raise SourceBroken("the agent listed a folder that was not asked for")
        return prefix


def _unpacked(form: struct.Struct, block: bytes, at: int) -> tuple[int, ...]:
    if len(block) - at < form.size:
        raise SourceBroken("the agent sent a listing block that is cut short")
    return form.unpack_from(block, at)


def _checked(path: bytes) -> None:
    try:
        source_path(path)
    except BadPath as error:
        raise SourceBroken("the agent sent a path that leads out of the tree or cannot exist") from error


def _names(joined: bytes, files: int) -> list[bytes]:
    """Names with NUL behind each, none of which may be more than a name."""
    names = joined.split(b"\0")
    if len(names) != files + 1 or names.pop():
        raise SourceBroken("the agent sent a listing block that is cut short")
    if b"/" in joined or not _NO_NAMES.isdisjoint(names):
        raise SourceBroken("the agent sent a path that leads out of the tree or cannot exist")
    return names


def _paths(runs: Sequence[Run], names: Sequence[bytes]) -> Iterator[SourcePath]:
    """What `source_path` would make of each, at the cost of one check a folder."""
    begin = 0
    for prefix, files in runs:
        here = names[begin : begin + files]
        if max(map(len, here)) > min(MAX_COMPONENT_BYTES, MAX_PATH_BYTES - len(prefix)):
            raise SourceBroken("the agent sent a path that cannot exist")
        yield from cast("list[SourcePath]", [prefix + name for name in here])
        begin += files


def _stats(planes: bytes, files: int) -> Iterator[Stat]:
    """Sizes and inodes are not negative; times are any signed 64-bit number of nanoseconds."""
    facts = bytearray(len(planes))
    for byte in range(_FACTS_BYTES):
        facts[byte::_FACTS_BYTES] = planes[byte * files : (byte + 1) * files]
    numbers = struct.unpack(f">{4 * files}q", facts)
    sizes_bytes, mtimes_ns, inodes, ctimes_ns = (numbers[first::4] for first in range(4))
    if min(sizes_bytes) < 0 or min(inodes) < 0:
        raise SourceBroken("the agent sent a file of negative size or inode")
    return map(Stat, sizes_bytes, mtimes_ns, inodes, ctimes_ns)


def _problems(block: bytes, count: int) -> Iterator[Problem]:
    at = _BLOCK.size
    for _ in range(count):
        kind, path_bytes, message_bytes = _unpacked(_RECORD, block, at)
        at += _RECORD.size
        end = at + path_bytes + message_bytes
        yield _problem(kind, block[at : at + path_bytes], block[at + path_bytes : end])
        at = end
    if not count or at != len(block):
        raise SourceBroken("the agent sent a listing block that is cut short")


def _problem(kind: int, path: bytes, message: bytes) -> Problem:
    known = TROUBLES[kind] if kind < len(TROUBLES) else None
    if known is None or known is ProblemKind.CHANGED:
        raise SourceBroken("the agent sent a problem of unknown kind")
    if len(path) > _MAX_PROBLEM_PATH_BYTES or b"\0" in path:
        raise SourceBroken("the agent sent a problem with an impossible path")
    return Problem(path, known, parse_message(message))
