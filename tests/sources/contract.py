"""The contract of a source as tests: every sentence of `sources/base.py`, for every body.

A body subclasses `SourceContract`, and those beside it for what it can (or `FullContract`), and gives a fixture `box`. The tests
change the box by hand, and look at it through a source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import pytest

from forged.model.errors import NotSupported, SourceError, SourceMissing
from forged.model.files import Entry, ListingPart, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.places import Place
from forged.sources.base import MAX_PART_ENTRIES, Hashed, Source
from tests.sources.asking import NASTY_NAMES, Memory, bytes_of, fetched, kind_of, listed, requests_of
from tests.sources.boxes import Box
from tests.sources.contract_fetch import FetchContract
from tests.sources.contract_hash import HashContract
from tests.sources.contract_removal import GuardedContract, UnguardedContract
from tests.sources.contract_watch import WatchContract
from tests.support.sinks import MIB, Halting, MemorySink

ORDER_TRAP = (b"a", b"a!/x", b"a.txt", b"a0", b"b/z", b"b/a/c", b"b.c/d", b"b0", b"B", b"c/" + b"d" * 200, b"\xff/1", b"\xfe")
"""`/` sorts between `.` and `0`: a walk that goes folder by folder gets `b`, `b.c` and `b0` wrong."""


class SourceContract(FetchContract):
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

    # --- looking ----------------------------------------------------------------------------------------------------------

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

    async def test_it_is_held_to_all_that_it_says_it_can(self, source: Source) -> None:
        can = source.capabilities
        said = (can.hashing, can.watching, can.guarded_removal, can.unguarded_removal)
        held = tuple(isinstance(self, one) for one in (HashContract, WatchContract, GuardedContract, UnguardedContract))
        assert said == held

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


class ClosedContract:
    """For a box that can close something to its source: nothing is closed to root."""

    async def test_what_cannot_be_read_is_a_problem_and_the_rest_is_listed(self, box: Box, source: Source) -> None:
        box.write(b"closed/1", b"")
        box.write(b"open/2", b"")
        assert box.lock(b"closed")
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == [b"open/2"]
        assert [(problem.path, problem.kind) for problem in problems] == [(b"closed", ProblemKind.UNREADABLE)]


class FullContract(SourceContract, HashContract, WatchContract, GuardedContract):
    """What an agent can, and whoever stands in for one."""
