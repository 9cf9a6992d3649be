"""How a target stands: its state, its backlog and lag, and what the answers say of it."""

from __future__ import annotations

import asyncio

import pytest

from forged.daemon import answers
from forged.model.errors import DestinationError, SourceMissing, SourceUnreachable
from forged.model.files import Entry, Stat
from forged.model.jobs import Job, JobStatus, new_job_id
from forged.model.manifest import Hold, Pause
from forged.model.paths import source_path
from forged.model.target import Selection
from forged.sources.memory_faults import RefuseConnections
from forged.sync.cycle import RoundResult, Waiting
from forged.sync.tally import Tally
from tests.daemon.grounds import Gate, grounds, target
from tests.support.virtual import virtual


@virtual
async def test_from_the_first_connection_to_rest() -> None:
    async with grounds() as world:
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F" * 70_000)
        await world.put(b"a.png", b"A")
        await world.apply(target())
        standing = world.member().standing
        assert standing.state.value in ("waiting", "idle")  # it connects just now, or has
        await gate.reached.wait()
        assert standing.state.value == "transferring"
        assert standing.backlog == (2, 70_001)
        await asyncio.sleep(40)
        assert standing.lag_s == pytest.approx(46, abs=1.5)  # written 6 and 3 s before the first look
        shown = answers.target(standing)
        assert (shown["state"], shown["backlog_files"], shown["last_sync"], shown["watch"]) == ("transferring", 2, None, False)
        gate.open.set()
        await asyncio.sleep(1)
        shown = answers.target(standing)
        assert (shown["state"], shown["backlog_files"], shown["backlog_bytes"], shown["lag_seconds"]) == ("idle", 0, 0, 0.0)
        assert shown["last_sync"] is not None and shown["last_sync"].endswith("+00:00")
        assert shown["guarded_removal"] is True
        assert shown["free_bytes"] is not None


@virtual
async def test_what_is_left_at_a_box_that_was_never_looked_at_in_whole_is_not_known() -> None:
    """Nothing left, and nobody has looked: whoever reads the first may destroy the box."""
    async with grounds(target(), faults=(RefuseConnections(10**9, SourceUnreachable()),)) as world:
        await asyncio.sleep(1)
        shown = answers.target(world.member().standing)
        assert (shown["backlog_files"], shown["backlog_bytes"], shown["lag_seconds"]) == (None, None, None)
        world.fleet.refresh_metrics()
        sample = world.metrics.registry.get_sample_value
        for name in ("forged_backlog_files", "forged_backlog_bytes", "forged_lag_seconds"):
            assert sample(name, {"target": "box"}) is None
        world.member().standing.noticed_in_vain([Entry(source_path(b"a.png"), Stat(5, world.clock.now_ns() - 7_000_000_000))])
        shown = answers.target(world.member().standing)
        assert (shown["backlog_files"], shown["backlog_bytes"], shown["lag_seconds"]) == (1, 5, 7.0)
        world.fleet.refresh_metrics()
        assert sample("forged_backlog_files", {"target": "box"}) == 1
        assert sample("forged_lag_seconds", {"target": "box"}) == 7.0


@virtual
async def test_what_should_have_come_ages_until_it_does_and_what_is_being_written_does_not() -> None:
    async with grounds(target()) as world:
        world.box().write(b"growing.png", b"G")
        world.member().work.look()
        await asyncio.sleep(1.5)
        assert (world.member().standing.left_files, world.member().standing.lag_s) == (1, 0.0)
        world.box().unreadable.add(source_path(b"closed.png"))
        await world.put(b"closed.png", b"C")
        await world.synced()
        await asyncio.sleep(100)
        assert world.member().standing.lag_s == pytest.approx(103, abs=1)
        world.box().unreadable.clear()
        await world.synced()
        assert world.member().standing.lag_s == 0.0


@virtual
async def test_the_age_of_what_waits_is_that_of_its_last_write_whoever_noticed_it_when() -> None:
    """By the clock of the box. A box that was away for two days showed seconds, and so did each restart."""
    async with grounds() as world:
        world.box().clock_ns += 3_600 * 10**9
        world.box().unreadable.add(source_path(b"closed.png"))
        await world.put(b"closed.png", b"C")
        await world.put(b"later.png", b"L")
        await asyncio.sleep(2 * 86_400)
        await world.apply(target())
        await asyncio.sleep(1)
        assert (world.at_home(), world.member().standing.left_files) == ({b"later.png": b"L"}, 0)
        assert world.member().standing.lag_s == pytest.approx(2 * 86_400 + 7, abs=1)


