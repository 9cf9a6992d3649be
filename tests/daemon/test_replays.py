"""What is home is brought to one handler again: each file once, to no other, in small steps. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from forged.control.errors import InvalidParams
from forged.daemon import answers, replays
from forged.daemon.couriers import Couriers
from forged.daemon.methods_ingest import IngestMethods, TakesNoFiles
from forged.daemon.replays import LOOK_S, Replays
from forged.ingest.base import BATCH, Handler
from forged.model.errors import IngestError
from forged.model.events import Event, EventId, EventKind
from forged.model.handing import SetAside
from forged.model.ingest import read
from forged.model.paths import source_path
from forged.model.settings import CommandIngest, IngestSettings
from tests.daemon.grounds import Grounds, config, grounds, target
from tests.support.virtual import virtual


class Keeping:
    """A handler that keeps what it takes, and may lose it."""

    batch = BATCH

    def __init__(self, name: str) -> None:
        self.name = name
        self.taken: list[Event] = []
        self.down = False
        self.has_lost = False
        self.chokes_on = ""

    async def deliver(self, events: Sequence[Event]) -> None:
        if self.down:
            raise IngestError("it is down")
        bad = [event.id for event in events if self.chokes_on and event.key.endswith(self.chokes_on)]
        if bad:
            raise IngestError("it chokes", about=bad)
        self.taken += events

    async def lost(self) -> bool:
        before, self.has_lost = self.has_lost, False
        return before

    async def aclose(self) -> None:
        """Nothing is held."""

    @property
    def files(self) -> list[tuple[str, bool]]:
        return [
            (body.path, body.again) for body in (read(event.body) for event in self.taken if event.kind is EventKind.FILE_SYNCED)
        ]


class World:
    """Handlers beside a fleet in memory."""

    def __init__(self, fleet: Grounds) -> None:
        self.fleet, self.store = fleet, fleet.store
        self.handlers: dict[str, Keeping] = {}
        self.couriers = Couriers(self._made, self.store.outbox, self.store.ingests, fleet.metrics, fleet.clock, fleet.heard)
        self.replays = self.another()
        self.methods = IngestMethods(self.couriers, self.replays, self.store.outbox)

    def another(self) -> Replays:
        return Replays(self.fleet.fleet, self.couriers, self.store, self.fleet.clock, self.fleet.heard)

    def _made(self, settings: IngestSettings) -> Handler:
        return self.handlers.setdefault(settings.name, Keeping(settings.name))

    async def apply(self, *ingests: IngestSettings, targets: Sequence[str] = ("box",)) -> None:
        await self.couriers.apply(config(ingests=ingests))
        await self.fleet.apply(*(target(name) for name in targets), ingests=ingests)
        await asyncio.sleep(0.1)

    async def bring_home(self, count: int, box: str = "box") -> None:
        for number in range(count):
            self.fleet.box(box).write(b"%03d.png" % number, b"A")
        await asyncio.sleep(3)
        await self.fleet.synced(box)
        self.couriers.news()
        await asyncio.sleep(0.1)
        await self.store.outbox.prune([one.name for one in self.couriers.all])


@asynccontextmanager
async def world(*ingests: IngestSettings, targets: Sequence[str] = ("box",)) -> AsyncIterator[World]:
    async with grounds() as fleet:
        made = World(fleet)
        await made.apply(*ingests, targets=targets)
        try:
            yield made
        finally:
            await made.couriers.stop()


@virtual
async def test_an_id_that_no_event_can_have_is_a_mistake_of_the_caller() -> None:
    async with world(ingest("new")) as made:
        for asked in (
            made.methods.retry("new", [2**63]),
            made.methods.drop("new", [0]),
            made.methods.list_events(cursor=f"0:{2**63}"),
            made.methods.list_events(cursor="0:-1"),
        ):
            with pytest.raises(InvalidParams):
                await asked


@asynccontextmanager
async def going(one: Replays) -> AsyncIterator[None]:
    task = asyncio.create_task(one.keep_going())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ingest(name: str, **changes: object) -> IngestSettings:
    return IngestSettings(name, CommandIngest(("true",)), **changes)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "STEP_ROWS", 10)
    monkeypatch.setattr(replays, "MOST_WAITING", 20)


@virtual
async def test_a_handler_that_comes_later_gets_what_is_home_and_no_other_hears_of_it() -> None:
    async with world(ingest("old")) as w:
        await w.bring_home(25)
        await w.apply(ingest("old"), ingest("new"))
        assert w.handlers["new"].files == []
        done = await w.methods.replay("new")
        assert (done["events"], done["success"]) == (25, True)
        assert (await w.methods.list_events("new"))["handlers"][0]["replaying"] is True
        async with going(w.replays):
            await asyncio.sleep(5)
        assert w.handlers["new"].files == [(f"{n:03}.png", True) for n in range(25)]
        assert w.handlers["old"].files == [(f"{n:03}.png", False) for n in range(25)]
        assert not any(one["replaying"] for one in (await w.methods.list_events())["handlers"])


@virtual
async def test_only_what_is_home_of_its_own_targets_and_was_not_deleted_there_is_brought() -> None:
    async with world(ingest("old"), targets=("box", "other")) as w:
        await w.bring_home(2)
        await w.bring_home(3, "other")
        await w.store.manifest.entomb(w.fleet.member("other").standing.target.manifest, [source_path(b"001.png")], 1)
        await w.apply(ingest("old"), ingest("new", targets=("other",)), targets=("box", "other"))
        await w.methods.replay("new")
        async with going(w.replays):
            await asyncio.sleep(5)
        assert [event.target for event in w.handlers["new"].taken] == ["other", "other"]
        assert [path for path, _ in w.handlers["new"].files] == ["000.png", "002.png"]


@virtual
async def test_a_replay_goes_on_after_a_restart_and_puts_each_file_once() -> None:
    async with world(ingest("old")) as w:
        await w.bring_home(35)
        await w.apply(ingest("new"))
        await w.methods.replay("new")
        await w.replays.step()
        await asyncio.sleep(0.1)
        assert len(w.handlers["new"].files) == 10
        async with going(w.another()):
            await asyncio.sleep(5)
        assert [path for path, _ in w.handlers["new"].files] == [f"{n:03}.png" for n in range(35)]
        assert await w.store.ingests.replays() == []


@virtual
async def test_a_handler_that_is_down_is_not_given_more_than_a_little() -> None:
    async with world(ingest("old")) as w:
        await w.bring_home(60)
        await w.apply(ingest("new"))
        w.handlers["new"].down = True
        await w.methods.replay("new")
        async with going(w.replays):
            await asyncio.sleep(100)
            assert await w.store.outbox.waiting("new") == 20
            w.handlers["new"].down = False
            await w.methods.retry("new")
            await asyncio.sleep(10)
        assert len(w.handlers["new"].files) == 60


@virtual
async def test_what_waits_for_it_anyway_is_not_put_twice() -> None:
    async with world(ingest("new")) as w:
        w.handlers["new"].down = True
        await w.bring_home(5)
        await w.methods.replay("new")
        async with going(w.replays):
            await asyncio.sleep(5)
            w.handlers["new"].down = False
            await w.methods.retry("new")
            await asyncio.sleep(5)
        assert w.handlers["new"].files == [(f"{n:03}.png", False) for n in range(5)]


@virtual
async def test_a_catalog_that_is_lost_is_filled_again_by_itself() -> None:
    async with world(ingest("catalog")) as w:
        await w.bring_home(12)
        async with going(w.replays):
            await asyncio.sleep(LOOK_S)
            assert len(w.handlers["catalog"].files) == 12
            w.handlers["catalog"].has_lost = True
            await asyncio.sleep(2 * LOOK_S)
        assert w.handlers["catalog"].files[12:] == [(f"{n:03}.png", True) for n in range(12)]


@virtual
async def test_a_handler_that_hears_of_no_files_is_told_so() -> None:
    async with world(ingest("alarms", events=(EventKind.TARGET_LOST,))) as w:
        with pytest.raises(TakesNoFiles):
            await w.methods.replay("alarms")


@virtual
async def test_what_is_set_aside_is_listed_page_by_page_retried_and_dropped() -> None:
    async with world(ingest("a"), ingest("b"), ingest("c")) as w:
        w.handlers["a"].chokes_on = w.handlers["c"].chokes_on = "1.png"
        await w.bring_home(25)
        page = await w.methods.list_events(limit=2)
        seen = list(page["events"])
        while page["next_cursor"]:
            page = await w.methods.list_events(limit=2, cursor=page["next_cursor"])
            seen += page["events"]
        assert [(one["handler"], one["key"]) for one in seen] == [
            (name, f"{target().home.dest}/{number:03}.png") for name in "ac" for number in (1, 11, 21)
        ]
        assert {(one["tries"], one["error"], one["set_aside"], one["kind"]) for one in seen} == {
            (1, "it chokes", False, "file_synced")
        }
        assert [(one["retried"], one["set_aside"]) for one in page["handlers"]] == [(0, 0), (3, 0), (0, 0), (3, 0)]
        assert (await w.methods.drop("c", [seen[3]["id"]]))["events"] == 1
        w.handlers["c"].chokes_on = w.handlers["a"].chokes_on = ""
        assert (await w.methods.retry("a", [seen[0]["id"]]))["message"] == "1 event is brought to a again"
        assert (await w.methods.retry("c"))["events"] == 2
        await asyncio.sleep(0.1)
        assert [one["id"] for one in (await w.methods.list_events())["events"]] == [seen[1]["id"], seen[2]["id"]]
        assert (len(w.handlers["a"].files), len(w.handlers["c"].files)) == (23, 24)
        assert (await w.methods.drop("b"))["message"] == "there is nothing of the kind"
        assert (await w.methods.retry("b"))["message"] == "nothing was set aside; b is tried at once"


@virtual
async def test_a_page_of_very_long_names_stays_below_the_bound_of_an_answer() -> None:
    async with world(ingest("a")) as w:
        long = [source_path(b"\xff" * 250 + b"/" + b"\x01" * 250 + b"/%d" % n) for n in range(400)]
        for path in long:
            w.fleet.box().write(path, b"A")
        w.handlers["a"].down = True
        await asyncio.sleep(3)
        await w.fleet.synced()
        events = await w.store.outbox.after("a", 1000)
        await w.store.outbox.settle("a", upto=events[-1].id, aside=[SetAside(one, 1, "x" * 10_000, 1, None) for one in events])
        page = await w.methods.list_events(limit=500)
        assert 0 < len(page["events"]) < 400 and page["next_cursor"]
        assert answers.json_bytes(page) < 1 << 20
        assert EventId(page["events"][-1]["id"]) == events[len(page["events"]) - 1].id
