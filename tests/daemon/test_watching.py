"""The watch: what is closed comes home at once, what is merely found settles first, and whatever it misses is looked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from forged.daemon.standing import State
from forged.daemon.watching import MOST_NOTICED
from forged.model.errors import DestinationMissing, NotSupported, SourceUnreachable
from forged.model.jobs import JobStatus
from forged.model.manifest import AtSource, ManifestRow, Pause
from forged.model.paths import source_path
from forged.model.target import Target, Timing
from forged.sources.base import Notices
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import CutListing, CutWatch, DuringFetch, Fault, MissNotices, RefuseConnections
from tests.daemon.grounds import Gate, Grounds, grounds, target
from tests.support.virtual import virtual

AT_ONCE_S = 0.1
POLL_S = 30.0


def watched(**changes: Any) -> Target:
    return target(timing=Timing(poll_s=POLL_S, watch=True), **changes)


@virtual
async def test_a_closed_file_is_home_at_once_without_a_look_at_everything() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        looks = len(world.ended)
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(AT_ONCE_S)
        assert world.at_home() == {b"a.png": b"A"}
        assert len(world.ended) == looks
        assert world.member().standing.watching
        assert world.facts.landed() == [b"a.png"]


@virtual
async def test_what_was_written_before_the_watch_began_is_looked_for() -> None:
    async with grounds() as world:
        world.box().write(b"before.png", b"B", mtime_ns=1)
        await asyncio.sleep(3)
        await world.apply(watched())
        await asyncio.sleep(AT_ONCE_S)
        assert set(world.at_home()) == {b"before.png"}
        assert len(world.ended) == 1, "one look, not one for the connection and one for the watch"


@virtual
async def test_what_is_not_selected_stays_where_it_is() -> None:
    async with grounds(watched(selection=replace(target().selection, exclude=("*.tmp",)))) as world:
        await asyncio.sleep(5)
        world.box().write(b"a.tmp", b"A")
        world.box().write(b"b.png", b"B")
        await asyncio.sleep(AT_ONCE_S)
        assert set(world.at_home()) == {b"b.png"}


@virtual
async def test_a_film_that_takes_minutes_does_not_hold_up_the_pictures_behind_it() -> None:
    class OnlySmall(Gate):
        async def take(self, size_bytes: int) -> None:
            if size_bytes > 1_000:
                await super().take(size_bytes)

    async with grounds(watched()) as world:
        world.home().room = OnlySmall()
        await asyncio.sleep(5)
        world.box().write(b"film.mp4", b"F" * 10_000)
        await asyncio.sleep(AT_ONCE_S)
        for n in range(10):
            world.box().write(b"%d.png" % n, b"P")
            await asyncio.sleep(AT_ONCE_S)
            assert b"%d.png" % n in world.at_home()
        assert b"film.mp4" not in world.at_home()


@virtual
async def test_a_file_that_is_written_anew_while_it_comes_home_comes_home_anew() -> None:
    async with grounds(watched(), faults=(DuringFetch(b"a.png", 0, lambda box: box.write(b"a.png", b"second")),)) as world:
        await asyncio.sleep(5)
        world.box().write(b"a.png", b"first")
        await asyncio.sleep(2)
        assert b"second" in world.at_home().values()
        assert len(world.ended) == 1, "no look at everything was needed"


@virtual
async def test_two_versions_right_after_each_other_both_or_the_last_come_home() -> None:
    async with grounds(watched()) as world:
        world.home().room = gate = Gate()
        await asyncio.sleep(5)
        world.box().write(b"a.png", b"first")
        await gate.reached.wait()
        world.box().replace(b"a.png", b"the second")
        await asyncio.sleep(1)
        gate.open.set()
        await asyncio.sleep(1)
        assert b"the second" in world.at_home().values()


class FindsOnly(Fault):
    """Whatever happens was seen by nobody to be closed."""

    def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
        return replace(notices, entries=(), found=notices.entries)


@virtual
async def test_what_is_merely_found_settles_first() -> None:
    async with grounds(watched(), faults=(FindsOnly(),)) as world:
        await asyncio.sleep(5)
        looks = len(world.ended)
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(1.5)
        assert world.at_home() == {}
        await asyncio.sleep(1)
        assert world.at_home() == {b"a.png": b"A"}
        assert len(world.ended) == looks


class NeverSettles(FindsOnly):
    """What is found is from the future, and so it stays."""

    def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
        found = super().before_notices(box, notices)
        far = [structs.replace(entry, stat=structs.replace(entry.stat, mtime_ns=4_000_000_000 * 10**9)) for entry in found.found]
        return replace(found, found=tuple(far))


@virtual
async def test_a_flood_of_files_that_never_settle_is_left_to_a_look_at_everything() -> None:
    """However many are told of, only so many are tried again by themselves."""
    async with grounds(watched(), faults=(NeverSettles(),)) as world:
        await asyncio.sleep(5)
        watching = world.member().runner.watching
        for batch in range(40):
            for n in range(500):
                world.box().write(b"%d/%d" % (batch, n), b"x", mtime_ns=4_000_000_000 * 10**9)
            await asyncio.sleep(0.1)
            assert watching._resting <= MOST_NOTICED
            assert len(watching._found) <= 2 * MOST_NOTICED
        assert len([task for task in asyncio.all_tasks() if task.get_name() == "noticed again"]) < 100
        assert len(world.ended) > 1, "the rest is looked for"


@virtual
async def test_what_is_found_and_goes_on_growing_is_waited_for() -> None:
    class FoundOnce(FindsOnly):
        told = False

        def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
            found = super().before_notices(box, notices)
            if self.told:
                return Notices()
            self.told = bool(found.found)
            return found

    async with grounds(watched(), faults=(FoundOnce(),)) as world:
        await asyncio.sleep(5)
        for n in range(1, 6):
            world.box().write(b"a.png", b"A" * n)
            await asyncio.sleep(1.5)
            assert world.at_home() == {}
        await asyncio.sleep(2)
        assert world.at_home() == {b"a.png": b"AAAAA"}


@virtual
async def test_missed_notices_are_made_good_by_a_look_at_everything() -> None:
    async with grounds(watched(), faults=(MissNotices(),)) as world:
        await asyncio.sleep(5)
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(3)
        assert world.at_home() == {b"a.png": b"A"}


def _looks(world: Grounds) -> float:
    """At everything, so far."""
    return world.metrics.registry.get_sample_value("forged_scan_duration_seconds_count", {"target": "box"}) or 0.0


@virtual
async def test_who_misses_something_with_each_breath_is_not_looked_at_without_end() -> None:
    async with grounds(watched(), faults=(MissNotices(1_000),)) as world:
        await asyncio.sleep(10)
        looks = _looks(world)
        for n in range(100):
            world.box().write(b"%d.png" % n, b"A")
            await asyncio.sleep(0.2)
        assert 3 <= _looks(world) - looks <= 26
        await asyncio.sleep(10)
        assert len(world.at_home()) == 100, "the last one is found, too"


@virtual
async def test_after_a_cut_connection_nothing_is_missed_though_a_look_was_taken_a_second_ago() -> None:
    cut = CutWatch()
    async with grounds(watched(), faults=(cut,)) as world:
        await asyncio.sleep(1)
        world.box().write(b"a.png", b"A")  # the watch dies of it instead of telling
        await asyncio.sleep(4)
        assert world.at_home() == {b"a.png": b"A"}
        assert world.member().standing.watching
        assert world.heard.said == [], "the next line works, so nobody needs to know"
        cuts = {"target": "box", "kind": "source_lost"}
        assert world.metrics.registry.get_sample_value("forged_errors_total", cuts) == 1


@virtual
async def test_a_watch_that_breaks_while_a_round_goes_on_is_begun_again_beside_it() -> None:
    cut = CutWatch(0)
    async with grounds(faults=(cut,)) as world:
        await world.put(b"film.mp4", b"F")
        world.home().room = gate = Gate()
        await world.apply(watched())
        await gate.reached.wait()
        cut.left = 1
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(0.5)
        assert not world.member().standing.watching
        await asyncio.sleep(1)
        assert world.member().standing.watching
        assert world.heard.said == [], "the round lives through it, so nobody needs to know"
        gate.open.set()
        await asyncio.sleep(5)
        assert set(world.at_home()) == {b"film.mp4", b"a.png"}


@virtual
async def test_a_round_does_not_sweep_away_what_a_notice_is_bringing() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        world.home().room = gate = Gate()
        world.box().write(b"film.mp4", b"F" * 300_000)
        await gate.reached.wait()
        world.home().parts["the beginning of something that nobody wants any more"] = bytearray(b"x")
        begun = set(world.member().runner.looks.underway.staging)
        assert len(begun) == 1
        for name in begun:
            world.home().parts[name] = bytearray(b"F" * 10)
        sync = world.member().work.start_sync()
        await asyncio.sleep(1)
        assert set(world.home().parts) == begun
        gate.open.set()
        await sync.ended.wait()
        assert len(world.at_home()[b"film.mp4"]) == 300_000
        assert world.member().runner.looks.underway.staging == set()


@virtual
async def test_a_sync_ends_when_what_notices_were_bringing_is_home() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F" * 300_000)
        await gate.reached.wait()
        sync = world.member().work.start_sync()
        await asyncio.sleep(60)
        assert not sync.ended.is_set()
        gate.open.set()
        await sync.ended.wait()
        assert sync.job.status is JobStatus.COMPLETE
        assert b"film.mp4" in world.at_home()
        assert world.facts.landed() == [b"film.mp4"], "once"


@virtual
async def test_a_sync_brings_what_a_notice_began_and_gave_up() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        world.home().room = gate = Gate()
        await world.put(b"film.mp4", b"F" * 300_000)
        await gate.reached.wait()
        sync = world.member().work.start_sync()
        await asyncio.sleep(1)
        world.member().runner.watching.interrupt()
        gate.open.set()
        await sync.ended.wait()
        assert (sync.job.status, sync.job.result and sync.job.result.files_transferred) == (JobStatus.COMPLETE, 1)


@virtual
async def test_what_a_notice_brings_while_a_listing_goes_on_is_not_taken_for_vanished() -> None:
    async with grounds(watched()) as world:
        for n in range(150):
            world.box().write(b"%04d.png" % n, b"%d" % n)
        await asyncio.sleep(5)
        assert len(world.at_home()) == 150
        between = world.store.manifest.between

        async def slow(*range_: Any) -> Sequence[ManifestRow]:
            """After the listing has shown a folder, a file appears in it and is pushed home; only then the manifest is asked."""
            await asyncio.sleep(1)
            if b"0149-new.png" not in world.box().files:
                world.box().write(b"0149-new.png", b"N")
            await asyncio.sleep(1)
            return await between(*range_)

        world.store.manifest.between = slow  # type: ignore[method-assign, assignment]
        await world.synced()
        (row,) = await world.store.manifest.current(world.member().standing.target.manifest, [source_path(b"0149-new.png")])
        assert row is not None and row.at_source is AtSource.PRESENT


@virtual
async def test_home_in_trouble_stops_the_push_and_everything_comes_when_it_is_back() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        world.home().trouble = DestinationMissing("/home is not mounted")
        for n in range(5):
            world.box().write(b"%d.png" % n, b"%d" % n)
            await asyncio.sleep(1)
        assert world.member().standing.state is State.WAITING
        world.home().trouble = None
        await asyncio.sleep(1)
        world.member().work.look()
        await asyncio.sleep(5)
        assert len(world.at_home()) == 5
        assert world.heard.said == ["/home is not mounted", "well again: /home is not mounted"]


@virtual
async def test_what_a_look_brought_after_trouble_at_home_is_not_missing_when_the_box_breaks_off() -> None:
    """Noticed while the disk was full, brought by a look: a box that died then showed a backlog that was home."""
    cut, gone = CutWatch(0), RefuseConnections(0, SourceUnreachable())
    async with grounds(watched(), faults=(cut, gone)) as world:
        await asyncio.sleep(5)
        world.home().trouble = DestinationMissing("/home is not mounted")
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(3)
        world.home().trouble = None
        await world.synced()
        assert set(world.at_home()) == {b"a.png"}
        cut.left, gone.left = 1, 10**9
        world.box().write(b"b.png", b"B")
        await asyncio.sleep(5)
        assert not world.member().standing.watching
        assert world.member().standing.backlog == (0, 0)
        assert world.member().standing.lag_s == 0.0


@virtual
async def test_a_paused_target_brings_nothing_and_what_is_under_way_stops() -> None:
    async with grounds(watched()) as world:
        await asyncio.sleep(5)
        world.home().room = gate = Gate()
        world.box().write(b"film.mp4", b"F")
        await gate.reached.wait()
        world.member().standing.paused(Pause(1))
        world.member().runner.watching.interrupt()
        gate.open.set()
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(600)
        assert world.at_home() == {}
        world.member().standing.paused(None)
        world.member().work.look()
        await asyncio.sleep(1)
        assert set(world.at_home()) == {b"film.mp4", b"a.png"}


@virtual
async def test_a_box_that_cannot_watch_is_polled() -> None:
    async with grounds() as world:
        world.capabilities["watching"] = False
        await world.apply(watched())
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(5)
        assert not world.member().standing.watching
        assert world.at_home() == {b"a.png": b"A"}
        assert world.member().work.poll() is True


@virtual
async def test_a_limit_of_the_box_is_a_hint_and_heals() -> None:
    class Limited(Fault):
        unwatched = 3

        def before_notices(self, box: MemoryBox, notices: Notices) -> Notices:
            return replace(notices, unwatched=self.unwatched)

    limited = Limited()
    async with grounds(watched(), faults=(limited,)) as world:
        await asyncio.sleep(5)
        (problem,) = world.member().standing.conditions.problems
        assert (problem.kind, problem.message) == ("watch", "3 folders are not watched")
        assert "max_user_watches" in problem.hint
        limited.unwatched = 0
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(1)
        assert world.member().standing.conditions.problems == ()


@virtual
async def test_a_watch_that_is_refused_is_a_hint_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(self: MemorySource, folders: object = ()) -> AsyncGenerator[Notices, None]:
        if self.box.clock_ns:
            raise NotSupported("the box has no inotify instances left", hint="raise fs.inotify.max_user_instances")
        yield Notices()

    monkeypatch.setattr(MemorySource, "watch", refuse)
    async with grounds(watched()) as world:
        await world.put(b"a.png", b"A")
        assert world.member().work.poll() is True
        await asyncio.sleep(1)
        assert [problem.kind for problem in world.member().standing.conditions.problems] == ["watch"]
        assert world.at_home() == {b"a.png": b"A"}
        assert world.opened == ["box"]


@virtual
async def test_a_target_with_a_cron_line_is_looked_at_only_when_that_says_so() -> None:
    async with grounds(target(timing=Timing(schedule="0 3 * * *", watch=True))) as world:
        world.box().write(b"a.png", b"A")
        await asyncio.sleep(3_600)
        assert world.at_home() == {}
        assert world.member().work.poll() is True
        await asyncio.sleep(5)
        assert world.at_home() == {b"a.png": b"A"}


@virtual
async def test_twenty_cuts_lose_nothing() -> None:
    cuts = CutWatch(20)
    async with grounds(watched(), faults=(cuts, RefuseConnections(0), CutListing(0, 0))) as world:
        await asyncio.sleep(5)
        for n in range(200):
            world.box().write(b"%d.png" % n, b"%d" % n)
            await asyncio.sleep(0.2)
        await asyncio.sleep(10)
        assert len(world.at_home()) == 200
        assert cuts.left == 0
