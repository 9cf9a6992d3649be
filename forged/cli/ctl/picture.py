"""The picture of `forgectl watch`: pure, from what is known to rows that fit the terminal they are drawn on.

From the most to the least lasting: the daemon, its targets, the throughput, the jobs, what is wrong, what came home. Where there is
no room for all, each part shows its beginning and says how much more there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING, NamedTuple

from forged.cli.ctl import status
from forged.cli.ctl.board import bars
from forged.cli.ctl.frame import Row, Span, between, clipped, cut_front, joined, padded, span
from forged.cli.ctl.graph import ceiling, graph, sparkline
from forged.cli.ctl.grid import fitted
from forged.cli.ctl.view import View
from forged.cli.ctl.words import loudness, now, times
from forged.cli.telling import Tone
from forged.kit.units import human_rate, human_size

if TYPE_CHECKING:
    from forged.model import rpc

EDGE = Span(" ")
MOST_SPARK_COLUMNS = 30
GRAPH_ROWS, ROOMY_ROWS = 4, 34
"""A graph of its own, from so many rows on."""

MOST_TARGET_COLUMNS = 16
RATE_COLUMNS = len("999.9 MB/s")

MARKS = {"file_synced": ("↓", Tone.GOOD), "file_removed": ("−", Tone.WARN)}
LOUD = ("sync_failed", "target_lost", "target_refused", "instance_ending", "discovery_failed")
QUIET = ("sync_complete",)
"""Events that the jobs tell better."""

FOOTER = ("q quit", "? help", "↑↓ choose", "p pause", "s sync", "space freeze")
"""What there is no room for goes from the end."""

HELP = (
    ("↑ ↓  j k", "choose a target; what is below is then of it alone"),
    ("esc", "choose none"),
    ("p", "pause the chosen target, or let it go on"),
    ("s", "sync the chosen target now"),
    ("space", "freeze the picture, to read or copy; again: go on"),
    ("q  Ctrl-C", "quit; the daemon goes on"),
    ("", ""),
    ("↓ −", "came home; removed at its source, after it was safe at home"),
    ("lag", "age of the oldest finished file that is not home yet"),
    ("held", "nothing is removed or forgotten until `forgectl release TARGET`"),
    ("green", "at work"),
    ("yellow", "waits, for a person or by itself"),
    ("red", "does not work; below it stands why, and what to do"),
)


class Part(NamedTuple):
    """A part of the picture: its rows, and how many of them it gets at least before others get more."""

    rows: Sequence[Row]
    least: int
    more: str = "and {} more"


def picture(view: View, columns: int, rows: int) -> list[Row]:
    """All of it, `rows` rows at most."""
    at, body_rows = now(), rows - 3
    head, foot = header(view, columns, with_spark=rows < ROOMY_ROWS), footer(view, columns)
    parts = [helped()] if view.shows_help else parted(view, columns, rows, at)
    body = stacked(parts, body_rows)[:body_rows]
    whole = [head, *body, *[()] * (body_rows - len(body)), (), foot]
    return [clipped(row, columns) for row in whole]


def parted(view: View, columns: int, rows: int, at: datetime) -> list[Part]:
    """The parts, each as long as it wants to be."""
    inner = columns - 1
    wrong = troubles(view, inner, at)
    parts = [Part(targets(view, columns, at), 5, "and {} more: forgectl status")]
    if rows >= ROOMY_ROWS and any(view.rates):
        parts.append(Part(throughput(view.rates, inner), GRAPH_ROWS + 1))
    parts.append(Part([(EDGE, *row) for row in bars(view.jobs, inner - 1)], 2))
    parts.append(Part(wrong, min(len(wrong), rows // 2 - 2), "and {} more lines: forgectl status"))
    parts.append(Part(recent(view, inner, rows), 2, ""))
    return [part for part in parts if part.rows]


def stacked(parts: Sequence[Part], rows: int) -> list[Row]:
    """The parts below each other, an empty row above each; the first ones take first what all have left."""
    given = [min(len(part.rows), part.least) for part in parts]
    left = rows - sum(given) - len(parts)
    for place, part in enumerate(parts):
        extra = max(min(len(part.rows) - given[place], left), 0)
        given[place] += extra
        left -= extra
    return [row for part, count in zip(parts, given, strict=True) for row in ((), *beginning(part, count))]


def beginning(part: Part, count: int) -> list[Row]:
    """So many of its rows, the last of which says what is hidden."""
    hidden = len(part.rows) - count
    if hidden <= 0 or not part.more or count < 1:
        return list(part.rows[:count])
    return [*part.rows[: count - 1], (EDGE, Span(part.more.format(hidden + 1), Tone.QUIET))]


def header(view: View, columns: int, with_spark: bool) -> Row:
    """The daemon in one line, and the throughput of the last seconds."""
    if view.away:
        return (EDGE, span(view.away, Tone.BAD))
    said = span(status.summary(view.targets, view.daemon, now()), Tone.TITLE) if view.daemon else Span("")
    frozen = (Span("   frozen: space goes on", Tone.WARN),) if view.is_frozen else ()
    rates = list(view.rates)[-min(MOST_SPARK_COLUMNS, columns // 4) :]
    rate = f"{human_rate(view.bytes_per_s) if view.bytes_per_s else '':>{RATE_COLUMNS}}" if any(rates) else ""
    spark = sparkline(rates, ceiling(rates)) if with_spark else ""
    return between((EDGE, said, *frozen), (Span(spark, Tone.GOOD), Span(" "), Span(rate, Tone.TITLE), EDGE), columns)


def targets(view: View, columns: int, at: datetime) -> list[Row]:
    """The table of `forgectl status`; where it has to be cut, those that are in trouble or at work come first."""
    if not view.targets:
        return [(EDGE, Span("no targets yet: `forged probe URL` prints a [[target]] to paste", Tone.WARN))]
    fast = view.fast
    head, *body = fitted(status.COLUMNS, [status.row(one, fast.get(one["name"], 0.0), at) for one in view.targets], columns - 4)
    return [
        (Span("   "), *joined([Span(cell, Tone.QUIET) for cell in head])),
        *(target(one, row, one["name"] == view.chosen) for one, row in zip(view.targets, body, strict=True)),
    ]


def target(one: rpc.Target, row: Sequence[str], is_chosen: bool) -> Row:
    """A row of it: the state in its colour, numbers as they are, what says nothing dim."""
    name, state, *numbers = row
    tones = [Tone.QUIET if cell.strip() in ("-", "?", "never") else Tone.PLAIN for cell in numbers]
    told = [Span(cell, tone) for cell, tone in zip(numbers, tones, strict=True)]
    mark = Span(" ▸ ", Tone.GOOD) if is_chosen else Span("   ")
    return (mark, *joined([Span(name, Tone.TITLE), Span(state, status.tone(one)), *told]))


def throughput(rates: Iterable[float], columns: int) -> list[Row]:
    """A graph of the last minutes, a column for each second, and its scale."""
    seen = list(rates)[-(columns - 1) :]
    top = ceiling(seen)
    rows = [(EDGE, Span(row.rjust(columns - 1), Tone.GOOD)) for row in graph(seen, GRAPH_ROWS, top)]
    scale = f"{human_rate(top)} at most" if top else "nothing moves"
    return [between((EDGE, Span("throughput", Tone.QUIET)), (Span(scale, Tone.QUIET),), columns), *rows]


def troubles(view: View, columns: int, at: datetime) -> list[Row]:
    """What is wrong and what to do, wrapped: half a hint is none."""
    if view.daemon is None:
        return []
    chosen = [one for one in view.targets if view.chosen in (None, one["name"])]
    rows: list[Row] = []
    for who, problem in status.wrong(chosen, view.daemon):
        since = f" ({times(problem, at)})"
        message = " ".join(problem["message"].split()) or problem["kind"]
        rows += wrapped(f"✘ {who}: {message}{since}", columns, loudness(problem))
        rows += wrapped(f"→ {problem['hint']}", columns, Tone.PLAIN, indent="  ") if problem["hint"] else []
    return rows


def wrapped(text: str, columns: int, tone: Tone, indent: str = "") -> list[Row]:
    """The text in as many rows as it needs."""
    pieces = wrap(span(text).text, max(columns - len(indent) - 2, 20), subsequent_indent="  ", break_on_hyphens=False)
    return [(EDGE, Span(indent), Span(piece, tone)) for piece in pieces]


def recent(view: View, columns: int, most: int) -> list[Row]:
    """The last files that came home or went, and what else happened, newest first."""
    events = [one for one in view.recent if one["kind"] not in QUIET and view.chosen in (None, one["target"])][-most:][::-1]
    if not events:
        return [(EDGE, Span("nothing has come home since forged started", Tone.QUIET))]
    name_columns = min(max(len(one["target"]) for one in events), MOST_TARGET_COLUMNS)
    return [event(one, name_columns, columns) for one in events]


def event(one: rpc.Event, name_columns: int, columns: int) -> Row:
    """`07:41:05  forge  ↓ folder/name.png   1.2 MB`. Of a path that is too long its end is shown."""
    at = f"{datetime.fromisoformat(one['at']).astimezone():%H:%M:%S}"
    mark, tone = MARKS.get(one["kind"], ("✘" if one["kind"] in LOUD else "·", Tone.BAD if one["kind"] in LOUD else Tone.PLAIN))
    begun = (
        EDGE,
        Span(at, Tone.QUIET),
        Span("  "),
        span(padded(span(one["target"]).text, name_columns)),
        Span("  "),
        Span(mark, tone),
    )
    size_bytes, message = one["body"].get("size"), one["body"].get("message")
    if one["kind"] not in MARKS:
        return (*begun, Span(" "), span(message if isinstance(message, str) else f"{one['kind']} {one['key']}".replace("_", " ")))
    size = human_size(size_bytes) if isinstance(size_bytes, int) else ""
    room = columns - 8 - name_columns - 7 - 10
    return between((*begun, Span(" "), Span(cut_front(span(one["key"]).text, room))), (Span(size, Tone.QUIET),), columns)


def helped() -> Part:
    """What the keys do, and what the picture means."""
    return Part([(Span("   "), Span(f"{key:<12}", Tone.TITLE), Span(what)) for key, what in HELP], len(HELP))


def footer(view: View, columns: int) -> Row:
    """What became of the last key, else the keys."""
    if view.said:
        return (EDGE, span(view.said, Tone.WARN))
    fits = next((keys for count in range(len(FOOTER), 0, -1) if len(keys := "   ".join(FOOTER[:count])) < columns), "")
    return (EDGE, Span(fits, Tone.QUIET))
