"""What every store must do. A body's test module inherits this suite and says how to open it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from forged.model.alarms import Alarm, AlarmKind
from forged.model.boxes import Box, BoxId, BoxState, KnownBox
from forged.model.errors import StoreError
from forged.model.events import EventId
from forged.model.files import Entry, Stat
from forged.model.jobs import Job, JobId, JobResult, JobStatus
from forged.model.manifest import AtSource, Hold, HostKeyPin, ManifestRow, Pause
from forged.model.paths import SourcePath, home_path, source_path
from forged.model.target import SourceAddress, SourceKind
from forged.store.base import JOBS_KEPT, MOST_EVENTS_BYTES, Store
from forged.store.journal import MOST_PATHS
from tests.store.contract_handing import AsideContract, IngestsContract
from tests.store.contract_media import CopiesContract, MediaContract
from tests.store.samples import COMFY, FORGE, event, job, row

A, B, C = source_path(b"a.png"), source_path(b"b.png"), source_path(b"c.png")


async def history(store: Store, path: SourcePath) -> list[ManifestRow]:
    return [version async for version in store.manifest.history(FORGE, path)]


async def current(store: Store) -> list[ManifestRow]:
    return list(await store.manifest.between(FORGE, None, None, 10_000))


class ManifestContract:
    async def test_an_unknown_manifest_is_empty(self, store: Store) -> None:
        assert await current(store) == []
        assert await store.manifest.count(FORGE) == (0, 0)
        assert await store.manifest.current(FORGE, [A]) == [None]
        assert await history(store, A) == []
        assert await store.manifest.forget(FORGE) == 0

    async def test_what_was_recorded_is_answered_exactly(self, store: Store) -> None:
        odd = structs.replace(row(b"\xff\n|'\"/-/~%.png"), incomplete=True, at_source=AtSource.GONE, tombstone_at_ns=-1)
        await store.manifest.record(FORGE, [odd])
        assert await current(store) == [odd]

    @pytest.mark.parametrize(
        "stat",
        [
            Stat(0, 0),
            Stat(2**62, -1, None, None),
            Stat(1, 2**63 - 1, 2**63 - 1, -(2**63)),
            Stat(1, 1, 2**64 - 1, 1),
            Stat(1, 2**80, None, -(2**80)),
        ],
        ids=["nothing", "before 1970", "the edge", "an inode of 64 bits", "times beyond all reason"],
    )
    async def test_a_stat_comes_back_exactly(self, store: Store, stat: Stat) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")])
        await store.manifest.restat(FORGE, [(A, stat)])
        await store.manifest.record(FORGE, [structs.replace(row(b"b.png"), stat=stat)])
        assert [r.stat for r in await current(store)] == [stat, stat]

    async def test_manifests_do_not_see_each_other(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")])
        await store.manifest.record(COMFY, [row(b"a.png", b"other"), row(b"b.png")])
        await store.manifest.mark(COMFY, [A], AtSource.GONE)
        assert await store.manifest.forget(COMFY, [B]) == 1
        assert await current(store) == [row(b"a.png")]
        assert await store.manifest.count(COMFY) == (1, 5)

    async def test_rows_come_in_the_order_of_their_bytes(self, store: Store) -> None:
        names = [b"a", b"a b", b"a/b", b"a-", b"B", b"\xff", b"\xc3\xa9", b"a\x01"]
        await store.manifest.record(FORGE, [row(name) for name in names])
        assert [r.path for r in await current(store)] == sorted(names)

    async def test_between_excludes_its_beginning_and_includes_its_end(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png"), row(b"b.png"), row(b"c.png")])
        between = store.manifest.between
        assert [r.path for r in await between(FORGE, A, B, 10)] == [B]
        assert [r.path for r in await between(FORGE, None, B, 10)] == [A, B]
        assert [r.path for r in await between(FORGE, B, None, 10)] == [C]
        assert [r.path for r in await between(FORGE, None, None, 2)] == [A, B]
        assert await between(FORGE, B, A, 10) == []
        assert await between(FORGE, None, None, 0) == []

    async def test_pages_of_any_size_add_up_to_the_whole(self, store: Store) -> None:
        rows = [row(b"%05d.png" % n) for n in range(2_345)]
        await store.manifest.record(FORGE, rows)
        for limit in (7, 1_000, 1_001, 2_345, 5_000):
            pages, after = [], None
            while page := await store.manifest.between(FORGE, after, None, limit):
                assert len(page) <= limit
                pages += page
                after = page[-1].path
            assert pages == rows

    async def test_outlines_are_those_of_the_rows_that_are_present(self, store: Store) -> None:
        huge = Stat(1, 2**80, 2**64 - 1, None)
        rows = [row(b"a.png"), structs.replace(row(b"b.png"), stat=huge), row(b"c.png"), row(b"d.png"), row(b"e.png")]
        await store.manifest.record(FORGE, [row(b"a.png", b"older"), *rows])
        await store.manifest.mark(FORGE, [C], AtSource.REMOVED)
        await store.manifest.mark(FORGE, [source_path(b"d.png")], AtSource.GONE)
        await store.manifest.entomb(FORGE, [A], 1)
        a, b, e = (Entry(rows[n].path, rows[n].stat).outline for n in (0, 1, 4))
        assert b == (B, 1, 2**80, 2**64 - 1, None)
        outlines = store.manifest.outlines
        assert list(await outlines(FORGE, None, None, 10)) == [a, b, e]
        assert list(await outlines(FORGE, A, source_path(b"e.png"), 10)) == [b, e]
        assert list(await outlines(FORGE, None, B, 1)) == [a]
        assert list(await outlines(FORGE, B, source_path(b"d.png"), 10)) == []
        assert list(await outlines(COMFY, None, None, 10)) == []

    async def test_current_rows_come_in_the_order_asked(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", b"old"), row(b"c.png")])
        await store.manifest.record(FORGE, [row(b"a.png", b"new")])
        asked = [C, B, A, C]
        assert await store.manifest.current(FORGE, asked) == [row(b"c.png"), None, row(b"a.png", b"new"), row(b"c.png")]
        many = [source_path(b"%d" % n) for n in range(2_000)]
        assert await store.manifest.current(FORGE, [*many, A]) == [None] * 2_000 + [row(b"a.png", b"new")]

    async def test_a_new_version_becomes_current_and_the_former_one_history(self, store: Store) -> None:
        old, new, newest = row(b"a.png", b"old"), row(b"a.png", b"newer"), row(b"a.png", b"newest")
        for version in (old, new, newest):
            await store.manifest.record(FORGE, [version])
        assert await current(store) == [newest]
        assert await history(store, A) == [newest, new, old]
        assert await store.manifest.count(FORGE) == (1, 6)

    async def test_the_same_row_again_changes_nothing(self, store: Store) -> None:
        rows = [row(b"a.png"), row(b"b.png")]
        for _ in range(3):
            await store.manifest.record(FORGE, rows)
        assert await current(store) == rows
        assert await history(store, A) == [rows[0]]

    async def test_known_and_new_paths_may_come_together(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png"), row(b"b.png", b"old")])
        await store.manifest.record(FORGE, [row(b"a.png"), row(b"b.png", b"new"), row(b"c.png")])
        assert await current(store) == [row(b"a.png"), row(b"b.png", b"new"), row(b"c.png")]
        assert [len(await history(store, path)) for path in (A, B, C)] == [1, 2, 1]

    async def test_of_several_rows_of_one_path_the_last_is_current(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", b"1"), row(b"b.png"), row(b"a.png", b"2"), row(b"a.png", b"3")])
        assert [r.sha256 for r in await history(store, A)] == [row(b"a.png", content).sha256 for content in (b"3", b"2", b"1")]

    async def test_content_that_came_back_is_a_version_again(self, store: Store) -> None:
        first, other, again = row(b"a.png", b"x"), row(b"a.png", b"y"), row(b"a.png", b"x", landed_at_ns=9)
        for version in (first, other, again):
            await store.manifest.record(FORGE, [version])
        assert await history(store, A) == [again, other]

    async def test_what_was_replaced_at_home_leaves_no_history(self, store: Store) -> None:
        beside, last = row(b"a.png", b"beside"), structs.replace(row(b"a.png", b"99"), home=row(b"a.png", b"0").home)
        for n in range(100):
            await store.manifest.record(FORGE, [structs.replace(row(b"a.png", b"%d" % n), home=last.home)])
            await store.manifest.record(FORGE, [beside] if n == 50 else [])
        assert await history(store, A) == [last, beside]
        assert await store.manifest.count(FORGE) == (1, 2)

    async def test_of_one_bulk_only_what_is_left_at_home_is_history(self, store: Store) -> None:
        one, two, three = (structs.replace(row(b"a.png", content), home=row(b"a.png", b"0").home) for content in (b"1", b"2", b"3"))
        await store.manifest.record(FORGE, [one, row(b"b.png"), two, row(b"a.png", b"beside"), three])
        assert await history(store, A) == [three, row(b"a.png", b"beside")]

    async def test_a_long_history_comes_whole(self, store: Store) -> None:
        versions = [row(b"a.png", b"%d" % n) for n in range(1_100)]
        await store.manifest.record(FORGE, versions[:1_050])
        await store.manifest.record(FORGE, versions[1_050:])
        assert await history(store, A) == versions[::-1]

    async def test_where_some_content_of_a_path_is_at_home(self, store: Store) -> None:
        old, new = row(b"a.png", b"old"), row(b"a.png", b"new")
        await store.manifest.record(FORGE, [old, new, row(b"b.png", b"elsewhere")])
        assert await store.manifest.homes(FORGE, A, old.sha256) == old
        assert await store.manifest.homes(FORGE, A, new.sha256) == new
        assert await store.manifest.homes(FORGE, A, row(b"b.png", b"elsewhere").sha256) is None
        twice = row(b"a.png", b"old", landed_at_ns=9)
        await store.manifest.record(FORGE, [twice])
        assert await store.manifest.homes(FORGE, A, old.sha256) == twice

    async def test_restat_touches_the_current_row_only_and_makes_it_present(self, store: Store) -> None:
        old, new, touched = row(b"a.png", b"old"), row(b"a.png", b"new"), Stat(3, 99, None, 4)
        await store.manifest.record(FORGE, [old, new])
        await store.manifest.mark(FORGE, [A], AtSource.GONE)
        await store.manifest.restat(FORGE, [(A, touched), (B, touched)])
        assert await history(store, A) == [structs.replace(new, stat=touched), old]
        assert await history(store, B) == []

    async def test_mark_says_how_it_is_at_the_source(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", b"old"), row(b"a.png"), row(b"b.png")])
        await store.manifest.mark(FORGE, [A, C], AtSource.REMOVED)
        assert [r.at_source for r in await current(store)] == [AtSource.REMOVED, AtSource.PRESENT]
        assert [r.at_source for r in await history(store, A)] == [AtSource.REMOVED, AtSource.PRESENT]

    async def test_a_tombstone_keeps_its_time_and_ends_with_a_new_version(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")])
        await store.manifest.entomb(FORGE, [A, B], 10)
        await store.manifest.entomb(FORGE, [A], 20)
        assert await current(store) == [structs.replace(row(b"a.png"), tombstone_at_ns=10)]
        await store.manifest.record(FORGE, [row(b"a.png", b"new")])
        assert await current(store) == [row(b"a.png", b"new")]

    async def test_forgetting_takes_all_versions_and_counts_paths(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png", b"old"), row(b"a.png", b"new"), row(b"b.png"), row(b"c.png")])
        assert await store.manifest.forget(FORGE, [A, C, A, source_path(b"unknown")]) == 2
        assert await history(store, A) == []
        assert await current(store) == [row(b"b.png")]
        assert await store.manifest.forget(FORGE) == 1
        assert await store.manifest.count(FORGE) == (0, 0)

    async def test_nothing_to_do_is_no_error(self, store: Store) -> None:
        await store.manifest.record(FORGE, [])
        await store.manifest.restat(FORGE, [])
        await store.manifest.mark(FORGE, [], AtSource.GONE)
        await store.manifest.entomb(FORGE, [], 1)
        assert await store.manifest.current(FORGE, []) == []
        assert await store.manifest.forget(FORGE, []) == 0


class JournalContract:
    async def written(self, store: Store, since: int) -> list[SourcePath] | None:
        paths = store.manifest.written(FORGE, since).paths
        return None if paths is None else list(paths)

    async def test_before_the_first_mark_nobody_can_tell(self, store: Store) -> None:
        assert store.manifest.written(FORGE, 0).paths is None
        assert store.manifest.written(FORGE, 99).paths is None

    async def test_every_way_to_write_is_in_the_journal_of_its_manifest(self, store: Store) -> None:
        mark = store.manifest.written(FORGE, 0).mark
        assert await self.written(store, mark) == []
        manifest = store.manifest
        await manifest.record(FORGE, [row(b"a.png"), row(b"b.png")])
        await manifest.record(COMFY, [row(b"c.png")])
        await manifest.record(FORGE, [], [event()])
        assert await self.written(store, mark) == [A, B]
        await manifest.restat(FORGE, [(A, Stat(1, 1))])
        await manifest.mark(FORGE, [B], AtSource.GONE)
        await manifest.entomb(FORGE, [A], 1)
        assert await manifest.forget(FORGE, [B, C]) == 1
        assert await self.written(store, mark) == [A, B, A, B, A, B, C]

    async def test_marks_cut_the_journal(self, store: Store) -> None:
        first = store.manifest.written(FORGE, 0).mark
        await store.manifest.record(FORGE, [row(b"a.png")])
        second = store.manifest.written(FORGE, first).mark
        await store.manifest.record(FORGE, [row(b"b.png")])
        assert await self.written(store, first) == [A, B]
        assert await self.written(store, second) == [B]
        assert await self.written(store, second) == [B]
        assert await self.written(store, first) is None  # forgotten, when the second was asked from

    async def test_forgetting_everything_is_more_than_can_be_told(self, store: Store) -> None:
        mark = store.manifest.written(FORGE, 0).mark
        await store.manifest.record(FORGE, [row(b"a.png")])
        await store.manifest.forget(FORGE)
        unknown = store.manifest.written(FORGE, mark)
        assert unknown.paths is None
        assert await self.written(store, unknown.mark) == []

    async def test_the_journal_is_bounded(self, store: Store) -> None:
        mark = store.manifest.written(FORGE, 0).mark
        many = [source_path(b"%d" % n) for n in range(MOST_PATHS)]
        await store.manifest.mark(FORGE, many, AtSource.GONE)
        assert await self.written(store, mark) == many
        await store.manifest.mark(FORGE, [A], AtSource.GONE)
        for earlier in range(mark, mark + MOST_PATHS + 1):
            assert await self.written(store, earlier) is None
        later = store.manifest.written(FORGE, mark).mark
        await store.manifest.mark(FORGE, [B], AtSource.GONE)
        assert await self.written(store, later) == [B]

    async def test_what_could_not_be_written_counts_as_written(self, store: Store) -> None:
        mark = store.manifest.written(FORGE, 0).mark
        await store.close()
        with pytest.raises(StoreError):
            await store.manifest.record(FORGE, [row(b"a.png")])
        assert await self.written(store, mark) == [A]


class OutboxContract:
    async def test_events_come_in_the_order_of_recording_with_ascending_ids(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")], [event("1"), event("2")])
        await store.manifest.record(COMFY, [], [event("3")])
        got = await store.outbox.after("catalog", 10)
        assert [e.body for e in got] == ["1", "2", "3"]
        assert [e.id for e in got] == sorted({e.id for e in got})
        assert [e.body for e in await store.outbox.after("catalog", 2)] == ["1", "2"]

    async def test_of_large_events_fewer_come_at_once(self, store: Store) -> None:
        large = "x" * (MOST_EVENTS_BYTES // 10)
        await store.manifest.record(FORGE, [], [event(large)] * 60)
        few = await store.outbox.after("catalog", 60)
        assert 11 <= len(few) <= 40
        assert len(await store.outbox.after("catalog", 3)) == 3
        await store.outbox.acknowledge("catalog", few[-1].id)
        assert (await store.outbox.after("catalog", 60))[0].id == few[-1].id + 1

    async def test_events_of_no_row_come_in_between_the_others(self, store: Store) -> None:
        await store.manifest.record(FORGE, [row(b"a.png")], [event("1")])
        await store.outbox.put([event("2"), event("3", key="")])
        await store.outbox.put([])
        await store.manifest.record(FORGE, [row(b"b.png")], [event("4")])
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["1", "2", "3", "4"]

    async def test_an_event_is_answered_exactly(self, store: Store) -> None:
        odd = event('{"prompt": "\ud800 \x00 é"}', key="out/\udcff.png")
        await store.manifest.record(FORGE, [], [odd])
        (got,) = await store.outbox.after("catalog", 10)
        assert (got.kind, got.target, got.at_ns, got.key, got.body) == (odd.kind, odd.target, odd.at_ns, odd.key, odd.body)

    async def test_a_row_that_was_known_puts_its_events_all_the_same(self, store: Store) -> None:
        for _ in range(2):
            await store.manifest.record(FORGE, [row(b"a.png")], [event()])
        assert len(await store.outbox.after("catalog", 10)) == 2

    async def test_each_handler_has_its_own_place_and_never_goes_back(self, store: Store) -> None:
        await store.manifest.record(FORGE, [], [event("1"), event("2"), event("3")])
        first, second, _ = await store.outbox.after("catalog", 10)
        await store.outbox.acknowledge("catalog", second.id)
        await store.outbox.acknowledge("catalog", first.id)
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["3"]
        assert [e.body for e in await store.outbox.after("webhook", 10)] == ["1", "2", "3"]
        assert (await store.outbox.waiting("catalog"), await store.outbox.waiting("webhook")) == (1, 3)

    async def test_only_what_all_handlers_have_taken_is_pruned(self, store: Store) -> None:
        await store.manifest.record(FORGE, [], [event("1"), event("2"), event("3")])
        first, second, _ = await store.outbox.after("catalog", 10)
        await store.outbox.acknowledge("catalog", second.id)
        assert await store.outbox.prune(["catalog", "webhook"]) == 0
        await store.outbox.acknowledge("webhook", first.id)
        assert await store.outbox.prune(["catalog", "webhook"]) == 1
        assert [e.body for e in await store.outbox.after("new", 10)] == ["2", "3"]

    async def test_without_handlers_nothing_waits_and_no_id_comes_twice(self, store: Store) -> None:
        await store.manifest.record(FORGE, [], [event("1"), event("2")])
        last = (await store.outbox.after("catalog", 10))[-1].id
        await store.outbox.acknowledge("catalog", last)
        assert await store.outbox.prune([]) == 2
        await store.manifest.record(FORGE, [], [event("3")])
        (got,) = await store.outbox.after("catalog", 10)
        assert got.body == "3"
        assert got.id > last

    async def test_an_acknowledgement_of_what_will_come_is_kept(self, store: Store) -> None:
        await store.outbox.acknowledge("catalog", EventId(1))
        assert await store.outbox.after("catalog", 10) == []


class JobsContract:
    async def save_jobs(self, store: Store, jobs: Sequence[Job]) -> None:
        """So many that a body may have a quicker way."""
        for one in jobs:
            await store.jobs.save(one)

    async def test_a_job_is_answered_exactly_and_replaced_by_its_id(self, store: Store) -> None:
        running = replace(job(1, JobStatus.SCANNING), folders=("txt2img-images", "é\udcff"))
        await store.jobs.save(running)
        assert await store.jobs.get(running.id) == running
        result = JobResult(False, 3, 2**40, 1.25, ("a.png: it changed while it was read", "\udcff"))
        ended = replace(running, status=JobStatus.FAILED, end_ns=9 * 10**9, result=result)
        await store.jobs.save(ended)
        assert await store.jobs.get(running.id) == ended
        assert await store.jobs.recent() == [ended]
        assert await store.jobs.get(JobId("unknown")) is None

    async def test_recent_jobs_come_newest_first_in_pages(self, store: Store) -> None:
        jobs = [job(n) for n in (3, 1, 5, 2, 4)]
        same_moment = [replace(job(n), start_ns=0) for n in (7, 6)]
        for one in (*jobs, *same_moment):
            await store.jobs.save(one)
        expected = ["job-00005", "job-00004", "job-00003", "job-00002", "job-00001", "job-00007", "job-00006"]
        assert [j.id for j in await store.jobs.recent()] == expected
        paged, before = [], None
        while page := await store.jobs.recent(2, before):
            paged += [j.id for j in page]
            before = page[-1]
        assert paged == expected

    async def test_the_last_jobs_are_kept_and_those_that_still_run(self, store: Store) -> None:
        await store.jobs.save(job(0, JobStatus.TRANSFERRING))
        await self.save_jobs(store, [job(n) for n in range(1, JOBS_KEPT)])
        for n in range(JOBS_KEPT, JOBS_KEPT + 3):
            await store.jobs.save(job(n))
        kept = await store.jobs.recent(JOBS_KEPT * 2)
        assert [j.id for j in kept] == [job(n).id for n in (*range(JOBS_KEPT + 2, 2, -1), 0)]


class NamesContract:
    async def test_a_pause_lasts_until_it_is_ended(self, store: Store) -> None:
        assert await store.flags.pause(FORGE) is None
        await store.flags.set_pause(FORGE, Pause(5))
        await store.flags.set_pause(FORGE, Pause(6))
        assert await store.flags.pause(FORGE) == Pause(6)
        assert await store.flags.pause(COMFY) is None
        await store.flags.set_pause(FORGE, None)
        assert await store.flags.pause(FORGE) is None

    async def test_a_hold_keeps_its_reason(self, store: Store) -> None:
        hold = Hold("many_gone", "300 of 310 files vanished: é\udcff", 5)
        await store.flags.set_hold(FORGE, hold)
        assert await store.flags.hold(FORGE) == hold
        assert await store.flags.hold(COMFY) is None
        assert await store.flags.pause(FORGE) is None
        await store.flags.set_hold(FORGE, None)
        assert await store.flags.hold(FORGE) is None

    async def test_a_release_is_known_until_a_look_has_believed_it(self, store: Store) -> None:
        await store.flags.set_released(FORGE, 2**62)
        assert (await store.flags.released(FORGE), await store.flags.released(COMFY)) == (2**62, None)
        await store.flags.set_released(FORGE, None)
        assert await store.flags.released(FORGE) is None

    async def test_a_trouble_is_known_since_it_began(self, store: Store) -> None:
        assert await store.flags.trouble(FORGE) is None
        await store.flags.set_trouble(FORGE, 2**62)
        assert (await store.flags.trouble(FORGE), await store.flags.trouble(COMFY)) == (2**62, None)
        await store.flags.set_trouble(FORGE, None)
        assert await store.flags.trouble(FORGE) is None

    async def test_a_limit_is_kept_until_it_is_forgotten(self, store: Store) -> None:
        assert await store.limits.kept() == {}
        await store.limits.keep("forge", "5MB/s")
        await store.limits.keep(None, "08:00,5MB/s 23:00,off")
        await store.limits.keep("forge", "off")
        assert await store.limits.kept() == {"forge": "off", None: "08:00,5MB/s 23:00,off"}
        await store.limits.keep(None, None)
        await store.limits.keep("unknown", None)
        assert await store.limits.kept() == {"forge": "off"}

    async def test_a_pin_is_replaced_by_a_newer_one(self, store: Store) -> None:
        old, new = HostKeyPin("ssh-ed25519 AAAA", "SHA256:a", 1), HostKeyPin("ssh-ed25519 BBBB", "SHA256:b", 2)
        assert await store.pins.pinned(FORGE) is None
        await store.pins.pin(FORGE, old)
        await store.pins.pin(FORGE, new)
        assert await store.pins.pinned(FORGE) == new
        assert await store.pins.pinned(COMFY) is None

    async def test_a_destination_is_known_by_its_marker(self, store: Store) -> None:
        assert await store.destinations.known_id("/srv/nas/\udcff") is None
        await store.destinations.remember("/srv/nas/\udcff", "1")
        await store.destinations.remember("/srv/nas/\udcff", "2")
        await store.destinations.remember("/srv/nas", "3")
        assert await store.destinations.known_id("/srv/nas/\udcff") == "2"

    async def test_the_identity_of_a_memory_stays(self, store: Store) -> None:
        identity = await store.identity()
        assert len(identity) == 16
        assert int(identity, 16) >= 0
        assert await store.identity() == identity


def known(id: str, **changes: object) -> KnownBox:
    direct = SourceAddress(SourceKind.SSH, "", "1.2.3.4", "root", 40022)
    proxy = SourceAddress(SourceKind.SSH, "", "ssh5.example", None, None)
    box = Box(BoxId(id), BoxState.RUNNING, (direct, proxy), "é\udcff", 2**62, "why \udc80")
    return replace(KnownBox(box), **changes)  # type: ignore[arg-type]


class BoxesContract:
    async def test_boxes_are_answered_exactly_in_the_order_of_their_ids(self, store: Store) -> None:
        bare = KnownBox(Box(BoxId("a"), BoxState.STOPPED))
        gone = known("b", missed=3, missing_since_ns=1, gone_since_ns=2, left_files=7, left_bytes=2**60, unseen=True)
        await store.boxes.remember("vast", [gone, bare])
        assert await store.boxes.known("vast") == [bare, gone]
        assert await store.boxes.known("runpod") == []

    async def test_what_is_not_among_them_any_more_is_forgotten(self, store: Store) -> None:
        await store.boxes.remember("vast", [known("a"), known("b")])
        await store.boxes.remember("runpod", [known("a")])
        await store.boxes.remember("vast", [known("b", missed=1)])
        assert await store.boxes.known("vast") == [known("b", missed=1)]
        assert await store.boxes.known("runpod") == [known("a")]
        await store.boxes.remember("vast", [])
        assert await store.boxes.known("vast") == []

    async def test_boxes_of_other_discoveries_can_be_forgotten(self, store: Store) -> None:
        for name in ("vast", "runpod", "mine"):
            await store.boxes.remember(name, [known("a")])
        await store.boxes.keep_only(["vast", "mine", "new"])
        assert [len(await store.boxes.known(name)) for name in ("vast", "runpod", "mine")] == [1, 0, 1]
        await store.boxes.keep_only([])
        assert await store.boxes.known("vast") == []

    async def test_an_alarm_lasts_until_it_ends_and_its_events_are_in_the_outbox(self, store: Store) -> None:
        lost, ending = Alarm(AlarmKind.LOST, "vast@1", 5), Alarm(AlarmKind.ENDING, "vast@1", 6)
        assert await store.alarms.raised() == []
        await store.alarms.raise_(lost, [event("lost")])
        await store.alarms.raise_(replace(lost, since_ns=9), [])
        await store.alarms.raise_(ending, [event("ending")])
        assert {one.kind: one for one in await store.alarms.raised()} == {lost.kind: lost, ending.kind: ending}
        await store.alarms.end(lost, [event("back")])
        await store.alarms.end(lost)
        assert await store.alarms.raised() == [ending]
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["lost", "ending", "back"]


class ClosingContract:
    async def test_after_closing_every_call_is_refused(self, store: Store) -> None:
        await store.close()
        await store.close()
        for call in (
            store.manifest.count(FORGE),
            store.manifest.record(FORGE, [row(b"a.png")]),
            store.media.waiting(FORGE, 1),
            store.media.of_home(FORGE, home_path(b"a.png")),
            store.copies.equals(None, 1),
            store.jobs.recent(),
            store.outbox.after("catalog", 1),
            store.flags.pause(FORGE),
            store.limits.kept(),
            store.pins.pinned(FORGE),
            store.destinations.known_id("/srv"),
            store.boxes.known("vast"),
            store.alarms.raised(),
            store.outbox.put([event()]),
            store.outbox.count_aside("catalog"),
            store.ingests.replays(),
            store.identity(),
        ):
            with pytest.raises(StoreError, match="closed"):
                await call


class StoreContract(
    ManifestContract,
    MediaContract,
    CopiesContract,
    JournalContract,
    OutboxContract,
    AsideContract,
    IngestsContract,
    JobsContract,
    NamesContract,
    BoxesContract,
    ClosingContract,
):
    """The whole suite. Inherit it beside a fixture `store` that opens an empty one."""
