"""The store in PostgreSQL: opening it, beginning a new one in the place of a damaged or lost one, and trying it.

It lies in a schema of its own. Beside the state directory's other files a small one is kept (the note): which forged this is, so
that its own restart has not to wait (owner), and the identity of its memory: where that is known and the tables are not there, a
memory was lost. Its tables are made and brought up to date by whoever owns it, so by one at a time.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from forged.kit.clock import Clock, SystemClock
from forged.kit.durable import FOLDER, write_durably
from forged.kit.sql import READERS
from forged.model.errors import StateTaken, StoreDamaged, StoreError, StoreLost, StoreTooNew
from forged.model.manifest import Hold, ManifestName
from forged.model.settings import Secret
from forged.store import schema
from forged.store.border import Border
from forged.store.manifest import STEP_ROWS
from forged.store.migrations import upgrade
from forged.store.owner import GOODBYE_S, GRACE_S, Owned, Owner, usable, user_of
from forged.store.postgres_link import Address, connected, revealed, translated
from forged.store.rows import row_of
from forged.store.sql import SqlStore

MOST_NAME_BYTES = 2_640
"""A row of an index may have 2,704 bytes (a third of a page of 8 kB: postgresql.org/docs/15, 67.4.2). The longest of ours,
`media_queue_by_time`, takes up to 64 beside manifest, path and home: its header, three lengths, a time, and what aligns them."""

NOTE = "postgres.id"
"""The note's name in the state directory."""

RESTORE = (
    "restore it from a backup, or start forged again: it keeps the damaged schema under another name, begins a new one, "
    "and adopts what is already home"
)


@dataclass(frozen=True, slots=True)
class Note:
    """What a state directory knows of its memory."""

    instance: str
    """Which forged this is: one state directory on one machine."""
    identity: str | None = None
    """Of the memory, once it was opened."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a memory is, and what this machine knows of it."""

    url: Secret
    note: Path
    before: Path
    """The file that would hold the memory without an address: where it is, and no note, a memory was left behind."""
    grace_s: float = GRACE_S


class PostgresBorder(Border):
    """The border to a schema in PostgreSQL."""

    def __init__(self, database: Owned, to: Address) -> None:
        super().__init__(database, to.name)
        self.to = to

    def translated(self) -> AbstractContextManager[None]:
        return translated(self.to)


class PostgresStore(SqlStore):
    """The promises are in store/base.Store. Made by `open_store`."""

    most_name_bytes: int | None = MOST_NAME_BYTES

    def __init__(self, border: PostgresBorder, owner: Owner) -> None:
        super().__init__(border)
        self._owner = owner
        owner.broken = self._broken

    @property
    def lost_for_s(self) -> float:
        """How long it has not been ours; 0 = it is."""
        return self._owner.lost_for_s

    async def taken(self) -> StateTaken:
        """Waits until somebody else owns it: this process never will again."""
        return await asyncio.shield(self._owner.taken)

    async def _broken(self) -> None:
        """While it was not ours others may have written; and connections to a server that was restarted are dead."""
        self.manifest.broken()
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_S):
                await self._border.database.renew()

    async def close(self) -> None:
        await super().close()
        await self._owner.release()


async def open_store(place: Place, *, clock: Clock | None = None) -> PostgresStore:
    """Takes the memory, makes its tables where there were none, brings older ones up to date, checks every row of the manifest.

    The caller must be the only forged with this state directory (kit/lock). Raises StateTaken, StoreDamaged, StoreLost (see
    `begin_anew`), StoreTooNew, StoreForeign, StoreError.
    """
    now_ns = (clock or SystemClock()).now_ns()
    owner, to, note = await _taken(place)
    store = PostgresStore(PostgresBorder(_database(owner, place.url, to), to), owner)
    try:
        await _brought_up_to_date(place, owner, to, note)
        with translated(to):
            await _check_rows(owner, place.url, to)
        await store.jobs.end_interrupted(now_ns)
        await asyncio.to_thread(_write_note, place.note, replace(note, identity=await store.identity()))
    except BaseException:
        await store.close()
        raise
    owner.keep()
    return store


