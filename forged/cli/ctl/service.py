"""`forgectl reload`, `config` and `call`: the daemon itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from forged.cli.ctl import completing
from forged.cli.ctl.asking import Asking, command
from forged.cli.ctl.words import filled, safe
from forged.cli.telling import Line, Tone, cells, line, print_json
from forged.model.exits import Exit

if TYPE_CHECKING:
    from forged.model import rpc


MOST_VALUE_COLUMNS = 72
"""Of `key = value`, up to which origins stand in one column; with one beside it, it fits into 100."""


@click.command()
@click.option("--wait", is_flag=True, help="Until targets that go or change have ended what they were doing.")
@command
def reload(asking: Asking, wait: bool) -> int:
    """Read the configuration file again. One that does not validate changes nothing (exit status 2)."""
    done: rpc.Reloaded = asking.call_patiently("daemon.reload", wait=wait)
    asking.show(done, reloaded(done))
    return Exit.WELL if done["success"] else Exit.WRONG_USE


def reloaded(done: rpc.Reloaded) -> Iterator[Line]:
    """What changed, or why nothing did."""
    yield line(done["message"], Tone.GOOD if done["success"] else Tone.BAD)
    yield from (line(f"  {text}", Tone.BAD) for problem in done["problems"] for text in problem.splitlines())
    changes = (("added", done["added"]), ("removed", done["removed"]), ("changed", done["changed"]))
    yield from (line(f"  {word}: {', '.join(names)}") for word, names in changes if names)
    if done["restart_needed"]:
        yield line(f"  takes effect with the next start only: {', '.join(done['restart_needed'])}", Tone.WARN)


@click.command()
@click.argument("keys", nargs=-1, metavar="[KEY]...", shell_complete=completing.keys)
@click.option(
    *("--target", "-t", "targets"),
    multiple=True,
    metavar="TARGET",
    shell_complete=completing.targets,
    help="Only this target (or discovery) and its keys.",
)
@click.option("--changed", is_flag=True, help="Only what is not the default.")
@command
def config(asking: Asking, keys: tuple[str, ...], targets: tuple[str, ...], changed: bool) -> int:
    """Show every effective value and where it comes from; or those whose key begins with KEY.

    It comes from a line of the file, the preset of a target's type, an environment variable, or is the default. Secrets are hidden.
    """
    effective: rpc.EffectiveConfig = asking.whole("daemon.config", "values")
    begin = (*keys, *(f"{kind}.{name}." for name in targets for kind in ("target", "discovery")))
    values = [value for value in effective["values"] if not begin or f"{value['key']}.".startswith(begin)]
    values = [value for value in values if not changed or value["origin"] != "default"]
    asking.show({**effective, "values": values}, [line(effective["path"], Tone.TITLE), *valued(values, effective["path"])])
    return Exit.WELL if values else Exit.FAILED


def valued(values: Sequence[rpc.ConfigValue], file: str) -> list[Line]:
    """`key = value    origin`, of this file only the line; what the owner wrote stands out against the defaults.

    One long value pushes its own origin aside, not those of all others.
    """
    told = [(safe(f"{v['key']} = {json.dumps(v['value'], ensure_ascii=False)}"), safe(origin(v, file))) for v in values]
    room = max((cells(text) for text, _ in told if cells(text) <= MOST_VALUE_COLUMNS), default=0)
    texts = [f"{filled(text, room)}  {where}" for text, where in told]
    tones = [Tone.QUIET if v["origin"] == "default" else Tone.PLAIN for v in values]
    return [line(text, tone) for text, tone in zip(texts, tones, strict=True)]


def origin(value: rpc.ConfigValue, file: str) -> str:
    """Where a value comes from: `default`, `preset`, or `line 12`."""
    path, _, number = value["origin"].rpartition(":")
    return f"line {number}" if path == file else value["origin"]


@click.command()
@click.argument("method", shell_complete=completing.methods)
@click.argument("params", default="{}", metavar="[JSON]")
@command
def call(asking: Asking, method: str, params: str) -> int:
    """Call a method of the control socket and print its result. `rpc.discover` describes them all.

    JSON is an object with the parameters, such as '{"target": "forge"}'.
    """
    given = _object(params)
    result = asking.client.call(method, **given)
    print_json(result)
    return Exit.FAILED if isinstance(result, dict) and result.get("success") is False else Exit.WELL


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as e:
        raise click.BadParameter(f"not JSON: {e}", param_hint="JSON") from e
    if not isinstance(value, dict):
        raise click.BadParameter('the parameters are an object, such as {"target": "forge"}', param_hint="JSON")
    return value
