"""What only a real file system can do to a watch: renames of folders, hard links, files left open, and the limits of the kernel."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from forged.model.errors import NotSupported, SourceLost, SourceMissing
from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.sources.agent import wire
from forged.sources.agent.client import AgentSource
from forged.sources.agent.launch import argv, program
from forged.sources.agent.program.news import MAX_WAITING
from forged.sources.agent.watching import WINDOW_BLOCKS
from forged.sources.agent.wire import Decoder, Kind, packed
from forged.sources.base import Notices
from forged.sources.piped import piped_channel
from tests.sources.agent.agents import Recorded, local, request
from tests.sources.agent.test_program import old_pythons
from tests.sources.asking import removable
from tests.sources.hearing import Heard, hearing
from tests.support.sinks import MIB, Halting

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def entry(root: Path, name: str) -> Entry:
    seen = (root / name).lstat()
    return Entry(source_path(os.fsencode(name)), Stat(seen.st_size, seen.st_mtime_ns, seen.st_ino, seen.st_ctime_ns))


def write(root: Path, name: str, data: bytes = b"x") -> Entry:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    return entry(root, name)


class Ears:
    """A watch, and the process that watches."""

    def __init__(self, source: AgentSource, heard: Heard, pid: int, root: Path) -> None:
        self.source, self.heard, self.pid, self._root = source, heard, pid, root
        self._fences = 0

    @contextmanager
    def asleep(self) -> Iterator[None]:
        """The agent stands still meanwhile: what happens in the block is one thing to it."""
        os.kill(self.pid, signal.SIGSTOP)
        while Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.001)  # a busy machine takes its time to stop it
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    async def fence(self) -> None:
        """Returns once everything that happened before was told, also what waited to be closed."""
        self._fences += 1
        name = f"fence{self._fences}"
        with open(self._root / name, "wb"):  # it stays open, and so is told as found, after what waited longer
            await self.heard.until(lambda: name.encode() in self.heard.found)


@asynccontextmanager
async def watched(root: Path, *folders: bytes) -> AsyncIterator[Ears]:
    opened = Recorded()
    async with AgentSource(opened, bytes(root), transport="pipe") as source, hearing(source, folders) as heard:
        yield Ears(source, heard, opened.channels[0].process.pid, root)


@pytest.fixture
def root(quick_path: Path) -> Path:
    (quick_path / "root").mkdir()
    return quick_path / "root"


# --- one file -------------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_renamed_into_place_is_one_notice_for_its_final_name(root: Path) -> None:
    async with watched(root) as ears:
        with ears.asleep():
            write(root, "picture.png.tmp")
            (root / "picture.png.tmp").rename(root / "picture.png")
        await ears.heard.entry(entry(root, "picture.png"))
        assert ears.heard.all[1:] == [Notices((entry(root, "picture.png"),), gone=(source_path(b"picture.png.tmp"),))]


async def test_many_writes_within_a_moment_are_few_notices(root: Path) -> None:
    async with watched(root) as ears:
        with ears.asleep():
            for number in range(100):
                write(root, "file", bytes(number))
        await ears.heard.entry(entry(root, "file"))
        await ears.fence()
        told = sum(len(notices.entries) for notices in ears.heard.all)
        assert 1 <= told < 10  # one, unless a busy machine makes the agent read the kernel's queue in pieces


async def test_a_hard_link_is_found_though_nobody_closes_it(root: Path) -> None:
    write(root.parent, "elsewhere")
    async with watched(root) as ears:
        os.link(root.parent / "elsewhere", root / "linked")
        await ears.heard.until(lambda: b"linked" in ears.heard.found)
        assert ears.heard.found[b"linked"] == entry(root, "linked")
        assert not ears.heard.closed


async def test_a_file_that_is_still_being_written_is_not_called_closed(root: Path) -> None:
    """In a new folder, where the agent finds it open, as well as in an old one."""
    async with watched(root) as ears:
        with ExitStack() as files:
            with ears.asleep():
                (root / "new").mkdir()
                film, other = (files.enter_context(open(root / name, "wb", buffering=0)) for name in ("new/film", "film"))
            await ears.heard.until(lambda: {b"new/film", b"film"} <= ears.heard.found.keys())
            film.write(b"half")
            other.write(b"half")
            await ears.fence()
            assert not ears.heard.closed.keys() & {b"new/film", b"film"}
        for name in ("new/film", "film"):
            await ears.heard.entry(entry(root, name))
            assert ears.heard.closed[name.encode()].stat.size_bytes == 4


async def test_a_file_that_was_deleted_while_open_says_nothing_about_its_successor(root: Path) -> None:
    async with watched(root) as ears:
        with open(root / "name", "wb"):
            (root / "name").unlink()
            successor = open(root / "name", "wb")  # noqa: SIM115 - outlives the first one
        await ears.fence()
        assert b"name" not in ears.heard.closed
        successor.close()
        await ears.heard.until(lambda: b"name" in ears.heard.closed)


async def test_what_is_no_file_and_what_only_was_read_is_not_noticed(root: Path) -> None:
    write(root, "old")
    async with watched(root) as ears:
        os.mkfifo(root / "fifo")
        (root / "link").symlink_to("old")
        (root / "old").read_bytes()
        (root / "folder").mkdir()
        await ears.fence()
        assert ears.heard.paths == {b"fence1"}


async def test_a_removal_under_guard_shows_nothing_of_its_inside(root: Path) -> None:
    names = ["short", "n" * 255]
    entries = [write(root, name) for name in names]
    async with watched(root) as ears:
        removed = await ears.source.remove([removable(entry, b"x") for entry in entries])
        assert [answer.kept for answer in removed] == [None, None]
        await ears.fence()
        assert ears.heard.paths - {b"fence1"} == {name.encode() for name in names}
        assert ears.heard.gone == {name.encode() for name in names}


# --- folders --------------------------------------------------------------------------------------------------------------


async def test_a_folder_that_is_moved_in_is_found_with_all_that_is_in_it(root: Path) -> None:
    files = [f"{number % 7}/{number % 3}/{number}" for number in range(50)]
    for name in files:
        write(root.parent / "outside", name)
    async with watched(root) as ears:
        (root.parent / "outside").rename(root / "inside")
        await ears.heard.until(lambda: len(ears.heard.found) == len(files))
        assert ears.heard.found.keys() == {b"inside/" + name.encode() for name in files}
        assert not ears.heard.overflows
        await ears.heard.entry(write(root, "inside/5/2/later"))


async def test_a_folder_that_is_moved_away_needs_a_listing_and_is_no_longer_watched(root: Path) -> None:
    write(root, "folder/deep/file")
    async with watched(root) as ears:
        (root / "folder").rename(root.parent / "away")
        await ears.heard.until(lambda: ears.heard.overflows == 1)
        (root / "folder" / "deep").mkdir(parents=True)
        with open(root / "folder" / "deep" / "film", "wb"):
            write(root.parent, "away/deep/film")
            await ears.fence()
            assert not ears.heard.closed.keys() - {b"fence1"}, "it is still open; the one that was closed is away"
        await ears.heard.until(lambda: b"folder/deep/film" in ears.heard.closed)


async def test_a_folder_that_is_renamed_is_watched_under_its_new_name(root: Path) -> None:
    write(root, "old/deep/file")
    async with watched(root) as ears:
        (root / "old").rename(root / "new")
        await ears.heard.until(lambda: b"new/deep/file" in ears.heard.found)
        assert ears.heard.overflows == 1
        await ears.heard.entry(write(root, "new/deep/another"))
        assert not any(path.startswith(b"old") for path in ears.heard.paths)


async def test_a_folder_that_is_found_elsewhere_before_its_move_is_told_is_watched_there(root: Path) -> None:
    """It moves into a folder that is not watched yet, so only a look into that one shows where it went."""
    write(root, "old/deep/file")
    async with watched(root) as ears:
        with ears.asleep():
            (root / "parent").mkdir()
            (root / "old").rename(root / "parent" / "new")
        await ears.heard.until(lambda: b"parent/new/deep/file" in ears.heard.found)
        assert ears.heard.overflows == 1, "what was in the old folder is gone, and only a listing tells what that was"
        await ears.heard.entry(write(root, "parent/new/deep/later"))


async def test_a_folder_made_while_the_agent_looks_away_is_watched_under_its_last_name(root: Path) -> None:
    async with watched(root) as ears:
        with ears.asleep():
            write(root, "a/b/file")
            (root / "a" / "b").rename(root / "c")
            shutil.rmtree(root / "a")
            write(root, "a/b/other")
        await ears.heard.until(lambda: {b"c/file", b"a/b/other"} <= ears.heard.there.keys())
        for name in ("c/later", "a/b/later"):
            await ears.heard.entry(write(root, name))


async def test_no_link_is_followed_out_of_the_tree(root: Path) -> None:
    write(root.parent, "outside/old")
    async with watched(root) as ears:
        (root / "link").symlink_to(root.parent / "outside")
        with ears.asleep():  # a folder that is a link by the time it is looked into
            (root / "folder").mkdir()
            (root / "folder").rmdir()
            (root / "folder").symlink_to(root.parent / "outside")
        write(root.parent, "outside/new")
        await ears.fence()
        assert ears.heard.paths == {b"fence1"}


@pytest.mark.parametrize("do", ["delete", "move", "replace"])
async def test_a_root_that_goes_missing_ends_the_watch(root: Path, do: str) -> None:
    (root.parent / "fresh").mkdir()
    async with local(root) as source, hearing(source) as heard:
        if do == "delete":
            root.rmdir()
        elif do == "move":
            root.rename(root.parent / "away")
        else:
            (root.parent / "fresh").rename(root)
        assert isinstance(await heard.the_end(), SourceMissing)


async def test_a_root_that_is_missing_cannot_be_watched(root: Path) -> None:
    async with local(root) as source:
        root.rmdir()
        with pytest.raises(SourceMissing):
            await anext(source.watch())


async def test_a_root_that_was_made_anew_is_watched_and_not_the_old_one(root: Path) -> None:
    async with local(root) as source:
        root.rename(root.parent / "old")
        root.mkdir()
        async with hearing(source) as heard:
            write(root.parent, "old/file")
            await heard.entry(write(root, "other"))
            assert heard.paths == {b"other"}


async def test_a_root_behind_a_link_is_watched_where_it_is(root: Path) -> None:
    (root.parent / "link").symlink_to(root)
    async with local(root.parent / "link") as source, hearing(source) as heard:
        await heard.entry(write(root, "file"))
        shutil.rmtree(root)
        assert isinstance(await heard.the_end(), SourceMissing)


async def test_five_thousand_folders_are_watched(root: Path) -> None:
    for number in range(5000):
        (root / str(number % 50) / str(number)).mkdir(parents=True)
    async with watched(root) as ears:
        assert ears.heard.all == [Notices()]
        for number in (0, 2499, 4999):
            await ears.heard.entry(write(root, f"{number % 50}/{number}/file"))


# --- too much -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(int(QUEUE.read_text()) > 50_000, reason="the kernel's queue is too long here to be run over quickly")
async def test_when_the_queue_runs_over_a_listing_is_asked_for_and_all_is_watched_again(root: Path) -> None:
    async with watched(root) as ears:
        with ears.asleep():
            for number in range(int(QUEUE.read_text())):  # each of them made and closed: twice what it holds
                (root / str(number)).touch()
            write(root, "new/folder/file")
        await ears.heard.until(lambda: ears.heard.overflows)
        await ears.heard.entry(write(root, "new/folder/another"))
        assert ears.heard.overflows == 1


async def test_whoever_listens_slowly_loses_nothing_without_being_told(root: Path) -> None:
    """More than the window holds; the agent must wait, and what happens meanwhile is told later or as an overflow."""
    async with local(root) as source:
        answers, heard = source.watch(), Heard()
        heard.take(await anext(answers))
        for number in range(6000):
            write(root, f"{number:04}" + "n" * 100)
            if number % 500 == 0:
                await source.clock_ns()
        while len(heard.closed) < 6000 and not heard.overflows:
            heard.take(await anext(answers))
        assert heard.overflows or len(heard.all) > 2 * WINDOW_BLOCKS
        await answers.aclose()


async def test_a_large_tree_that_is_moved_in_may_be_too_much_to_tell(root: Path) -> None:
    async with watched(root) as ears:
        (root.parent / "outside").mkdir()
        for number in range(MAX_WAITING + 1):
            (root.parent / "outside" / str(number)).touch()
        (root.parent / "outside").rename(root / "inside")
        await ears.heard.until(lambda: ears.heard.overflows)
        await ears.heard.entry(write(root, "inside/later"))


async def test_a_watch_hears_while_two_hundred_megabytes_are_fetched(root: Path) -> None:
    with open(root / "big", "wb") as file:
        file.truncate(200 * MIB)
    big, sink = entry(root, "big"), Halting(limit=100 * MIB)
    async with watched(root) as ears:
        fetch = asyncio.create_task(anext(ears.source.fetch([request(big)], sink)))
        for number in range(100):
            await ears.heard.entry(write(root, str(number)))
        assert not fetch.done()
        sink.go_on()
        await fetch
    sink.assert_even()


# --- the limits of the box ------------------------------------------------------------------------------------------------


def limited(folder: Path, limit: str) -> str:
    """A Python that runs in a user namespace of its own, with a limit of its own on inotify (user_namespaces(7))."""
    script = folder / "python"
    name, number = limit.split("=")
    inside = f'echo {number} > /proc/sys/user/max_inotify_{name} && exec /usr/bin/env python3 "$@"'
    script.write_text(f"#!/bin/sh\nexec unshare -U -r sh -c '{inside}' python \"$@\"\n")
    script.chmod(0o755)
    if subprocess.run([script, "-c", ""], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    return str(script)


def in_limits(root: Path, limit: str) -> AgentSource:
    python = limited(root.parent, limit)
    return AgentSource(lambda: piped_channel(python), bytes(root), transport="pipe")


async def test_folders_beyond_the_limit_of_the_box_are_counted(root: Path) -> None:
    for number in range(5):
        (root / str(number)).mkdir()
    async with in_limits(root, "watches=4") as source, hearing(source) as heard:
        assert heard.all == [Notices(unwatched=3)]  # the root, the folder it is in, and two more are watched
        (root / "new").mkdir()
        await heard.until(lambda: heard.all[-1].unwatched == 4)
        await heard.entry(write(root, "file"))


async def test_where_no_watch_is_left_it_says_so_and_does_not_pretend(root: Path) -> None:
    async with in_limits(root, "instances=0") as source:
        assert not source.capabilities.watching
        with pytest.raises(NotSupported, match="inotify"):
            await anext(source.watch())


async def test_a_limit_that_is_reached_later_is_not_supported_either(root: Path) -> None:
    async with in_limits(root, "instances=1") as source, hearing(source):
        assert source.capabilities.watching
        with pytest.raises(NotSupported, match="the box cannot watch now"):
            await anext(source.watch())
        assert await source.clock_ns()


# --- its end --------------------------------------------------------------------------------------------------------------


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_a_watch_that_is_left_leaves_nothing_behind_in_the_agent(root: Path) -> None:
    opened = Recorded()
    async with AgentSource(opened, bytes(root), transport="pipe") as source:
        pid = opened.channels[0].process.pid
        before = descriptors(pid)
        for number in range(20):
            async with hearing(source) as heard:
                await heard.entry(write(root, str(number)))
        async with asyncio.timeout(20):
            while descriptors(pid) != before:
                await asyncio.sleep(0.01)


async def test_an_agent_that_is_killed_ends_the_watch(root: Path) -> None:
    async with watched(root) as ears:
        os.kill(ears.pid, signal.SIGKILL)
        assert isinstance(await ears.heard.the_end(), SourceLost)


@pytest.mark.parametrize("python", old_pythons() or [pytest.param("", marks=pytest.mark.skip("no Python 3.6 to 3.9 here"))])
def test_an_old_python_watches(python: str, root: Path) -> None:
    sent = program() + packed(Kind.START, 1, bytes(root)) + packed(Kind.WATCH, 2) + packed(Kind.GRANT, 2, wire.grant_payload(9))
    with subprocess.Popen(argv(python), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        agent.stdin.write(sent)
        agent.stdin.flush()
        decoder, frames = Decoder(), []
        while len(frames) < 2:
            frames += decoder.feed(agent.stdout.read1(65536))
        write(root, "folder/file")
        while len(frames) < 3:
            frames += decoder.feed(agent.stdout.read1(65536))
        agent.stdin.close()
    assert [frame.kind for frame in frames] == [Kind.HELLO, Kind.NOTICED, Kind.NOTICED]
    assert b"folder/file" in frames[-1].payload