async def begin_anew(place: Place, holds: Mapping[ManifestName, Hold], at_ns: int) -> str | None:
    """Gives what is left of a damaged memory another name, and makes a new one in its place, in which these targets are held.

    Answers where the former one is; None = it was not there any more. The new one keeps the identity, so that what is staged at
    home is found again. Nothing is deleted. Raises StoreError.
    """
    owner, to, note = await _taken(place)
    try:
        with translated(to):
            async with _alone(owner, place.url, to) as connection:
                left = await connection.run_sync(_tables)
            moved = None
            if left:
                moved = f"{to.schema}_damaged_{datetime.fromtimestamp(at_ns // 10**9, UTC):%Y%m%dt%H%M%Sz}"
                await owner.begin_anew(to, moved)
            identity = note.identity or secrets.token_hex(8)
            await asyncio.to_thread(_write_note, place.note, replace(note, identity=identity))
            async with _alone(owner, place.url, to) as connection:
                await connection.run_sync(_make, identity, holds)
    finally:
        await owner.release()
    if moved is None:
        return str(place.before) if place.before.exists() else None
    return f"schema {moved} of {to.name}"


async def tried(place: Place) -> str:
    """Whether `open_store` would find a memory that it can use, or could make one, in words; changes nothing.

    May be asked while another forged works with it. Raises StoreError and its kinds.
    """
    to = await revealed(place.url)
    with translated(to):
        connection = await connected(to)
        try:
            version = str(await connection.fetchval("select current_setting('server_version')")).split()[0]
            if await connection.fetchval("select pg_is_in_recovery()"):
                raise StoreError(f"{to.name}: this server only reads", hint="name the one that is written to, not its standby")
            await usable(connection, to)
            who = await user_of(connection, to)
            at = await connection.fetchval(_REVISION_THERE, to.schema) and await connection.fetchval(_REVISION)
        finally:
            connection.terminate()
    if at:
        _check_revision(to, str(at))
    made = "its tables are up to date" if at == schema.HEAD else f"the next start brings its tables from {at} to {schema.HEAD}"
    used = f"; {who} works with it now" if who else ""
    return f"{to.name}: PostgreSQL {version} answers, {made if at else 'its tables are made at the first start'}{used}"


# --- the steps ------------------------------------------------------------------------------------------------------------

_REVISION = f"select version_num from {schema.REVISION_TABLE}"
_REVISION_THERE = f"""
select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = '{schema.REVISION_TABLE}')
"""


async def _taken(place: Place) -> tuple[Owner, Address, Note]:
    note = await asyncio.to_thread(_read_note, place.note)
    owner, to = Owner(note.instance, partial(revealed, place.url), place.grace_s), await revealed(place.url)
    await owner.take(to)
    return owner, to, note


def _engine(url: Secret, *, connections: int, writes: bool) -> AsyncEngine:
    async def connect() -> object:
        return await connected(await revealed(url))

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=None,  # waiting for one's turn is no error
        # Who reads sees one moment. Who writes has locked the owner's row first: no other transaction of ours writes meanwhile.
        isolation_level="READ COMMITTED" if writes else "REPEATABLE READ",
        execution_options={} if writes else {"postgresql_readonly": True},
        hide_parameters=True,  # values of rows do not belong into error messages and logs
    )


def _database(owner: Owner, url: Secret, to: Address) -> Owned:
    """Writers get a pool of one connection, so that they queue in the order they came."""
    database = Owned(_engine(url, connections=1, writes=True), _engine(url, connections=READERS, writes=False))
    database.owner, database.to = owner, to
    return database


@asynccontextmanager
async def _alone(owner: Owner, url: Secret, to: Address) -> AsyncIterator[AsyncConnection]:
    """A writing transaction in the time before and after everybody else, which may take as long as it likes."""

    async def connect() -> object:
        return await connected(await revealed(url), command_s=None)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True)
    async with engine.begin() as connection:
        await owner.prove(connection, to, writes=True)
        yield connection


