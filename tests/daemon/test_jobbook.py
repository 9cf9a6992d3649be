"""Jobs: opened, told about, closed once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from forged.daemon.jobbook import TELL_EVERY_S, ActiveJob, JobBook
from forged.kit.clock import HandClock
from forged.model.jobs import Job, JobResult, JobStatus
from forged.model.observer import FilesWanted
from forged.store.memory import MemoryStore
from tests.support.virtual import virtual


class Book(JobBook):
    """A book that writes down what it tells."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.progressed: list[JobStatus] = []
        self.ends: list[tuple[Job, bool]] = []
        super().__init__(self.store, HandClock(), self._told, lambda job, kept: self.ends.append((job, kept)))

    def _told(self, active: ActiveJob, stage: Job) -> None:
        self.progressed.append(stage.status)


def ended(active: ActiveJob) -> Job:
    return replace(active.job, status=JobStatus.COMPLETE, end_ns=1, result=JobResult(True, 0, 0, 0.0))


async def test_a_kept_job_is_remembered_from_its_turn_on() -> None:
    book = Book()
    active = book.open("box", ["a"])
    assert await book.store.jobs.get(active.job.id) is None
    await book.begin(active, keep=True)
    found = await book.store.jobs.get(active.job.id)
    assert found is not None and (found.status, found.folders) == (JobStatus.SCANNING, ("a",))
    await book.end(active, ended(active), keep=True)
    assert await book.find(active.job.id) == active.job
    assert [job.status for job in await book.recent(10)] == [JobStatus.COMPLETE]


async def test_only_the_first_end_counts() -> None:
    book = Book()
    active = book.open("box")
    await book.end(active, ended(active), keep=False)
    await book.end(active, replace(ended(active), status=JobStatus.CANCELLED), keep=True)
    assert (len(book.ends), active.job.status) == (1, JobStatus.COMPLETE)
    assert active.ended.is_set()


async def test_the_stage_follows_what_is_reported() -> None:
    book = Book()
    active = book.open("box")
    assert book.status_of(active).status is JobStatus.PENDING
    await book.begin(active, keep=False)
    assert book.status_of(active).status is JobStatus.SCANNING
    active.beside(active.progress).notice(FilesWanted("box", 2, 10))
    assert book.status_of(active).status is JobStatus.TRANSFERRING


@virtual
async def test_progress_is_told_at_most_four_times_a_second_and_only_while_there_is_a_job() -> None:
    book = Book()
    telling = asyncio.create_task(book.keep_telling(alive=lambda: None))
    await asyncio.sleep(10)
    assert book.progressed == []
    active = book.open("box")
    await asyncio.sleep(10 + TELL_EVERY_S / 2)
    assert 39 <= len(book.progressed) <= 41
    await book.end(active, ended(active), keep=False)
    told = len(book.progressed)
    await asyncio.sleep(10)
    assert len(book.progressed) == told
    telling.cancel()
