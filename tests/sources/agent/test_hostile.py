"""Impostors instead of an agent: whatever they say that the wire does not allow ends the connection, and costs little memory."""

from __future__ import annotations

import asyncio
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import pytest

from forged.model.errors import SourceBroken, SourceError, SourceLost
from forged.model.files import Entry, ListingPart, Stat
from forged.model.paths import source_path
from forged.sources.agent.client import AgentSource
from forged.sources.agent.fetching import GRANT_BYTES
from forged.sources.agent.listing import WINDOW_BLOCKS
from forged.sources.agent.program.line import END, FACTS
from forged.sources.agent.window import LEAST_BYTES
from forged.sources.agent.wire import Kind, packed
from tests.sources.agent.agents import Command, Impostor, fetch_all, listing, pretending, request
from tests.sources.agent.packing import files_block
from tests.support.sinks import MemorySink

Answers = Callable[[Command], Iterable[bytes]]

SIZE = 1000
ENTRY_ASKED = Entry(source_path(b"file"), Stat(SIZE, 1, 2, 3))
GOOD_FACTS = FACTS.pack(SIZE, 1, 2, 3)


def block(*names: bytes) -> bytes:
    return zlib.compress(files_block((b"", names)))


FIRST = 2
"""The number of the first call after START."""


def to(kind: Kind, *frames: tuple[Kind, bytes], call: int = FIRST) -> Answers:
    """Answers the first command of a kind with these frames, under its own number or another, and nothing else."""

    def answer(command: Command) -> Iterable[bytes]:
        if command[:2] == (kind, FIRST):
            yield from (packed(said, call, payload) for said, payload in frames)

    return answer


LISTINGS: dict[str, Answers] = {
    "paths out of order": to(Kind.GRANT, (Kind.LISTED, block(b"b", b"a"))),
    "a path that climbs out": to(Kind.GRANT, (Kind.LISTED, block(b"../a"))),
    "a zip bomb": to(Kind.GRANT, (Kind.LISTED, zlib.compress(bytes(1 << 26), 9))),
    "the same block again and again": to(Kind.GRANT, *[(Kind.LISTED, block(b"a"))] * 3),
    "a block that was not known": to(Kind.GRANT, (Kind.SAME, b"\0\0")),
    "no known block": to(Kind.GRANT, (Kind.SAME, b"")),
    "a wrong count at the end": to(Kind.GRANT, (Kind.LIST_END, END.pack(1, 1))),
    "an end that is too long": to(Kind.GRANT, (Kind.LIST_END, END.pack(0, 1) + b"x")),
    "bytes of a file": to(Kind.GRANT, (Kind.DATA, b"x")),
    "another answer's end": to(Kind.GRANT, (Kind.DONE, GOOD_FACTS * 2)),
    "an answer to nobody": to(Kind.GRANT, (Kind.LISTED, block(b"a")), call=FIRST + 5),
    "a sign of life for nobody": to(Kind.GRANT, (Kind.BEAT, b""), call=FIRST + 5),
    "a second hello": to(Kind.GRANT, (Kind.HELLO, b"")),
    "noise": lambda command: [b"\x07noise noise noise"] if command[0] == Kind.GRANT else [],
}


@pytest.mark.parametrize("lie", LISTINGS)
async def test_an_impostor_that_lies_in_a_listing_is_cut_off(lie: str) -> None:
    impostor = Impostor(LISTINGS[lie])
    async with pretending(impostor, silence_limit_s=2) as source:
        with pytest.raises(SourceBroken):
            await listing(source)
        async with asyncio.timeout(5):
            while not impostor.closed:
                await asyncio.sleep(0)
        with pytest.raises(SourceBroken):
            await source.clock_ns()


