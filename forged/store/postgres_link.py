"""How the memory in PostgreSQL is reached: the address, connections, and what its errors mean."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from forged.config.secrets import reveal
from forged.kit.log_lines import clean
from forged.kit.masking import HIDDEN
from forged.kit.sql import DatabaseClosed
from forged.model.errors import ConfigError, StoreDamaged, StoreError
from forged.model.settings import Secret
from forged.store.border import Garbled

SCHEMA = "forged_state"
"""Not `forged`: that is the catalog's, which may be in the same database."""

CONNECT_S = 10.0
"""A server on this planet answers within one."""

COMMAND_S = 30.0
"""For one statement of a transaction; what takes longer hangs."""

SAID_CHARS = 300
"""Of the server's own words in an error."""

SESSION = {
    "jit": "off",  # our statements take milliseconds, compiling them up to a second
    # A forged that was stopped in the middle of a transaction must not keep its row locked for ever.
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "20s",
    "statement_timeout": "0",  # COMMAND_S is ours
    # A writer that waited for the owner's row reads what the one before it wrote; stricter ones answer with an error.
    "default_transaction_isolation": "read committed",
    # When its machine is gone, the server is to notice within a minute, not after two hours (the kernel's own keepalive): its lock
    # is free then.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60s",
}

DURABLE = "select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'"
"""What was answered is there after a power cut: cleanup relies on it. `off` would take it back (postgresql.org, 20.5)."""

UNTIMED = """
select set_config(name, '0', false) from pg_catalog.pg_settings where name in ('idle_session_timeout', 'transaction_timeout')
"""
"""Connections wait for work, and the owner's for as long as forged runs. Not in SESSION: PostgreSQL knows them since 14 and 17."""

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,40}")

CHECK = "check that PostgreSQL runs there, and host and port in [state] url; forged goes on by itself"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a memory is. `name` is how people know it, without secrets."""

    dsn: str = field(repr=False)
    schema: str
    name: str
    hidden: Sequence[str] = field(repr=False)
    """What no message may hold: passwords, as they are written and as they are meant."""


async def revealed(secret: Secret) -> Address:
    """The address, read anew from its file. Raises StoreError."""
    try:
        return address(await asyncio.to_thread(reveal, secret))
    except ConfigError as error:
        raise StoreError(error.message, hint="it is read again when forged tries again") from None


def address(url: str) -> Address:
    """`?schema=NAME` in it is ours, the rest is asyncpg's. Raises StoreError."""
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        schema = dict(query).get("schema", SCHEMA)
        passwords = [parts.password or "", *parse_qs(parts.query).get("password", [])]
        user, port = f"{parts.username}@" if parts.username else "", f":{parts.port}" if parts.port else ""
        name = f"postgresql://{user}{parts.hostname or ''}{port}{parts.path}"
    except ValueError:
        raise _no_address() from None
    if parts.scheme not in ("postgresql", "postgres"):
        raise _no_address()
    if not _SCHEMA_NAME.fullmatch(schema) or schema.startswith("pg_") or schema == "forged":
        hint = "small letters, digits and _; not `forged`, which is the catalog's, and not pg_…"
        raise StoreError(f"{schema!r} in [state] url is no name for forged's schema", hint=hint)
    dsn = urlunsplit(parts._replace(query=urlencode([one for one in query if one[0] != "schema"])))
    hidden = [one for secret in passwords if secret for one in dict.fromkeys((secret, unquote(secret)))]
    return Address(dsn, schema, clean(name if schema == SCHEMA else f"{name}, schema {schema}", SAID_CHARS), hidden)


def _no_address() -> StoreError:
    return StoreError("the address in [state] url is none", hint="it looks like postgresql://user@host/database")


def myself() -> str:
    """What people see of this process at the server (`application_name`, 63 bytes at most)."""
    return f"forged {socket.gethostname()[:40]} {os.getpid()}"


async def connected(to: Address, command_s: float | None = COMMAND_S) -> asyncpg.Connection:
    """A connection whose tables are those of forged's schema. Raises what asyncpg does."""
    settings = {**SESSION, "search_path": to.schema, "application_name": myself()}
    connection = await asyncpg.connect(to.dsn, timeout=CONNECT_S, command_timeout=command_s, server_settings=settings)
    try:
        await connection.execute(f"{DURABLE}; {UNTIMED}")
    except BaseException:
        connection.terminate()
        raise
    return connection


@contextmanager
def translated(to: Address) -> Iterator[None]:
    """What PostgreSQL, its driver or SQLAlchemy raises becomes a StoreError without secrets. No cause stays: the driver keeps
    addresses."""
    try:
        yield
    except DatabaseClosed:
        raise StoreError(f"{to.name}: is closed already; forged is stopping") from None
    except Garbled as error:
        raise StoreDamaged(f"the state database {to.name} is damaged: {error}") from error
    except TimeoutError:
        raise StoreError(f"{to.name}: PostgreSQL does not answer", hint=CHECK) from None
    except DBAPIError as error:
        raise _meant(to, _driver_error(error)) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as error:
        raise _meant(to, error) from None
    except SQLAlchemyError as error:
        raise StoreError(f"{to.name}: {_said(to, error)}") from None


def _driver_error(error: DBAPIError) -> BaseException:
    """asyncpg's own, which SQLAlchemy has wrapped twice."""
    found: BaseException = error.orig or error
    return found.__cause__ or found


def _said(to: Address, error: BaseException) -> str:
    """The server's words. Those of the driver about a value have it in them, and it is somebody's."""
    about_value = isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)
    words = "a value is none that PostgreSQL holds" if about_value else str(error)
    said = clean(words.split("\n")[0], SAID_CHARS) or type(error).__name__
    for secret in to.hidden:
        said = said.replace(secret, HIDDEN)
    return said


def _meant(to: Address, error: BaseException) -> StoreError:
    return StoreError(f"{to.name}: {_said(to, error)}", hint=_hint(error))


def _hint(error: BaseException) -> str:
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return "check user and password in [state] url, and pg_hba.conf at the server; url_file is read again"
        case asyncpg.InvalidCatalogNameError():
            return "make it with: createdb -E UTF8 -T template0 NAME; forged makes its tables by itself"
        case asyncpg.InsufficientPrivilegeError():
            return f"grant create on database NAME to USER: forged keeps to a schema of its own ({SCHEMA})"
        case asyncpg.ReadOnlySQLTransactionError():
            return "this server only reads: is it the standby? forged goes on by itself"
        case asyncpg.DiskFullError():
            return "free some room at the database server; forged goes on by itself"
        case asyncpg.TooManyConnectionsError():
            return "it takes five connections: raise max_connections at the server, or end others; forged goes on by itself"
        case asyncpg.UndefinedTableError() | asyncpg.UndefinedColumnError():
            return "forged's tables were changed by somebody else: restore them, or start forged again"
        case asyncpg.ProgramLimitExceededError():
            return "PostgreSQL's indexes hold no path above some 2,600 bytes: leave it out (`exclude`), or use sqlite"
        case asyncpg.PostgresConnectionError() | asyncpg.CannotConnectNowError() | asyncpg.InterfaceError() | OSError():
            return CHECK
        case asyncpg.OperatorInterventionError():
            return CHECK
        case _:
            return ""
