"""Rows of the manifest as the database's plain values, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from forged.kit.sql import Plain
from forged.model.files import Entry, Outline, Stat
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import SourcePath
from forged.store.schema import versions

Values = dict[str, Plain]
"""Values by the names of the statements' parameters: `b_` and the column's name, since plain names would mean the columns."""


def key_values(name: ManifestName, path: SourcePath) -> Values:
    """Which versions are meant."""
    return {"b_manifest": name, "b_path": path}


def current_row(name: ManifestName, row: ManifestRow) -> tuple[Plain, ...]:
    """All that the database keeps of a current row, in the order of the table's columns."""
    kept = (row.sha256, row.home, row.landed_at_ns, row.incomplete, row.at_source.value, row.tombstone_at_ns)
    return (name, row.path, 0, *_stat(row.stat), *kept)


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


_AT_SOURCE = {at_source.value: at_source for at_source in AtSource}
"""`AtSource(value)` for each row would be a third of the time that building rows takes."""


def row_of(plain: Sequence[Any]) -> ManifestRow:
    """The row, from the path and the values in the order of the table."""
    path, size_bytes, mtime_ns, inode, ctime_ns, exact, sha256, home, landed_at_ns, incomplete, at_source, tombstone_at_ns = plain
    stat = Stat(size_bytes, mtime_ns, inode, ctime_ns) if exact is None else _exact_stat(exact)
    return ManifestRow(path, stat, sha256, home, landed_at_ns, bool(incomplete), _AT_SOURCE[at_source], tombstone_at_ns)


def outlines_of(found: Iterable[Sequence[Any]]) -> list[Outline]:
    """The outlines, from paths and the five values of a stat."""
    return [
        (path, size_bytes, mtime_ns, inode, ctime_ns) if exact is None else Entry(path, _exact_stat(exact)).outline
        for path, size_bytes, mtime_ns, inode, ctime_ns, exact in found
    ]


def _exact_stat(text: str) -> Stat:
    size_bytes, mtime_ns, inode, ctime_ns = (None if word == "None" else int(word) for word in text.split())
    assert size_bytes is not None and mtime_ns is not None
    return Stat(size_bytes, mtime_ns, inode, ctime_ns)
