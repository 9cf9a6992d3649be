"""AgentSource with a real agent in a process: listings, fetches, hashes, looks."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from forged.model.errors import DestinationError, NotSupported, SourceLost, SourceMissing, SourceUnreachable
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.transfer import Fetched, Piece
from forged.sources.agent.client import AgentSource
from forged.sources.agent.fetching import GRANT_BYTES
from forged.sources.agent.window import LEAST_BYTES
from forged.sources.base import MAX_PART_ENTRIES, Hashed
from forged.sources.piped import piped_channel
from tests.sources.agent.agents import IN_MEMORY, Recorded, fetch_all, listing, local, request
from tests.support.sinks import FullDisk, MemorySink

NASTY = [
    b"-rf",
    b"a\nb",
    b"a b|c",
    b"'\"$(touch x)`",
    b"*?[a]",
    b"back\\slash",
    b"\xff\xfe not utf-8",
    "ü日本🎨".encode(),
    b"n" * 255,
    b"~",
    b"%s%n",
    b" ",
    b"\x1b[2J",
    b"con.png ",
]


def write(root: Path, name: bytes | str, content: bytes = b"") -> bytes:
    path = os.path.join(bytes(root), os.fsencode(name))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    return path


async def entry_of(source: AgentSource, name: bytes) -> Entry:
    (seen,) = await source.look([source_path(name)])
    assert isinstance(seen, Stat)
    return Entry(source_path(name), seen)


# --- opening and closing --------------------------------------------------------------------------------------------------


async def test_it_says_what_it_can_and_its_process_is_nice_and_ends_with_it(tmp_path: Path) -> None:
    opened = Recorded()
    async with AgentSource(opened, bytes(tmp_path), transport="pipe") as source:
        can = source.capabilities
        assert can.transport.startswith("pipe agent (python 3.")
        assert (can.hashing, can.guarded_removal, can.watching) == (True, True, True)
        process = psutil.Process(opened.channels[0].process.pid)
        assert process.nice() >= min(19, psutil.Process().nice() + 5)
    assert not process.is_running()
    assert opened.channels[0].process.returncode == 0, "it ended by itself, with its standard input"


async def test_a_missing_root_is_source_missing_and_named(tmp_path: Path) -> None:
    with pytest.raises(SourceMissing, match="no/such: No such file"):
        async with local(tmp_path / "no" / "such"):
            pass


async def test_a_root_that_is_a_file_is_source_missing(tmp_path: Path) -> None:
    write(tmp_path, "file")
    with pytest.raises(SourceMissing, match="Not a directory"):
        async with local(tmp_path / "file"):
            pass


async def test_a_root_that_is_a_link_is_resolved(tmp_path: Path) -> None:
    write(tmp_path / "real", "a")
    (tmp_path / "link").symlink_to("real")
    async with local(tmp_path / "link") as source:
        assert [e.path for e in (await listing(source))[0]] == [b"a"]


async def test_a_command_that_is_no_agent_is_not_supported_and_its_last_words_are_told(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho sorry, no python here >&2\nexit 127\n")
    fake.chmod(0o755)
    with pytest.raises(NotSupported, match="sorry, no python here"):
        async with AgentSource(lambda: piped_channel(str(fake)), bytes(tmp_path), transport="pipe"):
            pass


async def test_what_a_gateway_prints_instead_of_running_an_agent_is_told(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'Error: this gateway needs a PTY \033[0m'\n")
    fake.chmod(0o755)
    with pytest.raises(NotSupported, match=r"this gateway needs a PTY \\x1b\[0m"):
        async with AgentSource(lambda: piped_channel(str(fake)), bytes(tmp_path), transport="pipe"):
            pass


async def test_what_is_said_by_one_that_does_not_even_listen_is_told_too(tmp_path: Path) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\nexec <&-\nsleep 0.2\necho not on this box\n")
    fake.chmod(0o755)
    with pytest.raises(NotSupported, match="not on this box"):
        async with AgentSource(lambda: piped_channel(str(fake)), bytes(tmp_path), transport="pipe"):
            pass


async def test_a_python_that_does_not_exist_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable):
        async with AgentSource(lambda: piped_channel("/no/such/python"), bytes(tmp_path), transport="pipe"):
            pass


async def test_calls_before_opening_and_after_closing_say_so(tmp_path: Path) -> None:
    source = local(tmp_path)
    with pytest.raises(SourceLost):
        await source.clock_ns()
    async with source:
        pass
    with pytest.raises(SourceLost):
        await source.clock_ns()


async def test_clock_and_space(tmp_path: Path) -> None:
    async with local(tmp_path) as source:
        before, now, after = time.time_ns(), await source.clock_ns(), time.time_ns()
        assert before - 1_000_000 <= now <= after + 1_000_000
        space = await source.space()
        assert 0 < space.free_bytes <= space.total_bytes


# --- listing --------------------------------------------------------------------------------------------------------------


async def test_a_listing_keeps_nasty_names_in_byte_order_with_full_stats(tmp_path: Path) -> None:
    expected = {}
    for number, name in enumerate(NASTY):
        for path in (name, b"folder/" + name, name + b"x/" + name if len(name) < 255 else name):
            seen = os.stat(write(tmp_path, path, bytes(number)))
            expected[path] = Stat(number, seen.st_mtime_ns, seen.st_ino, seen.st_ctime_ns)
    async with local(tmp_path) as source:
        entries, problems, end = await listing(source)
    assert [(e.path, e.stat) for e in entries] == sorted(expected.items(), key=lambda item: item[0])
    assert problems == []
    assert end.entries == len(entries)


async def test_links_and_special_files_are_problems_and_are_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "outside/secret")
    write(tmp_path, "root/file")
    (tmp_path / "root" / "link").symlink_to("../outside")
    (tmp_path / "root" / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "root" / "pipe")
    async with local(tmp_path / "root") as source:
        entries, problems, _ = await listing(source)
    assert [e.path for e in entries] == [b"file"]
    assert [(p.path, p.kind) for p in problems] == [(name, ProblemKind.LINK) for name in (b"link", b"loop", b"pipe")]


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """A folder where making 20,000 files takes no time."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)


