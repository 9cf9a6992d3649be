"""`forged check --connect`: whether all that the configuration names is there, and lets forged in.

Sources open, folders at home can be written to, discoveries answer, ingest handlers would take events, exiftool does what it is
told, the state database is sound. All at once, so that one run tells everything; no event is sent, nothing is written.

It takes no lock, so that it can be tried beside a running daemon. Host keys that are pinned are not compared.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from forged.cli.places import user_home
from forged.cli.running import run
from forged.cli.telling import Line, Tone, line, trouble
from forged.daemon.bodies import Bodies, discovery_of, handler_of, placed_source
from forged.daemon.enriching import SAID
from forged.daemon.memory import tried as state_tried
from forged.destination.root import Root
from forged.discovery.trying import tried
from forged.kit.clock import SystemClock
from forged.kit.units import human_size
from forged.media.xmp.sidecars import HINTS, ExifToolSidecars, Standing
from forged.model.boxes import Box, BoxState
from forged.model.errors import DestinationError, ForgedError, StoreError
from forged.model.observer import Nobody
from forged.model.settings import Config, DiscoverySettings, IngestSettings, SqliteIngest
from forged.model.target import HomePolicy, Target
from forged.sources.hostkeys import ForgetfulPins

Tried = tuple[list[Line], bool]
"""What is to be said, and whether it went well."""


def connect(config: Config) -> Tried:
    """Tries all of it at once; everything has deadlines of its own."""
    return run(_connect(config))


async def _connect(config: Config) -> Tried:
    homes = {target.home.dest: target.home for target in (*config.targets, *(one.template for one in config.discoveries))}
    tries = [
        *(_source(target) for target in config.targets),
        *(asyncio.to_thread(_home, homes[dest], config.transfer.min_free_bytes) for dest in sorted(homes)),
        *(_discovery(one) for one in config.discoveries),
        *(_ingest(one) for one in _listed(config)),
        *([_exiftool()] if _wants_sidecars(config) else []),
        _state(config),
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


def _home(home: HomePolicy, min_free_bytes: int) -> Tried:
    """Blocks."""
    try:
        free_bytes = Root(home, "check", min_free_bytes).try_out()
    except DestinationError as error:
        return trouble(str(home.dest), error), False
    room = "once it is made" if free_bytes is None else f"{human_size(free_bytes)} free"
    return [_well(f"{home.dest}: can be written to, {room}")], True


async def _discovery(settings: DiscoverySettings) -> Tried:
    name, trial = f"discovery {settings.name}", await tried(discovery_of(settings))
    warnings = [line(f"  {text}", Tone.WARN) for text in trial.warnings]
    if trial.boxes is None:
        return [*trouble(name, trial.error or ForgedError("no answer")), *warnings], False
    count = len(trial.boxes)
    said = _well(f"{name}: {count} box{'' if count == 1 else 'es'}")
    return [said, *(line(f"    {_box(box)}", Tone.QUIET) for box in trial.boxes), *warnings], True


def _listed(config: Config) -> Iterator[IngestSettings]:
    """Those of the file; the catalog that is there by itself lies beside the state database, which is tried."""
    yield from (one for one in config.ingests if not isinstance(one.handler, SqliteIngest) or one.handler.enabled)


async def _ingest(settings: IngestSettings) -> Tried:
    name = f"ingest {settings.name}"
    async with aclosing(handler_of(settings, SystemClock())) as handler:
        try:
            met = await handler.try_out()
        except ForgedError as error:
            return trouble(name, error), False
    return [_well(f"{name}: {met}")], True


def _wants_sidecars(config: Config) -> bool:
    targets = (*config.targets, *(one.template for one in config.discoveries))
    return any(target.media.metadata and target.media.xmp for target in targets)


async def _exiftool() -> Tried:
    """It writes a sidecar with all that forged ever says, and what it wrote is read back."""
    with tempfile.TemporaryDirectory(prefix="forged-") as folder:
        async with aclosing(ExifToolSidecars(Path(folder) / "xmp", SystemClock())) as sidecars:
            standing = await sidecars.standing()
            if standing is not Standing.READY:
                return trouble("exiftool", ForgedError(SAID[standing], hint=HINTS[standing])), False
            advice = [line(f"  {sidecars.advice}", Tone.QUIET)] if sidecars.advice else []
            return [_well(f"exiftool {sidecars.version} writes sidecars"), *advice], True


async def _state(config: Config) -> Tried:
    try:
        return [_well(f"state database {await state_tried(config.state)}")], True
    except StoreError as error:
        return trouble("state", error), False


def _box(box: Box) -> str:
    """`312 (forge): ssh://root@10.0.0.1:2222`, or why it has no address."""
    label = f" ({box.label})" if box.label else ""
    where = ", ".join(map(str, box.addresses)) if box.addresses else box.why or BoxState(box.state).value
    return f"{box.id}{label}: {where}"


def _well(text: str) -> Line:
    return line(f"✔ {text}", Tone.GOOD)
