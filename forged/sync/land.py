"""Land, the fifth step: gives receipts their final names."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence

from forged.destination.base import Landing
from forged.model.files import Problem
from forged.model.manifest import AtSource, ManifestRow
from forged.model.observer import FileTrouble
from forged.model.paths import SourcePath
from forged.model.transfer import Landed, Receipt
from forged.sync.doors import Doors
from forged.sync.home import placement


class Land:
    """Receipts in, landed files out."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._placement = placement(doors.target)

    async def landed(self, receipts: AsyncIterable[list[Receipt]]) -> AsyncGenerator[list[Landed], None]:
        """Batch by batch, one after the other; what is yielded is durable at home, and has yet to be remembered."""
        async for batch in receipts:
            answers = await self._doors.destination.land(await self._landings(batch))
            for answer in answers:
                if isinstance(answer, Problem):
                    self._doors.observer.notice(FileTrouble(self._doors.target.name, answer))
            yield [answer for answer in answers if isinstance(answer, Landed)]

    async def _landings(self, receipts: Sequence[Receipt]) -> list[Landing]:
        known = await self._known([r.entry.path for r in receipts if self._doors.selector.is_mutable(r.entry.path)])
        return [self._landing(receipt, known.get(receipt.entry.path)) for receipt in receipts]

    async def _known(self, mutable: Sequence[SourcePath]) -> dict[SourcePath, ManifestRow]:
        """What forged itself put home under these names."""
        rows = await self._doors.store.manifest.current(self._doors.target.manifest, mutable) if mutable else ()
        return {row.path: row for row in rows if row is not None}

    def _landing(self, receipt: Receipt, row: ManifestRow | None) -> Landing:
        """Where it should go. A `mutable` file that came home before replaces what forged itself put there, if it has grown.

        One that is smaller was begun anew, and so was one that was gone at the source, or removed by us: what the one before held
        is at home alone.
        """
        own_name = self._placement.place(receipt.entry.path, receipt.entry.stat.mtime_ns)
        if row is None or row.at_source is not AtSource.PRESENT or receipt.entry.stat.size_bytes < row.stat.size_bytes:
            return Landing(receipt, own_name)
        return Landing(receipt, row.home, row.sha256, own_name, row.stat.size_bytes)
