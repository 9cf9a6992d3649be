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

from forged.demo.ending import kept, went
from forged.demo.story import Arrival, Phase, Story
from forged.kit.units import human_duration, human_size
from forged.model import rpc

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
    middle = cleanups(story) if story.cleanups else arrivals(story, words)
    parts = (chapters(story), Text(), programs(story), Text(), pulse(story), Text(), middle, Text(), now(story))
    title = Text.assemble((" forged ", f"bold {ACCENT}"), ("demo ", "bold"))
    return Panel(
        Group(*parts), title=title, title_align="left", subtitle=Text(f" {clock} ", "dim"), subtitle_align="right",
        box=box.ROUNDED, border_style=ACCENT, padding=(1, 2), width=WIDTH,
    )  # fmt: skip


def chapters(story: Story) -> Text:
    """Where we are."""
    return Text(f"{story.phase.value} …" if story.phase is not Phase.OVER else "done", style="bold")


def programs(story: Story) -> Table:
    """A bar for each program: how much of what it made is home, and how much is still on the box."""
    table = Table.grid(padding=(0, 2))
    for place in story.places:
        made, home = story.made[place.target], story.home[place.target]
        table.add_row(
            Text(place.program, style="bold"),
            ProgressBar(
                total=max(made.files, home.files, 1), completed=home.files, width=24, complete_style=GOOD, finished_style=GOOD
            ),
            Text.assemble((f"{home.files:>3}", f"bold {GOOD}"), f" of {max(made.files, home.files):>3} files home"),
            Text(f"{story.on_the_box(place.target):>3} on the box", style="dim"),
        )
    return table


def pulse(story: Story) -> Text:
    """How soon files are home, and how many arrive each second."""
    median_s, worst_s = story.median_s, story.worst_s
    soon, late = ("—" if one is None else human_duration(one) for one in (median_s, worst_s))
    return Text.assemble(
        "home ", (soon, f"bold {ACCENT}"), " after close ", (f"(at worst {late})  ", "dim"),
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
        table.add_row(*arrival_row(arrival, story.latencies_s.get(arrival.key), words))
    for _ in range(len(story.recent), story.recent.maxlen or 0):
        table.add_row("")
    return table


def arrival_row(arrival: Arrival, latency_s: float | None, words: Words) -> tuple[Text, Text, Text, Text]:
    return (
        Text.assemble(("✔ ", GOOD), arrival.path.name),
        Text(human_size(arrival.size_bytes), style="dim"),
        Text("" if latency_s is None else human_duration(latency_s), style=ACCENT),
        Text(words(arrival.path), style="italic dim"),
    )


def cleanups(story: Story) -> Group:
    """What went at the box and what stays, in as many lines as the arrivals have."""
    lines = [line for target, answer in story.cleanups.items() for line in cleanup(target, answer)]
    return Group(*lines, *(Text() for _ in range(len(lines), story.recent.maxlen or 0)))


def cleanup(target: str, answer: rpc.Cleanup) -> tuple[Text, Text, Text]:
    """One `forgectl cleanup`."""
    return (
        Text.assemble(("$ ", "dim"), (f"forgectl cleanup {target}", "bold")),
        Text(f"  {went(answer)}", style=GOOD),
        Text(f"  {kept([answer])}", style="dim", no_wrap=True, overflow="ellipsis"),
    )


def now(story: Story) -> Text:
    """What is wrong, or else what the daemon does."""
    if story.problems:
        problem = story.problems[0]
        return Text(f"{problem['message']} {problem['hint']}", style="yellow")
    waiting = sum(target["backlog_files"] or 0 for target in story.targets)
    if waiting and story.phase is not Phase.OVER:
        files = "1 file is" if waiting == 1 else f"{waiting} files are"
        return Text(f"{files} still being written: left alone until whole", style="yellow")
    return Text(daemon(story), style="dim", no_wrap=True, overflow="ellipsis")


def daemon(story: Story) -> str:
    """Whether it is told of new files, and its last job."""
    if not story.targets:
        return ""
    watched = sum(target["watch"] for target in story.targets)
    said = f"daemon: {watched} of {len(story.targets)} watched"
    if (job := story.last_job) is None or job["result"] is None:
        return said
    files, took = job["result"]["files_transferred"], human_duration(job["result"]["duration"])
    moved = f"{files} file{'' if files == 1 else 's'} in {took}" if files else f"nothing new in {took}"
    return f"{said}, {story.jobs} job{'' if story.jobs == 1 else 's'} done; last: {job['target']}, {moved}"
