"""AgentSource: a Source whose far end is our agent, over channels of any kind (SSH, `docker exec`, the pipes of a process)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar

from forged.model.errors import NotSupported, SourceBroken
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, SamePart, Stat
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.model.removal import Removable, Removed
from forged.model.transfer import Fetched, Request, Sink
from forged.sources.agent.calls import Answer, Parse, folder_removed, hashed, looked, only, placed, removed
from forged.sources.agent.lane import Lane, OpenChannel, open_lane
from forged.sources.agent.lanes import Lanes
from forged.sources.agent.listing import ListingCall, askable, outermost
from forged.sources.agent.pulse import PATIENCE_S, Duty, hash_patience_s
from forged.sources.agent.watching import LIMIT_HINT, Pace, WatchCall
from forged.sources.agent.watching import WINDOW_BLOCKS as WATCH_WINDOW_BLOCKS
from forged.sources.agent.wire import (
    Kind,
    Space,
    folders_payload,
    hash_payload,
    list_payload,
    parse_space,
    parse_time_ns,
    remove_payload,
)
from forged.sources.base import SILENCE_LIMIT_S, Capabilities, Hashed, Notices

BATCH_CALLS = 512
"""Looks, hashes and removals asked for in one go: 50 KB of commands, enough for 3,400 a second at 150 ms."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """A command, its payload, how to read its answer, and how long to wait for it."""

    kind: Kind
    payload: bytes
    parse: Parse[T]
    patience_s: float = PATIENCE_S

    def call(self) -> Answer[T]:
        return Answer(self.parse, Duty.HASH if self.kind is Kind.HASH else Duty.SMALL, self.patience_s)


class AgentSource:
    """A source that an agent looks after. Lives as the contract says; once lost or broken it stays so: open a new one.

    `open_channel` opens a channel to a new process that runs `launch.shell_command()` or `launch.argv()`; the program itself and
    `root` (absolute, bytes) go through the channel. It is called once when the source opens, and up to `max_lanes` times while
    much waits to be fetched. `transport` is a word for people (`ssh`).
    """

    def __init__(
        self,
        open_channel: OpenChannel,
        root: bytes,
        *,
        transport: str,
        max_lanes: int = 1,
        silence_limit_s: float = SILENCE_LIMIT_S,
    ) -> None:
        self._root, self._transport = root, transport

        async def opened(name: str) -> Lane:
            return await open_lane(open_channel, root, name, silence_limit_s)

        self._lanes = Lanes(opened, max_lanes)

    @property
    def capabilities(self) -> Capabilities:
        hello = self._lanes.first.hello
        return Capabilities(
            transport=f"{self._transport} agent (python {hello.python})",
            hashing="hash" in hello.abilities,
            guarded_removal="remove" in hello.abilities,
            watching="watch" in hello.abilities,
        )

    async def __aenter__(self) -> Self:
        await self._lanes.open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._lanes.close()

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        lane, wanted, asked = self._lanes.first, outermost(folders), askable(known)
        call = ListingCall(wanted, asked, self._root)
        number = lane.ask(call, Kind.LIST, list_payload(wanted, asked))
        try:
            while True:
                if amount := call.to_grant():
                    lane.grant(number, amount)
                part = await call.next()
                yield part
                if isinstance(part, ListingEnd):
                    return
        except SourceBroken as error:
            lane.end(error)
            raise
        finally:
            call.close()
            lane.cancel([number])

    def fetch(self, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        return self._lanes.fetch(batch, sink)

    async def hash(self, entries: Sequence[Entry]) -> AsyncGenerator[Hashed | Problem, None]:
        if not self.capabilities.hashing:
            raise NotSupported("the agent at this source cannot hash")
        for start in range(0, len(entries), BATCH_CALLS):
            batch = entries[start : start + BATCH_CALLS]
            questions = [_hashing(entry) for entry in batch]
            async with aclosing(self._answers(questions)) as answers:
                async for answer in answers:
                    yield answer

    async def look(self, paths: Sequence[SourcePath]) -> Sequence[Stat | Problem]:
        answers: list[Stat | Problem] = []
        for start in range(0, len(paths), BATCH_CALLS):
            batch = paths[start : start + BATCH_CALLS]
            answers += [answer async for answer in self._answers(Question(Kind.LOOK, path, looked(path)) for path in batch)]
        return answers

    async def resolve(self, folders: Sequence[bytes]) -> Sequence[Place | Problem]:
        questions = (Question(Kind.RESOLVE, folder, placed(folder)) for folder in folders)
        return [answer async for answer in self._answers(questions)]

    async def clock_ns(self) -> int:
        asked_s = time.monotonic()
        clock_ns = await self._answer(Question(Kind.CLOCK, b"", only(Kind.TIME, parse_time_ns)))
        self._lanes.answered(time.monotonic() - asked_s)
        return clock_ns

    async def space(self) -> Space:
        """Free and total bytes of the disk that holds the root."""
        return await self._answer(Question(Kind.SPACE, b"", only(Kind.ROOM, parse_space)))

    async def watch(self, folders: Sequence[SourcePath] = ()) -> AsyncGenerator[Notices, None]:
        if not self.capabilities.watching:
            raise NotSupported("the box does not let the agent watch (inotify)", hint=LIMIT_HINT)
        lane, wanted = self._lanes.first, outermost(folders)
        call, pace = WatchCall(wanted, self._root), Pace(time.monotonic())
        number = lane.ask(call, Kind.WATCH, folders_payload(wanted))
        try:
            amount = WATCH_WINDOW_BLOCKS
            while True:
                call.granted(amount)
                lane.grant(number, amount)
                notices = await call.next()
                yield notices
                await asyncio.sleep(pace.told(1 + notices.names, time.monotonic()))
                amount = 1
        finally:
            call.close()
            lane.cancel([number])

    async def remove(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        if not self.capabilities.guarded_removal:
            raise NotSupported("the agent at this source cannot remove under guard")
        answers: list[Removed] = []
        for start in range(0, len(batch), BATCH_CALLS):
            questions = [_removal(removable) for removable in batch[start : start + BATCH_CALLS]]
            answers += [answer async for answer in self._answers(questions)]
        return answers

    async def remove_unguarded(self, batch: Sequence[Removable]) -> Sequence[Removed]:
        raise NotSupported("an agent removes under guard, or not at all")

    async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
        if not self.capabilities.guarded_removal:
            raise NotSupported("the agent at this source cannot remove under guard")
        deepest_first = sorted(set(folders), reverse=True)  # what is in a folder comes after it in ascending order
        answers: list[bool] = []
        for start in range(0, len(deepest_first), BATCH_CALLS):
            batch = deepest_first[start : start + BATCH_CALLS]
            questions = [Question(Kind.REMOVE_FOLDER, folder, folder_removed) for folder in batch]
            answers += [answer async for answer in self._answers(questions)]
        return [folder for folder, gone in zip(deepest_first, answers, strict=True) if gone]

    async def _answer(self, question: Question[T]) -> T:
        (answer,) = [answer async for answer in self._answers([question])]
        return answer

    async def _answers(self, questions: Iterable[Question[T]]) -> AsyncGenerator[T, None]:
        """Asks all, answers in the order asked, which is the order in which the agent works. Closed early, it cancels the rest."""
        lane = self._lanes.first
        asked = [(question, question.call()) for question in questions]
        numbers = [lane.ask(call, question.kind, question.payload) for question, call in asked]
        try:
            for _, call in asked:
                yield await call.result
        finally:
            lane.cancel(numbers)
            for _, call in asked:
                call.result.cancel()


def _hashing(entry: Entry) -> Question[Hashed | Problem]:
    patience_s = hash_patience_s(entry.stat.size_bytes)
    return Question(Kind.HASH, hash_payload(entry.path, entry.stat), hashed(entry), patience_s)


def _removal(removable: Removable) -> Question[Removed]:
    """Where inode or ctime moved, the agent hashes the file before it removes it."""
    path, patience_s = removable.row.path, hash_patience_s(removable.expected.size_bytes)
    payload = remove_payload(path, removable.expected, removable.row.sha256)
    return Question(Kind.REMOVE, payload, removed(path), patience_s)
