"""Every older database becomes today's, and today's tables are what the migrations make."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from forged.model.alarms import Alarm, AlarmKind
from forged.model.events import EventId
from forged.model.files import Stat
from forged.model.handing import Replay
from forged.model.manifest import AtSource, Hold, ManifestName, Pause
from forged.model.media import Owed, RawBlock
from forged.model.paths import source_path
from forged.store import migrations, schema
from forged.store.sqlite import open_store

OLD = sorted(Path(__file__).parent.glob("old/*.sql"))


def engine(file: Path) -> sa.Engine:
    return sa.create_engine(f"sqlite:///{file}", poolclass=NullPool)


def tables(file: Path) -> dict[str, str]:
    """The SQL of each table and index, without white space and in one writing of the types."""
    with engine(file).connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {name: re.sub(r"\s*([(),])\s*", r"\1", " ".join(sql.split())) for name, sql in rows}


def test_the_migrations_make_exactly_todays_tables(tmp_path: Path) -> None:
    migrated, made = tmp_path / "migrated.db", tmp_path / "made.db"
    with engine(migrated).begin() as connection:
        migrations.upgrade(connection)
        differences = compare_metadata(MigrationContext.configure(connection), schema.metadata)
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one() == schema.HEAD
    assert differences == []
    with engine(made).begin() as connection:
        schema.create(connection)
    assert tables(migrated) == tables(made)


def test_revisions_ascend_one_by_one_up_to_the_head() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    found = [script.revision for script in scripts.walk_revisions()][::-1]
    assert found == [f"{n:04d}" for n in range(1, len(found) + 1)]
    assert scripts.get_current_head() == schema.HEAD


def test_there_is_an_old_database_for_every_revision() -> None:
    assert [file.stem for file in OLD] == [f"{n:04d}" for n in range(1, int(schema.HEAD) + 1)]


@pytest.mark.parametrize("dump", OLD, ids=lambda dump: f"from {dump.stem}")
async def test_an_old_database_opens_with_all_it_remembers(dump: Path, tmp_path: Path) -> None:
    file = tmp_path / "forged.db"
    with sqlite3.connect(file) as connection:
        connection.executescript(dump.read_text())
    connection.close()
    store = await open_store(file)
    forge = ManifestName("forge")
    a, b = await store.manifest.between(forge, None, None, 10)
    old = [version async for version in store.manifest.history(forge, source_path(b"b\n\xff.png"))][1]
    events = await store.outbox.after("catalog", 10)
    known = (await store.flags.pause(forge), await store.flags.hold(forge), await store.destinations.known_id("/srv/nas"))
    pin, jobs, identity = await store.pins.pinned(forge), await store.jobs.recent(), await store.identity()
    limits = await store.limits.kept()
    trouble_ns, released_ns = await store.flags.trouble(forge), await store.flags.released(forge)
    waits, info = await store.media.waiting(forge, 9), await store.media.info(forge, source_path(b"a.png"))
    boxes, alarms = await store.boxes.known("vast"), await store.alarms.raised()
    aside, replays = await store.outbox.set_aside("catalog", EventId(0), 9), await store.ingests.replays()
    taken = await store.ingests.handed(forge, {}, ["catalog"], ["forge"])
    await store.close()
    assert (a.path, a.stat, a.at_source) == (b"a.png", Stat(3, 10**18, 2**64 - 1, None), AtSource.REMOVED)
    assert (b.sha256, old.sha256, b.tombstone_at_ns, b.incomplete) == (b"\x02" * 32, b"\x01" * 32, 77, True)
    assert [(e.id, e.body) for e in events] == [(2, '{"n": 2}')]
    assert known == (Pause(5), Hold("many_gone", "300 of 310", 6), "marker")
    assert pin is not None
    assert (pin.fingerprint, [j.id for j in jobs], identity) == ("SHA256:abc", ["job-1"], "0123456789abcdef")
    assert limits == ({"forge": "5MB/s", None: "08:00,5MB/s 23:00,off"} if dump.stem >= "0002" else {})
    assert [(one.box.id, one.left_files) for one in boxes] == ([("7", 3)] if dump.stem >= "0004" else [])
    assert trouble_ns == (9 if dump.stem >= "0005" else None)
    assert released_ns == (16 if dump.stem >= "0008" else None)
    assert [(one.waits_since_ns, one.tries) for one in waits] == ([(13, 1)] if dump.stem >= "0006" else [])
    told = info and (info.info.raw, info.owes, info.examined_at_ns)
    assert told == (((RawBlock("png/tEXt/parameters", "a cat"),), {Owed.SIDECAR}, 12) if dump.stem >= "0006" else None)
    held = [(one.event.id, one.event.body, one.tries, one.error, one.since_ns, one.due_ns) for one in aside]
    assert held == ([(1, '{"n": 1}', 10, "it raised", 14, None)] if dump.stem >= "0007" else [])
    assert list(replays) == ([Replay("catalog", forge, source_path(b"a.png"))] if dump.stem >= "0007" else [])
    assert taken.since_ns == ({"catalog": 15} if dump.stem >= "0007" else {})
    assert list(alarms) == ([Alarm(AlarmKind.LOST, "vast@7", 8)] if dump.stem >= "0004" else [])


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "forged.db"
    store = await open_store(file)
    await store.close()
    before = tables(file)

    def half_way(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (way TEXT)")
        connection.exec_driver_sql("NOT SQL")

    monkeypatch.setattr(schema, "HEAD", f"{int(schema.HEAD) + 1:04d}")
    monkeypatch.setattr("forged.store.sqlite.upgrade", half_way)
    with pytest.raises(Exception, match="syntax error"):
        await open_store(file)
    assert tables(file) == before


def test_opening_todays_database_does_not_load_alembic(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib; from forged.store.sqlite import open_store\n"
        "async def main():\n    for _ in range(2): await (await open_store(pathlib.Path(sys.argv[1]))).close()\n"
        "asyncio.run(main()); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "forged.db"], check=False).returncode == 0
