"""The parts of the source contract for bodies that remove: under guard, or without one for owners who accept that."""

from __future__ import annotations

from forged.model.paths import SourcePath, source_path
from forged.model.removal import KeptBecause
from forged.sources.base import Source
from tests.sources.asking import NASTY_NAMES, removable
from tests.sources.boxes import Box


class FoldersContract:
    """Whoever removes files removes empty folders, too."""

    async def test_empty_folders_are_removed_deepest_first_and_no_others(self, box: Box, source: Source) -> None:
        box.folder(b"a/b/c")
        box.folder(b"a-b")
        box.write(b"full/deep/file", b"")
        box.folder(b"full/empty")
        box.link(b"link", b"a-b")
        asked = [b"a", b"a/b/c", b"a-b", b"a/b", b"full", b"full/deep", b"full/empty", b"nowhere", b"full/deep/file", b"link"]
        gone = await source.remove_empty_folders([source_path(folder) for folder in asked])
        assert sorted(gone) == [b"a", b"a-b", b"a/b", b"a/b/c", b"full/empty"]
        assert gone.index(SourcePath(b"a/b/c")) < gone.index(SourcePath(b"a/b")) < gone.index(SourcePath(b"a"))
        assert box.names() == {b"full/deep/file", b"link"}
        assert not await source.remove_empty_folders([source_path(folder) for folder in asked])
        assert not await source.remove_empty_folders([])

    async def test_a_folder_is_empty_once_what_was_in_it_is_gone(self, box: Box, source: Source) -> None:
        box.write(b"day/file", b"")
        assert not await source.remove_empty_folders([source_path(b"day")])
        box.delete(b"day/file")
        assert await source.remove_empty_folders([source_path(b"day")]) == [b"day"]


class GuardedContract(FoldersContract):
    """Beside SourceContract, for a body that compares and removes in one step."""

    async def test_a_file_as_expected_is_removed_and_nothing_else(self, box: Box, source: Source) -> None:
        long_name = b"dir/" + b"n" * 255
        entries = [box.write(path, path) for path in (b"dir/1", b"dir/2", long_name, NASTY_NAMES[0])]
        removed = await source.remove([removable(entry, entry.path) for entry in (entries[3], entries[0], entries[2])])
        assert [(answer.path, answer.kept) for answer in removed] == [
            (NASTY_NAMES[0], None),
            (b"dir/1", None),
            (long_name, None),
        ]
        assert box.names() == {b"dir/2"}

    async def test_a_file_that_is_not_as_expected_is_kept_as_it_is(self, box: Box, source: Source) -> None:
        entries = {path: box.write(path, b"12345678") for path in (b"good", b"grown", b"touched", b"other", b"gone", b"linked")}
        box.write(b"grown", b"123456789")
        box.touch(b"touched")
        box.replace(b"other", b"87654321", entries[b"other"].stat.mtime_ns)
        box.delete(b"gone")
        box.delete(b"linked")
        box.link(b"linked", b"grown")
        removed = await source.remove([removable(entry, b"12345678") for entry in entries.values()])
        kept = {bytes(answer.path): answer.kept for answer in removed}
        linked = kept.pop(b"linked")
        changed = dict.fromkeys((b"grown", b"touched", b"other"), KeptBecause.CHANGED)
        assert kept == {b"good": None, b"gone": KeptBecause.VANISHED, **changed}
        assert linked is not None
        assert [answer.path for answer in removed] == list(entries)
        assert box.names() == {b"grown", b"touched", b"other", b"linked"}
        assert [box.read(path) for path in (b"grown", b"touched", b"other")] == [b"123456789", b"12345678", b"87654321"]

    async def test_where_only_inode_or_ctime_moved_the_bytes_decide(self, box: Box, source: Source) -> None:
        same, other = (box.write(path, b"12345678") for path in (b"same", b"other"))
        box.replace(b"same", b"12345678", same.stat.mtime_ns)
        box.replace(b"other", b"1234567x", other.stat.mtime_ns)
        removed = await source.remove([removable(same, b"12345678"), removable(other, b"12345678")])
        assert [answer.kept for answer in removed] == [None, KeptBecause.CHANGED]
        assert box.names() == {b"other"}
        assert box.read(b"other") == b"1234567x"

    async def test_a_kept_file_can_be_removed_once_it_is_as_expected(self, box: Box, source: Source) -> None:
        entry = box.write(b"a", b"new content")
        box.write(b"a", b"newer content")
        [answer] = await source.remove([removable(entry, b"new content")])
        assert answer.kept is KeptBecause.CHANGED
        [answer] = await source.remove([removable(box.entry(b"a"), b"newer content")])
        assert answer.kept is None


class UnguardedContract(FoldersContract):
    """Beside SourceContract, for a body that cannot."""

    async def test_without_a_guard_a_file_as_expected_is_removed_and_nothing_else(self, box: Box, source: Source) -> None:
        long_name = b"dir/" + b"n" * 255
        entries = [box.write(path, path) for path in (b"dir/1", b"dir/2", long_name, *NASTY_NAMES)]
        asked = [entries[3], entries[0], entries[2], *entries[4:]]
        removed = await source.remove_unguarded([removable(entry, entry.path) for entry in asked])
        assert [(answer.path, answer.kept) for answer in removed] == [(entry.path, None) for entry in asked]
        assert box.names() == {b"dir/2"}
        assert list(await source.remove_unguarded([])) == []

    async def test_without_a_guard_a_file_that_is_not_as_expected_is_kept(self, box: Box, source: Source) -> None:
        entries = {path: box.write(path, b"12345678") for path in (b"good", b"grown", b"touched", b"gone", b"linked", b"way/file")}
        box.write(b"grown", b"123456789")
        box.touch(b"touched")
        for path in (b"gone", b"linked", b"way/file"):
            box.delete(path)
        box.link(b"linked", b"grown")
        await source.remove_empty_folders([source_path(b"way")])
        box.write(b"real/file", b"secret")
        box.replace(b"real/file", b"12345678", entries[b"way/file"].stat.mtime_ns)
        box.link(b"way", b"real")
        removed = await source.remove_unguarded([removable(entry, b"12345678") for entry in entries.values()])
        kept = {bytes(answer.path): answer.kept for answer in removed}
        assert kept.pop(b"linked") is not None
        assert kept.pop(b"way/file") is not None
        changed = dict.fromkeys((b"grown", b"touched"), KeptBecause.CHANGED)
        assert kept == {b"good": None, b"gone": KeptBecause.VANISHED, **changed}
        assert all(answer.message for answer in removed if answer.kept)
        assert box.names() == {b"grown", b"touched", b"linked", b"real/file"}
        assert box.read(b"real/file") == b"12345678"
