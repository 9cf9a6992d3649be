"""What a listing tells, in blocks: each is whole in itself, and ends where it would end whatever stands before it."""

import zlib
from hashlib import blake2b
from typing import Callable, Dict, List, Sequence, Tuple

from forged.sources.agent.program.line import BLOCK, DIGEST, FACTS, FILES, KNOWN, PLACE, PROBLEMS, RECORD, RUN, Trouble

BLOCK_BYTES = 65536  # before compression; about 1,100 files of usual names
PATHS_SHARE = 16  # a folder's path counts a 16th of its length for each file: there, each is a path of its own
LEAST_FILES = 128  # in a block that a path ends, so that no choice of names makes more blocks than these
ENDS = 255  # a path whose checksum has none of these bits ends a block: one of 256
SAME_AT_ONCE = 64  # known blocks told in one frame


class Blocks:
    """Collects what a walk finds, and gives it to `send` block by block; of blocks that are known, `same` gets the places.

    Files and problems have blocks of their own; problems go before the files behind them. A block of files ends at a path that
    says so: one new file changes the block that it is in and perhaps the next, and none behind that. `known` are the digests of
    blocks that the reader has, with the place of each among them.
    """

    def __init__(self, send: Callable[[bytes], None], same: Callable[[bytes], None], known: Dict[bytes, int]) -> None:
        self._send_block, self._send_same, self._known = send, same, known
        self._runs: List[bytes] = []
        self._names: List[bytes] = []
        self._facts: List[bytes] = []
        self._size = 0
        self._problems: List[bytes] = []
        self._problems_size = 0
        self._same = b""
        self.entries = 0

    def files(self, prefix: bytes, items: Sequence[bytes]) -> None:
        """The next files, as `name NUL facts`, ascending, all in one folder. `prefix` is its path and a `/` (b"" for the root)."""
        names, facts, checksum, last = self._names, self._facts, zlib.crc32(prefix), b""
        share = len(prefix) // PATHS_SHARE
        begin, size = len(names), self._size + (len(prefix) if items else 0)
        for item in items:
            name = item[: -FACTS.size]
            if name == last:
                continue  # a system may show a name twice while its folder changes
            last = name
            names.append(name)
            facts.append(item[-FACTS.size :])
            size += len(item) + share
            if size >= BLOCK_BYTES or (len(names) >= LEAST_FILES and not zlib.crc32(name, checksum) & ENDS):
                self._end_run(prefix, begin)
                self._flush_files()
                begin, size = 0, len(prefix)
        self._end_run(prefix, begin)
        self._size = size

    def _end_run(self, prefix: bytes, begin: int) -> None:
        """All names from `begin` on are in this folder."""
        if len(self._names) > begin:
            self._runs.append(RUN.pack(len(prefix), len(self._names) - begin) + prefix)

    def problem(self, path: bytes, trouble: Trouble) -> None:
        """What could not be looked at, and why."""
        message = trouble.message()
        self._problems.append(RECORD.pack(trouble.kind, len(path), len(message)) + path + message)
        self._problems_size += len(self._problems[-1])
        if self._problems_size >= BLOCK_BYTES:
            self._flush_problems()

    def flush(self) -> None:
        """Nothing comes any more."""
        self._flush_files()
        self._flush_problems()
        self._flush_same()

    def _flush_problems(self) -> None:
        if self._problems:
            self._flush_same()
            self._send_block(BLOCK.pack(PROBLEMS, len(self._problems)) + b"".join(self._problems))
        self._problems, self._problems_size = [], 0

    def _flush_files(self) -> None:
        self._flush_problems()
        if self._names:
            block = self._packed()
            place = self._known.pop(digest(len(self._names), block), None) if self._known else None
            if place is None:
                self._flush_same()
                self._send_block(block)
            else:
                self._add_same(place)
            self.entries += len(self._names)
        self._runs, self._size = [], 0
        self._names.clear()
        self._facts.clear()

    def _packed(self) -> bytes:
        """How many files are in which folder, all names, all facts. These byte by byte: most are like those of the file before."""
        facts = b"".join(self._facts)
        planes = [facts[byte :: FACTS.size] for byte in range(FACTS.size)]
        return b"".join([BLOCK.pack(FILES, len(self._runs))] + self._runs + self._names + planes)

    def _add_same(self, place: int) -> None:
        self._same += PLACE.pack(place)
        if len(self._same) >= SAME_AT_ONCE * PLACE.size:
            self._flush_same()

    def _flush_same(self) -> None:
        if self._same:
            self._send_same(self._same)
        self._same = b""


def digest(files: int, block: bytes) -> bytes:
    """The name of a block: how many files it has, and the hash of its bytes before compression."""
    return DIGEST.pack(files, blake2b(block, digest_size=DIGEST.size - 2).digest())


def parse_list(payload: bytes) -> Tuple[Dict[bytes, int], List[bytes]]:
    """What is to be listed: the known digests with their places, and the folders."""
    (count,) = KNOWN.unpack_from(payload)
    folders = KNOWN.size + count * DIGEST.size
    known = [payload[at : at + DIGEST.size] for at in range(KNOWN.size, folders, DIGEST.size)]
    return {digest: place for place, digest in enumerate(known)}, payload[folders:].split(b"\0")[:-1]
