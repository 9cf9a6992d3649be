"""The tour on a terminal, drawn from the story and nothing else. It fits into 80 columns and 24 lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from forged.demo.story import Arrival, Phase, Story
from forged.kit.units import human_duration, human_size

BLOCKS = " ▁▂▃▄▅▆▇█"

WIDTH = 100
"""Columns. On a wide terminal a box as wide as that is easier to read than a stretched one."""

SPARKS_SHOWN = 18
"""Seconds; what is left of a line of 80 columns."""

ACCENT = "bright_magenta"
GOOD = "green"

Words = Callable[[Path], str]
"""The prompt of a file at home."""


def screen(story: Story, words: Words) -> RenderableType:
    """The whole picture, as wide as the terminal but never wider than `WIDTH`."""
    clock = f"{story.elapsed_s:.0f} s" + (f" of {story.seconds:.0f} s" if story.phase is Phase.MAKING else "")
    parts = (chapters(story), Text(), programs(story), Text(), pulse(story), Text(), arrivals(story, words), Text(), now(story))
    title = Text.assemble((" forged ", f"bold {ACCENT}"), ("demo ", "bold"))
    return Panel(
        Group(*parts), title=title, title_align="left", subtitle=Text(f" {clock} ", "dim"), subtitle_align="right",
        box=box.ROUNDED, border_style=ACCENT, padding=(1, 2), width=WIDTH,
    )  # fmt: skip


def chapters(story: Story) -> Text:
    """Where we are."""
    return Text(f"{story.phase.value} …" if story.phase is not Phase.OVER else "done", style="bold")


def programs(story: Story) -> Table:
    """A bar for each program: how much of what it made is home."""
    table = Table.grid(padding=(0, 2))
    for place in story.places:
        made, home = story.made[place.target], story.home[place.target]
        table.add_row(
            Text(place.program, style="bold"),
            ProgressBar(
                total=max(made.files, home.files, 1), completed=home.files, width=28, complete_style=GOOD, finished_style=GOOD
            ),
            Text.assemble((f"{home.files:>3}", f"bold {GOOD}"), f" of {max(made.files, home.files):>3} files home"),
            Text(human_size(home.size_bytes), justify="right"),
        )
    return table


def pulse(story: Story) -> Text:
    """How soon files are home, and how many arrive each second."""
    median_s = story.median_s
    soon = "—" if median_s is None else human_duration(median_s)
    return Text.assemble(
        "home ", (soon, f"bold {ACCENT}"), " after the last byte ", ("(median)  ", "dim"),
        (sparkline(list(story.per_second)[-SPARKS_SHOWN:]), ACCENT), (" files/s", "dim"),
    )  # fmt: skip


def sparkline(counts: list[int]) -> str:
    """One block for each second, its height in eighths of the highest."""
    highest = max(counts, default=0)
    return "".join(BLOCKS[-(-8 * count // highest)] if highest else BLOCKS[0] for count in counts)


def arrivals(story: Story, words: Words) -> Table:
    """The last files at home, with the beginning of their prompts."""
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, min_width=22)
    table.add_column(no_wrap=True, min_width=6, justify="right")
    table.add_column(no_wrap=True, min_width=6, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for arrival in story.recent:
        table.add_row(*arrival_row(arrival, words))
    for _ in range(len(story.recent), story.recent.maxlen or 0):
        table.add_row("")
    return table


def arrival_row(arrival: Arrival, words: Words) -> tuple[Text, Text, Text, Text]:
    return (
        Text.assemble(("✔ ", GOOD), arrival.path.name),
        Text(human_size(arrival.size_bytes), style="dim"),
        Text(human_duration(arrival.latency_s), style=ACCENT),
        Text(words(arrival.path), style="italic dim"),
    )


def now(story: Story) -> Text:
    """What is not home, and why."""
    if story.trouble is not None:
        return Text(f"{story.trouble.message} {story.trouble.hint}", style="yellow")
    waiting = sum(story.waiting.values())
    if story.phase in (Phase.STARTING, Phase.OVER) or not waiting:
        return Text()
    files = "1 file is" if waiting == 1 else f"{waiting} files are"
    return Text(f"{files} still being written: left alone until whole", style="yellow")
