"""`forgectl find`: what came home, by what is in it, newest first."""

from __future__ import annotations

import base64
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import NOTHING, clock, safe
from forged.cli.telling import Line, Tone, columns, line, say
from forged.kit.units import parse_duration
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

SHOWN = 50
"""Files, unless somebody asks for more."""

PAGE_FILES = 1_000

KINDS = ("image", "video", "audio", "mesh", "other")

PROMPT_CHARS, LEAST_PROMPT_CHARS = 60, 16
"""Of a prompt in the table, where there is room for a path beside it, and where there is not."""

MODEL_CHARS = 24


class Since(click.ParamType[str]):
    """A duration back from now, or a day or time of one's own clock; becomes RFC 3339."""

    name = "when"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> str:
        text = str(value)
        try:
            return (datetime.now(UTC) - timedelta(seconds=parse_duration(text))).isoformat()
        except (ValueError, OverflowError):
            pass
        try:
            return datetime.fromisoformat(text).astimezone().isoformat()
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is neither a duration such as 2h or 7d, nor a day or time such as 2026-11-23", param, context)


@click.command()
@click.argument("query", nargs=-1)
@click.option("--model", metavar="MODEL", help="A part of the name of a model that took part, or the beginning of its hash.")
@click.option("--seed", metavar="SEED", help="Made with this seed, in any pass.")
@click.option("--since", type=Since(), metavar="WHEN", help="Home since then: 2h, 7d, 2026-11-23.")
@click.option("--target", metavar="TARGET", shell_complete=completing.targets, help="Of this target.")
@click.option("--kind", type=click.Choice(KINDS), help="Only such files.")
@click.option("--limit", type=click.IntRange(min=0), metavar="N", default=SHOWN, show_default=True, help="Files at most; 0: all.")
@click.option("--paths0", is_flag=True, help="Only the paths at home, exact, each ended by NUL: for xargs -0.")
@command
def find(asking: Asking, /, query: tuple[str, ...], limit: int, paths0: bool, **wanted: str | None) -> int:
    """Find files by words of their prompts, newest first.

    All words have to be there: red fox. "red fox" in quotation marks (of the query, so '"red fox"' in a shell) is a phrase, fox*
    a beginning. A word behind a minus must not be there; write -- before a query that begins with one.
    """
    pages = found(asking, limit, query=" ".join(query) or None, **wanted)
    if asking.as_json:
        asking.show({"success": True, "files": [file for page in pages for file in page]}, [])
        return Exit.WELL
    count, width = 0, shutil.get_terminal_size((160, 24)).columns
    for page in pages:
        count += len(page)
        if paths0:
            put(page)
        else:
            say(listed(page, width, is_terminal=asking.columns is not None))
    if not count and not paths0:
        say([line("nothing found", Tone.QUIET)], to_stderr=True)
    return Exit.WELL


def found(asking: Asking, limit: int, **wanted: str | None) -> Iterator[list[rpc.FoundFile]]:
    """Page by page, as many files as are wanted."""
    had, cursor = 0, None
    while True:
        most = min(limit - had, PAGE_FILES) if limit else PAGE_FILES
        page: rpc.FoundPage = asking.call("media.find", limit=most, cursor=cursor, **wanted)
        yield page["files"]
        had, cursor = had + len(page["files"]), page["next_cursor"]
        if cursor is None or (limit and had >= limit):
            return


def put(files: Sequence[rpc.FoundFile]) -> None:
    """Their paths as they are: for programs, never for a terminal."""
    for file in files:
        sys.stdout.buffer.write(exact(file) + b"\0")
    sys.stdout.buffer.flush()


def exact(file: rpc.FoundFile) -> bytes:
    """The path at home as bytes."""
    return base64.b64decode(file["home_b64"]) if "home_b64" in file else file["home"].encode()


def listed(files: Sequence[rpc.FoundFile], width: int, *, is_terminal: bool = False) -> list[Line]:
    """A row for each: when it landed, its prompt, model, seed, and where it is. Only a path is never cut.

    On a terminal where they do not fit beside each other, the path has a row of its own.
    """
    facts = [
        (clock(file["landed_at"]), cut(safe(file["model"] or NOTHING), MODEL_CHARS), file["seed"] or NOTHING) for file in files
    ]
    longest = max((len(file["home"]) for file in files), default=0)
    room = width - longest - max((sum(map(len, row)) for row in facts), default=0) - 8
    if is_terminal and room < LEAST_PROMPT_CHARS:
        return [each for file, row in zip(files, facts, strict=True) for each in stacked(file, row, width)]
    chars = max(min(room, PROMPT_CHARS), LEAST_PROMPT_CHARS)
    rows = [
        (when, cut(safe(beginning(file["prompt"])), chars), model, safe(seed), safe(file["home"]))
        for file, (when, model, seed) in zip(files, facts, strict=True)
    ]
    return [line(text) for text in columns(rows)]


def stacked(file: rpc.FoundFile, facts: tuple[str, str, str], width: int) -> tuple[Line, Line]:
    """Two rows: what it is, and below it where."""
    when, model, seed = facts
    room = max(width - len(when) - len(model) - len(seed) - 7, LEAST_PROMPT_CHARS // 2)
    prompt = cut(safe(beginning(file["prompt"])), room)
    return line("  ".join((when, prompt, model, safe(seed)))), line(f"  {file['home']}", Tone.QUIET)


def beginning(prompt: str | None) -> str:
    """The first line that says something."""
    return next((text.strip() for text in (prompt or "").splitlines() if text.strip()), NOTHING)


def cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
