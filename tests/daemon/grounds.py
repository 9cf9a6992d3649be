"""A whole daemon's middle in memory and in virtual time: a fleet with real runners over memory boxes. No sockets, no threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from forged.daemon.alarms import Watchman
from forged.daemon.app import App
from forged.daemon.bell import Bell
from forged.daemon.discoveries import Discoveries
from forged.daemon.enriching import Enriching
from forged.daemon.fleet import Fleet, Member
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.destination.memory import MemoryDestination
from forged.discovery.base import Discovery
from forged.discovery.memory import MemoryDiscovery
from forged.kit.budget import ANY_PORTION_BYTES, Room
from forged.media.xmp.sidecars import Standing
from forged.metrics.metrics import Metrics
from forged.model.events import NewEvent
from forged.model.jobs import Job
from forged.model.manifest import ManifestName
from forged.model.observer import Observer
from forged.model.settings import CommandDiscovery, Config, DaemonSettings, DiscoverySettings, IngestSettings, StateSettings
from forged.model.target import MediaPolicy, SourceAddress, SourceKind, Target, TargetName, Timing
from forged.rules.selection import Selector
from forged.sources.base import Source
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import Fault
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.routed import Route, Routed
from forged.store.memory import MemoryStore
from forged.sync.doors import Doors
from forged.sync.enrich import Rooms
from forged.sync.enrichment import Enrichment, Turns
from forged.sync.publish import Takers
from tests.daemon.network import Knocking, Network
from tests.support.virtual import BEGAN_NS, LoopClock
from tests.support.world import TARGET, Facts
from tests.sync.toys import ToyExaminer, ToySidecars

NO_MEDIA = MediaPolicy(metadata=False, xmp=False)


class LivingBox(MemoryBox):
    """A box whose clock runs with the loop's."""

    _ahead_ns = 0

    @property
    def clock_ns(self) -> int:
        return LoopClock().now_ns() + self._ahead_ns

    @clock_ns.setter
    def clock_ns(self, value: int) -> None:
        self._ahead_ns = 0 if value == BEGAN_NS else value - LoopClock().now_ns()


@dataclass(slots=True)
class Heard:
    """A log that remembers what was said."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def debug(self, event: str, **fields: object) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: object) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: object) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: object) -> None:
        self.lines.append(("error", event, fields))

    @property
    def said(self) -> list[str]:
        return [event for _, event, _ in self.lines]

    @property
    def levels(self) -> list[str]:
        return [level for level, _, _ in self.lines]


def target(name: str = "box", **changes: Any) -> Target:
    """A target of a memory box that is looked at every 30 s, and not watched unless asked."""
    source = SourceAddress(SourceKind.SSH, "/out", name)
    home = replace(TARGET.home, dest=Path(f"/home/{name}"))
    made = replace(
        TARGET, name=TargetName(name), manifest=ManifestName(""), source=source, home=home, timing=Timing(poll_s=30.0, watch=False)
    )
    made = replace(made, media=NO_MEDIA)
    return replace(made, **changes)


class Beside(MemoryDestination):
    """The same folder for another target: boxes of one template share their home, and have staging areas of their own."""

    def __init__(self, first: MemoryDestination) -> None:
        self._first = first
        super().__init__(first.room)
        self.files, self.id = first.files, first.id

    @property
    def room(self) -> Room:
        return self._first.room

    @room.setter
    def room(self, room: Room) -> None:
        """The first one's counts."""


class StandingSidecars(ToySidecars):
    """That say how they stand."""

    async def standing(self) -> Standing:
        return Standing.READY if self.available else Standing.MISSING


