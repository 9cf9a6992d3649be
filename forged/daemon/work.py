"""What can be asked of one target, as wishes: a sync, a poll, a cleanup, or anything else that needs its open source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from forged.daemon.jobbook import ActiveJob, JobBook
from forged.daemon.runner import Runner, Wish
from forged.daemon.standing import Standing
from forged.model.errors import Cancelled, ForgedError
from forged.model.jobs import JobResult, JobStatus
from forged.model.paths import SourcePath
from forged.rules.selection import folder_path
from forged.sync.cleanup import CleanupResult, run_cleanup
from forged.sync.cycle import RoundResult, run_round
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.tally import Tally

STRETCH = 10
"""While a watch lives, every tenth poll looks at everything: the watch is quick but may miss what other kernels write."""

T = TypeVar("T")


class Work:
    """One target's work; makes wishes for its runner."""

    def __init__(self, doors: Doors, runner: Runner, standing: Standing, jobs: JobBook, ingests_missing: bool = False) -> None:
        """`ingests_missing`: a required ingest is configured that has not taken this target's files, so cleanup removes nothing."""
        self.ingests_missing = ingests_missing
        self.doors = doors
        self.runner = runner
        self.standing = standing
        self._jobs = jobs
        self._wishes: dict[ActiveJob, Wish] = {}
        self._cleaning: asyncio.Task[None] | None = None

    def jobs(self) -> list[ActiveJob]:
        """The jobs of this target that run or wait."""
        return [active for active in self._jobs.active.values() if active.job.target == self.doors.target.name]

    # --- syncs ------------------------------------------------------------------------------------------------------------

    def start_sync(self, folders: Sequence[str] = ()) -> ActiveJob:
        """A person's sync: its job is kept, whatever comes of it."""
        active = self._jobs.open(self.doors.target.name, folders)
        self._ask(active, urgent=True)
        return active

    def poll(self) -> bool:
        """The timetable's sync. False when it is not needed: one waits already, or a watch lives and a look was taken lately."""
        if self.standing.pause is not None or self._seen_lately():
            return False
        if any(not active.job.status.ended and active in self._wishes for active in self._jobs.active.values()):
            return False
        self._ask(self._jobs.open(self.doors.target.name), urgent=False)
        return True

    def _seen_lately(self) -> bool:
        last_ns = self.standing.last_sync_ns
        if not self.standing.watching or last_ns is None or self.standing.left_files:
            return False
        return (self.doors.clock.now_ns() - last_ns) / 1e9 < STRETCH * self.doors.target.timing.poll_s

    def cancel(self, active: ActiveJob) -> None:
        """Ends a job, running or waiting. What landed stays; the rest resumes with the next sync."""
        active.cancelled = True
        wish = self._wishes.get(active)
        if wish is not None and self.runner.withdraw(wish):
            refusal = asyncio.ensure_future(wish.refuse(Cancelled()))
            refusal.add_done_callback(lambda done: done.exception())
        elif self.standing.active is active:
            self.runner.interrupt()

    def _ask(self, active: ActiveJob, *, urgent: bool) -> None:
        async def work() -> None:
            await self._sync(active, urgent)

        async def refuse(error: ForgedError) -> None:
            self._wishes.pop(active, None)
            await self._jobs.cancel_unstarted(active, error.message, keep=urgent)

        wish = self._wishes[active] = Wish("sync" if urgent else "poll", work, refuse, urgent)
        self.runner.ask(wish)

    async def _sync(self, active: ActiveJob, kept: bool) -> None:
        """One round as a job. The books are closed even if the work is cancelled in the middle."""
        self._wishes.pop(active, None)
        await self._jobs.begin(active, keep=kept)
        self.standing.round_began(active)
        doors = replace(self.doors, observer=active.beside(self.doors.observer))
        try:
            result = await run_round(doors, self.runner.looks, active.job, Tally(), self._folders(active))
        except asyncio.CancelledError:
            await asyncio.shield(self._interrupted(active))
            raise
        await asyncio.shield(self._finished(active, result, kept))
        if result.error is not None:
            raise result.error

    def _folders(self, active: ActiveJob) -> list[SourcePath]:
        folders = active.job.folders or self.doors.target.selection.folders
        paths = [folder_path(folder) for folder in folders]
        return [] if b"" in paths else [SourcePath(path) for path in paths]

    async def _finished(self, active: ActiveJob, result: RoundResult, kept: bool) -> None:
        self.standing.round_ended(result)
        self.standing.held(await self.doors.store.flags.hold(self.doors.target.manifest))
        moved = result.tally.transferred or result.tally.adopted or result.tally.failed
        await self._jobs.end(active, result.job, keep=kept or bool(moved))
        again_s = result.waiting.look_again_s
        if again_s is not None and again_s < self.doors.target.timing.poll_s:
            asyncio.get_running_loop().call_later(again_s, self.poll_waiting)

    def poll_waiting(self) -> None:
        """Files were still being written: look again as soon as that makes sense."""
        if self.standing.left_files:
            self.poll()

    async def _interrupted(self, active: ActiveJob) -> None:
        self.standing.active = None
        result = JobResult(False, active.numbers.landed_files, active.numbers.landed_bytes, 0.0, (Cancelled().message,))
        ended = replace(active.job, status=JobStatus.CANCELLED, end_ns=self.doors.clock.now_ns(), result=result)
        await self._jobs.end(active, ended)

    async def give_up(self, reason: str) -> None:
        """The target ends: what was still waiting is told why."""
        for active in list(self._wishes):
            self._wishes.pop(active)
            await self._jobs.cancel_unstarted(active, reason, keep=False)

    # --- others -----------------------------------------------------------------------------------------------------------

    async def clean_up(self, *, dry_run: bool, urgent: bool) -> CleanupResult:
        """A cleanup in its turn. Raises ForgedError when it cannot even begin."""
        policy = self.doors.target.cleanup
        if policy is None:
            raise ForgedError("this target has no [target.cleanup]: nothing is ever removed", hint="add the table to forged.toml")
        dry = dry_run or policy.dry_run
        result = await self.in_turn(
            "cleanup", lambda: run_cleanup(self.doors, policy, dry_run=dry, missing_ingests=self.ingests_missing), urgent=urgent
        )
        freed = (0, 0) if result.dry_run else (len(result.removed), result.freed_bytes)
        self.standing.metrics.cleaned(self.doors.target.name, *freed, result.kept_count)
        if result.error is not None:
            self.standing.broken(result.error)
        return result

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
        """A person released the hold: what is missing at home now is the owner's wish, and what vanished at the source is gone."""
        self.runner.looks.believe_next = True
        await check_home(self.doors, believe=True)
        self.poll()

    async def in_turn(self, name: str, work: Callable[[], Awaitable[T]], *, urgent: bool = True) -> T:
        """Does something with the open source when its turn has come. Raises what it raises, or why it could not be done."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        async def do() -> None:
            try:
                result = await work()
            except ForgedError as error:
                if not answer.done():
                    answer.set_exception(error)
                raise
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
            self.runner.withdraw(wish)
