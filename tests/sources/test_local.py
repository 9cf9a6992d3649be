"""A local folder keeps the whole contract; and what only a local folder has: home may be inside it."""

from __future__ import annotations

import os
import shutil
import threading
import time
import tracemalloc
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.model.errors import SourceError, SourceLost, SourceMissing
from forged.model.files import ListingEnd, ProblemKind
from forged.model.paths import source_path
from forged.sources.agent.program.removal import STALE_S
from forged.sources.local import LocalSource
from forged.sources.local_threads import ITEMS_AHEAD, Feed, Threads
from tests.sources.agent.agents import IN_MEMORY
from tests.sources.agent.test_removal import CASES, CONTENT
from tests.sources.asking import fetched, kind_of, listed, removable, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import FullContract
from tests.support.sinks import MemorySink


class TestLocal(FullContract):
    @pytest.fixture
    def box(self, tmp_path: Path) -> FolderBox:
        return FolderBox(tmp_path / "root", LocalSource)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def box(root: Path) -> FolderBox:
    return FolderBox(root, LocalSource)


async def paths_of(source: LocalSource) -> list[bytes]:
    entries, problems, _ = await listed(source)
    assert problems == []
    return [entry.path for entry in entries]


# --- home below the source ------------------------------------------------------------------------------------------------


async def test_home_below_the_source_is_never_listed(root: Path, box: FolderBox) -> None:
    for path in (b"a", b"media/kept/x", b"media/kept/deep/y", b"media/z", b"media/kept2/w"):
        box.write(path, b"")
    async with LocalSource(root, [root / "media" / "kept"]) as source:
        assert await paths_of(source) == [b"a", b"media/kept2/w", b"media/z"]


async def test_home_is_known_however_it_is_reached(root: Path, box: FolderBox) -> None:
    box.write(b"home/x", b"")
    box.write(b"a", b"")
    (root.parent / "way").symlink_to(root / "home")
    async with LocalSource(root, [root.parent / "way"]) as source:
        assert await paths_of(source) == [b"a"]
        (root / "home").rename(root / "renamed")
        (root.parent / "way").unlink()
        (root.parent / "way").symlink_to(root / "renamed")
        assert await paths_of(source) == [b"a"]


async def test_home_that_is_made_later_is_none_of_the_source_either(root: Path, box: FolderBox) -> None:
    async with LocalSource(root, [root / "home", root.parent / "never"]) as source:
        box.write(b"home/x", b"")
        box.write(b"a", b"")
        assert await paths_of(source) == [b"a"]


async def test_folders_of_forged_are_skipped_wherever_they_are(box: FolderBox) -> None:
    for path in (b"a", b".forged/staging/t/x.part", b"deep/.forged/id", b".forged-not"):
        box.write(path, b"")
    async with box.source() as source:
        assert isinstance(source, LocalSource)
        assert await paths_of(source) == [b".forged-not", b"a"]


async def test_nothing_at_home_is_read_hashed_looked_at_or_removed(root: Path, box: FolderBox) -> None:
    entry = box.write(b"home/x", b"mine")
    box.folder(b"home/empty")
    box.folder(b".forged")
    async with LocalSource(root, [root / "home"]) as source:
        sink = MemorySink()
        answers = [
            *(await fetched(source, requests_of([entry]), sink)).values(),
            *[answer async for answer in source.hash([entry])],
            *await source.look([entry.path]),
        ]
        assert [kind_of(answer) for answer in answers] == [ProblemKind.UNREADABLE] * 3
        assert sink.received == 0
        [removed] = await source.remove([removable(entry, b"mine")])
        assert removed.kept is not None
        folders = [source_path(path) for path in (b"home/empty", b"home", b".forged")]
        assert await source.remove_empty_folders(folders) == []
    assert box.read(b"home/x") == b"mine"


async def test_a_limit_is_kept_smoothly(box: FolderBox) -> None:
    class Smooth(MemorySink):
        portion_bytes = 50_000

    entries = [box.write(b"large", b"L" * 500_000), *(box.write(b"%d" % n, b"S" * 20_000) for n in range(10))]
    sink = Smooth()
    async with box.source() as source:
        answers = await fetched(source, requests_of(entries), sink)
    assert len(answers) == 11
    assert sink.most_outstanding == 50_000
    assert sink.received == 700_000


async def test_an_empty_home_is_not_removed_as_an_empty_folder(root: Path, box: FolderBox) -> None:
    box.folder(b"home")
    async with LocalSource(root, [root / "home"]) as source:
        assert await source.remove_empty_folders([source_path(b"home")]) == []
    assert (root / "home").is_dir()


@pytest.mark.parametrize("inside", ["", "below", "deep/below"])
async def test_a_source_inside_its_destination_is_refused(inside: str, root: Path) -> None:
    (root / inside).mkdir(parents=True, exist_ok=True)
    with pytest.raises(SourceError, match="lies inside the destination") as refusal:
        await LocalSource(root / inside, [root]).__aenter__()
    assert refusal.value.hint


