"""Listing x manifest -> changes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from forged.model.files import SECOND_NS, Entry, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.paths import home_path, source_path
from forged.model.plan import ChangeKind
from forged.rules import diff

STAT = Stat(100, 1_000, 7, 2_000)


def entry(path: bytes, stat: Stat = STAT) -> Entry:
    return Entry(source_path(path), stat)


def row(path: bytes, stat: Stat = STAT, at_source: AtSource = AtSource.PRESENT) -> ManifestRow:
    return ManifestRow(source_path(path), stat, b"\0" * 32, home_path(path), 5_000, at_source=at_source)


def kinds(entries: list[Entry], rows: list[ManifestRow]) -> list[ChangeKind]:
    return [change.kind for change in diff.window(entries, rows)]


def test_what_is_as_remembered_is_no_change() -> None:
    assert kinds([entry(b"a")], [row(b"a")]) == []


def test_unknown_files_are_new() -> None:
    assert kinds([entry(b"a"), entry(b"b")], [row(b"a")]) == [ChangeKind.NEW]


def test_another_size_is_modified() -> None:
    assert kinds([entry(b"a", Stat(101, 1_000, 7, 2_000))], [row(b"a")]) == [ChangeKind.MODIFIED]


def test_a_moved_mtime_inode_or_ctime_is_doubtful() -> None:
    """An older one is as doubtful as a newer one: restored from a backup, or renamed over another."""
    newer = (Stat(100, 1_001, 7, 2_000), Stat(100, 1_000, 8, 2_000), Stat(100, 1_000, 7, 2_001))
    older = (Stat(100, 999, 7, 2_000), Stat(100, 1_000, 6, 2_000), Stat(100, 1_000, 7, 1_999))
    for stat in newer + older:
        assert kinds([entry(b"a", stat)], [row(b"a")]) == [ChangeKind.DOUBTFUL]


def test_a_source_without_inodes_is_not_doubted_for_it() -> None:
    assert kinds([entry(b"a", Stat(100, 1_000))], [row(b"a")]) == []


SECOND, PART = Stat(100, 5 * SECOND_NS), Stat(100, 5 * SECOND_NS + 123, 7, 2_000)


def test_where_one_side_knows_no_inode_seconds_are_compared() -> None:
    assert kinds([entry(b"a", SECOND)], [row(b"a", PART)]) == []
    for other in (Stat(100, 4 * SECOND_NS), Stat(100, 6 * SECOND_NS)):
        assert kinds([entry(b"a", other)], [row(b"a", PART)]) == [ChangeKind.DOUBTFUL]
    assert kinds([entry(b"a", Stat(101, 5 * SECOND_NS))], [row(b"a", PART)]) == [ChangeKind.MODIFIED]


def test_what_came_without_its_inode_is_doubted_once_it_has_one() -> None:
    assert kinds([entry(b"a", PART)], [row(b"a", SECOND)]) == [ChangeKind.DOUBTFUL]
    assert kinds([entry(b"a", PART)], [row(b"a", SECOND, AtSource.GONE)]) == [ChangeKind.BACK]


def test_where_both_know_inodes_a_part_of_a_second_is_a_change() -> None:
    assert kinds([entry(b"a", Stat(100, 5 * SECOND_NS + 124, 7, 2_000))], [row(b"a", PART)]) == [ChangeKind.DOUBTFUL]


STATS = st.builds(
    Stat,
    st.integers(0, 2),
    st.sampled_from([0, 1, SECOND_NS - 1, SECOND_NS, SECOND_NS + 1]),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 3]),
)
TREES = st.dictionaries(st.sampled_from([b"a", b"b", b"c", b"d"]), STATS)


@given(TREES, TREES)
def test_what_is_put_aside_would_have_been_no_change(listed: dict[bytes, Stat], remembered: dict[bytes, Stat]) -> None:
    entries = [entry(path, stat) for path, stat in sorted(listed.items())]
    rows = [row(path, stat) for path, stat in sorted(remembered.items())]
    others, paths = diff.unlike(entries, [Entry(one.path, one.stat).outline for one in rows])
    left = [one for one in rows if one.path in paths]
    assert list(diff.window(others, left)) == list(diff.window(entries, rows))


def test_what_is_missing_is_a_candidate_for_gone_once() -> None:
    assert kinds([], [row(b"a"), row(b"b", at_source=AtSource.GONE)]) == [ChangeKind.GONE]


def test_what_had_vanished_and_looks_the_same_is_back() -> None:
    assert kinds([entry(b"a")], [row(b"a", at_source=AtSource.GONE)]) == [ChangeKind.BACK]


def test_a_name_used_again_after_cleanup_is_never_taken_for_the_old_file() -> None:
    """ComfyUI numbers files max + 1: after a cleanup the same name comes back with other content."""
    removed = row(b"ComfyUI_00001_.png", at_source=AtSource.REMOVED)
    assert kinds([entry(b"ComfyUI_00001_.png", Stat(99, 9_000, 8, 9_000))], [removed]) == [ChangeKind.MODIFIED]
    assert kinds([entry(b"ComfyUI_00001_.png", Stat(100, 9_000, 8, 9_000))], [removed]) == [ChangeKind.DOUBTFUL]


PATHS = st.lists(st.sampled_from([b"a", b"a-b", b"a/b", b"a/c", b"a.txt", b"b", b"b/\xff", b"z"]), unique=True)
STATS = st.builds(Stat, st.integers(0, 3), st.integers(0, 3), st.integers(1, 2), st.integers(0, 1))


@given(st.data())
def test_every_path_has_at_most_one_change_and_they_ascend(data: st.DataObject) -> None:
    entries = [entry(path, data.draw(STATS)) for path in sorted(data.draw(PATHS))]
    rows = [row(path, data.draw(STATS), data.draw(st.sampled_from(AtSource))) for path in sorted(data.draw(PATHS))]
    changes = list(diff.window(entries, rows))
    paths = [(change.entry or change.row).path for change in changes]  # type: ignore[union-attr]
    assert paths == sorted(set(paths))
    listed, remembered = {e.path: e for e in entries}, {r.path: r for r in rows}
    quiet = (listed.keys() | remembered.keys()) - set(paths)
    for path in quiet:
        if path in listed:
            assert listed[path].stat.same_file(remembered[path].stat)
        else:
            assert remembered[path].at_source is not AtSource.PRESENT


@given(st.data())
def test_cutting_a_listing_into_windows_changes_nothing(data: st.DataObject) -> None:
    entries = [entry(path, data.draw(STATS)) for path in sorted(data.draw(PATHS))]
    rows = [row(path, data.draw(STATS)) for path in sorted(data.draw(PATHS))]
    cut = data.draw(st.sampled_from([b"a", b"a/b", b"b", b"zz"]))
    parts = [
        *diff.window([e for e in entries if e.path <= cut], [r for r in rows if r.path <= cut]),
        *diff.window([e for e in entries if e.path > cut], [r for r in rows if r.path > cut]),
    ]
    assert parts == list(diff.window(entries, rows))
