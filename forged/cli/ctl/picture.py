"""The picture of `forgectl watch`: pure, from what is known to what rich draws. Every part fits the terminal it is drawn on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from forged.cli.ctl import status
from forged.cli.ctl.board import bars
from forged.cli.ctl.view import View
from forged.cli.ctl.words import now, safe
from forged.cli.telling import Line, Tone
from forged.kit.units import human_rate

if TYPE_CHECKING:
    from forged.model import rpc

STYLES = {Tone.GOOD: "green", Tone.BAD: "bold red", Tone.WARN: "yellow", Tone.QUIET: "dim", Tone.TITLE: "bold"}
BLOCKS = " ▁▂▃▄▅▆▇█"
SPARK_COLUMNS = 40
FEWEST_RECENT = 3
"""Lines that recent files get at least, however many targets there are."""


def picture(view: View, columns: int, rows: int) -> RenderableType:
    """Header, targets, jobs, problems and recent files, from the most to the least lasting."""
    at = now()
    parts: list[RenderableType] = [header(view, at), Text("")]
    parts += drawn(status.lines_of(view.targets, status.rates(view.jobs), at))
    if view.jobs:
        parts += [Text(""), bars(view.jobs, columns)]
    troubled = status.alarms(view.targets, at) + (status.troubles(view.targets, view.daemon, at) if view.daemon else [])
    parts += drawn(troubled)
    taken = 3 + len(view.targets) + (1 + len(view.jobs) if view.jobs else 0) + len(troubled)
    return Group(*parts, *recent(view.recent, max(rows - taken - 2, FEWEST_RECENT)))


def header(view: View, at: datetime) -> Table:
    """The daemon in one line, and the throughput of the last seconds."""
    grid = Table.grid(expand=True)
    grid.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    said = safe(status.summary(view.daemon, at)) if view.daemon else ""
    rate = human_rate(view.bytes_per_s) if view.bytes_per_s else ""
    grid.add_row(Text(said, style="bold"), Text(f"{sparkline(list(view.rates)[-SPARK_COLUMNS:])} {rate:>10}", style="green"))
    return grid


def sparkline(rates: Sequence[float]) -> str:
    """The rates as blocks, the highest of them being full; any rate at all is seen."""
    most = max(rates, default=0.0)
    return "".join(BLOCKS[math.ceil(rate / most * (len(BLOCKS) - 1))] for rate in rates) if most > 0 else ""


def recent(events: Iterable[rpc.Event], most: int) -> list[Text]:
    """The last files that came home or went, newest first."""
    files = [event for event in events if event["key"]][-most:][::-1]
    return [Text(""), *(_event(event) for event in files)] if files else []


def _event(event: rpc.Event) -> Text:
    at, words = f"{datetime.fromisoformat(event['at']).astimezone():%H:%M:%S}", event["kind"].replace("_", " ")
    text = Text(safe(f"{at}  {event['target']}  {words}  "), style="dim", no_wrap=True, overflow="ellipsis")
    return text.append(safe(event["key"]), style="not dim")


def drawn(lines: Iterable[Line]) -> list[Text]:
    """Lines as rich draws them; what does not fit is cut, so that one line stays one line."""
    return [Text(each.text, style=STYLES.get(each.tone, ""), no_wrap=True, overflow="ellipsis") for each in lines]
