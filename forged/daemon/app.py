"""The whole program, put together. The only place that picks implementations.

Start and stop read as one story: lock the state directory (two forgeds on one memory would land everything twice), open the
store, share out the pool, build each target's doors; and the way back in the opposite order, however it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from forged.daemon.bodies import Bodies, discovery_of, handler_of, placed_source
from forged.daemon.memory import OpenState, begun_anew, opened
from forged.daemon.pool import Pool
from forged.daemon.wanted import One, Wanted, wanted
from forged.destination.apart.hands import ApartHands
from forged.destination.apart.process import Helper
from forged.destination.base import Destination
from forged.destination.desk import Desk
from forged.destination.guarded import Guarded
from forged.destination.hands import Hands, Threads
from forged.destination.posix import PosixDestination
from forged.discovery.base import Discovery
from forged.ingest.base import Handler
from forged.ingest.catalog.reading import Finder
from forged.kit.clock import Clock, SystemClock
from forged.kit.lock import LockHeld, hold_lock
from forged.media.base import Examiner
from forged.media.completeness import inspect
from forged.media.looker import LOOKER
from forged.media.worker.examiner import WorkerExaminer
from forged.media.xmp.sidecars import ExifToolSidecars
from forged.model.errors import (
    ForgedError,
    HostKeyUnknown,
    NotSupported,
    SourceError,
    StateDirectoryBusy,
    StoreDamaged,
    StoreError,
)
from forged.model.jobs import Job, JobStatus, new_job_id
from forged.model.manifest import Hold, HostKeyPin, ManifestName
from forged.model.observer import Nobody, Observer
from forged.model.paths import SourcePath, source_path
from forged.model.settings import (
    Config,
    DiscoverySettings,
    IngestSettings,
)
from forged.model.target import SourceKind, Target, TargetName
from forged.rules.boxes import newcomers
from forged.rules.safety import EXPLAIN_REBUILT, Doubt
from forged.rules.selection import Selector, folder_path
from forged.sources.base import Source
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.routed import Route, Routed
from forged.sources.ways import Memory
from forged.store.base import Store
from forged.sync.cycle import RoundResult, never_began, sync_once
from forged.sync.doors import Doors
from forged.sync.enrich import Rooms
from forged.sync.enrichment import Enrichment, Turns
from forged.sync.looks import Looks
from forged.sync.preview import Preview, preview_once
from forged.sync.publish import Takers

MOST_EXAMINED = 64
"""Files that are open to be looked into at once, over all targets. Workers are far fewer; the rest waits for disks and exiftool."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A memory that had to begin anew, in words: what happened, what became of the one before, and what follows."""

    why: str
    kept: str | None

    @property
    def message(self) -> str:
        kept = f"it is kept as {self.kept}" if self.kept else "nothing of it is left under that name"
        return f"{self.why}; {kept}. A new one has begun: what is home already is adopted, and not moved again"

    @property
    def hint(self) -> str:
        return (
            "cleanup is held: look at the sources and at home, then `forgectl release TARGET`. Files that were deleted at home "
            "come back if the source still has them; pauses, limits, pinned host keys and jobs are forgotten"
        )


