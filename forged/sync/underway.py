"""What is being brought now, and how old the oldest is that has not come. A round and the notices beside it are lines of one
target: neither brings the same file side by side, nor sweeps away what another has staged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from forged.model.files import Entry
from forged.model.paths import SourcePath

Waiting = tuple[int, SourcePath]
"""A settled file that is not home: its last write, by the source's clock, and its name there."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Which line is bringing a file, and when that was written last, by the source's clock."""

    line: object
    mtime_ns: int


@dataclass(slots=True)
class Underway:
    """The files that the lines of one target have claimed, and what they are staging."""

    staging: set[str] = field(default_factory=set)
    """What the lines are staging now: a round that sweeps must leave alone what a notice is bringing beside it."""
    _claimed: dict[SourcePath, Claim] = field(default_factory=dict)
    """What is being brought, and by which line."""
    _left: Waiting | None = None
    """The oldest file that should have come and did not, since a look at everything began; None: there is none."""
    _left_before: Waiting | None = None
    """The same of the time before, until a look at everything has ended well: it has brought it, or left it again."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def is_claimed(self, path: SourcePath) -> bool:
        """Whether a line is bringing this file: a round and a notice must not bring the same one side by side."""
        return path in self._claimed

    def claim(self, entry: Entry, line: object) -> None:
        """From now on it is this line's to bring, until it is released or left."""
        self._claimed[entry.path] = Claim(line, entry.stat.mtime_ns)

    def release(self, paths: Iterable[SourcePath]) -> None:
        """They are home, or not to be had now."""
        for path in paths:
            self._claimed.pop(path, None)
        self._released.set()

    def leave(self, paths: Iterable[SourcePath]) -> None:
        """They are settled and should have come, and have not."""
        for path in paths:
            claim = self._claimed.pop(path, None)
            if claim is not None:
                self._left = _older(self._left, (claim.mtime_ns, path))
        self._released.set()

    def leave_all(self, line: object) -> None:
        """The line has ended: what it has not brought is left."""
        self.leave([path for path, claim in self._claimed.items() if claim.line is line])

    def missed(self, entries: Iterable[Entry]) -> None:
        """A watch told of these, and no line could begin with them."""
        for entry in entries:
            self._left = _older(self._left, (entry.stat.mtime_ns, entry.path))

    def look_began(self) -> None:
        """A look at everything: what was left before may come with it."""
        self._left_before, self._left = _older(self._left_before, self._left), None

    def look_ended_well(self, knows: Callable[[SourcePath], bool]) -> None:
        """What was left before it began has come, or been left again, or is not wanted any more; if the look `knows` its path."""
        if self._left_before is not None and knows(self._left_before[1]):
            self._left_before = None

    @property
    def oldest_ns(self) -> int | None:
        """When the oldest settled file that is known and not home yet was written last, by the source's clock; None: none is known.

        Never younger than it is. It may have come meanwhile, and the next look at everything finds that out.
        """
        left = [each[0] for each in (self._left, self._left_before) if each is not None]
        return min((*left, *(claim.mtime_ns for claim in self._claimed.values())), default=None)

    async def freed(self, paths: Iterable[SourcePath]) -> None:
        """Returns when nobody is bringing any of these."""
        awaited = set(paths)
        while awaited & self._claimed.keys():
            self._released.clear()
            await self._released.wait()


def _older(one: Waiting | None, other: Waiting | None) -> Waiting | None:
    return min((each for each in (one, other) if each is not None), default=None)
