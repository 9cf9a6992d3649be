"""One round, end to end, in memory: what comes home, what is remembered, what is left alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import pytest

from forged.model.errors import DiskFull, SourceLost
from forged.model.files import ProblemKind
from forged.model.manifest import AtSource
from forged.model.observer import BytesArrived, Fact, FilesLanded, Retried, VerifyFailed
from forged.model.paths import HomePath, home_path, source_path
from forged.model.target import Selection
from forged.model.transfer import Wholeness
from forged.sources.memory_faults import CutListing, DuringFetch, LoseAfterBytes, RefuseConnections
from forged.sync import listing
from forged.sync.looks import Looks
from forged.sync.scan import Scan
from tests.support.world import TARGET, World, brought_home

NASTY = [b"new\nline", b"a|b", b"'quoted\"", b"-rf", b"~", b"%41", b"\xff\xfe not utf-8", b"x" * 255, b"deep/er/" + b"y" * 250]


async def test_everything_comes_home_byte_for_byte_and_is_remembered() -> None:
    world = World()
    made = {name: name * 3 for name in NASTY} | {b"empty": b"", b"large": bytes(range(256)) * 4_000}
    for name, data in made.items():
        world.box.write(name, data)
    world.age()
    result = await world.round()
    assert result.success
    assert world.home() == made
    assert await world.rows() == {source_path(name): hashlib.sha256(data).digest() for name, data in made.items()}
    assert result.job.result is not None
    assert result.job.result.files_transferred == len(made)


async def test_a_second_round_moves_nothing_and_reads_nothing() -> None:
    world = World()
    for n in range(250):
        world.box.write(b"%03d.png" % n, b"x" * n)
    world.age()
    await world.round()
    world.faults.append(NoReading())
    world.age()
    assert (await world.round()).success
    assert world.facts.landed() == []


class NoReading(DuringFetch):
    """Any read at the source fails the test."""

    def __init__(self) -> None:
        super().__init__(b"", 0, lambda box: None)

    def before_piece(self, *args: object) -> None:
        raise AssertionError("a file was opened at the source")


async def test_only_changed_and_added_files_move() -> None:
    world = World()
    for n in range(20):
        world.box.write(b"%02d" % n, b"first %d" % n)
    world.age()
    await world.round()
    for n in range(5):
        world.box.write(b"%02d" % n, b"second, longer %d" % n)
    world.box.write(b"same-size", b"added")
    world.box.write(b"05", b"FIRST 5")  # other content, same size
    world.age()
    await world.round()
    assert world.facts.landed() == [b"00", b"01", b"02", b"03", b"04", b"05", b"same-size"]


async def test_touched_files_are_hashed_where_they_are_and_never_move() -> None:
    world = World()
    world.box.write(b"a", b"content")
    world.age()
    await world.round()
    world.box.touch(b"a")
    world.age()
    await world.round()
    assert world.facts.landed() == []
    world.faults.append(NoReading())
    await world.round()  # the new look was remembered: not even hashed again


async def test_new_content_under_a_known_name_lands_beside_it() -> None:
    world = World()
    world.box.write(b"pic.png", b"first")
    world.age()
    await world.round()
    world.box.replace(b"pic.png", b"second!")
    world.age()
    await world.round()
    version = b"pic~" + hashlib.sha256(b"second!").hexdigest()[:8].encode() + b".png"
    assert world.home() == {b"pic.png": b"first", version: b"second!"}


async def test_a_mutable_file_is_replaced_while_home_still_has_what_forged_put_there() -> None:
    world = World()
    world.select(Selection(mutable=("log.html",)))
    world.box.write(b"log.html", b"one")
    world.age()
    await world.round()
    world.box.write(b"log.html", b"one, two")
    world.age()
    await world.round()
    assert world.home() == {b"log.html": b"one, two"}
    world.destination.files[home_path(b"log.html")] = replace(world.destination.files[home_path(b"log.html")], data=b"the owner's")
    world.box.write(b"log.html", b"one, two, three")
    world.age()
    await world.round()
    assert world.at_home(b"log.html") == b"the owner's"
    assert b"one, two, three" in world.home().values()


async def test_a_mutable_file_whose_versions_are_touched_again_and_again_never_has_two_marks() -> None:
    world = await _a_log()
    grown = b"one, two"
    for n in range(5):
        for name, file in list(world.destination.files.items()):
            world.destination.files[name] = replace(file, data=file.data + b", the owner's")
        grown += b", %d" % n
        world.box.write(b"log.html", grown)
        world.age()
        await world.round()
    assert len(world.home()) == 6
    assert [name for name in world.home() if name.count(b"~") > 1] == []


async def _a_log() -> World:
    world = World()
    world.select(Selection(mutable=("log.html",)))
    world.box.write(b"log.html", b"one, two")
    world.age()
    await world.round()
    return world


async def test_a_mutable_file_that_was_begun_anew_replaces_nothing_and_grows_beside() -> None:
    world = await _a_log()
    for data in (b"new", b"new, newer, and longer than before"):
        world.box.write(b"log.html", data)
        world.age()
        await world.round()
        assert sorted(world.home().values()) == [data, b"one, two"]


async def test_a_log_that_was_replaced_by_a_forged_that_was_killed_then_goes_on_under_its_name() -> None:
    world = await _a_log()
    at_home = world.destination.files[home_path(b"log.html")]
    world.destination.files[home_path(b"log.html")] = replace(at_home, data=b"one, two, three")  # landed, and not remembered
    world.box.write(b"log.html", b"one, two, three, four")
    world.age()
    await world.round()
    assert world.home() == {b"log.html": b"one, two, three, four"}


@pytest.mark.parametrize("how", [AtSource.GONE, AtSource.REMOVED])
async def test_a_mutable_file_that_is_at_home_alone_is_never_replaced(how: AtSource) -> None:
    world = await _a_log()
    world.box.delete(b"log.html")
    await world.store.manifest.mark(world.target.manifest, [source_path(b"log.html")], how)
    for data in (b"begun anew, and longer at once", b"begun anew, and longer at once, and then some"):
        world.box.write(b"log.html", data)
        world.age()
        await world.round()
        assert sorted(world.home().values()) == sorted([data, b"one, two"])


async def test_a_file_deleted_at_the_source_stays_at_home() -> None:
    world = World()
    world.box.write(b"a", b"1")
    world.box.write(b"b", b"2")
    world.age()
    await world.round()
    world.box.delete(b"a")
    result = await world.round()
    assert result.success
    assert world.home() == {b"a": b"1", b"b": b"2"}
    (row,) = await world.store.manifest.current(world.target.manifest, [source_path(b"a")])
    assert row is not None
    assert row.at_source is AtSource.GONE


async def test_an_old_copy_at_home_is_adopted_and_nothing_moves() -> None:
    world = World()
    first = World()
    for n in range(50):
        for box in (world.box, first.box):
            box.write(b"%02d" % n, b"data %d" % n)
    world.age()
    first.age()
    await first.round()
    world.destination = first.destination
    result = await world.round()
    assert (result.tally.adopted, result.tally.transferred) == (50, 0)
    assert [fact for fact in world.facts.seen if isinstance(fact, BytesArrived)] == []
    assert len(await world.rows()) == 50


async def test_what_is_adopted_is_durable_before_it_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever copied it there need not have waited for the disk."""
    world = World()
    world.box.write(b"a", b"mine!")
    world.destination.files[home_path(b"a")] = replace(await _file(), data=b"mine!")
    world.age()
    order: list[str] = []

    async def confirm(batch: Sequence[HomePath]) -> None:
        order.append(f"on disk: {batch}")

    def notice(fact: Fact) -> None:
        if isinstance(fact, FilesLanded):
            order.append("remembered")

    monkeypatch.setattr(world.destination, "confirm", confirm)
    monkeypatch.setattr(world.facts, "notice", notice)
    assert (await world.round()).tally.adopted == 1
    assert order == ["on disk: [b'a']", "remembered"]


