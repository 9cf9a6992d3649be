"""What can be asked of one target, as wishes: a sync, a look, a cleanup, or anything else that needs its open source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from forged.daemon.jobbook import ActiveJob, JobBook
from forged.daemon.runner import Runner, Wish
from forged.daemon.standing import Standing
from forged.kit.tasks import to_the_end
from forged.model.errors import Cancelled, ForgedError, NotSupported, Scope, StoreError
from forged.model.files import ProblemKind
from forged.model.jobs import Job, JobResult, JobStatus
from forged.model.paths import SourcePath
from forged.rules.safety import is_of_the_source
from forged.rules.selection import folders_to_list, strangers
from forged.sync.cleanup import CleanupResult, run_cleanup
from forged.sync.cycle import RoundResult, run_round, sync_patiently
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.tally import Tally

POLLS_A_LOOK = 10
"""While a watch lives, every tenth poll looks at everything: the watch is quick but may miss what other kernels write."""

LEAST_REST_S = 1.0
"""Between two looks of our own accord, or as long as the last one took, if that was longer: a box that makes a file every 0.2 s was
listed as often, since there is always one that is about to settle."""

MOST_WAITING = 100
"""Syncs of one target that run or wait. A script in a loop asks for more; a person and his timers never do."""

T = TypeVar("T")


class TooManySyncs(ForgedError):
    """So many syncs of this target wait already that one more would bring nothing new."""

    default_hint = "wait for one of them (forgectl jobs), or cancel some (forgectl cancel ID)"


class UnknownFolder(ForgedError):
    """This folder is none of the target's."""


NAMED = 10
"""Folders that a refusal names; those of a rented box may be dozens."""


class TargetPaused(ForgedError):
    """This target is paused."""