FETCHES: dict[str, Answers] = {
    "more bytes than granted": to(Kind.FETCH, (Kind.DATA, bytes(SIZE + 1))),
    "more bytes than granted, in two goes": to(Kind.FETCH, (Kind.DATA, bytes(SIZE)), (Kind.DATA, b"x")),
    "bytes of a file that was not asked for": to(Kind.FETCH, (Kind.DATA, bytes(SIZE)), call=FIRST + 1),
    "an end before the end": to(Kind.FETCH, (Kind.DATA, bytes(SIZE - 1)), (Kind.DONE, GOOD_FACTS * 2 + bytes(32))),
    "an end with fewer bytes than are left": to(Kind.FETCH, (Kind.DONE, GOOD_FACTS * 2 + bytes(32) + bytes(SIZE - 1))),
    "an end with more bytes than are left": to(
        Kind.FETCH, (Kind.DATA, b"x"), (Kind.DONE, GOOD_FACTS * 2 + bytes(32) + bytes(SIZE))
    ),
    "an end without the hash": to(Kind.FETCH, (Kind.DATA, bytes(SIZE)), (Kind.DONE, GOOD_FACTS * 2)),
    "an end with half a hash": to(Kind.FETCH, (Kind.DATA, bytes(SIZE)), (Kind.DONE, GOOD_FACTS * 2 + bytes(16))),
    "an end of another file": to(
        Kind.FETCH, (Kind.DATA, bytes(SIZE)), (Kind.DONE, FACTS.pack(SIZE, 9, 2, 3) + GOOD_FACTS + bytes(32))
    ),
    "two ends": to(Kind.FETCH, (Kind.DATA, bytes(SIZE)), *[(Kind.DONE, GOOD_FACTS * 2 + bytes(32))] * 2),
    "a problem of no kind": to(Kind.FETCH, (Kind.PROBLEM, b"\x77")),
    "a problem that no fetch has": to(Kind.FETCH, (Kind.PROBLEM, b"\x05")),
    "that it was cancelled": to(Kind.FETCH, (Kind.PROBLEM, b"\x00")),
    "a listing": to(Kind.FETCH, (Kind.LISTED, block(b"a"))),
    "a length that is too long": lambda command: [b"\x85\0\0\0\2\xff\xff\xff\xff"] if command[0] == Kind.FETCH else [],
}


@pytest.mark.parametrize("lie", FETCHES)
async def test_an_impostor_that_lies_in_a_fetch_is_cut_off(lie: str) -> None:
    impostor, sink = Impostor(FETCHES[lie]), MemorySink()
    async with pretending(impostor, silence_limit_s=2) as source:
        with pytest.raises(SourceBroken):
            await fetch_all(source, [request(ENTRY_ASKED), request(Entry(source_path(b"next"), Stat(5, 1)))], sink)
        assert impostor.closed
    sink.assert_even()


async def answered(source: AgentSource) -> object:
    return [
        [answer async for answer in source.hash([ENTRY_ASKED])],
        await source.look([source_path(b"file")]),
        await source.clock_ns(),
    ]


@pytest.mark.parametrize("kind", [Kind.HASH, Kind.LOOK, Kind.CLOCK])
@pytest.mark.parametrize("said", [Kind.DONE, Kind.TIME, Kind.LOOKED, Kind.HASHED, Kind.PROBLEM, Kind.REMOVED, Kind.REFUSED])
async def test_an_answer_that_does_not_belong_there_is_cut_off(kind: Kind, said: Kind) -> None:
    """Empty payloads are right for none of these; honest answers to the others let each kind have its turn."""
    honest = {
        Kind.HASH: (Kind.HASHED, GOOD_FACTS + bytes(32)),
        Kind.LOOK: (Kind.LOOKED, GOOD_FACTS),
        Kind.CLOCK: (Kind.TIME, bytes(8)),
    }

    def answer(command: Command) -> Iterable[bytes]:
        if command[0] == kind:
            yield packed(said, command[1])
        elif command[0] in honest:
            answer_kind, payload = honest[command[0]]
            yield packed(answer_kind, command[1], payload)

    impostor = Impostor(answer)
    async with pretending(impostor) as source:
        with pytest.raises(SourceBroken):
            await answered(source)
        assert impostor.closed


async def test_an_impostor_that_says_no_hello_is_cut_off() -> None:
    impostor = Impostor(lambda command: [])
    impostor.say(b"\x81\0\0\0\1\0\0\0\0")
    with pytest.raises(SourceBroken):
        async with pretending(impostor):
            pass
    assert impostor.closed


async def test_silence_while_an_answer_is_due_is_source_lost() -> None:
    impostor = Impostor(lambda command: [])
    async with pretending(impostor, silence_limit_s=0.05) as source:
        with pytest.raises(SourceLost, match=r"silent for 0\.05 s"):
            await source.clock_ns()
        assert impostor.closed


async def test_silence_while_nothing_is_due_is_fine() -> None:
    """Longer than the limit: nobody asks; a fetch waits for room; a listing waits for its reader."""
    impostor = Impostor(lambda command: [packed(Kind.TIME, command[1], bytes(8))] if command[0] == Kind.CLOCK else [])

    class NoRoom(MemorySink):
        async def reserve(self, size_bytes: int) -> None:
            await asyncio.Event().wait()

    async with pretending(impostor, silence_limit_s=0.04) as source:
        fetch = asyncio.create_task(fetch_all(source, [request(ENTRY_ASKED)], NoRoom()))
        await asyncio.sleep(0.2)
        assert await source.clock_ns() == 0
        fetch.cancel()


