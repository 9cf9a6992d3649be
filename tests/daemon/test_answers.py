"""Answers of the control socket stay below 1 MiB, whatever a hostile box calls its files, and pages add up to the whole."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

import pytest
from pydantic_core import to_json

from forged.control.errors import InvalidParams
from forged.control.peers import Level, Peer
from forged.control.protocol import LINE_MOST_BYTES
from forged.control.publisher import Connection, Publisher
from forged.control.sending import Backlog, SendQueue
from forged.daemon import answers
from forged.daemon.jobbook import JobBook
from forged.daemon.methods_files import FileMethods
from forged.daemon.methods_service import RECENT_EVENTS, LiveEvents
from forged.daemon.methods_sync import SyncMethods
from forged.daemon.methods_target import TargetMethods
from forged.daemon.progress import Progress
from forged.kit.clock import HandClock
from forged.model import rpc
from forged.model.errors import ForgedError, SourceUnreachable
from forged.model.files import Entry, Stat
from forged.model.jobs import Job, JobResult, JobStatus, new_job_id
from forged.model.observer import FilesLanded
from forged.model.paths import home_path, source_path
from forged.model.target import CleanupPolicy
from forged.model.transfer import Landed, LandedAs
from forged.sources.memory_faults import RefuseConnections
from forged.store.memory import MemoryStore
from tests.daemon.grounds import Grounds, grounds, target
from tests.support.virtual import virtual

HOSTILE = [b"\x1b" * 250, b"\xff" * 250, b'"\\' * 125, "\U000e0001".encode() * 62, "é".encode() * 125, b"\n" * 250]


def hostile(number: int) -> bytes:
    """A path of nearly 4,096 bytes, in which every character has to be escaped."""
    part = HOSTILE[number % len(HOSTILE)]
    return b"/".join([part] * 15 + [b"%06d" % number + part[:200]])


def size(answer: object) -> int:
    return len(to_json({"jsonrpc": "2.0", "id": "x" * 300, "result": answer}, inf_nan_mode="null"))


async def a_hostile_box(world: Grounds, files: int) -> list[bytes]:
    paths = sorted(hostile(n) for n in range(files))
    for path in paths:
        world.box().write(path, b"x")
    await asyncio.sleep(3)
    return paths


def exact(row: Any) -> bytes:
    """The name that a row means."""
    return base64.b64decode(row["path_b64"]) if "path_b64" in row else row["path"].encode()


@virtual
async def test_pages_of_the_manifest_are_cut_where_they_are_full_and_name_every_file_once() -> None:
    async with grounds(target()) as world:
        await a_hostile_box(world, 120)
        await world.synced()
        methods = FileMethods(world.fleet, world.store)
        files, cursor, pages = 0, None, 0
        while True:
            page = await methods.list_files("box", limit=500, cursor=cursor)
            assert size(page) <= LINE_MOST_BYTES
            files, pages, cursor = files + len(page["files"]), pages + 1, page["next_cursor"]
            if cursor is None:
                break
        assert (files, page["total_files"]) == (120, 120)
        assert pages > 1


@virtual
async def test_pages_of_changes_and_of_a_comparison_add_up_too() -> None:
    async with grounds(target()) as world:
        await world.synced()
        paths = await a_hostile_box(world, 300)
        for n in range(600):
            world.box().link(b"link %d" % n)
        files, targets = FileMethods(world.fleet, world.store), TargetMethods(world.fleet, world.discoveries, world)  # type: ignore[arg-type]
        seen, cursor = 0, None
        while True:
            page = await files.changes("box", limit=500, cursor=cursor)
            assert size(page) <= LINE_MOST_BYTES
            assert page["listed_files"] == 300
            seen, cursor = seen + len(page["changes"]), page["next_cursor"]
            if cursor is None:
                break
        assert seen == 300
        rows: list[rpc.Compared] = []
        counted, cursor = 0, None
        while True:
            compared = await targets.verify("box", limit=500, cursor=cursor)
            assert size(compared) <= LINE_MOST_BYTES
            rows, cursor = rows + compared["rows"], compared["next_cursor"]
            counted += sum(compared["counts"].values())
            if cursor is None:
                break
        assert counted == len(rows) == 900
        assert {row["path"] for row in rows if row.get("why") == "link"} == {f"link {n}" for n in range(600)}
        assert len({row["path"] for row in rows}) == 900 == len(paths) + 600
        assert world.opened == ["box"], "looking does not cost the connection"


@virtual
async def test_a_cleanup_and_a_drain_name_what_fits_and_count_the_rest() -> None:
    async with grounds(target(cleanup=CleanupPolicy(age_s=60.0, max_files_per_batch=10_000))) as world:
        await a_hostile_box(world, 300)
        await world.synced()
        await asyncio.sleep(600)
        methods = FileMethods(world.fleet, world.store)
        dry = await methods.cleanup("box", dry_run=True)
        assert size(dry) <= LINE_MOST_BYTES
        assert dry["files_deleted"] == 300 > len(dry["removed"]) > 10
        world.home().files.clear()
        drained = await TargetMethods(world.fleet, world.discoveries, world).drain("box")  # type: ignore[arg-type]
        assert size(drained) <= LINE_MOST_BYTES
        assert drained["safe_to_destroy"] is False


def job(errors: int) -> Job:
    sentences = tuple(f"{answers.path_of(hostile(n))['path']}: no permission" for n in range(errors))
    return Job(new_job_id(), "box", JobStatus.FAILED, 0, (), 1, JobResult(False, 0, 0, 1.0, sentences))


def test_a_job_says_what_went_wrong_in_sentences_of_bearable_length() -> None:
    shown = answers.job(job(100))
    assert shown["result"] is not None
    errors = shown["result"]["errors"]
    assert len(errors) == 100
    assert all(len(error) <= answers.SENTENCE_CHARS and error.endswith(": no permission") for error in errors)
    assert answers.clipped("short") == "short"


COUNT = 30


async def test_jobs_that_went_wrong_for_many_reasons_come_on_pages() -> None:
    """A hundred reasons each, as a folder makes that forged may not read."""
    store = MemoryStore()
    book = JobBook(store, HandClock(), lambda active, stage: None, lambda job, kept: None)
    sad = JobResult(False, 0, 0, 1.0, tuple(f"{n}: " + "\x1b" * 400 for n in range(100)))
    for n in range(COUNT):
        await store.jobs.save(Job(new_job_id(), "box", JobStatus.FAILED, n * 10**9, (), n * 10**9, sad))
    world: Any = None  # neither a fleet nor ad-hoc syncs are asked
    methods, told, cursor, pages = SyncMethods(world, world, book, HandClock()), list[str](), None, 0
    while pages == 0 or cursor is not None:
        page = await methods.list_jobs(cursor=cursor)
        assert size(page) <= LINE_MOST_BYTES
        told, pages, cursor = told + [job["start_time"][17:19] for job in page["jobs"]], pages + 1, page["next_cursor"]
    assert told == [f"{n:02}" for n in range(COUNT - 1, -1, -1)] and pages > 1


@virtual
async def test_targets_with_long_troubles_come_on_pages() -> None:
    trouble = SourceUnreachable("\U0001f4a5" * 40_000, hint="\U0001f4a5" * 40_000)
    names = [f"box{n}" for n in range(500)]
    async with grounds(*(target(name) for name in names), faults=(RefuseConnections(10**9, trouble),)) as world:
        methods = TargetMethods(world.fleet, world.discoveries, world)  # type: ignore[arg-type]
        found: list[str] = []
        cursor = None
        while True:
            page = await methods.list_targets(cursor=cursor)
            assert size(page) <= LINE_MOST_BYTES
            found += [row["name"] for row in page["targets"]]
            if (cursor := page["next_cursor"]) is None:
                break
        assert found == names


def test_the_folder_of_a_job_is_that_of_the_file_that_landed_last() -> None:
    progress = Progress(HandClock())
    one = Job(new_job_id(), "box", JobStatus.TRANSFERRING, 0)

    def folder(path: bytes, *folders: str) -> str | None:
        landed = Landed(Entry(source_path(path), Stat(1, 1)), home_path(b"x"), b"s" * 32, LandedAs.NEW)
        progress.notice(FilesLanded("box", [landed], source_now_ns=1))
        return answers.progress(replace(one, folders=folders), progress.targets["box"], 0.0)["current_folder"]

    progress.expect(["box"])
    assert answers.progress(one, progress.targets["box"], 0.0)["current_folder"] is None
    assert answers.progress(replace(one, folders=("a", "b")), progress.targets["box"], 0.0)["current_folder"] == "a"
    assert folder(b"txt2img-images/2026-11-28/1.png") == "txt2img-images"
    assert folder(b"b/c/1.png", "a", "b", "b/c") == "b/c"
    assert folder(b"1.png") is None
    assert folder(b"\xff\x1b/1.png") == "\\xff\\x1b"


def test_recent_events_fit_and_the_newest_are_told() -> None:
    events, failed = LiveEvents(Publisher(), HandClock()), job(20)
    for _ in range(2 * RECENT_EVENTS):
        events.job_ended(failed)
    assert len(events.recent) == RECENT_EVENTS
    newest_first = answers.fitting(list(reversed(events.recent)), 2 * answers.ROOM_BYTES)
    assert RECENT_EVENTS > len(newest_first) > 10
    assert newest_first[0]["id"] == 2 * RECENT_EVENTS
    assert size(newest_first) <= LINE_MOST_BYTES


def test_an_event_of_a_landed_file_has_a_readable_name_and_the_exact_one() -> None:
    events = LiveEvents(Publisher(), HandClock())
    path = hostile(1)
    landed = Landed(Entry(source_path(path), Stat(1, 1)), home_path(b"a.png"), b"s" * 32, LandedAs.NEW)
    events.notice(FilesLanded("box", [landed], source_now_ns=500_000_001))
    (event,) = events.recent
    assert event["kind"] == "file_synced"
    assert exact(event["body"]) == path
    assert event["body"]["latency_seconds"] == 0.5


class Heard(SendQueue):
    """Counts what a peer is told."""

    def __init__(self) -> None:
        super().__init__(Backlog(), lambda: None, lambda: None)
        self.lines = 0

    def put_note(self, line: bytes, slot: Hashable = None) -> None:
        self.lines += 1


@pytest.mark.parametrize("listening", [True, False])
def test_of_many_files_at_once_the_last_are_kept_and_who_listens_hears_of_all(listening: bool) -> None:
    publisher, queue = Publisher(), Heard()
    connection = Connection(Peer(0, 0, 1, frozenset(), Level.LOOK), queue, publisher, lambda: None)
    if listening:
        connection.subscribe("event", "box")
    events = LiveEvents(publisher, HandClock())
    many = [Landed(Entry(source_path(b"%d" % n), Stat(1, 1)), home_path(b"%d" % n), b"s" * 32, LandedAs.NEW) for n in range(999)]
    events.notice(FilesLanded("box", many, source_now_ns=1))
    assert [event["key"] for event in events.recent] == [str(n) for n in range(999 - RECENT_EVENTS, 999)]
    assert [event["id"] for event in events.recent] == list(range(1_000 - RECENT_EVENTS, 1_000))
    assert queue.lines == (999 if listening else 0)


@virtual
async def test_a_cursor_that_is_none_of_ours_is_said_to_be_so() -> None:
    async with grounds(target()) as world:
        await world.synced()
        for cursor in ("?", "Ly8=", "L3g="):
            with pytest.raises(InvalidParams) as refused:
                await TargetMethods(world.fleet, world.discoveries, world).verify("box", cursor=cursor)  # type: ignore[arg-type]
            assert "cursor" in refused.value.hint


@virtual
async def test_a_bad_cursor_is_a_bad_parameter_wherever_it_is_given() -> None:
    """-32602, as the specification has it; some methods said -32000, and a client could not tell it from trouble at the box."""
    async with grounds(target()) as world:
        await world.synced()
        files, targets = FileMethods(world.fleet, world.store), TargetMethods(world.fleet, world.discoveries, world)  # type: ignore[arg-type]
        syncs = SyncMethods(world.fleet, world, world.jobs, world.clock)  # type: ignore[arg-type]
        for cursor in ("nobody's", "Lw==", "é"):
            for asked in (
                files.list_files("box", cursor=cursor),
                targets.list_targets(cursor=cursor),
                syncs.list_jobs(cursor=cursor),
            ):
                with pytest.raises(InvalidParams) as refused:
                    await asked
                assert (refused.value.code, "next_cursor" in refused.value.hint) == (-32602, True)
        with pytest.raises(InvalidParams):
            await files.changes("box", cursor="é")


@virtual
async def test_a_plan_has_an_end_even_if_what_is_behind_the_cursor_came_home_meanwhile() -> None:
    async with grounds(target()) as world:
        await world.put(b"a.png", b"A")
        page = await FileMethods(world.fleet, world.store).changes("box", cursor=base64.b64encode(b"b.png").decode())
        assert (page["changes"], page["next_cursor"]) == ([], None)


@virtual
async def test_forgetting_what_nobody_knows_is_said_to_be_nothing() -> None:
    async with grounds(target()) as world:
        await world.put(b"a/1.png", b"1")
        await world.put(b"a/2.png", b"2")
        await world.synced()
        methods = FileMethods(world.fleet, world.store)
        assert await methods.forget("box", paths=["b", "a/3.png"]) == {
            "success": False,
            "message": "nothing is remembered by that name",
            "files": 0,
        }
        assert await methods.forget("box", paths=["a/1.png"]) == {"success": True, "message": "1 file is forgotten", "files": 1}
        assert (await methods.forget("box", paths=["b", "a"]))["success"] is True


@virtual
async def test_parameters_that_cannot_be_read_are_said_to_be_so() -> None:
    async with grounds(target()) as world:
        files, targets = FileMethods(world.fleet, world.store), TargetMethods(world.fleet, world.discoveries, world)  # type: ignore[arg-type]
        with pytest.raises(ForgedError, match="no base64"):
            await files.forget("box", paths_b64=["="])
        with pytest.raises(InvalidParams) as refused:
            await targets.drain("box", timeout="soon")
        assert "`timeout`: 'soon' is no duration" in refused.value.hint
