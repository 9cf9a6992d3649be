"""Removal under guard: only what is still as expected goes; everything else stays, under its name."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from forged.model.files import Entry, Stat
from forged.model.manifest import ManifestRow
from forged.model.paths import HomePath, source_path
from forged.model.removal import KeptBecause, Removable, Removed
from forged.sources.agent.program import removal
from forged.sources.agent.program.line import Trouble
from forged.sources.agent.program.removal import remove_guarded, rename_unless_taken
from tests.sources.agent.agents import local

CONTENT = b"what was brought home"
KEPT = b"somebody else's"


def removable(entry: Entry, content: bytes = CONTENT) -> Removable:
    row = ManifestRow(entry.path, entry.stat, hashlib.sha256(content).digest(), HomePath(entry.path), 0)
    return Removable(row, entry.stat)


def stat_of(path: Path) -> Stat:
    seen = path.stat()
    return Stat(seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_ctime_ns)


def back_to(path: Path, before: Stat) -> None:
    os.utime(path, ns=(before.mtime_ns, before.mtime_ns))


@dataclass(frozen=True)
class Case:
    """What happens to folder/file after it was brought home, why it is then kept (None: removed), what is there afterwards."""

    change: Callable[[Path, Stat], object]
    kept: KeptBecause | None
    left: bytes | None


def replaced_by_link(path: Path, before: Stat) -> None:
    path.rename(path.with_name("other"))
    path.symlink_to("other")


def parent_replaced_by_link(path: Path, before: Stat) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.symlink_to("moved")


def replaced_by_folder(path: Path, before: Stat) -> None:
    path.unlink()
    path.mkdir()


def other_content(path: Path, before: Stat) -> None:
    path.write_bytes(KEPT)


def same_size_and_mtime_other_content(path: Path, before: Stat) -> None:
    path.write_bytes(b"X" * len(CONTENT))
    back_to(path, before)


def same_size_and_mtime_another_inode(path: Path, before: Stat) -> None:
    path.with_name("new").write_bytes(b"X" * len(CONTENT))
    path.with_name("new").rename(path)
    back_to(path, before)


def copied_over_itself(path: Path, before: Stat) -> None:
    path.with_name("new").write_bytes(CONTENT)
    path.with_name("new").rename(path)
    back_to(path, before)


CASES = {
    "untouched": Case(lambda path, before: None, None, None),
    "only ctime moved": Case(lambda path, before: path.chmod(0o600), None, None),
    "another inode with the same bytes": Case(copied_over_itself, None, None),
    "other content": Case(other_content, KeptBecause.CHANGED, KEPT),
    "touched": Case(lambda path, before: os.utime(path, ns=(1, 1)), KeptBecause.CHANGED, CONTENT),
    "rewritten, mtime set back": Case(same_size_and_mtime_other_content, KeptBecause.CHANGED, b"X" * len(CONTENT)),
    "replaced, mtime set back": Case(same_size_and_mtime_another_inode, KeptBecause.CHANGED, b"X" * len(CONTENT)),
    "a link in its place": Case(replaced_by_link, KeptBecause.CHANGED, CONTENT),
    "its folder is a link": Case(parent_replaced_by_link, KeptBecause.CHANGED, CONTENT),
    "a folder in its place": Case(replaced_by_folder, KeptBecause.CHANGED, None),
    "gone": Case(lambda path, before: path.unlink(), KeptBecause.VANISHED, None),
}


@pytest.mark.parametrize("name", CASES)
async def test_only_what_was_brought_home_is_removed(name: str, tmp_path: Path) -> None:
    case, path = CASES[name], tmp_path / "folder" / "file"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    entry = Entry(source_path(b"folder/file"), stat_of(path))
    case.change(path, entry.stat)
    async with local(tmp_path) as source:
        (answer,) = await source.remove([removable(entry)])
    assert (answer.path, answer.kept) == (entry.path, case.kept)
    assert (path.read_bytes() if path.is_file() else None) == case.left
    assert [p for p in tmp_path.rglob("*") if "aside" in p.name] == []


async def test_a_source_that_knows_no_inodes_compares_size_and_mtime(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    stat = replace(stat_of(tmp_path / "file"), inode=None, ctime_ns=None)
    async with local(tmp_path) as source:
        assert await source.remove([removable(Entry(source_path(b"file"), stat))]) == [Removed(source_path(b"file"))]


async def test_many_removals_answer_in_the_order_asked_and_long_names_work(tmp_path: Path) -> None:
    entries = []
    for name in ("b", "a", "n" * 255, "-rf", "new\nline"):
        (tmp_path / name).write_bytes(CONTENT)
        entries.append(Entry(source_path(name.encode()), stat_of(tmp_path / name)))
    os.utime(tmp_path / "a", ns=(1, 1))
    async with local(tmp_path) as source:
        answers = await source.remove([removable(entry) for entry in entries])
    assert [answer.path for answer in answers] == [entry.path for entry in entries]
    assert [answer.kept for answer in answers] == [None, KeptBecause.CHANGED, None, None, None]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- between the looks ----------------------------------------------------------------------------------------------------
# The moments inside a removal are too short to be hit from outside, so these call the guard itself.


@pytest.fixture
def folder(tmp_path: Path) -> int:
    return os.open(tmp_path, os.O_RDONLY)


@pytest.mark.parametrize("name", ["file", "n" * 255])
def test_a_file_replaced_just_before_the_renaming_is_put_back(name: str, tmp_path: Path, folder: int) -> None:
    (tmp_path / name).write_bytes(CONTENT)
    expected = (tmp_path / name).stat()
    (tmp_path / "new").write_bytes(KEPT)
    (tmp_path / "new").rename(tmp_path / name)
    with pytest.raises(Trouble):
        remove_guarded(folder, os.fsencode(name), expected)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, KEPT)]


def test_a_file_written_to_just_before_the_renaming_is_put_back(tmp_path: Path, folder: int) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    expected = (tmp_path / "file").stat()
    (tmp_path / "file").write_bytes(KEPT)
    with pytest.raises(Trouble):
        remove_guarded(folder, b"file", expected)
    assert (tmp_path / "file").read_bytes() == KEPT


@pytest.mark.parametrize("name", ["file", "n" * 255])
def test_when_a_new_file_took_the_name_meanwhile_both_stay(
    name: str, tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_meanwhile(place: int, aside: bytes, expected: os.stat_result) -> None:
        (tmp_path / name).write_bytes(KEPT)
        raise Trouble(1, "it changed at the last moment")

    (tmp_path / name).write_bytes(CONTENT)
    monkeypatch.setattr(removal, "unlink_if_same", write_meanwhile)
    with pytest.raises(FileExistsError):
        remove_guarded(folder, os.fsencode(name), (tmp_path / name).stat())
    contents = sorted(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert contents == sorted([CONTENT, KEPT])
    assert (tmp_path / name).read_bytes() == KEPT


@pytest.mark.parametrize("with_renameat2", [True, False])
def test_renaming_never_overwrites_with_and_without_renameat2(
    with_renameat2: bool, tmp_path: Path, folder: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_renameat2:
        monkeypatch.setattr(removal, "LIBC", None)
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        rename_unless_taken(folder, b"a", folder, b"b")
    rename_unless_taken(folder, b"a", folder, b"c")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"b": b"b", "c": b"a"}
