"""Who gets events, what is kept for whom, and what shows of a handler that takes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from forged.daemon.couriers import BEGIN_ANEW_S, PRUNE_S, Couriers
from forged.ingest.base import BATCH, Handler
from forged.ingest.delivery import LONGEST_WAIT_S
from forged.metrics.metrics import Metrics
from forged.model.errors import IngestError, IngestRefused, StoreDamaged, StoreError
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.handing import AsideCount
from forged.model.manifest import ManifestName
from forged.model.settings import CommandIngest, IngestSettings, Secret, WebhookIngest
from forged.model.settings import Handler as Kind
from forged.store.memory import MemoryStore
from tests.daemon.grounds import Heard, config
from tests.support.virtual import LoopClock, virtual

HOOK = WebhookIngest(Secret("https://example.org/hush"))


class Taker:
    """A handler that keeps what it takes, unless it is down."""

    batch = BATCH

    def __init__(self, name: str) -> None:
        self.name = name
        self.taken: list[Event] = []
        self.closed = False
        self.down = False
        self.refuses = False
        self.poison = "poison"
        self.slow_s = 0.0

    async def deliver(self, events: Sequence[Event]) -> None:
        await asyncio.sleep(self.slow_s)
        if self.down:
            raise (IngestRefused if self.refuses else IngestError)("https://example.org: answers 500")
        bad = [event.id for event in events if json.loads(event.body)["n"] == self.poison]
        if bad:
            raise IngestError("https://example.org: answers 400", about=bad)
        self.taken += events

    async def aclose(self) -> None:
        await asyncio.sleep(PRUNE_S * 3)  # a connection that does not want to end
        self.closed = True

    @property
    def bodies(self) -> list[str]:
        return [json.loads(event.body)["n"] for event in self.taken]


class World:
    """Couriers over a store in memory. `takers`: every handler that was ever made, oldest first."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.signs: list[float] = []
        self.store = store or MemoryStore()
        self.clock, self.heard = LoopClock(), Heard()
        self.metrics = Metrics(self.clock, version="0")
        self.takers: list[Taker] = []
        self.couriers = Couriers(self._made, self.store.outbox, self.store.ingests, self.metrics, self.clock, self.heard)

    def _made(self, settings: IngestSettings) -> Handler | None:
        if not isinstance(settings.handler, WebhookIngest):
            return None
        self.takers.append(Taker(settings.name))
        return self.takers[-1]

    async def apply(self, *ingests: IngestSettings) -> None:
        await self.couriers.apply(config(ingests=ingests))

    async def happen(self, n: str, target: str = "studio", discovery: str | None = None) -> None:
        """An alarm rings."""
        body = json.dumps({"n": n, "discovery": discovery})
        if self.couriers.anybody():
            await self.store.outbox.put([NewEvent(EventKind.TARGET_LOST, target, 0, target, body)])
            self.couriers.news()

    async def in_outbox(self) -> int:
        return len(await self.store.outbox.after("somebody else", 1000))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