@virtual
async def test_a_sync_of_some_folders_does_not_forget_the_oldest_of_the_others() -> None:
    async with grounds(target()) as world:
        world.box().unreadable.add(source_path(b"old/a.png"))
        await world.put(b"old/a.png", b"A")
        await world.put(b"new/b.png", b"B")
        await world.synced()
        assert world.member().standing.lag_s == pytest.approx(6, abs=1)
        await world.member().work.start_sync(["new"]).ended.wait()
        assert world.member().standing.lag_s == pytest.approx(6, abs=1)
        await world.put(b"new/c.png", b"C")
        world.box().unreadable.clear()
        await world.member().work.start_sync(["new"]).ended.wait()
        assert world.member().standing.lag_s == pytest.approx(9, abs=1)
        await world.synced()
        assert world.member().standing.lag_s == 0.0


@virtual
async def test_what_is_not_wanted_not_settled_or_of_the_future_has_no_age() -> None:
    async with grounds() as world:
        for name in (b"cache/x.png", b"of tomorrow.png"):
            world.box().unreadable.add(source_path(name))
            await world.put(name, b"X")
        world.box().files[source_path(b"of tomorrow.png")].mtime_ns += 86_400 * 10**9
        await world.apply(target(selection=Selection(exclude=("cache/",))))
        await world.put(b"growing.png", b"G")
        world.box().write(b"growing.png", b"GG")
        await asyncio.sleep(1)
        await world.synced()
        assert world.member().standing.lag_s == 0.0


@virtual
async def test_a_file_that_was_only_touched_does_not_wait() -> None:
    """Its hash says that it is home: nothing of it is left when the round ends."""
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        await world.put(b"a.png", b"A")
        await world.synced()
        assert world.member().standing.lag_s == 0.0


@virtual
async def test_a_box_without_the_folder_can_be_reached_and_is_waited_for() -> None:
    async with grounds(target(), faults=(RefuseConnections(5, SourceMissing("/out does not exist")),)) as world:
        standing = world.member().standing
        assert standing.state.value == "waiting"
        assert [problem.kind for problem in standing.conditions.problems] == ["source_missing"]
        await asyncio.sleep(600)
        assert standing.state.value == "idle"


@virtual
async def test_pauses_and_holds_are_shown_and_measured() -> None:
    async with grounds(target()) as world:
        standing = world.member().standing
        standing.paused(Pause(1))
        standing.held(Hold("emptied", "the source shows no file at all", 1))
        shown = answers.target(standing)
        assert (shown["paused"], shown["held"]) == (True, True)
        (problem,) = shown["problems"]
        assert problem["kind"] == "held" and "forgectl release box" in problem["hint"]
        sample = world.metrics.registry.get_sample_value
        assert sample("forged_target_paused", {"target": "box"}) == 1
        assert sample("forged_target_held", {"target": "box", "reason": "emptied"}) == 1
        standing.paused(None)
        standing.held(None)
        assert answers.target(standing)["problems"] == []
        assert sample("forged_target_held", {"target": "box", "reason": "emptied"}) == 0


@virtual
async def test_the_page_is_told_what_is_so_right_before_it_is_read() -> None:
    async with grounds() as world:
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F" * 1_000)
        await world.apply(target())
        await gate.reached.wait()
        world.fleet.refresh_metrics()
        sample = world.metrics.registry.get_sample_value
        assert sample("forged_backlog_files", {"target": "box"}) == 1
        assert sample("forged_backlog_bytes", {"target": "box"}) == 1_000
        assert sample("forged_target_up", {"target": "box"}) == 1
        gate.open.set()


@virtual
async def test_a_round_that_landed_nothing_does_not_heal_what_a_notice_has_run_into_meanwhile() -> None:
    """The disk fails, and a round with nothing to bring ends well: that was told as well again, and a moment later as broken."""
    async with grounds(target()) as world:
        standing = world.member().standing
        await asyncio.sleep(1)
        standing.round_began(world.jobs.open("box"))
        await asyncio.sleep(0.1)
        standing.broken(DestinationError("the disk does not write"))
        result = RoundResult(Job(new_job_id(), "box", JobStatus.COMPLETE, 0), Tally(), None, Waiting())
        standing.round_ended(result, everything=True)
        assert [problem.kind for problem in standing.conditions.problems] == ["destination_error"]
        assert standing.waiting
        await world.synced()
        assert standing.conditions.problems == ()
        assert not standing.waiting
        world.jobs.active.clear()
