"""Applying a configuration: what comes, what goes, what changes, and that nobody else notices."""

from __future__ import annotations

import asyncio

import pytest

from forged.daemon.fleet import Difference, UnknownTarget
from forged.daemon.schedule import Errand
from forged.model.errors import StoreError
from forged.model.jobs import JobStatus
from forged.model.manifest import Hold, ManifestName, Pause
from forged.model.target import CleanupPolicy, TargetName, Timing
from tests.daemon.grounds import Gate, config, grounds, target
from tests.support.virtual import virtual


@virtual
async def test_what_comes_goes_and_changes_is_named_before_it_is_done() -> None:
    async with grounds(target("stays"), target("goes"), target("changes")) as world:
        changed = target("changes", timing=Timing(poll_s=60.0, watch=False))
        new = config(target("comes"), target("stays"), changed)
        assert world.fleet.difference(new) == Difference(added=("comes",), removed=("goes",), changed=("changes",))
        await world.fleet.apply(new)
        assert [member.standing.target.name for member in world.fleet.members] == ["comes", "stays", "changes"]
        assert world.fleet.difference(new) == Difference()
        with pytest.raises(UnknownTarget, match="goes"):
            world.fleet.find("goes")


@virtual
async def test_a_round_of_another_target_goes_on() -> None:
    async with grounds(target("stays"), target("changes")) as world:
        await world.put(b"film.mp4", b"F", "stays")
        world.home("stays").room = gate = Gate()
        active = world.member("stays").work.start_sync()
        await gate.reached.wait()
        member = world.member("stays")
        for seconds in (60.0, 90.0, 120.0):
            await world.apply(target("stays"), target("changes", timing=Timing(poll_s=seconds, watch=False)))
        await world.apply(target("comes"), target("stays"))
        assert world.member("stays") is member
        assert not active.ended.is_set()
        gate.open.set()
        await active.ended.wait()
        assert active.job.status is JobStatus.COMPLETE
        assert world.opened.count("stays") == 1


@virtual
async def test_an_equal_configuration_changes_nothing_however_often_it_comes() -> None:
    async with grounds(target("one"), target("two")) as world:
        members = world.fleet.members
        for _ in range(10):
            await world.apply(target("one"), target("two"))
        assert all(now is before for now, before in zip(world.fleet.members, members, strict=True))
        assert sorted(world.opened) == ["one", "two"]


@virtual
async def test_a_changed_target_begins_anew_with_what_it_remembers() -> None:
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        await world.synced()
        await world.apply(target(timing=Timing(poll_s=60.0, watch=False)))
        await asyncio.sleep(1)
        job = await world.synced()
        assert job.result is not None
        assert (job.status, job.result.files_transferred) == (JobStatus.COMPLETE, 0)


@virtual
async def test_a_target_that_goes_takes_its_series_along_and_a_changed_one_keeps_them() -> None:
    async with grounds(target("goes"), target("changes")) as world:
        for name in ("goes", "changes"):
            await world.put(b"a.png", b"A", name)
            await world.synced(name)
        await world.apply(target("changes", timing=Timing(poll_s=60.0, watch=False)))
        labels = {"target": "changes"}
        assert world.metrics.registry.get_sample_value("forged_files_transferred_total", labels) == 1
        assert world.metrics.registry.get_sample_value("forged_files_transferred_total", {"target": "goes"}) is None


@virtual
async def test_the_timetable_reaches_the_targets_and_counts_what_it_had_to_skip() -> None:
    async with grounds(target(cleanup=CleanupPolicy())) as world:
        await world.put(b"film.mp4", b"F")
        ask = world.fleet.timetable._ask
        name = TargetName("box")
        assert ask(name, Errand.POLL) is True
        world.home().room = gate = Gate()
        await gate.reached.wait()
        assert ask(name, Errand.POLL) is False
        assert world.metrics.registry.get_sample_value("forged_polls_skipped_total", {"target": "box"}) == 1
        gate.open.set()
        await asyncio.sleep(1)
        assert ask(name, Errand.CLEANUP) is True
        assert ask(TargetName("nobody"), Errand.POLL) is False


@virtual
async def test_stopping_twice_is_stopping_once() -> None:
    async with grounds(target()) as world:
        await world.fleet.stop()
        assert world.fleet.members == []


@virtual
async def test_targets_that_come_are_added_side_by_side_in_the_order_of_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    async with grounds() as world:
        whole = world.store.flags.pause

        async def slow(name: ManifestName) -> Pause | None:
            await asyncio.sleep(10.0 if name == "n0" else 1.0)
            return await whole(name)

        monkeypatch.setattr(world.store.flags, "pause", slow)
        names = [f"n{number}" for number in range(20)]
        before_s = world.clock.monotonic_s()
        await world.apply(*(target(name, manifest=ManifestName(name)) for name in names))
        assert world.clock.monotonic_s() - before_s < 11.0
        assert [member.name for member in world.fleet.members] == names


@virtual
async def test_one_target_that_cannot_begin_keeps_no_other_from_it_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with grounds() as world:
        whole = world.store.flags.hold

        async def sometimes(name: ManifestName) -> Hold | None:
            if name == "b":
                raise StoreError("the disk is full")
            return await whole(name)

        targets = [target(name, manifest=ManifestName(name)) for name in "abc"]
        with monkeypatch.context() as patched:
            patched.setattr(world.store.flags, "hold", sometimes)
            with pytest.raises(StoreError):
                await world.apply(*targets)
            assert [member.name for member in world.fleet.members] == ["a", "c"]
        await world.apply(*targets)
        assert [member.name for member in world.fleet.members] == ["a", "b", "c"]
