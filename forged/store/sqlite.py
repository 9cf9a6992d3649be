"""The store in an SQLite file: opening it, and setting a damaged one aside.

The file gets its name only once all tables are in it. So an empty or cut file is always a damaged one, never one that was just
being made: else a truncated memory would pass for a fresh start, and its tombstones and host-key pins would be gone unnoticed.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from forged.kit.clock import Clock, SystemClock
from forged.kit.sql import sqlite_database
from forged.model.errors import StoreTooNew
from forged.store import schema
from forged.store.border import Border, damaged, translated
from forged.store.migrations import upgrade
from forged.store.sql import SqlStore

_PARTS = ("", "-wal", "-shm")
"""The files of a database (sqlite.org/wal.html). The database itself goes first when they are moved: a log that then stays behind
alone is recognised as such, while a database without its log would open, short of its last transactions."""


async def open_store(file: Path, *, clock: Clock | None = None) -> SqlStore:
    """Opens the state database `file`; makes it where there is none (folder 0700, file 0600); brings an older one up to date.

    The caller must be the only forged on it (kit/lock): jobs that still run are taken for interrupted and marked failed. The
    whole file is checked first. Nothing is ever deleted. Raises StoreDamaged (see `set_aside`), StoreTooNew, StoreError.
    """
    now_ns = (clock or SystemClock()).now_ns()
    with translated(str(file)):
        await asyncio.to_thread(_make_if_missing, file, now_ns)
    border = Border(sqlite_database(str(file)), str(file))
    store = SqlStore(border)
    try:
        await _check(border)
        await _bring_up_to_date(border)
        await store.jobs.end_interrupted(now_ns)
    except BaseException:
        await store.close()
        raise
    return store


def set_aside(file: Path, at_ns: int) -> Path:
    """Renames a database and its log to `<name>.damaged-<UTC time>`, so that a new one can be made; answers the new name.

    Nothing is deleted or overwritten: it may be wanted for `sqlite3 FILE .recover`. Only while nobody has it open. Raises
    StoreError.
    """
    with translated(str(file)):
        return _set_aside(file, at_ns)


async def _check(border: Border) -> None:
    """Reads every page, for 400,000 rows (78 MB) in 0.1 s from memory and in about 1 s from disk (measured).

    A damaged page that nobody looks at for months would be found when the backups from before it are gone.
    """
    async with border.reading() as connection:
        found = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
    if found != "ok":
        raise damaged(border.name, str(found))


async def _bring_up_to_date(border: Border) -> None:
    async with border.reading() as connection:
        at = await connection.run_sync(schema.revision)
    if at is None:
        raise damaged(border.name, "it is empty, or no database of forged")
    if at > schema.HEAD:
        raise StoreTooNew(f"{border.name} was written by a newer forged (revision {at}, known up to {schema.HEAD})")
    if at < schema.HEAD:
        async with border.writing() as connection:
            await connection.run_sync(upgrade)


def _make_if_missing(file: Path, now_ns: int) -> None:
    if file.exists():
        return
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(os.path.lexists(_part(file, part)) for part in _PARTS):
        # The log of a database that was moved away by hand: SQLite could replay it into the new one.
        _set_aside(file, now_ns)
    fresh = file.with_name(file.name + ".new")
    for part in ("", "-journal"):
        _part(fresh, part).unlink(missing_ok=True)  # of an attempt that was killed
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the log takes over this mode
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(fresh)), poolclass=NullPool)
    with engine.begin() as connection:
        schema.create(connection)
    os.rename(fresh, file)
    _sync_folder(file.parent)


def _set_aside(file: Path, at_ns: int) -> Path:
    time = datetime.fromtimestamp(at_ns // 10**9, UTC)
    aside = file.with_name(f"{file.name}.damaged-{time:%Y%m%dT%H%M%SZ}")
    while any(os.path.lexists(_part(aside, part)) for part in _PARTS):
        aside = _part(aside, "+")
    for part in _PARTS:
        if os.path.lexists(_part(file, part)):
            os.rename(_part(file, part), _part(aside, part))
    _sync_folder(file.parent)
    return aside


def _part(file: Path, part: str) -> Path:
    return file.with_name(file.name + part)


def _sync_folder(folder: Path) -> None:
    """A new name survives a power cut only when its folder was synced (fsync(2))."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
