"""`forgectl watch`: the live view of targets, jobs and files as they come home.

With `--json` it writes one document a line and second: that of `target.list`, with `progress` and `recent` (events) beside it.
"""

from __future__ import annotations

import json
import sys

import click

from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.view import View
from forged.cli.telling import Manner
from forged.model.exits import Exit

LOOK_EVERY_S = 1.0
"""How often everything is asked anew; what happens in between comes as a notification."""

FRAME_S = 0.25
"""Progress comes at most four times a second and job (daemon/jobbook): drawing more often would show nothing new."""


@click.command()
@command
def watch(asking: Asking) -> int:
    """Watch targets, jobs and files live, until Ctrl-C."""
    if asking.manner is Manner.LINES:
        raise click.UsageError("watch draws on a terminal; elsewhere use --json, `forgectl events --follow` or `forgectl status`")
    view = View()
    view.subscribe(asking)
    try:
        if asking.as_json:
            written(asking, view)
        else:
            drawn(asking, view)
    except KeyboardInterrupt:
        pass
    return Exit.WELL


def written(asking: Asking, view: View) -> None:
    """One document a second, for ever."""
    while True:
        view.look(asking)
        progress = [{"target": target, **one} for target, one in view.jobs]
        sys.stdout.write(json.dumps({"targets": view.targets, "progress": progress, "recent": list(view.recent)}) + "\n")
        sys.stdout.flush()
        view.recent.clear()
        for note in asking.client.notifications(LOOK_EVERY_S):
            view.take(note)


def drawn(asking: Asking, view: View) -> None:
    """A picture that changes in place, for ever."""
    from rich.console import Console
    from rich.live import Live

    from forged.cli.ctl.picture import picture

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            view.look(asking)
            for _ in range(round(LOOK_EVERY_S / FRAME_S)):
                live.update(picture(view, console.width, console.height), refresh=True)
                for note in asking.client.notifications(FRAME_S):
                    view.take(note)
