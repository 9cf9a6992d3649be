"""From the outbox to handlers: at least once, in order, for ever; a dead handler holds up nobody. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import pytest

from forged.ingest.base import BATCH
from forged.ingest.delivery import LONGEST_WAIT_S, LOOK_S, Delivery
from forged.model.errors import IngestError, IngestRefused, StoreDamaged, StoreError
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.manifest import ManifestName
from forged.store.memory import MemoryStore
from tests.support.virtual import LoopClock, virtual

NAME = ManifestName("studio")


class Taker:
    """A handler that keeps what it takes, and raises what it is told to."""

    batch = BATCH

    def __init__(self, name: str = "taker", troubles: Sequence[Exception | None] = (), slow_s: float = 0.0) -> None:
        self.name = name
        self.batches: list[list[int]] = []
        self.tries = 0
        self.troubles = list(troubles)
        self.slow_s = slow_s

    async def deliver(self, events: Sequence[Event]) -> None:
        self.tries += 1
        await asyncio.sleep(self.slow_s)
        trouble = self.troubles.pop(0) if self.troubles else None
        if trouble is not None:
            raise trouble
        self.batches.append([event.id for event in events])

    async def aclose(self) -> None:
        """Nothing is held."""

    @property
    def taken(self) -> list[int]:
        return [id for batch in self.batches for id in batch]


async def put(store: MemoryStore, count: int, kind: EventKind = EventKind.FILE_SYNCED, target: str = "studio") -> None:
    await store.manifest.record(NAME, [], [NewEvent(kind, target, 0, "k", "{}")] * count)


def delivery(taker: Taker, store: MemoryStore, **which: object) -> Delivery:
    return Delivery(taker, store.outbox, LoopClock(), chance=lambda: 1.0, **which)  # type: ignore[arg-type]


class Running:
    """The loop of a delivery, until the end of the block."""

    def __init__(self, one: Delivery) -> None:
        self.one = one

    async def __aenter__(self) -> Delivery:
        self.task = asyncio.create_task(self.one.run())
        return self.one

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task


@virtual
async def test_what_waits_is_brought_in_order_and_in_batches() -> None:
    store, taker = MemoryStore(), Taker()
    await put(store, 250)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(0.1)
    assert taker.taken == list(range(1, 251))
    assert [len(batch) for batch in taker.batches] == [100, 100, 50]
    assert (one.standing.delivered, one.standing.failures) == (250, 0)


@virtual
async def test_news_wake_it_at_once_and_forgotten_news_cost_a_minute() -> None:
    store, taker = MemoryStore(), Taker()
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(5)
        await put(store, 1)
        one.news()
        await asyncio.sleep(0.001)
        assert taker.taken == [1]
        await put(store, 1)
        await asyncio.sleep(LOOK_S)
        assert taker.taken == [1, 2]


@virtual
async def test_news_during_a_delivery_are_not_lost() -> None:
    store, taker = MemoryStore(), Taker(slow_s=10)
    await put(store, 1)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(5)
        await put(store, 1)
        one.news()
        await asyncio.sleep(15.1)
    assert taker.taken == [1, 2]


@virtual
async def test_a_handler_that_fails_gets_them_again_for_ever_and_it_shows() -> None:
    store, taker = MemoryStore(), Taker(troubles=[IngestError("it is down")] * 1000)
    await put(store, 3)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(3600)
        assert 10 < taker.tries < 25
        assert (one.standing.failures, str(one.standing.error)) == (taker.tries, "it is down")
        began_ns = one.standing.failing_since_ns
        assert began_ns is not None and began_ns < LoopClock().now_ns() - 3500 * 10**9
        taker.troubles.clear()
        await asyncio.sleep(LONGEST_WAIT_S)
        assert (one.standing.failures, one.standing.error, one.standing.failing_since_ns) == (0, None, None)
    assert taker.taken == [1, 2, 3]


@virtual
async def test_after_a_success_the_waits_begin_small_again() -> None:
    store = MemoryStore()
    taker = Taker(troubles=[IngestError()] * 9)
    await put(store, 1)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(2000)
        taker.troubles = [IngestError()]
        await put(store, 1)
        one.news()
        await asyncio.sleep(1.1)
    assert taker.taken == [1, 2]


@virtual
async def test_a_refusal_is_tried_rarely() -> None:
    store, taker = MemoryStore(), Taker(troubles=[IngestRefused("no such topic")] * 100)
    await put(store, 1)
    async with Running(delivery(taker, store)):
        await asyncio.sleep(LONGEST_WAIT_S * 3 + 1)
    assert taker.tries == 4


@virtual
async def test_a_dead_handler_holds_up_nobody() -> None:
    store, dead, alive = MemoryStore(), Taker("dead", slow_s=1e9), Taker("alive")
    await put(store, 10)
    async with Running(delivery(dead, store)), Running(delivery(alive, store)):
        await asyncio.sleep(1)
    assert (dead.taken, alive.taken) == ([], list(range(1, 11)))


@virtual
async def test_only_what_is_wanted_is_brought_and_the_rest_counts_as_taken() -> None:
    store, taker = MemoryStore(), Taker()
    for target, kind in (("a", EventKind.TARGET_LOST), ("a", EventKind.FILE_SYNCED), ("b", EventKind.TARGET_LOST)):
        await put(store, 1, kind, target)
    async with Running(delivery(taker, store, kinds=[EventKind.TARGET_LOST], targets=["a"])):
        await asyncio.sleep(0.1)
    assert taker.taken == [1]
    assert await store.outbox.after("taker", 10) == []


@virtual
async def test_what_was_not_acknowledged_comes_again_after_a_restart() -> None:
    store, taker = MemoryStore(), Taker(slow_s=1)
    await put(store, 2)
    async with Running(delivery(taker, store)):
        await asyncio.sleep(0.5)
    assert taker.taken == []
    async with Running(delivery(taker, store)):
        await asyncio.sleep(1.5)
    async with Running(delivery(taker, store)):
        await asyncio.sleep(1.5)
    assert taker.taken == [1, 2]


class SlowOutbox:
    """Takes a while to write down what was taken; `fails` raises first."""

    def __init__(self, store: MemoryStore, fails: Sequence[StoreError] = ()) -> None:
        self.store, self.fails = store, list(fails)

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        return await self.store.outbox.after(handler, limit)

    async def acknowledge(self, handler: str, upto: EventId) -> None:
        await asyncio.sleep(1)
        if self.fails:
            raise self.fails.pop(0)
        await self.store.outbox.acknowledge(handler, upto)


@virtual
async def test_what_was_taken_is_written_down_even_at_the_end() -> None:
    store, taker = MemoryStore(), Taker()
    await put(store, 1)
    async with Running(Delivery(taker, SlowOutbox(store), LoopClock())):
        await asyncio.sleep(0.5)
    assert taker.taken == [1]
    assert await store.outbox.after("taker", 10) == []


@virtual
async def test_a_store_in_trouble_is_waited_for_and_a_damaged_one_ends_it() -> None:
    store, taker = MemoryStore(), Taker()
    await put(store, 1)
    outbox = SlowOutbox(store, [StoreError("the disk is full"), StoreDamaged()])
    one = Delivery(taker, outbox, LoopClock(), chance=lambda: 1.0)
    with pytest.raises(StoreDamaged):
        await one.run()
    assert taker.taken == [1, 1]
    assert str(one.standing.error) == "the disk is full"