class App:
    """Forged with its doors ready to be opened. Made by `App.open`."""

    def __init__(self, config: Config, state: OpenState, observer: Observer, clock: Clock, ssh_home: Path) -> None:
        self.config = config
        self.state = state
        self.store: Store = state.store
        self.clock = clock
        self.pool = Pool(config.transfer, clock)
        self._observer = observer
        self._ssh_home = ssh_home
        self._helper = Helper()
        self._examiner = WorkerExaminer(config.media.workers, LOOKER)
        self.sidecars = ExifToolSidecars(config.daemon.state_dir / "xmp", clock)
        self._turns = Turns(MOST_EXAMINED)
        self.rebuilt: Rebuilt | None = None
        """Set when the state database was damaged or lost: whoever opened this has to say so."""
        self.anybody_takes: Callable[[], bool] = lambda: bool(self.config.handlers)
        """Whether events are kept. Without couriers they wait for those of the daemon."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: Config, *, observer: Observer, ssh_home: Path, clock: Clock | None = None, rebuild: bool = True
    ) -> AsyncIterator[App]:
        """Raises StateDirectoryBusy, StateTaken, StoreError. `ssh_home`: whose .ssh is used, normally the user's home.

        `rebuild`: a state database that is damaged or lost is set aside and begun anew; else it is an error.
        """
        clock = clock or SystemClock()
        async with AsyncExitStack() as stack:
            _lock(config.daemon.state_dir, stack)
            state, rebuilt = await _memory(config, clock, rebuild=rebuild)
            stack.push_async_callback(state.store.close)
            app = cls(config, state, observer, clock, ssh_home)
            app.rebuilt = rebuilt
            keeper = asyncio.create_task(app.pool.keep_time(), name="bandwidth timetable")
            stack.callback(keeper.cancel)
            stack.push_async_callback(app._helper.aclose)
            stack.push_async_callback(app.sidecars.aclose)
            stack.push_async_callback(app._examiner.aclose)
            yield app

    async def apply(self, config: Config) -> None:
        """From now on this configuration holds for what all targets share."""
        self.config = config
        self.pool.resize(config.transfer.in_flight_bytes)
        self.pool.limit(None, config.transfer.bandwidth)
        self._examiner.resize(config.media.workers)

    async def wanted(self, names: Sequence[str] = ()) -> Wanted:
        """The targets of these names, or all, and those of boxes. Raises ConfigError for a name that nothing has, StoreError."""
        return await wanted(self.config, names, self.discovery, self.store.boxes)

    async def once(self, what: Wanted, *, folders: Sequence[str] = ()) -> list[RoundResult]:
        """One sync of each, side by side; trouble with one stops no other. A discovery that did not answer is a failure, too."""
        takes = {one.name: one.targets for one in self.config.handlers if one.takes_files}
        with suppress(StoreError):  # then the daemon does it: till then, nothing counts as taken by a handler that is new
            await self.store.ingests.enlist(takes, self.clock.now_ns())
        done = await asyncio.gather(*(self._sync(one, folders) for one in what.awake))
        now_ns = self.clock.now_ns()
        jobs = [(Job(new_job_id(), TargetName(name), JobStatus.SCANNING, now_ns), error) for name, error in what.unanswered]
        return [*done, *(never_began(job, error, now_ns) for job, error in jobs)]

    async def preview(self, what: Wanted, *, folders: Sequence[str] = ()) -> list[Preview]:
        """What `once` would do now."""

        async def one(target: Target, route: Route | None) -> Preview:
            async with self.doors(target, route=route) as doors:
                return await preview_once(doors, _paths(target, folders))

        seen = await asyncio.gather(*(one(each.target, each.route) for each in what.awake))
        return [*seen, *(Preview(name, error=error) for name, error in what.unanswered)]

    async def _sync(self, one: One, folders: Sequence[str]) -> RoundResult:
        """Never raises for what can go wrong outside: one that did would leave its siblings behind, on a store that closes."""
        target = one.target
        job = Job(new_job_id(), target.name, JobStatus.SCANNING, self.clock.now_ns(), tuple(folders))
        try:
            await self.store.jobs.save(job)
            async with self.doors(target, route=one.route) as doors:
                result = await sync_once(doors, Looks(), job, _paths(target, folders))
                await self.enrichment(doors, lambda: self._at_home(target)).drain()
            await self.store.jobs.save(result.job)
        except ForgedError as error:
            return never_began(job, error, self.clock.now_ns())
        return result

    def _at_home(self, target: Target) -> Sequence[ManifestName]:
        """The manifests of the configured targets that share its folder at home, and its own."""
        others = (one.manifest for one in self.config.targets if one.home.dest == target.home.dest)
        return list(dict.fromkeys((target.manifest, *others)))

    @asynccontextmanager
    async def doors(
        self,
        target: Target,
        observer: Observer | None = None,
        *,
        patient_opening: bool = True,
        route: Route | None = None,
        discovery: str | None = None,
    ) -> AsyncIterator[Doors]:
        """The world of one target, for as long as it is used; its source is still to be opened.

        `route`: where a discovered box is reached, in place of the target's own address; `discovery`: which has found it.

        `patient_opening`: an opening that fails is tried again by itself, as often as `retry_attempts` says.
        """
        watching = observer or self._observer
        namespace = f"{await self.store.identity()}-{target.manifest}"
        with self.pool.room(target) as room:
            destination = PosixDestination(self._hands(target, namespace), room)
            async with aclosing(destination):
                make = self._maker(target, watching, route)
                source = self._source(target, make, destination, watching, patient_opening)
                selector, takers = Selector(target.selection), self._takers(target, discovery)
                yield Doors(target, selector, source, destination, self.store, watching, self.clock, takers)

    def _takers(self, target: Target, discovery: str | None) -> Takers:
        names = {target.name, discovery or target.name}

        def required() -> Sequence[str]:
            return [one.name for one in self.config.handlers if one.required and one.takes_files_of(names)]

        return Takers(lambda: self.anybody_takes(), required, discovery)

    def enrichment(self, doors: Doors, neighbours: Callable[[], Sequence[ManifestName]]) -> Enrichment:
        """Who looks into what has landed at this target. `neighbours`: the manifests whose files lie in the same folder at home."""
        examiner: Examiner = self._examiner
        rooms = Rooms(
            *(doors.target, doors.selector, doors.destination, self.store, examiner, self.sidecars, doors.observer, self.clock),
            *(neighbours, doors.takers),
        )
        return Enrichment(rooms, self._turns)

    def _hands(self, target: Target, namespace: str) -> Hands:
        """A process of its own writes what comes over a line, beside the loop that it comes from; what is on this machine is cloned
        by a thread that has it open."""
        hands = self._bare_hands(target, namespace)
        return Guarded(hands, self.state.why_not) if self.state.shared else hands

    def _bare_hands(self, target: Target, namespace: str) -> Hands:
        least_bytes = self.config.transfer.min_free_bytes
        if target.source.kind is SourceKind.LOCAL:
            return Threads(Desk(target.home, namespace, least_bytes, inspect), namespace)
        return ApartHands(self._helper, target.home, namespace, least_bytes, inspect)

    async def trust(self, target: Target, fingerprint: str, route: Route | None = None) -> None:
        """Pins the host key that the box shows now, if it has this fingerprint. Raises SourceError: another key, or no answer.

        Of several addresses the first that answers with this key will do.
        """
        if target.source.kind not in (SourceKind.SSH, SourceKind.SFTP):
            raise NotSupported(f"{target.name} is not reached by SSH, so it has no host key")
        if target.ssh.host_key != "pin":
            raise HostKeyUnknown(f"{target.name} does not pin: forged.toml says host_key = {target.ssh.host_key!r}")
        told: list[SourceError] = []
        for address in (route.order if route else ()) or (target.source,):
            try:
                pin = await self._shown(replace(target, source=replace(address, path=target.source.path)))
            except SourceError as error:
                told.append(error)
                continue
            if pin.fingerprint == fingerprint:
                await self.store.pins.pin(target.manifest, pin)
                return
            other = f"{target.name} shows {pin.fingerprint}, not {fingerprint}; nothing was changed"
            told.insert(0, HostKeyUnknown(other))
        raise told[0]

    async def _shown(self, target: Target) -> HostKeyPin:
        """The host key that the box shows to somebody who knows none. Raises SourceError."""
        shown = ForgetfulPins()
        async with Bodies(shown, Nobody(), self._ssh_home).bare(target):
            return shown.pins[target.manifest]

    def _maker(self, target: Target, observer: Observer, route: Route | None) -> Callable[[], Source]:
        """Makes closed sources: at the target's own address, or at those of a route. One that names folders gets each from where it
        really is."""
        memory, remembered = Memory(), partial(self._remembered, target)

        def make() -> Source:
            dests = [each.home.dest for each in (*self.config.targets, *(one.template for one in self.config.discoveries))]
            bodies = Bodies(self.store.pins, observer, self._ssh_home, dests, memory)
            return placed_source(target, bodies.bare if route is None else partial(_routed, bodies, route), remembered)

        return make

    def discovery(self, settings: DiscoverySettings) -> Discovery:
        """The body for its type. Opens nothing yet."""
        return discovery_of(settings)

    def handler(self, settings: IngestSettings) -> Handler:
        """The ingest handler of these settings. Opens nothing yet."""
        return handler_of(settings, self.clock)

    def finder(self) -> Finder:
        """Searches in the catalog of the configuration that holds at that moment."""
        return Finder(lambda: self.config.catalog)

    def _source(
        self, target: Target, make: Callable[[], Source], destination: Destination, observer: Observer, patient_opening: bool
    ) -> Source:
        """The body for the target's scheme, in its coat."""
        policy = RetryPolicy(target.transfer.retry_attempts, target.transfer.retry_delay_s, patient_opening=patient_opening)
        return Retrying(
            make,
            policy,
            target=target.name,
            clock=self.clock,
            observer=observer,
            resume_points=destination.resume_points,
        )

    async def _remembered(self, target: Target, folders: Sequence[SourcePath]) -> frozenset[SourcePath]:
        """Those of these folders that the manifest knows files below."""
        manifest, known = self.store.manifest, set[SourcePath]()
        for folder in folders:
            rows = await manifest.between(target.manifest, SourcePath(folder + b"/"), SourcePath(folder + b"0"), 1)
            known.update(folder for row in rows if row.path.startswith(folder + b"/"))
        return frozenset(known)


