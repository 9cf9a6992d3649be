"""The watch of a local folder: home in it stays unheard, and watchfiles looks where inotify does not see."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from forged.model.errors import SourceMissing
from forged.model.files import Entry
from forged.sources.agent.program import inotify
from forged.sources.local import LocalSource
from forged.sources.local_watch import SHARES, Eyes, Sight, _type_of_mount, best_sight
from tests.sources.boxes import FolderBox
from tests.sources.hearing import Heard, hearing

LOOKING = Sight(Eyes.WATCHFILES, look_every_s=0.05)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def box(root: Path) -> FolderBox:
    return FolderBox(root, LocalSource)


# --- with either eyes -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[Sight(Eyes.INOTIFY), LOOKING], ids=["inotify", "watchfiles"])
def sight(request: pytest.FixtureRequest) -> Sight:
    assert isinstance(request.param, Sight)
    return request.param


async def test_what_lands_at_home_below_the_source_is_not_noticed(root: Path, box: FolderBox, sight: Sight) -> None:
    async with LocalSource(root, [root / "home"], sight) as source, hearing(source) as heard:
        for path in (b"home/.forged/staging/t/1.part", b".forged/x", b"home/early"):
            box.write(path, b"")
        os.rename(box.at(b"home/.forged/staging/t/1.part"), box.at(b"home/landed.png"))
        await heard.entry(box.write(b"deep/new.png", b"x"))
        box.delete(b"home/landed.png")
        await heard.entry(box.write(b"last.png", b"x"))
        assert heard.paths == {b"deep/new.png", b"last.png"}


async def test_a_root_that_goes_ends_the_watch(root: Path, sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sources.local_watch.ROOT_EVERY_MS", 20)
    async with LocalSource(root, sight=sight) as source, hearing(source) as heard:
        shutil.rmtree(root)
        assert isinstance(await heard.the_end(), SourceMissing)


async def test_a_root_that_is_exchanged_ends_the_watch(root: Path, sight: Sight, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sources.local_watch.ROOT_EVERY_MS", 20)
    async with LocalSource(root, sight=sight) as source, hearing(source) as heard:
        root.rename(root.with_name("old"))
        root.mkdir()
        assert isinstance(await heard.the_end(), SourceMissing)


# --- inotify --------------------------------------------------------------------------------------------------------------


async def test_a_file_is_told_as_closed_only_when_it_is(root: Path, box: FolderBox) -> None:
    async with LocalSource(root, sight=Sight(Eyes.INOTIFY)) as source, hearing(source) as heard:
        with open(root / "film.mp4", "wb") as film:
            for _ in range(3):
                film.write(b"frame")
                film.flush()
                await heard.entry(box.write(b"other", b"x"))
            assert b"film.mp4" not in heard.closed
        await heard.until(lambda: heard.closed.get(b"film.mp4") == box.entry(b"film.mp4"))


# --- watchfiles -----------------------------------------------------------------------------------------------------------


async def found(heard: Heard, entry: Entry) -> None:
    await heard.until(lambda: heard.found.get(entry.path) == entry)


async def test_looking_finds_what_is_written_replaced_moved_in_and_deleted(root: Path, box: FolderBox) -> None:
    box.write(b"folder/old", b"")
    box.touch(b"folder/old")  # it did not change in this very second
    async with LocalSource(root, sight=LOOKING) as source, hearing(source) as heard:
        await found(heard, box.write(b"folder/new", b"12345"))
        await found(heard, box.write(b"folder/old", b"123"))
        await found(heard, box.replace(b"folder/new", b"other", mtime_ns=1_600_000_000_000_000_001))
        (root.parent / "tree" / "deep").mkdir(parents=True)
        (root.parent / "tree" / "deep" / "x").write_bytes(b"x")
        (root.parent / "tree").rename(root / "tree")
        await found(heard, box.entry(b"tree/deep/x"))
        box.delete(b"folder/old")
        await heard.until(lambda: b"folder/old" in heard.gone)
        assert heard.closed == {}
        assert heard.overflows == 0


async def test_looking_misses_nothing_in_a_burst_and_follows_no_link(root: Path, box: FolderBox) -> None:
    (root.parent / "outside").mkdir()
    (root.parent / "outside" / "file").write_bytes(b"")
    box.link(b"link", b"../outside")
    async with LocalSource(root, sight=LOOKING) as source, hearing(source) as heard:
        entries = [box.write(b"%d/%d/%04d" % (number % 7, number % 11, number), b"x") for number in range(1000)]
        await heard.until(lambda: len(heard.found) == len(entries))
        assert heard.found == {entry.path: entry for entry in entries}


async def test_looking_begins_anew_after_a_name_that_watchfiles_cannot_say(root: Path, box: FolderBox) -> None:
    async with LocalSource(root, sight=LOOKING) as source, hearing(source) as heard:
        box.write(b"not utf-8 \xff", b"")
        await heard.until(lambda: heard.overflows)
        await found(heard, box.write(b"later", b"x"))


async def test_a_loop_of_links_leaves_the_work_to_listings(root: Path, box: FolderBox) -> None:
    box.link(b"loop", b".")
    async with LocalSource(root, sight=LOOKING) as source, hearing(source) as heard:
        await heard.until(lambda: heard.overflows > 2)


async def test_a_file_that_changes_twice_in_a_second_is_told_as_it_is_in_the_end(root: Path, box: FolderBox) -> None:
    async with LocalSource(root, sight=LOOKING) as source, hearing(source) as heard:
        for number in range(20):
            entry = box.write(b"file", b"x" * number)
            await asyncio.sleep(0.03)
        await found(heard, entry)


async def test_looking_tells_only_of_the_folders_asked_for(root: Path, box: FolderBox) -> None:
    async with LocalSource(root, sight=LOOKING) as source, hearing(source, [b"a/b", b"c"]) as heard:
        for path in (b"a/1", b"ab/2", b"a/bb/3", b"4"):
            box.write(path, b"")
        await found(heard, box.write(b"a/b/5", b""))
        await found(heard, box.write(b"c/d/6", b""))
        assert heard.paths == {b"a/b/5", b"c/d/6"}


async def test_where_inotify_cannot_be_had_watchfiles_takes_over(
    root: Path, box: FolderBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with LocalSource(root, sight=Sight(Eyes.INOTIFY, look_every_s=0.05)) as source:
        monkeypatch.setattr(inotify, "LIBC", None)  # as on a system without it
        async with hearing(source) as heard:
            assert heard.overflows == 1
            await found(heard, box.write(b"new", b"x"))


# --- the choice -----------------------------------------------------------------------------------------------------------


def test_on_a_disk_of_this_machine_inotify_watches(tmp_path: Path) -> None:
    assert best_sight(bytes(tmp_path)).eyes is Eyes.INOTIFY


def test_on_a_share_watchfiles_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sources.local_watch.SHARES", SHARES | {_type_of_mount(bytes(tmp_path))})
    assert best_sight(bytes(tmp_path)).eyes is Eyes.WATCHFILES


def test_the_type_of_a_mount_is_read_from_the_kernel() -> None:
    assert _type_of_mount(b"/proc/self") == "proc"


async def test_status_tells_who_watches(root: Path) -> None:
    async with LocalSource(root, sight=LOOKING) as source:
        assert source.capabilities.transport == "local (watchfiles)"
        assert source.capabilities.watching
