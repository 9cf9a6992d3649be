"""Whose turn it is, where several parties want bytes of one thing: room in a budget, or bandwidth."""

from __future__ import annotations

import asyncio
import itertools
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

P = TypeVar("P", bound=Hashable)


@dataclass(slots=True, eq=False)
class _Wish:
    size_bytes: int
    number: int  # who asked first, over all parties
    granted: asyncio.Future[None]


class Turns(ABC, Generic[P]):
    """Wishes that wait, in a line for each party. The subclass says what may go, and keeps the books.

    First come, first served within a party. Between parties the one of the least rank goes first, and of equals the one that waits
    longest. Nobody is passed over because its wish is large: while the next in turn may not go, nobody does.
    """

    def __init__(self) -> None:
        self._lines: dict[P, deque[_Wish]] = {}
        self._numbers = itertools.count()

    @abstractmethod
    def _rank(self, party: P) -> int:
        """The least goes first."""

    @abstractmethod
    def _may_go(self, party: P, size_bytes: int) -> bool:
        """Whether this wish may be granted now."""

    @abstractmethod
    def _enter(self, party: P, size_bytes: int) -> None:
        """Into the books: it is granted."""

    @abstractmethod
    def _give_back(self, party: P, size_bytes: int) -> None:
        """Out of the books again: whoever wished has gone in the moment in which it was granted."""

    def _goes_at_once(self, party: P, size_bytes: int) -> bool:
        """Grants a wish for which nobody has to wait; nothing is awaited and nothing allocated for it."""
        if self._lines or not self._may_go(party, size_bytes):
            return False
        self._enter(party, size_bytes)
        return True

    async def _wait(self, party: P, size_bytes: int) -> None:
        """Returns when the wish is granted. Cancelled, it leaves nothing in the books."""
        wish = _Wish(size_bytes, next(self._numbers), asyncio.get_running_loop().create_future())
        self._lines.setdefault(party, deque()).append(wish)
        self._serve()
        try:
            await wish.granted
        except asyncio.CancelledError:
            if wish.granted.cancelled():
                self._serve()  # the others may have waited behind it
            else:
                self._give_back(party, size_bytes)
            raise

    def _serve(self) -> None:
        """Grants what may go now. For whoever changes what may go."""
        while self._lines:
            party = min(self._lines, key=lambda party: (self._rank(party), self._lines[party][0].number))
            line = self._lines[party]
            wish = line[0]
            if not wish.granted.done():  # else it was cancelled, and is only passed by
                if not self._may_go(party, wish.size_bytes):
                    return
                self._enter(party, wish.size_bytes)
                wish.granted.set_result(None)
            line.popleft()
            if not line:
                del self._lines[party]
