"""All targets and their runners. Applying a configuration adds, removes and renews targets; the others are not disturbed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from difflib import get_close_matches

from forged.daemon.app import App
from forged.daemon.conditions import Conditions
from forged.daemon.enriching import Enriching
from forged.daemon.instance import Found, Instance
from forged.daemon.jobbook import JobBook
from forged.daemon.runner import REPORT, Runner
from forged.daemon.schedule import FIRST_CLEANUP_S, Errand, Timetable
from forged.daemon.standing import Standing
from forged.daemon.work import Work
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.metrics.metrics import MOST_TARGETS, Metrics
from forged.model.errors import Cancelled, ForgedError
from forged.model.manifest import ManifestName
from forged.model.observer import Everyone, Observer
from forged.model.settings import Config
from forged.model.target import Target, TargetName
from forged.sync.enrichment import Enrichment

REMOVED = "this target was removed from the configuration; what has landed stays"
CHANGED = "the configuration of this target has changed; what has landed stays, the rest comes with the next sync"
GONE = "this box is gone: its provider does not list it any more; what has landed stays"
STOPPING = "forged stops; what has landed stays, the rest comes after the next start"

BEGIN_ANEW_S = 5.0
"""After a fault of ours a target rests so long: the same fault again must not fill the log."""


class UnknownTarget(ForgedError):
    """No target of that name is configured."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What a configuration changes about the targets, by name."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def __or__(self, other: Difference) -> Difference:
        """Both."""
        return Difference(self.added + other.added, self.removed + other.removed, self.changed + other.changed)


