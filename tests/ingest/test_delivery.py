"""From the outbox to handlers: at least once, in order, for ever; a dead handler holds up nobody. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress

import pytest

from forged.ingest.base import BATCH
from forged.ingest.bringing import parts
from forged.ingest.delivery import GATHER_S, LONGEST_WAIT_S, LOOK_S, TRIES, Delivery
from forged.model.errors import IngestError, IngestRefused, StoreDamaged, StoreError
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.handing import AsideCount, SetAside
from forged.model.manifest import ManifestName
from forged.store.memory import MemoryStore
from tests.support.virtual import LoopClock, virtual

NAME = ManifestName("studio")


@virtual
async def test_when_a_handler_that_is_away_is_tried_again_is_told_until_it_takes_something() -> None:
    outbox, taker = MemoryStore(), Taker(troubles=[IngestError("away")] * 3)
    await outbox.outbox.put([NewEvent(EventKind.FILE_SYNCED, "studio", 1, "a.png", "{}")])
    delivery = Delivery(taker, outbox.outbox, LoopClock(), chance=lambda: 0.5)
    running = asyncio.create_task(delivery.run())
    await asyncio.sleep(0.1)
    assert delivery.next_try_ns is not None and delivery.next_try_ns > LoopClock().now_ns()
    await asyncio.sleep(60)
    running.cancel()
    assert taker.taken and delivery.next_try_ns is None


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
async def test_what_comes_one_by_one_is_brought_together_once_a_second() -> None:
    store, taker = MemoryStore(), Taker()
    async with Running(delivery(taker, store)) as one:
        for _ in range(50):
            await put(store, 1)
            one.news()
            await asyncio.sleep(0.1)
        await asyncio.sleep(GATHER_S)
    assert taker.taken == list(range(1, 51))
    assert (len(taker.batches), len(taker.batches[0])) == (6, 1)


@virtual
async def test_a_person_does_not_wait_for_what_is_gathered() -> None:
    store, taker = MemoryStore(), Taker()
    await put(store, 1)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(0.1)
        await put(store, 1)
        one.hurry()
        await asyncio.sleep(0.001)
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

    async def settle(self, handler: str, *, upto: EventId | None = None, **more: object) -> None:
        await asyncio.sleep(1)
        if self.fails:
            raise self.fails.pop(0)
        await self.store.outbox.settle(handler, upto=upto, **more)  # type: ignore[arg-type]

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]:
        return await self.store.outbox.set_aside_keys(handler, keys)

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]:
        return await self.store.outbox.due(handler, now_ns, limit)

    async def next_due(self, handler: str) -> int | None:
        return await self.store.outbox.next_due(handler)


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


class Choosy(Taker):
    """Takes all but what has a body that it does not like, and says which it was; where it does not, it was one of them."""

    def __init__(self, *dislikes: str, exact: bool = True) -> None:
        super().__init__()
        self.dislikes, self.exact = set(dislikes), exact
        self.seen: list[str] = []

    async def deliver(self, events: Sequence[Event]) -> None:
        self.tries += 1
        bad = [event.id for event in events if event.body in self.dislikes]
        if bad:
            raise IngestError("it chokes", about=bad[:1] if self.exact else [event.id for event in events])
        self.seen += [event.body for event in events]


async def put_each(store: MemoryStore, *events: str) -> None:
    """Each `key:body`."""
    made = [NewEvent(EventKind.FILE_SYNCED, "studio", 0, *one.split(":")) for one in events]
    await store.manifest.record(NAME, [], made)


def numbered(count: int) -> list[str]:
    return [f"{n}.png:{n}" for n in range(count)]


@pytest.mark.parametrize("exact", [True, False])
@virtual
async def test_an_event_that_it_cannot_take_stops_no_other(exact: bool) -> None:
    store, taker = MemoryStore(), Choosy("17", "90", exact=exact)
    await put_each(store, *numbered(150))
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(0.5)
        assert sorted(set(taker.seen), key=int) == [str(n) for n in range(150) if n not in (17, 90)]
        assert await store.outbox.waiting("taker") == 0
        aside = await store.outbox.set_aside("taker", EventId(0), 10)
        assert [(one.event.body, one.tries, one.error) for one in aside] == [("17", 1, "it chokes"), ("90", 1, "it chokes")]
        assert one.standing.failures == 0
        assert taker.tries < 40


@virtual
async def test_after_ten_tries_it_waits_for_a_person() -> None:
    store, taker = MemoryStore(), Choosy("1")
    await put_each(store, *numbered(3))
    async with Running(delivery(taker, store)):
        await asyncio.sleep(500)
        assert await store.outbox.count_aside("taker") == AsideCount(1, 0)
        await asyncio.sleep(100)
        assert await store.outbox.count_aside("taker") == AsideCount(0, 1)
        (aside,) = await store.outbox.set_aside("taker", EventId(0), 10)
        tries = taker.tries
        await asyncio.sleep(7200)
        assert (aside.tries, taker.tries) == (TRIES, tries)


@virtual
async def test_what_concerns_one_file_stays_in_order_also_behind_one_that_is_set_aside() -> None:
    store, taker = MemoryStore(), Choosy("a1")
    await put_each(store, "a:a1", "b:b1", "a:a2")
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(0.5)
        await put_each(store, "a:a3", "b:b2")
        one.news()
        await asyncio.sleep(GATHER_S)
        assert taker.seen == ["b1", "b2"]
        await asyncio.sleep(1000)
        assert await store.outbox.count_aside("taker") == AsideCount(0, 3)
        taker.dislikes.clear()
        await store.outbox.retry("taker")
        one.hurry()
        await asyncio.sleep(0.1)
    assert taker.seen == ["b1", "b2", "a1", "a2", "a3"]
    assert await store.outbox.count_aside("taker") == AsideCount()


@virtual
async def test_one_that_is_mended_in_time_needs_no_person() -> None:
    store, taker = MemoryStore(), Choosy("1")
    await put_each(store, *numbered(3))
    async with Running(delivery(taker, store)):
        await asyncio.sleep(30)
        taker.dislikes.clear()
        await asyncio.sleep(70)
    assert taker.seen == ["0", "2", "1"]


@virtual
async def test_one_that_takes_nothing_at_all_is_away_and_nothing_waits_for_a_person() -> None:
    """A class of the owner's whose database is down for a night."""
    store, taker = MemoryStore(), Choosy(*(str(n) for n in range(200)))
    await put_each(store, *numbered(200))
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(8 * 3600)
        assert one.standing.error is not None
        assert (await store.outbox.count_aside("taker")).set_aside == 0
        taker.dislikes.clear()
        await asyncio.sleep(2 * LONGEST_WAIT_S)
    assert sorted(taker.seen, key=int) == [str(n) for n in range(200)]
    assert one.standing.error is None


