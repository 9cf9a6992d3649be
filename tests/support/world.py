"""A whole small world in memory for the tests of the steps: a box, a home, a store, a clock, and rounds over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from forged.destination.memory import MemoryDestination
from forged.kit.clock import HandClock
from forged.model.errors import ForgedError
from forged.model.events import EventKind
from forged.model.files import Problem, ProblemKind
from forged.model.ingest import FileBody, read
from forged.model.jobs import Job, JobStatus, new_job_id
from forged.model.observer import Fact, FilesLanded, FileTrouble
from forged.model.paths import SourcePath, home_path, source_path
from forged.model.target import HomePolicy, NamesMode, Selection, SourceAddress, SourceKind, Target, TargetName, TargetType
from forged.rules.selection import Selector
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import Fault
from forged.sources.retrying import Retrying, RetryPolicy
from forged.store.memory import MemoryStore
from forged.sync.cycle import RoundResult, ended, run_round
from forged.sync.doors import Doors
from forged.sync.looks import Looks
from forged.sync.publish import Takers
from forged.sync.tally import Tally

TARGET = Target(
    name=TargetName("box"),
    type=TargetType.GENERIC,
    source=SourceAddress(SourceKind.SSH, "/out", "box"),
    home=HomePolicy(dest=Path("/home"), names=NamesMode.EXACT),
)


@dataclass
class Facts:
    """An observer that keeps everything."""

    seen: list[Fact] = field(default_factory=list)

    def notice(self, fact: Fact) -> None:
        self.seen.append(fact)

    def landed(self) -> list[bytes]:
        return sorted(one.entry.path for fact in self.seen if isinstance(fact, FilesLanded) for one in fact.landed)

    def troubles(self) -> dict[bytes, ProblemKind]:
        return {problem.path: problem.kind for problem in self.problems()}

    def problems(self) -> list[Problem]:
        return [fact.problem for fact in self.seen if isinstance(fact, FileTrouble)]


class World:
    """One target. Tests write into `box`, run `round()`, and look at `home()`, `store` and `facts`."""

    def __init__(self, *faults: Fault, target: Target = TARGET, hashing: bool = True) -> None:
        self.clock = HandClock()
        self.box = MemoryBox(clock_ns=self.clock.now_ns())
        self.faults = list(faults)
        self.hashing = hashing
        self.destination = MemoryDestination()
        self.store = MemoryStore()
        self.looks = Looks()
        self.target = target
        self.facts = Facts()
        self.taken = False
        """Whether somebody takes events."""
        self.required: list[str] = []
        """The handlers that have to take a file before it may go."""

    def select(self, selection: Selection) -> None:
        self.target = replace(self.target, selection=selection)

    def age(self, seconds: float = 10.0) -> None:
        """Time goes by, here and at the box."""
        self.clock.advance(seconds)
        self.box.clock_ns += round(seconds * 1e9)

    def doors(self) -> Doors:
        source = Retrying(
            lambda: MemorySource(self.box, *self.faults, hashing=self.hashing),
            RetryPolicy(self.target.transfer.retry_attempts, delay_s=1.0),
            target=self.target.name,
            clock=self.clock,
            observer=self.facts,
            resume_points=self.destination.resume_points,
        )
        selector = Selector(self.target.selection)
        return Doors(self.target, selector, source, self.destination, self.store, self.facts, self.clock, self.takers())

    def takers(self) -> Takers:
        return Takers(lambda: self.taken or bool(self.required), lambda: self.required)

    async def events(self) -> list[tuple[EventKind, FileBody]]:
        """All of files that are in the outbox."""
        return [(event.kind, read(event.body)) for event in await self.store.outbox.after("anybody", 1_000)]

    async def round(self, *folders: bytes) -> RoundResult:
        """One round; `facts` holds what it reported, and only that."""
        self.facts.seen.clear()
        job = Job(new_job_id(), self.target.name, JobStatus.PENDING, self.clock.now_ns())
        doors, tally = self.doors(), Tally()
        try:
            async with doors.source:
                return await run_round(doors, self.looks, job, tally, [source_path(folder) for folder in folders])
        except ForgedError as error:
            return ended(doors, job, tally, error, self.clock.monotonic_s())

    def home(self) -> dict[bytes, bytes]:
        """What lies at home, by name."""
        return {bytes(name): file.data for name, file in self.destination.files.items()}

    def at_home(self, name: bytes) -> bytes:
        return self.destination.files[home_path(name)].data

    async def rows(self) -> dict[SourcePath, bytes]:
        """The current manifest: path to sha256."""
        rows = await self.store.manifest.between(self.target.manifest, None, None, 100_000)
        return {row.path: row.sha256 for row in rows}


async def brought_home(*names: bytes) -> World:
    """A world in which these files were made, and are home by now."""
    world = World()
    for name in names:
        world.box.write(name, b"content of " + name)
    world.age()
    assert (await world.round()).success
    return world