async def test_equal_size_but_other_content_at_home_is_not_adopted() -> None:
    world = World()
    world.box.write(b"a", b"mine!")
    world.destination.files[home_path(b"a")] = replace(await _file(), data=b"yours")
    world.age()
    await world.round()
    assert world.at_home(b"a") == b"yours"
    assert b"mine!" in world.home().values()


async def test_a_folder_that_is_closed_at_home_stops_no_other() -> None:
    world = World()
    for name in (b"closed/a", b"b"):
        world.box.write(name, b"content")
    world.destination.closed.add(b"closed")
    world.age()
    result = await world.round()
    assert result.error is None
    assert set(world.home()) == {b"b"}
    assert world.facts.troubles() == {b"closed/a": ProblemKind.HOME}
    world.destination.closed.clear()
    assert (await world.round()).tally.transferred == 1
    assert sum(fact.size_bytes for fact in world.facts.seen if isinstance(fact, BytesArrived)) == 0  # its bytes had been kept


async def _file() -> object:
    other = World()
    other.box.write(b"a", b"12345")
    other.age()
    await other.round()
    return other.destination.files[home_path(b"a")]


async def test_a_listing_cut_off_half_way_is_no_success_and_nothing_is_gone() -> None:
    world = await brought_home(*(b"%03d" % n for n in range(300)))
    world.box.write(b"000-new", b"new")
    world.age()
    world.faults.append(CutListing(100, times=1))
    result = await world.round()
    assert not result.success
    assert isinstance(result.error, SourceLost)
    assert world.facts.landed() == [b"000-new"]  # what was seen before the break still comes home
    rows = await world.store.manifest.between(world.target.manifest, None, None, 1_000)
    assert [row.at_source for row in rows] == [AtSource.PRESENT] * 301


