"""Listing x manifest -> changes. A window at a time, so that a tree of any size needs no more memory than one window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forged.model.files import Entry, Outline, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.paths import SourcePath
from forged.model.plan import Change, ChangeKind


def unlike(entries: Sequence[Entry], present: Sequence[Outline]) -> tuple[list[Entry], list[SourcePath]]:
    """Puts aside what is plainly as it was, before `window` judges the rest. `present`: outlines of one range's PRESENT rows.

    Answers the other entries, and all paths that differ: of those entries, and of outlines that no entry is like. Both ascend.
    """
    listed = [entry.outline for entry in entries]
    if listed == present:
        return [], []
    alike = set(present).intersection(listed)
    others = [entry for entry, outline in zip(entries, listed, strict=True) if outline not in alike]
    left = [outline for outline in present if outline not in alike]
    if others and left and any(entry.stat.is_coarse for entry in others):
        others, left = _apart(others, left)
    return others, sorted({outline[0] for outline in left}.union(entry.path for entry in others))


def _apart(entries: Sequence[Entry], present: Sequence[Outline]) -> tuple[list[Entry], list[Outline]]:
    """Puts aside what a source without inodes shows as it was, to the second: what is remembered may be known better (an agent was
    there before), and stays as it is."""
    looks = {entry.path: entry.stat for entry in entries if entry.stat.is_coarse}
    alike = {
        path
        for path, size_bytes, mtime_ns, inode, ctime_ns in present
        if (stat := looks.get(path)) and stat.same_file(Stat(size_bytes, mtime_ns, inode, ctime_ns))
    }
    return [entry for entry in entries if entry.path not in alike], [outline for outline in present if outline[0] not in alike]


def window(entries: Sequence[Entry], rows: Sequence[ManifestRow]) -> Iterator[Change]:
    """The differences between entries and rows of one range of paths, both ascending; changes ascend, too.

    A GONE change is only a candidate: whether absence means anything, the end of the listing tells (ScanSummary.knows).
    """
    place = 0
    for entry in entries:
        while place < len(rows) and rows[place].path < entry.path:
            yield from _missing(rows[place])
            place += 1
        if place < len(rows) and rows[place].path == entry.path:
            yield from _both(entry, rows[place])
            place += 1
        else:
            yield Change(ChangeKind.NEW, entry, None)
    for row in rows[place:]:
        yield from _missing(row)


def _missing(row: ManifestRow) -> Iterator[Change]:
    """Remembered, not listed. A row that is known to be gone is no news."""
    if row.at_source is AtSource.PRESENT:
        yield Change(ChangeKind.GONE, None, row)


def _both(entry: Entry, row: ManifestRow) -> Iterator[Change]:
    """Listed and remembered: the five ways in which they can compare."""
    if entry.stat.size_bytes != row.stat.size_bytes:
        yield Change(ChangeKind.MODIFIED, entry, row)  # other size, other content
    elif not entry.stat.same_file(row.stat):
        yield Change(ChangeKind.DOUBTFUL, entry, row)  # touched, restored, or replaced by equal size: only its hash can tell
    elif row.at_source is not AtSource.PRESENT:
        yield Change(ChangeKind.BACK, entry, row)  # a folder came back, or a removal did not happen
    elif row.stat.is_coarse and not entry.stat.is_coarse:
        yield Change(ChangeKind.DOUBTFUL, entry, row)  # it came without its inode: once its hash is known, this look is, too
