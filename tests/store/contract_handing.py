"""What every store must do for handing over: events set aside, who takes what, and what is brought again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from forged.model.events import EventId, EventKind
from forged.model.handing import AsideCount, Handed, Replay, SetAside
from forged.model.manifest import AtSource
from forged.model.paths import SourcePath, source_path
from forged.store.base import Store
from tests.store.samples import FORGE, event, row

A, B, C = source_path(b"a.png"), source_path(b"b.png"), source_path(b"c.png")


class AsideContract:
    async def test_an_event_of_one_handler_is_in_no_other_stream_and_holds_nothing_back(self, store: Store) -> None:
        await store.manifest.record(FORGE, [], [event("1")])
        await store.ingests.replayed(Replay("catalog", FORGE, A), [event("again")])
        await store.manifest.record(FORGE, [], [event("2")])
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["1", "again", "2"]
        others = await store.outbox.after("webhook", 10)
        assert [e.body for e in others] == ["1", "2"]
        assert await store.outbox.waiting("webhook") == 2
        await store.outbox.acknowledge("webhook", others[0].id)
        await store.outbox.acknowledge("catalog", EventId(others[0].id + 1))
        assert await store.outbox.prune(["catalog", "webhook"]) == 2
        assert [e.body for e in await store.outbox.after("new", 10)] == ["2"]
        await store.ingests.replayed(Replay("gone", FORGE, A), [event("nobody wants it")])
        assert await store.outbox.prune(["catalog", "webhook"]) == 1

    async def test_what_is_set_aside_is_answered_exactly_and_its_place_is_taken_with_it(self, store: Store) -> None:
        odd = event('{"prompt": "\ud800 \x00 é"}', key="out/\udcff.png")
        await store.manifest.record(FORGE, [], [odd, event("2")])
        first, second = await store.outbox.after("catalog", 10)
        one = SetAside(first, 3, "no \udcff", 5, 7)
        await store.outbox.settle("catalog", upto=first.id, aside=[one])
        assert await store.outbox.after("catalog", 10) == [second]
        assert await store.outbox.set_aside("catalog", EventId(0), 10) == [one]
        assert await store.outbox.set_aside("catalog", first.id, 10) == []
        assert await store.outbox.set_aside("webhook", EventId(0), 10) == []
        assert len(await store.outbox.after("webhook", 10)) == 2
        assert await store.outbox.count_aside("catalog") == AsideCount(1, 0)
        assert await store.outbox.set_aside_keys("catalog", [first.key, second.key]) == {first.key}

    async def test_the_first_of_each_key_is_tried_again_when_it_is_due(self, store: Store) -> None:
        await self.aside(store, ("1", "a", 20), ("2", "b", 30), ("3", "a", 0), ("4", "c", None))
        assert await store.outbox.next_due("catalog") == 20
        assert await self.due(store, 19) == []
        assert await self.due(store, 20) == ["1"]
        assert await self.due(store, 99) == ["1", "2"]
        assert len(await store.outbox.due("catalog", 99, 1)) == 1
        await store.outbox.settle("catalog", taken=[EventId(1)])
        assert await self.due(store, 99) == ["2", "3"]
        assert await store.outbox.count_aside("catalog") == AsideCount(2, 1)

    async def test_what_follows_one_that_waits_for_a_person_waits_too(self, store: Store) -> None:
        await self.aside(store, ("1", "a", 20), ("2", "a", 0))
        (first, _) = await store.outbox.set_aside("catalog", EventId(0), 10)
        await store.outbox.settle("catalog", aside=[replace(first, tries=10, due_ns=None)])
        await self.aside(store, ("3", "a", 0), ("4", "b", 0))
        assert await store.outbox.count_aside("catalog") == AsideCount(1, 3)
        assert await self.due(store, 99) == ["4"]

    async def test_a_person_retries_one_with_its_key_or_all(self, store: Store) -> None:
        await self.aside(store, ("1", "a", None), ("2", "a", None), ("3", "b", None), ("4", "c", 50))
        assert await store.outbox.retry("catalog", [EventId(2)]) == 2
        assert await self.due(store, 0) == ["1"]
        assert [one.tries for one in await store.outbox.set_aside("catalog", EventId(0), 9)] == [0, 0, 1, 1]
        assert await store.outbox.retry("catalog") == 4
        assert await self.due(store, 0) == ["1", "3", "4"]
        assert await store.outbox.retry("webhook") == 0

    async def test_a_person_drops_one_or_all_that_wait_for_them(self, store: Store) -> None:
        await self.aside(store, ("1", "a", None), ("2", "a", None), ("3", "b", None), ("4", "c", 50))
        assert await store.outbox.drop("catalog", [EventId(1)]) == 1
        assert await self.due(store, 0) == ["2"]
        assert await store.outbox.drop("catalog") == 1
        assert [one.event.body for one in await store.outbox.set_aside("catalog", EventId(0), 9)] == ["2", "4"]

    async def test_what_was_set_aside_for_a_handler_that_is_gone_is_forgotten(self, store: Store) -> None:
        await self.aside(store, ("1", "a", None))
        await store.outbox.prune(["catalog"])
        assert await store.outbox.count_aside("catalog") == AsideCount(0, 1)
        await store.outbox.prune(["webhook"])
        assert await store.outbox.count_aside("catalog") == AsideCount()

    async def aside(self, store: Store, *what: tuple[str, str, int | None]) -> None:
        """Body, key, when it is due."""
        await store.manifest.record(FORGE, [], [event(body, key) for body, key, _ in what])
        events = await store.outbox.after("catalog", 10)
        aside = [SetAside(e, 1, "no", 5, due_ns) for e, (_, _, due_ns) in zip(events, what, strict=True)]
        await store.outbox.settle("catalog", upto=events[-1].id, aside=aside)

    async def due(self, store: Store, now_ns: int) -> list[str]:
        return [one.event.body for one in await store.outbox.due("catalog", now_ns, 10)]


class IngestsContract:
    async def test_a_mark_and_its_events_are_one(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")])
        await store.manifest.mark(FORGE, [A], AtSource.REMOVED, [event("removed")])
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["removed"]
        (marked,) = await store.manifest.current(FORGE, [A])
        assert marked is not None and marked.at_source is AtSource.REMOVED

    async def handed(self, store: Store, *handlers: str, of: Sequence[str] = ("forge",)) -> Handed:
        return await store.ingests.handed(FORGE, {A: "home a", B: "home b"}, handlers or ["catalog"], of)

    async def test_a_handler_takes_what_lands_from_its_beginning_on(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", landed_at_ns=50)])
        assert (await self.handed(store)).since_ns == {}
        await store.ingests.enlist({"catalog": ()}, 99)
        assert (await self.handed(store)).since_ns == {"catalog": 99}
        await store.ingests.enlist({"catalog": (), "webhook": ()}, 200)
        assert (await self.handed(store, "catalog", "webhook")).since_ns == {"catalog": 99, "webhook": 200}

    async def test_what_is_home_was_not_taken_whatever_the_clock_says(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", landed_at_ns=50)])
        await store.ingests.enlist({"catalog": ()}, 7)
        assert (await self.handed(store)).since_ns == {"catalog": 51}

    async def test_a_handler_of_some_targets_takes_those_of_others_from_when_they_are_named(self, store: Store) -> None:
        await store.ingests.enlist({"catalog": ["comfy"]}, 10)
        assert (await self.handed(store)).since_ns == {}
        assert (await self.handed(store, of=["box", "comfy"])).since_ns == {"catalog": 10}
        await store.ingests.enlist({"catalog": ()}, 20)
        assert (await self.handed(store)).since_ns == {"catalog": 20}
        assert (await self.handed(store, of=["comfy"])).since_ns == {"catalog": 10}
        await store.ingests.enlist({"catalog": ["forge"]}, 30)
        assert (await self.handed(store)).since_ns == {"catalog": 20}
        assert (await self.handed(store, of=["comfy"])).since_ns == {}

    async def test_one_that_was_away_begins_anew(self, store: Store) -> None:
        await store.ingests.enlist({"catalog": ()}, 10)
        await store.ingests.replayed(Replay("catalog", FORGE, A))
        await store.ingests.enlist({}, 20)
        assert await store.ingests.replays() == []
        await store.ingests.enlist({"catalog": ()}, 30)
        assert await self.handed(store) == Handed({"catalog": 30})

    async def test_what_waits_or_is_set_aside_or_to_be_examined_is_told(self, store: Store) -> None:
        await store.ingests.enlist({"catalog": (), "webhook": ()}, 1)
        await store.manifest.record(FORGE, [row(b"a.png")], [event("1", key="home a"), event("2", key="other")])
        await store.manifest.record(FORGE, [row(b"b.png"), row(b"c.png")], to_examine={B, C})
        handed = await self.handed(store, "catalog", "webhook")
        assert handed.waiting == {("catalog", "home a"), ("webhook", "home a")}
        assert (handed.aside, handed.to_examine) == (frozenset(), {B})
        await store.manifest.record(FORGE, [row(b"b.png", b"newer")])
        assert (await self.handed(store)).to_examine == frozenset()  # an older version waits, but not the one that is meant
        first = (await store.outbox.after("catalog", 1))[0]
        await store.outbox.settle("catalog", upto=first.id, aside=[SetAside(first, 1, "no", 1, None)])
        handed = await self.handed(store, "catalog", "webhook")
        assert (handed.waiting, handed.aside) == ({("webhook", "home a")}, {("catalog", "home a")})
        await store.outbox.settle("catalog", taken=[first.id])
        assert (await self.handed(store)).aside == frozenset()

    async def test_that_a_file_was_removed_is_nothing_to_wait_for(self, store: Store) -> None:
        await store.outbox.put([replace(event(key="home a"), kind=EventKind.FILE_REMOVED)])
        assert (await self.handed(store)).waiting == frozenset()

    async def test_a_replay_is_kept_until_its_end_and_only_its_handler_waits(self, store: Store) -> None:
        begun = Replay("catalog", FORGE, SourcePath(b""))
        await store.ingests.replayed(begun)
        assert await store.ingests.replays() == [begun]
        await store.ingests.replayed(replace(begun, after=A), [event(key="home a")])
        assert await store.ingests.replays() == [replace(begun, after=A)]
        handed = await self.handed(store, "catalog", "webhook")
        assert (handed.replayed, handed.waiting) == ({"catalog": A}, {("catalog", "home a")})
        await store.ingests.replayed(replace(begun, after=None))
        assert await store.ingests.replays() == []
        assert (await self.handed(store)).replayed == {"catalog": None}
