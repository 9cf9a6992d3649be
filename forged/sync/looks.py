"""What a target keeps in mind between rounds, and nobody needs to write down."""

from __future__ import annotations

from dataclasses import dataclass, field

from forged.model.files import Entry
from forged.model.paths import SourcePath
from forged.rules import settle
from forged.sync.known import Known
from forged.sync.underway import Underway

MOST_LOOKS_BYTES = 4 << 20
"""Memory for how unsettled files looked: some 10,000 of usual names. Those beyond it are not waited for yet: only a file from the
future, by the box's clock, needs two of our looks, and one that has come home makes room. A box may have as many as it likes."""

LOOK_BYTES = 320
"""What one such look takes, beside its path: the objects and their places in two dicts (measured with tracemalloc)."""


@dataclass(slots=True)
class Looks:
    """What a target keeps in mind between rounds: how unsettled files looked, which files are on their way home, and what there was
    nothing to do for.

    It stays small, whatever a source shows; a restart may forget it.
    """

    _seen: dict[SourcePath, settle.Look] = field(default_factory=dict)
    _fresh: dict[SourcePath, settle.Look] = field(default_factory=dict)
    source_ahead_ns: int = 0
    """How much the source's clock is ahead of ours, as last measured."""
    underway: Underway = field(default_factory=Underway)
    begun: set[str] = field(default_factory=set)
    """What this process has staged the beginnings of (some of it), and nobody before it."""
    known: Known = field(default_factory=Known)
    """Of rounds, which come one after the other."""
    _kept_bytes: int = 0
    """Of the looks of this round."""

    def earlier(self, path: SourcePath) -> settle.Look | None:
        return self._fresh.get(path) or self._seen.get(path)

    def remember(self, entry: Entry, moment: settle.Moment) -> None:
        """It was not settled: the next look compares with this one, if there is room to keep it."""
        self._keep(entry.path, settle.look_again(entry.stat, self.earlier(entry.path), moment))

    def found_broken(self, entry: Entry, moment: settle.Moment) -> None:
        """It was fetched and its end is missing: no need to fetch it again before it changes or `settle_max` is over."""
        look = settle.look_again(entry.stat, self.earlier(entry.path), moment)
        self._keep(entry.path, settle.Look(look.stat, look.since_s, broken=True))

    def _keep(self, path: SourcePath, look: settle.Look) -> None:
        size_bytes = 0 if path in self._fresh else len(path) + LOOK_BYTES
        if self._kept_bytes + size_bytes <= MOST_LOOKS_BYTES:
            self._kept_bytes += size_bytes
            self._fresh[path] = look

    def turn(self, complete: bool) -> None:
        """A round ends. After a complete one, what was not looked at again is forgotten."""
        if not complete:
            for path, look in self._seen.items():
                if path not in self._fresh:
                    self._keep(path, look)
        self._seen, self._fresh, self._kept_bytes = self._fresh, {}, 0
