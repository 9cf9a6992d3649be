"""A box that only seems to work is let go, at every step and with words that help; a slow one is waited for, however long it takes.

Hours pass in virtual time.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager

import pytest

from forged.model.errors import SourceBroken, SourceLost
from forged.model.files import Entry, Stat
from forged.model.manifest import ManifestRow
from forged.model.paths import home_path, source_path
from forged.model.removal import Removable
from forged.sources.agent.client import AgentSource
from forged.sources.agent.lane import TURN_FRAMES
from forged.sources.agent.program.line import END, FACTS, GONE, NEWS, NOTICE
from forged.sources.agent.pulse import HASH_BYTES_PER_S, PATIENCE_S, START_PATIENCE_S, WALK_PATIENCE_S
from forged.sources.agent.slices import CRUMB_BYTES, Slice
from forged.sources.agent.wire import Kind, packed
from tests.sources.agent.agents import GOOD_HELLO, Command, Impostor, fetch_all, listing, pretending, request
from tests.sources.agent.packing import files_block
from tests.support.sinks import MemorySink
from tests.support.virtual import virtual

FIRST = 2
"""The number of the first call after START."""
SILENCE_S = 60.0
FILE = Entry(source_path(b"file"), Stat(1_000_000, 1, 2, 3))
DAY_S = 86_400.0
WATCHES = GOOD_HELLO + b" watch"


def now_s() -> float:
    return asyncio.get_running_loop().time()


async def removing(source: AgentSource) -> None:
    row = ManifestRow(FILE.path, FILE.stat, bytes(32), home_path(b"file"), 1)
    await source.remove([Removable(row, FILE.stat)])


async def fetching(source: AgentSource) -> None:
    await fetch_all(source, [request(FILE)], MemorySink())


async def hashing(source: AgentSource) -> None:
    _ = [answer async for answer in source.hash([FILE])]


async def looking(source: AgentSource) -> None:
    await source.look([FILE.path])


async def asking_the_time(source: AgentSource) -> None:
    await source.clock_ns()


async def watching(source: AgentSource) -> None:
    async for _ in source.watch():
        pass


async def reading_a_list(source: AgentSource) -> None:
    await listing(source)


Ask = Callable[[AgentSource], Awaitable[None]]

STEPS: dict[str, tuple[Ask, float]] = {
    "clock": (asking_the_time, PATIENCE_S),
    "list": (reading_a_list, WALK_PATIENCE_S),
    "fetch": (fetching, PATIENCE_S),
    "hash": (hashing, PATIENCE_S + 1),
    "look": (looking, PATIENCE_S),
    "remove": (removing, PATIENCE_S + 1),
    "watch": (watching, WALK_PATIENCE_S),
}
"""What is asked, and how long signs of life may stand for its answer."""


class Saying(Impostor):
    """One that says something at intervals, as soon as it is asked anything."""

    def __init__(self, every_s: float, *said: bytes, hello: bool = True) -> None:
        super().__init__(self._answer_later, WATCHES)
        self._every_s, self._said = every_s, said
        self._talk: asyncio.Task[None] | None = None
        self._greets = hello

    def _obey(self, command: Command) -> None:
        if command[0] is Kind.START and not self._greets:
            self._begin()
        else:
            super()._obey(command)

    def _answer_later(self, command: Command) -> Iterable[bytes]:
        if command[0] not in (Kind.START, Kind.CANCEL):
            self._begin()
        return ()

    def _begin(self) -> None:
        if self._talk is None:
            self._talk = asyncio.create_task(self._go_on())

    async def close(self) -> str:
        await super().close()
        return "its last words"

    async def _go_on(self) -> None:
        while not self.closed:
            await asyncio.sleep(self._every_s)
            for said in self._said:
                self.say(said)


@asynccontextmanager
async def lost_after(least_s: float, most_s: float) -> AsyncIterator[None]:
    """What is done in here ends with SourceLost after so long, and says what to do."""
    began_s = now_s()
    with pytest.raises(SourceLost) as lost:
        yield
    assert least_s <= now_s() - began_s <= most_s, f"after {now_s() - began_s:g} s"
    assert "look" in lost.value.hint


@pytest.mark.parametrize("step", STEPS)
def test_a_hang_at_any_step_is_noticed(step: str) -> None:
    @virtual
    async def story() -> None:
        impostor = Impostor(lambda command: [], WATCHES)
        async with pretending(impostor, SILENCE_S) as source, lost_after(SILENCE_S, 1.3 * SILENCE_S):
            await STEPS[step][0](source)
        assert impostor.closed

    story()


@pytest.mark.parametrize("step", STEPS)
def test_signs_of_life_do_not_stand_for_an_answer_for_ever(step: str) -> None:
    @virtual
    async def story() -> None:
        ask, patience_s = STEPS[step]
        impostor = Saying(5.0, packed(Kind.BEAT, FIRST))
        async with pretending(impostor, SILENCE_S) as source, lost_after(patience_s, patience_s + 20):
            await ask(source)
        assert impostor.closed

    story()


@virtual
async def test_a_box_that_never_begins_to_speak_is_let_go() -> None:
    busy, noisy = Saying(5.0, packed(Kind.BEAT, 1), hello=False), Saying(1.0, b"wait\r\n", hello=False)
    noisy._says.get_nowait()  # what an agent begins with
    for impostor in (busy, noisy):
        async with lost_after(START_PATIENCE_S, START_PATIENCE_S + 20):
            async with pretending(impostor, SILENCE_S):
                pass


@virtual
async def test_a_drip_of_bytes_is_no_transfer() -> None:
    impostor = Saying(2.0, packed(Kind.DATA, FIRST, b"x"))
    async with pretending(impostor, SILENCE_S) as source, lost_after(PATIENCE_S, PATIENCE_S + 20):
        await fetching(source)


@virtual
async def test_news_do_not_stand_for_a_file() -> None:
    """An agent whose thread that reads files hangs, on a dead network volume say, still tells what happens."""

    def answer(command: Command) -> Iterable[bytes]:
        if command[0] is Kind.GRANT and command[1] == FIRST:
            news.add(asyncio.get_running_loop().call_later(1, impostor.say, packed(Kind.NOTICED, FIRST, told)))
        return ()

    told = NEWS.pack(False, 0) + NOTICE.pack(GONE, 200) + b"x" * 200
    news: set[asyncio.TimerHandle] = set()
    impostor = Impostor(answer, WATCHES)
    async with pretending(impostor, SILENCE_S) as source:
        watch = asyncio.create_task(watching(source))
        await asyncio.sleep(1)
        async with lost_after(PATIENCE_S, PATIENCE_S + 20):
            await fetching(source)
        with pytest.raises(SourceLost):
            await watch
    assert len(news) > 100


@virtual
async def test_a_flood_of_signs_of_life_is_cut_off() -> None:
    impostor = Impostor(lambda command: [packed(Kind.BEAT, FIRST) * 10_000] if command[0] is Kind.CLOCK else [])
    async with pretending(impostor, SILENCE_S) as source:
        with pytest.raises(SourceBroken, match="signs of life") as broken:
            await source.clock_ns()
    assert now_s() < 1
    assert broken.value.hint


# --- who is waited for ------------------------------------------------------------------------------------------------------


@virtual
async def test_a_loaded_box_may_take_a_day_for_the_hash_of_a_film() -> None:
    film = Entry(source_path(b"film"), Stat(100_000_000_000, 1, 2, 3))
    impostor = Saying(5.0, packed(Kind.BEAT, FIRST))
    async with pretending(impostor, SILENCE_S) as source:
        asyncio.get_running_loop().call_later(
            0.99 * film.stat.size_bytes / HASH_BYTES_PER_S,
            impostor.say,
            packed(Kind.HASHED, FIRST, FACTS.pack(100_000_000_000, 1, 2, 3) + bytes(32)),
        )
        (hashed,) = [answer async for answer in source.hash([film])]
    assert now_s() > DAY_S
    assert not hasattr(hashed, "kind")


@virtual
async def test_a_line_as_slow_as_a_bad_phone_carries_a_file_and_a_listing() -> None:
    """A kilobyte a second: a megabyte takes longer than any patience for a drip."""
    block = files_block((b"", [b"%05d" % n for n in range(1_500)]))

    class Slow(Impostor):
        async def read(self) -> bytes:
            data = await super().read()
            await asyncio.sleep(len(data) / 960)
            return data

    size_bytes, granted_bytes = 4 * 262_144, 0

    def answer(command: Command) -> Iterator[bytes]:
        nonlocal granted_bytes
        kind, call, payload = command
        if kind in (Kind.FETCH, Kind.GRANT) and call == FIRST:
            granted_bytes += 262_144 if kind is Kind.FETCH else int.from_bytes(payload, "big")
            yield from [packed(Kind.DATA, call, bytes(1_024))] * 256
            if granted_bytes == size_bytes:
                yield packed(Kind.DONE, FIRST, FACTS.pack(size_bytes, 1, 2, 3) * 2)
        elif kind is Kind.GRANT:
            yield packed(Kind.LISTED, call, zlib.compress(block, 0))
            yield packed(Kind.LIST_END, call, END.pack(1_500, 1))

    entry = Entry(source_path(b"file"), Stat(size_bytes, 1, 2, 3))
    async with pretending(Slow(answer), SILENCE_S) as source:
        (fetched,) = await fetch_all(source, [request(entry, hash_at_source=False)], MemorySink())
        assert not hasattr(fetched, "kind")
        assert len((await listing(source))[0]) == 1_500
    assert now_s() > 3 * PATIENCE_S


@virtual
async def test_a_sink_that_holds_the_box_back_for_a_day_does_not_make_it_late() -> None:
    class Waits(MemorySink):
        async def reserve(self, size_bytes: int) -> None:
            await asyncio.sleep(DAY_S)
            await super().reserve(size_bytes)

    def answer(command: Command) -> Iterable[bytes]:
        if command[0] is Kind.FETCH:
            yield packed(Kind.DONE, FIRST, FACTS.pack(10, 1, 2, 3) * 2 + bytes(32) + bytes(10))

    async with pretending(Impostor(answer), SILENCE_S) as source:
        small = Entry(source_path(b"small"), Stat(10, 1, 2, 3))
        (fetched,) = await fetch_all(source, [request(small)], Waits())
    assert now_s() >= DAY_S
    assert not hasattr(fetched, "kind")


@virtual
async def test_a_listing_whose_reader_is_slow_is_not_late() -> None:
    said = 0

    def answer(command: Command) -> Iterable[bytes]:
        nonlocal said
        if command[0] is Kind.GRANT:
            for _ in range(int.from_bytes(command[2], "big")):
                said += 1
                yield packed(Kind.LISTED, FIRST, zlib.compress(files_block((b"", [b"%09d" % said]))))

    async with pretending(Impostor(answer), SILENCE_S) as source:
        parts = source.list()
        for _ in range(5):
            await anext(parts)
            await asyncio.sleep(DAY_S)
        await parts.aclose()


# --- what a flood costs -----------------------------------------------------------------------------------------------------


async def test_others_have_a_turn_between_the_frames_of_a_flood() -> None:
    flood = packed(Kind.DATA, FIRST, b"xx") * 50_000 + b"\x07" * 9
    impostor = Impostor(lambda command: [flood] if command[0] is Kind.FETCH else [])
    turns = 0

    async def somebody_else() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with pretending(impostor) as source:
        other = asyncio.create_task(somebody_else())
        with pytest.raises(SourceBroken):
            await fetching(source)
        other.cancel()
    assert turns > 25_000 // TURN_FRAMES


def test_crumbs_are_joined() -> None:
    part = object.__new__(Slice)
    part.chunks = []
    for _ in range(10_000):
        part._keep(b"ab")
    part._keep(bytes(100_000))
    assert len(part.chunks) <= 20_000 // CRUMB_BYTES + 2
    assert b"".join(part.chunks) == b"ab" * 10_000 + bytes(100_000)
