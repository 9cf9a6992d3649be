"""`forged demo`: the tour, and how its ending is told."""

from __future__ import annotations

from pathlib import Path

from forged.cli.running import Interrupted, run
from forged.cli.telling import Line, Manner, Tone, columns, line, say
from forged.demo.ending import Ending, told
from forged.demo.grounds import Grounds, grounds
from forged.demo.programs import Said
from forged.demo.showing import live, plain
from forged.demo.tour import tour


def demo(folder: Path | None, seconds: float, manner: Manner) -> bool:
    """Gives the tour; answers whether everything came home. Raises ForgedError, and Interrupted after Ctrl-C."""
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
    """The ending: what forgectl said, a headline, and labelled lines."""
    said = [text for each in ending.said for text in (line(""), *spoken(each))]
    headline = line("Everything is home.", Tone.GOOD) if ending.success else line("Something went wrong.", Tone.BAD)
    return [*said, line(""), headline, line(""), *(line(f"  {text}") for text in columns(told(ending))), line("")]


def spoken(said: Said) -> list[Line]:
    """A command and its answer, as they would stand in a terminal."""
    return [line(f"$ {said.command}", Tone.TITLE), *(line(f"  {text}".rstrip()) for text in said.text.splitlines())]
