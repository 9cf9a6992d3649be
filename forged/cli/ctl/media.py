"""`forgectl media rerun` and `forgectl duplicates`: the library as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import counted
from forged.cli.telling import Line, Tone, line, say
from forged.kit.units import human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


@click.group()
def media() -> None:
    """What is known of the files' insides."""


@media.command()
@click.argument("target", required=False, shell_complete=completing.targets)
@command
def rerun(asking: Asking, target: str | None) -> int:
    """Look again into everything that is home (of TARGET, or of all): after an update, or with other settings."""
    done: rpc.MediaRerun = asking.call_patiently("media.rerun", target=target)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED


@click.command()
@click.argument("target", required=False, shell_complete=completing.targets)
@command
def duplicates(asking: Asking, target: str | None) -> int:
    """List files at home that are equal, byte for byte; of TARGET and any other, or of all.

    Pictures that only look the same are told by `forgectl show` (with `phash` in [media]).
    """
    if asking.as_json:
        asking.show(asking.whole("media.duplicates", "groups", target=target), [])
        return Exit.WELL
    groups = files = spare_bytes = 0
    for page in asking.pages("media.duplicates", target=target):
        for group in page["groups"]:
            say(grouped(group))
            groups, files = groups + 1, files + len(group["files"])
            spare_bytes += spare(group)
    spared = f"; {human_size(spare_bytes)} would be free without the copies" if spare_bytes else ""
    found = f"{counted(groups, 'group')}, {counted(files, 'file')}{spared}" if groups else "no two files are equal"
    say([line(found, Tone.TITLE)])
    return Exit.WELL


def grouped(group: rpc.Duplicates) -> Iterator[Line]:
    """A group: the first copy, and the others below it."""
    for number, file in enumerate(group["files"]):
        shares = ", shares its bytes" if file["shares"] else ""
        mark = "  = " if group["sha256"] else "  ~ "
        yield line(
            f"{mark if number else ''}{file['home']} ({human_size(file['size'])}{shares})", Tone.QUIET if number else Tone.PLAIN
        )


def spare(group: rpc.Duplicates) -> int:
    """Bytes that equal copies take beside the first."""
    return sum(file["size"] for file in group["files"][1:] if not file["shares"])
