"""`forgectl watch`: the live view of targets, jobs and files as they come home.

With `--json` it writes one document a line and second: that of `target.list`, with `progress` and `recent` (events) beside it. Into
a pipe, a log, or a terminal that can draw nothing it writes lines: events as they come, and every ten seconds how far each job is.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

import click

from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.view import View
from forged.cli.telling import Manner, print_json
from forged.control.client import CallFailed, NoAnswer, NoDaemon, NoPermission
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.cli.ctl.screen import Screen

LOOK_EVERY_S = 1.0
"""How often everything is asked anew; what happens in between comes as a notification."""

FRAME_S = 0.25
"""Progress comes at most four times a second and job (daemon/jobbook): drawing more often would show nothing new."""

SAID_S = 5.0
"""How long the last line tells what became of a key."""

PATIENCE_S = 5.0
"""For an answer: a picture that stands still for longer should say why."""


@click.command()
@command
def watch(asking: Asking) -> int:
    """Watch targets, jobs and files live, until q or Ctrl-C.

    A full screen on a terminal (`?` shows its keys), lines elsewhere; --json writes a document a line and second.
    """
    view, asking.in_lines = View(), True
    view.subscribe(asking)
    try:
        if asking.as_json:
            written(asking, view)
        elif asking.manner is Manner.SCREEN and sys.stdin.isatty() and os.environ.get("TERM", "dumb") != "dumb":
            return drawn(asking, view)
        else:
            from forged.cli.ctl.tail import tail

            tail(asking, view)
    except KeyboardInterrupt:
        pass
    return Exit.WELL


def written(asking: Asking, view: View) -> None:
    """One document a second, for ever."""
    while True:
        view.look(asking)
        progress = [{"target": target, **one} for target, one in view.jobs]
        print_json({"targets": view.targets, "progress": progress, "recent": list(view.recent)}, one_line=True)
        view.recent.clear()
        for note in asking.client.notifications(LOOK_EVERY_S):
            view.take(note)


def drawn(asking: Asking, view: View) -> int:
    """A picture that changes in place, until somebody has seen enough."""
    from forged.cli.ctl.screen import Ended, screen

    asking.client.timeout_s = PATIENCE_S
    try:
        with screen() as terminal:
            Watching(asking, view, terminal).go()
    except Ended as ended:
        return ended.exit_code
    return Exit.WELL


class Watching:
    """The loop of the live view: looks, draws, listens to keys and to the daemon, and waits for one that restarts."""

    def __init__(self, asking: Asking, view: View, screen: Screen) -> None:
        self._asking, self._view, self._screen = asking, view, screen
        self._look_s = 0.0
        self._said_s = 0.0
        self._goes_on = True

    def go(self) -> None:
        """Until q or Ctrl-C."""
        from forged.cli.ctl.picture import picture

        try:
            while self._goes_on:
                self._keep_up()
                if not self._view.is_frozen or self._view.shows_help:
                    self._screen.draw(picture(self._view, *self._screen.size))
                if self._screen.wait(None if self._view.away else self._asking.client, FRAME_S):
                    for key in self._screen.typed():
                        self._press(key)
                    self._screen.draw(picture(self._view, *self._screen.size))
        except KeyboardInterrupt:
            return

    def _keep_up(self) -> None:
        """Takes what was told, and looks when it is time; a daemon that is gone is asked for until it is back."""
        now_s, view = time.monotonic(), self._view
        if view.said and now_s > self._said_s:
            view.said = ""
        try:
            if view.away and now_s >= self._look_s:
                self._asking.close()
                view.subscribe(self._asking)
                self._asking.client.timeout_s = PATIENCE_S
            if now_s >= self._look_s:
                self._look_s = now_s + LOOK_EVERY_S
                view.look(self._asking)
                view.away = ""
            elif not view.away:
                for note in self._asking.client.notifications(0.001):
                    view.take(note)
        except (NoDaemon, NoAnswer, NoPermission) as error:
            self._look_s = now_s + LOOK_EVERY_S
            view.away = f"not connected, trying again: {error.message}"

    def _press(self, key: str) -> None:
        view = self._view
        if view.shows_help and key != "q":
            view.shows_help = False
        elif key == "q":
            self._goes_on = False
        elif key == "?":
            view.shows_help = True
        elif key == "space":
            view.is_frozen = not view.is_frozen
        elif key in ("up", "down", "escape"):
            view.choose({"up": -1, "down": 1}[key]) if key != "escape" else setattr(view, "chosen", None)
        elif key in ("p", "s"):
            self._act(key)

    def _act(self, key: str) -> None:
        """What a key asks of the daemon; its answer is told in the last line."""
        target = self._view.target()
        if target is None:
            self._tell("choose a target first, with ↑ and ↓")
            return
        method = "sync.start" if key == "s" else "target.resume" if target["paused"] else "target.pause"
        try:
            done = self._asking.call(method, target=target["name"])
            self._tell(f"{target['name']}: {done['sync_id']}" if key == "s" else done["message"])
        except (CallFailed, NoDaemon, NoAnswer) as error:
            self._tell(f"{error.message}: {error.hint}" if error.hint else error.message)
        self._look_s = 0.0

    def _tell(self, text: str) -> None:
        self._view.said, self._said_s = text, time.monotonic() + SAID_S
