"""`forgectl events`: what has happened, and with --follow what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import clock, filled, safe
from forged.cli.telling import Tone, cells, line, print_json, say
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc

TONES = {
    **dict.fromkeys(("sync_failed", "target_lost", "target_refused", "instance_ending", "discovery_failed"), Tone.BAD),
    **dict.fromkeys(("target_back", "instance_extended", "discovery_back"), Tone.GOOD),
}


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C. With --json, one document a line.")
@click.option("--target", metavar="T", shell_complete=completing.targets, help="Of this target only.")
@command
def events(asking: Asking, follow: bool, target: str | None) -> int:
    """Show the last events; follow them."""
    asking.in_lines = follow
    subscribed: rpc.EventsSubscribed = asking.call("events.subscribe", target=target)
    if not follow:
        names = max((cells(safe(event["target"])) for event in subscribed["recent"]), default=0)
        asking.show(subscribed, [line(text(event, names), tone(event)) for event in subscribed["recent"]])
        return Exit.WELL
    try:
        names = max((cells(safe(event["target"])) for event in subscribed["recent"]), default=0)
        for event in subscribed["recent"]:
            tell(asking, event, names)
        for note in asking.client.notifications():
            if note.method == "event":
                names = max(names, cells(safe(note.params["target"])))
                tell(asking, note.params, names)
            elif note.method == "rpc.dropped":
                say([line(f"{note.params['count']:,} events were lost on the way to here", Tone.WARN)], to_stderr=True)
    except KeyboardInterrupt:
        pass
    return Exit.WELL


def tell(asking: Asking, event: rpc.Event, names: int) -> None:
    """One event, at once."""
    if asking.as_json:
        print_json(event, one_line=True)
    else:
        say([line(text(event, names), tone(event))])


WORDS = {"file_synced": "came home", "file_removed": "removed there", "sync_complete": "sync", "sync_failed": "sync failed"}
"""Of the usual kinds; the others are told as they are called."""

WORD_COLUMNS = max(map(len, WORDS.values()))


def text(event: rpc.Event, names: int = 0) -> str:
    """`2026-11-23 07:41:05  forge  came home      folder/name.png`; the target's name in so many columns at least.

    An alarm has a sentence in the place of the key.
    """
    message = event["body"].get("message")
    what = message if isinstance(message, str) else event["key"]
    word = WORDS.get(event["kind"], event["kind"].replace("_", " "))
    return "  ".join([clock(event["at"]), filled(safe(event["target"]), names), word.ljust(WORD_COLUMNS), what]).rstrip()


def tone(event: rpc.Event) -> Tone:
    """Loud only where something is wrong."""
    return TONES.get(event["kind"], Tone.PLAIN)
