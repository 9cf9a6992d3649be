"""An alarm breaks once and heals once: whatever is asked how often, cancelled, restarted, or refused by a store in trouble."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from forged.daemon.bell import Bell, Said
from forged.model.alarms import Alarm, AlarmKind
from forged.model.errors import StoreError
from forged.model.events import EventKind, NewEvent
from forged.store.memory import MemoryStore
from tests.support.virtual import LoopClock, virtual


class World:
    """A bell over a store in memory. `told`: what was told at once; `taken`: what handlers will get."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store, self.told = store or MemoryStore(), list[NewEvent]()
        self.bell = Bell(self.store.alarms, LoopClock(), self.told.append)
        self.bell.anybody_takes = lambda: True

    async def judge(self, verdict: bool | None) -> None:
        await self.bell.judge(AlarmKind.LOST, "studio", verdict, lambda broke: Said("studio", "broke" if broke else "well"))

    @property
    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.told]

    async def taken(self) -> list[EventKind]:
        return [event.kind for event in await self.store.outbox.after("somebody", 100)]


BOTH = [EventKind.TARGET_LOST, EventKind.TARGET_BACK]


@virtual
async def test_once_each_however_often_it_is_judged() -> None:
    world = World()
    for verdict in (False, None, True, True, None, True, False, False, None):
        await world.judge(verdict)
    assert (world.kinds, await world.taken()) == (BOTH, BOTH)


@virtual
async def test_once_over_a_restart() -> None:
    world = World()
    await world.judge(True)
    again = World(world.store)
    await again.bell.restore()
    await again.judge(True)
    assert again.told == []
    await again.judge(False)
    assert (again.kinds, await again.taken()) == (BOTH[1:], BOTH)


@virtual
async def test_a_judge_who_is_cancelled_leaves_no_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    at_once = world.store.alarms.raise_

    async def slowly(alarm: Alarm, events: list[NewEvent]) -> None:
        await at_once(alarm, events)  # it is written down ...
        await asyncio.sleep(1)  # ... and the answer is on its way

    monkeypatch.setattr(world.store.alarms, "raise_", slowly)
    judging = asyncio.ensure_future(world.judge(True))
    await asyncio.sleep(0.5)
    judging.cancel()
    with suppress(asyncio.CancelledError):
        await judging
    await world.judge(True)
    assert (world.kinds, await world.taken()) == (BOTH[:1], BOTH[:1])


@virtual
async def test_a_store_in_trouble_has_told_nothing_and_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()

    async def full(*_: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(world.store.alarms, "raise_", full)
        with pytest.raises(StoreError):
            await world.judge(True)
        assert (world.told, await world.taken(), world.bell.is_raised(AlarmKind.LOST, "studio")) == ([], [], False)
    await world.judge(True)
    assert world.kinds == BOTH[:1]


@virtual
async def test_where_nobody_takes_events_none_are_kept_and_people_hear_all_the_same() -> None:
    world = World()
    world.bell.anybody_takes = lambda: False
    await world.judge(True)
    assert (world.kinds, await world.taken()) == (BOTH[:1], [])


@virtual
async def test_what_is_gone_is_forgotten_without_a_word() -> None:
    world = World()
    await world.judge(True)
    await world.bell.forget([AlarmKind.DISCOVERY], [])
    assert world.bell.is_raised(AlarmKind.LOST, "studio")
    await world.bell.forget([AlarmKind.LOST], ["other"])
    assert not world.bell.is_raised(AlarmKind.LOST, "studio")
    assert world.kinds == BOTH[:1]
    assert await world.store.alarms.raised() == []
