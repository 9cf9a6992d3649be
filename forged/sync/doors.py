"""What a round works with, handed over as one value: the four doors, one target, and what is remembered between rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from forged.destination.base import Destination
from forged.kit.clock import Clock
from forged.model.files import Entry
from forged.model.observer import Observer
from forged.model.paths import SourcePath
from forged.model.target import Target
from forged.rules import settle
from forged.rules.selection import Selector
from forged.sources.base import Source
from forged.store.base import Store
from forged.sync.known import Known


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


@dataclass(slots=True)
class Looks:
    """What a target keeps in mind between rounds: how unsettled files looked, which files are on their way home, and what there was
    nothing to do for.

    It stays small; a restart may forget it.
    """

    _seen: dict[SourcePath, settle.Look] = field(default_factory=dict)
    _fresh: dict[SourcePath, settle.Look] = field(default_factory=dict)
    source_ahead_ns: int = 0
    """How much the source's clock is ahead of ours, as last measured."""
    believe_next: bool = False
    """A person released a hold: what the next complete look does not see is gone, however much it is."""
    staging: set[str] = field(default_factory=set)
    """What the lines of this target are staging now: a round that sweeps must leave alone what a notice is bringing beside it."""
    known: Known = field(default_factory=Known)
    """Of rounds, which come one after the other."""
    _claimed: set[SourcePath] = field(default_factory=set)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def is_claimed(self, path: SourcePath) -> bool:
        """Whether a line is bringing this file: a round and a notice must not bring the same one side by side."""
        return path in self._claimed

    def claim(self, path: SourcePath) -> None:
        """From now on it is the caller's to bring, until it is released."""
        self._claimed.add(path)

    def release(self, paths: Iterable[SourcePath]) -> None:
        """They are home, or not to be had now."""
        self._claimed.difference_update(paths)
        self._released.set()

    async def freed(self, paths: Iterable[SourcePath]) -> None:
        """Returns when nobody is bringing any of these."""
        awaited = set(paths)
        while awaited & self._claimed:
            self._released.clear()
            await self._released.wait()

    def earlier(self, path: SourcePath) -> settle.Look | None:
        return self._fresh.get(path) or self._seen.get(path)

    def remember(self, entry: Entry, moment: settle.Moment) -> None:
        """It was not settled: the next look compares with this one."""
        self._fresh[entry.path] = settle.look_again(entry.stat, self.earlier(entry.path), moment)

    def found_broken(self, entry: Entry, moment: settle.Moment) -> None:
        """It was fetched and its end is missing: no need to fetch it again before it changes or `settle_max` is over."""
        look = settle.look_again(entry.stat, self.earlier(entry.path), moment)
        self._fresh[entry.path] = settle.Look(look.stat, look.since_s, broken=True)

    def turn(self, complete: bool) -> None:
        """A round ends. After a complete one, what was not looked at again is forgotten."""
        self._seen = self._fresh if complete else self._seen | self._fresh
        self._fresh = {}
