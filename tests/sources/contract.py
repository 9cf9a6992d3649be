"""The contract of a source as tests: every sentence of `sources/base.py`, for every body.

A body subclasses `SourceContract` and gives a fixture `box`. The tests change the box by hand, and look at it through a source.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from forged.model.errors import NotSupported, SourceError, SourceMissing
from forged.model.files import Entry, ListingPart, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.places import Place
from forged.model.removal import KeptBecause
from forged.sources.base import MAX_PART_ENTRIES, Hashed, Source
from tests.sources.asking import Memory, bytes_of, fetched, kind_of, listed, needs, removable, requests_of, still_works
from tests.sources.boxes import Box
from tests.sources.contract_fetch import FetchContract
from tests.sources.contract_watch import WatchContract
from tests.support.sinks import MIB, Halting, MemorySink

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


class SourceContract(FetchContract, WatchContract):
    """Subclassed by each body with a fixture `box`."""

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

    async def test_folders_are_found_through_links_and_opened_by_none(self, box: Box, source: Source) -> None:
        box.write(b"real/inner/file", b"")
        box.link(b"one", b"real")
        box.link(b"two", b"one/inner")
        box.link(b"loop", b"loop")
        box.link(b"dangling", b"nowhere")
        asked = [b"", b"real", b"one", b"two", b"one/inner", b"real/inner/file", b"dangling", b"loop", b"missing"]
        root, real, one, two, inner, *others = await source.resolve([box.known_as(path) for path in asked])
        places = [place for place in (root, real, one, two, inner) if isinstance(place, Place)]
        assert len(places) == 5
        ends = (b"", b"/real", b"/real", b"/real/inner", b"/real/inner")
        assert [place.path for place in places] == [places[0].path + end for end in ends]
        assert (places[1].identity, places[3].identity) == (places[2].identity, places[4].identity)
        assert places[1].identity is None or places[1].identity != places[3].identity
        kinds = [kind_of(other) for other in others]
        loop = kinds.pop(2)
        assert kinds == [ProblemKind.LINK, ProblemKind.VANISHED, ProblemKind.VANISHED], others
        assert loop in (ProblemKind.LINK, ProblemKind.VANISHED), others

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

    async def test_a_listing_that_leaves_out_what_is_known_says_the_same(self, box: Box, source: Source) -> None:
        for number in range(1500):
            box.write(b"%d/%04d" % (number % 3, number), b"")
        memory, first = Memory(), await listed(source)
        assert (await memory.listed(source))[:2] == first[:2]
        assert memory.same == 0
        assert (await memory.listed(source))[:2] == first[:2]
        assert memory.same == len(memory.parts)

    async def test_whatever_happened_meanwhile_is_not_left_out(self, box: Box, source: Source) -> None:
        for number in range(600):
            box.write(b"%d/%04d" % (number % 3, number), b"x")
        memory = Memory()
        await memory.listed(source)
        box.write(b"0/0000", b"grown")
        box.touch(b"1/0301")
        box.replace(b"1/0304", b"y", box.entry(b"1/0304").stat.mtime_ns)
        box.delete(b"2/0599")
        box.write(b"1/0300 is new", b"")
        box.link(b"1/a link", b"0304")
        assert (await memory.listed(source))[:2] == (await listed(source))[:2]

    async def test_what_a_listing_of_some_folders_knows_is_not_left_out_of_the_others(self, box: Box, source: Source) -> None:
        for number in range(300):
            box.write(b"%d/%04d" % (number % 3, number), b"")
        memory = Memory()
        for folders in ((), (b"1",), (), (b"2", b"0"), (b"nowhere",)):
            assert (await memory.listed(source, folders))[:2] == (await listed(source, folders))[:2]

    async def test_digests_of_nothing_are_ignored(self, box: Box, source: Source) -> None:
        entry = box.write(b"a", b"")
        odd = [b"", b"short", bytes(16), bytes(64)]
        items = [item async for item in source.list((), odd)]
        assert [item.entries for item in items if isinstance(item, ListingPart)] == [(entry,)]

    # --- hashing ----------------------------------------------------------------------------------------------------------

    async def test_files_are_hashed_where_they_are(self, box: Box, source: Source) -> None:
        needs(source.capabilities.hashing, "hash")
        datas = {b"empty": b"", b"small": b"x", b"large": bytes_of(3 * MIB + 1)}
        entries = [box.write(path, data) for path, data in datas.items()]
        answers = [answer async for answer in source.hash(entries)]
        assert len(answers) == 3
        for answer in answers:
            assert isinstance(answer, Hashed)
            assert answer.sha256 == hashlib.sha256(datas[answer.entry.path]).digest()
            assert answer.after.same_file(answer.entry.stat)

    async def test_a_file_that_is_not_as_its_entry_says_is_not_hashed(self, box: Box, source: Source) -> None:
        needs(source.capabilities.hashing, "hash")
        entries = [box.write(path, b"12345678") for path in (b"good", b"touched", b"gone")]
        box.touch(b"touched")
        box.delete(b"gone")
        answers = {(a.path if isinstance(a, Problem) else a.entry.path): a async for a in source.hash(entries)}
        assert isinstance(answers[b"good"], Hashed)
        assert kind_of(answers[b"touched"]) is ProblemKind.CHANGED
        assert kind_of(answers[b"gone"]) is ProblemKind.VANISHED

    async def test_hashing_can_be_left_early(self, box: Box, source: Source) -> None:
        needs(source.capabilities.hashing, "hash")
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(10)]
        async with aclosing(source.hash(entries)) as answers:
            async for _ in answers:
                break
        await still_works(box, source)

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
        needs(source.capabilities.guarded_removal, "remove under guard")
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
        needs(source.capabilities.guarded_removal, "remove under guard")
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
        needs(source.capabilities.guarded_removal, "remove under guard")
        same, other = (box.write(path, b"12345678") for path in (b"same", b"other"))
        box.replace(b"same", b"12345678", same.stat.mtime_ns)
        box.replace(b"other", b"1234567x", other.stat.mtime_ns)
        removed = await source.remove([removable(same, b"12345678"), removable(other, b"12345678")])
        assert [answer.kept for answer in removed] == [None, KeptBecause.CHANGED]
        assert box.names() == {b"other"}
        assert box.read(b"other") == b"1234567x"

    async def test_a_kept_file_can_be_removed_once_it_is_as_expected(self, box: Box, source: Source) -> None:
        needs(source.capabilities.guarded_removal, "remove under guard")
        entry = box.write(b"a", b"new content")
        box.write(b"a", b"newer content")
        [answer] = await source.remove([removable(entry, b"new content")])
        assert answer.kept is KeptBecause.CHANGED
        [answer] = await source.remove([removable(box.entry(b"a"), b"newer content")])
        assert answer.kept is None

    async def test_what_it_says_it_cannot_do_it_refuses(self, source: Source) -> None:
        can = source.capabilities
        asked: list[tuple[bool, Callable[[], Awaitable[object]]]] = [
            (can.guarded_removal, lambda: source.remove([])),
            (can.unguarded_removal, lambda: source.remove_unguarded([])),
            (can.hashing, lambda: anext(source.hash([]), None)),
        ]
        for able, ask in asked:
            if not able:
                with pytest.raises(NotSupported):
                    await ask()
        if not can.watching:
            with pytest.raises(NotSupported):
                await anext(source.watch())

    async def test_without_a_guard_a_file_as_expected_is_removed_and_nothing_else(self, box: Box, source: Source) -> None:
        needs(source.capabilities.unguarded_removal, "remove without a guard")
        long_name = b"dir/" + b"n" * 255
        entries = [box.write(path, path) for path in (b"dir/1", b"dir/2", long_name, *NASTY_NAMES)]
        asked = [entries[3], entries[0], entries[2], *entries[4:]]
        removed = await source.remove_unguarded([removable(entry, entry.path) for entry in asked])
        assert [(answer.path, answer.kept) for answer in removed] == [(entry.path, None) for entry in asked]
        assert box.names() == {b"dir/2"}
        assert list(await source.remove_unguarded([])) == []

    async def test_without_a_guard_a_file_that_is_not_as_expected_is_kept(self, box: Box, source: Source) -> None:
        needs(source.capabilities.unguarded_removal, "remove without a guard")
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

    # --- life -------------------------------------------------------------------------------------------------------------

    async def test_many_calls_at_once_get_their_own_answers(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%03d" % number, bytes_of(50_000, number)) for number in range(40)]
        sink = MemorySink()
        seen, _, answers, hashes = await asyncio.gather(
            source.look([entry.path for entry in entries]),
            listed(source),
            fetched(source, requests_of(entries), sink),
            _hashes(source, entries),
        )
        assert list(seen) == [entry.stat for entry in entries]
        assert len(answers) == 40
        assert len(hashes) == (40 if source.capabilities.hashing else 0)

    async def test_closing_ends_a_running_fetch_and_everything_else(self, box: Box) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(20)]
        sink, before = Halting(limit=8 * MIB, bound=2 * MIB), asyncio.all_tasks()
        async with box.source() as source:
            task = asyncio.ensure_future(fetched(source, requests_of(entries), sink))
            await sink.halted.wait()
        sink.go_on()
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


async def _hashes(source: Source, entries: Sequence[Entry]) -> list[Hashed | Problem]:
    if not source.capabilities.hashing:
        return []
    return [answer async for answer in source.hash(entries)]
