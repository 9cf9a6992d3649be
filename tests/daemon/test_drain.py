"""The word "safe": only when a last sync went through, home itself was looked at, and no required ingest waits (promise 14)."""

from __future__ import annotations

import asyncio

from forged.daemon import answers
from forged.daemon.methods_target import TAKING_S, TargetMethods
from forged.model import rpc
from forged.model.handing import Replay, SetAside
from forged.model.paths import home_path, source_path
from forged.model.settings import CommandIngest, IngestSettings
from forged.model.target import CleanupPolicy, Selection
from tests.daemon.grounds import Grounds, grounds, target
from tests.support.virtual import virtual


async def drained(world: Grounds, timeout: str = "1h") -> rpc.Drained:
    return await TargetMethods(world.fleet, world.discoveries, world).drain("box", timeout)  # type: ignore[arg-type]


@virtual
async def test_what_was_made_a_second_ago_is_brought_and_then_it_is_safe() -> None:
    async with grounds(target()) as world:
        world.box().write(b"a.png", b"A")
        answer = await drained(world)
        assert (answer["success"], answer["safe_to_destroy"], answer["counts"]) == (True, True, {"home": 1})
        assert world.at_home() == {b"a.png": b"A"}


@virtual
async def test_a_sync_that_did_not_go_through_in_time_is_no_yes_even_if_all_is_home_by_then() -> None:
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        answer = await drained(world, timeout="0s")
        assert (answer["success"], answer["safe_to_destroy"], answer["missing"]) == (False, False, [])


@virtual
async def test_a_file_that_never_stops_growing_is_waited_for_until_time_runs_out() -> None:
    async with grounds(target()) as world:

        async def grow() -> None:
            for size in range(1, 1_000):
                world.box().write(b"film.bin", bytes(size))
                await asyncio.sleep(1)

        growing = asyncio.create_task(grow())
        answer = await drained(world, timeout="1m")
        growing.cancel()
        assert answer["safe_to_destroy"] is False
        assert [(one["path"], one["why"]) for one in answer["missing"]] == [("film.bin", "waiting")]


@virtual
async def test_while_a_required_ingest_has_not_taken_its_files_no_box_is_safe() -> None:
    required = IngestSettings("catalog", CommandIngest(("true",)), required=True)
    async with grounds() as world:
        await world.apply(target(), ingests=(required,))
        await world.put(b"a.png", b"A")
        began_s = world.clock.monotonic_s()
        answer = await drained(world)
        assert (answer["safe_to_destroy"], answer["counts"]) == (False, {"home": 1, "not_ingested": 1})
        assert [(one["path"], one["why"]) for one in answer["missing"]] == [("a.png", "not_ingested")]
        assert TAKING_S < world.clock.monotonic_s() - began_s < 2 * TAKING_S, "it was waited for, and not for ever"
        (event,) = await world.store.outbox.after("catalog", 10)
        await world.store.outbox.acknowledge("catalog", event.id)
        assert (await drained(world))["safe_to_destroy"] is True


@virtual
async def test_what_was_set_aside_for_a_required_ingest_or_was_home_before_it_makes_no_box_safe() -> None:
    required = IngestSettings("catalog", CommandIngest(("true",)), required=True)
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        await world.apply(target(), ingests=(required,))
        await world.put(b"b.png", b"B")
        await world.synced()
        (event,) = await world.store.outbox.after("catalog", 10)
        aside = SetAside(event, 10, "it raised", world.clock.now_ns(), None)
        await world.store.outbox.settle("catalog", upto=event.id, aside=[aside])
        answer = await drained(world)
        assert (answer["safe_to_destroy"], answer["counts"]) == (False, {"home": 2, "not_ingested": 2})
        await world.store.outbox.settle("catalog", taken=[event.id])
        assert (await drained(world))["counts"] == {"home": 2, "not_ingested": 1}
        await world.store.ingests.replayed(Replay("catalog", target().manifest, None))
        assert (await drained(world))["safe_to_destroy"] is True


@virtual
async def test_a_handler_that_takes_what_came_home_a_moment_ago_is_waited_for() -> None:
    required = IngestSettings("catalog", CommandIngest(("true",)), required=True)
    async with grounds() as world:
        await world.apply(target(), ingests=(required,))
        for n in range(5):
            await world.put(b"%d.png" % n, b"A")

        async def take_one_by_one() -> None:
            while True:
                await asyncio.sleep(TAKING_S / 2)
                for event in await world.store.outbox.after("catalog", 1):
                    await world.store.outbox.acknowledge("catalog", event.id)

        taking = asyncio.create_task(take_one_by_one())
        assert (await drained(world))["safe_to_destroy"] is True
        taking.cancel()


@virtual
async def test_an_ingest_that_is_not_required_is_not_waited_for() -> None:
    async with grounds() as world:
        await world.apply(target(), ingests=(IngestSettings("catalog", CommandIngest(("true",))),))
        await world.put(b"a.png", b"A")
        assert (await drained(world))["safe_to_destroy"] is True


@virtual
async def test_home_is_looked_at_after_the_last_sync() -> None:
    async with grounds(target()) as world:
        for n in range(20):
            await world.put(b"%d.png" % n, b"A")
        await world.synced()
        for n in range(15):
            del world.home().files[home_path(b"%d.png" % n)]
        answer = await drained(world)
        assert (answer["safe_to_destroy"], answer["counts"]) == (False, {"home": 5, "home_missing": 15})


@virtual
async def test_what_has_no_room_in_an_answer_is_counted() -> None:
    """Two lists end with 1,000 names. Without a word about the rest, a reader takes them for the whole."""
    policy = CleanupPolicy()
    async with grounds(target(selection=Selection(exclude=("cache/",)), cleanup=policy)) as world:
        for number in range(1_100):
            world.box().write(b"cache/%04d" % number, b"C")
            world.box().write(b"%04d.png" % number, b"P%d" % number)
        for number in range(1_050):
            world.box().unreadable.add(source_path(b"%04d.png" % number))
        await asyncio.sleep(3)
        answer = await drained(world)
        assert (len(answer["missing"]), answer["missing_unnamed"]) == (1_000, 50)
        assert (len(answer["aside"]), answer["aside_unnamed"]) == (1_000, 100)
        world.box().unreadable.clear()
        await world.synced()
        cleaned = answers.cleanup(await world.member().work.clean_up(dry_run=True, urgent=True))
        assert (len(cleaned["kept"]), cleaned["kept_unnamed"], cleaned["removed_unnamed"]) == (1_000, 100, 0)
