"""The part of the source contract that moves bytes: `fetch`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import pytest

from forged.model.errors import DestinationError
from forged.model.files import Entry, Problem, ProblemKind
from forged.model.paths import source_path
from forged.model.transfer import Fetched, Piece, Request
from forged.sources.base import Source
from tests.sources.asking import bytes_of, fetched, kind_of, requests_of, still_works
from tests.sources.boxes import Box
from tests.support.sinks import MIB, FullDisk, Halting, MemorySink


class FetchContract:
    """Inherited by SourceContract; on its own for a body that is held to the whole contract elsewhere, over another channel."""

    @pytest.fixture
    async def source(self, box: Box) -> AsyncIterator[Source]:
        before = asyncio.all_tasks()
        async with box.source() as opened:
            yield opened
        async with asyncio.timeout(5):  # closing ends everything, at our end ...
            while asyncio.all_tasks() - before - {asyncio.current_task()}:
                await asyncio.sleep(0.01)
        await box.empty()  # ... and at the other

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
        assert {path: kind_of(answers[path]) for path in (b"grown", b"touched")} == dict.fromkeys(
            (b"grown", b"touched"), ProblemKind.CHANGED
        )
        if entries[3].stat.is_coarse:  # nothing tells one file from another of equal size and second: it comes as it is now
            assert isinstance(answers[b"replaced"], Fetched)
            assert sink.content("0003") == b"87654321"
        else:
            assert kind_of(answers[b"replaced"]) is ProblemKind.CHANGED
        assert kind_of(answers[b"gone"]) is ProblemKind.VANISHED
        assert kind_of(answers[b"linked"]) in (ProblemKind.LINK, ProblemKind.CHANGED)
        assert sink.received == (16 if entries[3].stat.is_coarse else 8)

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

        answer, sink = await self._fetched_while(box, source, replace)
        if box.entry(b"big").stat.is_coarse:  # nobody can tell; but it is one of both, whole
            assert sink.content("0000") in (bytes_of(8 * MIB), bytes_of(8 * MIB, 1))
            return
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
        await still_works(box, source)

    async def test_a_cancelled_fetch_leaves_reservations_even_and_the_source_usable(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(20)]
        sink = Halting(limit=8 * MIB, bound=2 * MIB)
        task = asyncio.ensure_future(fetched(source, requests_of(entries), sink))
        await sink.halted.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()
        await still_works(box, source)

    async def test_what_the_sink_raises_goes_up_and_leaves_the_source_usable(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(8)]
        sink = FullDisk(room=3 * MIB)
        with pytest.raises(DestinationError):
            await fetched(source, requests_of(entries), sink)
        sink.assert_even()
        await still_works(box, source)
