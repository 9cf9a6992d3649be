"""The memory twin keeps the whole contract, and its faults strike where they should."""

from __future__ import annotations

import pytest

from forged.model.errors import NotSupported, SourceLost, SourceUnreachable
from forged.model.files import ListingPart
from forged.model.transfer import Fetched, Request
from forged.sources.memory import MemorySource
from forged.sources.memory_box import PIECE_BYTES, MemoryBox
from forged.sources.memory_faults import CutListing, CutWatch, DuringFetch, LoseAfterBytes, MissNotices, RefuseConnections
from tests.sources.boxes import MemoryBoxBox
from tests.sources.contract import ClosedContract, FullContract
from tests.sources.hearing import hearing
from tests.support.sinks import MemorySink


class TestMemory(FullContract, ClosedContract):
    @pytest.fixture
    def box(self) -> MemoryBoxBox:
        return MemoryBoxBox()


async def test_a_refused_connection_is_refused_as_often_as_told() -> None:
    source = MemorySource(MemoryBox(), RefuseConnections(1))
    with pytest.raises(SourceUnreachable):
        await source.__aenter__()
    async with source:
        pass


async def test_a_cut_listing_has_a_beginning_and_no_end() -> None:
    box, seen = MemoryBox(), []
    for number in range(300):
        box.write(b"%d" % number, b"")
    async with MemorySource(box, CutListing(200)) as source:
        with pytest.raises(SourceLost):
            async for part in source.list():
                seen.append(part)  # noqa: PERF401 - what came before the break is the point
    assert all(isinstance(part, ListingPart) for part in seen)
    assert 200 <= sum(len(part.entries) for part in seen if isinstance(part, ListingPart)) < 300


async def test_a_line_lost_in_the_middle_of_a_file_leaves_reservations_even() -> None:
    box, sink = MemoryBox(), MemorySink()
    request = Request(box.write(b"a", bytes(5 * PIECE_BYTES)), "a")
    async with MemorySource(box, LoseAfterBytes(2 * PIECE_BYTES)) as source:
        with pytest.raises(SourceLost):
            _ = [answer async for answer in source.fetch([request], sink)]
    assert sink.received == 2 * PIECE_BYTES
    sink.assert_even()


async def test_something_happens_while_a_file_is_read() -> None:
    box, sink = MemoryBox(), MemorySink()
    request = Request(box.write(b"a", bytes(3 * PIECE_BYTES)), "a")
    fault = DuringFetch(b"a", PIECE_BYTES, lambda box: box.touch(b"a"))
    async with MemorySource(box, fault) as source:
        [answer] = [answer async for answer in source.fetch([request], sink)]
    assert isinstance(answer, Fetched)
    assert not answer.after.same_file(answer.before)


async def test_what_it_is_told_not_to_support_it_refuses() -> None:
    async with MemorySource(MemoryBox(), hashing=False, guarded_removal=False, watching=False) as source:
        with pytest.raises(NotSupported):
            await source.remove([])
        with pytest.raises(NotSupported):
            await source.remove_unguarded([])
        with pytest.raises(NotSupported):
            _ = [answer async for answer in source.hash([])]
        with pytest.raises(NotSupported):
            await source.remove_empty_folders([])
        with pytest.raises(NotSupported):
            _ = [answer async for answer in source.watch()]


async def test_a_watch_is_cut_or_misses_something_when_told_to() -> None:
    box = MemoryBox()
    async with MemorySource(box, MissNotices(), CutWatch()) as source:
        async with hearing(source) as heard:
            box.write(b"a", b"")
            assert isinstance(await heard.the_end(), SourceLost)
        async with hearing(source) as heard:
            await heard.entry(box.write(b"b", b""))
    async with MemorySource(box, MissNotices()) as source, hearing(source) as heard:
        box.write(b"c", b"")
        await heard.until(lambda: heard.overflows)
        assert not heard.paths
