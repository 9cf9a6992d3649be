"""What a round works with: one target and its doors to the world, as one value."""

from __future__ import annotations

from dataclasses import dataclass, field

from forged.destination.base import Destination
from forged.kit.clock import Clock
from forged.model.observer import Observer
from forged.model.target import Target
from forged.rules.selection import Selector
from forged.sources.base import Source
from forged.store.base import Store
from forged.sync.publish import Takers


@dataclass(frozen=True, slots=True)
class Doors:
    """The world of one target. Built by daemon.app, the only place that picks implementations."""

    target: Target
    selector: Selector
    source: Source
    destination: Destination
    store: Store
    observer: Observer
    clock: Clock
    takers: Takers = field(default_factory=Takers)
