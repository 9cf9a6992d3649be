"""The memory was lost with the state database: what is home is adopted, and nothing is removed before a person has looked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forged.model.errors import MarkerMissing
from forged.model.manifest import AtSource, Hold
from forged.model.paths import home_path, source_path
from forged.model.removal import KeptBecause
from forged.model.target import CleanupPolicy
from forged.model.transfer import Wholeness
from forged.rules.safety import Doubt
from forged.store.memory import MemoryStore
from forged.sync.cleanup import CleanupResult, run_cleanup
from forged.sync.homecheck import check_home
from forged.sync.tally import Tally
from tests.support.world import World, brought_home

DAY = 86_400.0


async def grown(*names: bytes) -> World:
    world = await brought_home(*names)
    world.age(2 * DAY)
    return world


async def lose(world: World) -> None:
    """As daemon.app begins anew."""
    world.store = MemoryStore()
    await world.store.flags.set_hold(world.target.manifest, Hold(Doubt.STATE_REBUILT.value, "", world.clock.now_ns()))


async def cleanup(world: World) -> CleanupResult:
    doors = world.doors()
    async with doors.source:
        return await run_cleanup(doors, CleanupPolicy(age_s=DAY), dry_run=False)


async def moved(world: World) -> Tally:
    return (await world.round()).tally


async def test_what_is_home_is_adopted_and_no_byte_moves() -> None:
    world = await grown(b"a.png", b"b/c.png", b"log.html")
    before = world.home()
    await lose(world)
    tally = await moved(world)
    assert (tally.adopted, tally.transferred_bytes, tally.wanted_bytes) == (3, 0, 0)
    assert world.home() == before


async def test_a_version_that_lies_beside_is_adopted_where_it_lies() -> None:
    world = await grown(b"a.png")
    for content in (b"another", b"and one more"):
        world.box.write(b"a.png", content)
        world.age()
        await world.round()
    before = world.home()
    assert len(before) == 3
    await lose(world)
    tally = await moved(world)
    assert (tally.adopted, tally.wanted_bytes) == (1, 0)
    assert world.home() == before
    (row,) = await world.store.manifest.current(world.target.manifest, [source_path(b"a.png")])
    assert row is not None and before[row.home] == b"and one more"


async def test_what_the_owner_changed_at_home_stays_and_the_original_comes_beside_it() -> None:
    world = await grown(b"a.png")
    world.destination.files[home_path(b"a.png")] = replace(world.destination.files[home_path(b"a.png")], data=b"painted over")
    await lose(world)
    await world.round()
    assert sorted(world.home().values()) == [b"content of a.png", b"painted over"]
    assert world.at_home(b"a.png") == b"painted over"


async def test_nothing_is_removed_before_a_person_has_looked_and_then_the_age_counts_from_the_adoption() -> None:
    world = await grown(b"a.png")
    await lose(world)
    await world.round()
    world.age(2 * DAY)
    assert {kept.why for kept in (await cleanup(world)).kept} == {KeptBecause.HELD}

    await lose(world)
    await world.round()
    await world.store.flags.set_hold(world.target.manifest, None)
    assert {kept.why for kept in (await cleanup(world)).kept} == {KeptBecause.YOUNG}
    world.age(2 * DAY)
    assert len((await cleanup(world)).removed) == 1


async def test_what_came_home_unfinished_is_still_never_removed() -> None:
    """Its mark is lost with the memory, and was lost as well when forged died between landing and remembering."""
    world = World()
    world.destination.wholeness = Wholeness.BROKEN
    world.box.write(b"half.png", b"half a picture")
    world.age(2 * world.target.settle.settle_max_s)
    await world.round()
    assert world.home()
    world.store = MemoryStore()
    assert (await moved(world)).adopted == 1
    world.age(2 * DAY)
    assert {kept.why for kept in (await cleanup(world)).kept} == {KeptBecause.INCOMPLETE}
    assert world.box.files


async def test_what_vanished_meanwhile_is_no_news() -> None:
    world = await grown(*(b"%d.png" % n for n in range(20)))
    await lose(world)
    world.box.files.clear()
    assert (await world.round()).success
    assert await check_home(world.doors()) == 0
    assert len(world.home()) == 20


async def test_an_unmounted_home_is_not_filled_although_nobody_remembers_its_marker() -> None:
    world = await grown(b"a.png")
    await lose(world)
    world.destination.files.clear()
    world.destination.id, world.destination.marked = "the folder below the mount point", False
    result = await world.round()
    assert isinstance(result.error, MarkerMissing)
    assert world.home() == {}
    await world.store.flags.set_hold(world.target.manifest, None)  # a person has looked: it is a new disk
    assert (await world.round()).success
    assert set(world.home()) == {b"a.png"}


@pytest.mark.parametrize("at_source", [AtSource.REMOVED, AtSource.GONE])
async def test_what_is_only_at_home_is_left_alone(at_source: AtSource) -> None:
    world = await grown(b"a.png", b"b.png")
    if at_source is AtSource.REMOVED:
        assert len((await cleanup(world)).removed) == 2
    else:
        world.box.files.clear()
    await lose(world)
    assert (await world.round()).success
    assert set(world.home()) == {b"a.png", b"b.png"}
