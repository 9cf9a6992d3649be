"""A destination that is a folder of this machine: a disk, a NAS mount, anything with a path."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from forged.destination.base import (
    Closed,
    HomeFile,
    HomeLook,
    Landing,
    Linked,
    LinkMode,
    NoReplace,
    Readiness,
    Refused,
    SidecarPut,
)
from forged.destination.desk import Desk
from forged.destination.hands import Hands
from forged.destination.plain import Fate, Opened, Seen, Wish
from forged.destination.sink import StagingSink
from forged.kit.budget import Room
from forged.model.files import Problem, ProblemKind
from forged.model.paths import HomePath
from forged.model.transfer import Landed, LandedAs, Wholeness

T = TypeVar("T")

FILES_PER_HOP = 1_000
"""Files per visit: the hop's cost vanishes, one journal commit serves many, and a visit still ends soon."""


class PosixDestination:
    """One folder as one target uses it. Keeps the promises of `base.Destination`; the work is done by its hands.

    A cancelled caller does not wait; what was begun is finished, and every step of it may be repeated.
    """

    def __init__(self, hands: Hands, room: Room) -> None:
        self._hands, self._room = hands, room
        self._attempts = itertools.count(1)

    async def ready(self, known_id: str | None, *, may_be_new: bool = True) -> Readiness:
        await self._hands.open()
        id, free_bytes, level = await asyncio.shield(self._hands.landing(Desk.ready, known_id, may_be_new))
        self._hands.found(id, level)
        return Readiness(id, free_bytes, NoReplace(level))

    def sink(self) -> StagingSink:
        return StagingSink(self._hands, self._room, self._attempts)

    async def resume_points(self, stagings: Sequence[str]) -> Sequence[int]:
        return await asyncio.shield(self._hands.writing(Desk.resume_points, stagings))

    async def free_space_bytes(self) -> int:
        return await asyncio.shield(self._hands.landing(Desk.free_space_bytes))

    async def room_bytes(self) -> int:
        return await asyncio.shield(self._hands.landing(Desk.room_bytes))

    async def discard(self, stagings: Collection[str]) -> None:
        await asyncio.shield(self._hands.writing(Desk.discard, list(stagings)))

    async def sweep(self, keep: Collection[str]) -> int:
        return await asyncio.shield(self._hands.writing(Desk.sweep, list(keep)))

    async def land(self, batch: Sequence[Landing]) -> Sequence[Landed | Problem]:
        answers: list[Landed | Problem] = []
        for some in _hops(batch):
            fates = await asyncio.shield(self._hands.landing(Desk.land, [_wish(landing) for landing in some]))
            answers += [_answer(landing, fate) for landing, fate in zip(some, fates, strict=True)]
        return answers

    async def look(self, homes: Sequence[HomePath]) -> Sequence[HomeLook | Closed | None]:
        looks: list[HomeLook | Closed | None] = []
        for some in _hops(homes):
            looks += [_look(seen) for seen in await asyncio.shield(self._hands.landing(Desk.look, some))]
        return looks

    async def hash(self, home: HomePath) -> bytes | None:
        return await asyncio.shield(self._hands.landing(Desk.hash, home))

    async def inspect(self, home: HomePath) -> Wholeness:
        return Wholeness(await asyncio.shield(self._hands.landing(Desk.inspect, home)))

    async def confirm(self, batch: Sequence[HomePath]) -> None:
        for some in _hops(batch):
            await asyncio.shield(self._hands.landing(Desk.confirm, some))

    async def open(self, home: HomePath) -> HomeFile | Closed | None:
        answer = self._hands.opening(home)
        try:
            opened = await asyncio.shield(answer)
        except asyncio.CancelledError:
            answer.add_done_callback(_close_unwanted)
            raise
        if isinstance(opened, bool):
            return Closed.CLOSED if opened else None
        fd, size_bytes, mtime_ns = opened
        return HomeFile(fd, HomeLook(size_bytes, mtime_ns))

    async def sidecar(self, home: HomePath) -> bytes | Refused | None:
        told = await asyncio.shield(self._hands.landing(Desk.sidecar, home))
        return Refused(told[1]) if isinstance(told, tuple) else told

    async def put_sidecar(self, home: HomePath, content: bytes, expects: bytes | None) -> SidecarPut | Refused:
        how, why = await asyncio.shield(self._hands.landing(Desk.put_sidecar, home, content, expects))
        return SidecarPut(how) if how else Refused(why)

    async def put_thumbnail(self, sha256: bytes, content: bytes) -> None:
        await asyncio.shield(self._hands.landing(Desk.put_thumbnail, sha256, content))

    async def thumbnail(self, sha256: bytes) -> bytes | None:
        return await asyncio.shield(self._hands.landing(Desk.thumbnail, sha256))

    async def link(self, first: HomePath, second: HomePath, sha256: bytes, mode: LinkMode) -> Linked:
        how, _ = await asyncio.shield(self._hands.landing(Desk.link, first, second, sha256, mode.value))
        return Linked(how)

    async def aclose(self) -> None:
        await self._hands.aclose()


_HOW = {how.value: how for how in LandedAs}
"""`LandedAs(how)` for each file takes three times as long."""


def _hops(batch: Sequence[T]) -> Iterator[Sequence[T]]:
    return (batch[start : start + FILES_PER_HOP] for start in range(0, len(batch), FILES_PER_HOP))


def _wish(landing: Landing) -> Wish:
    receipt, staged = landing.receipt, landing.receipt.staged
    mtime_ns, own_name = receipt.entry.stat.mtime_ns, landing.own_name or landing.home
    replaces = landing.replaces_sha256, own_name, landing.replaces_bytes
    return staged.staging, staged.size_bytes, staged.sha256, mtime_ns, landing.home, *replaces


def _answer(landing: Landing, fate: Fate) -> Landed | Problem:
    receipt = landing.receipt
    if isinstance(fate, str):
        return Problem(receipt.entry.path, ProblemKind.HOME, fate)
    home, how = fate
    return Landed(receipt.entry, home, receipt.staged.sha256, _HOW[how], receipt.incomplete)


def _close_unwanted(answer: asyncio.Future[Opened]) -> None:
    """Nobody waits for this file any more."""
    if not answer.cancelled() and answer.exception() is None:
        opened = answer.result()
        if not isinstance(opened, bool):
            os.close(opened[0])


def _look(seen: Seen) -> HomeLook | Closed | None:
    if isinstance(seen, bool):
        return Closed.CLOSED if seen else None
    return HomeLook(*seen)
