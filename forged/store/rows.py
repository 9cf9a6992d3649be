"""Rows of the manifest as the database's plain values, and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from forged.kit.sql import Plain
from forged.model.files import Entry, Outline, Stat
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import HomePath, SourcePath
from forged.store.border import Garbled
from forged.store.schema import versions

Values = dict[str, Plain]
"""Values by the names of the statements' parameters: `b_` and the column's name, since plain names would mean the columns."""


def key_values(name: ManifestName, path: SourcePath) -> Values:
    """Which versions are meant."""
    return {"b_manifest": name, "b_path": path}


def current_row(name: ManifestName, row: ManifestRow) -> tuple[Plain, ...]:
    """All that the database keeps of a current row, in the order of the table's columns."""
    kept = (row.sha256, row.home, row.landed_at_ns, row.incomplete, row.at_source.value, row.tombstone_at_ns)
    sealed = seal(name, row.path, row.sha256, row.home, row.landed_at_ns, row.incomplete)
    return (name, row.path, 0, *_stat(row.stat), *kept, sealed)


def seal(name: ManifestName, path: SourcePath, sha256: bytes, home: HomePath, landed_at_ns: int, incomplete: bool) -> bytes:
    """64 bits over what never changes in a row, and what a removal at the source relies on.

    SQLite checks how its pages hang together, not what is in them: a byte that a disk flipped in a home name would make cleanup
    look at another file, one in a time of landing would make a young file old. The rest needs no seal: a stat is compared with the
    source itself, and a tombstone with home.
    """
    sealed = (name.encode(), path, home, sha256, landed_at_ns, incomplete)
    return hashlib.blake2b(b"%b\0%b\0%b\0%b\0%d\0%d" % sealed, digest_size=8).digest()


def by_name(row: tuple[Plain, ...]) -> Values:
    """A row in the order of the table's columns as values of a statement."""
    return dict(zip(_NAMES, row, strict=True))


_NAMES = tuple(f"b_{column.name}" for column in versions.columns)
_STAT_NAMES = ("b_size_bytes", "b_mtime_ns", "b_inode", "b_ctime_ns", "b_exact_stat")


def stat_values(stat: Stat) -> Values:
    """The five values of a stat."""
    return dict(zip(_STAT_NAMES, _stat(stat), strict=True))


def _stat(stat: Stat) -> tuple[int | None, int | None, int | None, int | None, str | None]:
    """The four numbers, and where one does not fit, all of them as text as well."""
    size_bytes, mtime_ns, inode, ctime_ns = stat.size_bytes, stat.mtime_ns, stat.inode, stat.ctime_ns
    if 0 <= size_bytes < _EDGE and 0 <= mtime_ns < _EDGE and 0 <= (inode or 0) < _EDGE and 0 <= (ctime_ns or 0) < _EDGE:
        return size_bytes, mtime_ns, inode, ctime_ns, None
    numbers = (size_bytes, mtime_ns, inode, ctime_ns)
    fitting = (_clamped(size_bytes), _clamped(mtime_ns), _clamped(inode), _clamped(ctime_ns))
    return (*fitting, None if fitting == numbers else " ".join(map(str, numbers)))


_EDGE = 2**63
"""Where the databases' numbers end: 64 bits with a sign."""


def _clamped(number: int | None) -> int | None:
    """The nearest number that the databases can hold.

    Inodes go to 2^64 - 1 (overlay and FUSE file systems use the high bits), and a hostile source can set any mtime; one such
    file must not make the others unrecordable, nor come back as another number and so look changed on every scan.
    """
    if number is None or -_EDGE <= number < _EDGE:
        return number
    return _EDGE - 1 if number > 0 else -_EDGE


_AT_SOURCE: Mapping[str, AtSource] = {at_source.value: at_source for at_source in AtSource}
"""`AtSource(value)` for each row would be a third of the time that building rows takes."""


def row_of(name: ManifestName, plain: Sequence[Any]) -> ManifestRow:
    """The row, from the path and the values in the order of the table. Raises Garbled."""
    path, size_bytes, mtime_ns, inode, ctime_ns, exact, sha256, home, landed_ns, incomplete, at_source, entombed_ns, sealed = plain
    try:
        if sealed != seal(name, path, sha256, home, landed_ns, incomplete):
            raise Garbled(f"what it says of {path!r} is not what was written")
        stat = Stat(size_bytes, mtime_ns, inode, ctime_ns) if exact is None else exact_stat(exact)
        return ManifestRow(path, stat, sha256, home, landed_ns, bool(incomplete), _AT_SOURCE[at_source], entombed_ns)
    except (KeyError, TypeError) as e:
        raise Garbled(f"what it says of {path!r} is no row") from e


def outlines_of(found: Iterable[Sequence[Any]]) -> list[Outline]:
    """The outlines, from paths and the five values of a stat. Raises Garbled."""
    return [
        (path, size_bytes, mtime_ns, inode, ctime_ns) if exact is None else Entry(path, exact_stat(exact)).outline
        for path, size_bytes, mtime_ns, inode, ctime_ns, exact in found
    ]


def exact_stat(text: str) -> Stat:
    """The stat that did not fit into the database's numbers. Raises Garbled."""
    try:
        size_bytes, mtime_ns, inode, ctime_ns = (None if word == "None" else int(word) for word in text.split())
    except (ValueError, AttributeError) as e:
        raise Garbled(f"{text!r} are no four numbers") from e
    if size_bytes is None or mtime_ns is None:
        raise Garbled(f"{text!r} lacks a size or a time")
    return Stat(size_bytes, mtime_ns, inode, ctime_ns)
