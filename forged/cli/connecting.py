"""`forged check --connect`: whether each source opens, each folder at home can be written to, and each discovery answers.

Needs no state database, so that it can be tried beside a running daemon. Host keys that are pinned are therefore not compared.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

from forged.cli.places import user_home
from forged.cli.running import run
from forged.cli.telling import Line, Tone, line, trouble
from forged.daemon.app import discovery_of
from forged.daemon.bodies import Bodies, placed_source
from forged.discovery.trying import tried
from forged.model.boxes import Box, BoxState
from forged.model.errors import DestinationMissing, DestinationReadOnly, ForgedError
from forged.model.observer import Nobody
from forged.model.settings import Config, DiscoverySettings
from forged.model.target import Target
from forged.sources.hostkeys import ForgetfulPins

Tried = tuple[list[Line], bool]
"""What is to be said, and whether it went well."""


def connect(config: Config) -> Tried:
    """Tries all of it at once; everything has deadlines of its own."""
    return run(_connect(config))


async def _connect(config: Config) -> Tried:
    dests = {target.home.dest for target in config.targets} | {one.template.home.dest for one in config.discoveries}
    tries = [
        *(_source(target) for target in config.targets),
        *(asyncio.to_thread(_home, dest) for dest in sorted(dests)),
        *(_discovery(one) for one in config.discoveries),
    ]
    ends: Sequence[Tried] = await asyncio.gather(*tries)
    return [each for lines, _ in ends for each in lines], all(well for _, well in ends)


async def _source(target: Target) -> Tried:
    bodies = Bodies(ForgetfulPins(), Nobody(), user_home())
    try:
        async with placed_source(target, bodies.bare) as source:
            can = source.capabilities
    except ForgedError as error:
        return trouble(target.name, error), False
    lacking = f", no {' and no '.join(can.missing)}" if can.missing else ""
    return [_well(f"{target.name}: {target.source} answers ({can.transport}{lacking})")], True


def _home(dest: Path) -> Tried:
    """A folder that is not there yet is made at the first sync. Blocks."""
    there = next(one for one in (dest, *dest.parents) if one.exists())
    if not there.is_dir():
        return trouble(str(dest), DestinationMissing(f"{there} is no folder")), False
    if not os.access(there, os.W_OK | os.X_OK):
        return trouble(str(dest), DestinationReadOnly(f"this user may not write to {there}")), False
    return [_well(f"{dest}: can be written to" + ("" if there == dest else ", once it is made"))], True


async def _discovery(settings: DiscoverySettings) -> Tried:
    name, trial = f"discovery {settings.name}", await tried(discovery_of(settings))
    warnings = [line(f"  {text}", Tone.WARN) for text in trial.warnings]
    if trial.boxes is None:
        return [*trouble(name, trial.error or ForgedError("no answer")), *warnings], False
    count = len(trial.boxes)
    said = _well(f"{name}: {count} box{'' if count == 1 else 'es'}")
    return [said, *(line(f"    {_box(box)}", Tone.QUIET) for box in trial.boxes), *warnings], True


def _box(box: Box) -> str:
    """`312 (forge): ssh://root@10.0.0.1:2222`, or why it has no address."""
    label = f" ({box.label})" if box.label else ""
    where = ", ".join(map(str, box.addresses)) if box.addresses else box.why or BoxState(box.state).value
    return f"{box.id}{label}: {where}"


def _well(text: str) -> Line:
    return line(f"✔ {text}", Tone.GOOD)
