"""Adoption: where equal content already lies at home under the wanted name (an old rsync library, a crash between landing and
remembering), nothing is moved. Both ends hash their own bytes, so adopting proves as much as copying."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence

from forged.destination.base import HomeLook
from forged.model.files import Entry, Problem
from forged.model.paths import HomePath, SourcePath
from forged.model.transfer import Landed, LandedAs
from forged.rules import resume
from forged.sources.base import Hashed
from forged.sync.doors import Doors, Looks
from forged.sync.home import placement
from forged.sync.remember import remember

BATCH_FILES = 500
"""Requests per fetch: enough that the line never runs dry between two of them, little enough that a cancel is soon done."""

BATCH_BYTES = 64 * 1024 * 1024
"""Bytes per fetch, for the same two reasons; a larger file is a batch of its own."""


class Adoption:
    """Lets through what has to be transferred; what can be adopted is remembered at once."""

    def __init__(self, doors: Doors, looks: Looks) -> None:
        self._doors = doors
        self._looks = looks
        self._placement = placement(doors.target)

    async def missing(self, wanted: AsyncIterable[list[Entry]]) -> AsyncGenerator[list[Entry], None]:
        """The entries that are not already home, cut into the batches that the transfer takes in turn."""
        async for entries in wanted:
            adopted: set[bytes] = set()
            # An empty file has nothing that could move, and where it lands its equal is found.
            worth_it = [entry for entry in entries if entry.stat.size_bytes] if self._doors.source.capabilities.hashing else []
            candidates = await self._candidates(worth_it) if worth_it else []
            if candidates:
                adopted = await self._adopt(candidates)
                self._looks.release(map(SourcePath, adopted))
            for batch in batches([entry for entry in entries if entry.path not in adopted]):
                yield batch

    async def _candidates(self, entries: Sequence[Entry]) -> list[tuple[Entry, HomePath]]:
        """Entries whose wanted name holds a file of the right size."""
        homes = [self._placement.place(entry.path, entry.stat.mtime_ns) for entry in entries]
        looks = await self._doors.destination.look(homes)
        pairs = zip(entries, homes, looks, strict=True)
        return [(e, home) for e, home, look in pairs if isinstance(look, HomeLook) and look.size_bytes == e.stat.size_bytes]

    async def _adopt(self, candidates: Sequence[tuple[Entry, HomePath]]) -> set[bytes]:
        """Hashes both ends; remembers what is equal. A file that cannot be hashed now is simply not adopted."""
        homes = {entry.path: home for entry, home in candidates}
        landed = [
            Landed(answer.entry, homes[answer.entry.path], answer.sha256, LandedAs.ADOPTED)
            async for answer in self._doors.source.hash([entry for entry, _ in candidates])
            if not isinstance(answer, Problem) and await self._equal(answer, homes[answer.entry.path])
        ]
        await self._doors.destination.confirm([one.home for one in landed])
        await self._doors.destination.discard([resume.staging_name(one.entry) for one in landed])
        await remember(self._doors, self._looks, landed, wanted=False)
        return {one.entry.path for one in landed}

    async def _equal(self, answer: Hashed, home: HomePath) -> bool:
        return answer.after.same_file(answer.entry.stat) and await self._doors.destination.hash(home) == answer.sha256


def batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Cuts entries into batches of bounded count and bytes, in order."""
    batch: list[Entry] = []
    size_bytes = 0
    for entry in entries:
        if batch and (len(batch) >= BATCH_FILES or size_bytes + entry.stat.size_bytes > BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(entry)
        size_bytes += entry.stat.size_bytes
    if batch:
        yield batch
