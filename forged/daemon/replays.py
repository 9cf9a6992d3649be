"""Brings what is home to one handler again: to one that came later, or a catalog that lost its file. In small steps, one after the
other, so that neither the outbox nor the memory fills; how far it has come is in the store, so that a restart goes on there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from forged.daemon.couriers import Courier, Couriers
from forged.daemon.fleet import Fleet, Member
from forged.ingest.base import Keeper
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.model.errors import StoreError
from forged.model.events import NewEvent
from forged.model.handing import Replay
from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath
from forged.store.base import Store
from forged.sync.publish import file_synced, key_of

STEP_ROWS = 100
"""Events of a step. A body holds all that is known of a file: ComfyUI's workflows make 100 KB of it and more."""

MOST_WAITING = 1_000
"""Events that wait for a handler before the next step: some ten batches, so that it never has to wait for us."""

FULL_S = 0.5
"""Until the next look at whether it has taken some."""

LOOK_S = 15.0
"""Between two looks at whether a catalog has lost its file."""

BEGIN = SourcePath(b"")


class Replays:
    """One step at a time, over all replays."""

    def __init__(self, fleet: Fleet, couriers: Couriers, store: Store, clock: Clock, log: Log) -> None:
        self._fleet = fleet
        self._couriers = couriers
        self._store = store
        self._clock = clock
        self._log = log
        self._asked = asyncio.Event()

    async def ask(self, courier: Courier) -> int:
        """All that is home of the handler's targets is brought to it again; answers how many files that is. Raises StoreError."""
        members = [member for member in self._fleet.members if takes(courier, member)]
        files = 0
        for member in members:
            manifest = member.standing.target.manifest
            files += (await self._store.manifest.count(manifest))[0]
            await self._store.ingests.replayed(Replay(courier.name, manifest, BEGIN))
        self._asked.set()
        return files

    async def under_way(self) -> frozenset[str]:
        """The handlers to which something is being brought again. Raises StoreError."""
        return frozenset(replay.handler for replay in await self._store.ingests.replays())

    async def keep_going(self) -> None:
        """An eternal task."""
        while True:
            self._asked.clear()
            wait_s = LOOK_S
            with suppress(StoreError):  # it shows elsewhere, and what was not done is done at the next look
                await self._refill()
                wait_s = await self.step()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._asked.wait()

    async def _refill(self) -> None:
        """A catalog that was lost fills itself again."""
        for courier in self._couriers.all:
            if isinstance(courier.keeper, Keeper) and await courier.keeper.lost() and (files := await self.ask(courier)):
                self._log.info("what is home is brought to it again, since it is empty", handler=courier.name, files=files)

    async def step(self) -> float:
        """One step of each replay that can go on; answers after how many seconds the next one makes sense. Raises StoreError."""
        wait_s = LOOK_S
        for replay in await self._store.ingests.replays():
            courier = next((one for one in self._couriers.all if one.name == replay.handler), None)
            member = next((one for one in self._fleet.members if one.standing.target.manifest == replay.manifest), None)
            if courier is None or member is None or not takes(courier, member):
                continue  # it may come back
            if await self._store.outbox.waiting(courier.name) >= MOST_WAITING:
                wait_s = min(wait_s, FULL_S)
                continue
            await self._go_on(replay, member)
            courier.delivery.news()
            wait_s = 0.0
        return wait_s

    async def _go_on(self, replay: Replay, member: Member) -> None:
        rows = await self._store.manifest.between(replay.manifest, replay.after or None, None, STEP_ROWS)
        events = await self._events(replay, member, [row for row in rows if row.tombstone_at_ns is None])
        after = rows[-1].path if len(rows) == STEP_ROWS else None
        await self._store.ingests.replayed(replace(replay, after=after), events)
        if after is None:
            self._log.info("all that is home was put for it again", handler=replay.handler, target=member.name)

    async def _events(self, replay: Replay, member: Member, rows: Sequence[ManifestRow]) -> list[NewEvent]:
        """Of those whose event does not come by itself: not of what waits for it already, or for being looked into."""
        target, now_ns = member.standing.target, self._clock.now_ns()
        discovery = member.standing.instance.discovery if member.standing.instance else None
        keys = {row.path: key_of(target, row) for row in rows}
        handed = await self._store.ingests.handed(replay.manifest, keys, [replay.handler], [])
        events = []
        for row in rows:
            waits = (replay.handler, keys[row.path])
            if waits in handed.waiting or waits in handed.aside or row.path in handed.to_examine:
                continue
            known = await self._store.media.info(replay.manifest, row.path)
            media = known.info if known is not None else None
            events.append(file_synced(target, row, now_ns, media=media, discovery=discovery, again=True))
        return events


def takes(courier: Courier, member: Member) -> bool:
    """Whether this handler hears of the files of this target."""
    instance = member.standing.instance
    return courier.settings.takes_files_of({member.name, instance.discovery if instance else member.name})
