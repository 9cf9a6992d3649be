"""`forgectl drain`: brings everything home, then answers whether the box may be destroyed (promise 14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import MOST_SHOWN, NOT_HELD, counted, more, why
from forged.cli.telling import Line, Manner, Tone, line
from forged.kit.units import human_size, parse_duration
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


def duration(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """The text as it is, if it is a duration."""
    try:
        if value is not None:
            parse_duration(value)
    except ValueError as e:
        raise click.BadParameter(str(e)) from e
    return value


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.option("--timeout", metavar="D", callback=duration, help="Give up after so long, such as 30m.")
@command
def drain(asking: Asking, target: str, timeout: str | None) -> int:
    """Bring home all that TARGET has, then say whether it is safe to destroy.

    Exit status 0 means yes: every file was seen at home just now. 1 means no, with what is missing.
    """
    with progress_shown(asking, target):
        done: rpc.Drained = asking.call_patiently("target.drain", target=target, timeout=timeout)
    asking.show(done, told(target, done))
    return Exit.WELL if done["success"] and done["safe_to_destroy"] else Exit.FAILED


@contextmanager
def progress_shown(asking: Asking, target: str) -> Iterator[None]:
    """A bar on a terminal for as long as the block runs."""
    if asking.manner is not Manner.SCREEN:
        yield
        return
    from forged.cli.ctl.meanwhile import progress_of

    with progress_of(asking, target):
        yield


def told(target: str, done: rpc.Drained) -> list[Line]:
    """The answer first; then what is missing, and what stays behind knowingly."""
    is_safe, counts = done["success"] and done["safe_to_destroy"], done["counts"]
    headline = f"{target}: safe to destroy: {'yes' if is_safe else 'no'}"
    seen = f"{counted(done['files_at_source'], 'file')} ({human_size(done['bytes_at_source'])}) at the source"
    return [
        line(headline, Tone.GOOD if is_safe else Tone.BAD),
        *([line(f"  {done['message']}")] if done["message"] not in ("", headline) else []),
        line(f"  {seen}, {counts.get('home', 0):,} of them safe at home"),
        *grouped("missing", done["missing"], counts, Tone.BAD),
        *unnamed("missing", done["missing_unnamed"]),
        *grouped("stays behind", done["aside"], counts, Tone.WARN),
        *unnamed("stay behind", done["aside_unnamed"]),
    ]


def grouped(title: str, files: Sequence[rpc.PathWhy], counts: dict[str, int], tone: Tone) -> Iterator[Line]:
    """Reason by reason, the beginning of each by name."""
    for word in dict.fromkeys(file["why"] for file in files):
        named = [file["path"] for file in files if file["why"] == word]
        count = max(counts.get(word, 0), len(named))
        yield line(f"  {title}: {counted(count, 'file')}, {why(word)}", tone)
        yield from (line(f"    {path}", Tone.QUIET) for path in named[:MOST_SHOWN])
        yield from more(count - min(len(named), MOST_SHOWN), "--json names more" if len(named) > MOST_SHOWN else NOT_HELD)


def unnamed(title: str, files: int) -> Iterator[Line]:
    """What is counted above, or of a reason that is not even told there."""
    if files:
        yield line(f"  {title}: {counted(files, 'file')} not named, {NOT_HELD}", Tone.WARN)
