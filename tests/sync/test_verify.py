"""Is everything safe? And what the owner deleted at home."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forged.model.errors import DestinationFailing, DestinationMissing, DiskFull, SourceLost
from forged.model.manifest import AtSource, Hold
from forged.model.paths import home_path, source_path
from forged.model.target import Selection
from forged.sources.memory_faults import CutListing
from forged.sync.homecheck import check_home
from forged.sync.verify import Comparison, Symbol, Verdict, verdict
from tests.support.world import World, brought_home


async def judged(world: World, *, rehash: bool = False) -> Verdict:
    doors = world.doors()
    async with doors.source:
        await doors.destination.ready(None)
        return await verdict(doors, rehash=rehash)


async def test_when_all_is_home_it_is_safe_to_destroy() -> None:
    answer = await judged(await brought_home(b"a", b"b"))
    assert answer.safe
    assert (answer.files, answer.counts) == (2, {"home": 2})


async def test_what_is_not_home_makes_it_unsafe_and_is_named() -> None:
    world = await brought_home(b"a", b"gone at home", b"cut at home", b"changed")
    del world.destination.files[home_path(b"gone at home")]
    cut = home_path(b"cut at home")
    world.destination.files[cut] = replace(world.destination.files[cut], data=b"")
    world.box.write(b"changed", b"longer than before, surely")
    world.age()
    world.box.write(b"fresh", b"being written")
    world.age(0.1)
    world.box.unreadable.add(source_path(b"closed"))
    answer = await judged(world)
    assert not answer.safe
    assert {one.path: one.why for one in answer.missing} == {
        b"gone at home": "home_missing",
        b"cut at home": "home_differs",
        b"changed": "changed",
        b"fresh": "waiting",
        b"closed": "unreadable",
    }


async def test_a_file_that_settled_and_never_came_home_makes_it_unsafe() -> None:
    world = await brought_home(b"a")
    world.box.write(b"b", b"nobody has this")
    world.age()
    answer = await judged(world)
    assert not answer.safe
    assert [(one.path, one.why) for one in answer.missing] == [(b"b", "not_home")]


async def test_half_a_listing_is_no_verdict() -> None:
    world = await brought_home(*(b"%03d" % n for n in range(300)))
    world.faults.append(CutListing(100))
    with pytest.raises(SourceLost):
        await judged(world)
    assert not Verdict(complete=False, files=100).safe


async def test_what_stays_behind_knowingly_is_listed_and_is_no_danger() -> None:
    world = World()
    world.select(Selection(exclude=("*.tmp",)))
    for name in (b"a", b"b.tmp", b"deleted by the owner"):
        world.box.write(name, b"x")
    world.box.link(b"link")
    world.age()
    await world.round()
    del world.destination.files[home_path(b"deleted by the owner")]
    assert await check_home(world.doors()) == 1
    answer = await judged(world)
    assert answer.safe
    assert {one.path: one.why for one in answer.aside} == {
        b"b.tmp": "excluded",
        b"link": "link",
        b"deleted by the owner": "tombstoned",
    }


async def test_rot_is_found_with_rehash_only() -> None:
    world = await brought_home(b"a")
    name = home_path(b"a")
    world.destination.files[name] = replace(world.destination.files[name], data=b"CONTENT of a")
    assert (await judged(world)).safe
    assert not (await judged(world, rehash=True)).safe


async def test_a_comparison_goes_on_behind_a_path_and_shows_what_is_only_home() -> None:
    world = await brought_home(b"a", b"b", b"c")
    world.box.delete(b"c")
    doors = world.doors()
    async with doors.source:
        rows = [one async for one in Comparison(doors, rehash=False, after=source_path(b"a")).rows()]
    assert [(one.path, one.symbol) for one in rows] == [(b"b", Symbol.SAME), (b"c", Symbol.ONLY_HOME)]


async def test_a_file_deleted_at_home_is_not_brought_back() -> None:
    world = await brought_home(b"a", b"b")
    del world.destination.files[home_path(b"a")]
    assert await check_home(world.doors()) == 1
    world.box.touch(b"a")
    world.age()
    await world.round()
    assert set(world.home()) == {b"b"}


async def test_with_redownload_deleted_it_comes_back() -> None:
    world = await brought_home(b"a", b"b")
    world.target = replace(world.target, home=replace(world.target.home, redownload_deleted=True))
    del world.destination.files[home_path(b"a")]
    await check_home(world.doors())
    await world.round()
    assert set(world.home()) == {b"a", b"b"}


async def test_many_gone_at_home_at_once_hold_the_target_and_nothing_becomes_a_tombstone() -> None:
    world = await brought_home(*(b"%d" % n for n in range(20)))
    world.destination.files.clear()
    assert await check_home(world.doors()) == 0
    hold = await world.store.flags.hold(world.target.manifest)
    assert hold is not None
    assert hold.reason == "home_vanished"
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert [row.tombstone_at_ns for row in rows] == [None] * 20


async def _failed_and_mended(*paths: bytes) -> World:
    """A disk that failed for a while, and lost the file `lost` of those."""
    world = await brought_home(*paths)
    world.destination.trouble = DestinationFailing("Input/output error")
    assert not (await world.round()).success
    world.destination.trouble = None
    del world.destination.files[home_path(b"lost")]
    return world


async def test_what_a_failing_disk_has_lost_comes_home_again() -> None:
    world = await _failed_and_mended(b"a", b"lost")
    assert await check_home(world.doors()) == 0
    await world.round()
    assert set(world.home()) == {b"a", b"lost"}
    del world.destination.files[home_path(b"a")]
    assert await check_home(world.doors()) == 1, "from the next look on it is the owner again"


async def test_what_a_failing_disk_has_lost_for_good_holds_the_target_until_a_person_has_looked() -> None:
    world = await _failed_and_mended(b"a", b"lost")
    world.box.delete(b"lost")
    await world.store.manifest.mark(world.target.manifest, [source_path(b"lost")], AtSource.REMOVED)
    assert await check_home(world.doors()) == 0
    hold = await world.store.flags.hold(world.target.manifest)
    assert hold is not None
    assert (hold.reason, "lost+found" in hold.message) == ("home_damaged", True)
    await world.store.flags.set_hold(world.target.manifest, None)
    assert await check_home(world.doors(), believe=True) == 1
    assert await world.store.flags.trouble(world.target.manifest) is None


async def test_a_disk_that_was_only_full_or_not_mounted_has_lost_nothing() -> None:
    world = await brought_home(b"a", b"b")
    for trouble in (DiskFull(), DestinationMissing()):
        world.destination.trouble = trouble
        await world.round()
    world.destination.trouble = None
    del world.destination.files[home_path(b"a")]
    assert await check_home(world.doors()) == 1


async def test_while_a_target_is_held_nothing_becomes_a_tombstone() -> None:
    world = await brought_home(*(b"%d" % n for n in range(20)))
    del world.destination.files[home_path(b"3")]
    await world.store.flags.set_hold(world.target.manifest, Hold("emptied", "a person has to look", 0))
    assert await check_home(world.doors()) == 0
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert [row.tombstone_at_ns for row in rows] == [None] * 20
    await world.store.flags.set_hold(world.target.manifest, None)
    assert await check_home(world.doors()) == 1


async def test_a_folder_that_is_closed_at_home_is_neither_deleted_by_the_owner_nor_safe() -> None:
    world = await brought_home(b"a", b"closed/b")
    world.destination.closed.add(b"closed")
    assert await check_home(world.doors()) == 0
    answer = await judged(world)
    assert not answer.safe
    assert {one.path: one.why for one in answer.missing} == {b"closed/b": "home_unreadable"}