def _routed(bodies: Bodies, route: Route, target: Target) -> Source:
    """The target at whichever of the route's addresses answers."""
    return Routed(route, lambda address: bodies.bare(replace(target, source=replace(address, path=target.source.path))))


def _lock(state_dir: Path, stack: AsyncExitStack) -> None:
    """Raises StateDirectoryBusy, StoreError."""
    try:
        stack.enter_context(hold_lock(state_dir / "forged.lock"))
    except LockHeld as held:
        raise StateDirectoryBusy(f"{state_dir} is used by another forged ({held})") from held
    except OSError as e:
        hint = "check that state_dir is a folder this user may write to"
        raise StoreError(f"{state_dir}: {e.strerror or e}", hint=hint) from e


async def _memory(config: Config, clock: Clock, *, rebuild: bool) -> tuple[OpenState, Rebuilt | None]:
    """The state database; with what had to be done where it was damaged or lost. Raises StoreError."""
    try:
        return await opened(config.state, clock), None
    except StoreDamaged as damage:
        if not rebuild:
            raise
        rebuilt = await _begin_anew(config, damage, clock)
        return await opened(config.state, clock), rebuilt


async def _begin_anew(config: Config, damage: StoreDamaged, clock: Clock) -> Rebuilt:
    """All targets are held: with the memory went tombstones, and holds that nobody had released. Those of discoveries are when
    their boxes show, also if that is only after another start."""
    hold = Hold(Doubt.STATE_REBUILT.value, EXPLAIN_REBUILT, clock.now_ns())
    names = [*(target.manifest for target in config.targets), *(newcomers(one.name) for one in config.discoveries)]
    holds = dict.fromkeys(names, hold)
    return Rebuilt(damage.message, await begun_anew(config.state, holds, clock.now_ns()))


def _paths(target: Target, folders: Sequence[str]) -> list[SourcePath]:
    """The folders to look at: those asked for, else the configured ones. Empty = everything."""
    paths = [folder_path(folder) for folder in folders or target.selection.folders]
    return [] if b"" in paths else [source_path(path) for path in paths]
