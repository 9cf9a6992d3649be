"""The store in an SQLite file: opening it, and beginning a new one in the place of a damaged or lost one.

The file gets its name only once all tables are in it. So an empty or cut file is always a damaged one, never one that was just
being made: else a truncated memory would pass for a fresh start, and its tombstones and host-key pins would be gone unnoticed.
Beside it lies a small file with its identity, written when it was opened first: where only that is left, a memory was lost.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from forged.kit.clock import Clock, SystemClock
from forged.kit.sql import sqlite_database
from forged.model.errors import StoreError, StoreLost
from forged.model.manifest import Hold, ManifestName
from forged.store import schema, sound
from forged.store.border import Border, damaged, translated
from forged.store.migrations import upgrade
from forged.store.sql import SqlStore

_PARTS = ("", "-wal", "-shm")
"""The files of a database (sqlite.org/wal.html). The database itself goes first when they are moved: a log that then stays behind
alone is recognised as such, while a database without its log would open, short of its last transactions."""

_ID = ".id"
"""Ends the name of the file with the identity."""

Holds = Mapping[ManifestName, Hold]


async def open_store(file: Path, *, clock: Clock | None = None) -> SqlStore:
    """Opens the state database `file`; makes it where there was none (folder 0700, file 0600); brings an older one up to date.

    The caller must be the only forged on it (kit/lock): jobs that still run are taken for interrupted and marked failed. The
    whole file is checked first. Nothing is ever deleted. Raises StoreDamaged, StoreLost (see `begin_anew`), StoreTooNew,
    StoreForeign, StoreError.
    """
    now_ns = (clock or SystemClock()).now_ns()
    with translated(str(file)):
        await asyncio.to_thread(_make_if_first, file, now_ns)
        at = await asyncio.to_thread(_checked_pages, file)
    border = Border(sqlite_database(str(file)), str(file))
    store = SqlStore(border)
    try:
        if at < schema.HEAD:
            async with border.writing() as connection:
                await connection.run_sync(upgrade)
        with translated(str(file)):
            await asyncio.to_thread(_check_rows, file)
        await store.jobs.end_interrupted(now_ns)
        identity = await store.identity()
        with translated(str(file)):
            await asyncio.to_thread(_note_identity, file, identity)
    except BaseException:
        await store.close()
        raise
    return store


def tried(file: Path) -> str:
    """Whether `open_store` would find a database that it can use, or could make one, in words; changes nothing. Blocks.

    May be asked while another forged works with it. Raises StoreError and its kinds.
    """
    if not file.exists():
        if _known_identity(file) is not None:
            raise StoreLost(f"the state database {file} is not there any more")
        there = next(one for one in file.parents if one.exists())
        if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            raise StoreError(f"{file}: this user may not write to {there}", hint="make state_dir a folder this user may write to")
        return f"{file}: made at the first start"
    with translated(str(file)), closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA trusted_schema=OFF")
        sound.check_pages(connection, str(file))
        at = sound.revision(connection, str(file))
    if not (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK | os.X_OK)):
        raise StoreError(f"{file}: this user may not write to it", hint="run this as forged's own user, or check the file's owner")
    return f"{file} is sound" + ("" if at == schema.HEAD else f"; the next start brings it up to date (from {at} to {schema.HEAD})")


def begin_anew(file: Path, holds: Holds, at_ns: int) -> Path | None:
    """Sets what is left of a damaged memory aside, and makes a new one in its place, in which these targets are held.

    Answers where the damaged one is; None = it was not there any more. The new one keeps the identity, so that what is staged at
    home is found again. Cut off anywhere, the next `open_store` says again that there is none. Blocks. Raises StoreError.
    """
    with translated(str(file)):
        identity = _known_identity(file) or secrets.token_hex(8)
        _note_identity(file, identity)  # first: from now on a missing database is a lost one
        aside = _set_aside(file, at_ns) if _is_there(file) else None
        _make(file, identity, holds)
        return aside


def _checked_pages(file: Path) -> str:
    """Answers its revision: what is damaged is not migrated."""
    with _plainly(file) as connection:
        sound.check_pages(connection, str(file))
        return sound.revision(connection, str(file))


def _check_rows(file: Path) -> None:
    with _plainly(file) as connection:
        sound.check_rows(connection, str(file))


@contextmanager
def _plainly(file: Path) -> Iterator[sqlite3.Connection]:
    """The database for one thread, in the time before and after everybody else."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA trusted_schema=OFF")  # as kit/sql does it, and for the same reason
        try:
            yield connection
        except UnicodeDecodeError as e:  # also what SQLite itself says of a damaged name
            raise damaged(str(file), "where text belongs are bytes that are none") from e


def _make_if_first(file: Path, now_ns: int) -> None:
    if file.exists():
        return
    if _part(file, _ID).exists():
        raise StoreLost(f"the state database {file} is not there any more")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _is_there(file):
        # The log of a database that was moved away by hand: SQLite could replay it into the new one.
        _set_aside(file, now_ns)
    _make(file, secrets.token_hex(8), {})


def _make(file: Path, identity: str, holds: Holds) -> None:
    fresh = file.with_name(file.name + ".new")
    for part in ("", "-journal"):
        _part(fresh, part).unlink(missing_ok=True)  # of an attempt that was killed
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # the log takes over this mode
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(fresh)), poolclass=NullPool)
    with engine.begin() as connection:
        schema.create(connection)
        connection.execute(sa.insert(schema.identity).values(id=identity))
        for name, hold in holds.items():
            values = {"reason": hold.reason, "message": hold.message, "since_ns": hold.since_ns}
            connection.execute(sa.insert(schema.holds).values(manifest=name, **values))
    os.rename(fresh, file)
    _sync_folder(file.parent)


def _known_identity(file: Path) -> str | None:
    with suppress(OSError, UnicodeDecodeError):
        text = _part(file, _ID).read_text("ascii").strip()
        return text if re.fullmatch("[0-9a-f]{16}", text) else None
    return None


def _note_identity(file: Path, identity: str) -> None:
    if _known_identity(file) == identity:
        return
    fd = os.open(_part(file, _ID), os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, identity.encode("ascii") + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    _sync_folder(file.parent)


def _set_aside(file: Path, at_ns: int) -> Path:
    """Renames a database and its log to `<name>.damaged-<UTC time>`; answers the new name.

    Nothing is deleted or overwritten: it may be wanted for `sqlite3 FILE .recover`.
    """
    time = datetime.fromtimestamp(at_ns // 10**9, UTC)
    aside = file.with_name(f"{file.name}.damaged-{time:%Y%m%dT%H%M%SZ}")
    while _is_there(aside):
        aside = _part(aside, "+")
    for part in _PARTS:
        if os.path.lexists(_part(file, part)):
            os.rename(_part(file, part), _part(aside, part))
    _sync_folder(file.parent)
    return aside


def _is_there(file: Path) -> bool:
    """Or what is left of it."""
    return any(os.path.lexists(_part(file, part)) for part in _PARTS)


def _part(file: Path, part: str) -> Path:
    return file.with_name(file.name + part)


def _sync_folder(folder: Path) -> None:
    """A new name survives a power cut only when its folder was synced (fsync(2))."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
