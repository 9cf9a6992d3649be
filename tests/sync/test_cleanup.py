"""Cleanup, attacked: not one removal without proof, and each refusal with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from forged.model.errors import DestinationMissing, MarkerMissing, NotSupported, SourceLost
from forged.model.events import EventKind
from forged.model.handing import Replay, SetAside
from forged.model.manifest import AtSource, Hold
from forged.model.paths import home_path, source_path
from forged.model.removal import KeptBecause
from forged.model.target import CleanupPolicy, MediaPolicy, Selection
from forged.sources.memory import MemorySource
from forged.sources.memory_faults import CutCleanup
from forged.sync.cleanup import CleanupResult, run_cleanup
from tests.support.world import TARGET, World

DAY = 86_400.0
POLICY = CleanupPolicy(age_s=DAY)


async def grown(*names: bytes, then_s: float = 2 * DAY) -> World:
    """A world with files at home, long ago."""
    world = World()
    for name in names or (b"a.png",):
        world.box.write(name, b"content of " + name)
    world.age()
    await world.round()
    world.age(then_s)
    return world


async def cleanup(world: World, policy: CleanupPolicy = POLICY, *, dry_run: bool = False) -> CleanupResult:
    doors = world.doors()
    async with doors.source:
        return await run_cleanup(doors, policy, dry_run=dry_run)


def reasons(result: CleanupResult) -> dict[bytes, KeptBecause]:
    return {bytes(kept.path): kept.why for kept in result.kept}


async def test_an_old_proven_file_goes_and_home_keeps_it() -> None:
    world = await grown()
    result = await cleanup(world)
    assert [row.path for row in result.removed] == [b"a.png"]
    assert result.freed_bytes == len(b"content of a.png")
    assert not world.box.files
    assert world.at_home(b"a.png") == b"content of a.png"
    (row,) = await world.store.manifest.current(world.target.manifest, [source_path(b"a.png")])
    assert row is not None
    assert row.at_source is AtSource.REMOVED


async def test_what_was_cleaned_is_not_brought_home_again_and_nothing_is_held() -> None:
    world = await grown(*(b"%d.png" % n for n in range(30)))
    await cleanup(world)
    assert (await world.round()).success
    assert world.facts.landed() == []
    assert await world.store.flags.hold(world.target.manifest) is None


async def test_a_cleanup_whose_answer_is_lost_is_remembered_and_holds_nothing() -> None:
    """Cut off, or killed, between the removal and its answer: what is gone then is gone by our hand, however much it is."""
    world = await grown(*(b"%d.png" % n for n in range(30)))
    world.faults.append(CutCleanup(removed=True))
    assert isinstance((await cleanup(world)).error, SourceLost)
    assert not world.box.files
    assert (await world.round()).success
    assert await world.store.flags.hold(world.target.manifest) is None
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert {row.at_source for row in rows} == {AtSource.REMOVED}


async def test_what_a_cut_cleanup_did_not_remove_is_known_to_be_there_and_goes_with_the_next() -> None:
    world = await grown(*(b"%d.png" % n for n in range(30)))
    world.faults.append(CutCleanup(removed=False))
    assert isinstance((await cleanup(world)).error, SourceLost)
    assert len(world.box.files) == 30
    assert (await world.round()).success
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert {row.at_source for row in rows} == {AtSource.PRESENT}
    assert len((await cleanup(world)).removed) == 30


async def test_a_dry_run_tells_and_removes_nothing() -> None:
    world = await grown()
    result = await cleanup(world, dry_run=True)
    assert [row.path for row in result.removed] == [b"a.png"]
    assert world.box.files


async def test_a_file_that_was_never_brought_home_is_never_touched() -> None:
    world = await grown()
    world.box.write(b"new.png", b"nobody has this")
    world.age(3 * DAY)
    await cleanup(world)
    assert source_path(b"new.png") in world.box.files


def _same_size_replaced(world: World) -> None:
    world.box.replace(b"a.png", b"CONTENT OF A.PNG", mtime_ns=world.box.files[source_path(b"a.png")].mtime_ns)


def _truncated_at_home(world: World) -> None:
    name = home_path(b"a.png")
    world.destination.files[name] = replace(world.destination.files[name], data=b"cut")


def _gone_at_home(world: World) -> None:
    del world.destination.files[home_path(b"a.png")]


def _touched(world: World) -> None:
    world.box.touch(b"a.png")


def _a_link_now(world: World) -> None:
    world.box.delete(b"a.png")
    world.box.link(b"a.png")


def _vanished(world: World) -> None:
    world.box.delete(b"a.png")


@pytest.mark.parametrize(
    ("attack", "why"),
    [
        (_same_size_replaced, KeptBecause.CHANGED),
        (_truncated_at_home, KeptBecause.HOME_DIFFERS),
        (_gone_at_home, KeptBecause.HOME_MISSING),
        (_touched, KeptBecause.CHANGED),
        (_a_link_now, KeptBecause.CHANGED),
        (_vanished, KeptBecause.VANISHED),
    ],
)
async def test_an_attack_keeps_the_file_and_names_the_reason(attack: Callable[[World], None], why: KeptBecause) -> None:
    world = await grown()
    attack(world)
    before = dict(world.box.files)
    result = await cleanup(world)
    assert result.removed == []
    assert reasons(result) == {b"a.png": why}
    assert world.box.files == before


async def test_rot_at_home_is_found_with_rehash() -> None:
    world = await grown()
    name = home_path(b"a.png")
    world.destination.files[name] = replace(world.destination.files[name], data=b"CONTENT of a.png")
    assert reasons(await cleanup(world, replace(POLICY, rehash=True))) == {b"a.png": KeptBecause.HOME_DIFFERS}
    assert world.box.files


async def test_a_chown_at_the_source_is_judged_by_the_hash() -> None:
    world = await grown()
    file = world.box.files[source_path(b"a.png")]
    file.ctime_ns = world.box.tick()
    assert len((await cleanup(world)).removed) == 1


@pytest.mark.parametrize("trouble", [DestinationMissing(), MarkerMissing()])
async def test_without_home_nothing_is_removed(trouble: DestinationMissing | MarkerMissing) -> None:
    world = await grown()
    world.destination.trouble = trouble
    result = await cleanup(world)
    assert result.error is trouble
    assert world.box.files


@pytest.mark.parametrize("hours", [-24, 24])
@pytest.mark.parametrize("side", ["source", "home"])
async def test_a_clock_off_by_a_day_removes_nothing_young(side: str, hours: int) -> None:
    world = await grown(then_s=DAY / 2)
    if side == "source":
        world.box.clock_ns += hours * 3_600 * 1_000_000_000
    else:
        world.clock.advance(hours * 3_600)
    result = await cleanup(world)
    assert result.removed == []
    assert reasons(result) == {b"a.png": KeptBecause.YOUNG}


async def test_a_held_target_keeps_everything() -> None:
    world = await grown()
    await world.store.flags.set_hold(world.target.manifest, Hold("emptied", "", 0))
    assert reasons(await cleanup(world)) == {b"a.png": KeptBecause.HELD}


async def required(*names: bytes, there: bool = True) -> World:
    """A world whose files came home when a required handler was there; nobody looks into them."""
    world = World(target=replace(TARGET, media=MediaPolicy(metadata=False, xmp=False)))
    world.required.append("catalog")
    if there:
        await world.store.ingests.enlist({"catalog": ()}, world.clock.now_ns())
    for name in names or (b"a.png",):
        world.box.write(name, b"content of " + name)
    world.age()
    await world.round()
    world.age(2 * DAY)
    return world


def why(result: CleanupResult) -> dict[bytes, str]:
    return {bytes(kept.path): kept.message for kept in result.kept if kept.why is KeptBecause.NOT_INGESTED}


async def test_what_a_required_ingest_has_not_taken_stays() -> None:
    world = await required(b"a.png", b"b.png")
    events = await world.store.outbox.after("catalog", 10)
    assert why(await cleanup(world)) == dict.fromkeys(
        (b"a.png", b"b.png"), "required ingest catalog has not taken it: it waits in the outbox"
    )
    await world.store.outbox.acknowledge("catalog", events[0].id)
    assert [row.path for row in (await cleanup(world)).removed] == [b"a.png"]
    await world.store.outbox.acknowledge("catalog", events[1].id)
    assert [row.path for row in (await cleanup(world)).removed] == [b"b.png"]


async def test_what_is_set_aside_for_a_required_ingest_stays_until_it_takes_it_or_a_person_drops_it() -> None:
    world = await required(b"a.png", b"b.png")
    events = await world.store.outbox.after("catalog", 10)
    aside = [SetAside(event, 10, "it raised", 0, None) for event in events]
    await world.store.outbox.settle("catalog", upto=events[-1].id, aside=aside)
    kept = why(await cleanup(world))
    assert {path for path, words in kept.items() if "is set aside" in words} == {b"a.png", b"b.png"}
    await world.store.outbox.settle("catalog", taken=[events[0].id])
    assert await world.store.outbox.drop("catalog") == 1
    assert len((await cleanup(world)).removed) == 2


async def test_what_was_home_before_a_required_ingest_stays_until_it_is_brought_to_it_again() -> None:
    world = await required(there=False)
    for event in await world.store.outbox.after("catalog", 10):  # not even what was put for others counts
        await world.store.outbox.acknowledge("catalog", event.id)
    assert "forgectl ingest replay catalog" in why(await cleanup(world))[b"a.png"]
    await world.store.ingests.enlist({"catalog": ()}, world.clock.now_ns())
    assert "forgectl ingest replay catalog" in why(await cleanup(world))[b"a.png"]
    await world.store.ingests.replayed(Replay("catalog", world.target.manifest, None))
    assert len((await cleanup(world)).removed) == 1


async def test_what_is_still_to_be_looked_into_was_not_taken() -> None:
    world = await required()
    events = await world.store.outbox.after("catalog", 10)
    await world.store.outbox.acknowledge("catalog", events[-1].id)
    await world.store.media.queue(world.target.manifest, [source_path(b"a.png")], 0)
    assert "looked into" in why(await cleanup(world))[b"a.png"]


async def test_what_a_required_ingest_has_not_taken_takes_no_place_of_what_may_go() -> None:
    world = await required(*(b"%d.png" % n for n in range(6)))
    events = await world.store.outbox.after("catalog", 10)
    aside = [SetAside(event, 1, "", 0, None) for event in events[:4]]
    await world.store.outbox.settle("catalog", upto=events[-1].id, aside=aside)
    result = await cleanup(world, replace(POLICY, max_files_per_batch=1))
    assert ([row.path for row in result.removed], result.kept_count) == (
        [b"4.png"],
        {KeptBecause.NOT_INGESTED: 4, KeptBecause.BATCH_FULL: 1},
    )


async def test_preserved_files_and_the_newest_of_a_series_stay() -> None:
    world = await grown(b"x.important", b"ComfyUI_00001_.png", b"ComfyUI_00002_.png")
    assert reasons(await cleanup(world)) == {
        b"x.important": KeptBecause.PRESERVED,
        b"ComfyUI_00002_.png": KeptBecause.NEWEST_OF_SERIES,
    }


async def test_a_run_removes_no_more_than_a_batch() -> None:
    world = await grown(*(b"%d.png" % n for n in range(10)))
    result = await cleanup(world, replace(POLICY, max_files_per_batch=4))
    assert len(result.removed) == 4
    assert result.kept_count[KeptBecause.BATCH_FULL] == 6
    await cleanup(world, replace(POLICY, max_files_per_batch=100))
    assert not world.box.files


async def test_a_source_without_guarded_removal_is_refused() -> None:
    world = await grown()
    doors = world.doors()
    unguarded = replace(doors, source=MemorySource(world.box, guarded_removal=False))
    async with unguarded.source:
        result = await run_cleanup(unguarded, POLICY, dry_run=False)
    assert isinstance(result.error, NotSupported)
    assert "python3" in result.error.hint
    assert world.box.files


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_source_that_removes_without_guard_does_so_for_an_owner_who_accepts_it(accepted: bool) -> None:
    world = await grown()
    doors = replace(world.doors(), source=MemorySource(world.box, guarded_removal=False, unguarded_removal=True))
    async with doors.source:
        result = await run_cleanup(doors, replace(POLICY, unguarded=accepted), dry_run=False)
    if accepted:
        assert (result.error, world.box.files) == (None, {})
    else:
        assert isinstance(result.error, NotSupported) and "unguarded = true" in result.error.hint
        assert world.box.files


async def test_folders_that_a_run_emptied_go_on_request_and_configured_ones_stay() -> None:
    world = await grown(b"txt2img/2026-01-01/a.png", b"txt2img/2026-01-02/b.png", b"txt2img/2026-01-02/c.important", b"grids/d.png")
    world.select(Selection(folders=("txt2img", "grids")))
    result = await cleanup(world, replace(POLICY, remove_empty_dirs=True))
    assert len(result.removed) == 3
    assert result.folders == [b"txt2img/2026-01-01"]


async def test_without_the_request_emptied_folders_stay() -> None:
    world = await grown(b"folder/a.png")
    assert (await cleanup(world)).folders == []


# --- what belongs together ------------------------------------------------------------------------------------------------


async def test_a_picture_stays_while_a_file_that_belongs_to_it_is_not_home() -> None:
    world = await grown(b"a.png", b"b.png", b"b.txt")
    world.box.write(b"a.txt", b"late")
    result = await cleanup(world)
    assert reasons(result) == {b"a.png": KeptBecause.COMPANION}
    assert sorted(world.box.files) == [b"a.png", b"a.txt"]
    world.age()
    await world.round()
    world.age(2 * DAY)
    assert sorted(row.path for row in (await cleanup(world)).removed) == [b"a.png", b"a.txt"]


async def test_one_that_changed_since_it_came_home_is_waited_for_too() -> None:
    world = await grown(b"x_00001.png", b"x_00001-audio.mp4", b"x_00002.png")
    world.box.write(b"x_00001-audio.mp4", b"the second pass")
    assert reasons(await cleanup(world))[b"x_00001.png"] is KeptBecause.COMPANION


async def test_nobody_waits_for_what_is_not_wanted() -> None:
    world = await grown(b"a.png", b"b.png")
    world.box.write(b"a.txt", b"never")
    world.box.write(b"b.mp4", b"too large")
    world.select(Selection(exclude=("*.txt",), max_size_bytes=5))
    assert sorted(row.path for row in (await cleanup(world)).removed) == [b"a.png", b"b.png"]


async def test_what_was_removed_is_told_to_whoever_takes_events_and_a_dry_run_is_not() -> None:
    world = await grown(b"a.png", b"b.png")
    world.taken = True
    await cleanup(world, dry_run=True)
    assert await world.events() == []
    await cleanup(world)
    told = {(kind, body.path) for kind, body in await world.events()}
    assert told == {(EventKind.FILE_REMOVED, "a.png"), (EventKind.FILE_REMOVED, "b.png")}