async def test_a_large_tree_comes_in_bounded_parts(memory_path: Path) -> None:
    for folder in range(20):
        (memory_path / f"{folder:02}").mkdir()
        for number in range(1000):
            os.close(os.open(memory_path / f"{folder:02}" / f"{number:05}.png", os.O_CREAT))
    async with local(memory_path) as source:
        parts = [part async for part in source.list()]
    assert isinstance(parts[-1], ListingEnd)
    assert parts[-1].entries == 20_000
    sizes = [len(part.entries) for part in parts if isinstance(part, ListingPart)]
    assert sum(sizes) == 20_000
    assert max(sizes) <= MAX_PART_ENTRIES


async def test_a_listing_nobody_reads_on_holds_up_nothing_else(tmp_path: Path) -> None:
    for number in range(400):
        write(tmp_path, f"{'long' * 60}{number:05}")
    async with local(tmp_path) as source:
        async with aclosing(source.list()) as parts:
            first = await anext(parts)
            assert isinstance(first, ListingPart)
            sink = MemorySink()
            assert len(await fetch_all(source, [request(e) for e in first.entries], sink)) == len(first.entries)
            assert (await listing(source))[2].entries == 400
        assert (await listing(source))[2].entries == 400


async def test_a_root_that_went_away_is_no_empty_listing(tmp_path: Path) -> None:
    write(tmp_path, "root/file")
    async with local(tmp_path / "root") as source:
        (tmp_path / "root").rename(tmp_path / "elsewhere")
        with pytest.raises(SourceMissing):
            await listing(source)
        write(tmp_path, "root/new")
        assert [e.path for e in (await listing(source))[0]] == [b"new"]


# --- fetching -------------------------------------------------------------------------------------------------------------


