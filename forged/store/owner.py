"""Who owns a memory in PostgreSQL: one forged at a time.

Two things say so, and each is there for what the other cannot do. A lock that a connection of its own holds (an advisory lock of
the session) ends with the process or its machine, so that another may come. A token in the table `owner`, which changes with every
owner, is compared in each transaction, in a writing one with its row locked: whoever has lost the lock without noticing it can
write nothing any more, and what he reads is not believed.

Nobody comes after a forged that ended in order needs to wait. After one that just vanished, another waits GRACE_S: it may have lost
only its connection, comes back within that time, and goes on; or it has noticed by then, and has let go of the files at home.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from forged.kit.sql import Database
from forged.model.errors import StateTaken, StoreError, StoreForeign
from forged.store.postgres_link import Address, connected, myself, translated

BEAT_S = 5.0
"""Between two looks at the lock, and for the answer: a line that is cut is noticed after twice that at most."""

GRACE_S = 30.0
"""So long another forged leaves a memory alone whose owner has vanished. The vanished one has noticed it long before (BEAT_S)."""

LONGEST_PAUSE_S = 5.0
"""Between two tries to have the lock again: GRACE_S holds several."""

GOODBYE_S = 2.0

TABLE = """
create table if not exists owner (
    one boolean primary key default true check (one),
    token text not null,
    instance text not null,
    pid integer not null,
    name text not null,
    released boolean not null,
    since timestamptz not null default now()
)
"""
"""Beside the tables of the migrations, since it is about who may run them."""

_ROW = "select token, instance, pid, name, released from owner"
_TAKE = """
insert into owner (token, instance, pid, name, released) values ($1, $2, pg_backend_pid(), $3, false)
on conflict (one) do update set token = excluded.token, instance = excluded.instance, pid = excluded.pid, name = excluded.name,
    released = false, since = now()
where $4::text is null or owner.token = $4
returning token
"""
_RELEASE = "update owner set released = true where token = $1"
_THERE = """
select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relname = 'owner')
"""
_INHABITED = """
select exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               where n.nspname = $1 and c.relkind in ('r', 'p', 'v', 'm'))
"""
_HOLDER = """
select l.pid, a.application_name, host(a.client_addr) as address, l.pid = pg_backend_pid() as mine
from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = $1
"""
"""Who holds a lock of 64 bits (postgresql.org/docs/15/view-pg-locks.html)."""

_PROOF = {True: "SELECT token FROM owner FOR UPDATE", False: "SELECT token FROM owner"}


@dataclass(frozen=True, slots=True)
class _Row:
    token: str
    instance: str
    pid: int
    name: str
    released: bool


def awake_s() -> float:
    """A clock that goes on while the process is stopped or the machine asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def lock_key(schema: str) -> int:
    """The lock of this schema, as a number of 64 bits with a sign. Advisory locks are those of one database."""
    return int.from_bytes(hashlib.blake2b(b"forged state " + schema.encode(), digest_size=8).digest(), "big", signed=True)