# --- removal --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
async def test_only_what_was_brought_home_is_removed(name: str, root: Path, box: FolderBox) -> None:
    case, path = CASES[name], root / "folder" / "file"
    entry = box.write(b"folder/file", CONTENT)
    case.change(path, entry.stat)
    async with box.source() as source:
        [answer] = await source.remove([removable(entry, CONTENT)])
    assert (answer.path, answer.kept) == (entry.path, case.kept)
    assert (path.read_bytes() if path.is_file() else None) == case.left
    assert [p for p in root.rglob("*") if "aside" in p.name] == []


async def test_a_removal_that_a_crash_interrupted_is_undone_by_the_next_listing(box: FolderBox) -> None:
    old = int(time.time()) - STALE_S - 5
    box.write(b"folder/.forged-aside-%08x-0123abcd-name.png" % old, b"kept")
    async with box.source() as source:
        assert isinstance(source, LocalSource)
        assert await paths_of(source) == [b"folder/name.png"]
    assert box.read(b"folder/name.png") == b"kept"


# --- bounds ---------------------------------------------------------------------------------------------------------------


async def test_a_tree_of_100_000_files_is_listed_in_little_memory() -> None:
    root = Path(IN_MEMORY or "/tmp") / f"forged-{os.getpid()}-many"
    try:
        _make_many(root, folders=100, files=1_000)
        seen = 0
        async with LocalSource(root) as source:
            tracemalloc.start()
            async with aclosing(source.list()) as parts:
                async for part in parts:
                    seen += 0 if isinstance(part, ListingEnd) else len(part.entries)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        assert seen == 100_000
        assert peak_bytes < 6 << 20  # a part holds 0.3 MB, a folder's names 0.1; all entries at once would be 35
    finally:
        tracemalloc.stop()
        shutil.rmtree(root)


def _make_many(root: Path, folders: int, files: int) -> None:
    for folder in range(folders):
        (root / f"{folder:03}").mkdir(parents=True)
        fd = os.open(root / f"{folder:03}", os.O_RDONLY)
        for number in range(files):
            os.mknod(b"%04d" % number, 0o600, dir_fd=fd)
        os.close(fd)


async def test_a_listing_runs_only_little_ahead_of_its_reader() -> None:
    made = 0

    def work(feed: Feed[int]) -> None:
        nonlocal made
        while True:
            made += 1
            feed.put(made)

    threads = Threads("test")
    async with aclosing(threads.stream(work)) as numbers:
        for wanted in range(1, 100):
            assert await anext(numbers) == wanted
            assert made <= wanted + ITEMS_AHEAD + 1
    assert await threads.close()


async def test_no_descriptor_is_left_behind(root: Path, box: FolderBox) -> None:
    entries = [box.write(b"%d" % number, bytes(300_000)) for number in range(5)]
    before = _descriptors(root)
    async with box.source() as source:
        async with aclosing(source.fetch(requests_of(entries), MemorySink())) as answers:
            await anext(answers)
        async with aclosing(source.watch()) as notices:
            await anext(notices)
        async with aclosing(source.list()) as parts:
            await anext(parts)
    assert _descriptors(root) == before


def _descriptors(root: Path) -> list[str]:
    """Those that lead below the root, or to an inotify."""
    targets = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return sorted(target for target in targets if target.startswith(str(root)) or "inotify" in target)


# --- a disk that hangs ----------------------------------------------------------------------------------------------------


async def test_a_disk_that_hangs_loses_the_source_and_holds_up_nobody() -> None:
    threads, thaws = Threads("test", silence_limit_s=0.05), threading.Event()

    def hang(feed: Feed[int]) -> None:
        thaws.wait()

    with pytest.raises(SourceLost, match="does not answer"):
        await threads.do(thaws.wait)
    with pytest.raises(SourceLost, match="does not answer"):
        await anext(threads.stream(hang))
    thaws.set()
    assert await threads.close()


async def test_a_slow_walk_that_moves_on_is_not_lost() -> None:
    threads = Threads("test", silence_limit_s=0.2)

    def slow(feed: Feed[int]) -> None:
        for _ in range(30):
            feed.check()
            time.sleep(0.02)
        feed.put(1)

    assert [item async for item in threads.stream(slow)] == [1]
    assert await threads.close()


async def test_a_root_that_is_no_folder_is_missing(root: Path) -> None:
    (root / "file").write_bytes(b"")
    for wrong in (root / "file", root / "nowhere"):
        with pytest.raises(SourceMissing, match=str(wrong)):
            await LocalSource(wrong).__aenter__()


async def test_a_closed_source_says_so() -> None:
    source = LocalSource(Path("/"))
    with pytest.raises(SourceLost):
        await source.clock_ns()
    with pytest.raises(SourceLost):
        _ = source.capabilities
    with pytest.raises(SourceLost):
        await anext(source.list())
