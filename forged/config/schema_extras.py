"""The keys of [[ingest]] and [[discovery]]: each type has its own table, chosen by the word in `type`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from forged.config.schema import DiscoveredTable, Table, key, required
from forged.config.values import Argv, Dsn, KeyFile, Name, Names, PathText, PythonClass, Text, Url, between, choice, choices
from forged.model.events import EventKind
from forged.model.settings import WebhookFormat


class IngestTable(Table):
    """[[ingest]]: what every type has."""

    type: str = required("sqlite, postgres, webhook, command or python")
    name: Name = required("a name of your own: letters, digits, dots, dashes, underscores")
    required: bool = key(False, "cleanup keeps each file that this handler has not taken, and `forgectl drain` says no")
    targets: Names = key([], "only events of these targets (or discoveries); empty means all")


class SqliteTable(IngestTable):
    """[[ingest]] type="sqlite": a catalog to search, in one file; there is one also without this table."""

    path: PathText = key(None, "the file; catalog.db in state_dir")
    enabled: bool = key(True, "false: no catalog, so `forgectl find` finds nothing")


class PostgresTable(IngestTable):
    """[[ingest]] type="postgres": the catalog in a PostgreSQL database."""

    dsn: Dsn = key(None, "postgresql://user@host/database")
    dsn_file: KeyFile = key(None, "a file that holds it, to keep its password out of here")


class WebhookTable(IngestTable):
    """[[ingest]] type="webhook": each event as an HTTP POST."""

    url: Url = key(None, "https://host/path")
    url_file: KeyFile = key(None, "a file that holds the url, if it contains a token")
    secret_file: KeyFile = key(None, "a file that holds the key that requests are signed with")
    timeout: Annotated[float, between("100ms", "10m")] = key("10s", "how long an answer may take")
    format: Annotated[WebhookFormat, choice(WebhookFormat)] = key(
        "json",
        "json: everything, for programs; ntfy, slack: a message for people (slack also for Mattermost, and Discord's /slack)",
    )
    events: Annotated[tuple[EventKind, ...], choices(EventKind)] = key([], "only events of these kinds; empty means all")


class CommandTable(IngestTable):
    """[[ingest]] type="command": each event on a program's standard input."""

    command: Argv = required("the program and its arguments, as a list; no shell is involved")
    timeout: Annotated[float, between("100ms", "1h")] = key("60s", "how long it may run for one event")


class PythonTable(IngestTable):
    """[[ingest]] type="python": a handler class of your own."""

    handler: PythonClass = required(
        '"package.module:Class", importable where forged runs; or an entry point in the group forged.ingest'
    )
    timeout: Annotated[float, between("100ms", "1h")] = key("60s", "how long it may take for one event")


class DiscoveryTable(Table):
    """[[discovery]]: what every type has."""

    type: str = required("vastai, runpod or command")
    name: Name = required("a name of your own: letters, digits, dots, dashes, underscores")
    label: Text = key(None, "only boxes with this label; without it all")
    every: Annotated[float, between("5s", "24h")] = key(
        "60s", "how often to ask which boxes exist; providers refuse to be asked more often"
    )
    target: DiscoveredTable = key(DiscoveredTable(), "a table: a target without name and address, made for each box")


class ProviderTable(DiscoveryTable):
    """[[discovery]] type="vastai" or "runpod"."""

    api_key_file: KeyFile = required("a file that holds the API key; it never stands in here")


class FinderTable(DiscoveryTable):
    """[[discovery]] type="command"."""

    command: Argv = required(
        'a program, as a list; it prints a line for each box, {"id": "a", "host": "h", "port": 22}, and {"count": N}'
    )


INGEST_TABLES: Mapping[str, type[IngestTable]] = MappingProxyType(
    {"sqlite": SqliteTable, "postgres": PostgresTable, "webhook": WebhookTable, "command": CommandTable, "python": PythonTable}
)
DISCOVERY_TABLES: Mapping[str, type[DiscoveryTable]] = MappingProxyType(
    {"vastai": ProviderTable, "runpod": ProviderTable, "command": FinderTable}
)
