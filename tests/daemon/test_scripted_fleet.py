"""Fifty instances over ten minutes: they start, move, lose their key, lose their API and vanish. All comes home; alarms ring."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

from forged.daemon.standing import State
from forged.discovery.memory import Fail
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.events import EventKind
from forged.model.target import SourceAddress, SourceKind
from tests.daemon.grounds import Gate, Grounds, LivingBox, discovery, grounds
from tests.support.virtual import virtual

INSTANCES = 50
SECONDS = 600
FATES = ("stays", "moves", "loses its key", "stops", "vanishes empty", "vanishes with a backlog", "ends soon")


class Instance:
    """One box of the script, with a ledger of what it wrote and when."""

    def __init__(self, world: Grounds, number: int) -> None:
        self.world, self.number = world, number
        self.id = BoxId(f"{number:02d}")
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
    return fleet


def expected(fleet: list[Instance]) -> Counter[tuple[str, EventKind]]:
    rings: Counter[tuple[str, EventKind]] = Counter()
    for one in fleet:
        if one.fate == "loses its key":
            rings[one.name, EventKind.TARGET_REFUSED] += 1
        elif one.fate == "vanishes with a backlog":
            rings[one.name, EventKind.TARGET_LOST] += 1
        elif one.fate == "ends soon":
            rings[one.name, EventKind.INSTANCE_ENDING] += 1
    return rings


@virtual
async def test_fifty_instances_over_ten_minutes() -> None:
    async with grounds() as world:
        fleet = await played(world)
        assert Counter((event.target, event.kind) for event in world.rung) == expected(fleet)
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
        rings = expected(fleet) + Counter((one.name, EventKind.TARGET_BACK) for one in refused)
        assert Counter((event.target, event.kind) for event in world.rung) == rings
        home = world.at_home("cloud")
        for one in fleet:
            assert {path: home.get(b"%s/%s" % (one.name.encode(), path)) for path in one.ledger} == one.ledger, one.fate
        assert sum(len(one.ledger) for one in fleet) == len(home), "nothing stray"
