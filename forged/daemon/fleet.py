"""All targets and their runners. Applying a configuration adds, removes and renews targets; the others are not disturbed."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import dataclass

from forged.daemon.app import App
from forged.daemon.conditions import Conditions
from forged.daemon.jobbook import JobBook
from forged.daemon.runner import Runner
from forged.daemon.schedule import Errand, Timetable
from forged.daemon.standing import Standing
from forged.daemon.work import Work
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.metrics.metrics import Metrics
from forged.model.errors import Cancelled, ForgedError
from forged.model.observer import Everyone, Observer
from forged.model.settings import Config
from forged.model.target import Target, TargetName

REMOVED = "this target was removed from the configuration; what has landed stays"
CHANGED = "the configuration of this target has changed; what has landed stays, the rest comes with the next sync"
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


@dataclass(slots=True, eq=False)
class Member:
    """One target at work, and what has to be closed when it goes."""

    standing: Standing
    runner: Runner
    work: Work
    closing: AsyncExitStack


class Fleet:
    """Targets by name, in the order of the configuration."""

    def __init__(self, app: App, jobs: JobBook, metrics: Metrics, log: Log, observer: Observer) -> None:
        self._app = app
        self._jobs = jobs
        self._metrics = metrics
        self._log = log
        self._observer = observer
        self._members: dict[str, Member] = {}
        self._tasks = Tasks(self._ended)
        self.timetable = Timetable(self._due)

    @property
    def members(self) -> list[Member]:
        return list(self._members.values())

    def find(self, name: str) -> Member:
        """Raises UnknownTarget."""
        member = self._members.get(name)
        if member is None:
            known = ", ".join(self._members) or "none"
            raise UnknownTarget(f"no target {name!r} is configured", hint=f"configured are: {known}")
        return member

    # --- applying a configuration -----------------------------------------------------------------------------------------

    def difference(self, config: Config) -> Difference:
        """What `apply` would change."""
        wanted: dict[str, Target] = {target.name: target for target in config.targets}
        return Difference(
            added=tuple(name for name in wanted if name not in self._members),
            removed=tuple(name for name in self._members if name not in wanted),
            changed=tuple(name for name, m in self._members.items() if name in wanted and m.standing.target != wanted[name]),
        )

    async def apply(self, config: Config) -> None:
        """Makes the targets of `config` the ones that run. A changed target ends the round it is in, and begins anew."""
        difference = self.difference(config)
        synced_ns: dict[str, int | None] = {**await self._jobs.last_successes()} if difference.added else {}
        synced_ns.update({name: self._members[name].standing.last_sync_ns for name in difference.changed})
        leaving = [self._remove(name, REMOVED) for name in difference.removed]
        await asyncio.gather(*leaving, *(self._remove(name, CHANGED) for name in difference.changed))
        for name in difference.removed:
            self._metrics.forget(name)
        for target in config.targets:
            if target.name not in self._members:
                await self._add(target, synced_ns.get(target.name))
            self._members[target.name].work.ingests_missing = _ingests_missing(config, target)
        self._members = {target.name: self._members[target.name] for target in config.targets}

    async def _add(self, target: Target, last_sync_ns: int | None) -> None:
        flags = self._app.store.flags
        self._metrics.expect([target.name])
        standing = Standing(target, Conditions(target.name, self._log, self._app.clock), self._metrics, self._app.clock)
        standing.remembered(last_sync_ns)
        standing.paused(await flags.pause(target.manifest))
        standing.held(await flags.hold(target.manifest))
        closing = AsyncExitStack()
        observer = Everyone(self._metrics, standing, self._observer)
        doors = await closing.enter_async_context(self._app.doors(target, observer, patient_opening=False))
        runner = Runner(doors, standing, random.random, lambda: work.look())
        work = Work(doors, runner, standing, self._jobs)
        member = Member(standing, runner, work, closing)
        self._members[target.name] = member
        self._tasks.start(f"target {target.name}", runner.run())
        self.timetable.set(target)

    async def _remove(self, name: str, why: str) -> None:
        """Ends a target in order: no new errands, then its task, then what still waits for it, then its doors."""
        self.timetable.remove(TargetName(name))
        member = self._members.pop(name)
        member.runner.leave(Cancelled(why))
        await self._tasks.stop(f"target {name}")
        await member.work.leave()
        await member.closing.aclose()

    async def stop(self) -> None:
        """Ends all targets; partial files stay for the next start."""
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
        """A target's task ended by itself: a bug of ours. Said loudly, and the target begins anew."""
        self._log.error("a task ended unexpectedly; it is started again", task=name, exc_info=error)
        member = self._members.get(name.removeprefix("target "))
        if member is not None:
            asyncio.get_running_loop().call_later(BEGIN_ANEW_S, self._restart, name, member)

    def _restart(self, name: str, member: Member) -> None:
        if self._members.get(member.standing.target.name) is member and name not in self._tasks.names:
            self._tasks.start(name, member.runner.run())

    def refresh_metrics(self) -> None:
        """Right before the metrics page is read."""
        for member in self._members.values():
            member.standing.refresh_metrics()


def _ingests_missing(config: Config, target: Target) -> bool:
    """Whether cleanup has to wait for an ingest: a required one is configured for this target, and none has taken its files yet."""
    return any(ingest.required and (not ingest.targets or target.name in ingest.targets) for ingest in config.ingests)
