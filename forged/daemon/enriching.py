"""Enrichment in a running daemon: one for each target, and exiftool, for which what is owed waits when it is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from forged.daemon.conditions import Conditions
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.signs import Alive
from forged.media.xmp.sidecars import HINTS, Standing
from forged.metrics.metrics import Metrics
from forged.model.errors import StoreError, WorkerMissing
from forged.store.base import Store
from forged.sync.enrich import rerun
from forged.sync.enrichment import Enrichment

WORKER_MISSING = WorkerMissing().kind

LOOK_S = 5.0
"""How late it is said that exiftool is gone, or back; a look costs a few system calls. The metrics page is read every 15 s or less
often, and a count costs a look into an index."""

SAID = {
    Standing.MISSING: "exiftool is missing: no XMP sidecars are written",
    Standing.TOO_OLD: "this exiftool is too old: no XMP sidecars are written",
    Standing.BROKEN: "exiftool does not do what it is told: no XMP sidecars are written",
}


class Writer(Protocol):
    """What writes sidecars, as far as it can stand."""

    async def standing(self) -> Standing:
        """Whether it can, now."""


class Enriching:
    """Who looks into files, of all targets that run now."""

    def __init__(self, sidecars: Writer, store: Store, metrics: Metrics, clock: Clock, log: Log) -> None:
        self._sidecars, self._store, self._metrics, self._clock = sidecars, store, metrics, clock
        self.conditions = Conditions("", log, clock)
        """What keeps files from being looked into, or sidecars from being written."""
        self._enrichments: dict[str, Enrichment] = {}
        self._counted = 0

    def joined(self, target: str, enrichment: Enrichment) -> None:
        """A target begins."""
        self._enrichments[target] = enrichment

    def left(self, target: str) -> None:
        """It ends."""
        self._enrichments.pop(target, None)

    async def watch(self, alive: Alive) -> None:
        """Without end: notices when exiftool is gone, also where no file waits for it, and when it has come; counts for the metrics
        page."""
        while True:
            alive()
            await self.look()
            await self.count()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Once."""
        wanting = [one for one in self._enrichments.values() if one.wants_sidecars]
        standing = await self._sidecars.standing() if wanting else Standing.READY
        for kind in Standing:
            if kind is not standing:
                was = any(one.kind == _word(kind) for one in self.conditions.problems)
                self.conditions.healed(_word(kind))
                if was and standing is Standing.READY:
                    self._follow(wanting)
        if standing is not Standing.READY:
            self.conditions.broken(_word(standing), SAID[standing], HINTS[standing])
        self._tell_trouble()

    def _follow(self, wanting: Sequence[Enrichment]) -> None:
        for enrichment in wanting:
            enrichment.follow()

    def _tell_trouble(self) -> None:
        """Of a destination or the state its target tells already."""
        troubles = [one.trouble for one in self._enrichments.values() if one.trouble is not None]
        missing = next((error for error in troubles if error.kind == WORKER_MISSING), None)
        if missing is not None:
            self.conditions.broken(missing.kind, missing.message, missing.hint)
        else:
            self.conditions.healed(WORKER_MISSING)

    async def waiting(self) -> Mapping[str, int]:
        """How many files of each target wait. Raises StoreError."""
        names = await self._store.media.count_waiting()
        return {target: names.get(one.manifest, 0) for target, one in self._enrichments.items()}

    async def count(self) -> int:
        """How many wait in all, also told to the metrics page; what was counted last where the state is in trouble."""
        with suppress(StoreError):  # whoever works with the state tells it
            waiting = await self.waiting()
            self._counted = sum(waiting.values())
            for target, files in waiting.items():
                self._metrics.media_waiting(target, files)
        return self._counted

    async def rerun(self, target: str | None) -> int:
        """All that is home of this target (None: of all) waits again; answers how many files. Raises StoreError."""
        queued = 0
        for name, enrichment in list(self._enrichments.items()):
            if target in (None, name):
                queued += await rerun(enrichment.rooms)
                enrichment.wake()
        return queued


def _word(standing: Standing) -> str:
    return f"exiftool_{standing.value}"