@virtual
async def test_one_alone_that_is_not_taken_is_tried_until_others_are_and_then_waits_for_a_person() -> None:
    store, taker = MemoryStore(), Choosy("1")
    await put_each(store, "a:1")
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(7200)
        assert await store.outbox.count_aside("taker") == AsideCount(1, 0)
        await put_each(store, "b:2")
        one.news()
        await asyncio.sleep(LONGEST_WAIT_S + 1)
        assert await store.outbox.count_aside("taker") == AsideCount(0, 1)


@virtual
async def test_a_handler_that_is_away_sets_nothing_aside() -> None:
    store, taker = MemoryStore(), Taker(troubles=[IngestError("it is down")] * 1000)
    await put_each(store, *numbered(3))
    async with Running(delivery(taker, store)):
        await asyncio.sleep(8 * 3600)
    assert await store.outbox.count_aside("taker") == AsideCount()
    assert await store.outbox.waiting("taker") == 3


@virtual
async def test_what_is_set_aside_is_kept_over_a_restart_with_its_tries() -> None:
    store, taker = MemoryStore(), Choosy("1")
    await put_each(store, *numbered(3))
    async with Running(delivery(taker, store)):
        await asyncio.sleep(20)
    async with Running(delivery(taker, store)):
        await asyncio.sleep(20)
        (aside,) = await store.outbox.set_aside("taker", EventId(0), 10)
        assert aside.tries > 4
        taker.dislikes.clear()
        await asyncio.sleep(LONGEST_WAIT_S)
    assert taker.seen == ["0", "2", "1"]


@virtual
async def test_a_person_who_hurries_waits_for_nothing() -> None:
    store, taker = MemoryStore(), Taker(troubles=[IngestError("it is down")] * 12)
    await put(store, 1)
    async with Running(delivery(taker, store)) as one:
        await asyncio.sleep(3000)
        taker.troubles.clear()
        one.hurry()
        await asyncio.sleep(0.001)
        assert taker.taken == [1]


def test_parts_are_what_comes_before_the_halves_of_what_is_meant_and_what_comes_after() -> None:
    events = [Event(EventId(n), EventKind.FILE_SYNCED, "studio", 0, "k", "") for n in range(8)]
    assert [[event.id for event in part] for part in parts(events, {3})] == [[0, 1, 2], [3], [4, 5, 6, 7]]
    assert [[event.id for event in part] for part in parts(events, set(range(8)))] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [[event.id for event in part] for part in parts(events[:2], {0, 1})] == [[0], [1]]
    assert [[event.id for event in part] for part in parts(events, {2, 4})] == [[0, 1], [2, 3], [4], [5, 6, 7]]
