"""`forgectl verify`: compares source, manifest and home, file by file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import why
from forged.cli.telling import Line, Tone, line, print_json, say
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

TONES = {"-": Tone.BAD, "*": Tone.BAD, "+": Tone.PLAIN, "=": Tone.QUIET}
MEANINGS = {"=": "same", "-": "missing at home", "+": "only at home", "*": "different"}
BAD = ("-", "*")

KNOWINGLY = frozenset({"excluded", "too_large", "tombstoned", "incomplete", "link"})
"""Why a file that is missing at home, or not whole there, is as it should be: those of `target.drain` (sync/verify)."""


@click.command()
@click.argument("target", shell_complete=completing.targets)
@click.option("--rehash", is_flag=True, help="Read every file at home, instead of looking at its size.")
@click.option("--all", "same", is_flag=True, help="Name also the files that are the same.")
@command
def verify(asking: Asking, target: str, rehash: bool, same: bool) -> int:
    """Compare TARGET's source with what is at home. `=` same, `-` missing at home, `+` only at home, `*` differs.

    What stays behind knowingly (excluded, deleted at home, a link) is named. Exit status 1 when anything else is missing or
    differs.
    """
    counts: Counter[str] = Counter()
    knowingly: Counter[str] = Counter()
    rows: list[rpc.Compared] = []
    success = True
    for page in asking.pages("target.verify", target=target, rehash=rehash, same=same):
        counts.update(page["counts"])
        knowingly.update(each["symbol"] for each in page["rows"] if each["symbol"] in BAD and each.get("why") in KNOWINGLY)
        success = success and page["success"]
        if asking.as_json:
            rows += page["rows"]
        else:
            say(line(row(each), TONES.get(each["symbol"], Tone.PLAIN)) for each in page["rows"])
    well = success and not any(counts[symbol] > knowingly[symbol] for symbol in BAD)
    if asking.as_json:
        print_json({"success": success, "rows": rows, "counts": dict(counts), "next_cursor": None})
    else:
        say([summary(target, counts - knowingly, knowingly.total(), well)])
    return Exit.WELL if well else Exit.FAILED


def row(compared: rpc.Compared) -> str:
    """`* folder/name.png: changed`."""
    word = compared.get("why")
    return f"{compared['symbol']} {compared['path']}" + (f": {why(word)}" if word else "")


def summary(target: str, counts: Counter[str], knowingly: int, well: bool) -> Line:
    """`forge: 120 same, 1 missing at home, 2 stay behind knowingly`."""
    said = [f"{counts[symbol]:,} {meaning}" for symbol, meaning in MEANINGS.items() if counts[symbol]]
    said += [f"{knowingly:,} {'stays' if knowingly == 1 else 'stay'} behind knowingly"] if knowingly else []
    return line(f"{target}: {', '.join(said) or 'no files'}", Tone.GOOD if well else Tone.BAD)