async def _brought_up_to_date(place: Place, owner: Owner, to: Address, note: Note) -> None:
    """All of the way or not at all."""
    with translated(to):
        async with _alone(owner, place.url, to) as connection:
            if not await connection.run_sync(_tables):
                _first(place, to, note)
                await connection.run_sync(_make, secrets.token_hex(8), {})
                return
            if await _revision(connection, to) < schema.HEAD:
                await connection.run_sync(upgrade)


def _first(place: Place, to: Address, note: Note) -> None:
    """Raises StoreLost where there was a memory before."""
    if note.identity is not None:
        raise StoreLost(f"the state database {to.name} is not there any more")
    if place.before.exists():
        hint = "start `forged run` or `forged once`: a new one begins, and what is already home is adopted"
        raise StoreLost(f"the state database {to.name} is new, and holds nothing of what {place.before} remembers", hint=hint)


def _tables(connection: sa.Connection) -> frozenset[str]:
    """Those of ours that are there."""
    there = sa.inspect(connection).get_table_names()
    return frozenset(there) & {*schema.metadata.tables, schema.REVISION_TABLE}


async def _revision(connection: AsyncConnection, to: Address) -> str:
    """Raises StoreDamaged, StoreTooNew."""
    if schema.REVISION_TABLE not in await connection.run_sync(_tables):
        raise StoreDamaged(f"the state database {to.name} is damaged: a table is missing", hint=RESTORE)
    found = (await connection.exec_driver_sql(_REVISION)).all()
    return _check_revision(to, str(found[0][0]) if len(found) == 1 else "none")


def _check_revision(to: Address, at: str) -> str:
    if at in {f"{number:04d}" for number in range(1, int(schema.HEAD) + 1)}:
        return at
    if at.isdecimal() and at > schema.HEAD:
        raise StoreTooNew(f"{to.name} was written by a newer forged (revision {at}, known up to {schema.HEAD})")
    raise StoreDamaged(f"the state database {to.name} is damaged: there is no revision {at!r}", hint=RESTORE)


def _make(connection: sa.Connection, identity: str, holds: Mapping[ManifestName, Hold]) -> None:
    schema.create(connection)
    connection.execute(sa.insert(schema.identity).values(id=identity))
    for name, hold in holds.items():
        values = {"reason": hold.reason, "message": hold.message, "since_ns": hold.since_ns}
        connection.execute(sa.insert(schema.holds).values(manifest=name, **values))


async def _check_rows(owner: Owner, url: Secret, to: Address) -> None:
    """That each row of the manifest is what was written (rows.seal): in the middle of a round nobody could set a damaged memory
    aside. Raises Garbled."""
    columns = [column for column in schema.versions.columns if column.name not in ("manifest", "superseded")]
    query = sa.select(schema.versions.c.manifest, *columns)
    async with _alone(owner, url, to) as connection:
        async with connection.stream(query, execution_options={"yield_per": STEP_ROWS}) as rows:
            async for part in rows.partitions():
                for name, *plain in part:
                    row_of(ManifestName(name), plain)


# --- the note -------------------------------------------------------------------------------------------------------------


def _read_note(file: Path) -> Note:
    """One that cannot be read is written anew. The machine belongs to it: a state directory may be copied to another one."""
    host = socket.gethostname()
    with suppress(OSError, UnicodeDecodeError):
        instance, identity, *_ = [*file.read_text("ascii").splitlines(), "", ""]
        if re.fullmatch("[0-9a-f]{16}", instance):
            return Note(f"{instance}@{host}", identity if re.fullmatch("[0-9a-f]{16}", identity) else None)
    note = Note(f"{secrets.token_hex(8)}@{host}")
    _write_note(file, note)
    return note


def _write_note(file: Path, note: Note) -> None:
    """Raises StoreError."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(file.parent, FOLDER)
        try:
            text = f"{note.instance.split('@')[0]}\n{note.identity or ''}\n"
            write_durably(folder, os.fsencode(file.name), text.encode("ascii"))
        finally:
            os.close(folder)
    except OSError as e:
        raise StoreError(f"{file}: {e.strerror or e}", hint="check that state_dir is a folder this user may write to") from e
