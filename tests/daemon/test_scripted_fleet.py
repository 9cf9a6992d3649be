"""Fifty instances over ten minutes: they start, move, lose their key, lose their API and vanish. All comes home; alarms ring."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from typing import cast

import pytest

from forged.daemon.standing import State
from forged.discovery.base import Discovery
from forged.discovery.memory import Fail, Fault, MemoryDiscovery
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.events import EventKind
from forged.model.target import SourceAddress, SourceKind
from tests.daemon.grounds import Gate, Grounds, LivingBox, discovery, grounds
from tests.discovery.desks import Desk
from tests.discovery.runpod_api import RunpodDesk
from tests.discovery.vast_api import VastDesk
from tests.support.http_server import Close, CutInTheMiddle, CutUnnoticed, Html, HttpServer, Json, Reply, Request, http_server
from tests.support.virtual import VirtualLoop, virtual

INSTANCES = 50
SECONDS = 600
BELIEVED_S = 300
"""Afterwards nothing happens any more, for as long as it takes to believe that the last boxes are gone."""

FATES = ("stays", "moves", "loses its key", "stops", "vanishes empty", "vanishes with a backlog", "ends soon")


class Instance:
    """One box of the script, with a ledger of what it wrote and when."""

    def __init__(self, world: Grounds, number: int) -> None:
        self.world, self.number = world, number
        self.id = BoxId(f"{100 + number}")
        self.fate = FATES[number % len(FATES)]
        self.box = LivingBox()
        self.key = f"key of {number}"
        self.ports = 0
        self.at: SourceAddress | None = None
        self.ledger: dict[bytes, bytes] = {}

    @property
    def name(self) -> str:
        return f"cloud-{self.id}"

    def tell(self, state: BoxState = BoxState.RUNNING, end_ns: int | None = None) -> None:
        dead = SourceAddress(SourceKind.SSH, "", "direct", "root", 1)
        addresses = (dead, self.at) if self.at and self.number % 3 == 0 else (self.at,) if self.at else ()
        self.world.provider().put(Box(self.id, state, addresses, f"label {self.number}", end_ns))

    def start(self) -> None:
        self.ports += 1
        self.at = SourceAddress(SourceKind.SSH, "", f"h{self.number}", "root", self.ports)
        self.world.network.up(self.at, self.box, self.key)
        self.tell()

    def stop(self) -> None:
        assert self.at is not None
        self.world.network.down(self.at)
        self.at = None

    def write(self, n: int) -> None:
        path, data = b"ComfyUI_%05d_.png" % n, b"%d of %d" % (n, self.number)
        self.box.write(path, data)
        self.ledger[path] = data

    async def live(self, chance: random.Random) -> None:
        await asyncio.sleep(chance.uniform(0, 100))
        self.start()
        for n in range(5):
            await asyncio.sleep(chance.uniform(1, 20))
            self.write(n)
        await asyncio.sleep(60)
        await self.suffer()

    async def suffer(self) -> None:
        if self.fate == "moves":
            self.stop()
            self.start()
        elif self.fate == "loses its key":
            self.stop()
            self.key += ", another"
            self.start()
        elif self.fate == "stops":
            self.stop()
            self.tell(BoxState.STOPPED)
            await asyncio.sleep(120)
            self.start()
        elif self.fate == "ends soon":
            self.tell(end_ns=self.world.clock.now_ns() + 1800 * 10**9)
        elif self.fate == "vanishes empty":
            self.stop()
            self.world.provider().take(self.id)
            return
        elif self.fate == "vanishes with a backlog":
            await self.vanish_in_the_middle()
            return
        await asyncio.sleep(5)
        self.write(99)

    async def vanish_in_the_middle(self) -> None:
        home = self.world.home("cloud")
        kept, home.room = home.room, (gate := Gate())
        self.box.write(b"film.mp4", b"never home")
        await asyncio.sleep(0.5)
        home.room = kept
        self.stop()
        self.world.provider().take(self.id)
        gate.open.set()  # for whoever else wanted room in that moment


async def api_fails(world: Grounds) -> None:
    """An outage longer than a provider's restart, while boxes go on working."""
    await asyncio.sleep(250)
    world.provider().faults = [Fail()]
    await asyncio.sleep(60)
    world.provider().faults = []


