"""Several lanes behind one source."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from forged.model.errors import SourceLost, SourceUnreachable
from forged.model.transfer import Fetched
from forged.sources.agent.client import AgentSource
from forged.sources.agent.pump import GRANT_BYTES
from forged.sources.piped import PipedChannel
from tests.sources.agent.agents import Recorded, fetch_all, listing, request
from tests.support.sinks import MemorySink

FILES = 600
"""Above what makes a second and a third lane worthwhile."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(FILES):
        (tmp_path / f"{number:04}").write_bytes(os.urandom(2000 + number))
    return tmp_path


class Refusing(Recorded):
    """Opens the first channel only, as a server with MaxSessions 1."""

    refused = 0

    async def __call__(self) -> PipedChannel:
        if self.channels:
            self.refused += 1
            self.enough.set()
            raise SourceUnreachable("no more sessions")
        return await super().__call__()


async def brought(opened: Recorded, tree: Path, sink: MemorySink, max_lanes: int) -> None:
    async with AgentSource(opened, bytes(tree), transport="pipe", max_lanes=max_lanes) as source:
        entries, _, _ = await listing(source)
        answers = await fetch_all(source, [request(e) for e in entries], sink)
    assert sorted(a.request.entry.path for a in answers if isinstance(a, Fetched)) == [e.path for e in entries]
    for entry in entries:
        assert sink.content(entry.path.hex()) == (tree / os.fsdecode(entry.path)).read_bytes()
    sink.assert_even()


class Narrow(MemorySink):
    """Room for one grant only, and none before `gate` is open: there is always somebody waiting for it."""

    def __init__(self, gate: asyncio.Event) -> None:
        super().__init__(bound=GRANT_BYTES)
        self._gate = gate

    async def reserve(self, size_bytes: int) -> None:
        await self._gate.wait()
        await super().reserve(size_bytes)


@pytest.mark.parametrize("max_lanes", [1, 3])
async def test_lanes_are_opened_while_much_waits_up_to_the_limit(max_lanes: int, tree: Path) -> None:
    opened = Recorded(enough=max_lanes)
    await brought(opened, tree, Narrow(opened.enough), max_lanes)
    assert len(opened.channels) == max_lanes
    assert all(channel.process.returncode is not None for channel in opened.channels)


async def test_few_files_open_no_second_lane(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    opened = Recorded()
    await brought(opened, tmp_path, MemorySink(), max_lanes=4)
    assert len(opened.channels) == 1


async def test_lanes_that_are_refused_are_no_error_and_are_not_asked_for_again(tree: Path) -> None:
    opened = Refusing(enough=2)
    await brought(opened, tree, Narrow(opened.enough), max_lanes=4)
    assert (len(opened.channels), opened.refused) == (1, 1)


async def test_when_one_lane_is_lost_the_source_is(tree: Path) -> None:
    opened = Recorded()
    sink = Narrow(opened.enough)
    async with AgentSource(opened, bytes(tree), transport="pipe", max_lanes=2) as source:
        entries, _, _ = await listing(source)

        def kill_second(piece: object) -> None:
            lanes = source._lanes._lanes
            if len(lanes) == 2 and lanes[1].ended is None:
                opened.channels[1].process.kill()

        sink.on_write = kill_second
        with pytest.raises(SourceLost):
            while True:
                await fetch_all(source, [request(e) for e in entries], sink)
                sink.files.clear()
        with pytest.raises(SourceLost):
            await source.clock_ns()
    sink.assert_even()
    assert all(channel.process.returncode is not None for channel in opened.channels)
