"""Which targets one run without a daemon is about: those of the configuration, and those of the boxes that discoveries show now."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forged.discovery.base import Discovery
from forged.discovery.trying import tried
from forged.model.boxes import Box, KnownBox, Sighting
from forged.model.errors import ConfigError, DiscoveryError
from forged.model.settings import Config, DiscoverySettings
from forged.model.target import Target, TargetName
from forged.rules import boxes
from forged.sources.routed import Route
from forged.store.base import Boxes


@dataclass(frozen=True, slots=True)
class One:
    """A target, and where it is reached: at a route, or (None) at its own address."""

    target: Target
    route: Route | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run is about. `unanswered`: discoveries that did not say which boxes there are; `targets` has those known before."""

    targets: tuple[One, ...]
    unanswered: tuple[tuple[str, DiscoveryError], ...] = ()

    @property
    def awake(self) -> tuple[One, ...]:
        """Those that somebody may answer for."""
        return tuple(one for one in self.targets if one.route is None or not one.route.nobody_there)

    @property
    def asleep(self) -> tuple[One, ...]:
        """The others: their providers say why."""
        return tuple(one for one in self.targets if one.route is not None and one.route.nobody_there)


async def wanted(config: Config, names: Sequence[str], make: Callable[[DiscoverySettings], Discovery], known: Boxes) -> Wanted:
    """The targets of these names, or all. Discoveries are asked only if that can matter, all at once.

    Raises ConfigError for a name that nothing has, StoreError.
    """
    own: dict[str, One] = {target.name: One(target) for target in config.targets}
    asked = not names or any(name not in own for name in names)
    answers = await asyncio.gather(*(_asked(one, config, make, known) for one in config.discoveries if asked))
    there: dict[str, One] = {**own, **{one.target.name: one for found, _ in answers for one in found}}
    failed = tuple(failure for _, failure in answers if failure is not None)
    _check(names, list(there), failed)
    return Wanted(tuple(one for name, one in there.items() if not names or name in names), failed)


Answered = tuple[list[One], tuple[str, DiscoveryError] | None]


async def _asked(
    settings: DiscoverySettings, config: Config, make: Callable[[DiscoverySettings], Discovery], known: Boxes
) -> Answered:
    trial = await tried(make(settings))
    if trial.boxes is not None:
        return [_one(settings, config, KnownBox(box)) for box in trial.boxes if _is_understood(box)], None
    assert trial.error is not None  # a trial has one of them
    return [_one(settings, config, box) for box in await known.known(settings.name)], (settings.name, trial.error)


def _is_understood(box: Box) -> bool:
    """Of which only the id is known, it may be one with another label."""
    return boxes.answered(boxes.Book(), Sighting(0, (box,)))[0].boxes.get(box.id) is not None


def _one(settings: DiscoverySettings, config: Config, known: KnownBox) -> One:
    id, targets = known.box.id, [target.name for target in config.targets]
    name = boxes.target_name(settings.name, id, targets, [one.name for one in config.discoveries])
    manifest = boxes.manifest_name(settings.name, id)
    target = boxes.target_of(settings.template, TargetName(name), manifest, known.box)
    return One(target, Route(known.box.addresses, boxes.nobody_there(known)))


def _check(names: Sequence[str], there: Sequence[str], failed: Sequence[tuple[str, DiscoveryError]]) -> None:
    unknown = [name for name in names if name not in there]
    if unknown:
        told = [f"discovery {name}: {error.message}" for name, error in failed]
        raise ConfigError((*(f"no target {name!r}; there are: {', '.join(there) or 'none'}" for name in unknown), *told))
