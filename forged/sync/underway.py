"""What is being brought now. A round and the notices beside it are lines of one target: neither brings the same file side by side,
nor sweeps away what another has staged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from forged.model.paths import SourcePath


@dataclass(slots=True)
class Underway:
    """The files that the lines of one target have claimed, and what they are staging."""

    staging: set[str] = field(default_factory=set)
    """What the lines are staging now: a round that sweeps must leave alone what a notice is bringing beside it."""
    _claimed: dict[SourcePath, object] = field(default_factory=dict)
    """What is being brought, and by which line."""
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def is_claimed(self, path: SourcePath) -> bool:
        """Whether a line is bringing this file: a round and a notice must not bring the same one side by side."""
        return path in self._claimed

    def claim(self, path: SourcePath, line: object) -> None:
        """From now on it is this line's to bring, until it is released."""
        self._claimed[path] = line

    def release(self, paths: Iterable[SourcePath]) -> None:
        """They are home, or not to be had now."""
        for path in paths:
            self._claimed.pop(path, None)
        self._released.set()

    def release_all(self, line: object) -> None:
        """The line has ended."""
        self.release([path for path, whose in self._claimed.items() if whose is line])

    async def freed(self, paths: Iterable[SourcePath]) -> None:
        """Returns when nobody is bringing any of these."""
        awaited = set(paths)
        while awaited & self._claimed.keys():
            self._released.clear()
            await self._released.wait()
