"""`forgectl status`: how every target stands, and below it what is wrong and what to do.

The document of `--json` is that of `target.list`, with `progress` (that of each job at work) and `daemon` (that of
`daemon.status`) beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.grid import Column, fitted
from forged.cli.ctl.words import NOTHING, UNKNOWN, age_s, ago, brief, counted, now, problems, safe, since_s
from forged.cli.telling import Line, Tone, line
from forged.control.client import CallFailed, NoDaemon
from forged.kit.units import human_duration, human_rate, human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

COLUMNS = (
    Column("TARGET"),
    Column("STATE"),
    Column("LAST SYNC", rank=5),
    Column("BACKLOG", rank=1),
    Column("LAG", rank=3, right=True),
    Column("RATE", rank=2, right=True),
    Column("FREE", rank=4, right=True),
)
"""With the rank in which they go where a terminal is narrow."""

ALARMS = ("lost", "ending")
"""Kinds of problems that stand above everything else: files are about to be out of reach."""

TONES = {
    "lost": Tone.BAD,
    "unreachable": Tone.BAD,
    "refused": Tone.BAD,
    "waiting": Tone.WARN,
    "scanning": Tone.GOOD,
    "transferring": Tone.GOOD,
}
BLIND = ("lost", "unreachable", "refused", "waiting")
"""States in which nobody looks at a source: it does not let us, or what it shows has no place to go to."""

FINE = ("limited",)
"""Kinds of problems that nobody has to see to: what can be done in that way is done."""

MB = 1_000_000
"""`transfer_rate_mbps` counts in these."""

Rates = Mapping[str, float]
"""Bytes per second by target."""

Trouble = tuple[str, "rpc.Problem"]
"""Who has it, and what it is."""


@click.command()
@click.option("--check", is_flag=True, help="End with 1 when anything is wrong, for scripts and monitoring.")
@command
def status(asking: Asking, check: bool) -> int:
    """Show how every target stands, and what is wrong.

    Exit status: 0 shown, 3 no daemon or no permission. With --check 1 when anything is wrong that --json has among its `problems`:
    of a target, a discovery, an ingest handler or the daemon itself. A source that is reached in a lesser way (`limited`) is not.
    """
    try:
        listed: rpc.Targets = asking.whole("target.list", "targets")
    except NoDaemon as error:
        from forged.cli.ctl.absent import explained

        raise explained(error, asking.paths) from error
    daemon: rpc.DaemonStatus = asking.call("daemon.status")
    active: rpc.Jobs = asking.call("sync.active")
    progress = [(job["target"], one) for job in active["jobs"] if (one := _progress(asking, job["id"])) is not None]
    document = {**listed, "progress": [{"target": name, **one} for name, one in progress], "daemon": daemon}
    asking.show(document, board(listed["targets"], rates(progress), daemon, now(), asking.columns))
    return Exit.FAILED if check and is_wrong(listed["targets"], daemon) else Exit.WELL


def _progress(asking: Asking, job_id: str) -> rpc.Progress | None:
    """None where it has ended meanwhile: a look that found nothing is not kept."""
    try:
        found: rpc.SyncProgress = asking.call("sync.progress", job_id=job_id)
    except CallFailed as e:
        if e.type != "unknown_job":
            raise
        return None
    return found["progress"]


def rates(progress: Sequence[tuple[str, rpc.Progress]]) -> Rates:
    """How fast each target is, over all its jobs."""
    summed: dict[str, float] = {}
    for name, one in progress:
        summed[name] = summed.get(name, 0.0) + one["transfer_rate_mbps"] * MB
    return summed


def board(
    targets: Sequence[rpc.Target], fast: Rates, daemon: rpc.DaemonStatus, at: datetime, columns: int | None = None
) -> list[Line]:
    """The whole screen; for a terminal of so many columns, or as wide as it gets."""
    table = [*lines_of(targets, fast, at, bool(daemon["discoveries"]), columns), line("")]
    asked = [discovered(one, at) for one in daemon["discoveries"]]
    told = [handled(one) for one in daemon["handlers"]]
    return [
        *alarms(targets, at, columns),
        *table,
        line(summary(targets, daemon, at), Tone.QUIET),
        *asked,
        *told,
        *asleep(targets),
        *limited(targets),
        *troubles(targets, daemon, at, columns),
    ]


def alarms(targets: Sequence[rpc.Target], at: datetime, columns: int | None = None) -> list[Line]:
    """What cannot wait, above everything else."""
    lines = [each for who, problem in _alarming(targets) for each in problems(who, [problem], at, columns)]
    return [*lines, line("")] if lines else []


def discovered(one: rpc.Discovery, at: datetime) -> Line:
    """A discovery in one line: when it was asked, how many boxes there are, when it asks again."""
    answered = f"asked {ago(one['answered_at'], at)}" if one["answered_at"] else "not answered yet"
    if one["up"] is False:
        answered = f"no answer (the last {ago(one['answered_at'], at)})" if one["answered_at"] else "no answer yet"
    gone = f" ({one['gone']} gone)" if one["gone"] else ""
    again = f", again in {brief(-seconds)}" if one["next_at"] and (seconds := since_s(one["next_at"], at)) < 0 else ""
    text = f"discovery {one['name']} ({one['type']}): {counted(one['boxes'], 'box', 'boxes')}{gone}, {answered}{again}"
    return line(text, Tone.BAD if one["up"] is False else Tone.QUIET)


def handled(one: rpc.Handler) -> Line:
    """An ingest handler in one line: whether it takes what it is brought, how much waits for it, and how much for a person."""
    waits = f"{counted(one['waiting'], 'event')} wait{'s' if one['waiting'] == 1 else ''}" if one["waiting"] else "nothing waits"
    how = f"not taken, tried {counted(one['failures'], 'time')}, " if one["up"] is False else ""
    aside = f", {one['set_aside']:,} set aside" if one["set_aside"] else ""
    tone = Tone.BAD if one["up"] is False or one["set_aside"] else Tone.QUIET
    return line(f"ingest {one['name']} ({one['type']}): {how}{waits}{aside}", tone)


def _alarming(targets: Sequence[rpc.Target]) -> list[Trouble]:
    return [(named(target), problem) for target in targets for problem in target["problems"] if problem["kind"] in ALARMS]


def lines_of(
    targets: Sequence[rpc.Target], fast: Rates, at: datetime, discovering: bool = False, columns: int | None = None
) -> list[Line]:
    """The table, a row for each target. `discovering`: boxes may come by themselves."""
    if not targets and discovering:
        return [line("no boxes yet", Tone.QUIET)]
    if not targets:
        return [line("no targets yet: `forged probe URL` prints a [[target]] to paste", Tone.WARN)]
    rows = [row(target, fast.get(target["name"], 0.0), at) for target in targets]
    head, *body = ["  ".join(cells).rstrip() for cells in fitted(COLUMNS, rows, columns)]
    return [line(head, Tone.QUIET), *(line(text, tone(target)) for text, target in zip(body, targets, strict=True))]


def row(target: rpc.Target, bytes_per_s: float, at: datetime) -> tuple[str, ...]:
    """The cells of one target; short ones, so that a usual row fits into 80 columns."""
    lag_s, free_bytes = target["lag_seconds"], target["free_bytes"]
    return (
        safe(target["name"]),
        safe(standing(target)),
        brief(age_s(target["last_sync"], at)) if target["last_sync"] else "never",
        backlog(target["backlog_files"], target["backlog_bytes"]),
        UNKNOWN if lag_s is None else brief(lag_s) if lag_s else NOTHING,
        human_rate(bytes_per_s) if bytes_per_s else NOTHING,
        UNKNOWN if free_bytes is None else human_size(free_bytes),
    )


def standing(target: rpc.Target) -> str:
    """The state, and what a person has to know beside it: `paused`, `transferring, held`."""
    special = [word for word, is_so in (("held", target["held"]), ("paused", target["paused"])) if is_so]
    return ", ".join(special if special and target["state"] == "idle" else [target["state"], *special])


def backlog(files: int | None, size_bytes: int | None) -> str:
    """`1,200, 3.4 GB`: files and their size; without it where none is known, as of files that are still being written."""
    if not files:
        return UNKNOWN if files is None else NOTHING
    return f"{files:,}" + (f", {human_size(size_bytes)}" if size_bytes else "")


def tone(target: rpc.Target) -> Tone:
    """Calm where all is well."""
    if target["held"]:
        return Tone.WARN
    return Tone.QUIET if target["paused"] else TONES.get(target["state"], Tone.PLAIN)


def summary(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus, at: datetime) -> str:
    """The daemon in one line. It says that there is nothing to do only where somebody could look."""
    up, jobs = human_duration(age_s(daemon["started_at"], at)), daemon["jobs_active"]
    rest = "nothing to do" if all_seen(targets, daemon) else "no job at work"
    working = f"{counted(jobs, 'job')} at work" if jobs else rest
    blind = sum(target["state"] in BLIND and not target["asleep"] for target in targets)
    seen = f" ({blind} cannot be looked at)" if blind else ""
    waiting = daemon["media"]["waiting"]
    media = f", {counted(waiting, 'file')} to look into" if waiting else ""
    return f"forged {daemon['version']}, up {up}, {counted(daemon['targets'], 'target')}{seen}, {working}{media}"


def all_seen(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus) -> bool:
    """Whether each source and each discovery was looked at, and nothing there waits to come home."""
    return all(one["up"] for one in daemon["discoveries"]) and all(
        target["state"] == "idle" and not target["paused"] and not target["backlog_files"] and not target["lag_seconds"]
        for target in targets
    )


def asleep(targets: Sequence[rpc.Target]) -> list[Line]:
    """The boxes that nobody tries to reach, and why: what their providers say."""
    return [line(safe(f"{named(target)}: {target['asleep']}"), Tone.QUIET) for target in targets if target["asleep"]]


def named(target: rpc.Target) -> str:
    """As people know it: with the label that its owner gave it at the provider."""
    return f"{target['name']} ({target['label']})" if target["label"] else target["name"]


def limited(targets: Sequence[rpc.Target]) -> list[Line]:
    """The targets whose sources cannot do everything, and how they are reached; but for those that have it among their problems."""
    return [
        line(safe(f"{target['name']} is reached by {target['transport']}: no {' and no '.join(target['missing'])}"), Tone.QUIET)
        for target in targets
        if target["missing"] and all(problem["kind"] != "limited" for problem in target["problems"])
    ]


def troubles(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus, at: datetime, columns: int | None = None) -> list[Line]:
    """What is wrong beside the alarms."""
    lines = [each for who, problem in _troubling(targets, daemon) for each in problems(who, [problem], at, columns)]
    return [line(""), *lines] if lines else []


def is_wrong(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus) -> bool:
    """Whether anything is to be seen to, by a person or by time."""
    return any(problem["kind"] not in FINE for _, problem in wrong(targets, daemon))


def wrong(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus) -> list[Trouble]:
    """Everything that is wrong: the alarms first."""
    return [*_alarming(targets), *_troubling(targets, daemon)]


def _troubling(targets: Sequence[rpc.Target], daemon: rpc.DaemonStatus) -> list[Trouble]:
    """The daemon's own first, then discoveries and handlers, then target by target."""
    found = [("forged", problem) for problem in daemon["problems"]]
    found += [(f"discovery {one['name']}", problem) for one in daemon["discoveries"] for problem in one["problems"]]
    found += [(f"ingest {one['name']}", problem) for one in daemon["handlers"] for problem in one["problems"]]
    return found + [(target["name"], one) for target in targets for one in target["problems"] if one["kind"] not in ALARMS]
