"""Several lanes behind one source."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from forged.model.errors import SourceLost, SourceUnreachable
from forged.model.files import Entry, Problem, ProblemKind
from forged.model.transfer import Fetched, Piece
from forged.sources.agent.client import AgentSource
from forged.sources.agent.fetching import GRANT_BYTES
from forged.sources.agent.slices import SLICE_BYTES
from forged.sources.piped import PipedChannel
from tests.sources.agent.agents import Recorded, fetch_all, listing, local, request
from tests.support.sinks import MIB, MemorySink

FILES = 100
LARGE = 20 * SLICE_BYTES
"""With it, much waits: enough for more lanes on a long line."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Many small files and a large one, which takes no room."""
    for number in range(FILES):
        (tmp_path / f"{number:04}").write_bytes(os.urandom(2000 + number))
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", LARGE)
    return tmp_path


class Refusing(Recorded):
    """Opens the first channel only, as a server with MaxSessions 1."""

    refused = 0

    async def __call__(self) -> PipedChannel:
        if self.channels:
            self.refused += 1
            raise SourceUnreachable("no more sessions")
        return await super().__call__()


def far(opened: Recorded, root: Path, max_lanes: int) -> AgentSource:
    """As if an answer took 100 ms."""
    source = AgentSource(opened, bytes(root), transport="pipe", max_lanes=max_lanes)
    source._lanes.answered(0.1)
    return source


async def brought(source: AgentSource, root: Path, sink: MemorySink) -> None:
    entries, _, _ = await listing(source)
    answers = await fetch_all(source, [request(e) for e in entries], sink)
    assert sorted(a.request.entry.path for a in answers if isinstance(a, Fetched)) == [e.path for e in entries]
    for answer in answers:
        assert isinstance(answer, Fetched)
        content = (root / os.fsdecode(answer.request.entry.path)).read_bytes()
        assert sink.content(answer.request.staging) == content
        assert answer.source_sha256 == answer.staged.sha256 == hashlib.sha256(content).digest()
    sink.assert_even()


class Narrow(MemorySink):
    """Room for a few grants only, and none while `waits`: there is always somebody waiting for it."""

    def __init__(self, waits: Callable[[], bool]) -> None:
        super().__init__(bound=4 * GRANT_BYTES)
        self._waits = waits

    async def reserve(self, size_bytes: int) -> None:
        while self._waits():
            await asyncio.sleep(0.001)
        await super().reserve(size_bytes)


def until(source: AgentSource, lanes: int) -> Narrow:
    """Asks for nothing until so many lanes get work."""
    return Narrow(lambda: source._lanes._growth.lanes < lanes)


def until_killed(source: AgentSource, lanes: int) -> Narrow:
    """When the last of so many lanes has carried something, its agent is killed, and nothing more is asked for."""
    killed = False
    sink = Narrow(lambda: killed or source._lanes._growth.lanes < lanes)

    def kill(piece: Piece) -> None:
        nonlocal killed
        if source._lanes._pumps[-1].work_bytes and not killed:
            killed = True
            channel = source._lanes._lanes[-1]._channel
            assert isinstance(channel, PipedChannel)
            channel.process.kill()

    sink.on_write = kill
    return sink


# --- how many -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_lanes", [1, 3])
async def test_lanes_are_opened_while_much_waits_up_to_the_limit(max_lanes: int, tree: Path) -> None:
    opened = Recorded()
    async with far(opened, tree, max_lanes) as source:
        await brought(source, tree, until(source, max_lanes))
        assert len(opened.channels) == max_lanes
        await brought(source, tree, MemorySink())
        assert len(opened.channels) == max_lanes, "those that are open are kept and used again"
    assert all(channel.process.returncode is not None for channel in opened.channels)