async def test_a_file_that_is_still_being_written_waits() -> None:
    world = World()
    world.box.write(b"a", b"half")
    result = await world.round()
    assert world.home() == {}
    assert result.success
    assert result.waiting.files == 1
    assert result.waiting.look_again_s == pytest.approx(2.0, abs=0.1)
    world.age(2.0)
    await world.round()
    assert world.home() == {b"a": b"half"}


@pytest.mark.parametrize("how", ["grows", "is replaced", "shrinks", "is rewritten in place"])
async def test_a_file_that_changes_while_it_is_read_never_lands_half(how: str) -> None:
    world = World()
    old, new = b"o" * 300_000, b"n" * 300_000
    world.box.write(b"a", old)
    world.age()
    strike = {
        "grows": lambda box: box.write(b"a", old + b"more"),
        "is replaced": lambda box: box.replace(b"a", new),
        "shrinks": lambda box: box.write(b"a", old[:70_000]),
        "is rewritten in place": lambda box: box.write(b"a", new),
    }[how]
    world.faults.append(DuringFetch(b"a", 100_000, strike))
    await world.round()
    assert world.home() == {}
    assert world.facts.troubles() == {b"a": ProblemKind.CHANGED}
    world.age()
    await world.round()
    assert world.home() == {b"a": world.box.files[source_path(b"a")].data}


async def test_an_unfinished_file_waits_until_it_changes_or_settle_max_is_over() -> None:
    world = World()
    world.destination.wholeness = Wholeness.BROKEN
    world.box.write(b"a.png", b"half a picture")
    world.age()
    result = await world.round()
    assert world.home() == {}
    assert result.success
    assert world.facts.troubles() == {b"a.png": ProblemKind.BROKEN}
    world.age(100)
    world.faults.append(NoReading())
    await world.round()  # it still looks the same: not fetched again
    world.faults.clear()
    world.age(600)
    await world.round()
    assert world.home() == {b"a.png": b"half a picture"}
    (row,) = await world.store.manifest.current(world.target.manifest, [source_path(b"a.png")])
    assert row is not None
    assert row.incomplete


async def test_a_lost_connection_resumes_where_it_broke() -> None:
    world = World(LoseAfterBytes(300_000, times=3))
    data = bytes(range(256)) * 4_000
    world.box.write(b"large", data)
    world.age()
    result = await world.round()
    assert result.success
    assert world.home() == {b"large": data}
    assert sum(isinstance(fact, Retried) for fact in world.facts.seen) == 3
    assert sum(fact.size_bytes for fact in world.facts.seen if isinstance(fact, BytesArrived)) == len(data)  # each byte once


async def begun_and_spoiled(data: bytes) -> World:
    """A file whose beginning is home already, with zeros in it, as a power cut leaves them."""
    world = World(LoseAfterBytes(200_000, times=100))
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0))
    world.box.write(b"large", data)
    world.age()
    await world.round()
    (part,) = world.destination.parts.values()
    part[1_000:2_000] = bytes(1_000)
    world.faults.clear()
    return world


