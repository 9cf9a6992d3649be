"""`forgectl jobs`, `job` and `cancel`: what runs, what ran, and stopping it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.frame import cut
from forged.cli.ctl.grid import Column, fitted
from forged.cli.ctl.words import NOTHING, age_s, ago, brief, clock, counted, now, safe
from forged.cli.telling import Line, Tone, line
from forged.cli.telling import cells as cells_of
from forged.kit.units import human_duration, human_rate, human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

RECENT = 20
"""What fits on a terminal of 24 lines, with the heading."""

MB = 1_000_000
"""`transfer_rate_mbps` is in 10^6 bytes a second (daemon/answers)."""

TONES = {"complete": Tone.GOOD, "failed": Tone.BAD, "cancelled": Tone.WARN}


@click.command()
@click.option("-n", "--limit", type=click.IntRange(1, 1000), metavar="N", default=RECENT, show_default=True, help="How many.")
@command
def jobs(asking: Asking, limit: int) -> int:
    """List the jobs that run, and the last that ran."""
    active: rpc.Jobs = asking.call("sync.active")
    recent = ended_lately(asking, limit)
    ids = {job["id"] for job in active["jobs"]}
    both = [*active["jobs"], *(job for job in recent["jobs"] if job["id"] not in ids)][:limit]
    lines = listed(both, now(), asking.columns) if both else [line("no jobs yet", Tone.QUIET)]
    asking.show({**recent, "jobs": both}, lines)
    return Exit.WELL


def ended_lately(asking: Asking, limit: int) -> rpc.Jobs:
    """The newest, from as many pages as it takes: one holds fewer than were asked for where jobs have many errors."""
    found: list[rpc.Job] = []
    cursor: str | None = None
    while True:
        page: rpc.Jobs = asking.call("sync.list", limit=limit - len(found), cursor=cursor)
        found += page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None or len(found) >= limit:
            return {**page, "jobs": found}


def listed(found: Sequence[rpc.Job], at: datetime, columns: int | None = None) -> list[Line]:
    """The table, for a terminal of so many columns, or as wide as it gets. One that failed stands out, with its first error."""
    rows = [row(job, at) for job in found]
    head, *body = ["  ".join(cells) for cells in fitted(COLUMNS, [cells[:-1] for cells in rows], columns)]
    lines = [line(head.rstrip(), Tone.QUIET)]
    for job, text, (*_, error) in zip(found, body, rows, strict=True):
        room = None if columns is None else max(columns - cells_of(text) - 2, 0)
        said = error if room is None else cut(error, room)
        lines.append(line(f"{text}  {said}".rstrip(), LISTED.get(job["status"], Tone.PLAIN)))
    return lines


COLUMNS = (
    Column("ID"),
    Column("TARGET"),
    Column("STATUS"),
    Column("STARTED", rank=4),
    Column("TOOK", rank=3, right=True),
    Column("FILES", rank=1, right=True),
    Column("SIZE", rank=2, right=True),
)
LISTED = {"failed": Tone.BAD, "cancelled": Tone.WARN}


def row(job: rpc.Job, at: datetime) -> tuple[str, ...]:
    """The cells of one job."""
    result = job["result"]
    beginning = (job["sync_id"], safe(job["target"]), job["status"], ago(job["start_time"], at))
    if result is None:
        return (*beginning, brief(age_s(job["start_time"], at)), NOTHING, NOTHING, "")
    took, files = human_duration(result["duration"]), f"{result['files_transferred']:,}"
    return (*beginning, took, files, human_size(result["bytes_transferred"]), safe(result["errors"][0]) if result["errors"] else "")


@click.command()
@click.argument("id", metavar="ID", shell_complete=completing.jobs)
@command
def job(asking: Asking, id: str) -> int:
    """Show one job: how far it is, or what it did."""
    found: rpc.SyncStatus = asking.call("sync.status", job_id=id)
    if found["job"]["end_time"] is not None:
        asking.show(found, ended(found["job"]))
        return Exit.WELL
    progress: rpc.SyncProgress = asking.call("sync.progress", job_id=id)
    asking.show({**found, **progress}, [*title(found["job"]), line(f"  {standing(progress['progress'])}")])
    return Exit.WELL


@click.command()
@click.argument("id", metavar="ID", shell_complete=completing.running)
@command
def cancel(asking: Asking, id: str) -> int:
    """Stop one job. What has landed stays; the next sync brings the rest."""
    done: rpc.Done = asking.call("sync.cancel", job_id=id)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED


def title(job: rpc.Job) -> list[Line]:
    """Which job, and since when."""
    return [line(f"{job['sync_id']}: {job['target']}, {job['status']}, started {clock(job['start_time'])}", Tone.TITLE)]


def ended(job: rpc.Job) -> list[Line]:
    """What a job did, with its errors."""
    lines, result = title(job), job["result"]
    if result is not None:
        lines.append(line(f"  {outcome(result)}", TONES.get(job["status"], Tone.PLAIN)))
        lines += [line(f"  ✘ {error}", Tone.BAD) for error in result["errors"]]
    return lines


def outcome(result: rpc.JobResult) -> str:
    """`120 files, 3.4 GB, in 12 s`."""
    files, size = counted(result["files_transferred"], "file"), human_size(result["bytes_transferred"])
    return f"{files}, {size}, in {human_duration(result['duration'])}"


def standing(progress: rpc.Progress) -> str:
    """`transferring: 120 of 400 files, 34 MB of 120 MB, 12.5 MB/s, 7 s left`."""
    if not progress["total_files"]:
        return progress["current_stage"]
    parts = [
        f"{progress['transferred_files']:,} of {progress['total_files']:,} files",
        f"{human_size(progress['transferred_bytes'])} of {human_size(progress['total_bytes'])}",
        human_rate(progress["transfer_rate_mbps"] * MB),
    ]
    remaining_s = progress["estimated_time_remaining"]
    parts += [f"{human_duration(remaining_s)} left"] if remaining_s is not None else []
    return f"{progress['current_stage']}: {', '.join(parts)}"
