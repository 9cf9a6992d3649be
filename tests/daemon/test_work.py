"""What can be asked of a target: syncs as jobs whose books are always closed, polls that know when they are not needed, cleanup."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest

from forged.daemon.app import App
from forged.daemon.methods_target import TargetMethods
from forged.daemon.standing import State
from forged.daemon.work import MOST_WAITING, POLLS_A_LOOK, TargetPaused, TooManySyncs, UnknownFolder
from forged.model.errors import Cancelled, DestinationMissing, ForgedError, StoreError
from forged.model.jobs import Job, JobStatus
from forged.model.manifest import AtSource, Hold, ManifestName, Pause
from forged.model.paths import SourcePath
from forged.model.removal import KeptBecause
from forged.model.settings import CommandIngest, IngestSettings
from forged.model.target import CleanupPolicy, Selection, Timing
from forged.sources.memory_faults import RefuseConnections
from tests.daemon.grounds import Gate, Grounds, grounds, target
from tests.support.virtual import virtual

WATCHED = Timing(poll_s=30.0, watch=True)
DAY_S = 86_400.0


async def test_a_path_that_leaves_the_source_begins_no_job() -> None:
    with pytest.raises(ForgedError):
        async with grounds(target()) as world:
            world.member().work.start_sync(["../etc"])


@virtual
async def test_the_first_look_comes_with_the_connection_and_polls_find_the_rest() -> None:
    async with grounds(target()) as world:
        await world.put(b"early.png", b"E")
        await asyncio.sleep(10)
        await world.put(b"late.png", b"L")
        await asyncio.sleep(10)
        assert world.member().work.poll() is True
        await asyncio.sleep(5)
        assert set(world.at_home()) == {b"early.png", b"late.png"}


@virtual
async def test_what_a_sync_has_brought_is_read_again_when_it_has_ended_and_not_when_the_next_begins() -> None:
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await world.member().work.start_sync().ended.wait()
        await asyncio.sleep(1)
        read: list[object] = []
        outlines = world.store.manifest.outlines

        async def listened(name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int) -> object:
            read.append((after, upto))
            return await outlines(name, after, upto, limit)

        world.store.manifest.outlines = listened  # type: ignore[method-assign, assignment]
        await world.member().work.start_sync().ended.wait()
        assert read == [(b"a.png", None)], "only what may lie behind the last file"


@virtual
async def test_only_one_poll_waits_however_often_the_timetable_asks() -> None:
    async with grounds(target()) as world:
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F")
        world.member().work.look()
        await gate.reached.wait()
        assert [world.member().work.poll() for _ in range(3)] == [False, False, False], "a sync is under way"
        assert [world.member().work.look() for _ in range(3)] == [True, False, False], "a look that begins later sees more"
        gate.open.set()
        await asyncio.sleep(1)
        assert world.jobs.active == {}


@virtual
async def test_without_a_connection_no_poll_waits_for_one() -> None:
    async with grounds(target(), faults=(RefuseConnections(10_000),)) as world:
        assert world.member().work.poll() is False
        await asyncio.sleep(3_600)
        assert world.jobs.active == {}
        assert world.ended == []


@virtual
async def test_while_a_watch_lives_only_every_tenth_poll_looks_at_everything() -> None:
    async with grounds(target(timing=WATCHED)) as world:
        await asyncio.sleep(1)
        looked = 0
        for _ in range(5 * POLLS_A_LOOK):
            await asyncio.sleep(30)
            looked += world.member().work.poll()
        assert looked in (4, 5)


@virtual
async def test_a_watch_that_does_not_see_everything_stretches_no_poll() -> None:
    async with grounds(target(timing=WATCHED)) as world:
        await asyncio.sleep(1)
        world.member().standing.watch_lives(True, partly=True)
        assert world.member().work.poll() is True


@virtual
async def test_a_sync_of_one_folder_is_no_look_at_everything() -> None:
    async with grounds(target(timing=WATCHED)) as world:
        await asyncio.sleep(POLLS_A_LOOK * 30.0 - 1)
        await world.put(b"a/1.png", b"1")
        await world.member().work.start_sync(["a"]).ended.wait()
        await asyncio.sleep(2)
        assert world.member().work.poll() is True


@virtual
async def test_a_folder_that_is_not_there_is_no_success() -> None:
    """Who asks for a folder by a wrong name would take nothing for all."""
    async with grounds(target()) as world:
        await world.put(b"a/1.png", b"1")
        active = world.member().work.start_sync(["a", "nowhere"])
        await active.ended.wait()
        assert active.job.status is JobStatus.FAILED and active.job.result is not None
        assert (active.job.result.files_transferred, active.job.result.errors) == (1, ("nowhere: no such folder",))
        await world.member().work.start_sync(["a"]).ended.wait()
        assert not world.member().standing.conditions.problems


@virtual
async def test_a_folder_that_is_none_of_the_targets_is_refused_with_those_that_are() -> None:
    async with grounds(target(selection=Selection(folders=("outputs", "log/images")))) as world:
        for folder in ("txt2img", "output"):
            with pytest.raises(UnknownFolder, match=folder) as refused:
                world.member().work.start_sync([folder])
            assert refused.value.hint == "its folders are: outputs, log/images"
        for folder in ("outputs", "/outputs/txt2img/", "log", "log/images/2026"):
            world.member().work.start_sync([folder])


@virtual
async def test_an_idle_poll_is_neither_kept_nor_read_about() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(1)
        assert [kept for _, kept in world.ended] == [False]
        assert await world.store.jobs.recent(10) == []
        await world.put(b"a.png", b"A")
        world.member().work.poll()
        await asyncio.sleep(1)
        assert [job.result.files_transferred for job in await world.store.jobs.recent(10) if job.result] == [1]


@virtual
async def test_files_that_are_still_written_are_looked_at_again_as_soon_as_that_makes_sense() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(5)
        world.box().write(b"growing.png", b"G")
        world.member().work.poll()
        await asyncio.sleep(1)
        assert world.at_home() == {}
        assert world.member().standing.left_files == 1
        await asyncio.sleep(2)
        assert world.at_home() == {b"growing.png": b"G"}
        assert world.member().standing.left_files == 0


@virtual
async def test_a_running_job_is_cancelled_and_what_landed_stays() -> None:
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await asyncio.sleep(1)
        await world.synced()
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F" * 100_000)
        active = world.member().work.start_sync()
        await gate.reached.wait()
        assert world.jobs.status_of(active).status is JobStatus.TRANSFERRING
        assert world.member().standing.state is State.TRANSFERRING
        world.member().work.cancel(active)
        await active.ended.wait()
        assert active.job.status is JobStatus.CANCELLED
        assert active.job.result is not None and active.job.result.errors == (Cancelled().message,)
        assert await world.store.jobs.get(active.job.id) == active.job
        assert world.member().standing.state is State.IDLE
        gate.open.set()
        assert (await world.synced()).status is JobStatus.COMPLETE
        assert set(world.at_home()) == {b"a.png", b"film.mp4"}


@virtual
async def test_a_waiting_job_is_cancelled_at_once() -> None:
    async with grounds(target()) as world:
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F")
        await asyncio.sleep(0)
        running = world.member().work.start_sync()
        await gate.reached.wait()
        waiting = world.member().work.start_sync()
        world.member().work.cancel(waiting)
        await waiting.ended.wait()
        assert waiting.job.status is JobStatus.CANCELLED
        assert not running.ended.is_set()
        gate.open.set()
        await running.ended.wait()
        assert running.job.status is JobStatus.COMPLETE


@virtual
async def test_a_change_of_its_configuration_closes_the_books_of_a_running_job() -> None:
    async with grounds(target()) as world:
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F")
        active = world.member().work.start_sync()
        await gate.reached.wait()
        gate.open.set()
        world.home().room = Gate()
        await world.apply(target(timing=Timing(poll_s=60.0, watch=False)))
        assert active.job.status is JobStatus.CANCELLED
        assert active.job.result is not None and "configuration" in active.job.result.errors[0]


@virtual
async def test_who_asks_in_a_loop_is_told_to_wait_for_what_he_has_asked_for() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(5)
        work = world.member().work
        asked = [work.start_sync() for _ in range(MOST_WAITING)]
        with pytest.raises(TooManySyncs):
            work.start_sync()
        await asked[0].ended.wait()
        work.start_sync()


@virtual
async def test_a_paused_target_takes_no_sync_and_no_poll() -> None:
    async with grounds(target(cleanup=CleanupPolicy())) as world:
        world.member().standing.paused(Pause(1))
        with pytest.raises(TargetPaused):
            world.member().work.start_sync()
        with pytest.raises(TargetPaused):
            await world.member().work.clean_up(dry_run=False, urgent=True)
        assert world.member().work.poll() is False
        assert world.member().work.look() is False
        assert world.member().work.clean_up_when_due() is False
        assert (await world.member().work.clean_up(dry_run=True, urgent=True)).error is None, "looking is allowed"


@virtual
async def test_a_job_that_cannot_be_remembered_ends_all_the_same() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(1)
        save = world.store.jobs.save

        async def full(job: Job) -> None:
            if job.status.ended:
                raise StoreError("no room")
            await save(job)

        world.store.jobs.save = full  # type: ignore[method-assign]
        job = await world.synced()
        assert job.status is JobStatus.COMPLETE
        assert [problem.kind for problem in world.member().standing.conditions.problems] == ["store_error"]


@virtual
async def test_a_state_database_in_trouble_fails_jobs_and_heals() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(1)
        hold = world.store.flags.hold

        async def unreadable(name: ManifestName) -> Hold | None:
            raise StoreError("no room")

        world.store.flags.hold = unreadable  # type: ignore[method-assign]
        assert (await world.synced()).status is JobStatus.FAILED
        assert world.member().standing.state is State.WAITING
        world.store.flags.hold = hold  # type: ignore[method-assign]
        assert (await world.synced()).status is JobStatus.COMPLETE
        assert world.member().standing.state is State.IDLE
        assert world.heard.said == ["no room", "well again: no room"]
        assert world.opened == ["box"]


@virtual
async def test_a_round_that_has_nothing_to_remember_heals_no_state_database() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(1)
        save = world.store.jobs.save

        async def refused(job: Job) -> None:
            raise StoreError("no room")

        world.store.jobs.save = refused  # type: ignore[method-assign]
        await world.synced()
        for _ in range(3):
            world.member().work.poll()
            await asyncio.sleep(30)
        assert world.heard.said == ["no room"]
        assert world.member().standing.state is State.WAITING
        world.store.jobs.save = save  # type: ignore[method-assign]
        world.member().work.poll()
        await asyncio.sleep(1)
        assert world.heard.said == ["no room", "well again: no room"]


@virtual
async def test_home_in_trouble_fails_the_round_and_the_next_one_heals_it() -> None:
    async with grounds(target()) as world:
        await asyncio.sleep(1)
        world.home().trouble = DestinationMissing("/home is not mounted")
        assert (await world.synced()).status is JobStatus.FAILED
        assert world.member().standing.state is State.WAITING
        world.home().trouble = None
        world.member().work.poll()
        await asyncio.sleep(1)
        assert world.member().standing.state is State.IDLE
        assert world.heard.said == ["/home is not mounted", "well again: /home is not mounted"]


# --- cleanup ----------------------------------------------------------------------------------------------------------------


def cleaned(**policy: object) -> object:
    return target(cleanup=replace(CleanupPolicy(age_s=3_600.0), **policy))  # type: ignore[arg-type]


@virtual
async def test_cleanup_comes_when_due_in_its_turn_and_only_once() -> None:
    async with grounds(target(cleanup=CleanupPolicy(age_s=3_600.0))) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        await asyncio.sleep(2 * 3_600)
        world.home().room = gate = Gate()
        await world.put(b"b.mp4", b"B")
        sync = world.member().work.start_sync()
        await gate.reached.wait()
        assert world.member().work.clean_up_when_due() is True
        assert world.member().work.clean_up_when_due() is False, "one is under way"
        await asyncio.sleep(60)
        assert b"a.png" in world.box().files, "its turn comes after the sync"
        gate.open.set()
        await sync.ended.wait()
        await asyncio.sleep(1)
        assert set(world.box().files) == {b"b.mp4"}
        (row,) = await world.store.manifest.current(world.member().standing.target.manifest, [next(iter(world.at_home()))])  # type: ignore[list-item]
        assert row is not None and row.at_source is AtSource.REMOVED


@virtual
async def test_a_home_that_has_lost_most_of_its_files_holds_the_target_before_anything_is_removed() -> None:
    async with grounds(target(cleanup=CleanupPolicy(age_s=3_600.0))) as world:
        for n in range(20):
            await world.put(b"%d.png" % n, b"%d" % n)
        await world.synced()
        await asyncio.sleep(2 * 3_600)
        kept = dict(list(world.home().files.items())[:3])
        world.home().files.clear()
        world.home().files.update(kept)
        result = await world.member().work.clean_up(dry_run=False, urgent=True)
        assert result.removed == []
        assert result.kept_count == {KeptBecause.HELD: 20}
        assert world.member().standing.hold is not None
        assert len(world.box().files) == 20


@virtual
async def test_a_release_believes_what_a_person_has_looked_at() -> None:
    async with grounds(target(cleanup=CleanupPolicy(age_s=3_600.0))) as world:
        for n in range(20):
            await world.put(b"%d.png" % n, b"%d" % n)
        await world.synced()
        for n in range(20):
            world.box().delete(b"%d.png" % n)
        await world.synced()
        hold = world.member().standing.hold
        assert hold is not None and hold.reason == "emptied"
        await world.member().work.believe()
        await asyncio.sleep(1)
        assert world.member().standing.hold is None
        rows = await world.store.manifest.between(world.member().standing.target.manifest, None, None, 100)
        assert {row.at_source for row in rows} == {AtSource.GONE}


@virtual
async def test_a_release_holds_over_a_restart_that_follows_at_once_and_is_believed_by_one_look_only() -> None:
    async with grounds(target()) as first:
        name = first.member().standing.target.manifest
        for n in range(40):
            await first.put(b"%d.png" % n, b"%d" % n)
        await first.synced()
        for n in range(20):
            first.box().delete(b"%d.png" % n)
        first.box().delete(b"20.png")
        await first.synced()
        assert first.member().standing.hold is not None
        await TargetMethods(first.fleet, first.discoveries, cast("App", first)).release("box")
        await first.fleet.stop()  # before any look
    again = Grounds(store=first.store)
    again.boxes, again.homes = first.boxes, first.homes
    await again.apply(target())
    await again.synced()
    assert again.member().standing.hold is None, "what a person has looked at is not forgotten"
    rows = await again.store.manifest.between(name, None, None, 100)
    assert sum(row.at_source is AtSource.GONE for row in rows) == 21
    for n in range(21, 40):
        again.box().delete(b"%d.png" % n)
    await again.synced()
    hold = again.member().standing.hold
    assert hold is not None and hold.reason == "emptied", "nobody has looked at that"
    await again.fleet.stop()


@virtual
async def test_who_releases_what_vanished_at_the_source_has_said_nothing_of_home() -> None:
    async with grounds(target()) as world:
        name = world.member().standing.target.manifest
        for n in range(40):
            await world.put(b"%d.png" % n, b"%d" % n)
        await world.synced()
        for n in range(30):
            world.box().delete(b"%d.png" % n)
        await world.synced()
        world.home().files.clear()  # rolled back, while the target is held anyway
        answer = await TargetMethods(world.fleet, world.discoveries, cast("App", world)).release("box")
        hold = world.member().standing.hold
        assert hold is not None and hold.reason == "home_vanished" and "held again" in answer["message"]
        rows = await world.store.manifest.between(name, None, None, 100)
        assert not [row for row in rows if row.tombstone_at_ns is not None], "nobody has said that the owner deleted them"


@virtual
async def test_who_releases_what_vanished_at_home_has_said_nothing_of_the_source() -> None:
    async with grounds(target()) as world:
        name = world.member().standing.target.manifest
        for n in range(40):
            await world.put(b"%d.png" % n, b"%d" % n)
        await world.synced()
        await world.store.flags.set_hold(name, Hold("home_vanished", "", 1))
        await TargetMethods(world.fleet, world.discoveries, cast("App", world)).release("box")
        for n in range(40):
            world.box().delete(b"%d.png" % n)  # the box was off, and comes back another one
        await world.synced()
        hold = world.member().standing.hold
        assert hold is not None and hold.reason == "emptied"


@virtual
async def test_a_source_that_cannot_remove_safely_is_told_once_and_not_every_quarter_of_an_hour() -> None:
    async with grounds(target(cleanup=CleanupPolicy())) as world:
        world.capabilities["guarded_removal"] = False
        await world.apply()
        await world.apply(target(cleanup=CleanupPolicy()))
        for _ in range(10):
            await asyncio.sleep(900)
            world.member().work.clean_up_when_due()
            await asyncio.sleep(1)
            await world.synced()
        assert len(world.heard.said) == 1
        assert "cannot remove" in world.heard.said[0]


@virtual
async def test_a_required_ingest_that_has_taken_nothing_keeps_every_file_at_the_source() -> None:
    required = IngestSettings("catalog", CommandIngest(("true",)), required=True)
    async with grounds() as world:
        await world.apply(target(cleanup=CleanupPolicy(age_s=60.0)), ingests=(required,))
        await world.put(b"a.png", b"A")
        await asyncio.sleep(0.1)
        await world.synced()
        await asyncio.sleep(3_600)
        result = await world.member().work.clean_up(dry_run=False, urgent=True)
        assert (result.removed, len(world.box().files)) == ([], 1)
        await world.apply(target(cleanup=CleanupPolicy(age_s=60.0)))  # the owner takes the ingest out
        assert len((await world.member().work.clean_up(dry_run=False, urgent=True)).removed) == 1
        elsewhere = replace(required, targets=("other",))
        await world.apply(target(cleanup=CleanupPolicy(age_s=60.0)), ingests=(elsewhere,))
        assert world.member().runner.doors.takers.required() == []


@virtual
async def test_a_target_without_the_table_is_never_cleaned() -> None:
    async with grounds(target()) as world:
        assert world.member().work.clean_up_when_due() is False
        with pytest.raises(ForgedError, match="nothing is ever removed"):
            await world.member().work.clean_up(dry_run=False, urgent=True)


# --- in turn ----------------------------------------------------------------------------------------------------------------


@virtual
async def test_who_asks_in_turn_gets_the_answer_or_the_reason() -> None:
    async def seven() -> int:
        return 7

    async def no() -> int:
        raise DestinationMissing("gone")

    async with grounds(target()) as world:
        assert await world.member().work.in_turn("seven", seven) == 7
        with pytest.raises(DestinationMissing):
            await world.member().work.in_turn("no", no)


@virtual
async def test_who_goes_away_leaves_no_work_behind() -> None:
    ended = asyncio.Event()

    async def long() -> None:
        try:
            await asyncio.sleep(10_000)
        finally:
            ended.set()

    async with grounds(target()) as world:
        caller = asyncio.create_task(world.member().work.in_turn("long", long))
        await asyncio.sleep(1)
        caller.cancel()
        await ended.wait()
        assert (await world.synced()).status is JobStatus.COMPLETE


@virtual
async def test_nobody_waits_for_ever_when_the_target_goes() -> None:
    async def long() -> None:
        await asyncio.sleep(10_000)

    async with grounds(target()) as world:
        running = asyncio.create_task(world.member().work.in_turn("running", long))
        waiting = asyncio.create_task(world.member().work.in_turn("waiting", long))
        await asyncio.sleep(1)
        await world.apply()
        for caller in (running, waiting):
            with pytest.raises(Cancelled, match="removed"):
                await caller


@virtual
async def test_a_hold_and_a_pause_are_known_again_after_a_restart() -> None:
    first = Grounds()
    name = target().manifest
    await first.store.flags.set_hold(name, Hold("emptied", "no file at all", 1))
    await first.store.flags.set_pause(name, Pause(1))
    await first.apply(target())
    standing = first.member().standing
    assert (standing.hold is not None, standing.pause is not None) == (True, True)
    assert [problem.kind for problem in standing.conditions.problems] == ["held"]
    await first.fleet.stop()


@virtual
async def test_cleanup_is_due_until_one_has_gone_well() -> None:
    def overdue_s(name: str = "box") -> float | None:
        due_s = world.metrics.registry.get_sample_value("forged_cleanup_due_timestamp_seconds", {"target": name})
        return None if due_s is None else round(world.clock.now_ns() / 1e9 - due_s, 3)

    async with grounds(target(cleanup=CleanupPolicy(age_s=3_600.0, every_s=7_200.0)), target("never")) as world:
        assert overdue_s("never") is None
        assert overdue_s() == pytest.approx(-60, abs=1), "the first comes within a minute"
        work = world.member().work
        await work.clean_up(dry_run=True, urgent=True)
        assert overdue_s() == pytest.approx(-60, abs=1), "looking is not doing"
        world.home().trouble = DestinationMissing()
        with suppress(ForgedError):
            await work.clean_up(dry_run=False, urgent=True)
        await asyncio.sleep(100_000)
        assert (overdue_s() or 0) > 90_000
        world.home().trouble = None
        await world.synced()
        assert (await work.clean_up(dry_run=False, urgent=True)).error is None
        assert overdue_s() == -7_200
        await world.apply(target())
        assert overdue_s() is None
