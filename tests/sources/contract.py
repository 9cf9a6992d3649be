"""The contract of a source as tests: every sentence of `sources/base.py`, for every body.

A body subclasses `SourceContract` and gives a fixture `box`. The tests change the box by hand, and look at it through a source.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pytest

from forged.model.errors import DestinationError, SourceError, SourceMissing
from forged.model.files import Entry, ListingEnd, Problem, ProblemKind, Stat
from forged.model.manifest import ManifestRow
from forged.model.paths import HomePath, source_path
from forged.model.removal import KeptBecause, Removable
from forged.model.transfer import Fetched, Piece, Request
from forged.sources.base import MAX_PART_ENTRIES, Hashed, Source
from tests.sources.boxes import Box
from tests.support.sinks import MIB, FullDisk, MemorySink

NASTY_NAMES = (
    b"new\nline",
    b"tab\there",
    b"back\\slash",
    b"'single' and \"double\"",
    b"$(reboot) `reboot` ;|&",
    b"-rf",
    b"--help",
    b" leading and trailing ",
    b"~",
    b"%41",
    b"#hash",
    b"*",
    b"not utf-8: \xff\xfe",
    b"\x01\x1b[31m",
    "ünïcödé 图片.png".encode(),
    b"e\xcc\x81 decomposed",
    b"x" * 255,
    b"...",
    b".hidden",
)

ORDER_TRAP = (b"a", b"a!/x", b"a.txt", b"a0", b"b/z", b"b/a/c", b"b.c/d", b"b0", b"B", b"c/" + b"d" * 200, b"\xff/1", b"\xfe")
"""`/` sorts between `.` and `0`: a walk that goes folder by folder gets `b`, `b.c` and `b0` wrong."""


async def listed(source: Source, folders: Sequence[bytes] = ()) -> tuple[list[Entry], list[Problem], ListingEnd]:
    entries: list[Entry] = []
    problems: list[Problem] = []
    items = [item async for item in source.list([source_path(folder) for folder in folders])]
    end = items.pop()
    assert isinstance(end, ListingEnd)
    for part in items:
        assert not isinstance(part, ListingEnd)
        assert len(part.entries) <= MAX_PART_ENTRIES
        entries += part.entries
        problems += part.problems
    assert end.entries == len(entries)
    return entries, problems, end


def requests_of(entries: Sequence[Entry], offset_bytes: int = 0) -> list[Request]:
    return [Request(entry, f"{number:04}", offset_bytes) for number, entry in enumerate(entries)]


async def fetched(source: Source, requests: Sequence[Request], sink: MemorySink) -> dict[bytes, Fetched | Problem]:
    """All answers by path; each request must be answered exactly once, and the reservations be even."""
    answers: dict[bytes, Fetched | Problem] = {}
    async for answer in source.fetch(requests, sink):
        path = answer.path if isinstance(answer, Problem) else answer.request.entry.path
        assert path not in answers
        answers[path] = answer
    assert answers.keys() == {request.entry.path for request in requests}
    sink.assert_even()
    return answers


def kind_of(answer: object) -> ProblemKind | None:
    return answer.kind if isinstance(answer, Problem) else None


def removable(entry: Entry, data: bytes) -> Removable:
    row = ManifestRow(entry.path, entry.stat, hashlib.sha256(data).digest(), HomePath(entry.path), 0)
    return Removable(row, entry.stat)


def bytes_of(size: int, seed: int = 0) -> bytes:
    return bytes((i * 7 + seed + (i >> 8)) & 0xFF for i in range(4096)) * (size // 4096) + b"e" * (size % 4096)


class SourceContract:
    """Subclassed by each body with a fixture `box`."""

    @pytest.fixture
    async def source(self, box: Box) -> AsyncIterator[Source]:
        before = asyncio.all_tasks()
        async with box.source() as opened:
            yield opened
        async with asyncio.timeout(5):  # closing ends everything, at our end ...
            while asyncio.all_tasks() - before - {asyncio.current_task()}:
                await asyncio.sleep(0.01)
        await box.empty()  # ... and at the other

    # --- listing ----------------------------------------------------------------------------------------------------------

    async def test_files_are_listed_in_ascending_order_of_whole_paths_with_their_outside(self, box: Box, source: Source) -> None:
        there = {path: box.write(path, b"x" * number) for number, path in enumerate(ORDER_TRAP)}
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == sorted(ORDER_TRAP)
        assert entries == [there[entry.path] for entry in entries]
        assert problems == []

    async def test_names_are_kept_byte_for_byte(self, box: Box, source: Source) -> None:
        paths = [*NASTY_NAMES, *(b"folder " + name[:240] + b"/" + name for name in NASTY_NAMES)]
        for path in paths:
            box.write(path, path)
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == sorted(paths)
        assert problems == []
        sink = MemorySink()
        await fetched(source, requests_of(entries), sink)
        assert [sink.content(request.staging) for request in requests_of(entries)] == sorted(paths)

    async def test_an_empty_tree_is_a_complete_listing_of_nothing(self, box: Box, source: Source) -> None:
        box.folder(b"empty/folder")
        assert (await listed(source))[:2] == ([], [])

    async def test_a_large_tree_comes_in_bounded_parts(self, box: Box, source: Source) -> None:
        paths = [b"%02d/%04d" % (number % 7, number) for number in range(MAX_PART_ENTRIES + 1)]
        for path in paths:
            box.write(path, b"")
        entries, _, _ = await listed(source)
        assert [entry.path for entry in entries] == sorted(paths)

    async def test_only_the_folders_asked_for_are_listed_and_each_file_once(self, box: Box, source: Source) -> None:
        for path in (b"a/1", b"a/b/2", b"ab/3", b"c/4", b"d"):
            box.write(path, b"")
        assert [entry.path for entry in (await listed(source, [b"c", b"a"]))[0]] == [b"a/1", b"a/b/2", b"c/4"]
        assert [entry.path for entry in (await listed(source, [b"a/b"]))[0]] == [b"a/b/2"]
        assert [entry.path for entry in (await listed(source, [b"a", b"a/b", b"a"]))[0]] == [b"a/1", b"a/b/2"]

    async def test_a_folder_that_does_not_exist_is_empty_with_a_problem(self, box: Box, source: Source) -> None:
        box.write(b"a/1", b"")
        entries, problems, _ = await listed(source, [b"a", b"b"])
        assert [entry.path for entry in entries] == [b"a/1"]
        assert [problem.path for problem in problems] == [b"b"]

    async def test_a_missing_root_is_an_error_and_never_an_empty_tree(self, box: Box) -> None:
        box.write(b"a", b"")
        box.delete_root()
        with pytest.raises(SourceMissing):
            async with box.source() as source:
                await listed(source)

    async def test_a_root_that_goes_missing_later_is_an_error_too(self, box: Box, source: Source) -> None:
        box.write(b"a", b"")
        await listed(source)
        box.delete_root()
        with pytest.raises(SourceMissing):
            await listed(source)

    async def test_links_are_reported_and_not_followed(self, box: Box, source: Source) -> None:
        box.write(b"real/file", b"")
        box.link(b"link to file", b"real/file")
        box.link(b"link to folder", b"real")
        box.link(b"loop", b".")
        box.link(b"dangling", b"nowhere")
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == [b"real/file"]
        assert {(problem.path, problem.kind) for problem in problems} == {
            (path, ProblemKind.LINK) for path in (b"link to file", b"link to folder", b"loop", b"dangling")
        }

    async def test_what_cannot_be_read_is_a_problem_and_the_rest_is_listed(self, box: Box, source: Source) -> None:
        box.write(b"closed/1", b"")
        box.write(b"open/2", b"")
        if not box.lock(b"closed"):
            pytest.skip("nothing is unreadable for root")
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == [b"open/2"]
        assert [(problem.path, problem.kind) for problem in problems] == [(b"closed", ProblemKind.UNREADABLE)]

    async def test_a_listing_can_be_left_early_and_two_can_run_at_once(self, box: Box, source: Source) -> None:
        for number in range(1500):
            box.write(b"%06d" % number, b"")
        async with aclosing(source.list()) as parts:
            async for _ in parts:
                break
        first, second = await asyncio.gather(listed(source), listed(source))
        assert first[0] == second[0]
        assert len(first[0]) == 1500

    async def test_the_listing_tells_the_clock_of_its_beginning(self, source: Source) -> None:
        before_ns = await source.clock_ns()
        _, _, end = await listed(source)
        assert before_ns <= end.clock_ns <= await source.clock_ns()

    # --- fetching ---------------------------------------------------------------------------------------------------------

    async def test_files_of_every_size_arrive_whole_and_each_is_answered_once(self, box: Box, source: Source) -> None:
        sizes = [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 262_144, 262_145, MIB, 5 * MIB + 3]
        entries = [box.write(b"f%d" % size, bytes_of(size, size)) for size in sizes]
        sink = MemorySink()
        answers = await fetched(source, requests_of(entries), sink)
        for request in requests_of(entries):
            answer, data = answers[request.entry.path], box.read(request.entry.path)
            assert isinstance(answer, Fetched)
            assert sink.content(request.staging) == data
            assert answer.request == request
            assert answer.before.same_file(request.entry.stat)
            assert answer.after.same_file(request.entry.stat)
            assert answer.staged.sha256 == hashlib.sha256(data or b"").digest()
            if source.capabilities.hashing:
                assert answer.source_sha256 == answer.staged.sha256

    async def test_many_small_files_in_one_batch(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d/%d" % (number % 10, number), b"%d" % number) for number in range(300)]
        sink = MemorySink()
        answers = await fetched(source, requests_of(entries), sink)
        assert all(isinstance(answer, Fetched) for answer in answers.values())
        assert [sink.content(request.staging) for request in requests_of(entries)] == [b"%d" % n for n in range(300)]

    async def test_an_empty_batch_ends_at_once(self, source: Source) -> None:
        assert await fetched(source, [], MemorySink()) == {}

    async def test_who_does_not_ask_for_the_hash_does_not_get_it(self, box: Box, source: Source) -> None:
        request = Request(box.write(b"a", b"data"), "a", hash_at_source=False)
        answer = (await fetched(source, [request], MemorySink()))[b"a"]
        assert isinstance(answer, Fetched)
        assert answer.source_sha256 is None

    async def test_a_file_that_is_not_as_listed_moves_no_byte_and_disturbs_no_other(self, box: Box, source: Source) -> None:
        entries = [box.write(path, b"12345678") for path in (b"good", b"grown", b"touched", b"replaced", b"gone", b"linked")]
        box.write(b"grown", b"123456789")
        box.touch(b"touched")
        box.replace(b"replaced", b"87654321", entries[3].stat.mtime_ns)
        box.delete(b"gone")
        box.delete(b"linked")
        box.link(b"linked", b"good")
        sink = MemorySink()
        answers = await fetched(source, requests_of(entries), sink)
        assert isinstance(answers[b"good"], Fetched)
        assert {path: kind_of(answers[path]) for path in (b"grown", b"touched", b"replaced")} == dict.fromkeys(
            (b"grown", b"touched", b"replaced"), ProblemKind.CHANGED
        )
        assert kind_of(answers[b"gone"]) is ProblemKind.VANISHED
        assert kind_of(answers[b"linked"]) in (ProblemKind.LINK, ProblemKind.CHANGED)
        assert sink.received == 8

    async def test_a_folder_that_became_a_link_leads_nowhere(self, box: Box, source: Source) -> None:
        inside = box.write(b"real/file", b"secret")
        box.link(b"way", b"real")
        behind = Entry(source_path(b"way/file"), inside.stat)
        sink = MemorySink()
        answers = await fetched(source, requests_of([behind]), sink)
        assert kind_of(answers[b"way/file"]) is not None
        assert sink.received == 0
        assert [kind_of(answer) is not None for answer in await source.look([behind.path])] == [True]

    async def _fetched_while(self, box: Box, source: Source, happens: Callable[[], object]) -> tuple[Fetched | Problem, MemorySink]:
        """Fetches an 8 MiB file `big` through a narrow sink; `happens` is called when the first bytes have come."""
        entry = box.write(b"big", bytes_of(8 * MIB))
        sink = MemorySink(bound=MIB)

        def once(piece: Piece) -> None:
            sink.on_write = lambda piece: None
            happens()

        sink.on_write = once
        answers = await fetched(source, requests_of([entry]), sink)
        return answers[b"big"], sink

    async def test_a_file_that_grows_while_it_is_read_gives_itself_away(self, box: Box, source: Source) -> None:
        answer, _ = await self._fetched_while(box, source, lambda: box.write(b"big", bytes_of(9 * MIB)))
        assert kind_of(answer) is ProblemKind.CHANGED or (isinstance(answer, Fetched) and answer.after.size_bytes == 9 * MIB)

    async def test_a_file_that_shrinks_while_it_is_read_is_changed(self, box: Box, source: Source) -> None:
        answer, sink = await self._fetched_while(box, source, lambda: box.write(b"big", bytes_of(3 * MIB)))
        assert kind_of(answer) is ProblemKind.CHANGED
        assert sink.received < 8 * MIB

    async def test_a_file_that_is_replaced_while_it_is_read_gives_itself_away(self, box: Box, source: Source) -> None:
        def replace() -> None:
            box.replace(b"big", bytes_of(8 * MIB, 1), box.entry(b"big").stat.mtime_ns)

        answer, _ = await self._fetched_while(box, source, replace)
        after = answer.after if isinstance(answer, Fetched) else None
        assert after is None or not after.same_file(answer.request.entry.stat)  # type: ignore[union-attr]

    async def test_a_file_that_is_deleted_while_it_is_read_is_whole_or_a_problem(self, box: Box, source: Source) -> None:
        answer, sink = await self._fetched_while(box, source, lambda: box.delete(b"big"))
        assert isinstance(answer, Problem) or sink.content("0000") == bytes_of(8 * MIB)

    async def test_a_resumed_file_moves_only_its_rest_and_its_hash_covers_all(self, box: Box, source: Source) -> None:
        data = bytes_of(3 * MIB + 5)
        entries = [box.write(path, data) for path in (b"a", b"b", b"c")]
        offsets = [1, 2 * MIB + 1, len(data)]
        requests = [Request(entry, entry.path.decode(), offset) for entry, offset in zip(entries, offsets, strict=True)]
        sink = MemorySink(resumed={request.staging: data[: request.offset_bytes] for request in requests})
        answers = await fetched(source, requests, sink)
        for request in requests:
            answer = answers[request.entry.path]
            assert isinstance(answer, Fetched)
            assert sink.content(request.staging) == data
            if source.capabilities.hashing:
                assert answer.source_sha256 == hashlib.sha256(data).digest()
        assert sink.received == sum(len(data) - offset for offset in offsets)

    async def test_several_fetches_share_one_narrow_sink(self, box: Box, source: Source) -> None:
        batches = [[box.write(b"%d/%d" % (b, n), bytes_of(300_000, n + b)) for n in range(8)] for b in range(4)]
        sink = MemorySink(bound=2 * MIB)

        async def bring(number: int) -> None:
            requests = [Request(entry, entry.path.decode()) for entry in batches[number]]
            answers = [answer async for answer in source.fetch(requests, sink)]
            assert len(answers) == len(requests)
            assert all(isinstance(answer, Fetched) for answer in answers)

        async with asyncio.timeout(30):
            await asyncio.gather(*map(bring, range(4)))
        sink.assert_even()
        assert all(sink.content(entry.path.decode()) == box.read(entry.path) for batch in batches for entry in batch)

    async def test_a_file_larger_than_the_sink_at_once_comes_through(self, box: Box, source: Source) -> None:
        entry = box.write(b"big", bytes_of(20 * MIB))
        sink = MemorySink(bound=MIB)
        await fetched(source, requests_of([entry]), sink)
        assert sink.content("0000") == bytes_of(20 * MIB)

    async def test_leaving_early_stops_the_transfer_and_leaves_the_source_usable(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(20)]
        sink = MemorySink(bound=2 * MIB)
        async with aclosing(source.fetch(requests_of(entries), sink)) as answers:
            async for _ in answers:
                break
        sink.assert_even()
        assert sink.received < 20 * MIB
        await self._still_works(box, source)

    async def test_a_cancelled_fetch_leaves_reservations_even_and_the_source_usable(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(20)]
        sink, moving = MemorySink(bound=MIB), asyncio.Event()
        sink.on_write = lambda piece: moving.set()
        task = asyncio.ensure_future(fetched(source, requests_of(entries), sink))
        await moving.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()
        await self._still_works(box, source)

    async def test_what_the_sink_raises_goes_up_and_leaves_the_source_usable(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(8)]
        sink = FullDisk(room=3 * MIB)
        with pytest.raises(DestinationError):
            await fetched(source, requests_of(entries), sink)
        sink.assert_even()
        await self._still_works(box, source)

    async def _still_works(self, box: Box, source: Source) -> None:
        entry, sink = box.write(b"still works", b"yes"), MemorySink()
        async with asyncio.timeout(20):
            await fetched(source, requests_of([entry]), sink)
        assert sink.content("0000") == b"yes"
        assert b"still works" in [entry.path for entry in (await listed(source))[0]]

    # --- hashing ----------------------------------------------------------------------------------------------------------

    async def test_files_are_hashed_where_they_are(self, box: Box, source: Source) -> None:
        datas = {b"empty": b"", b"small": b"x", b"large": bytes_of(3 * MIB + 1)}
        entries = [box.write(path, data) for path, data in datas.items()]
        answers = [answer async for answer in source.hash(entries)]
        assert len(answers) == 3
        for answer in answers:
            assert isinstance(answer, Hashed)
            assert answer.sha256 == hashlib.sha256(datas[answer.entry.path]).digest()
            assert answer.after.same_file(answer.entry.stat)

    async def test_a_file_that_is_not_as_its_entry_says_is_not_hashed(self, box: Box, source: Source) -> None:
        entries = [box.write(path, b"12345678") for path in (b"good", b"touched", b"gone")]
        box.touch(b"touched")
        box.delete(b"gone")
        answers = {(a.path if isinstance(a, Problem) else a.entry.path): a async for a in source.hash(entries)}
        assert isinstance(answers[b"good"], Hashed)
        assert kind_of(answers[b"touched"]) is ProblemKind.CHANGED
        assert kind_of(answers[b"gone"]) is ProblemKind.VANISHED

    async def test_hashing_can_be_left_early(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(10)]
        async with aclosing(source.hash(entries)) as answers:
            async for _ in answers:
                break
        await self._still_works(box, source)

    # --- looking and removing ---------------------------------------------------------------------------------------------

    async def test_looks_come_in_the_order_asked(self, box: Box, source: Source) -> None:
        entries = {path: box.write(path, path) for path in (b"z", b"a", b"dir/m")}
        box.link(b"link", b"a")
        asked = [b"z", b"nowhere", b"a", b"link", b"dir/m", b"nowhere/at/all", b"z"]
        seen = await source.look([source_path(path) for path in asked])
        stats = [look if isinstance(look, Stat) else look.kind for look in seen]
        gone = ProblemKind.VANISHED
        assert stats == [
            entries[b"z"].stat,
            gone,
            entries[b"a"].stat,
            ProblemKind.LINK,
            entries[b"dir/m"].stat,
            gone,
            entries[b"z"].stat,
        ]
        assert [look.path for look in seen if isinstance(look, Problem)] == [b"nowhere", b"link", b"nowhere/at/all"]
        assert list(await source.look([])) == []

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

    # --- life -------------------------------------------------------------------------------------------------------------

    async def test_many_calls_at_once_get_their_own_answers(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%03d" % number, bytes_of(50_000, number)) for number in range(40)]
        sink = MemorySink()
        seen, _, answers, hashes = await asyncio.gather(
            source.look([entry.path for entry in entries]),
            listed(source),
            fetched(source, requests_of(entries), sink),
            self._hashes(source, entries),
        )
        assert list(seen) == [entry.stat for entry in entries]
        assert len(answers) == len(hashes) == 40

    async def _hashes(self, source: Source, entries: Sequence[Entry]) -> list[Hashed | Problem]:
        return [answer async for answer in source.hash(entries)]

    async def test_closing_ends_a_running_fetch_and_everything_else(self, box: Box) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(20)]
        sink, moving, before = MemorySink(bound=MIB), asyncio.Event(), asyncio.all_tasks()
        sink.on_write = lambda piece: moving.set()
        async with box.source() as source:
            task = asyncio.ensure_future(fetched(source, requests_of(entries), sink))
            await moving.wait()
        async with asyncio.timeout(10):
            with pytest.raises(SourceError):
                await task
            sink.assert_even()
            while asyncio.all_tasks() - before:
                await asyncio.sleep(0.01)
            await box.empty()

    async def test_a_second_source_looks_at_the_same_box(self, box: Box, source: Source) -> None:
        entry = box.write(b"a", b"data")
        async with box.source() as second:
            assert (await listed(second))[0] == (await listed(source))[0] == [entry]
