"""What earlier looks concluded from parts of a listing. While such a part stays the same, at the source and in the manifest, the
next look need not hear of it again, nor read a row.

Two things make a part unsure: a row of it that is written to (the manifest's journal tells), and changes that had something to do
when it was listed. It is proven again by its rows alone: they must be as they would be with nothing left to do.
"""

from __future__ import annotations

import hashlib
import marshal
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

from forged.model.errors import SourceBroken
from forged.model.files import Outline
from forged.model.manifest import ManifestName
from forged.model.paths import SourcePath
from forged.model.plan import ChangeKind
from forged.model.target import Selection, Target
from forged.store.base import Manifest

MOST_PARTS = 4_096
"""Parts kept of one target. The agent's hold about 1,000 files each, so that is memory for four million: 3 MB with names as they
are."""

MOST_PARTS_BYTES = 4 << 20
"""Fewer are kept where a hostile box makes each name as long as a path can be."""

PART_BYTES = 600
"""What a part takes beside its paths: the objects and its place in a dict (measured with tracemalloc)."""

PAGE_ROWS = 4_096
"""Manifest rows read at once; as many as a listing part has entries, so the two sides of a window are of one size."""


@dataclass(frozen=True, slots=True)
class Imprint:
    """The PRESENT rows of a range, in short: how many, and a hash over their outlines."""

    rows: int
    hash: bytes


def imprint(outlines: list[Outline]) -> Imprint:
    """Of outlines that ascend by path."""
    plain = marshal.dumps(outlines, 2)  # a fifth of `repr`'s time; in later versions than 2 equal values may look different
    return Imprint(len(outlines), hashlib.blake2b(plain, digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class KnownPart:
    """A part of a listing, and what is remembered in its range of paths: after `after`, up to its last entry."""

    after: SourcePath | None
    first: SourcePath
    last: SourcePath
    entries: int
    size_bytes: int
    unwanted: tuple[tuple[ChangeKind, int], ...]
    """Changes of files that are not wanted: they remain, and there is nothing to do for them."""
    done: Imprint | None
    """What is remembered when there is nothing left to do. None where that cannot tell, since unwanted files have rows, too."""
    remembered: int
    """Rows that are PRESENT."""
    sure: bool
    """There is nothing left to do, and no row was written to since."""

    @property
    def kept_bytes(self) -> int:
        """What it takes in memory, about."""
        return PART_BYTES + len(self.after or b"") + len(self.first) + len(self.last)

    def since(self, written: Sequence[SourcePath] | None) -> KnownPart:
        """What stands of it after rows of these paths (ascending; None = who knows) were written to.

        What was written before its first entry only moves `after`: behind that, its range still is as it was.
        """
        if written is None:
            return replace(self, sure=False)
        place = bisect_right(written, self.last)
        if place == 0 or written[place - 1] <= (self.after or b""):
            return self
        newest = written[place - 1]
        return replace(self, after=newest) if newest < self.first else replace(self, sure=False)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What decides how a part compares, besides its entries and the rows."""

    manifest: Manifest
    name: ManifestName
    selection: Selection
    folders: tuple[SourcePath, ...]


class Known:
    """The known parts of one target. Lives as long as its rounds, which come one after the other; a restart may forget it."""

    def __init__(self) -> None:
        self._scope: _Scope | None = None
        self._named: dict[bytes, KnownPart] = {}
        """Those whose digests the listing under way may answer, and has not answered yet."""
        self._seen: dict[bytes, KnownPart] = {}
        """Those that it has shown, or answered; between two listings all."""
        self._kept_bytes = 0
        """Of all parts."""
        self._mark = 0
        """Of the manifest's journal, when the listing began."""

    async def begin(self, manifest: Manifest, target: Target, folders: Sequence[SourcePath]) -> frozenset[bytes]:
        """A listing begins; answers the digests that it may leave out. What was known for other folders is forgotten."""
        scope = _Scope(manifest, target.manifest, target.selection, tuple(folders))
        if scope != self._scope:
            self.forget()
            self._scope = scope
        await self.prove()
        self._named, self._seen = self._seen, {}
        return frozenset(self._named)

    async def prove(self) -> None:
        """Proves by their rows what parts have become unsure, between two listings. The next one has then less to do before it can
        begin."""
        scope, parts = self._scope, self._named | self._seen
        self._named, self._seen = {}, {}
        if scope is None:
            return
        written = scope.manifest.written(scope.name, self._mark)
        self._mark = written.mark
        paths = None if written.paths is None else sorted(written.paths)
        for digest, part in parts.items():
            if stands := await self._proven(part.since(paths), scope):
                self._seen[digest] = stands
        self._count()

    async def _proven(self, part: KnownPart, scope: _Scope) -> KnownPart | None:
        if part.sure or part.done is None:
            return part if part.sure else None
        found = await scope.manifest.outlines(scope.name, part.after, part.last, PAGE_ROWS)
        ours = [outline for outline in found if within(outline[0], scope.folders)]
        if len(found) == PAGE_ROWS or imprint(ours) != part.done:
            return None
        return replace(part, remembered=len(ours), sure=True)

    def same(self, digest: bytes) -> KnownPart:
        """The source says that this part is as it was. Raises SourceBroken unless it was asked about it.

        Its rows may be written to while the listing runs: what is concluded is what they were when it began, as if the part had
        come first of all. The next listing begins with what was written since.
        """
        part = self._named.pop(digest, None)
        if part is None:
            raise SourceBroken("the source spoke of a part of the listing that it was not asked about, or told twice")
        self._seen[digest] = part
        return part

    def remember(self, digest: bytes, part: KnownPart) -> None:
        """A part that was compared after `begin`."""
        kept_bytes = self._kept_bytes + part.kept_bytes
        if len(self._named) + len(self._seen) < MOST_PARTS and kept_bytes <= MOST_PARTS_BYTES:
            self._seen[digest], self._kept_bytes = part, kept_bytes

    def end(self, complete: bool) -> None:
        """A listing has ended. After a complete one, parts that it did not have are forgotten."""
        if complete:
            self._named = {}
            self._count()

    def forget(self) -> None:
        """Nothing is known any more."""
        self._named, self._seen, self._kept_bytes = {}, {}, 0

    def _count(self) -> None:
        self._kept_bytes = sum(part.kept_bytes for part in (self._named | self._seen).values())


def within(path: SourcePath, folders: Sequence[SourcePath]) -> bool:
    """Whether a listing of `folders` (none = all) is about this path: a sync of one folder says nothing about the others."""
    return not folders or any(path.startswith(folder + b"/") for folder in folders)
