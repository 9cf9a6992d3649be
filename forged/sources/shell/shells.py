"""The shells of one source: one for questions, one for hashes, one for each listing under way, and those that bring files.

They begin when they are needed. When one ends that was not told to, all end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from forged.model.errors import SourceError, SourceLost
from forged.sources.agent.pulse import START_PATIENCE_S, Duty
from forged.sources.shell.answers import Tools, tools
from forged.sources.shell.lane import Kind, LaneT, ShellLane, Told, open_shell
from forged.sources.shell.opening import Line, OpenShell
from forged.sources.shell.script import Script

MOST_IDLE = 2
"""Shells that wait for another listing: a round and a person who asks at the same time. Each is a process at the box."""


class Shells:
    """Opened by `open`, ended by `close`."""

    tools: Tools
    script: Script

    def __init__(self, open_shell: OpenShell, root: bytes, silence_limit_s: float) -> None:
        self._open_shell, self._root, self._silence_limit_s = open_shell, root, silence_limit_s
        self._all: set[ShellLane] = set()
        self._idle: list[ShellLane] = []
        self._numbers = itertools.count(1)
        self._ended: SourceError | None = None
        self._questions: ShellLane | None = None
        self._hashes: ShellLane | None = None
        self._beginning = asyncio.Lock()

    async def open(self) -> None:
        """Begins the shell for questions. Raises SourceMissing, NotSupported, and what opening a channel raises."""
        lane = await self.begin(ShellLane, Line.SHARED)
        asked: Told[Tools] = Told(lambda body: tools(self._root, body), Duty.START, START_PATIENCE_S)
        lane.ask(asked, Script.open(self._root))
        self.tools = await asked.result
        self.script = Script(self.tools.root)
        self._questions = lane

    async def begin(self, kind: Kind[LaneT], line: Line) -> LaneT:
        """A shell more. Raises what ended the source, if it has ended, and what opening a channel raises."""
        self._must_live()
        channel = await self._open_shell(line)
        lane = await open_shell(kind, channel, f"shell {next(self._numbers)}", self._silence_limit_s)
        self._all.add(lane)
        lane.on_end = self.end
        if self._ended is not None or lane.ended is not None:  # meanwhile
            await self._let_go(lane)
            raise self._ended or lane.ended or SourceLost("the shell at the source ended")
        return lane

    def _must_live(self) -> None:
        if self._ended is not None:
            raise self._ended

    @property
    def questions(self) -> ShellLane:
        """The shell for short questions. Raises what ended the source, if it has ended."""
        self._must_live()
        if self._questions is None:
            raise SourceLost("the source is not open")
        return self._questions

    async def hashes(self) -> ShellLane:
        """The shell that hashes, so that nobody waits for it who asks for less. Raises as `begin` does."""
        async with self._beginning:
            if self._hashes is None:
                self._hashes = await self.begin(ShellLane, Line.SHARED)
            return self._hashes

    @asynccontextmanager
    async def own(self) -> AsyncIterator[ShellLane]:
        """A shell that nobody else uses. Left before its answer is complete, it is ended, and with it what it does."""
        self._must_live()
        lane = self._idle.pop() if self._idle else await self.begin(ShellLane, Line.SHARED)
        try:
            yield lane
        except BaseException:
            await self._let_go(lane)
            raise
        if lane.is_idle and lane.ended is None and self._ended is None and len(self._idle) < MOST_IDLE:
            self._idle.append(lane)
        else:
            await self._let_go(lane)

    async def _let_go(self, lane: ShellLane) -> None:
        lane.on_end = lambda error: None
        self._all.discard(lane)
        await lane.close()

    def end(self, error: SourceError) -> None:
        """Ends every shell for this reason."""
        if self._ended is None:
            self._ended = error
        for lane in self._all:
            lane.end(error)

    async def close(self) -> None:
        """Waits until all have ended. Whoever still waits gets SourceLost."""
        self.end(SourceLost("the source was closed"))
        await asyncio.gather(*(lane.close() for lane in self._all))
        self._all.clear()
