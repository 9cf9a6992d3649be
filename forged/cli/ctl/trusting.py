"""`forgectl release` and `trust`: what only a person can decide."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.confirming import confirmed, yes_option
from forged.cli.ctl.words import now, problems
from forged.cli.telling import Line, Tone, line, say
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


@click.command()
@click.argument("target", shell_complete=completing.targets)
@yes_option
@command
def release(asking: Asking, target: str, yes: bool) -> int:
    """End the hold on TARGET, after showing why it is held.

    While a target is held, files come home, but nothing is removed at the source and nothing is forgotten.
    """
    found: rpc.TargetStatus = asking.call("target.status", target=target)
    if found["target"]["held"]:
        if not asking.as_json:
            say(reason(found["target"], now()))
        if not confirmed(asking, "Release it?", yes):
            return Exit.FAILED
    done: rpc.Released = asking.call("target.release", target=target)
    asking.show(done, [line(done["message"], Tone.GOOD)])
    return Exit.WELL if done["success"] else Exit.FAILED


def reason(target: rpc.Target, at: datetime) -> list[Line]:
    """Why it is held."""
    return problems(target["name"], [each for each in target["problems"] if each["kind"] == "held"], at)


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.argument("fingerprint", metavar="FINGERPRINT")
@command
def trust(asking: Asking, target: str, fingerprint: str) -> int:
    """Accept a new host key of TARGET: its FINGERPRINT, as `ssh-keygen -lf` shows it on the box (SHA256:...)."""
    if not fingerprint.startswith("SHA256:"):
        raise click.BadParameter("a fingerprint begins with SHA256:", param_hint="FINGERPRINT")
    done: rpc.Done = asking.call("target.trust", target=target, fingerprint=fingerprint)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED
