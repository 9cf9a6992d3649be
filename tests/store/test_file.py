"""The file under the store: made for its owner only, checked at opening, set aside when damaged, never deleted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from forged.kit import sql
from forged.kit.clock import HandClock
from forged.model.errors import StoreDamaged, StoreError, StoreForeign, StoreTooNew
from forged.model.jobs import JobResult, JobStatus
from forged.model.manifest import AtSource
from forged.model.paths import source_path
from forged.store.jobs import INTERRUPTED
from forged.store.sqlite import begin_anew, open_store
from tests.store.samples import FORGE, event, job, row

NOON_NS = 1_700_000_000 * 10**9  # 2023-11-14 22:13:20 UTC


async def filled(file: Path, rows: int = 3_000) -> None:
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"%06d.png" % n) for n in range(rows)], [event()])
    await store.close()


async def rows_in(file: Path) -> int:
    store = await open_store(file)
    try:
        return (await store.manifest.count(FORGE))[0]
    finally:
        await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "forged.db"


async def test_folder_and_files_are_made_for_their_owner_only(file: Path) -> None:
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"a.png")])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (file.parent, *file.parent.iterdir())}
    await store.close()
    assert modes.pop("state") == 0o700
    assert modes == dict.fromkeys(("forged.db", "forged.db-wal", "forged.db-shm", "forged.db.id"), 0o600)


async def test_what_was_remembered_is_there_after_reopening(file: Path) -> None:
    await filled(file)
    assert await rows_in(file) == 3_000
    assert {path.name for path in file.parent.iterdir()} == {"forged.db", "forged.db.id"}


async def test_a_name_with_signs_of_urls_is_only_a_name(tmp_path: Path) -> None:
    file = tmp_path / "a?mode=memory#%41 é" / "forged.db"
    await filled(file, rows=1)
    assert await rows_in(file) == 1


async def test_the_rest_of_a_creation_that_was_killed_is_no_obstacle(file: Path) -> None:
    file.parent.mkdir()
    for name in ("forged.db.new", "forged.db.new-journal"):
        (file.parent / name).write_bytes(b"half")
    assert await rows_in(file) == 0
    assert {path.name for path in file.parent.iterdir()} == {"forged.db", "forged.db.id"}


def cut_to_nothing(file: Path) -> None:
    os.truncate(file, 0)


def cut_in_half(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def cut_within_a_page(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1_000)


def filled_with_garbage(file: Path) -> None:
    file.write_bytes(b"\0garbage" * 10_000)


def one_page_overwritten(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 4096 // 2 * 4096)
        opened.write(b"\xff" * 4096)


def of_another_program(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE songs (title TEXT)")
    other.close()


HARMS = [cut_to_nothing, cut_in_half, cut_within_a_page, filled_with_garbage, one_page_overwritten]


@pytest.mark.parametrize("harm", HARMS)
async def test_a_damaged_file_is_refused_by_name_and_left_as_it_is(file: Path, harm: object) -> None:
    assert callable(harm)
    await filled(file)
    harm(file)
    before = file.read_bytes()
    with pytest.raises(StoreDamaged) as refused:
        await open_store(file)
    assert str(file) in refused.value.message
    assert "keeps the damaged one" in refused.value.hint
    assert file.read_bytes() == before


async def test_the_database_of_another_program_is_not_damaged_and_not_touched(file: Path) -> None:
    await filled(file)
    of_another_program(file)
    before = file.read_bytes()
    with pytest.raises(StoreForeign, match=r"forged\.db"):
        await open_store(file)
    assert file.read_bytes() == before


async def test_damage_that_appears_while_open_is_told_as_damage(file: Path) -> None:
    await filled(file)
    store = await open_store(file)
    filled_with_garbage(file)
    with pytest.raises(StoreDamaged, match=r"forged\.db"):
        await store.manifest.between(FORGE, None, None, 5_000)
    await store.close()


async def test_a_database_set_aside_makes_room_and_loses_nothing(file: Path) -> None:
    await filled(file)
    aside = begin_anew(file, {}, NOON_NS)
    assert aside is not None
    assert aside.name == "forged.db.damaged-20231114T221320Z"
    assert await rows_in(file) == 0
    assert begin_anew(file, {}, NOON_NS) not in (aside, file, None)
    assert await rows_in(aside) == 3_000


async def test_the_log_goes_aside_with_its_database(file: Path) -> None:
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"a.png")])
    copy = file.parent / "copy.db"
    for part in ("", "-wal"):  # as a killed process leaves them
        copy.with_name(copy.name + part).write_bytes(file.with_name(file.name + part).read_bytes())
    await store.close()
    aside = begin_anew(copy, {}, NOON_NS)
    assert aside is not None
    assert await rows_in(aside) == 1


async def test_a_log_without_its_database_is_not_replayed_into_a_new_one(file: Path) -> None:
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"a.png")])
    log = file.with_name("forged.db-wal").read_bytes()
    await store.close()
    for part in ("", ".id"):  # moved away by hand, without its log
        file.with_name(file.name + part).unlink()
    file.with_name("forged.db-wal").write_bytes(log)
    store = await open_store(file, clock=HandClock(NOON_NS))
    assert await store.manifest.count(FORGE) == (0, 0)
    await store.close()
    assert file.with_name("forged.db.damaged-20231114T221320Z-wal").read_bytes() == log


async def test_a_database_of_a_newer_forged_is_refused(file: Path) -> None:
    await filled(file)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreTooNew, match="9999"):
        await open_store(file)
    assert file.exists()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file, where a folder should be")
    with pytest.raises(StoreError, match="state"):
        await open_store(tmp_path / "state" / "forged.db")


async def test_a_lock_of_a_stranger_is_told_with_what_to_do(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "WRITE_PRAGMAS", {**sql.WRITE_PRAGMAS, "busy_timeout": "1"})
    await filled(file, rows=1)
    store = await open_store(file)
    stranger = sqlite3.connect(file, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked") as told:
        await store.manifest.mark(FORGE, [row(b"000000.png").path], AtSource.GONE)
    assert "sqlite3 shell" in told.value.hint
    assert told.value.transient
    assert await store.manifest.count(FORGE) == (1, 6)
    stranger.execute("ROLLBACK")
    stranger.close()
    await store.manifest.mark(FORGE, [row(b"000000.png").path], AtSource.GONE)
    await store.close()


async def test_jobs_that_ran_when_the_process_died_are_failed_at_opening(file: Path) -> None:
    store = await open_store(file)
    partly = JobResult(success=True, files_transferred=3, bytes_transferred=9, duration_s=1.0, errors=("a.png: too large",))
    running = replace(job(1, JobStatus.TRANSFERRING), result=partly)
    for one in (job(0), running, job(2, JobStatus.PENDING), job(3, JobStatus.CANCELLED)):
        await store.jobs.save(one)
    await store.close()

    store = await open_store(file, clock=HandClock(100 * 10**9))
    cancelled, pending, failed, complete = await store.jobs.recent()
    await store.close()
    assert (complete, cancelled) == (job(0), job(3, JobStatus.CANCELLED))
    expected = JobResult(False, 3, 9, 99.0, ("a.png: too large", INTERRUPTED))
    assert failed == replace(running, status=JobStatus.FAILED, end_ns=100 * 10**9, result=expected)
    assert pending.status is JobStatus.FAILED
    assert pending.result is not None
    assert pending.result.errors == (INTERRUPTED,)


async def test_many_tasks_at_once_lose_nothing(file: Path) -> None:
    """Reading is not stopped by writing, and every row of every task is there."""
    store = await open_store(file)

    async def one_target(target: int) -> None:
        for n in range(20):
            await store.manifest.record(FORGE, [row(b"%d/%d.png" % (target, n))], [event(f"{target}/{n}")])
            await store.manifest.between(FORGE, source_path(b"%d" % target), None, 10)

    await asyncio.gather(*(one_target(target) for target in range(10)))
    assert (await store.manifest.count(FORGE))[0] == 200
    assert len({e.body for e in await store.outbox.after("catalog", 1_000)}) == 200
    await store.close()


async def test_a_fact_whose_event_cannot_be_kept_is_not_kept_either(file: Path) -> None:
    """Otherwise a file would be home of which no handler ever hears."""
    store = await open_store(file)
    nothing = replace(event(), body=None)  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        await store.manifest.record(FORGE, [row(b"a.png")], [nothing])
    assert (await store.manifest.count(FORGE))[0] == 0
    await store.close()


async def test_a_cancelled_record_is_whole_or_absent(file: Path) -> None:
    store = await open_store(file)
    for turns in range(0, 60, 3):
        rows = [row(b"%d/%04d.png" % (turns, n)) for n in range(1_500)]
        task = asyncio.create_task(store.manifest.record(FORGE, rows, [event()]))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (await store.manifest.count(FORGE))[0] % 1_500 == 0
    files, _ = await store.manifest.count(FORGE)
    assert len(await store.outbox.after("catalog", 1_000)) == files / 1_500
    await store.close()
