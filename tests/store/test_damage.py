"""What SQLite does not notice: a wrong byte in a row, a file of the past, no file at all. And how a memory begins anew."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from forged.model.errors import ForgedError, StoreDamaged, StoreError, StoreLost
from forged.model.paths import source_path
from forged.store import sqlite
from forged.store.sqlite import begin_anew, open_store
from tests.store.filled import HELD, NOON_NS, filled
from tests.store.samples import COMFY, FORGE, row


@pytest.fixture
def file(quick_path: Path) -> Path:
    return quick_path / "state" / "forged.db"


def change(file: Path, sql: str, *values: object) -> None:
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA ignore_check_constraints=ON")
    assert connection.execute(sql, values).rowcount
    connection.commit()
    connection.close()


# --- a wrong byte -------------------------------------------------------------------------------------------------------------

FLIPS = {
    "another home name": "UPDATE versions SET home = x'3031' WHERE path = x'3030303030342e706e67'",
    "an older landing": "UPDATE versions SET landed_at_ns = landed_at_ns - 512 WHERE path = x'3030303030342e706e67'",
    "another hash": "UPDATE versions SET sha256 = zeroblob(32) WHERE path = x'3030303030342e706e67'",
    "no longer incomplete": "UPDATE versions SET incomplete = 0 WHERE incomplete = 1",
    "another path": "UPDATE versions SET path = x'3030303030352e706e68' WHERE path = x'3030303030342e706e67'",
    "of another target": "UPDATE versions SET manifest = 'forgf' WHERE path = x'3030303030342e706e67'",
    "no seal": "UPDATE versions SET seal = NULL WHERE path = x'3030303030342e706e67'",
    "no state": "UPDATE versions SET at_source = 'prezent' WHERE path = x'3030303030342e706e67'",
    "a size that is none": "UPDATE versions SET size_bytes = x'07' WHERE path = x'3030303030342e706e67'",
    "numbers that are none": "UPDATE versions SET exact_stat = '1 2 3' WHERE exact_stat IS NOT NULL",
    "text that is none": "UPDATE versions SET at_source = CAST(x'ff' AS TEXT) WHERE path = x'3030303030342e706e67'",
    "a job that is none": "UPDATE jobs SET status = 'completf'",
    "a job with half a list": "UPDATE jobs SET folders = '['",
    "a time that is none": "UPDATE holds SET since_ns = 'noon'",
    "a try that is none": "UPDATE media_queue SET tries = 'once'",
    "no revision": "DELETE FROM alembic_version",
    "an odd revision": "UPDATE alembic_version SET version_num = '00a3'",
    "a revision before the first": "UPDATE alembic_version SET version_num = '0000'",
}


@pytest.mark.parametrize("flip", FLIPS)
async def test_a_wrong_value_that_the_pages_do_not_show_is_found_at_opening(file: Path, flip: str) -> None:
    await filled(file)
    change(file, FLIPS[flip])
    with pytest.raises(StoreDamaged, match=r"forged\.db"):
        await open_store(file)


@pytest.mark.parametrize("name", [b"CREATE TABLE versions", b"sqlite_autoindex_holds_1", b"jobs_by_start"])
async def test_a_name_of_the_schema_that_is_no_text_any_more_is_damage(file: Path, name: bytes) -> None:
    """SQLite tells of it with the bytes that are none, and Python cannot even read that."""
    await filled(file)
    data = bytearray(file.read_bytes())
    data[data.index(name)] ^= 0x80
    file.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"forged\.db"):
        await open_store(file)


@pytest.mark.parametrize("name", [b"\treason TEXT", b"\tlanded_at_ns BIGINT", b"\tstatus TEXT"])
@pytest.mark.parametrize("at", [2, -1])
async def test_a_column_of_another_name_or_type_is_damage(file: Path, name: bytes, at: int) -> None:
    """In quotes SQLite takes a column that is not there for a text: nothing else would notice before it is read."""
    await filled(file)
    data = bytearray(file.read_bytes())
    place = data.index(name) + at % len(name)
    data[place] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreDamaged, match=r"forged\.db"):
        await open_store(file)


@pytest.mark.parametrize("table", ["holds", "pins", "pauses", "destinations", "limits"])
async def test_a_name_in_a_small_table_is_kept_twice_so_that_a_wrong_byte_in_it_shows(file: Path, table: str) -> None:
    """Else a hold would be of nobody, and cleanup would go on."""
    await filled(file)
    name = {"destinations": b"/srv/nas", "pauses": b"comfy"}.get(table, b"forge")
    data = bytearray(file.read_bytes())
    connection = sqlite3.connect(file)
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0]
    connection.close()
    at = data.index(name, (page - 1) * 4096)
    assert at < page * 4096
    data[at + 1] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreDamaged):
        await open_store(file)


@pytest.mark.parametrize("table", ["holds", "versions", "jobs"])
async def test_a_table_that_lost_its_name_is_damage(file: Path, table: str) -> None:
    await filled(file)
    change(file, f"ALTER TABLE {table} RENAME TO {table}_")
    with pytest.raises(StoreDamaged):
        await open_store(file)


async def test_a_wrong_byte_that_appears_while_open_is_told_as_damage(file: Path) -> None:
    await filled(file)
    store = await open_store(file)
    change(file, FLIPS["another home name"])
    with pytest.raises(StoreDamaged, match=r"000004\.png"):
        await store.manifest.between(FORGE, None, None, 1_000)
    await store.close()


# --- lost, and begun anew -----------------------------------------------------------------------------------------------------


async def test_a_lost_database_is_told_and_not_mistaken_for_a_first_start(file: Path) -> None:
    await filled(file)
    file.unlink()
    with pytest.raises(StoreLost, match="not there any more"):
        await open_store(file)
    assert not file.exists()


async def test_a_memory_begun_anew_holds_its_targets_and_keeps_its_identity(file: Path) -> None:
    store = await open_store(file)
    identity = await store.identity()
    await store.close()
    os.truncate(file, 100)
    assert begin_anew(file, {FORGE: HELD}, NOON_NS) == file.with_name("forged.db.damaged-20231114T221320Z")
    store = await open_store(file)
    assert await store.flags.hold(FORGE) == HELD
    assert await store.flags.hold(COMFY) is None
    assert await store.manifest.count(FORGE) == (0, 0)
    assert await store.identity() == identity  # what is staged at home is found again, and swept when nobody wants it
    await store.close()


@pytest.mark.parametrize("step", ["_note_identity", "_set_aside", "_make"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_cut_off_while_it_begins_anew_it_is_still_told_as_lost(
    file: Path, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    """Never a new memory without its holds."""
    await filled(file)
    file.with_name("forged.db.id").unlink()  # as a forged before this one left it
    os.truncate(file, 100)

    def cut(of: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object) -> object:
            if not before:
                of(*args)
            raise KeyboardInterrupt

        return step

    with monkeypatch.context() as cutting:
        cutting.setattr(sqlite, step, cut(getattr(sqlite, step)))
        with pytest.raises(KeyboardInterrupt):
            begin_anew(file, {FORGE: HELD}, NOON_NS)
    try:
        store = await open_store(file)
    except StoreDamaged:
        begin_anew(file, {FORGE: HELD}, NOON_NS)
        store = await open_store(file)
    assert await store.flags.hold(FORGE) == HELD
    await store.close()
    assert len(list(file.parent.glob("forged.db.damaged-*Z"))) == 1


async def test_a_place_that_cannot_be_written_to_says_so_and_nothing_is_moved(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(file)
    os.truncate(file, 100)

    def refused(source: object, target: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "rename", refused)
    with pytest.raises(ForgedError, match="Permission denied"):
        begin_anew(file, {}, NOON_NS)
    assert file.stat().st_size == 100


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
async def test_what_cannot_be_written_to_is_not_damaged_and_is_left_where_it_is(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", tmp_path], check=True)
    try:
        file = tmp_path / "forged.db"
        await filled(file)
        subprocess.run(["mount", "-o", "remount,ro", tmp_path], check=True)
        with pytest.raises(StoreError, match="unable to open") as refused:
            await open_store(file)
        assert not isinstance(refused.value, StoreDamaged)
        assert file.exists()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


async def test_an_identity_that_cannot_be_read_is_written_again(file: Path) -> None:
    await filled(file)
    file.with_name("forged.db.id").write_bytes(b"\xff")
    store = await open_store(file)
    identity = await store.identity()
    await store.close()
    assert file.with_name("forged.db.id").read_text() == identity + "\n"


async def test_a_database_short_of_its_log_opens_with_what_it_had_before(file: Path) -> None:
    """Nobody can tell it from one that was written so; cleanup proves each removal anew (tests/sync/test_damaged_memory.py)."""
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"a.png")])
    await store.close()
    store = await open_store(file)
    await store.manifest.record(FORGE, [row(b"b.png")])
    short = file.read_bytes()
    await store.close()
    file.write_bytes(short)
    store = await open_store(file)
    assert [one.path for one in await store.manifest.between(FORGE, None, None, 10)] == [source_path(b"a.png")]
    await store.close()