@dataclass(slots=True, eq=False)
class Member:
    """One target at work, and what has to be closed when it goes."""

    standing: Standing
    runner: Runner
    work: Work
    enrichment: Enrichment
    closing: AsyncExitStack

    @property
    def name(self) -> str:
        return self.standing.target.name

    def is_of(self, discovery: str | None) -> bool:
        """Whether this discovery made it; None: it stands in the configuration itself."""
        return (self.standing.instance.discovery if self.standing.instance else None) == discovery


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a target knows that begins anew."""

    last_sync_ns: int | None = None
    left_files: int = 0
    left_bytes: int = 0
    bytes_per_s: float | None = None

    @classmethod
    def of(cls, standing: Standing) -> _Kept:
        return cls(standing.last_sync_ns, *standing.backlog, standing.bytes_per_s)


class Fleet:
    """Targets by name: those of the configuration in its order, then those of each discovery."""

    def __init__(self, app: App, jobs: JobBook, metrics: Metrics, log: Log, observer: Observer, enriching: Enriching) -> None:
        self._enriching = enriching
        self._app = app
        self._jobs = jobs
        self._metrics = metrics
        self._log = log
        self._observer = observer
        self._members: dict[str, Member] = {}
        self._config: Config | None = None
        self._turn = asyncio.Lock()
        """One change at a time: of the configuration, or of what a discovery has found."""
        self._tasks = Tasks(self._ended)
        self.timetable = Timetable(self._due)

    @property
    def members(self) -> list[Member]:
        return list(self._members.values())

    def find(self, name: str) -> Member:
        """Raises UnknownTarget."""
        member = self._members.get(name)
        if member is None:
            near = "".join(f"did you mean {one!r}? " for one in get_close_matches(name, self._members, n=1))
            known = ", ".join(self._members) or "none"
            raise UnknownTarget(f"no target {name!r} is configured", hint=f"{near}configured are: {known}")
        return member

    @property
    def steady(self) -> asyncio.Lock:
        """Held while targets come and go; whoever holds it sees all that there are."""
        return self._turn

    # --- applying a configuration -----------------------------------------------------------------------------------------

    def difference(self, config: Config) -> Difference:
        """What `apply` would change."""
        return self._difference(None, config.targets)

    def difference_found(self, discovery: str, found: Sequence[Found]) -> Difference:
        """What `found` would change."""
        return self._difference(discovery, [one.target for one in found])

    def _difference(self, discovery: str | None, targets: Sequence[Target]) -> Difference:
        ours = {member.name: member.standing.target for member in self._members.values() if member.is_of(discovery)}
        wanted: dict[str, Target] = {target.name: target for target in targets}
        return Difference(
            added=tuple(name for name in wanted if name not in ours),
            removed=tuple(name for name in ours if name not in wanted),
            changed=tuple(name for name, target in ours.items() if name in wanted and _differs(target, wanted[name], discovery)),
        )

    async def apply(self, config: Config) -> None:
        """Makes the targets of `config` the ones that run. A changed target ends the round it is in, and begins anew.

        A discovered one whose name a configured target takes has to go; its discovery finds another name for it. Raises StoreError,
        when all the others have begun.
        """
        async with self._turn:
            self._config = config
            kept = await self._make_room(self.difference(config), REMOVED)
            names = {target.name.lower() for target in config.targets}
            taken = [name for name, member in self._members.items() if member.standing.instance and name.lower() in names]
            await asyncio.gather(*(self._forget(name, REMOVED) for name in taken))
            new = [target for target in config.targets if target.name not in self._members]
            await self._add_all([self._add(target, kept(target.name)) for target in new])

    async def found(self, discovery: str, found: Sequence[Found]) -> None:
        """Makes these the targets of this discovery. A box that has moved is followed, and what it does is not disturbed."""
        async with self._turn:
            kept = await self._make_room(self.difference_found(discovery, found), GONE)
            coming = []
            for one in found:
                if (member := self._members.get(one.target.name)) is not None:
                    self._heard(member, one)
                else:
                    before = kept(one.target.name)
                    left = replace(before, left_files=one.known.left_files, left_bytes=one.known.left_bytes)
                    coming.append(self._add(one.target, before if before.left_files else left, Instance.of(one)))
            await self._add_all(coming)

    async def _add_all(self, coming: Sequence[Coroutine[None, None, None]]) -> None:
        """Side by side: each has a dozen things to wait for, on a loop where a hundred boxes have something to say.

        One that cannot begin keeps no other from it. Raises the error of the first that could not.
        """
        ends = await asyncio.gather(*coming, return_exceptions=True)
        self._in_order()
        for error in ends:
            if error is not None:
                raise error

    def _heard(self, member: Member, found: Found) -> None:
        instance = member.standing.instance
        if instance is not None and instance.heard(found.known):
            member.runner.hurry()

    async def _make_room(self, difference: Difference, why: str) -> Callable[[str], _Kept]:
        """Ends what goes or changes; answers what is known of those that come or come again."""
        synced_ns = await self._jobs.last_successes() if difference.added else {}
        changed = {name: _Kept.of(self._members[name].standing) for name in difference.changed}
        going = [self._forget(name, why) for name in difference.removed]
        await asyncio.gather(*going, *(self._remove(name, CHANGED) for name in difference.changed))
        return lambda name: changed.get(name) or _Kept(synced_ns.get(name))

    async def _forget(self, name: str, why: str) -> None:
        await self._remove(name, why)
        self._metrics.forget(name)

    def _in_order(self) -> None:
        assert self._config is not None
        configured = [target.name for target in self._config.targets if target.name in self._members]
        found = sorted(name for name, member in self._members.items() if member.standing.instance)
        self._members = {name: self._members[name] for name in (*configured, *found)}

    async def _add(self, target: Target, kept: _Kept, instance: Instance | None = None) -> None:
        flags = self._app.store.flags
        if self._metrics.expect([target.name]):
            self._log.info(f"there are more than {MOST_TARGETS:,} targets: this one is not in the metrics", target=target.name)
        standing = Standing(target, Conditions(target.name, self._log, self._app.clock), self._metrics, self._app.clock, instance)
        standing.remembered(kept.last_sync_ns)
        standing.watch_lives(False)  # said of those as well that never have one
        standing.left_files, standing.left_bytes, standing.bytes_per_s = kept.left_files, kept.left_bytes, kept.bytes_per_s
        standing.paused(await flags.pause(target.manifest))
        standing.held(await flags.hold(target.manifest))
        standing.cleanup_due_in(min(target.cleanup.every_s, FIRST_CLEANUP_S) if target.cleanup else None)
        closing = AsyncExitStack()
        route, discovery = (instance.route, instance.discovery) if instance else (None, None)
        observer = Everyone(self._metrics, standing, self._observer)
        doors = await closing.enter_async_context(
            self._app.doors(target, observer, patient_opening=False, route=route, discovery=discovery)
        )
        runner = Runner(doors, standing, random.random, lambda: work.look())
        work = Work(doors, runner, standing, self._jobs)
        enrichment = self._app.enrichment(doors, lambda: self._at_home(target))
        observer.also(enrichment)
        member = Member(standing, runner, work, enrichment, closing)
        self._members[target.name] = member
        self._enriching.joined(target.name, enrichment)
        self._tasks.start(f"target {target.name}", runner.run())
        self._tasks.start(f"media {target.name}", enrichment.run())
        self.timetable.set(target)

    async def _remove(self, name: str, why: str) -> None:
        """Ends a target in order: no new errands, then its task, then what still waits for it, then its doors."""
        self.timetable.remove(TargetName(name))
        member = self._members.pop(name)
        member.runner.leave(Cancelled(why))
        self._enriching.left(name)
        await asyncio.gather(self._tasks.stop(f"target {name}"), self._tasks.stop(f"media {name}"))
        await member.work.leave()
        await member.closing.aclose()

    async def stop(self) -> None:
        """Ends all targets; partial files stay for the next start."""
        async with self._turn:
            await asyncio.gather(*(self._remove(name, STOPPING) for name in list(self._members)))

    # --- what happens by itself -------------------------------------------------------------------------------------------

    def _due(self, name: TargetName, errand: Errand) -> bool:
        member = self._members.get(name)
        if member is None:
            return False
        if errand is Errand.POLL:
            asked = member.work.poll()
            if not asked and member.standing.active is not None:
                self._metrics.poll_skipped(name)
            return asked
        return member.work.clean_up_when_due()

    def _ended(self, name: str, error: BaseException | None) -> None:
        """A target's task ended by itself: a bug of ours. Said loudly, and it begins anew."""
        self._log.error("a task ended unexpectedly; it is started again", task=name, exc_info=error, hint=REPORT)
        member = self._members.get(name.partition(" ")[2])
        if member is not None:
            asyncio.get_running_loop().call_later(BEGIN_ANEW_S, self._restart, name, member)

    def _restart(self, name: str, member: Member) -> None:
        if self._members.get(member.standing.target.name) is member and name not in self._tasks.names:
            again = member.enrichment if name.startswith("media ") else member.runner
            self._tasks.start(name, again.run())

    def _at_home(self, target: Target) -> list[ManifestName]:
        """The manifests of all targets that share its folder at home, its own first."""
        running = (member.standing.target for member in self._members.values())
        others = (other.manifest for other in running if other.home.dest == target.home.dest)
        return list(dict.fromkeys((target.manifest, *others)))

    def refresh_metrics(self) -> None:
        """Right before the metrics page is read."""
        for member in self._members.values():
            member.standing.refresh_metrics()


def _differs(old: Target, new: Target, discovery: str | None) -> bool:
    """Whether it has to begin anew. Where a discovered box is reached may change at any time."""
    if discovery is not None:
        new = replace(new, source=replace(old.source, path=new.source.path))
    return old != new
