"""Adopt, the third step: where equal content already lies at home under the wanted name, nothing is moved.

It may be of an old rsync library, of a crash between landing and remembering, or of a memory that was lost. Both ends hash their
own bytes, so adopting proves as much as copying.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from itertools import chain

from forged.destination.base import HomeLook
from forged.model.files import Entry, Problem
from forged.model.paths import HomePath, SourcePath
from forged.model.transfer import Landed, LandedAs, Wholeness
from forged.rules import resume
from forged.rules.names import VersionNames
from forged.sources.base import Hashed
from forged.sync.doors import Doors
from forged.sync.home import placement
from forged.sync.looks import Looks
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
                self._looks.underway.release(map(SourcePath, adopted))
            for batch in batches([entry for entry in entries if entry.path not in adopted]):
                yield batch

    async def _candidates(self, entries: Sequence[Entry]) -> list[tuple[Entry, HomePath]]:
        """Entries whose wanted name is taken by a file of the right size, or by another though we know nothing of the path: then
        what lies beside it may be an earlier version that we landed, before our memory was lost."""
        homes = [self._placement.place(entry.path, entry.stat.mtime_ns) for entry in entries]
        looks = await self._doors.destination.look(homes)
        taken = [(e, home, look) for e, home, look in zip(entries, homes, looks, strict=True) if isinstance(look, HomeLook)]
        others = [entry.path for entry, _, look in taken if look.size_bytes != entry.stat.size_bytes]
        rows = await self._doors.store.manifest.current(self._doors.target.manifest, others) if others else ()
        known = {row.path for row in rows if row is not None}
        return [(e, home) for e, home, look in taken if look.size_bytes == e.stat.size_bytes or e.path not in known]

    async def _adopt(self, candidates: Sequence[tuple[Entry, HomePath]]) -> set[bytes]:
        """Hashes both ends; remembers what is equal. A file that cannot be hashed now is simply not adopted."""
        homes = {entry.path: home for entry, home in candidates}
        landed = [
            await self._landed(answer, home)
            async for answer in self._doors.source.hash([entry for entry, _ in candidates])
            if not isinstance(answer, Problem) and (home := await self._equal(answer, homes[answer.entry.path])) is not None
        ]
        await self._doors.destination.confirm([one.home for one in landed])
        await self._doors.destination.discard([resume.staging_name(one.entry) for one in landed])
        await remember(self._doors, self._looks, landed, wanted=False)
        return {one.entry.path for one in landed}

    async def _equal(self, answer: Hashed, wanted: HomePath) -> HomePath | None:
        """The name at home that holds just this: the wanted one, or one of those that another version would have got."""
        if not answer.after.same_file(answer.entry.stat):
            return None
        destination = self._doors.destination
        names: Iterable[HomePath] = chain((wanted,), VersionNames(wanted, answer.sha256))
        for home in names:
            (look,) = await destination.look([home])
            if not isinstance(look, HomeLook):
                return None  # free: here it would land
            if look.size_bytes == answer.entry.stat.size_bytes and await destination.hash(home) == answer.sha256:
                return home
        return None

    async def _landed(self, answer: Hashed, home: HomePath) -> Landed:
        """What is cut short at home is so at the source: adopted, it is marked as if it had come so."""
        incomplete = await self._doors.destination.inspect(home) is Wholeness.BROKEN
        return Landed(answer.entry, home, answer.sha256, LandedAs.ADOPTED, incomplete)


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