class Provider:
    """One that answers over HTTP: as a provider in memory to those who change what is there.

    Every other question meets a fault, each kind in its turn, and none is whole while `faults` are set.
    """

    def __init__(self, desk: Desk, server: HttpServer, kinds: Sequence[HttpFault]) -> None:
        self.faults: list[Fault] = []
        self.asked = 0
        self.met: Counter[str] = Counter()
        self._desk, self._kinds = desk, cycle(kinds)
        self._there: dict[BoxId, Box] = {}
        self._whole, server.answer = server.answer, self._answer
        self._broken: HttpFault | None = None

    def put(self, box: Box) -> None:
        self._there[box.id] = box

    def take(self, id: BoxId) -> None:
        del self._there[id]

    def _answer(self, request: Request) -> Reply:
        self._desk.there.boxes = sorted(self._there.values(), key=lambda box: int(box.id))
        if "after_token" not in request.target:
            self.asked += 1
            self._broken = next(self._kinds) if self.faults or self.asked % 2 == 0 else None
        whole = self._whole(request)
        answer = whole if self._broken is None else self._broken(whole, request)
        if answer is not whole and self._broken is not None:
            self.met[self._broken.__name__] += 1
        return answer


HttpFault = Callable[[Reply, Request], Reply]
"""What comes in place of a whole answer."""


def withdrawn(whole: Reply, request: Request) -> Reply:
    return Json({"success": False, "error": "gone", "msg": "use the next version"}, 410)


def throttled(whole: Reply, request: Request) -> Reply:
    return Json({"detail": "API requests too frequent endpoint threshold=2.0"}, 429)


def a_portal(whole: Reply, request: Request) -> Reply:
    return Html()


def a_firewall(whole: Reply, request: Request) -> Reply:
    return Html(403)


def nothing(whole: Reply, request: Request) -> Reply:
    return Reply(200, b"", {"Content-Type": "application/json"})


