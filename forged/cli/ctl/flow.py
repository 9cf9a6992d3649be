"""`forgectl pause`, `resume` and `limit`: whether and how fast files come home."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import table
from forged.cli.telling import line
from forged.kit.units import human_rate
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


@click.command()
@click.argument("target", shell_complete=completing.targets)
@command
def pause(asking: Asking, target: str) -> int:
    """Let TARGET rest until `resume`, restarts included."""
    return _done(asking, "target.pause", target)


@click.command()
@click.argument("target", shell_complete=completing.targets)
@command
def resume(asking: Asking, target: str) -> int:
    """End a pause."""
    return _done(asking, "target.resume", target)


def _done(asking: Asking, method: str, target: str) -> int:
    done: rpc.Done = asking.call(method, target=target)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED


@click.command()
@click.argument("limit", nargs=-1, metavar="[RATE|off|TIMETABLE]", shell_complete=completing.limits)
@click.option("--target", metavar="T", shell_complete=completing.targets, help="For this target; else for all together.")
@click.option("--keep", is_flag=True, help="Also after a restart of the daemon.")
@command
def limit(asking: Asking, limit: tuple[str, ...], target: str | None, keep: bool) -> int:
    """Bound the bandwidth, or show the bounds.

    RATE is like 20MB/s, TIMETABLE like "08:00,5MB/s 23:00,off". The word `config` gives back what the configuration says.
    """
    if keep and not limit:
        raise click.UsageError("--keep needs a RATE, off or a TIMETABLE")
    asked = {"limit": " ".join(limit), "keep": keep} if limit else {}
    limits: rpc.Limits = asking.call("transfer.limit", target=target, **asked)
    rows = [
        (each["target"] or "all together", human_rate(each["rate"]), each["limit"], each["origin"])
        for each in sorted(limits["limits"], key=lambda one: one["target"] or "")
    ]
    said = [line(limits["message"])] if limits["message"] else []
    asking.show(limits, [*said, *table([("TARGET", "NOW", "AS SET", "FROM"), *rows], frozenset({1}))])
    return Exit.WELL if limits["success"] else Exit.FAILED
