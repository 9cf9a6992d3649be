"""Enrichment in a running daemon: one for each target, and exiftool, for which what is owed waits when it is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from forged.daemon.conditions import Condition, Conditions
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.media.xmp.sidecars import HINTS, LOOK_AGAIN_S, ExifToolSidecars, Standing
from forged.metrics.metrics import Metrics
from forged.model.manifest import ManifestName
from forged.store.base import Store
from forged.sync.enrich import rerun
from forged.sync.enrichment import Enrichment

SAID = {
    Standing.MISSING: "exiftool is missing: no XMP sidecars are written",
    Standing.TOO_OLD: "this exiftool is too old: no XMP sidecars are written",
    Standing.BROKEN: "exiftool does not do what it is told: no XMP sidecars are written",
}


class Enriching:
    """Who looks into files, of all targets that run now."""

    def __init__(self, sidecars: ExifToolSidecars, store: Store, metrics: Metrics, clock: Clock, log: Log) -> None:
        self._sidecars, self._store, self._metrics, self._clock = sidecars, store, metrics, clock
        self._conditions = Conditions("", log, clock)
        self._enrichments: dict[str, Enrichment] = {}

    def joined(self, target: str, enrichment: Enrichment) -> None:
        """A target begins."""
        self._enrichments[target] = enrichment

    def left(self, target: str) -> None:
        """It ends."""
        self._enrichments.pop(target, None)

    @property
    def problems(self) -> Sequence[Condition]:
        """What keeps files from being looked into, or sidecars from being written."""
        return self._conditions.problems

    async def watch(self) -> None:
        """Without end: notices when exiftool is missing, and when it has come."""
        while True:
            await self.look()
            await self._clock.sleep(LOOK_AGAIN_S)

    async def look(self) -> None:
        """Once."""
        wanting = [one for one in self._enrichments.values() if one.wants_sidecars]
        standing = await self._sidecars.standing() if wanting else Standing.READY
        for kind in Standing:
            if kind is not standing:
                was = any(one.kind == _word(kind) for one in self.problems)
                self._conditions.healed(_word(kind))
                if was and standing is Standing.READY:
                    self._follow(wanting)
        if standing is not Standing.READY:
            self._conditions.broken(_word(standing), SAID[standing], HINTS[standing])
        self._tell_trouble()

    def _follow(self, wanting: Sequence[Enrichment]) -> None:
        for enrichment in wanting:
            enrichment.follow()

    def _tell_trouble(self) -> None:
        """Of a destination or the state its target tells already."""
        troubles = [one.trouble for one in self._enrichments.values() if one.trouble is not None]
        missing = next((error for error in troubles if error.kind == WORKER_MISSING), None)
        if missing is not None:
            self._conditions.broken(missing.kind, missing.message, missing.hint)
        else:
            self._conditions.healed(WORKER_MISSING)

    async def waiting(self) -> Mapping[str, int]:
        """How many files of each target wait."""
        names = await self._store.media.count_waiting()
        return {target: names.get(one.manifest, 0) for target, one in self._enrichments.items()}

    async def count(self) -> None:
        """For the metrics page."""
        for target, files in (await self.waiting()).items():
            self._metrics.media_waiting(target, files)

    async def rerun(self, target: str | None) -> int:
        """All that is home of this target (None: of all) waits again; answers how many files. Raises StoreError."""
        queued = 0
        for name, enrichment in list(self._enrichments.items()):
            if target in (None, name):
                queued += await rerun(enrichment.rooms)
                enrichment.wake()
        return queued


def neighbours(dests: Callable[[], Mapping[ManifestName, str]], name: ManifestName) -> Callable[[], Sequence[ManifestName]]:
    """The manifests whose files lie in the same folder at home as those of `name`, itself among them."""

    def there() -> Sequence[ManifestName]:
        known = dests()
        return [name, *(other for other, dest in known.items() if other != name and dest == known.get(name))]

    return there


WORKER_MISSING = "worker_missing"


def _word(standing: Standing) -> str:
    return f"exiftool_{standing.value}"
