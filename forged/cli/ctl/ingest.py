"""`forgectl ingest`: what handlers did not take, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.confirming import confirmed, yes_option
from forged.cli.ctl.words import MOST_SHOWN, clock, counted, more, safe
from forged.cli.telling import Line, Tone, line
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


class Listing(click.Group):
    """Lists, unless it is told to do something."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        lists = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if lists else args)


@click.group(cls=Listing)
def ingest() -> None:
    """List the ingest handlers, and what they did not take.

    An event that a handler fails on, while it takes others, is set aside: it is tried again by itself, and after ten tries waits
    for you. Later events of the same file wait behind it.
    """


@ingest.command("list")
@command
def list_events(asking: Asking) -> int:
    """List the handlers, and what they did not take; also without `list`."""
    page: rpc.IngestPage = asking.whole("ingest.list", "events")
    asking.show(page, told(page))
    return Exit.WELL


def told(page: rpc.IngestPage) -> Iterator[Line]:
    """Handler by handler, and below each the beginning of what it did not take."""
    for handler in page["handlers"]:
        yield headline(handler)
        mine = [event for event in page["events"] if event["handler"] == handler["name"]]
        for event in mine[:MOST_SHOWN]:
            yield from row(event)
        yield from more(len(mine) - MOST_SHOWN, "--json names all")
    if not page["handlers"]:
        yield line("no ingest is configured", Tone.QUIET)


def headline(handler: rpc.IngestHandler) -> Line:
    """How it stands, in one line."""
    counts = ((handler["waiting"], "waiting"), (handler["retried"], "tried again"), (handler["set_aside"], "set aside"))
    parts = [f"{number:,} {what}" for number, what in counts if number]
    if handler["replaying"]:
        parts.append("what is home is brought to it again")
    tone = Tone.BAD if handler["set_aside"] else Tone.WARN if handler["retried"] or handler["up"] is False else Tone.TITLE
    return line(f"{handler['name']} ({handler['type']}): {', '.join(parts) or 'has taken everything'}", tone)


def row(event: rpc.AsideEvent) -> Iterator[Line]:
    """An event, and below it why it was not taken."""
    waits = "set aside" if event["set_aside"] else "tried again"
    tries = counted(event["tries"], "try", "tries") if event["tries"] else "behind another of this file"
    yield line(f"  {event['id']}  {clock(event['since'])}  {event['kind']}  {safe(event['key'])}  ({waits}; {tries})")
    if event["error"]:
        yield line(f"      {safe(event['error'])}", Tone.QUIET)


@ingest.command()
@click.argument("handler", shell_complete=completing.handlers)
@click.argument("events", nargs=-1, type=int, metavar="[EVENT]...")
@command
def retry(asking: Asking, handler: str, events: Sequence[int]) -> int:
    """Bring HANDLER again what it did not take, at once; or only these EVENTs (the numbers of `forgectl ingest`)."""
    return steered(asking, "ingest.retry", handler, events)


@ingest.command()
@click.argument("handler", shell_complete=completing.handlers)
@click.argument("events", nargs=-1, type=int, metavar="[EVENT]...")
@yes_option
@command
def drop(asking: Asking, handler: str, events: Sequence[int], yes: bool) -> int:
    """Give up what is set aside for HANDLER; or only these EVENTs.

    The handler never gets them, and where it is `required`, cleanup no longer waits for them.
    """
    what = counted(len(events), "event") if events else "everything that is set aside"
    if not confirmed(asking, f"Drop {what} for {handler}?", yes):
        return Exit.FAILED
    return steered(asking, "ingest.drop", handler, events)


@ingest.command()
@click.argument("handler", shell_complete=completing.handlers)
@command
def replay(asking: Asking, handler: str) -> int:
    """Bring HANDLER all that is home of its targets, again: one that was added later, or has lost what it had.

    No other handler hears of it. It goes on in the background, and over restarts.
    """
    return steered(asking, "ingest.replay", handler, ())


def steered(asking: Asking, method: str, handler: str, events: Sequence[int]) -> int:
    """Asks for it, and tells what came of it."""
    given: dict[str, Any] = {"events": list(events)} if events else {}
    done: rpc.IngestSteered = asking.call_patiently(method, handler=handler, **given)
    asking.show(done, [line(done["message"])])
    return Exit.WELL if done["success"] else Exit.FAILED
