"""`forgectl sync`: starts a job, and with --wait follows it to its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.jobs import TONES, outcome, standing
from forged.cli.telling import Line, Manner, Tone, line, say
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

LINE_EVERY_S = 10.0
"""Where nobody watches: often enough to see that it lives, rare enough for a log."""

Draw = Callable[["rpc.Progress"], None]


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.option("--folder", "folders", multiple=True, metavar="F", help="Only this folder of the source. May be given often.")
@click.option("--wait", is_flag=True, help="Follow it to its end; exit status 1 when it fails.")
@command
def sync(asking: Asking, target: str, folders: tuple[str, ...], wait: bool) -> int:
    """Bring home now what is new at TARGET."""
    started: rpc.SyncStarted = asking.call("sync.start", target=target, folders=list(folders) or None)
    if not (wait and started["success"]):
        asking.show(started, [line(started["message"]), line(f"  forgectl job {started['sync_id']}", Tone.QUIET)])
        return Exit.WELL if started["success"] else Exit.FAILED
    try:
        job = followed(asking, started["sync_id"], target)
    except KeyboardInterrupt:
        say([line(f"It goes on without you. To stop it: forgectl cancel {started['sync_id']}", Tone.WARN)], to_stderr=True)
        return Exit.INTERRUPTED
    asking.show({"success": succeeded(job), "job": job}, ending(job))
    return Exit.WELL if succeeded(job) else Exit.FAILED


def succeeded(job: rpc.Job) -> bool:
    """Whether it went through, and well."""
    return job["status"] == "complete" and (job["result"] is None or job["result"]["success"])


def followed(asking: Asking, sync_id: str, target: str) -> rpc.Job:
    """The job once it has ended; progress is drawn meanwhile, in the manner that suits who looks."""
    asking.call("sync.subscribe", sync_id=sync_id)
    with drawing(asking.manner, target) as draw:
        # It may have ended before the subscription began.
        while (job := _job(asking, sync_id))["end_time"] is None:
            if ended := _until_it_ends(asking, sync_id, draw):
                return ended
        return job


def _job(asking: Asking, sync_id: str) -> rpc.Job:
    status: rpc.SyncStatus = asking.call("sync.status", job_id=sync_id)
    return status["job"]


def _until_it_ends(asking: Asking, sync_id: str, draw: Draw) -> rpc.Job | None:
    """None when notifications were lost, the last one perhaps among them."""
    for note in asking.client.notifications():
        if note.method == "rpc.dropped":
            return None
        if note.method == "sync_complete" and note.params["sync_id"] == sync_id:
            job: rpc.Job = note.params
            return job
        if note.method == "sync_progress" and note.params["sync_id"] == sync_id:
            draw(note.params)
    return None


@contextmanager
def drawing(manner: Manner, target: str) -> Iterator[Draw]:
    """A bar on a terminal, a line now and then elsewhere, nothing for a program."""
    if manner is Manner.SCREEN:
        from forged.cli.ctl.board import one_bar

        with one_bar(target) as draw:
            yield draw
    else:
        yield silent if manner is Manner.JSON else now_and_then(target)


def silent(_: rpc.Progress) -> None:
    """Draws nothing."""


def now_and_then(target: str) -> Draw:
    """Says where it stands, at most every ten seconds."""
    next_s = time.monotonic()

    def draw(progress: rpc.Progress) -> None:
        nonlocal next_s
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + LINE_EVERY_S
            say([line(f"{target}: {standing(progress)}")])

    return draw


def ending(job: rpc.Job) -> list[Line]:
    """The last words: what came home, or why not."""
    result = job["result"]
    errors = result["errors"] if result else []
    what = f"{job['status']}, {outcome(result)}" if result else job["status"]
    return [
        line(f"{job['target']}: {what}", TONES.get(job["status"], Tone.PLAIN)),
        *(line(f"  ✘ {error}", Tone.BAD) for error in errors),
    ]
