"""`forgectl watch` where nothing can be drawn: a line for each event, each job now and then, each problem that comes or goes."""

from __future__ import annotations

import time

from forged.cli.ctl import events, status
from forged.cli.ctl.asking import Asking
from forged.cli.ctl.jobs import standing
from forged.cli.ctl.view import View
from forged.cli.ctl.words import now, problems
from forged.cli.telling import Line, Tone, line, say

LINE_EVERY_S = 10.0
"""Often enough to see that it lives, rare enough for a log."""


def tail(asking: Asking, view: View) -> None:
    """For ever; raises what asking raises."""
    view.recent.clear()
    known: frozenset[tuple[str, str]] = frozenset()
    while True:
        view.look(asking)
        say([line(f"{target}: {standing(progress)}") for target, progress in view.jobs])
        known = changed(view, known)
        end_s = time.monotonic() + LINE_EVERY_S
        while (left_s := end_s - time.monotonic()) > 0:
            for note in asking.client.notifications(min(left_s, 1.0)):
                view.take(note)
                if note.method == "event":
                    say([line(events.text(note.params), events.tone(note.params))])


def changed(view: View, known: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    """Says which problems are new and which have gone; answers those that there are."""
    if view.daemon is None:
        return known
    wrong = {(who, problem["kind"]): problem for who, problem in status.wrong(view.targets, view.daemon)}
    lines: list[Line] = []
    for who, kind in wrong.keys() - known:
        lines += problems(who, [wrong[who, kind]], now())
    lines += [line(f"✔ {who}: no longer {kind.replace('_', ' ')}", Tone.GOOD) for who, kind in known - wrong.keys()]
    say(lines)
    return frozenset(wrong)
