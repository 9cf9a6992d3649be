"""Man pages, made from what the programs themselves know: `python -m forged.cli.manpages DIR` writes them below DIR.

Those in etc/man are what `make man` has written last; the wheel brings them to share/man of its environment, so that building it
runs nothing of forged. A test holds them equal to what would be written now.

forged(1) and forgectl(1) come from the commands, forged.toml(5) from forged.toml.example. Written for man(7), in what groff and
mandoc both understand; `forged.cli.manwords` has what no command says of itself.
"""

from __future__ import annotations

import gzip
import os
import re
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

import forged
from forged import __version__
from forged.cli.manwords import PAGES, TOML_INTRODUCTION, Page
from forged.cli.roff import blocks, bold, definition, heading, literal, page_head, subheading, text, tidy

EXAMPLE = "forged.toml.example"

TOLD_ONCE = ("help", "json")
"""Options of every command, told above them all."""


def write(folder: Path, *, compressed: bool = False) -> list[Path]:
    """Writes all pages below `folder`, as man1/… and man5/…, and answers their paths. Raises OSError.

    A page that says what it said before keeps its date.
    """
    written = []
    for name, section, lines in pages():
        path = folder / f"man{section}" / f"{name}.{section}{'.gz' if compressed else ''}"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = ("\n".join(lines) + "\n").encode()
        if compressed:
            path.write_bytes(gzip.compress(content, mtime=0))
        elif not path.exists() or undated(path.read_bytes()) != undated(content):
            path.write_bytes(content)
        written.append(path)
    return written


def undated(page: bytes) -> bytes:
    """Without the date of its title."""
    return re.sub(rb'^(\.TH \S+ \d) "[\d-]+"', rb"\1", page)


def pages() -> Iterator[tuple[str, int, list[str]]]:
    """Each page: its name, its section, its lines."""
    from forged.cli.forgectl import cli as forgectl
    from forged.cli.forged import cli as forged_

    for name, command in (("forged", forged_), ("forgectl", forgectl)):
        yield name, 1, [*page_head(name, 1, __version__, dated()), *tidy(program(name, command))]
    yield "forged.toml", 5, [*page_head("forged.toml", 5, __version__, dated()), *tidy(configuration(example().read_text()))]


def dated() -> str:
    """The day on which the pages are made, or that of $SOURCE_DATE_EPOCH (reproducible-builds.org): packages come out alike."""
    made_s = float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    return datetime.fromtimestamp(made_s, UTC).strftime("%Y-%m-%d")


# --- commands -------------------------------------------------------------------------------------------------------------


def program(name: str, cli: click.Group) -> Iterator[str]:
    """A page of section 1."""
    context = click.Context(cli, info_name=name, **cli.context_settings)
    about = PAGES[name]
    yield from heading("NAME")
    yield f"{name} \\- {text(about.what)}"
    yield from heading("SYNOPSIS")
    yield f"{bold(name)} [{text('OPTIONS')}] {text('COMMAND')} [{text('ARGS')}]..."
    yield from heading("DESCRIPTION")
    yield from blocks(cli.help or "")
    yield from heading("OPTIONS")
    yield from options(cli, context)
    yield from heading("COMMANDS")
    yield from blocks(about.every_command)
    for path, command, below in commands(cli, context):
        yield from one(path, command, below)
    yield from closing(about)


def commands(group: click.Group, context: click.Context, path: str = "") -> Iterator[tuple[str, click.Command, click.Context]]:
    """Every command, those of groups under both names: `manifest show`."""
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        whole, below = f"{path} {name}".strip(), click.Context(command, parent=context, info_name=name)
        if isinstance(command, click.Group):
            yield from commands(command, below, whole)
        else:
            yield whole, command, below


def one(path: str, command: click.Command, context: click.Context) -> Iterator[str]:
    """A command: how it is called, what it does, its options."""
    pieces = " ".join(text(piece) for piece in command.collect_usage_pieces(context))
    yield from subheading(f"{path}")
    yield f"{bold(path)} {pieces}"
    yield ".PP"
    yield from blocks(command.help or "")
    yield from options(command, context)


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """A definition for each option, as --help shows them."""
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        is_told = context.parent is not None and parameter.name in TOLD_ONCE
        if isinstance(parameter, click.Option) and record is not None and not is_told:
            yield from definition(record[0], record[1])


def closing(about: Page) -> Iterator[str]:
    """What no command says of itself."""
    for title, entries in about.sections:
        yield from heading(title)
        for term, what in entries:
            yield from definition(term, what)
    yield from heading("EXAMPLES")
    for what, typed in about.examples:
        yield from blocks(what)
        yield from literal([typed])
    yield from heading("SEE ALSO")
    yield ",\n".join(f".BR {page.replace('(', ' (')}" for page in about.see_also).replace(",\n", " ,\n")


# --- the configuration ----------------------------------------------------------------------------------------------------


def example() -> Path:
    """forged.toml.example: of the checkout, or where the wheel puts it. Raises FileNotFoundError."""
    beside = Path(forged.__file__).parents[1] / EXAMPLE
    shared = Path(sys.prefix) / "share" / "forged" / EXAMPLE
    found = next((path for path in (beside, shared) if path.exists()), None)
    if found is None:
        raise FileNotFoundError(f"{EXAMPLE} is neither {beside} nor {shared}")
    return found


def configuration(toml: str) -> Iterator[str]:
    """The page of section 5: a heading for each table, and each key with what the example says above it."""
    about = PAGES["forged.toml"]
    yield from heading("NAME")
    yield f"forged.toml \\- {text(about.what)}"
    yield from heading("DESCRIPTION")
    yield from blocks("\n\n".join(TOML_INTRODUCTION))
    yield from heading("TABLES AND KEYS")
    yield from tables(toml)
    yield from closing(about)


def tables(toml: str) -> Iterator[str]:
    """Comments of the example belong to the key or the table that follows them at once."""
    said: list[str] = []
    for line in toml.splitlines():
        bare = line.removeprefix("#")
        if line.startswith("# ---"):
            said = []
        elif bare.startswith("["):
            yield from subheading(bare)
            yield from blocks("\n".join(said))
            said = []
        elif line.startswith("# "):
            said.append(line[2:])
        elif " = " in bare and not bare.startswith(" "):
            yield from definition(bare, "\n".join(said))
            said = []
        elif not line:
            said = []


def main() -> None:
    """`python -m forged.cli.manpages [--gzip] DIR`."""
    arguments = [one for one in sys.argv[1:] if one != "--gzip"]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit("usage: python -m forged.cli.manpages [--gzip] DIR   (such as /usr/local/share/man)")
    for path in write(Path(arguments[0]), compressed="--gzip" in sys.argv):
        sys.stdout.write(f"{os.fspath(path)}\n")


if __name__ == "__main__":
    main()