@pytest.mark.parametrize("verify", [True, False])
async def test_a_spoiled_beginning_is_fetched_again_and_that_is_a_success(verify: bool) -> None:
    """A resumed whole is verified even where the owner asked for no more than our own hash."""
    data = bytes(range(1, 251)) * 2_000
    world = await begun_and_spoiled(data)
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=1, verify=verify))
    result = await world.round()
    assert result.success
    assert world.home() == {b"large": data}
    assert VerifyFailed("box", b"large") in world.facts.seen


async def test_bytes_that_stay_different_are_told_once() -> None:
    world = await begun_and_spoiled(bytes(range(1, 251)) * 2_000)
    result = await world.round()
    assert (result.success, result.tally.failed) == (False, 1)
    assert [problem.kind for problem in result.tally.problems] == [ProblemKind.MISMATCH]
    assert world.home() == {}
    assert not world.destination.parts  # the next round begins anew


async def test_a_file_larger_than_the_room_at_home_stops_no_other() -> None:
    world = World()
    world.destination.free_bytes = 1_000
    world.box.write(b"huge", b"x" * 2_000)
    world.box.write(b"small", b"1")
    world.age()
    result = await world.round()
    assert result.error is None
    assert world.facts.troubles() == {b"huge": ProblemKind.HOME}
    assert set(world.home()) == {b"small"}
    world.destination.free_bytes = 10_000
    assert (await world.round()).success
    assert set(world.home()) == {b"huge", b"small"}


async def test_a_box_that_does_not_answer_is_tried_again_and_then_reported() -> None:
    world = World(RefuseConnections(2))
    world.box.write(b"a", b"1")
    world.age()
    assert (await world.round()).success
    world.faults[:] = [RefuseConnections(100)]
    result = await world.round()
    assert not result.success
    assert result.error is not None
    assert result.error.hint


async def test_a_full_disk_is_said_and_heals() -> None:
    world = World()
    world.box.write(b"a", b"1")
    world.age()
    world.destination.trouble = DiskFull()
    result = await world.round()
    assert isinstance(result.error, DiskFull)
    world.destination.trouble = None
    assert (await world.round()).success
    assert world.home() == {b"a": b"1"}


async def test_another_disk_under_the_same_name_is_never_filled() -> None:
    world = World()
    world.box.write(b"a", b"1")
    world.age()
    await world.round()
    world.box.write(b"b", b"2")
    world.age()
    world.destination.id = "another"
    result = await world.round()
    assert not result.success
    assert world.home() == {b"a": b"1"}


async def test_an_emptied_source_holds_the_target_and_forgets_nothing() -> None:
    world = await brought_home(*(b"%d" % n for n in range(20)))
    world.box.files.clear()
    await world.round()
    hold = await world.store.flags.hold(world.target.manifest)
    assert hold is not None
    assert hold.reason == "emptied"
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert [row.at_source for row in rows] == [AtSource.PRESENT] * 20


async def test_a_held_target_still_brings_files_home() -> None:
    world = await brought_home(*(b"%d" % n for n in range(20)))
    world.box.files.clear()
    await world.round()
    world.box.write(b"new", b"new")
    world.age()
    await world.round()
    assert world.at_home(b"new") == b"new"
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert [row.at_source for row in rows] == [AtSource.PRESENT] * 21  # and it forgets nothing


async def test_a_sync_of_one_folder_says_nothing_about_the_others() -> None:
    world = World()
    world.box.write(b"one/a", b"1")
    world.box.write(b"two/b", b"2")
    world.age()
    await world.round()
    world.box.write(b"one/c", b"3")
    world.box.write(b"two/d", b"4")
    world.age()
    await world.round(b"one")
    assert world.facts.landed() == [b"one/c"]
    rows = await world.store.manifest.between(world.target.manifest, None, None, 100)
    assert [row.at_source for row in rows] == [AtSource.PRESENT] * 3


async def test_what_is_excluded_stays_where_it_is() -> None:
    world = World()
    world.select(Selection(exclude=("*.tmp",), max_size_bytes=10))
    for name in (b"a.png", b"b.tmp", b"huge.png"):
        world.box.write(name, b"x" * (100 if name == b"huge.png" else 5))
    world.age()
    await world.round()
    assert set(world.home()) == {b"a.png"}