class Work:
    """One target's work; makes wishes for its runner."""

    def __init__(self, doors: Doors, runner: Runner, standing: Standing, jobs: JobBook) -> None:
        self.doors = doors
        self.runner = runner
        self.standing = standing
        self._jobs = jobs
        self._wishes: dict[ActiveJob, Wish] = {}
        """Of the syncs that wait or run."""
        self._stopped: dict[ActiveJob, RoundResult] = {}
        """Rounds that an error stopped, until their books are closed."""
        self._cleaning: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None

    def jobs(self) -> list[ActiveJob]:
        """The jobs of this target that run or wait."""
        return list(self._wishes)

    # --- syncs ------------------------------------------------------------------------------------------------------------

    def start_sync(self, folders: Sequence[str] = ()) -> ActiveJob:
        """A person's sync: its job is kept, whatever comes of it.

        Raises TargetPaused, BadPath, UnknownFolder, TooManySyncs, or why the target takes no more.
        """
        self._check_pause()
        self._paths(folders)
        self._check_folders(folders)
        if len(self._wishes) >= MOST_WAITING:
            raise TooManySyncs
        return self._ask(folders, urgent=True)

    def _check_folders(self, folders: Sequence[str]) -> None:
        """Nothing would be found in a wrong one, which looks as if all were home."""
        selection = self.doors.target.selection
        if unknown := strangers(folders, selection):
            more = ", …" if len(selection.folders) > NAMED else ""
            hint = f"its folders are: {', '.join(selection.folders[:NAMED])}{more}"
            raise UnknownFolder(f"{unknown[0]!r} is no folder of {self.doors.target.name}", hint=hint)

    def _check_pause(self) -> None:
        if self.standing.pause is not None:
            raise TargetPaused(f"{self.doors.target.name} is paused", hint=f"forgectl resume {self.doors.target.name}")

    def poll(self) -> bool:
        """The timetable's look. False when it is not needed now: no connection (it begins with a look), a sync is under way, or a
        watch lives and a look was taken lately."""
        if self.standing.capabilities is None or self.standing.active is not None or self._seen_lately():
            return False
        return self.look()

    def look(self) -> bool:
        """A look at everything, as soon as possible. False when the target is paused, or one waits already."""
        waits = any(active.job.status is JobStatus.PENDING and not active.job.folders for active in self._wishes)
        if self.standing.pause is not None or waits:
            return False
        with suppress(Cancelled):  # the target is about to go
            self._ask((), urgent=False)
        return True

    def _seen_lately(self) -> bool:
        standing = self.standing
        if not standing.watching or standing.partly_watched or standing.waiting:
            return False
        if standing.seen_s is None or standing.left_files:
            return False
        return self.doors.clock.monotonic_s() - standing.seen_s < POLLS_A_LOOK * self.doors.target.timing.poll_s

    def cancel(self, active: ActiveJob, why: ForgedError | None = None) -> None:
        """Ends a job, running or waiting. What landed stays; the rest resumes with the next sync."""
        if wish := self._wishes.get(active):
            self.runner.cancel(wish, why or Cancelled())

    def _ask(self, folders: Sequence[str], *, urgent: bool) -> ActiveJob:
        active = self._jobs.open(self.doors.target.name, folders)

        async def work() -> None:
            await self._sync(active, urgent)

        async def refuse(error: ForgedError) -> None:
            result = self._stopped.pop(active, None)
            await (self._finished(active, result, urgent) if result else self._cut_short(active, error, urgent))

        wish = Wish("sync", work, refuse, urgent)
        try:
            self.runner.ask(wish)
        except ForgedError:
            del self._jobs.active[active.job.id]
            raise
        self._wishes[active] = wish
        return active

    async def _sync(self, active: ActiveJob, kept: bool) -> None:
        """One sync as a job. Raises what stopped it; then the books are closed by whoever refuses the wish."""
        await self._jobs.begin(active, keep=kept)
        self.standing.round_began(active)
        doors = replace(self.doors, observer=active.beside(self.doors.observer))
        sync = sync_patiently if kept else run_round  # a person wants what was made a second ago, too
        paths = self._paths(active.job.folders)
        result = _without_gaps(
            await sync(doors, self.runner.looks, active.job, Tally(), paths), paths if active.job.folders else ()
        )
        if result.error is not None:
            self._stopped[active] = result
            raise result.error
        await to_the_end(self._finished(active, result, kept))
        await self.runner.looks.known.prove()  # now, when nobody waits for it, and not before the next listing

    def _paths(self, folders: Sequence[str]) -> list[SourcePath]:
        """The folders to look at; empty = everything. Raises BadPath."""
        return folders_to_list(folders, self.doors.target.selection)

    async def _finished(self, active: ActiveJob, result: RoundResult, kept: bool) -> None:
        remembers = await self._remembers(result.job)
        self.standing.round_ended(result, everything=not active.job.folders, remembers=remembers)
        await self._look_at_hold()
        moved = result.tally.transferred or result.tally.adopted or result.tally.failed
        await self._close(active, result.job, keep=kept or bool(moved))
        again_s = result.waiting.look_again_s
        if again_s is not None and again_s < self.doors.target.timing.poll_s:
            took_s = result.job.result.duration_s if result.job.result else 0.0
            self._look_again_in(max(again_s, LEAST_REST_S, took_s))

    async def _remembers(self, job: Job) -> bool:
        """A round that had nothing to remember says nothing about a state database that took nothing: it is tried."""
        if self.standing.conditions.has(Scope.STORE):
            try:
                await self.doors.store.jobs.save(job)
            except StoreError as error:
                self.standing.broken(error)
                return False
        return True

    def _look_again_in(self, seconds: float) -> None:
        """Files were still being written: look again as soon as that makes sense."""
        if self._again is not None:
            self._again.cancel()
        self._again = asyncio.get_running_loop().call_later(seconds, self.look)

    async def _cut_short(self, active: ActiveJob, error: ForgedError, kept: bool) -> None:
        """It never began, or did not come to its end. What has landed is counted: it is home."""
        if self.standing.active is active:
            self.standing.round_cut_short()
        landed, now_ns = active.numbers.landed_files, self.doors.clock.now_ns()
        duration_s = (now_ns - active.job.start_ns) / 1e9 if active.job.status is not JobStatus.PENDING else 0.0
        result = JobResult(False, landed, active.numbers.landed_bytes, max(duration_s, 0.0), (error.message,))
        status = JobStatus.CANCELLED if isinstance(error, Cancelled) else JobStatus.FAILED
        ended = replace(active.job, status=status, end_ns=now_ns, result=result)
        await self._close(active, ended, keep=kept or landed > 0)

    async def _look_at_hold(self) -> None:
        """Rounds and looks at home put a hold into the store; here the standing learns of it."""
        try:
            self.standing.held(await self.doors.store.flags.hold(self.doors.target.manifest))
        except StoreError as error:
            self.standing.broken(error)

    async def _close(self, active: ActiveJob, ended: Job, *, keep: bool) -> None:
        """A job that cannot be remembered has ended all the same."""
        self._wishes.pop(active, None)
        try:
            await self._jobs.end(active, ended, keep=keep)
        except StoreError as error:
            self.standing.broken(error)

    async def leave(self) -> None:
        """The target's runner has ended for good: tells those that still wait, and asks for nothing more."""
        if self._again is not None:
            self._again.cancel()
        await self.runner.left()
        if self._cleaning is not None:
            await asyncio.wait([self._cleaning])

    # --- others -----------------------------------------------------------------------------------------------------------

    async def clean_up(self, *, dry_run: bool, urgent: bool) -> CleanupResult:
        """A cleanup in its turn, after a look at home. Raises ForgedError when it cannot even begin."""
        policy = self.doors.target.cleanup
        if policy is None:
            raise ForgedError("this target has no [target.cleanup]: nothing is ever removed", hint="add the table to forged.toml")
        dry = dry_run or policy.dry_run
        if not dry:
            self._check_pause()

        async def work() -> CleanupResult:
            await check_home(self.doors)
            await self._look_at_hold()
            return await run_cleanup(self.doors, policy, dry_run=dry)

        result = await self.in_turn("cleanup", work, urgent=urgent)
        freed = (0, 0) if result.dry_run else (len(result.removed), result.freed_bytes)
        self.standing.metrics.cleaned(self.doors.target.name, *freed, result.kept_count)
        self._tell_of_cleanup(result.error)
        if result.error is None and dry == policy.dry_run:  # one that was only asked for as a dry run leaves the others due
            self.standing.cleanup_due_in(policy.every_s)
        return result

    def _tell_of_cleanup(self, error: ForgedError | None) -> None:
        """A source that cannot remove stays so, however well its rounds go: a condition of its own."""
        if isinstance(error, NotSupported):
            self.standing.conditions.broken("cleanup", error.message, error.hint)
        elif error is not None:
            self.standing.broken(error)
        else:
            self.standing.conditions.healed("cleanup")

    def clean_up_when_due(self) -> bool:
        """The timetable's cleanup. False where there is nothing to do, or one is under way."""
        if self._cleaning is not None and not self._cleaning.done():
            return False
        if self.doors.target.cleanup is None or self.standing.pause is not None or self.standing.capabilities is None:
            return False
        self._cleaning = asyncio.create_task(self._due_cleanup(), name=f"cleanup {self.doors.target.name}")
        return True

    async def _due_cleanup(self) -> None:
        with suppress(ForgedError):  # it is a condition already, shown and logged once
            await self.clean_up(dry_run=False, urgent=False)

    async def believe(self) -> None:
        """A person released the hold, and has looked where it pointed to. At home, what is missing now is the owner's wish. At the
        source, what the next look there does not see is gone: that is written down by then, so that it holds whatever ends forged
        meanwhile. Of the other end, where it may be days until the next look, nothing was said, and it is doubted as ever.

        Raises DestinationError, StoreError.
        """
        flags, name = self.doors.store.flags, self.doors.target.manifest
        hold = await flags.hold(name)
        of_the_source = hold is not None and is_of_the_source(hold.reason)
        if of_the_source:
            await flags.set_released(name, self.doors.clock.now_ns())
        await flags.set_hold(name, None)
        try:
            await check_home(self.doors, believe=not of_the_source)
        finally:
            self.standing.held(await flags.hold(name))
        self.look()

    async def in_turn(self, name: str, work: Callable[[], Awaitable[T]], *, urgent: bool = True) -> T:
        """Does something with the open source when its turn has come. Raises what it raises, or why it could not be done."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def do() -> None:
            result = await work()
            if not answer.done():
                answer.set_result(result)

        async def refuse(error: ForgedError) -> None:
            if not answer.done():
                answer.set_exception(error)

        wish = Wish(name, do, refuse, urgent)
        self.runner.ask(wish)
        try:
            return await answer
        finally:
            self.runner.cancel(wish, Cancelled())


def _without_gaps(result: RoundResult, asked: Sequence[SourcePath]) -> RoundResult:
    """Folders that a person named and that are not there are no success, though nothing failed."""
    gone = [str(one) for one in result.tally.problems if one.kind is ProblemKind.VANISHED and one.path in asked]
    if not gone or result.job.result is None:
        return result
    told = replace(result.job.result, success=False, errors=(*gone, *result.job.result.errors))
    return replace(result, job=replace(result.job, status=JobStatus.FAILED, result=told))
