"""One connection to PostgreSQL: opened, its tables brought up to date, batches written. The only module that loads asyncpg."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from forged.ingest import postgres_sql as sql
from forged.ingest.postgres_rows import Row, Rows, ValueRefused
from forged.kit.log_lines import clean
from forged.kit.masking import HIDDEN
from forged.model.errors import IngestError, IngestRefused

CONNECT_S = 10.0
"""A server on this planet answers within one."""

SAID_CHARS = 300
"""Of the server's own words in an error."""


class Link:
    """A connection whose tables are there. Not used by two at once; after any error it is good for nothing but `drop`."""

    def __init__(self, connection: asyncpg.Connection, hidden: Sequence[str]) -> None:
        self._connection = connection
        self._hidden = hidden

    @classmethod
    async def opened(cls, dsn: str) -> Link:
        """Raises IngestError."""
        hidden = passwords(dsn)
        with _translated(hidden):
            link = cls(await _connected(dsn), hidden)
            try:
                await link._up_to_date()
            except BaseException:
                link.drop()
                raise
        return link

    @classmethod
    async def tried(cls, dsn: str) -> str:
        """Connects, makes or renews the tables, and takes all of it back; answers what was met. Raises IngestError."""
        hidden = passwords(dsn)
        with _translated(hidden):
            link = cls(await _connected(dsn), hidden)
            try:
                return await link._tried()
            finally:
                link.drop()

    async def _tried(self) -> str:
        """Who goes away before the end of a transaction has changed nothing."""
        await self._connection.transaction().start()
        before = await self._version()
        await self._up_to_date()
        if not await self._connection.fetchval(sql.MAY_WRITE):
            raise IngestRefused("this user may not write to the tables", hint="grant insert, update on all tables in schema forged")
        told = {0: "its tables can be made", await self._version(): "its tables are up to date"}
        found = str(await self._connection.fetchval("select current_setting('server_version')")).split()[0]
        return f"PostgreSQL {found} answers, {told.get(before, 'its tables can be brought up to date')}"

    @property
    def lost(self) -> bool:
        """Whether it is known to have ended."""
        return bool(self._connection.is_closed())

    async def write(self, rows: Rows) -> None:
        """All of them (there has to be a file) in one transaction, which is durable when this returns. Raises IngestError."""
        with _translated(self._hidden):
            async with self._connection.transaction():
                await self._connection.execute(sql.DURABLE)
                await self._connection.execute(sql.FILES, *map(list, zip(*rows.files.values(), strict=True)))
                await self._connection.execute(sql.ANEW, list(rows.files), list(rows.contents.values()), rows.anew)
                await self._connection.execute(sql.BACK, rows.back)
                await self._copy(sql.MEDIA, rows.media.values())
                await self._copy(sql.GENERATIONS, rows.generations.values())
                await self._copy(sql.LORAS, rows.loras)

    async def _copy(self, to: sql.Copied, rows: Collection[Row]) -> None:
        if rows:
            await self._connection.copy_records_to_table(to.table, records=rows, columns=to.columns, schema_name=sql.SCHEMA)

    async def _up_to_date(self) -> None:
        """Raises IngestRefused for a database that is none for us."""
        if await self._connection.fetchval(sql.ENCODING) != "UTF8":
            hint = "make one with: createdb -E UTF8 -T template0 NAME"
            raise IngestRefused("the database does not hold every text: its encoding is not UTF8", hint=hint)
        known, at = sql.migrations(), await self._version()
        if at > known[-1].version:
            raise IngestRefused("the tables were made by a newer forged", hint="install the newer version again")
        if at < known[-1].version:
            await self._migrate(known)

    async def _version(self) -> int:
        """Of the tables; 0: there are none."""
        there = await self._connection.fetchval(sql.THERE)
        return int(await self._connection.fetchval(sql.VERSION)) if there else 0

    async def _migrate(self, known: Sequence[sql.Migration]) -> None:
        """All or nothing. Who had to wait for another finds its work done."""
        async with self._connection.transaction():
            await self._connection.execute("select pg_advisory_xact_lock($1)", sql.MIGRATIONS_LOCK)
            if not await self._connection.fetchval(sql.THERE):
                await self._connection.execute(sql.PREPARE)
            at = await self._connection.fetchval(sql.VERSION)
            for one in known:
                if one.version > at:
                    await self._connection.execute(one.sql)
                    await self._connection.execute(sql.APPLIED, one.version, one.name)

    async def aclose(self) -> None:
        """As one says goodbye; whoever waits for it bounds it. Raises IngestError."""
        with _translated(self._hidden):
            await self._connection.close()

    def drop(self) -> None:
        """At once, whatever is under way; the server takes back what was not committed."""
        self._connection.terminate()


