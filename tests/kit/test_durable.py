"""Renaming without overwriting, walking without following, and small files whole, on real file systems."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.kit import durable
from forged.kit.durable import FOLDER, Folders, NoReplace, probe, rename_noreplace, write_durably


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, FOLDER)
    yield fd
    os.close(fd)


LEVELS = pytest.mark.parametrize("level", list(NoReplace), ids=lambda level: level.value)


class TestRenaming:
    @LEVELS
    def test_a_free_name_is_taken_and_the_old_one_gone(self, level: NoReplace, folder: int, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"ours")
        rename_noreplace(level, folder, b"a", folder, b"b")
        assert os.listdir(folder) == ["b"]
        assert (tmp_path / "b").read_bytes() == b"ours"

    @LEVELS
    @pytest.mark.parametrize("kind", ["file", "folder", "link", "dangling link"])
    def test_a_taken_name_is_refused_and_nothing_moves(self, level: NoReplace, kind: str, folder: int, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"ours")
        if kind == "file":
            (tmp_path / "b").write_bytes(b"theirs")
        elif kind == "folder":
            (tmp_path / "b").mkdir()
        else:
            (tmp_path / "b").symlink_to("a" if kind == "link" else "nowhere")
        before = os.lstat(tmp_path / "b")
        with pytest.raises(FileExistsError):
            rename_noreplace(level, folder, b"a", folder, b"b")
        assert (tmp_path / "a").read_bytes() == b"ours"
        assert os.lstat(tmp_path / "b").st_ino == before.st_ino
        assert not (tmp_path / "nowhere").exists()

    def test_a_name_of_255_bytes_that_are_no_text_is_fine(self, folder: int, tmp_path: Path) -> None:
        name = b"\xff\n'" + b"x" * 252
        (tmp_path / "a").touch()
        rename_noreplace(NoReplace.RENAMEAT2, folder, b"a", folder, name)
        assert os.listdir(os.fsencode(tmp_path)) == [name]


class TestProbe:
    def test_this_file_system_knows_renameat2_and_nothing_is_left_behind(self, folder: int) -> None:
        assert probe(folder) is NoReplace.RENAMEAT2
        assert os.listdir(folder) == []

    def test_without_it_links_are_used(self, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(durable, "_RENAMEAT2", None)
        assert probe(folder) is NoReplace.LINK
        assert os.listdir(folder) == []

    def test_a_file_system_that_ignores_the_flag_is_found_out(self, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
        def plain_rename(from_folder: int, name: bytes, to_folder: int, new_name: bytes, _: int) -> int:
            os.rename(name, new_name, src_dir_fd=from_folder, dst_dir_fd=to_folder)
            return 0

        monkeypatch.setattr(durable, "_RENAMEAT2", plain_rename)
        assert probe(folder) is NoReplace.LINK
        assert os.listdir(folder) == []

    @pytest.mark.parametrize("call", ["link", "rename"])
    def test_a_failing_disk_is_not_taken_for_one_that_knows_less(
        self, folder: int, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        """From then on it would have been landed by a weaker level."""

        def fail(*_: object, **__: object) -> None:
            raise OSError(errno.EIO, "Input/output error") if call == "link" else PermissionError(errno.EPERM, "no links")

        def fail_renaming(*_: object, **__: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(durable, "_RENAMEAT2", None)
        monkeypatch.setattr(os, "link", fail)
        monkeypatch.setattr(os, "rename", fail_renaming)
        with pytest.raises(OSError, match="Input/output"):
            probe(folder)
        assert os.listdir(folder) == []

    @pytest.mark.parametrize("call", ["pwrite", "fsync"])
    def test_a_disk_that_takes_names_but_no_bytes_is_found_out(
        self, folder: int, monkeypatch: pytest.MonkeyPatch, call: str
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(os, call, fail)
        with pytest.raises(OSError, match="Input/output"):
            probe(folder)
        assert os.listdir(folder) == []

    def test_without_both_a_placeholder_serves(self, folder: int, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_links(*_: object, **__: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(durable, "_RENAMEAT2", None)
        monkeypatch.setattr(os, "link", no_links)
        assert probe(folder) is NoReplace.PLACEHOLDER
        assert os.listdir(folder) == []


class TestFolders:
    def test_missing_folders_are_made_with_the_mode_whatever_the_umask(self, folder: int, tmp_path: Path) -> None:
        before = os.umask(0o077)
        try:
            with Folders(folder, 0o775) as folders:
                folders.open(b"a/b/c", make=True)
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o775

    def test_without_make_a_missing_folder_is_an_error(self, folder: int) -> None:
        with Folders(folder) as folders, pytest.raises(FileNotFoundError):
            folders.open(b"a/b")

    @pytest.mark.parametrize("where", ["a", "a/b"])
    def test_a_link_in_the_way_is_not_followed(self, where: str, folder: int, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        (outside / "b").mkdir(parents=True)
        (tmp_path / where).parent.mkdir(exist_ok=True)
        (tmp_path / where).symlink_to(outside)
        with Folders(folder) as folders, pytest.raises(NotADirectoryError):
            folders.open(b"a/b/c", make=True)
        assert sorted(os.listdir(outside)) == ["b"]
        assert os.listdir(outside / "b") == []

    def test_the_forbidden_folder_is_not_entered_by_any_name(self, folder: int, tmp_path: Path) -> None:
        (tmp_path / "closed/in").mkdir(parents=True)
        fd = os.open(tmp_path / "closed", FOLDER)
        with Folders(folder, forbidden=fd) as folders:
            with pytest.raises(NotADirectoryError):
                folders.open(b"closed/in")
            (tmp_path / "closed").rename(tmp_path / "renamed")
            with pytest.raises(NotADirectoryError):
                folders.open(b"renamed")
        os.close(fd)

    def test_three_hundred_levels_take_few_descriptors(self, folder: int) -> None:
        before = len(os.listdir("/proc/self/fd"))
        with Folders(folder) as folders:
            folders.open(b"/".join([b"d"] * 300), make=True)
            assert len(os.listdir("/proc/self/fd")) <= before + durable.MOST_LEVELS
            with pytest.raises(FileNotFoundError):
                folders.open(b"d/d/e")
        assert len(os.listdir("/proc/self/fd")) == before

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.lists(st.sampled_from([b"a", b"ab", b"b"]), max_size=12).map(b"/".join), max_size=12))
    def test_on_every_way_it_is_the_folder_asked_for(self, paths: list[bytes]) -> None:
        with tempfile.TemporaryDirectory() as top:
            root = os.open(top, FOLDER)
            with Folders(root) as folders:
                for path in paths:
                    fd = folders.open(path, make=True)
                    assert os.path.samestat(os.fstat(fd), os.stat(os.path.join(os.fsencode(top), path)))
            os.close(root)

    def test_after_a_wrong_way_it_finds_the_right_one(self, folder: int, tmp_path: Path) -> None:
        (tmp_path / "a/b").mkdir(parents=True)
        with Folders(folder) as folders:
            for wrong in (b"a/b/c", b"a/x/b", b"x"):
                with pytest.raises(FileNotFoundError):
                    folders.open(wrong)
                assert os.path.samestat(os.fstat(folders.open(b"a/b")), (tmp_path / "a/b").stat())

    def test_what_is_new_is_made_durable_with_its_parents_and_once_each(
        self, folder: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        synced: list[str] = []
        monkeypatch.setattr(durable, "fsync_folder", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
        with Folders(folder) as folders:
            folders.open(b"a/b", make=True)
            folders.open(b"a/c", make=True)
            folders.changed(b"a/c")
            folders.sync()
        assert synced == [str(tmp_path), str(tmp_path / "a"), str(tmp_path / "a/c")]


class TestChunks:
    @pytest.mark.parametrize("most", [1, 4, 5, 9, 100])
    def test_what_is_not_taken_at_once_follows(self, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As with a signal or a nearly full disk: fewer bytes are taken than were given."""
        monkeypatch.setattr(os, "pwritev", lambda fd, chunks, offset: os.pwrite(fd, b"".join(chunks)[:most], offset))
        with open(tmp_path / "a", "wb") as file:
            durable.write_chunks(file.fileno(), (b"one", b"two", b"", b"three"), 2)
        assert (tmp_path / "a").read_bytes() == b"\0\0onetwothree"

    def test_no_chunks_are_no_bytes(self, tmp_path: Path) -> None:
        with open(tmp_path / "a", "wb") as file:
            durable.write_chunks(file.fileno(), (), 2)
        assert (tmp_path / "a").read_bytes() == b""


class TestSmallFiles:
    def test_it_is_there_whole_and_nothing_else_is(self, folder: int, tmp_path: Path) -> None:
        write_durably(folder, b"note", b"one")
        write_durably(folder, b"note", b"two")
        assert os.listdir(folder) == ["note"]
        assert (tmp_path / "note").read_bytes() == b"two"

    def test_a_failure_leaves_the_old_one(self, folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        write_durably(folder, b"note", b"one")
        monkeypatch.setattr(os, "fsync", broken)
        with pytest.raises(OSError, match="Input/output"):
            write_durably(folder, b"note", b"two")
        assert os.listdir(folder) == ["note"]
        assert (tmp_path / "note").read_bytes() == b"one"
