"""A coat around hands: while somebody else may be at work in the same place, they change nothing at home."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from forged.destination.desk import Desk
from forged.destination.hands import Hands, failed
from forged.destination.plain import Pour, Whole, Written
from forged.model.errors import DestinationError

P = ParamSpec("P")
R = TypeVar("R")

_CHANGES = frozenset({Desk.discard, Desk.sweep, Desk.land, Desk.put_sidecar, Desk.put_thumbnail, Desk.link, Desk.catch_up})
"""Besides `write` and `clone`. What only looks, opens or lets go is always done."""


class Guarded:
    """Hands that ask before each change. `why_not`: the error that a change is answered with; None = go on."""

    def __init__(self, hands: Hands, why_not: Callable[[], DestinationError | None]) -> None:
        self._hands, self._why_not = hands, why_not
        self.open, self.found, self.opening, self.aclose = hands.open, hands.found, hands.opening, hands.aclose

    @property
    def desk(self) -> int:
        return self._hands.desk

    def writing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        error = self._why_not() if call in _CHANGES else None
        return failed(error) if error else self._hands.writing(call, *args, **kwargs)

    def landing(self, call: Callable[Concatenate[Desk, P], R], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[R]:
        error = self._why_not() if call in _CHANGES else None
        return failed(error) if error else self._hands.landing(call, *args, **kwargs)

    def write(self, pours: Sequence[Pour]) -> asyncio.Future[Written]:
        error = self._why_not()
        return failed(error) if error else self._hands.write(pours)

    def clone(
        self, staging: str, attempt: int, source: int, size_bytes: int, begun: bool, most_bytes: int
    ) -> asyncio.Future[Whole | bool]:
        error = self._why_not()
        return failed(error) if error else self._hands.clone(staging, attempt, source, size_bytes, begun, most_bytes)
