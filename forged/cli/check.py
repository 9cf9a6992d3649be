"""`forged check`: what a valid configuration says, in short.

The document of `forged check --json` (keys are only ever added):

    success, file, targets: [{name, type, source, dest}], discoveries: [name],
    connected (null without `--connect`), said: [text] (what `--connect` tells people)

A configuration that does not validate is the same document as of `forged once --json`.
"""

from __future__ import annotations

from collections.abc import Sequence

from forged.cli.telling import Line, Tone, columns, line
from forged.kit.units import human_duration
from forged.model.settings import Config, DiscoverySettings
from forged.model.target import Target


def report(config: Config) -> list[Line]:
    """`FILE: ok, 3 targets`, and a row for each target."""
    count = len(config.targets)
    lines = [line(f"{config.path}: ok, {count} target{'' if count == 1 else 's'}", Tone.GOOD)]
    if not config.targets and not config.discoveries:
        lines.append(line("  nothing to do yet: `forged probe URL` prints a [[target]] to paste", Tone.WARN))
    lines += [line(f"  {text}") for text in columns([row(target) for target in config.targets])]
    return (
        lines
        + [
            line(f"  discovery {one.name}: boxes to {one.template.home.dest}, asked every {human_duration(one.every_s)}")
            for one in config.discoveries
        ]
        + [line(f"  {text}", Tone.WARN) for one in config.discoveries for text in clashing(one)]
    )


def document(config: Config, tried: Sequence[Line] | None, well: bool) -> dict[str, object]:
    """The whole JSON document. `tried`: what `--connect` has to say; `well`: whether all of it answered."""
    targets = [
        {"name": one.name, "type": one.type.value, "source": str(one.source), "dest": str(one.home.dest)} for one in config.targets
    ]
    return {
        "success": well,
        "file": str(config.path),
        "targets": targets,
        "discoveries": [one.name for one in config.discoveries],
        "connected": None if tried is None else well,
        "said": [each.text for each in tried or ()],
    }


def clashing(one: DiscoverySettings) -> list[str]:
    """A template whose boxes share their names at home. All number their pictures from one."""
    if "{target}" in one.template.home.layout:
        return []
    return [
        f"discovery {one.name}: all its boxes share one folder: what two of them call alike lands beside as `name~hash`. "
        'To keep them apart: layout = "{target}/{folder}/{path}"'
    ]


def row(target: Target) -> tuple[str, ...]:
    """Name, type, from where to where, when, and whether anything is ever deleted there."""
    timing, cleanup = target.timing, target.cleanup
    when = f"cron {timing.schedule}" if timing.schedule else f"every {human_duration(timing.poll_s)}"
    removal = f"cleanup after {human_duration(cleanup.age_s)}" if cleanup else "no cleanup"
    return target.name, target.type.value, f"{target.source} -> {target.home.dest}", when, removal