def ingest(name: str = "notify", handler: Kind = HOOK, **changes: object) -> IngestSettings:
    return replace(IngestSettings(name, handler), **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def couriers(*ingests: IngestSettings, store: MemoryStore | None = None) -> AsyncIterator[World]:
    world = World(store)
    await world.apply(*ingests)
    pruning = asyncio.ensure_future(world.couriers.keep_pruning(alive=lambda: world.signs.append(LoopClock().monotonic_s())))
    try:
        yield world
    finally:
        pruning.cancel()
        await world.couriers.stop()
        assert all(taker.closed for taker in world.takers)


@virtual
async def test_an_event_reaches_every_handler_and_is_pruned_when_all_have_it() -> None:
    async with couriers(ingest("a"), ingest("b")) as world:
        await world.happen("1")
        await asyncio.sleep(0.1)
        assert [taker.bodies for taker in world.takers] == [["1"], ["1"]]
        assert await world.in_outbox() == 1
        await asyncio.sleep(PRUNE_S)
        assert await world.in_outbox() == 0
        assert len(world.signs) == 2, "who prunes gives a sign of life each time"


@virtual
async def test_where_nobody_takes_events_nothing_piles_up() -> None:
    async with couriers(ingest("later", CommandIngest(("program",)))) as world:
        assert not world.couriers.anybody()
        assert world.couriers.all == []
        await world.store.outbox.put([NewEvent(EventKind.FILE_SYNCED, "studio", 0, "k", "{}")] * 50)
        await asyncio.sleep(PRUNE_S)
        assert await world.in_outbox() == 0


@virtual
async def test_a_handler_that_is_taken_out_holds_nothing_back_any_more_and_leaves_no_series() -> None:
    async with couriers(ingest("dead"), ingest("alive")) as world:
        world.takers[0].down = True
        for n in "123":
            await world.happen(n)
        await asyncio.sleep(2 * PRUNE_S)
        assert await world.in_outbox() == 3
        assert world.value("forged_ingest_backlog_events", handler="dead") == 3
        await world.apply(ingest("alive"))
        assert world.takers[0].closed
        await asyncio.sleep(2 * PRUNE_S)
        assert await world.in_outbox() == 0
        assert world.value("forged_ingest_backlog_events", handler="dead") is None
        assert world.value("forged_ingest_events_total", handler="dead", result="failed") is None
        assert world.value("forged_ingest_events_total", handler="alive", result="taken") == 3


@virtual
async def test_a_handler_that_is_added_gets_what_happens_from_then_on() -> None:
    async with couriers(ingest("old")) as world:
        await world.happen("1")
        await asyncio.sleep(2 * PRUNE_S)
        await world.apply(ingest("new"), ingest("old"))
        assert [one.name for one in world.couriers.all] == ["new", "old"]
        await world.happen("2")
        await asyncio.sleep(1)
        assert [(taker.name, taker.bodies) for taker in world.takers] == [("old", ["1", "2"]), ("new", ["2"])]


@virtual
async def test_a_handler_whose_settings_change_misses_nothing_however_long_the_old_one_takes_to_end() -> None:
    async with couriers(ingest()) as world:
        world.takers[0].down = True
        await world.happen("1")
        await asyncio.sleep(5)
        changing = asyncio.ensure_future(world.apply(ingest(handler=replace(HOOK, timeout_s=3.0))))
        await asyncio.sleep(PRUNE_S * 2)
        assert not changing.done(), "the old one is still ending"
        assert world.couriers.anybody()
        await world.happen("2")
        await changing
        await asyncio.sleep(1)
        assert world.takers[1].bodies == ["1", "2"]


@virtual
async def test_only_events_of_the_named_targets_and_discoveries_are_brought() -> None:
    async with couriers(ingest(targets=("studio", "cloud"))) as world:
        await world.happen("1", "studio")
        await world.happen("2", "cloud-7", discovery="cloud")
        await world.happen("3", "other-7", discovery="other")
        await asyncio.sleep(1)
        assert world.takers[0].bodies == ["1", "2"]
        assert world.couriers.all[0].delivery.standing.failures == 0


@virtual
async def test_a_handler_that_takes_nothing_is_said_once_and_shown_until_it_does() -> None:
    async with couriers(ingest()) as world:
        assert world.value("forged_ingest_events_total", handler="notify", result="failed") == 0
        world.takers[0].down = True
        await world.happen("1")
        await world.happen("2")
        await asyncio.sleep(3600)
        (one,) = world.couriers.all
        (condition,) = one.conditions.problems
        assert (condition.kind, condition.message) == ("ingest_error", "https://example.org: answers 500")
        assert condition.hint
        assert one.waiting == 2
        assert (world.value("forged_ingest_events_total", handler="notify", result="failed") or 0) > 10
        assert world.heard.levels == ["warning"]
        world.takers[0].down = False
        await asyncio.sleep(LONGEST_WAIT_S + PRUNE_S)
        assert one.conditions.problems == ()
        assert world.heard.levels == ["warning", "info"]
        assert one.waiting == 0
        assert world.value("forged_ingest_backlog_events", handler="notify") == 0
        assert world.value("forged_ingest_events_total", handler="notify", result="taken") == 2


@virtual
async def test_who_is_tried_again_rarely_can_be_tried_at_once_and_it_is_said_how() -> None:
    """A program without its x bit was mended within seconds, and tried again after five minutes."""
    async with couriers(ingest()) as world:
        world.takers[0].down = world.takers[0].refuses = True
        await world.happen("1")
        await asyncio.sleep(5)
        (one,) = world.couriers.all
        (condition,) = one.conditions.problems
        assert condition.hint.endswith("; then, or it takes minutes: forgectl ingest retry notify")
        world.takers[0].down = False
        one.delivery.hurry()
        await asyncio.sleep(1)
        assert one.conditions.problems == () and world.takers[0].bodies == ["1"]


@virtual
async def test_a_slow_handler_holds_up_no_other() -> None:
    async with couriers(ingest("slow"), ingest("quick")) as world:
        world.takers[0].slow_s = 1e6
        await world.happen("1")
        await asyncio.sleep(0.1)
        assert world.takers[1].bodies == ["1"]


@virtual
async def test_what_is_set_aside_is_said_once_shown_and_counted() -> None:
    async with couriers(ingest()) as world:
        taker = world.takers[0]
        for n in ("1", "poison", "2"):
            await world.happen(n, target=n)
        await asyncio.sleep(2 * PRUNE_S)
        (one,) = world.couriers.all
        assert taker.bodies == ["1", "2"]
        assert [condition.kind for condition in one.conditions.problems] == ["events_retried"]
        assert (one.waiting, one.aside) == (1, AsideCount(1, 0))
        assert world.value("forged_ingest_set_aside_events", handler="notify") == 0
        await asyncio.sleep(3601)
        (condition,) = one.conditions.problems
        assert (condition.kind, condition.message) == (
            "events_set_aside",
            "1 of its events are set aside, since it did not take them: https://example.org: answers 400",
        )
        assert "forgectl ingest" in condition.hint
        assert world.heard.levels == ["warning", "warning"]
        assert world.value("forged_ingest_set_aside_events", handler="notify") == 1
        assert (one.waiting, one.delivery.standing.failures) == (0, 0)
        taker.poison = ""
        await world.store.outbox.retry("notify")
        one.delivery.hurry()
        await asyncio.sleep(2 * PRUNE_S)
        assert taker.bodies == ["1", "2", "poison"]
        assert one.conditions.problems == ()
        assert world.heard.levels == ["warning", "warning", "info"]
        assert world.value("forged_ingest_set_aside_events", handler="notify") == 0


@virtual
async def test_who_takes_files_is_known_to_the_store_and_who_does_not_is_not() -> None:
    alarms = ingest("alarms", events=(EventKind.TARGET_LOST,))
    async with couriers(ingest("a"), ingest("b", targets=("studio",)), alarms) as world:
        began_ns = world.clock.now_ns()

        async def known(of: str) -> set[str]:
            return set((await world.store.ingests.handed(ManifestName("m"), {}, ["a", "b", "alarms"], [of])).since_ns)

        assert (await known("studio"), await known("other")) == ({"a", "b"}, {"a"})
        await asyncio.sleep(2 * PRUNE_S)
        await world.apply(ingest("a"))
        assert (await known("studio"), await known("other")) == ({"a"}, {"a"})
        handed = await world.store.ingests.handed(ManifestName("m"), {}, ["a"], ["studio"])
        assert handed.since_ns == {"a": began_ns}


class BrokenOutbox:
    """Of a store whose outbox is in trouble; the rest is as it was."""

    def __init__(self, store: MemoryStore) -> None:
        self.inner = store.outbox
        self.error: StoreError | None = None

    def __getattr__(self, name: str) -> object:
        if self.error is not None:
            raise self.error
        return getattr(self.inner, name)


@virtual
async def test_a_state_database_in_trouble_ends_no_delivery_for_good() -> None:
    for error in (StoreError("the disk is full"), StoreDamaged()):
        async with couriers(ingest()) as world:
            broken = BrokenOutbox(world.store)
            world.couriers._outbox = broken  # type: ignore[assignment]
            await world.apply(ingest(handler=replace(HOOK, timeout_s=3.0)))
            broken.error = error
            world.couriers.news()
            await asyncio.sleep(10)
            assert [one.kind for one in world.couriers.all[0].conditions.problems] == [error.kind]
            broken.error = None
            await world.happen("1")
            await asyncio.sleep(BEGIN_ANEW_S + 1)
            assert world.takers[1].bodies == ["1"]
            assert world.couriers.all[0].conditions.problems == ()


class Faulty(Taker):
    """It stumbles over a mistake of its own, once."""

    stumbled = False

    async def deliver(self, events: Sequence[Event]) -> None:
        if not self.stumbled:
            self.stumbled = True
            raise KeyError("a bug")
        await super().deliver(events)


@virtual
async def test_a_fault_of_ours_is_said_and_the_delivery_begins_anew() -> None:
    world = World()
    faulty = Faulty("notify")
    world.couriers._make = lambda _: faulty
    await world.apply(ingest())
    await world.happen("1")
    await asyncio.sleep(BEGIN_ANEW_S + 1)
    assert faulty.bodies == ["1"]
    assert world.heard.levels == ["error"]
    await world.couriers.stop()


@virtual
async def test_what_nobody_took_waits_over_a_restart() -> None:
    async with couriers(ingest()) as world:
        world.takers[0].down = True
        await world.happen("1")
        await asyncio.sleep(5)
    async with couriers(ingest(), store=world.store) as again:
        await asyncio.sleep(1)
        assert again.takers[0].bodies == ["1"]
        assert again.takers[0].taken[0].id == EventId(1)
