"""The lanes of one source: the first carries everything, others help with files, as many as the line rewards.

When one ends, all end.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from forged.model.errors import SourceError, SourceLost
from forged.model.files import Problem
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.attended import finished
from forged.sources.agent.fetching import Fetch
from forged.sources.agent.growth import Growth, Measurement
from forged.sources.agent.pump import FileLane, Pump
from forged.sources.agent.waiting import WaitingLine

L = TypeVar("L", bound=FileLane)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the meters show at one moment; see Measurement."""

    at_s: float
    work_bytes: int
    computed_s: float
    held_back_s: float

    def until(self, now: _Reading, lanes: int) -> Measurement:
        seconds = max(now.at_s - self.at_s, 1e-6)
        busy, held_back_s = (now.computed_s - self.computed_s) / seconds, now.held_back_s - self.held_back_s
        return Measurement(seconds, now.work_bytes - self.work_bytes, busy, held_back_s / seconds / lanes)


class Lanes(Generic[L]):
    """Opened by `open`, ended by `close`. A lane that the source refuses is no error while another one works.

    `open_lane` opens one of that name; `hashes`: the source can hash files.
    """

    def __init__(self, open_lane: Callable[[str], Awaitable[L]], max_lanes: int, *, hashes: bool = True) -> None:
        self._open_lane, self._hashes = open_lane, hashes
        self._lanes: list[L] = []
        self._pumps: list[Pump] = []
        self._numbers = itertools.count(1)
        self._line = WaitingLine()
        self._fetches: set[Fetch] = set()
        self._ended: SourceError | None = None
        self._growth = Growth(max_lanes)
        self._steering: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def first(self) -> L:
        """The lane that carries listings, hashes and looks. Raises what ended the source, if it has ended."""
        if self._ended is not None:
            raise self._ended
        if not self._lanes:
            raise SourceLost("the source is not open")
        return self._lanes[0]

    async def open(self) -> None:
        """Opens the first lane. Raises SourceError."""
        await self._add()
        self._assign()

    async def _add(self) -> None:
        lane = await self._open_lane(f"lane {next(self._numbers)}")
        if self._ended is not None:  # meanwhile
            await lane.close()
            raise self._ended
        self._lanes.append(lane)
        self._pumps.append(Pump(lane, self._line))
        lane.on_end = self._on_end
        if lane.ended is not None:
            self._on_end(lane.ended)

    def answered(self, seconds: float) -> None:
        """A question to the source was answered after that long: what is known of the way there. To a far one some lanes more are
        opened at once."""
        self._growth.answered(seconds)
        if self._lanes and self._opening is None:
            self._open_up_to(self._growth.ahead)

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        """As the contract says."""
        fetch = Fetch(batch, sink, self._hashes)
        if batch:
            _ = self.first
            self._begin(fetch)
        try:
            async with aclosing(fetch.answers()) as answers:
                async for answer in answers:
                    yield answer
        finally:
            self._line.leave(fetch)
            self._fetches.discard(fetch)
            await fetch.close()

    def _begin(self, fetch: Fetch) -> None:
        self._fetches.add(fetch)
        self._line.join(fetch)
        for pump in self._pumps:
            pump.look()
        if self._steering is None or self._steering.done():
            self._steering = asyncio.create_task(self._steer(), name="how many lanes")

    # --- how many lanes ---------------------------------------------------------------------------------------------------

    async def _steer(self) -> None:
        """Measures for as long as files wait, and has lanes opened when that pays."""
        while self._line.work_bytes and self._ended is None:
            self._open_up_to(self._growth.wanted(self._line.work_bytes))
            before, lanes = self._reading(), self._growth.lanes
            await asyncio.sleep(self._growth.measure_s)
            if self._line.work_bytes:
                self._growth.measured(before.until(self._reading(), lanes))
                self._assign()

    def _reading(self) -> _Reading:
        work_bytes = sum(pump.work_bytes for pump in self._pumps)
        return _Reading(time.monotonic(), work_bytes, time.thread_time(), sum(pump.held_back_s for pump in self._pumps))

    def _open_up_to(self, lanes: int) -> None:
        if self._ended is None and lanes > self._growth.lanes and (self._opening is None or self._opening.done()):
            self._opening = asyncio.create_task(self._open(lanes), name="more lanes")

    async def _open(self, lanes: int) -> None:
        """Those that are missing at once; then they get work."""
        async with asyncio.TaskGroup() as opening:
            for _ in range(len(self._lanes), lanes):
                opening.create_task(self._try())
        self._growth.stepped(min(lanes, len(self._lanes)), lanes)
        self._assign()

    async def _try(self) -> None:
        with suppress(SourceError):  # a server may allow fewer sessions than we would like
            await self._add()

    def _assign(self) -> None:
        """The first few get work."""
        for number, pump in enumerate(self._pumps):
            pump.assign(number < self._growth.lanes, self._growth.rtt_s, self._growth.lanes)

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _on_end(self, error: SourceError) -> None:
        if self._ended is None:
            self._ended = error
        for fetch in self._fetches:
            fetch.fail(error)
        for lane, pump in zip(self._lanes, self._pumps, strict=True):
            lane.end(error)
            pump.end()

    async def close(self) -> None:
        """Ends every lane, and opens no more. Whoever still waits gets SourceLost."""
        self._ended = self._ended or SourceLost("the source was closed")
        tasks = [task for task in (self._steering, self._opening) if task is not None]
        for task in tasks:
            task.cancel()
        await finished(tasks)
        await asyncio.gather(*(lane.close() for lane in self._lanes))
        for pump in self._pumps:
            await pump.close()
