"""How the tests of sources ask, and check on the way what every answer must keep."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart
from forged.model.manifest import ManifestRow
from forged.model.paths import HomePath, source_path
from forged.model.removal import Removable
from forged.model.transfer import Fetched, Request
from forged.sources.base import MAX_PART_ENTRIES, Source
from tests.sources.boxes import Box
from tests.support.sinks import MemorySink

NASTY_NAMES = (
    b"new\nline",
    b"tab\there",
    b"back\\slash",
    b"'single' and \"double\"",
    b"$(reboot) `reboot` ;|&",
    b"-rf",
    b"--help",
    b" leading and trailing ",
    b"~",
    b"%41",
    b"#hash",
    b"*",
    b"not utf-8: \xff\xfe",
    b"\x01\x1b[31m",
    "ünïcödé 图片.png".encode(),
    b"e\xcc\x81 decomposed",
    b"x" * 255,
    b"...",
    b".hidden",
)


async def listed(source: Source, folders: Sequence[bytes] = ()) -> tuple[list[Entry], list[Problem], ListingEnd]:
    entries: list[Entry] = []
    problems: list[Problem] = []
    items = [item async for item in source.list([source_path(folder) for folder in folders])]
    end = items.pop()
    assert isinstance(end, ListingEnd)
    for part in items:
        assert isinstance(part, ListingPart)
        assert len(part.entries) <= MAX_PART_ENTRIES
        entries += part.entries
        problems += part.problems
    assert end.entries == len(entries)
    return entries, problems, end


def requests_of(entries: Sequence[Entry], offset_bytes: int = 0) -> list[Request]:
    return [Request(entry, f"{number:04}", offset_bytes) for number, entry in enumerate(entries)]


async def fetched(source: Source, requests: Sequence[Request], sink: MemorySink) -> dict[bytes, Fetched | Problem]:
    """All answers by path; each request must be answered exactly once, and the reservations be even."""
    answers: dict[bytes, Fetched | Problem] = {}
    async for answer in source.fetch(requests, sink):
        path = answer.path if isinstance(answer, Problem) else answer.request.entry.path
        assert path not in answers
        answers[path] = answer
    assert answers.keys() == {request.entry.path for request in requests}
    sink.assert_even()
    return answers


def kind_of(answer: object) -> ProblemKind | None:
    return answer.kind if isinstance(answer, Problem) else None


def removable(entry: Entry, data: bytes) -> Removable:
    row = ManifestRow(entry.path, entry.stat, hashlib.sha256(data).digest(), HomePath(entry.path), 0)
    return Removable(row, entry.stat)


def bytes_of(size: int, seed: int = 0) -> bytes:
    return bytes((i * 7 + seed + (i >> 8)) & 0xFF for i in range(4096)) * (size // 4096) + b"e" * (size % 4096)


async def still_works(box: Box, source: Source) -> None:
    """After whatever happened: a new file comes, and is listed."""
    entry, sink = box.write(b"still works", b"yes"), MemorySink()
    async with asyncio.timeout(20):
        await fetched(source, requests_of([entry]), sink)
    assert sink.content("0000") == b"yes"
    assert b"still works" in [entry.path for entry in (await listed(source))[0]]


class Memory:
    """A reader that remembers the parts it can name, and puts listings together again from what it knows and what it is told."""

    def __init__(self) -> None:
        self.parts: dict[bytes, ListingPart] = {}
        self.same = 0
        """How many parts of the last listing were not sent."""

    async def listed(self, source: Source, folders: Sequence[bytes] = ()) -> tuple[list[Entry], list[Problem], ListingEnd]:
        known, answered = dict(self.parts), set[bytes]()
        entries: list[Entry] = []
        problems: list[Problem] = []
        async for item in source.list([source_path(folder) for folder in folders], list(known)):
            match item:
                case ListingEnd():
                    assert item.entries == len(entries)
                    self.same = len(answered)
                    return entries, problems, item
                case SamePart(digest):
                    assert digest not in answered
                    answered.add(digest)
                    part = known[digest]
                case ListingPart():
                    part = item
                    self._remember(part)
            entries += part.entries
            problems += part.problems
        raise AssertionError("a listing ended without its end")

    def _remember(self, part: ListingPart) -> None:
        if part.digest is not None:
            assert part.entries
            assert not part.problems
            assert self.parts.setdefault(part.digest, part) == part
