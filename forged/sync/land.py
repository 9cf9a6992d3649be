"""Steps 6 and 7: receipts get their final names, and the manifest remembers them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

from forged.destination.base import Landing
from forged.model.files import Problem
from forged.model.observer import FileTrouble
from forged.model.transfer import Landed, Receipt
from forged.rules import names
from forged.sync.doors import Doors, Looks
from forged.sync.home import place
from forged.sync.remember import remember


class Land:
    """Receipts in, landed and remembered files out."""

    def __init__(self, doors: Doors, looks: Looks) -> None:
        self._doors = doors
        self._looks = looks

    async def landed(self, receipts: AsyncIterable[list[Receipt]]) -> AsyncGenerator[list[Landed], None]:
        """Batch by batch; what is yielded is durable at home and in the manifest."""
        async for batch in receipts:
            landings = [await self._landing(receipt) for receipt in batch]
            answers = await self._doors.destination.land(landings)
            landed = [answer for answer in answers if isinstance(answer, Landed)]
            await remember(self._doors, self._looks, landed)
            for answer in answers:
                if isinstance(answer, Problem):
                    self._doors.observer.notice(FileTrouble(self._doors.target.name, answer))
            yield landed

    async def _landing(self, receipt: Receipt) -> Landing:
        """Where it should go. A `mutable` file that came home before replaces what forged itself put there."""
        home, replaces = place(self._doors, receipt.entry), None
        if self._doors.selector.is_mutable(receipt.entry.path):
            (row,) = await self._doors.store.manifest.current(self._doors.target.manifest, [receipt.entry.path])
            if row is not None:
                home, replaces = row.home, row.sha256
        return Landing(receipt, home, names.version_names(home, receipt.staged.sha256), replaces)