async def test_what_had_come_whole_lands_when_the_box_is_lost() -> None:
    """It may never come again."""
    world = World(LoseAfterBytes(200_000, times=100))
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0))
    for n in range(300):
        world.box.write(b"one/%03d" % n, b"x")
    world.box.write(b"two/large", b"x" * 500_000)
    world.age()
    assert not (await world.round()).success
    assert world.home()
    assert [len(part) for part in world.destination.parts.values() if len(part) == 1] == []


async def test_old_beginnings_are_swept_and_wanted_ones_kept() -> None:
    world = World(LoseAfterBytes(200_000, times=100))
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0))
    world.box.write(b"large", b"x" * 500_000)
    world.age()
    doors_attempts = await world.round()
    assert not doors_attempts.success
    assert world.destination.parts  # the beginning waits
    world.box.delete(b"large")
    world.faults.clear()
    await world.round()
    assert not world.destination.parts


@pytest.mark.parametrize("how", ["broken", "of another folder"])
async def test_a_look_that_did_not_see_a_file_sweeps_nothing_of_it_away(how: str) -> None:
    world = World(LoseAfterBytes(200_000, times=100))
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0))
    for n in range(300):
        world.box.write(b"one/%03d" % n, b"x")
    world.box.write(b"two/large", b"x" * 500_000)
    world.age()
    await world.round()
    (before,) = world.destination.parts.values()
    world.faults[:] = [CutListing(100)] if how == "broken" else []
    await world.round(*([] if how == "broken" else [b"one"]))
    assert list(world.destination.parts.values()) == [before]


async def test_a_source_that_cannot_hash_still_brings_everything_home_once() -> None:
    world = World(hashing=False)
    world.box.write(b"a", b"1")
    world.age()
    await world.round()
    world.box.touch(b"a")
    world.age()
    await world.round()
    assert world.home() == {b"a": b"1"}


@pytest.mark.parametrize("restarted", [True, False])
async def test_without_a_hash_only_a_beginning_of_this_process_is_gone_on_with(restarted: bool) -> None:
    """Where nobody can prove the whole, a beginning that a power cut may have spoiled is none."""
    data = bytes(range(1, 251)) * 2_000
    world = World(LoseAfterBytes(200_000, times=100), hashing=False)
    world.target = replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0))
    world.box.write(b"large", data)
    world.age()
    await world.round()
    (part,) = world.destination.parts.values()
    begun_bytes = len(part)
    assert begun_bytes
    if restarted:
        part[1_000:2_000] = bytes(1_000)
        world.looks = Looks()
    world.faults.clear()
    await world.round()
    assert world.home() == {b"large": data}
    arrived = sum(fact.size_bytes for fact in world.facts.seen if isinstance(fact, BytesArrived))
    assert arrived == (len(data) if restarted else len(data) - begun_bytes)
    assert not world.looks.begun


async def test_a_hostile_number_of_problems_is_counted_but_not_kept() -> None:
    world = World()
    for n in range(500):
        world.box.write(b"%d" % n, b"x")
        world.box.unreadable.add(source_path(b"%d" % n))
    world.age()
    result = await world.round()
    assert not result.success
    assert result.tally.troubled >= 500
    assert len(result.tally.problems) == 100
    assert result.job.result is not None
    assert result.job.result.errors[-1] == "and 400 more"


async def test_too_many_places_that_nobody_can_look_at_are_kept_as_ignorance_of_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_PROBLEMS", 50)
    world = World()
    for name in (b"gone", b"here"):
        world.box.write(name, b"x")
    world.age()
    await world.round()
    world.box.delete(b"gone")
    world.box.unreadable.update(source_path(b"folder%d" % n) for n in range(51))
    await world.round()
    (row,) = await world.store.manifest.current(world.target.manifest, [source_path(b"gone")])
    assert row is not None
    assert row.at_source is AtSource.PRESENT


async def test_of_a_hostile_number_of_problems_only_the_first_are_kept_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_PROBLEMS", 50)
    world = World()
    world.box.unreadable.update(source_path(b"folder%03d" % n) for n in range(300))
    doors = world.doors()
    async with doors.source:
        scan = Scan(doors, ())
        assert [changes async for changes in scan.changes() if changes] == []
    assert len(world.facts.problems()) == 300
    assert [problem.path for problem in scan.problems] == [b"folder%03d" % n for n in range(50)]
