"""`forgectl cleanup`: what went or would go at the source, and for each file that stays, why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import MOST_SHOWN, NOT_HELD, counted, more, why
from forged.cli.telling import Line, Tone, columns, line
from forged.kit.units import human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

EXAMPLES = 3
"""Files named for each reason, unless somebody asks for all."""

BY_DESIGN = frozenset({"young", "preserved", "newest_of_series", "batch_full", "vanished"})
"""Reasons that need nobody's attention."""


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--all", "everything", is_flag=True, help="Name the files, not only examples: up to 1,000 of each kind.")
@command
def cleanup(asking: Asking, target: str, dry_run: bool, everything: bool) -> int:
    """Remove at TARGET what is old enough and proven safe at home; say why the rest stays."""
    done: rpc.Cleanup = asking.call_patiently("cleanup.run", target=target, dry_run=dry_run)
    asking.show(done, [*gone(target, done, everything), *stayed(done, everything), *wrong(done)])
    return Exit.WELL if done["success"] else Exit.FAILED


def gone(target: str, done: rpc.Cleanup, everything: bool) -> Iterator[Line]:
    """What went, or would go."""
    would, would_be = ("would go", "would be freed") if done["dry_run"] else ("removed", "freed")
    files, size = counted(done["files_deleted"], "file"), human_size(done["space_freed_bytes"])
    yield line(f"{target}: {files} {would}, {size} {would_be}", Tone.TITLE)
    shown = done["removed"] if everything else done["removed"][:MOST_SHOWN]
    rows = [(human_size(file["size"]), file["path"]) for file in shown]
    yield from (line(f"  {text}") for text in columns(rows, frozenset({0})))
    yield from more(done["files_deleted"] - len(shown), NOT_HELD if everything else "--all names up to 1,000")


def stayed(done: rpc.Cleanup, everything: bool) -> Iterator[Line]:
    """What stays, reason by reason; first those that somebody should look at."""
    counts = done["kept_counts"]
    if counts:
        yield line(f"{counted(sum(counts.values()), 'file')} kept", Tone.TITLE)
    for word, count in sorted(counts.items(), key=lambda each: (each[0] in BY_DESIGN, -each[1], each[0])):
        yield line(f"  {count:,} {word}: {why(word)}", Tone.PLAIN if word in BY_DESIGN else Tone.WARN)
        named = [file for file in done["kept"] if file["why"] == word]
        shown = named if everything else [] if word in BY_DESIGN else named[:EXAMPLES]
        yield from (line(f"    {_told(file)}", Tone.QUIET) for file in shown)
        if everything:
            yield from (line(f"  {each.text}", Tone.QUIET) for each in more(count - len(shown), NOT_HELD))


def _told(file: rpc.KeptFile) -> str:
    message = file.get("message")
    return f"{file['path']}: {message}" if message else file["path"]


def wrong(done: rpc.Cleanup) -> Iterator[Line]:
    """What stopped it."""
    yield from (line(f"✘ {error}", Tone.BAD) for error in done["errors"])