async def _connected(dsn: str) -> asyncpg.Connection:
    """Raises IngestError where nobody answers: with the address, since the system's words do not have it."""
    try:
        return await asyncpg.connect(dsn, timeout=CONNECT_S)
    except TimeoutError:
        raise
    except OSError as error:
        parts = urlsplit(dsn)
        where = f" at {parts.hostname}" if parts.hostname else ""
        why = clean((error.strerror or str(error)).split(" (")[0], SAID_CHARS)
        raise IngestError(f"PostgreSQL{where}: {why}", hint=f"{CHECK}; forged tries again by itself") from None


@contextmanager
def _translated(hidden: Sequence[str]) -> Iterator[None]:
    """What the driver raises becomes an IngestError, without what is hidden. No cause stays: the driver keeps addresses."""
    try:
        yield
    except TimeoutError:
        raise IngestError("PostgreSQL does not answer", hint=f"{CHECK}; forged tries again by itself") from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        said = clean(str(error).split("\n")[0], SAID_CHARS) or type(error).__name__
        for secret in hidden:
            said = said.replace(secret, HIDDEN)
        raise _meant(error, said) from None


def passwords(dsn: str) -> Sequence[str]:
    """What no message may hold, as it is written in the address and as it is meant. Raises IngestRefused for one that is none."""
    try:
        parts = urlsplit(dsn)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        raise _no_address() from None
    return [one for secret in found if secret for one in dict.fromkeys((secret, unquote(secret)))]


CHECK = "check that PostgreSQL runs there, and host and port in dsn"


def _no_address() -> IngestRefused:
    return IngestRefused("the address in dsn is none", hint="it looks like postgresql://user@host/database")


def _meant(error: Exception, said: str) -> IngestError:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return IngestRefused(said, hint="check user and password in dsn, and pg_hba.conf at the server; dsn_file is read again")
        case asyncpg.InvalidCatalogNameError():
            return IngestRefused(said, hint="make it with: createdb -E UTF8 -T template0 NAME; forged makes its tables by itself")
        case asyncpg.InsufficientPrivilegeError():
            return IngestRefused(said, hint="grant create on database NAME to USER: forged keeps to a schema of its own, `forged`")
        case asyncpg.DuplicateTableError() | asyncpg.DuplicateObjectError() | asyncpg.UndefinedTableError():
            hint = "the schema `forged` is not as forged made it: alter schema forged rename to other, and a new one is made"
            return IngestRefused(said, hint=hint)
        case asyncpg.UndefinedColumnError():
            return IngestRefused(said, hint="the tables in the schema `forged` were changed by somebody else")
        case asyncpg.ReadOnlySQLTransactionError():
            return IngestError(said, hint="this server only reads: is it the standby? forged tries again by itself")
        case asyncpg.DiskFullError():
            return IngestError(said, hint="free some room at the database server; forged tries again by itself")
        case asyncpg.DataError() | asyncpg.ProgramLimitExceededError() | asyncpg.IntegrityConstraintViolationError():
            return ValueRefused(said)
        case asyncpg.PostgresConnectionError() | asyncpg.CannotConnectNowError() | asyncpg.InterfaceError() | OSError():
            return IngestError(said, hint=f"{CHECK}; forged tries again by itself")
        case ValueError():
            return _no_address()
        case _:
            return IngestError(said)