async def test_files_of_every_size_come_whole_with_hash_and_looks(tmp_path: Path) -> None:
    sizes = [0, 1, 511, GRANT_BYTES - 1, GRANT_BYTES, GRANT_BYTES + 1, 3_000_000]
    contents = {b"%d" % size: os.urandom(size) for size in sizes}
    for name, content in contents.items():
        write(tmp_path, b"f/" + name, content)
    sink = MemorySink()
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        answers = await fetch_all(source, [request(e) for e in entries], sink)
    for answer in answers:
        assert isinstance(answer, Fetched)
        content = contents[answer.request.entry.path[2:]]
        assert sink.content(answer.request.staging) == content
        assert answer.source_sha256 == answer.staged.sha256 == hashlib.sha256(content).digest()
        assert answer.before == answer.after == answer.request.entry.stat
    assert len(answers) == len(sizes)
    sink.assert_even()


async def test_many_small_files_share_writes(tmp_path: Path) -> None:
    for number in range(500):
        write(tmp_path, f"{number}", b"x" * 100)

    class Counting(MemorySink):
        writes = 0

        async def write(self, pieces):  # type: ignore[no-untyped-def]
            self.writes += 1
            return await super().write(pieces)

    sink = Counting()
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        answers = await fetch_all(source, [request(e, hash_at_source=False) for e in entries], sink)
    assert all(isinstance(a, Fetched) and a.source_sha256 is None for a in answers)
    assert len(answers) == 500
    assert sink.writes < 50
    sink.assert_even()


async def test_a_resumed_file_brings_only_its_rest_and_the_hash_of_all(tmp_path: Path) -> None:
    content = os.urandom(1_000_000)
    write(tmp_path, "big", content)
    async with local(tmp_path) as source:
        entry = await entry_of(source, b"big")
        for offset in (700_001, 1_000_000):
            sink = MemorySink(resumed={entry.path.hex(): content[:offset]})
            (answer,) = await fetch_all(source, [request(entry, offset)], sink)
            assert isinstance(answer, Fetched)
            assert sink.received == len(content) - offset
            assert answer.source_sha256 == answer.staged.sha256 == hashlib.sha256(content).digest()
            sink.assert_even()


async def test_files_that_are_not_as_listed_answer_so_and_disturb_no_other(tmp_path: Path) -> None:
    names = [b"a grown", b"b touched", b"c gone", b"d link", b"e fifo", b"f folder", b"g good", b"h parent link/x", b"i inode"]
    for name in names:
        write(tmp_path, name, b"content")
    sink = MemorySink()
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        write(tmp_path, b"a grown", b"more content")
        os.utime(tmp_path / "b touched", ns=(1, 1))
        for name in names[2:6] + names[8:]:
            (tmp_path / os.fsdecode(name)).rename(tmp_path / "away")
        (tmp_path / "d link").symlink_to("g good")
        os.mkfifo(tmp_path / "e fifo")
        (tmp_path / "f folder").mkdir()
        (tmp_path / "h parent link").rename(tmp_path / "moved")
        (tmp_path / "h parent link").symlink_to("moved")
        write(tmp_path, b"i inode", b"content")
        os.utime(tmp_path / "i inode", ns=(entries[8].stat.mtime_ns, entries[8].stat.mtime_ns))
        answers = await fetch_all(source, [request(e) for e in entries], sink)
    kinds = {a.path: a.kind for a in answers if isinstance(a, Problem)}
    assert kinds == {name: ProblemKind.CHANGED for name in names if name not in (b"c gone", b"g good")} | {
        b"c gone": ProblemKind.VANISHED
    }
    assert [a.request.entry.path for a in answers if isinstance(a, Fetched)] == [b"g good"]
    assert sink.received == len(b"content")
    sink.assert_even()


async def test_where_inode_and_ctime_are_not_known_they_are_not_compared(tmp_path: Path) -> None:
    write(tmp_path, "file", b"content")
    async with local(tmp_path) as source:
        entry = await entry_of(source, b"file")
        (tmp_path / "file").chmod(0o600)
        known = replace(entry.stat, inode=None, ctime_ns=None)
        (answer,) = await fetch_all(source, [request(replace(entry, stat=known))], MemorySink())
    assert isinstance(answer, Fetched)


