"""The way into the staging area, from the event loop to whoever writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from forged.destination.desk import Desk
from forged.destination.hands import Hands, failed
from forged.destination.plain import Pour, Whole
from forged.destination.staging import STEP_BYTES
from forged.kit.budget import Room
from forged.model.errors import DestinationError
from forged.model.transfer import Piece, Request, Staged, Wholeness

R = TypeVar("R")

_WHOLENESS = {wholeness.value: wholeness for wholeness in Wholeness}
"""`Wholeness(word)` for each file takes three times as long."""


class StagingSink:
    """One fetch's way into the staging area. Keeps the promises of `model.transfer.CloningSink` and `base.HomeSink`."""

    def __init__(self, hands: Hands, room: Room, numbers: Iterator[int]) -> None:
        """`numbers` tell the attempts at one destination apart."""
        self._hands, self._room, self._numbers = hands, room, numbers
        self._desk = hands.desk
        self._attempts: dict[str, tuple[Request, int]] = {}
        self._trouble: DestinationError | None = None
        self._ended = False
        hands.writing(Desk.opened)

    @property
    def portion_bytes(self) -> int:
        return self._room.portion_bytes

    async def reserve(self, size_bytes: int) -> None:
        """Waits for room. Raises again what an earlier write ran into: nothing more should be asked for."""
        if self._trouble is not None:
            raise self._trouble
        await self._room.take(size_bytes)

    def refund(self, size_bytes: int) -> None:
        self._room.give(size_bytes)

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        """One hop for all pieces. Their reservation is given back when they are written or have failed.

        Cancelled, it does not wait; bytes that are still being written count as held until they have been let go of.
        """
        write = partial(self._hands.write, [self._pour(piece) for piece in pieces])
        whole, lagging = await self._done(write, sum([piece.size_bytes for piece in pieces]))
        while lagging:  # step by step, so that the pieces of others get their turn
            more, lagging = await self._done(partial(self._hands.writing, Desk.catch_up, lagging), 0)
            whole = whole + more
        return [self._staged(one) for one in whole]

    def _pour(self, piece: Piece) -> Pour:
        request = piece.request
        return request.staging, self._attempt(request), request.offset_bytes, piece.offset_bytes, piece.data, piece.last

    def _attempt(self, request: Request) -> int:
        known = self._attempts.get(request.staging)
        if known is None or known[0] is not request:
            known = self._attempts[request.staging] = (request, next(self._numbers))
        return known[1]

    def _staged(self, whole: Whole) -> Staged:
        staging, size_bytes, sha256, wholeness = whole
        del self._attempts[staging]
        return Staged(staging, size_bytes, sha256, _WHOLENESS[wholeness])

    async def clone(self, request: Request, fd: int) -> Staged | None:
        """As the contract says. Goes step by step through the hands and the room, so that others get their turn."""
        attempt, size_bytes, begun_bytes = self._attempt(request), request.entry.stat.size_bytes, 0
        while begun_bytes < size_bytes:
            step_bytes = min(STEP_BYTES, self.portion_bytes, size_bytes - begun_bytes)
            await self.reserve(step_bytes)
            clone = partial(self._hands.clone, request.staging, attempt, fd, size_bytes, begun_bytes > 0, step_bytes)
            drawn = await self._done(clone, step_bytes)
            if not isinstance(drawn, bool):
                return self._staged(drawn)
            if not drawn:
                break
            begun_bytes += step_bytes
        return None

    async def _done(self, ask: Callable[[], asyncio.Future[R]], size_bytes: int) -> R:
        """What is answered; gives back the reservation when the bytes have been let go of.

        A desk that has come in the place of ours knows nothing of the pieces before: with what follows, no file would be whole.
        """
        job = ask() if self._hands.desk == self._desk else failed(_let_go())
        try:
            return await asyncio.shield(job)
        except DestinationError as e:
            self._trouble = e
            raise
        finally:
            if job.done():
                self._room.give(size_bytes)
            else:
                job.add_done_callback(lambda _: self._room.give(size_bytes))

    async def aclose(self) -> None:
        """As the contract says."""
        if not self._ended:
            self._ended = True
            if self._hands.desk == self._desk:
                await asyncio.shield(self._hands.writing(Desk.closed, list(self._attempts)))


def _let_go() -> DestinationError:
    return DestinationError("what was begun to be written was let go of", hint="forged goes on with it by itself")
