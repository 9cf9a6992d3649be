"""Rows of the manifest as the database's plain values, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from forged.kit.sql import Plain
from forged.model.files import Entry, Outline, Stat
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import SourcePath

Values = dict[str, Plain]
"""Values by the names of the statements' parameters: `b_` and the column's name, since plain names would mean the columns."""


def key_values(name: ManifestName, path: SourcePath) -> Values:
    """Which versions are meant."""
    return {"b_manifest": name, "b_path": path}


def row_values(name: ManifestName, row: ManifestRow) -> Values:
    """All that the database keeps of a row."""
    return {
        "b_manifest": name,
        "b_path": row.path,
        "b_sha256": row.sha256,
        "b_home": row.home,
        "b_landed_at_ns": row.landed_at_ns,
        "b_incomplete": row.incomplete,
        "b_at_source": row.at_source.value,
        "b_tombstone_at_ns": row.tombstone_at_ns,
        **stat_values(row.stat),
    }


def stat_values(stat: Stat) -> Values:
    """The four numbers, and where one does not fit, all of them as text as well."""
    numbers = (stat.size_bytes, stat.mtime_ns, stat.inode, stat.ctime_ns)
    size_bytes, mtime_ns, inode, ctime_ns = map(_clamped, numbers)
    exact = None
    if (size_bytes, mtime_ns, inode, ctime_ns) != numbers:
        exact = " ".join(map(str, numbers))
    return {
        "b_size_bytes": size_bytes,
        "b_mtime_ns": mtime_ns,
        "b_inode": inode,
        "b_ctime_ns": ctime_ns,
        "b_exact_stat": exact,
    }


def _clamped(number: int | None) -> int | None:
    """The nearest number that the databases can hold: 64 bits with a sign.

    Inodes go to 2^64 - 1 (overlay and FUSE file systems use the high bits), and a hostile source can set any mtime; one such
    file must not make the others unrecordable, nor come back as another number and so look changed on every scan.
    """
    if number is None or -(2**63) <= number < 2**63:
        return number
    return 2**63 - 1 if number > 0 else -(2**63)


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