async def test_few_files_open_no_second_lane(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    opened = Recorded()
    async with far(opened, tmp_path, max_lanes=4) as source:
        await brought(source, tmp_path, MemorySink())
    assert len(opened.channels) == 1


@pytest.mark.parametrize(("max_lanes", "rtt_s", "lanes"), [(8, 0.1, 3), (2, 0.1, 2), (8, 0.05, 3), (8, 0.03, 2), (8, 0.01, 1)])
async def test_to_a_far_box_lanes_are_opened_before_there_is_work_for_them(
    max_lanes: int, rtt_s: float, lanes: int, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"a")
    opened = Recorded(enough=lanes)
    async with AgentSource(opened, bytes(tmp_path), transport="pipe", max_lanes=max_lanes) as source:
        source._lanes.answered(rtt_s)
        await opened.enough.wait()
        await brought(source, tmp_path, MemorySink())
        assert len(opened.channels) == lanes


async def test_an_answer_that_comes_while_the_source_is_closed_opens_nothing(tmp_path: Path) -> None:
    before, opened = asyncio.all_tasks(), Recorded()
    source = AgentSource(opened, bytes(tmp_path), transport="pipe", max_lanes=8)
    async with source:
        closing = asyncio.create_task(source._lanes.close())
        await asyncio.sleep(0)
        source._lanes.answered(0.1)
        await closing
    source._lanes.answered(0.1)
    await asyncio.sleep(0)
    assert len(opened.channels) == 1
    assert asyncio.all_tasks() == before


async def test_a_lane_that_is_ready_only_when_the_source_is_lost_is_closed(tmp_path: Path) -> None:
    class Slow(Recorded):
        async def __call__(self) -> PipedChannel:
            if self.channels:
                await self.lost.wait()
            return await super().__call__()

        lost = asyncio.Event()

    opened = Slow(enough=3)
    async with AgentSource(opened, bytes(tmp_path), transport="pipe", max_lanes=3) as source:
        source._lanes.answered(0.1)
        opened.channels[0].process.kill()
        while source._lanes._ended is None:
            await asyncio.sleep(0.01)
        opened.lost.set()
        await opened.enough.wait()
        assert source._lanes._opening is not None
        await asyncio.wait([source._lanes._opening])
        assert len(source._lanes._lanes) == 1
    assert all(channel.process.returncode is not None for channel in opened.channels)


async def test_lanes_that_are_refused_are_no_error_and_are_not_asked_for_again(tree: Path) -> None:
    opened = Refusing()
    async with far(opened, tree, max_lanes=3) as source:
        for _ in range(2):
            await brought(source, tree, Narrow(lambda: opened.refused < 2))
    assert (len(opened.channels), opened.refused) == (1, 2)


async def test_when_one_lane_is_lost_the_source_is(tree: Path) -> None:
    opened = Recorded()
    async with far(opened, tree, max_lanes=2) as source:
        sink = until_killed(source, 2)
        entries, _, _ = await listing(source)
        with pytest.raises(SourceLost):
            await fetch_all(source, [request(e) for e in entries], sink)
        with pytest.raises(SourceLost):
            await source.clock_ns()
    sink.assert_even()
    assert all(channel.process.returncode is not None for channel in opened.channels)


async def test_closing_the_source_while_lanes_are_opened_leaves_nothing_behind(tree: Path) -> None:
    class Slow(Recorded):
        async def __call__(self) -> PipedChannel:
            if self.channels:
                self.enough.set()
                await asyncio.Event().wait()
            return await super().__call__()

    before, opened = asyncio.all_tasks(), Slow(enough=2)
    async with far(opened, tree, max_lanes=3) as source:
        entries, _, _ = await listing(source)
        task = asyncio.create_task(fetch_all(source, [request(e) for e in entries], Narrow(lambda: True)))
        await opened.enough.wait()
    with pytest.raises(SourceLost):
        await task
    assert asyncio.all_tasks() == before
    assert all(channel.process.returncode is not None for channel in opened.channels)


# --- a file in slices -----------------------------------------------------------------------------------------------------


async def large_of(source: AgentSource) -> Entry:
    entries, _, _ = await listing(source)
    return next(e for e in entries if e.path == b"large")


async def test_the_slices_of_one_file_come_over_several_lanes_in_any_order(tmp_path: Path) -> None:
    content = os.urandom(5 * SLICE_BYTES + 12345)
    (tmp_path / "large").write_bytes(content)
    offsets = []
    async with far(Recorded(), tmp_path, max_lanes=3) as source:
        entry = await large_of(source)
        source._lanes._growth.wanted = lambda waiting_bytes: 3  # type: ignore[method-assign]
        sink = until(source, 3)
        sink.resumed = {entry.path.hex(): content[: SLICE_BYTES // 2]}
        sink.on_write = lambda piece: offsets.append(piece.offset_bytes)
        (answer,) = await fetch_all(source, [request(entry, SLICE_BYTES // 2)], sink)
        carried = [pump.work_bytes for pump in source._lanes._pumps]
    assert isinstance(answer, Fetched)
    assert sink.content(entry.path.hex()) == content
    assert answer.source_sha256 == answer.staged.sha256 == hashlib.sha256(content).digest()
    assert answer.before == answer.after == entry.stat
    assert offsets != sorted(offsets), "the later ones do not wait for the earlier ones"
    assert min(carried) > 0
    sink.assert_even()


async def test_who_does_not_ask_for_the_hash_of_a_file_in_slices_does_not_get_it(tree: Path) -> None:
    async with local(tree, max_lanes=1) as source:
        (answer,) = await fetch_all(source, [request(await large_of(source), hash_at_source=False)], MemorySink())
    assert isinstance(answer, Fetched)
    assert answer.source_sha256 is None


async def fetched_while(tree: Path, change: Callable[[Path], object], lanes: int = 1) -> Fetched | Problem:
    """The answer for a file in slices that is changed when its first bytes have come, and before all were asked for."""
    async with far(Recorded(), tree, lanes) as source:
        sink = until(source, lanes)

        def once(piece: Piece) -> None:
            sink.on_write = lambda piece: None
            change(tree / "large")

        sink.on_write = once
        (answer,) = await fetch_all(source, [request(await large_of(source))], sink)
        assert await source.clock_ns()
    sink.assert_even()
    return answer


def grow(path: Path) -> None:
    os.truncate(path, LARGE + 4)


def shrink(path: Path) -> None:
    os.truncate(path, MIB)


def replace(path: Path) -> None:
    path.with_suffix(".tmp").touch()
    os.truncate(path.with_suffix(".tmp"), LARGE)
    path.with_suffix(".tmp").rename(path)


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("change", [grow, shrink, replace, Path.touch])
async def test_a_file_in_slices_that_changes_meanwhile_has_changed(
    tree: Path, change: Callable[[Path], object], lanes: int
) -> None:
    answer = await fetched_while(tree, change, lanes)
    assert isinstance(answer, Problem)
    assert answer.kind is ProblemKind.CHANGED


async def test_a_file_in_slices_that_is_deleted_meanwhile_has_vanished(tree: Path) -> None:
    """No slice but those already open can be read any more."""
    answer = await fetched_while(tree, Path.unlink)
    assert isinstance(answer, Problem)
    assert answer.kind is ProblemKind.VANISHED


async def test_small_files_do_not_wait_for_a_large_one(tree: Path) -> None:
    async with local(tree) as source:
        entries, _, _ = await listing(source)
        entries.sort(key=lambda entry: -entry.stat.size_bytes)
        answers = [
            a.request.entry async for a in source.fetch([request(e) for e in entries], MemorySink()) if isinstance(a, Fetched)
        ]
    assert answers[-1] == entries[0]
    assert len(answers) == len(entries)


async def test_a_file_noticed_while_a_large_one_comes_does_not_wait_for_it(tree: Path) -> None:
    sink, noticed = MemorySink(bound=4 * GRANT_BYTES), MemorySink()
    async with local(tree) as source:
        entries, _, _ = await listing(source)
        large = request(entries.pop())
        task = asyncio.create_task(fetch_all(source, [large], sink))
        while sink.received < 3 * MIB:
            await asyncio.sleep(0)
        (answer,) = await fetch_all(source, [request(entries[0])], noticed)
        assert isinstance(answer, Fetched)
        assert not task.done()
        assert sink.received < LARGE
        await task


async def test_a_large_file_that_breaks_off_leaves_the_books_even(tree: Path) -> None:
    async with far(Recorded(), tree, max_lanes=3) as source:
        sink = until_killed(source, 3)
        entry = await large_of(source)
        with pytest.raises(SourceLost):
            await fetch_all(source, [request(entry)], sink)
        sink.assert_even()
    kept = sink.keep_beginning(entry.path.hex())
    assert kept < LARGE
    async with local(tree) as source:
        (answer,) = await fetch_all(source, [request(entry, kept)], MemorySink(resumed=sink.resumed))
    assert isinstance(answer, Fetched)
    assert answer.source_sha256 == answer.staged.sha256