class Owner:
    """One forged's title to a memory. `broken` is told each time when it was lost, and when it is had again."""

    def __init__(self, instance: str, reveal: Callable[[], Awaitable[Address]], grace_s: float = GRACE_S) -> None:
        """`instance`: which forged this is, over restarts; `reveal`: reads the address, before each connection."""
        self._instance, self._reveal, self._grace_s = instance, reveal, grace_s
        self._connection: asyncpg.Connection | None = None
        self._token: str | None = None
        self._news = asyncio.Event()
        self._why: StoreError | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.lost_at_s: float | None = None
        """By `awake_s`; None while it is had, as far as is known."""
        self._proven_at_s = awake_s()
        self.broken: Callable[[], Awaitable[None]] = _nothing
        self.taken: asyncio.Future[StateTaken] = asyncio.get_running_loop().create_future()
        """Answers when somebody else owns the memory: nothing brings it back to this process."""

    @property
    def lost_for_s(self) -> float:
        """How long it has not been had; 0 = it is. Of a process that was stopped, or its machine asleep, nothing has looked at it
        meanwhile: what is older than the last look may be is as good as lost."""
        lost_at_s = self._proven_at_s + 2 * BEAT_S if self.lost_at_s is None else self.lost_at_s
        return max(0.0, awake_s() - lost_at_s)

    # --- having it --------------------------------------------------------------------------------------------------------

    async def take(self, to: Address) -> None:
        """Raises StateTaken while another has it, StoreError. Waits for GRACE_S where another has vanished."""
        with translated(to):
            connection = await connected(to)
            try:
                await self._left_alone(connection, to)
                await self._lock(connection, to)
                await self._schema(connection, to)
                asked_at_s = awake_s()
                await self._sign(connection, to)
            except BaseException:
                connection.terminate()
                raise
        connection.add_termination_listener(lambda _: self._news.set())
        self._connection, self._why, self.lost_at_s, self._proven_at_s = connection, None, None, asked_at_s
        self._news.clear()

    def keep(self) -> None:
        """From now on it is looked after."""
        self._keeping = asyncio.create_task(self._keep(), name="owning the state database")

    async def release(self) -> None:
        """Says that nobody needs to wait. May be called again."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                async with asyncio.timeout(GOODBYE_S):
                    await connection.execute(_RELEASE, self._token)
                    await connection.close()
            connection.terminate()

    def check(self) -> None:
        """Raises StoreError while it is not had."""
        if self._why is not None:
            raise self._why

    async def prove(self, connection: AsyncConnection, to: Address, *, writes: bool) -> None:
        """That it is had, in the transaction's own eyes; whoever writes keeps it so until the end. Raises StoreError."""
        found = (await connection.exec_driver_sql(_PROOF[writes])).scalar_one_or_none()
        if found != self._token:
            self._news.set()
            raise StoreError(f"{to.name} has another owner", hint="forged looks who it is")

    async def begin_anew(self, to: Address, aside: str) -> None:
        """Gives the schema another name, and makes a new, empty one that is ours. Raises StoreError."""
        with translated(to):
            assert self._connection is not None
            async with self._connection.transaction():
                await self._connection.execute(f"alter schema {to.schema} rename to {aside}")
                await self._schema(self._connection, to)
                self._token = None
                await self._sign(self._connection, to)

    # --- looking after it -------------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while not self.taken.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), BEAT_S)
            if not await self._beats():
                await self._lose()
                await self._have_again()

    async def _beats(self) -> bool:
        """Whether the lock is still that of our connection, and the token ours."""
        connection, asked_at_s = self._connection, awake_s()
        self._news.clear()
        if connection is None or connection.is_closed():
            return False
        try:
            async with asyncio.timeout(BEAT_S):
                holder = await connection.fetchrow(_HOLDER, self._key)
                if not (holder and holder["mine"]) or await connection.fetchval("select token from owner") != self._token:
                    return False
                self._proven_at_s = asked_at_s
                return True
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    async def _lose(self) -> None:
        self.lost_at_s = awake_s()
        said = f"{self._name}: the connection that keeps this memory ours was lost"
        self._why = StoreError(said, hint="forged takes it again by itself")
        if self._connection is not None:
            self._connection.terminate()
        await self.broken()

    async def _have_again(self) -> None:
        pause_s, lost_at_s = 0.2, self.lost_at_s
        while not self.taken.done():
            try:
                await self.take(await self._reveal())
                await self.broken()
            except StateTaken as error:
                self._why = error
                self.taken.set_result(error)
            except StoreError as error:
                self._why, self.lost_at_s = error, lost_at_s
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            else:
                return

    # --- the steps --------------------------------------------------------------------------------------------------------

    async def _left_alone(self, connection: asyncpg.Connection, to: Address) -> None:
        """Waits while the last owner, another one, may come back."""
        row = await _row(connection, to)
        if self._token is not None or row is None or row.released or row.instance == self._instance:
            return
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._grace_s
        while (left_s := until_s - loop.time()) > 0:
            if await connection.fetchrow(_HOLDER, lock_key(to.schema)) is not None:
                return  # `_lock` says who
            await asyncio.sleep(min(left_s, 1.0))

    async def _lock(self, connection: asyncpg.Connection, to: Address) -> None:
        self._key, self._name = lock_key(to.schema), to.name
        for _ in range(20):
            if await connection.fetchval("select pg_try_advisory_lock($1)", self._key):
                return
            row, holder = await _row(connection, to), await connection.fetchrow(_HOLDER, self._key)
            if holder is None:
                continue
            if row is None or (row.instance, row.pid) != (self._instance, holder["pid"]):
                raise _taken(to, row, holder)
            # Of a forged with this state directory, whose lock we hold: it is dead, and the server has not noticed.
            await connection.execute("select pg_terminate_backend($1)", holder["pid"])
            await asyncio.sleep(0.1)
        raise StoreError(f"{to.name}: a connection of a forged that is dead does not end", hint="restart PostgreSQL")

    async def _schema(self, connection: asyncpg.Connection, to: Address) -> None:
        if not await usable(connection, to):
            await connection.execute(f"create schema {to.schema}")
        if not await connection.fetchval(_THERE, to.schema):
            await connection.execute(TABLE)

    async def _sign(self, connection: asyncpg.Connection, to: Address) -> None:
        fresh = secrets.token_hex(8)
        if await connection.fetchval(_TAKE, fresh, self._instance, myself(), self._token) is None:
            raise _taken(to, await _row(connection, to), None)
        self._token = fresh


async def usable(connection: asyncpg.Connection, to: Address) -> bool:
    """Whether the schema is there. Raises StoreError for a database, StoreForeign for a schema, that is none for us."""
    if await connection.fetchval("select current_setting('server_encoding')") != "UTF8":
        hint = "make one with: createdb -E UTF8 -T template0 NAME"
        raise StoreError(f"{to.name} does not hold every text: its encoding is not UTF8", hint=hint)
    if not await connection.fetchval("select exists (select from pg_catalog.pg_namespace where nspname = $1)", to.schema):
        if not await connection.fetchval("select has_database_privilege(current_database(), 'create')"):
            raise StoreError(f"{to.name}: this user may not make a schema there", hint="grant create on database NAME to USER")
        return False
    if await connection.fetchval(_INHABITED, to.schema) and not await connection.fetchval(_THERE, to.schema):
        hint = 'nothing was changed; name another schema: [state] url = "postgresql://…?schema=NAME"'
        raise StoreForeign(f"the schema {to.schema} of {to.name} is another program's", hint=hint)
    return True


async def user_of(connection: asyncpg.Connection, to: Address) -> str:
    """Who works with the memory now; empty: nobody."""
    holder = await connection.fetchrow(_HOLDER, lock_key(to.schema))
    return _named(await _row(connection, to), holder) if holder else ""


async def _nothing() -> None:
    """Nobody wants to know."""


async def _row(connection: asyncpg.Connection, to: Address) -> _Row | None:
    if not await connection.fetchval(_THERE, to.schema):
        return None
    row = await connection.fetchrow(_ROW)
    return None if row is None else _Row(*row)


def _taken(to: Address, row: _Row | None, holder: asyncpg.Record | None) -> StateTaken:
    end = f"; if that one hangs: select pg_terminate_backend({holder['pid']})" if holder else ""
    own = 'give each forged a memory of its own: [state] url = "postgresql://…?schema=NAME"'
    hint = f"{own}; a stand-by is this one started again and again{end}"
    return StateTaken(f"{to.name} is used by another forged ({_named(row, holder)})", hint=hint)


def _named(row: _Row | None, holder: asyncpg.Record | None) -> str:
    """Whoever has it: as the server knows it, else as the last owner called itself."""
    who = (holder and holder["application_name"]) or (row.name if row else "somebody")
    return f"{who} at {holder['address']}" if holder and holder["address"] else str(who)


class Owned(Database):
    """A database each of whose transactions proves first that its memory is ours."""

    owner: Owner
    to: Address

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """As Database. Raises StoreError while it is not ours."""
        self.owner.check()
        async with super().read() as connection:
            await self.owner.prove(connection, self.to, writes=False)
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """As Database. Raises StoreError while it is not ours."""
        self.owner.check()
        async with super().write() as connection:
            await self.owner.prove(connection, self.to, writes=True)
            yield connection
