"""Promise 10 over time: memory, descriptors, threads, tasks and the database stay level, however much goes through.

A moment of everything in `make test`; as a campaign a million events and at least FORGED_MINUTES. Events are changes at the boxes,
calls, jobs, and what subscribers were told.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from forged.daemon.reload import NOT_CHANGED
from forged.model.jobs import Job, JobResult, JobStatus, new_job_id
from forged.store.base import JOBS_KEPT
from forged.store.sqlite import open_store
from tests.soak.level import Levels, Sample, risen, told
from tests.soak.load import CONTENTS, MOST_WAITING, NAMES, Calls, Churn, Cuts, Load, Reloads, Steers, Syncs, local_source
from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd

BUSY = 'exclude = ["*.tmp", "*.tmp2"]\n[target.cleanup]\nage = "2s"\nevery = "1s"'

MOST_ROWS = 2 * 5 * NAMES * len(CONTENTS) + 2
"""Contents remembered of the two busy boxes, five folders each, and of the two that are quiet."""


KINDS = {"changes", "calls", "jobs", "events", "reloads"}
"""What happens, by the words of the loads."""

EVENTS = 1_000_000

STARTS_S = 900.0
"""How long a start may take on a machine that is busy with other things."""


def counted(house: Daemon, numbers: Path) -> None:
    """Makes the daemon one whose tasks and objects are counted."""
    house.within = lambda command: [sys.executable, "-m", "tests.soak.counted", str(numbers), *command[3:]]


async def remember_jobs(house: Daemon) -> None:
    """As after weeks: as many jobs as are kept have been done before. Else a short run would only see their number rise."""
    store = await open_store(house.root / "state" / "forged.db")
    for number in range(JOBS_KEPT):
        await store.jobs.save(Job(new_job_id(), "still", JobStatus.COMPLETE, number, (), number, JobResult(True, 0, 0, 0.1)))
    await store.close()


def live(
    house: Daemon, own: Sshd, every_s: float, minutes: float, enough: Callable[[Counter[str]], bool]
) -> tuple[Levels, Counter[str]]:
    """Everything at once, for so long at least, and until enough of it was done."""
    numbers = house.root / "numbers"
    counted(house, numbers)
    local_source(house, "local")
    local_source(house, "still")
    for name in ("guest", "still"):
        for folder in (house.box(name), house.home(name)):
            folder.mkdir(exist_ok=True)
        (house.box(name) / "picture.bin").write_bytes(b"still")
    house.write()
    asyncio.run(remember_jobs(house))
    house.spawn()
    house.told("READY=1", within_s=STARTS_S)
    levels = Levels(house, own, numbers)
    loads: list[Load] = [
        Churn(house, "box", 1),
        Churn(house, "local", 2),
        Calls(house),
        Syncs(house),
        Steers(house),
        Reloads(house),
        Cuts(house, own),
    ]
    ends_s = time.monotonic() + 60 * minutes
    with ExitStack() as stack:
        for load in loads:
            load.start()
            stack.callback(load.end)
        while time.monotonic() < ends_s or not enough(_done(loads)):
            time.sleep(every_s)
            assert all(load.error is None for load in loads), [load.error for load in loads]
            levels.take()
    return levels, _done(loads)


def _done(loads: list[Load]) -> Counter[str]:
    done = Counter[str]()
    for load in loads:
        done += load.done
    return done


def _faults(house: Daemon) -> list[object]:
    """What was logged as an error, but for the mistakes that the owner made."""
    return [line for line in house.lines(level="error") if line["event"] != NOT_CHANGED]


@pytest.mark.timeout(900)
def test_a_moment_of_everything() -> None:
    with running_sshd() as own, daemon(own, box=BUSY, local=BUSY, still="") as house:
        levels, _ = live(house, own, every_s=0.5, minutes=0.1, enough=lambda done: done.keys() >= KINDS)
        until(lambda: levels.take().outbox == 0, lambda: "what the catalog has taken is not pruned", STARTS_S)
        last = levels.take()
        house.stop(within_s=STARTS_S)
        assert _faults(house) == []
    assert last.versions <= MOST_ROWS
    assert JOBS_KEPT <= last.jobs <= JOBS_KEPT + MOST_WAITING


@pytest.mark.campaign
@pytest.mark.timeout(14_400)
def test_a_million_events() -> None:
    minutes = float(os.environ.get("FORGED_MINUTES", "20"))
    with running_sshd() as own, daemon(own, box=BUSY, local=BUSY, still="") as house:
        levels, done = live(house, own, every_s=5, minutes=minutes, enough=lambda done: sum(done.values()) >= EVENTS)
        samples = [sample for _, sample in levels.samples]
        figures = {"minutes": round((levels.samples[-1][0] - levels.samples[0][0]) / 60, 1), "total": sum(done.values()), **done}
        print(json.dumps({**figures, "levels": told(samples)}, indent=1))
        house.stop(within_s=STARTS_S)
        assert _faults(house) == []
    assert levels.risen() == []
    assert samples[-1].versions <= MOST_ROWS


LEVEL = Sample(2, 90_000_000, 40, 12, 30, 900_000, 3, 60_000_000, 3_000_000, 1_000, 0, 700)


def test_what_grows_is_seen() -> None:
    def grown(**step: int) -> list[str]:
        return risen([replace(LEVEL, **{key: getattr(LEVEL, key) + n * by for key, by in step.items()}) for n in range(300)])

    assert grown() == []
    assert grown(rss_bytes=20_000) == []
    assert grown(rss_bytes=200_000) == ["rss_bytes rose from 119,900,000 to 139,900,000"]
    assert grown(tasks=1, descriptors=1) == ["descriptors rose from 190 to 290", "tasks rose from 180 to 280"]
    assert len(grown(versions=5, jobs=1, database_bytes=20_000, blocks=1_000)) == 4
