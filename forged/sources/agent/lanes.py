"""The lanes of one source: the first carries everything, more are opened while many files wait. When one ends, all end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from forged.model.errors import SourceError, SourceLost
from forged.model.files import Problem
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.fetching import Fetch
from forged.sources.agent.lane import Lane, OpenChannel, finished, open_lane
from forged.sources.agent.pump import Pump, WaitingLine

MORE_LANES_BYTES = 16 << 20
"""Waiting bytes that are worth another lane. Opening one costs a process at the source and some round trips: at 50 MB/s and
50 ms that is the time in which one lane carries this much."""

MORE_LANES_FILES = 200
"""The same, in small files."""


class Lanes:
    """Opened by `open`, ended by `close`. A lane that the source refuses is no error while another one works."""

    def __init__(self, open_channel: OpenChannel, root: bytes, max_lanes: int, silence_limit_s: float) -> None:
        self._open_channel, self._root, self._silence_limit_s = open_channel, root, silence_limit_s
        self._max_lanes = max_lanes
        self._lanes: list[Lane] = []
        self._pumps: list[Pump] = []
        self._line = WaitingLine()
        self._ended: SourceError | None = None
        self._growing: asyncio.Task[None] | None = None

    @property
    def first(self) -> Lane:
        """The lane that carries listings, hashes and looks. Raises what ended the source, if it has ended."""
        if self._ended is not None:
            raise self._ended
        if not self._lanes:
            raise SourceLost("the source is not open")
        return self._lanes[0]

    async def open(self) -> None:
        """Opens the first lane. Raises SourceError."""
        await self._add()

    async def _add(self) -> None:
        name = f"lane {len(self._lanes) + 1}"
        lane = await open_lane(self._open_channel, self._root, name, self._silence_limit_s)
        self._lanes.append(lane)
        self._pumps.append(Pump(lane, self._line))
        lane.on_end = self._on_end
        if lane.ended is not None:
            self._on_end(lane.ended)

    async def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        """As the contract says."""
        fetch = Fetch(batch, sink)
        if batch:
            _ = self.first
            self._line.join(fetch.files)
            self._grow()
        try:
            async with aclosing(fetch.answers()) as answers:
                async for answer in answers:
                    yield answer
        finally:
            await fetch.close()

    # --- more lanes -------------------------------------------------------------------------------------------------------

    def _worthwhile(self) -> bool:
        much = self._line.size_bytes > MORE_LANES_BYTES or len(self._line) > MORE_LANES_FILES
        return much and len(self._lanes) < self._max_lanes and self._ended is None

    def _grow(self) -> None:
        if self._worthwhile() and (self._growing is None or self._growing.done()):
            self._growing = asyncio.create_task(self._add_while_worthwhile(), name="more lanes")

    async def _add_while_worthwhile(self) -> None:
        while self._worthwhile():
            try:
                await self._add()
            except SourceError:
                self._max_lanes = len(self._lanes)  # a server may allow fewer sessions than we would like

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _on_end(self, error: SourceError) -> None:
        if self._ended is None:
            self._ended = error
        for fetch in self._line.fetches():
            fetch.fail(error)
        for lane, pump in zip(self._lanes, self._pumps, strict=True):
            lane.end(error)
            pump.end(error)

    async def close(self) -> None:
        """Ends every lane. Whoever still waits gets SourceLost."""
        if self._growing is not None:
            self._growing.cancel()
            await finished([self._growing])
        for lane in self._lanes:
            await lane.close()
        for pump in self._pumps:
            await pump.close()
