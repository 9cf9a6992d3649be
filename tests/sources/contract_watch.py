"""The part of the source contract for bodies that hear of changes as they happen (`watch`)."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from forged.model.errors import SourceLost
from forged.sources.base import Notices, Source
from tests.sources.asking import bytes_of, fetched, listed, requests_of
from tests.sources.boxes import Box
from tests.sources.hearing import hearing
from tests.support.sinks import MIB, Halting


class WatchContract:
    """Beside SourceContract, for a body that can."""

    async def test_the_first_answer_comes_when_nothing_happens(self, box: Box, source: Source) -> None:
        box.write(b"old", b"")
        async with hearing(source) as heard:
            assert heard.all == [Notices()]

    async def test_what_is_written_replaced_and_deleted_is_noticed(self, box: Box, source: Source) -> None:
        box.write(b"folder/old", b"")
        async with hearing(source) as heard:
            await heard.entry(box.write(b"folder/new", b"12345"))
            await heard.entry(box.write(b"folder/old", b"123"))
            await heard.entry(box.write(b"not utf-8\n\xff", b""))
            await heard.entry(box.replace(b"folder/new", b"other", mtime_ns=1_600_000_000_000_000_001))
            box.delete(b"folder/old")
            await heard.until(lambda: b"folder/old" in heard.gone)
            assert heard.overflows == 0

    async def test_a_file_that_was_deleted_and_made_anew_is_noticed_as_it_is(self, box: Box, source: Source) -> None:
        box.write(b"again", b"old")
        async with hearing(source) as heard:
            box.delete(b"again")
            await heard.entry(box.write(b"again", b"new!"))

    async def test_nothing_is_missed_in_folders_that_are_filled_as_they_are_made(self, box: Box, source: Source) -> None:
        box.folder(b"old")
        async with hearing(source) as heard:
            entries = [box.write(b"old/%d/b/c/d/e/%d" % (number % 20, number), b"x" * number) for number in range(100)]
            moved = [box.write(b"fresh/%d/f.tmp" % number, b"y") for number in range(20)]
            moved = [box.replace(entry.path[:-4], b"z", mtime_ns=1_600_000_000_000_000_000) for entry in moved]
            for entry in [*entries, *moved]:
                await heard.entry(entry)
            await heard.entry(box.write(b"old/7/b/c/later", b""))

    async def test_nothing_is_missed_in_a_burst(self, box: Box, source: Source) -> None:
        box.folder(b"burst")
        async with hearing(source) as heard:
            entries = [box.write(b"burst/%04d" % number, b"x") for number in range(3000)]
            await heard.until(lambda: len(heard.there) == len(entries))
            assert heard.there == {entry.path: entry for entry in entries}
            assert heard.overflows == 0

    async def test_only_the_folders_asked_for_are_watched_even_if_they_come_later(self, box: Box, source: Source) -> None:
        box.write(b"a/x", b"")
        async with hearing(source, [b"a/b", b"c", b"a/b/d"]) as heard:
            for path in (b"a/1", b"ab/2", b"a/bb/3", b"4"):
                box.write(path, b"")
            await heard.entry(box.write(b"a/b/5", b""))
            await heard.entry(box.write(b"c/d/6", b""))
            box.delete(b"a/x")
            await heard.entry(box.write(b"a/b/7", b""))
            assert heard.paths == {b"a/b/5", b"c/d/6", b"a/b/7"}

    async def test_links_are_not_noticed(self, box: Box, source: Source) -> None:
        box.write(b"real/file", b"")
        async with hearing(source) as heard:
            box.link(b"link to file", b"real/file")
            box.link(b"link to folder", b"real")
            await heard.entry(box.write(b"real/last", b""))
            await heard.entry(box.write(b"last", b""))
            assert heard.there.keys() == {b"real/last", b"last"}

    async def test_a_watch_can_be_left_and_another_begun(self, box: Box, source: Source) -> None:
        for number in range(3):
            async with hearing(source) as heard:
                await heard.entry(box.write(b"%d" % number, b""))
        box.write(b"nobody listens", b"")
        async with hearing(source) as heard:
            await heard.entry(box.write(b"last", b""))
            assert heard.paths == {b"last"}

    async def test_a_watch_hears_while_a_fetch_runs(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(2 * MIB)) for number in range(8)]
        sink = Halting(limit=8 * MIB, bound=4 * MIB)
        async with hearing(source) as heard:
            fetch = asyncio.create_task(fetched(source, requests_of(entries), sink))
            await sink.halted.wait()
            await heard.entry(box.write(b"new", b""))
            assert len((await listed(source))[0]) == 9
            assert not fetch.done()
            sink.go_on()
            assert len(await fetch) == 8

    async def test_closing_the_source_ends_a_watch(self, box: Box) -> None:
        async with box.source() as source, hearing(source) as heard:
            await source.__aexit__(None, None, None)
            assert isinstance(await heard.the_end(), SourceLost)
        async with aclosing(source.watch()) as answers:
            with pytest.raises(SourceLost):
                await anext(answers)
