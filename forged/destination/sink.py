"""The way into the staging area: from the event loop to the one thread that writes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from forged.destination.staging import STEP_BYTES, Staging
from forged.kit.budget import Room
from forged.model.errors import DestinationError
from forged.model.transfer import Piece, Request, Staged

R = TypeVar("R")


class StagingSink:
    """One fetch's way into the staging area. Keeps the promises of `model.transfer.CloningSink` and `base.HomeSink`."""

    def __init__(self, staging: Staging, writer: Executor, room: Room, doubt: Callable[[], None]) -> None:
        """`writer` runs one thing at a time, in order. `doubt` is called when the destination was in trouble."""
        self._staging, self._writer, self._room, self._doubt = staging, writer, room, doubt
        self._touched: set[str] = set()
        self._trouble: DestinationError | None = None
        self._ended = False
        staging.opened()

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
        """One hop to the writing thread for all pieces. Their reservation is given back when they are written or have failed.

        Cancelled, it does not wait; bytes that the thread still holds count as held until it has let go of them.
        """
        self._touched.update([piece.request.staging for piece in pieces])
        job = self._writer.submit(self._staging.write, pieces)
        written = await self._written(job, sum(piece.size_bytes for piece in pieces))
        whole = written.whole
        while written.lagging:  # step by step, so that the pieces of others get their turn
            written = await self._written(self._writer.submit(self._staging.catch_up, written.lagging), 0)
            whole += written.whole
        self._touched.difference_update([done.staging for done in whole])
        return whole

    async def clone(self, request: Request, fd: int) -> Staged | None:
        """As the contract says. Goes step by step through the writing thread and the room, so that others get their turn."""
        self._touched.add(request.staging)
        size_bytes = request.entry.stat.size_bytes
        begun_bytes = 0
        while begun_bytes < size_bytes:
            step_bytes = min(STEP_BYTES, self.portion_bytes, size_bytes - begun_bytes)
            await self.reserve(step_bytes)
            drawn = await self._written(self._draw(request, fd, begun_bytes == 0, step_bytes), step_bytes)
            if isinstance(drawn, Staged):
                self._touched.discard(request.staging)
                return drawn
            if not drawn:
                break
            begun_bytes += step_bytes
        return None

    def _draw(self, request: Request, fd: int, begin: bool, most_bytes: int) -> Future[Staged | bool]:
        own = os.dup(fd)  # a cancelled caller closes his while the thread goes on
        job = self._writer.submit(self._staging.clone, request, own, begin, most_bytes)
        job.add_done_callback(lambda _: os.close(own))
        return job

    async def _written(self, job: Future[R], size_bytes: int) -> R:
        """What the writing thread answers; gives back the reservation when it has let go of the bytes."""
        try:
            return await asyncio.wrap_future(job)
        except DestinationError as e:
            self._trouble = e
            self._doubt()
            raise
        finally:
            self._give_when_done(job, size_bytes)

    def _give_when_done(self, job: Future[R], size_bytes: int) -> None:
        if job.done():
            self._room.give(size_bytes)
            return
        loop = asyncio.get_running_loop()

        def give(_: Future[R]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile, and its books with it
                loop.call_soon_threadsafe(self._room.give, size_bytes)

        job.add_done_callback(give)

    async def aclose(self) -> None:
        """As the contract says."""
        if self._ended:
            return
        self._ended = True
        self._staging.closed()
        await asyncio.wrap_future(self._writer.submit(self._staging.rest, self._touched))
