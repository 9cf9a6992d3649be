"""Rows, events and jobs to fill a store with, and strategies that make odd ones."""

from __future__ import annotations

import hashlib

from hypothesis import strategies as st

from forged.model.errors import BadPath
from forged.model.events import EventKind, NewEvent
from forged.model.files import Stat
from forged.model.jobs import Job, JobId, JobStatus
from forged.model.manifest import AtSource, ManifestName, ManifestRow
from forged.model.paths import SourcePath, home_path, source_path

FORGE = ManifestName("forge")
COMFY = ManifestName("comfy")


def row(path: bytes, content: bytes = b"pixels", landed_at_ns: int = 1_000) -> ManifestRow:
    """A row of a file with this content, landed under a name of its own."""
    stat = Stat(len(content), mtime_ns=1_700_000_000_123_456_789, inode=7, ctime_ns=1_700_000_000_000_000_001)
    return ManifestRow(
        source_path(path), stat, hashlib.sha256(content).digest(), home_path(b"home/" + path + b"~" + content), landed_at_ns
    )


def event(body: str = "{}", key: str = "a.png") -> NewEvent:
    return NewEvent(EventKind.FILE_SYNCED, "forge", 5, key, body)


def job(number: int, status: JobStatus = JobStatus.COMPLETE) -> Job:
    """Jobs with larger numbers started later."""
    return Job(JobId(f"job-{number:05d}"), "forge", status, start_ns=number * 10**9)


def _usable(raw: bytes) -> bool:
    try:
        source_path(raw)
    except BadPath:
        return False
    return True


_nasty = st.sampled_from(
    [b"a", b"A", b"a b", b"\xff", b"\x01", b"-", b"\n|'\"", b"\xc3\xa9", b"e\xcc\x81", b"z" * 255, b"~", b"%41", b"..."]
)
paths = st.one_of(
    st.lists(_nasty, min_size=1, max_size=3).map(b"/".join),
    st.binary(min_size=1, max_size=8).filter(_usable),
).map(source_path)

_any_number = st.one_of(st.none(), st.integers(-(2**70), 2**70), st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, -(2**63)]))
stats = st.builds(Stat, st.integers(0, 2**50), _any_number.map(lambda n: n or 0), _any_number, _any_number)

rows = st.builds(
    ManifestRow,
    path=paths,
    stat=stats,
    sha256=st.sampled_from([bytes([n]) * 32 for n in (0, 1, 255)]),
    home=paths.map(home_path),
    landed_at_ns=st.integers(0, 5),
    incomplete=st.booleans(),
    at_source=st.sampled_from(AtSource),
    tombstone_at_ns=st.none() | st.integers(0, 5),
)

events = st.builds(
    NewEvent,
    kind=st.sampled_from(EventKind),
    target=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5),
    at_ns=st.integers(0, 5),
    key=st.text(max_size=5),
    body=st.text(max_size=5),
)

__all__ = ["COMFY", "FORGE", "SourcePath", "event", "events", "job", "paths", "row", "rows", "stats"]
