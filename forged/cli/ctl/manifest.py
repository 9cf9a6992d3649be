"""`forgectl manifest`: look at, forget or rebuild what is remembered."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.confirming import confirmed, yes_option
from forged.cli.ctl.words import clock, counted
from forged.cli.telling import Line, Tone, line, say
from forged.kit.units import human_size
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


@click.group()
def manifest() -> None:
    """Look at, forget or rebuild what is remembered of the files."""


@manifest.command()
@click.argument("target", shell_complete=completing.targets)
@command
def show(asking: Asking, target: str) -> int:
    """List every file that TARGET has brought home."""
    if asking.as_json:
        asking.show(asking.whole("manifest.list", "files", target=target), [])
        return Exit.WELL
    page: rpc.ManifestPage | None = None
    say([line("HOME SINCE                SIZE  NAME AT HOME", Tone.QUIET)])
    for page in asking.pages("manifest.list", target=target):
        say(listed(page["files"]))
    if page is not None:
        total = f"{counted(page['total_files'], 'file')}, {human_size(page['total_bytes'])}"
        say([line(f"{target}: {total}", Tone.TITLE)])
    return Exit.WELL


def listed(files: Sequence[rpc.ManifestFile]) -> list[Line]:
    """A row for each file: when it landed, its size, its name at home, and what is special about it."""
    return [
        line(f"{clock(file['landed_at'])}  {human_size(file['size']):>8}  {file['home']}{standing(file)}", tone(file))
        for file in files
    ]


def tone(file: rpc.ManifestFile) -> Tone:
    """What is not there any more is quiet; what is cut short is not."""
    return Tone.WARN if file["incomplete"] else Tone.QUIET if file["tombstone_at"] else Tone.PLAIN


def standing(file: rpc.ManifestFile) -> str:
    """`  (removed at the source, deleted at home)`; nothing where it is at both ends, and whole."""
    special = (
        (f"{file['state']} at the source", file["state"] != "present"),
        ("deleted at home", file["tombstone_at"] is not None),
        ("incomplete", file["incomplete"]),
    )
    words = [word for word, is_so in special if is_so]
    return f"  ({', '.join(words)})" if words else ""


@manifest.command()
@click.argument("target", shell_complete=completing.targets)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@command
def forget(asking: Asking, target: str, paths: tuple[str, ...]) -> int:
    """Forget files, or folders with all that is below them (by their names at the source).

    What is forgotten is looked at anew: a file that you deleted at home comes back, one that is home is adopted.
    """
    done: rpc.Forgotten = asking.call("manifest.forget", target=target, **exact(paths))
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED


def exact(paths: Sequence[str]) -> dict[str, list[str]]:
    """The parameters for these paths: as text, and in base64 where the bytes are not UTF-8 (Python reads them as surrogates)."""
    text = [path for path in paths if path.isprintable()]
    raw = [base64.b64encode(os.fsencode(path)).decode("ascii") for path in paths if not path.isprintable()]
    return {name: given for name, given in (("paths", text), ("paths_b64", raw)) if given}


@manifest.command()
@click.argument("target", shell_complete=completing.targets)
@yes_option
@command
def reset(asking: Asking, target: str, yes: bool) -> int:
    """Forget all of TARGET. The next sync adopts equal files at home instead of copying them again.

    Files that you deleted at home, and that are still at the source, come back.
    """
    if not confirmed(asking, f"Forget everything that {target} has brought home?", yes):
        return Exit.FAILED
    done: rpc.Forgotten = asking.call_patiently("manifest.reset", target=target)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED
