"""`forged demo`: the tour, and how its ending is told."""

from __future__ import annotations

from pathlib import Path

from forged.cli.running import Interrupted, run
from forged.cli.telling import Line, Manner, Tone, columns, line, say, trouble
from forged.demo.ending import Ending, told
from forged.demo.grounds import Grounds, grounds
from forged.demo.showing import live, plain
from forged.demo.tour import tour


def demo(folder: Path | None, seconds: float, manner: Manner) -> bool:
    """Gives the tour; answers whether everything came home. Raises FolderNotEmpty, and Interrupted after Ctrl-C."""
    place = grounds(folder)
    try:
        ending = run(tour(place, seconds, live if manner is Manner.SCREEN else plain))
    except Interrupted:
        say(stopped(place))
        raise
    say(last_words(ending))
    return ending.success


def stopped(place: Grounds) -> list[Line]:
    """Where the rest is, if there is any."""
    return [line(f"What there is lies in {place.root}")] if place.leave() else []


def last_words(ending: Ending) -> list[Line]:
    """The ending: a headline, and labelled lines."""
    headline = line("Everything is home.", Tone.GOOD) if ending.success else line("Something went wrong.", Tone.BAD)
    lines = [line(""), headline, line(""), *(line(f"  {text}") for text in columns(told(ending))), line("")]
    return lines + (trouble("demo", ending.error) if ending.error else [])
