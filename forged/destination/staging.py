"""Where bytes wait for their final names: `.forged/staging/<namespace>/`, and the sink that pours them in.

`Staging` blocks and runs in one thread, so that the pieces of a file stay in order without locks; `StagingSink` is its face to
the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Executor, Future
from typing import TypeVar

from forged.destination.claims import settle_claim
from forged.destination.pouring import Pouring, ahead_name, beginning_bytes, part_name
from forged.destination.root import Place, Root
from forged.kit.budget import Room
from forged.kit.durable import Folders
from forged.model.errors import DestinationError
from forged.model.transfer import Piece, Request, Staged, Wholeness

R = TypeVar("R")

Inspect = Callable[[int, int], Wholeness]
"""Looks at the end of a file by its format: (descriptor open for reading, size in bytes). Never raises for what it reads, does
not close the descriptor, and does not rely on its position."""

MOST_OPEN = 64
"""Unfinished files held open at once; more are closed and opened again in turn. A soft limit of 1,024 serves 15 targets so."""

LOOK_EVERY_BYTES = 64 << 20
"""Between two looks at the free space; as much as [transfer] in_flight, so min_free is missed by no more than twice that."""

DRAW_BYTES = 4 << 20
"""Of a file that is cloned or copied by the kernel, in one step: 3 ms of hashing, so that the pieces of others are not held up."""


class Staging:
    """The staging area of one target."""

    def __init__(self, root: Root, inspect: Inspect) -> None:
        self._root = root
        self._inspect = inspect
        self._pourings: dict[str, Pouring] = {}
        self._open: dict[str, Pouring] = {}  # those that hold a descriptor, in the order of last use
        self._unlooked_bytes = 0

    def write(self, pieces: Sequence[Piece]) -> list[Staged]:
        """Takes all pieces in one go; answers the files that became whole. Raises DestinationError and SourceBroken."""
        staged = []
        with self._root.enter() as place:
            self._check_free(place, sum(piece.size_bytes for piece in pieces))
            for piece in pieces:
                pouring = self._pouring(place, piece)
                pouring.add(place.staging, piece)
                if pouring.whole:
                    staged.append(self._finish(place, pouring))
        return staged

    def clone(self, request: Request, source: int, begin: bool, most_bytes: int) -> Staged | bool:
        """Draws the next bytes of a whole file from the open file `source`; `begin` with the first ones.

        Answers the file when it is whole, else whether it goes on like this. Raises DestinationError.
        """
        with self._root.enter() as place:
            self._check_free(place, most_bytes)
            pouring = self._begin(place, request) if begin else self._pourings.get(request.staging)
            if pouring is None:
                return False  # swept away meanwhile
            self._hold_open(pouring)
            if not pouring.draw(place.staging, source, most_bytes):
                self.close([request.staging])
                return False
            return self._finish(place, pouring) if pouring.whole else True

    def resume_points(self, stagings: Sequence[str]) -> list[int]:
        """As the contract says. The folder is listed once: mostly it is empty, and nothing has to be asked by name."""
        with self._root.enter() as place:
            there = set(os.listdir(place.staging))
            return [
                beginning_bytes(place.staging, staging) if os.fsdecode(part_name(staging)) in there else 0 for staging in stagings
            ]

    def close(self, stagings: Collection[str]) -> None:
        """Lets go of unfinished files; they stay."""
        for staging in stagings:
            pouring = self._pourings.pop(staging, None)
            if pouring is not None:
                self._open.pop(staging, None)
                pouring.close()

    def close_all(self) -> None:
        """Lets go of all unfinished files; they stay."""
        self.close(list(self._pourings))

    def discard(self, stagings: Collection[str]) -> None:
        """As the contract says."""
        self.close(stagings)
        with self._root.enter() as place, self._root.folders(place) as folders:
            for staging in stagings:
                _drop(place, folders, staging)

    def sweep(self, keep: Collection[str]) -> int:
        """As the contract says."""
        kept = set(keep)
        self.close([staging for staging in self._pourings if staging not in kept])
        with self._root.enter() as place, self._root.folders(place) as folders:
            strays = [name for name in os.listdir(place.staging) if os.path.splitext(name)[0] not in kept]
            for staging in {os.path.splitext(name)[0] for name in strays}:
                _drop(place, folders, staging)
            for name in strays:  # what else lies there: probes and temporary notes of a crash
                _unlink(place.staging, os.fsencode(name))
            return len(strays)

    def _pouring(self, place: Place, piece: Piece) -> Pouring:
        staging = piece.request.staging
        pouring = self._pourings.get(staging)
        if pouring is None or pouring.restarts(piece):
            pouring = self._begin(place, piece.request)
        self._hold_open(pouring)
        return pouring

    def _begin(self, place: Place, request: Request) -> Pouring:
        self.close([request.staging])
        pouring = self._pourings[request.staging] = Pouring(place.staging, request)
        return pouring

    def _hold_open(self, pouring: Pouring) -> None:
        """It is used now; another one is let go of where too many are open."""
        self._open.pop(pouring.request.staging, None)
        self._open[pouring.request.staging] = pouring
        if len(self._open) > MOST_OPEN:
            self._open.pop(next(iter(self._open))).close()

    def _finish(self, place: Place, pouring: Pouring) -> Staged:
        staging, size_bytes = pouring.request.staging, pouring.size_bytes
        try:
            wholeness = self._inspect(pouring.opened(place.staging), size_bytes)
        finally:
            self.close([staging])
        return Staged(staging, size_bytes, pouring.sha256, wholeness)

    def _check_free(self, place: Place, size_bytes: int) -> None:
        """Before that many more are written. Raises DiskFull."""
        self._unlooked_bytes += size_bytes
        if self._unlooked_bytes >= LOOK_EVERY_BYTES:
            self._unlooked_bytes = 0
            self._root.check_free(place.staging)


def _drop(place: Place, folders: Folders, staging: str) -> None:
    """The bytes go first: without its note a file with a hole would look like an unbroken beginning."""
    _unlink(place.staging, part_name(staging))
    _unlink(place.staging, ahead_name(staging))
    settle_claim(place.staging, staging, folders)


def _unlink(folder: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)


class StagingSink:
    """One fetch's way into the staging area. Keeps the promises of `model.transfer.CloningSink` and `base.HomeSink`."""

    def __init__(self, staging: Staging, writer: Executor, room: Room, doubt: Callable[[], None]) -> None:
        """`writer` runs one thing at a time, in order. `doubt` is called when the destination was in trouble."""
        self._staging, self._writer, self._room, self._doubt = staging, writer, room, doubt
        self._touched: set[str] = set()
        self._trouble: DestinationError | None = None

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
        self._touched.update(piece.request.staging for piece in pieces)
        job = self._writer.submit(self._staging.write, pieces)
        staged = await self._written(job, sum(piece.size_bytes for piece in pieces))
        self._touched.difference_update(done.staging for done in staged)
        return staged

    async def clone(self, request: Request, fd: int) -> Staged | None:
        """As the contract says. Goes step by step through the writing thread and the room, so that others get their turn."""
        self._touched.add(request.staging)
        size_bytes = request.entry.stat.size_bytes
        begun_bytes = 0
        while begun_bytes < size_bytes:
            step_bytes = min(DRAW_BYTES, self.portion_bytes, size_bytes - begun_bytes)
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
        touched, self._touched = self._touched, set()
        await asyncio.wrap_future(self._writer.submit(self._staging.close, touched))