async def test_signs_of_life_keep_a_slow_answer_alive() -> None:
    impostor = Impostor(lambda command: [])
    async with pretending(impostor, silence_limit_s=0.2) as source:
        clock = asyncio.create_task(source.clock_ns())
        for _ in range(10):
            await asyncio.sleep(0.05)
            impostor.say(packed(Kind.BEAT, 2))
        impostor.say(packed(Kind.TIME, 2, bytes(8)))
        assert await clock == 0


async def test_an_endless_stream_of_honest_looking_files_is_held_in_bounded_memory() -> None:
    """A sink that takes nothing: the impostor may send only what was reserved, so at most the window lies in memory."""
    big = Entry(source_path(b"big"), Stat(1 << 40, 1))
    asks = (Kind.FETCH, Kind.GRANT)
    impostor = Impostor(lambda command: [packed(Kind.DATA, command[1], bytes(GRANT_BYTES))] if command[0] in asks else [])

    class Stuck(MemorySink):
        async def write(self, pieces):  # type: ignore[no-untyped-def]
            await stuck.wait()
            return await super().write(pieces)

    stuck, sink = asyncio.Event(), Stuck(bound=1 << 40)
    async with pretending(impostor) as source:
        tracemalloc.start()
        task = asyncio.create_task(fetch_all(source, [request(big)], sink))
        while sink.outstanding < LEAST_BYTES:
            await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert sink.most_outstanding == LEAST_BYTES
        assert held < 2 * LEAST_BYTES
        task.cancel()
        stuck.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    sink.assert_even()


async def test_an_endless_listing_waits_for_its_reader() -> None:
    sent = 0

    def answer(command: Command) -> Iterable[bytes]:
        nonlocal sent
        if command[0] == Kind.GRANT:
            for _ in range(int.from_bytes(command[2], "big")):
                sent += 1
                yield packed(Kind.LISTED, command[1], block(b"%09d" % sent))

    async with pretending(Impostor(answer)) as source:
        parts = source.list()
        for read in range(1, 40):
            assert isinstance(await anext(parts), ListingPart)
            for _ in range(100):
                await asyncio.sleep(0)
            assert sent <= WINDOW_BLOCKS + read
        await parts.aclose()


async def test_who_sends_more_of_a_listing_than_was_granted_is_cut_off() -> None:
    """However slowly it is read: what nobody has asked for may not pile up."""
    granted = 0

    def answer(command: Command) -> Iterable[bytes]:
        nonlocal granted
        if command[0] == Kind.GRANT:
            granted += int.from_bytes(command[2], "big")
            for n in range(granted + 1):
                yield packed(Kind.LISTED, command[1], block(b"%09d" % n))

    async with pretending(Impostor(answer)) as source:
        with pytest.raises(SourceBroken, match="more of a listing"):
            async for _ in source.list():
                await asyncio.sleep(0.1)


async def test_what_arrives_for_a_cancelled_fetch_is_dropped_but_still_bounded() -> None:
    impostor = Impostor(lambda command: [])
    async with pretending(impostor) as source:
        sink = MemorySink()
        task = asyncio.create_task(fetch_all(source, [request(ENTRY_ASKED)], sink))
        while not any(command[0] == Kind.FETCH for command in impostor.commands):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        sink.assert_even()
        impostor.say(packed(Kind.DATA, 2, bytes(SIZE)))
        impostor.say(packed(Kind.DATA, 2, b"x"))
        with pytest.raises(SourceError):
            await source.clock_ns()
    assert sink.received == 0


async def test_a_lane_that_ends_while_its_feeder_waits_for_room_leaves_the_books_even() -> None:
    """The room comes after the lane has ended and before anybody was told, because the channel is slow to close."""

    class SlowToClose(Impostor):
        async def close(self) -> str:
            await may_close.wait()
            return await super().close()

    class Gated(MemorySink):
        async def reserve(self, size_bytes: int) -> None:
            asked.set()
            await room.wait()
            await super().reserve(size_bytes)

    may_close, asked, room = asyncio.Event(), asyncio.Event(), asyncio.Event()
    impostor, sink = SlowToClose(lambda command: []), Gated()
    async with pretending(impostor) as source:
        task = asyncio.create_task(fetch_all(source, [request(ENTRY_ASKED)], sink))
        await asked.wait()
        impostor.say(b"\x07" * 9)
        for _ in range(20):
            await asyncio.sleep(0)
        room.set()
        for _ in range(20):
            await asyncio.sleep(0)
        may_close.set()
        with pytest.raises(SourceBroken):
            await task
        sink.assert_even()