def half(whole: Reply, request: Request) -> Reply:
    return Reply(200, whole.body[: len(whole.body) // 2], {"Content-Type": "application/json"})


def cut(whole: Reply, request: Request) -> Reply:
    return CutInTheMiddle(200, whole.body)


def cut_unnoticed(whole: Reply, request: Request) -> Reply:
    return CutUnnoticed(200, whole.body)


def an_outage(whole: Reply, request: Request) -> Reply:
    return Json({"error": "server_error"}, 503)


def hung_up(whole: Reply, request: Request) -> Reply:
    return Close()


def page_two_vanished(whole: Reply, request: Request) -> Reply:
    """The first page says that it is the last."""
    return Json({**json.loads(whole.body), "next_token": None})


def page_two_failed(whole: Reply, request: Request) -> Reply:
    return Json({"error": "not found"}, 404) if "after_token" in request.target else whole


def page_two_throttled(whole: Reply, request: Request) -> Reply:
    return throttled(whole, request) if "after_token" in request.target else whole


def page_two_never_was(whole: Reply, request: Request) -> Reply:
    """A lie without a flaw: one page, and it says that these are all."""
    page = json.loads(whole.body)
    return Json({**page, "next_token": None, "total_instances": len(page["instances"])})


def half_of_them(whole: Reply, request: Request) -> Reply:
    """The same for a list that has no pages, and cannot be found out either."""
    pods = json.loads(whole.body)["pods"]
    return Json({"pods": pods[: len(pods) // 2]})


EVERYWHERE = (withdrawn, throttled, a_portal, a_firewall, nothing, half, cut, cut_unnoticed, an_outage, hung_up)
PAGED = (*EVERYWHERE, page_two_vanished, page_two_failed, page_two_throttled, page_two_never_was)
UNPAGED = (*EVERYWHERE, half_of_them)


class Outside:
    """A discovery over real sockets, in virtual time."""

    def __init__(self, inner: Discovery) -> None:
        self.inner = inner
        self.warnings, self.aclose = inner.warnings, inner.aclose

    async def boxes(self) -> tuple[Box, ...]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        with loop.outside():
            return await self.inner.boxes()


@asynccontextmanager
async def in_memory(world: Grounds, folder: Path) -> AsyncIterator[bool]:
    yield True


@asynccontextmanager
async def at_vast_ai(world: Grounds, folder: Path) -> AsyncIterator[bool]:
    async with http_server(lambda _: Reply()) as server:
        desk = VastDesk(server, folder)
        provider = Provider(desk, server, PAGED)
        world.providers["cloud"] = cast("MemoryDiscovery", provider)
        world.asked_by["cloud"] = Outside(desk.discovery(clock=world.clock))
        yield desk.tells_ends
        assert set(provider.met) == {kind.__name__ for kind in PAGED}, provider.met


@asynccontextmanager
async def at_runpod(world: Grounds, folder: Path) -> AsyncIterator[bool]:
    async with http_server(lambda _: Reply()) as server:
        desk = RunpodDesk(server, folder)
        provider = Provider(desk, server, UNPAGED)
        world.providers["cloud"] = cast("MemoryDiscovery", provider)
        world.asked_by["cloud"] = Outside(desk.discovery())
        yield desk.tells_ends
        assert set(provider.met) == {kind.__name__ for kind in UNPAGED}, provider.met


async def played(world: Grounds) -> list[Instance]:
    chance = random.Random(6)
    fleet = [Instance(world, number) for number in range(INSTANCES)]
    await world.apply(discoveries=(discovery(home=replace(discovery().template.home, layout="{target}/{path}")),))
    lives = [asyncio.ensure_future(one.live(chance)) for one in fleet]
    lives.append(asyncio.ensure_future(api_fails(world)))
    for second in range(0, SECONDS, 5):
        await asyncio.sleep(5)
        await world.watchman.look()
        if second % 30 == 0:
            for member in world.fleet.members:
                member.work.poll()
    await asyncio.gather(*lives)
    for _ in range(0, BELIEVED_S, 5):  # of every other answer nothing is believed
        await asyncio.sleep(5)
        await world.watchman.look()
    return fleet


def expected(fleet: list[Instance], tells_ends: bool) -> Counter[tuple[str, EventKind]]:
    rings: Counter[tuple[str, EventKind]] = Counter()
    for one in fleet:
        if one.fate == "loses its key":
            rings[one.name, EventKind.TARGET_REFUSED] += 1
        elif one.fate == "vanishes with a backlog":
            rings[one.name, EventKind.TARGET_LOST] += 1
        elif one.fate == "ends soon" and tells_ends:
            rings[one.name, EventKind.INSTANCE_ENDING] += 1
    return rings


@pytest.mark.parametrize("asked", [in_memory, at_vast_ai, at_runpod])
@virtual
async def test_fifty_instances_over_ten_minutes(
    asked: Callable[[Grounds, Path], AbstractAsyncContextManager[bool]], tmp_path: Path
) -> None:
    async with grounds() as world, asked(world, tmp_path) as tells_ends:
        fleet = await played(world)
        assert Counter((event.target, event.kind) for event in world.rung) == expected(fleet, tells_ends)
        gone = {one.name for one in fleet if one.fate == "vanishes empty"}
        assert {member.name for member in world.fleet.members} == {one.name for one in fleet} - gone
        lost = {member.name for member in world.fleet.members if member.standing.state is State.LOST}
        assert lost == {one.name for one in fleet if one.fate == "vanishes with a backlog"}
        refused = [one for one in fleet if one.fate == "loses its key"]
        assert {m.name for m in world.fleet.members if m.standing.state is State.REFUSED} == {one.name for one in refused}
        for one in refused:  # a person trusts the new keys
            world.network.pins[f"cloud@{one.id}"] = one.key
            world.member(one.name).work.start_sync()
        for _ in range(12):
            await asyncio.sleep(5)
            await world.watchman.look()
        rings = expected(fleet, tells_ends) + Counter((one.name, EventKind.TARGET_BACK) for one in refused)
        assert Counter((event.target, event.kind) for event in world.rung) == rings
        home = world.at_home("cloud")
        for one in fleet:
            assert {path: home.get(b"%s/%s" % (one.name.encode(), path)) for path in one.ledger} == one.ledger, one.fate
        assert sum(len(one.ledger) for one in fleet) == len(home), "nothing stray"