class Grounds:
    """Boxes by target name; what is at home, and what was said and told."""

    def __init__(self, *faults: Fault, store: MemoryStore | None = None) -> None:
        self.clock = LoopClock()
        self.store = store or MemoryStore()
        self.heard = Heard()
        self.facts = Facts()
        self.metrics = Metrics(self.clock, version="0")
        self.faults = list(faults)
        self.boxes: dict[str, MemoryBox] = {}
        self.homes: dict[str, MemoryDestination] = {}
        self.opened: list[str] = []
        self.ended: list[tuple[Job, bool]] = []
        self.told: list[Job] = []
        self.capabilities: dict[str, bool] = {}
        self.jobs = JobBook(self.store, self.clock, self._progressed, lambda job, kept: self.ended.append((job, kept)))
        self.examiner, self.sidecars = ToyExaminer(), StandingSidecars()
        self.enriching = Enriching(self.sidecars, self.store, self.metrics, self.clock, self.heard)
        self.ingests: tuple[IngestSettings, ...] = ()
        self.fleet = Fleet(cast("App", self), self.jobs, self.metrics, self.heard, self.facts, self.enriching)
        self.rung: list[NewEvent] = []
        self.bell = Bell(self.store.alarms, self.clock, self.rung.append)
        self.watchman = Watchman(self.fleet, self.bell, self.clock, self.heard)
        self.network = Network()
        self.providers: dict[str, MemoryDiscovery] = {}
        self.asked_by: dict[str, Discovery] = {}
        """Who asks in place of a provider in memory."""
        self.discoveries = Discoveries(
            lambda settings: self.asked_by.get(settings.name) or self.provider(settings.name),
            self.store,
            self.fleet,
            self.bell,
            self.metrics,
            self.clock,
            self.heard,
            chance=lambda: 0.5,
        )

    def _progressed(self, active: ActiveJob, stage: Job) -> None:
        self.told.append(stage)

    # --- the face of an App -----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def doors(
        self, target: Target, observer: Observer, *, patient_opening: bool, route: Route | None = None, discovery: str | None = None
    ) -> AsyncIterator[Doors]:
        home = self.home(target.name) if route is None else Beside(self.home(target.home.dest.name))
        make = (lambda: self._made(target.name)) if route is None else (lambda: Routed(route, lambda at: self._at(target, at)))
        source = Retrying(
            make,
            RetryPolicy(target.transfer.retry_attempts, delay_s=1.0, patient_opening=patient_opening),
            target=target.name,
            clock=self.clock,
            observer=observer,
            resume_points=home.resume_points,
        )
        names = {target.name, discovery or target.name}

        def required() -> list[str]:
            return [one.name for one in self.ingests if one.required and one.takes_files_of(names)]

        takers = Takers(lambda: bool(self.ingests), required, discovery)
        yield Doors(target, Selector(target.selection), source, home, self.store, observer, self.clock, takers)

    def enrichment(self, doors: Doors, neighbours: Callable[[], Sequence[ManifestName]]) -> Enrichment:
        rooms = Rooms(
            *(
                doors.target,
                doors.selector,
                doors.destination,
                self.store,
                self.examiner,
                self.sidecars,
                doors.observer,
                self.clock,
            ),
            neighbours,
        )
        return Enrichment(rooms, Turns(8))

    def _made(self, name: str) -> MemorySource:
        self.opened.append(name)
        return MemorySource(self.box(name), *self.faults, **self.capabilities)

    def _at(self, target: Target, address: SourceAddress) -> Source:
        """The source of a discovered box: whoever is at that address, if he shows the key that is known."""
        return Knocking(self.network, target.manifest, replace(address, path=""), *self.faults)

    # --- for tests --------------------------------------------------------------------------------------------------------

    def box(self, name: str = "box") -> MemoryBox:
        return self.boxes.setdefault(name, LivingBox())

    def home(self, name: str = "box") -> MemoryDestination:
        return self.homes.setdefault(name, MemoryDestination())

    def at_home(self, name: str = "box") -> dict[bytes, bytes]:
        return {bytes(path): file.data for path, file in self.home(name).files.items()}

    async def put(self, path: bytes, data: bytes, name: str = "box") -> None:
        """A new file that has been left alone for long enough."""
        self.box(name).write(path, data)
        await asyncio.sleep(3)

    def member(self, name: str = "box") -> Member:
        return self.fleet.find(name)

    async def apply(
        self, *targets: Target, ingests: tuple[IngestSettings, ...] = (), discoveries: tuple[DiscoverySettings, ...] = ()
    ) -> None:
        made = config(*targets, ingests=ingests, discoveries=discoveries)
        self.ingests = ingests
        await self.store.ingests.enlist({one.name: one.targets for one in ingests}, self.clock.now_ns())
        await self.fleet.apply(made)
        await self.discoveries.apply(made)

    def provider(self, name: str = "cloud") -> MemoryDiscovery:
        return self.providers.setdefault(name, MemoryDiscovery())

    async def synced(self, name: str = "box") -> Job:
        """A person's sync, to its end."""
        active = self.member(name).work.start_sync()
        await active.ended.wait()
        return active.job


def config(*targets: Target, ingests: tuple[IngestSettings, ...] = (), discoveries: tuple[DiscoverySettings, ...] = ()) -> Config:
    daemon = DaemonSettings(Path("/state"), Path("/state/forged.sock"))
    state = StateSettings(Path("/state/forged.db"))
    return Config(Path("forged.toml"), daemon, state, targets=targets, ingests=ingests, discoveries=discoveries)


def discovery(name: str = "cloud", **changes: Any) -> DiscoverySettings:
    """A discovery that is asked every 20 s and makes targets as `target` does."""
    template = target(name, timing=Timing(poll_s=30.0, watch=True))
    template = replace(template, source=SourceAddress(SourceKind.SSH, "/out"), **changes)
    return DiscoverySettings(name, CommandDiscovery(("list-boxes",)), template, every_s=20.0)


def address(text: str) -> SourceAddress:
    """`host:port`."""
    host, port = text.split(":")
    return SourceAddress(SourceKind.SSH, "", host, "root", int(port))


@asynccontextmanager
async def grounds(*targets: Target, faults: tuple[Fault, ...] = ()) -> AsyncIterator[Grounds]:
    """A fleet with these targets, given a moment to begin; ended in order."""
    made = Grounds(*faults)
    await made.apply(*targets)
    await asyncio.sleep(0.01)
    try:
        yield made
    finally:
        await made.discoveries.stop()
        await made.fleet.stop()
        assert made.jobs.active == {}, "a job without an end"


class Gate:
    """A home whose room is closed until it is opened: transfers stand still in the middle."""

    portion_bytes = ANY_PORTION_BYTES

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reached = asyncio.Event()

    async def take(self, size_bytes: int) -> None:
        self.reached.set()
        await self.open.wait()

    def give(self, size_bytes: int) -> None:
        """Nothing to do."""
