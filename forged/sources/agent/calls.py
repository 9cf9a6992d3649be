"""What is asked of an agent, and what each call accepts as its answer. A call gets only frames with its own number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from forged.model.errors import SourceBroken, SourceError, SourceMissing
from forged.model.files import Entry, Problem, ProblemKind, Stat
from forged.model.paths import SourcePath, shown
from forged.model.places import Place
from forged.model.removal import KeptBecause, Removed
from forged.sources.agent.pulse import PATIENCE_S, Due, Duty
from forged.sources.agent.wire import (
    Frame,
    Hello,
    Kind,
    Trouble,
    expect,
    parse_hashed,
    parse_hello,
    parse_message,
    parse_nothing,
    parse_place,
    parse_stat,
    parse_trouble,
)
from forged.sources.base import Hashed

T = TypeVar("T")

Parse = Callable[[Frame], T]
"""Turns the one frame that answers a call into its result. Raises SourceBroken, or what the answer means."""

READ_TROUBLES = frozenset({ProblemKind.CHANGED, ProblemKind.VANISHED, ProblemKind.UNREADABLE})
"""What may be wrong with a file that is read or hashed (the contract of `fetch` and `hash`)."""

LOOK_TROUBLES = frozenset({ProblemKind.VANISHED, ProblemKind.UNREADABLE, ProblemKind.LINK})


class Call(Due, Protocol):
    """One thing asked of an agent."""

    def take(self, frame: Frame) -> bool:
        """Takes a frame with this call's number; True for the last one. Raises SourceBroken for one it did not ask for."""

    def fail(self, error: SourceError) -> None:
        """The lane ended before the answer."""


class Answer(Generic[T]):
    """A call that exactly one frame answers."""

    expecting = True

    def __init__(self, parse: Parse[T], duty: Duty = Duty.SMALL, patience_s: float = PATIENCE_S) -> None:
        self.duty, self.patience_s = duty, patience_s
        self._parse = parse
        self.result: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def take(self, frame: Frame) -> bool:
        if self.result.done():  # nobody waits any more
            return True
        try:
            result = self._parse(frame)
        except SourceMissing as error:
            self.fail(error)
        else:
            self.result.set_result(result)
        return True

    def fail(self, error: SourceError) -> None:
        if not self.result.done():
            self.result.set_exception(error)
            self.result.exception()  # counts as seen: of several calls that fail together, only the first is waited for


# --- what the answers mean ------------------------------------------------------------------------------------------------


def refused(frame: Frame, root: bytes) -> SourceMissing:
    """The agent cannot open the root folder."""
    return SourceMissing(f"{shown(root)}: {parse_message(expect(frame, Kind.REFUSED))}")


def greeting(root: bytes) -> Parse[Hello]:
    """Raises SourceMissing when the root cannot be opened."""

    def parse(frame: Frame) -> Hello:
        if frame.kind == Kind.REFUSED:
            raise refused(frame, root)
        return parse_hello(expect(frame, Kind.HELLO))

    return parse


def only(kind: Kind, parse_payload: Callable[[bytes], T]) -> Parse[T]:
    """An answer that cannot go wrong honestly."""
    return lambda frame: parse_payload(expect(frame, kind))


def looked(path: SourcePath) -> Parse[Stat | Problem]:
    def parse(frame: Frame) -> Stat | Problem:
        if frame.kind == Kind.PROBLEM:
            return problem(path, frame, LOOK_TROUBLES)
        return parse_stat(expect(frame, Kind.LOOKED))

    return parse


def placed(folder: bytes) -> Parse[Place | Problem]:
    def parse(frame: Frame) -> Place | Problem:
        if frame.kind == Kind.PROBLEM:
            return problem(folder, frame, LOOK_TROUBLES)
        return parse_place(expect(frame, Kind.PLACED))

    return parse


def hashed(entry: Entry) -> Parse[Hashed | Problem]:
    def parse(frame: Frame) -> Hashed | Problem:
        if frame.kind == Kind.PROBLEM:
            return problem(entry.path, frame, READ_TROUBLES)
        after, sha256 = parse_hashed(expect(frame, Kind.HASHED))
        return Hashed(entry, after, sha256)

    return parse


def folder_removed(frame: Frame) -> bool:
    """False for whatever kept it: it is not empty, not there, not ours to remove."""
    if frame.kind == Kind.PROBLEM:
        parse_trouble(frame.payload)
        return False
    parse_nothing(expect(frame, Kind.REMOVED))
    return True


def removed(path: SourcePath) -> Parse[Removed]:
    def parse(frame: Frame) -> Removed:
        if frame.kind == Kind.PROBLEM:
            trouble = parse_trouble(frame.payload)
            return Removed(path, _kept(trouble), trouble.message)
        parse_nothing(expect(frame, Kind.REMOVED))
        return Removed(path)

    return parse


def problem(path: bytes, frame: Frame, allowed: frozenset[ProblemKind]) -> Problem:
    """The PROBLEM that answers a call about `path`."""
    trouble = parse_trouble(frame.payload)
    if trouble.kind not in allowed:
        raise SourceBroken("the agent sent a problem of a kind that does not belong there")
    return Problem(path, trouble.kind, trouble.message)


def _kept(trouble: Trouble) -> KeptBecause:
    match trouble.kind:
        case ProblemKind.CHANGED:
            return KeptBecause.CHANGED
        case ProblemKind.VANISHED:
            return KeptBecause.VANISHED
        case _:
            return KeptBecause.FAILED