@pytest.mark.parametrize("size_bytes", [7, 4_000_000])
async def test_a_link_to_a_file_that_looks_as_listed_is_not_read(size_bytes: int, tmp_path: Path) -> None:
    """A large one would be on the line before the look after its last byte."""
    write(tmp_path, "root/file", b"c" * size_bytes)
    write(tmp_path, "secret", b"s" * size_bytes)
    async with local(tmp_path / "root") as source:
        entry = await entry_of(source, b"file")
        entry = replace(entry, stat=Stat(entry.stat.size_bytes, entry.stat.mtime_ns))
        (tmp_path / "root" / "file").unlink()
        (tmp_path / "root" / "file").symlink_to("../secret")
        os.utime(tmp_path / "secret", ns=(entry.stat.mtime_ns, entry.stat.mtime_ns))
        sink = MemorySink()
        (fetched,) = await fetch_all(source, [request(entry)], sink)
        (hashed,) = [answer async for answer in source.hash([entry])]
    assert isinstance(fetched, Problem)
    assert isinstance(hashed, Problem)
    assert (fetched.kind, hashed.kind, sink.received) == (ProblemKind.CHANGED, ProblemKind.CHANGED, 0)


async def test_what_was_granted_to_files_that_changed_is_free_for_others_at_once(tmp_path: Path) -> None:
    """More of them than any window has bytes, and a sink with room for one at a time."""
    for number in range(2 * LEAST_BYTES // GRANT_BYTES):
        write(tmp_path, f"{number:03}", bytes(GRANT_BYTES))
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        for entry in entries[:-1]:
            os.utime(tmp_path / os.fsdecode(entry.path), ns=(1, 1))
        sink = MemorySink(bound=GRANT_BYTES)
        answers = await fetch_all(source, [request(e) for e in entries], sink)
    assert [type(answer) for answer in answers] == [Problem] * (len(entries) - 1) + [Fetched]
    sink.assert_even()


class ChangeMidway(MemorySink):
    """Has room for one grant only; when the first bytes have come, and before more can, it changes the source."""

    def __init__(self, change: Callable[[], object]) -> None:
        super().__init__(bound=GRANT_BYTES)
        self._change: Callable[[], object] | None = change

    async def write(self, pieces):  # type: ignore[no-untyped-def]
        if self._change and any(piece.size_bytes for piece in pieces):
            self._change()
            self._change = None
        return await super().write(pieces)


BIG = 3 * GRANT_BYTES


async def fetched_while(tmp_path: Path, change: Callable[[Path], object]) -> Fetched | Problem:
    """The answer for a file that is changed after its first bytes have come."""
    path = Path(os.fsdecode(write(tmp_path, "big", bytes(BIG))))
    sink = ChangeMidway(lambda: change(path))
    async with local(tmp_path) as source:
        (answer,) = await fetch_all(source, [request(await entry_of(source, b"big"))], sink)
        assert await source.clock_ns()
    sink.assert_even()
    return answer


async def test_a_file_that_grows_while_it_is_read_shows_it_in_its_last_look(tmp_path: Path) -> None:
    answer = await fetched_while(tmp_path, lambda path: path.write_bytes(bytes(BIG + 4)))
    assert isinstance(answer, Fetched)
    assert (answer.staged.size_bytes, answer.after.size_bytes) == (BIG, BIG + 4)
    assert not answer.after.same_outside(answer.before)


async def test_a_file_that_is_replaced_while_it_is_read_has_changed(tmp_path: Path) -> None:
    def replace_it(path: Path) -> None:
        path.with_suffix(".tmp").write_bytes(bytes(BIG))
        path.with_suffix(".tmp").rename(path)

    answer = await fetched_while(tmp_path, replace_it)
    assert isinstance(answer, Problem)
    assert (answer.kind, answer.message) == (ProblemKind.CHANGED, "it was replaced while it was read")


async def test_a_file_that_shrinks_while_it_is_read_has_changed(tmp_path: Path) -> None:
    answer = await fetched_while(tmp_path, lambda path: os.truncate(path, 10))
    assert isinstance(answer, Problem)
    assert (answer.kind, answer.message) == (ProblemKind.CHANGED, "it became shorter while it was read")


async def test_a_file_that_is_deleted_while_it_is_read_still_comes_whole(tmp_path: Path) -> None:
    answer = await fetched_while(tmp_path, lambda path: path.unlink())
    assert isinstance(answer, Fetched)
    assert answer.staged.size_bytes == BIG


async def test_two_fetches_at_once_and_an_empty_one(tmp_path: Path) -> None:
    for number in range(40):
        write(tmp_path, f"{number:02}", os.urandom(50_000))
    sinks = [MemorySink(bound=GRANT_BYTES), MemorySink()]
    async with local(tmp_path) as source:
        requests = [request(e) for e in (await listing(source))[0]]
        batches = [requests[:20], requests[20:]]
        answers = await asyncio.gather(*(fetch_all(source, b, s) for b, s in zip(batches, sinks, strict=True)))
        assert await fetch_all(source, [], MemorySink()) == []
    assert [len(a) for a in answers] == [20, 20]
    for sink in sinks:
        sink.assert_even()


# --- ways out of a fetch --------------------------------------------------------------------------------------------------


async def test_what_the_sink_raises_goes_up_and_the_source_stays_well(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, f"{number:02}", os.urandom(100_000))
    async with local(tmp_path) as source:
        requests = [request(e) for e in (await listing(source))[0]]
        full = FullDisk(room=1_000_000)
        with pytest.raises(DestinationError, match="full"):
            await fetch_all(source, requests, full)
        full.assert_even()
        assert len(await fetch_all(source, requests, MemorySink())) == 30


async def test_a_sink_that_refuses_to_reserve_ends_the_fetch(tmp_path: Path) -> None:
    class Refusing(MemorySink):
        async def reserve(self, size_bytes: int) -> None:
            if self.received:
                raise DestinationError("no more")
            await super().reserve(size_bytes)

    write(tmp_path, "big", bytes(20 * GRANT_BYTES))
    async with local(tmp_path) as source:
        sink = Refusing(bound=2 * GRANT_BYTES)
        with pytest.raises(DestinationError, match="no more"):
            await fetch_all(source, [request(await entry_of(source, b"big"))], sink)
        sink.assert_even()
        assert await source.clock_ns()


async def test_a_fetch_closed_early_leaves_the_books_even_and_the_lane_free(tmp_path: Path) -> None:
    write(tmp_path, "a small", b"x")
    write(tmp_path, "b big", bytes(30_000_000))
    for number in range(300):
        write(tmp_path, f"c{number}", b"x" * 1000)
    async with local(tmp_path) as source:
        requests = [request(e) for e in (await listing(source))[0]]
        sink = MemorySink()
        async with aclosing(source.fetch(requests, sink)) as answers:
            await anext(answers)
        sink.assert_even()
        assert len(await fetch_all(source, requests[-5:], MemorySink())) == 5


async def test_a_cancelled_fetch_leaves_the_books_even(tmp_path: Path) -> None:
    write(tmp_path, "big", bytes(30_000_000))
    started = asyncio.Event()
    sink = MemorySink(bound=4 * GRANT_BYTES)
    sink.on_write = lambda piece: started.set()
    async with local(tmp_path) as source:
        task = asyncio.create_task(fetch_all(source, [request(await entry_of(source, b"big"))], sink))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()
        assert await source.clock_ns()


async def test_a_fetch_cancelled_while_it_waits_for_room_leaves_the_books_even(tmp_path: Path) -> None:
    class NoRoom(MemorySink):
        def __init__(self) -> None:
            super().__init__()
            self.asked = asyncio.Event()

        async def reserve(self, size_bytes: int) -> None:
            self.asked.set()
            await asyncio.Event().wait()

    write(tmp_path, "file", b"content")
    async with local(tmp_path) as source:
        entry, sink = await entry_of(source, b"file"), NoRoom()
        task = asyncio.create_task(fetch_all(source, [request(entry)], sink))
        await sink.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()
        assert len(await fetch_all(source, [request(entry)], MemorySink())) == 1


async def test_a_fetch_closed_early_waits_for_the_write_in_progress(tmp_path: Path) -> None:
    class Slow(MemorySink):
        async def write(self, pieces):  # type: ignore[no-untyped-def]
            writing.set()
            await disk.wait()
            return await super().write(pieces)

    writing, disk, sink = asyncio.Event(), asyncio.Event(), Slow()
    write(tmp_path, "file", b"content")
    async with local(tmp_path) as source:
        task = asyncio.create_task(fetch_all(source, [request(await entry_of(source, b"file"))], sink))
        await writing.wait()
        task.cancel()
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        disk.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()


async def test_an_agent_killed_in_the_middle_is_source_lost_and_answers_so_far_stay(tmp_path: Path) -> None:
    write(tmp_path, "a", b"first")
    write(tmp_path, "b", bytes(30_000_000))
    opened, seen = Recorded(), []
    async with AgentSource(opened, bytes(tmp_path), transport="pipe") as source:
        requests = [request(e) for e in (await listing(source))[0]]

        def kill(piece: Piece) -> None:
            if piece.request is requests[1]:
                opened.channels[0].process.kill()

        sink = MemorySink()
        sink.on_write = kill
        with pytest.raises(SourceLost):
            async for answer in source.fetch(requests, sink):
                seen.append(answer)  # noqa: PERF401 - what came before the break is the point
        sink.assert_even()
        with pytest.raises(SourceLost):
            await source.clock_ns()
    assert [a.request.entry.path for a in seen if isinstance(a, Fetched)] == [b"a"]


async def test_closing_the_source_ends_whoever_still_waits(tmp_path: Path) -> None:
    write(tmp_path, "big", bytes(30_000_000))
    sink, started = MemorySink(bound=GRANT_BYTES), asyncio.Event()
    sink.on_write = lambda piece: started.set()
    async with local(tmp_path) as source:
        task = asyncio.create_task(fetch_all(source, [request(await entry_of(source, b"big"))], sink))
        await started.wait()
    with pytest.raises(SourceLost):
        await task
    sink.assert_even()


# --- hash and look --------------------------------------------------------------------------------------------------------


async def test_hashes_come_without_the_bytes_and_changes_are_told(tmp_path: Path) -> None:
    for number in range(1200):
        write(tmp_path, f"{number:04}", b"%d" % number)
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        write(tmp_path, "0001", b"changed")
        (tmp_path / "0002").unlink()
        answers = [answer async for answer in source.hash(entries)]
    assert [a.kind for a in answers if isinstance(a, Problem)] == [ProblemKind.CHANGED, ProblemKind.VANISHED]
    hashes = {a.entry.path: a.sha256 for a in answers if isinstance(a, Hashed)}
    assert len(hashes) == 1198
    assert hashes[source_path(b"1199")] == hashlib.sha256(b"1199").digest()


async def test_hashing_closed_early_stops(tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path, f"{number}", bytes(1000))
    async with local(tmp_path) as source:
        entries, _, _ = await listing(source)
        async with aclosing(source.hash(entries)) as answers:
            assert isinstance(await anext(answers), Hashed)
        assert await source.clock_ns()


async def test_looks_answer_in_the_order_asked(tmp_path: Path) -> None:
    write(tmp_path, "file", b"content")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder link").symlink_to("folder")
    asked = [b"link", b"file", b"gone", b"folder", b"folder link/x", b"file/x"]
    async with local(tmp_path) as source:
        answers = await source.look([source_path(path) for path in asked])
    kinds = [a.kind if isinstance(a, Problem) else a.size_bytes for a in answers]
    link, vanished = ProblemKind.LINK, ProblemKind.VANISHED
    assert kinds == [link, 7, vanished, link, link, vanished]
