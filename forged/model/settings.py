"""What the owner asked for beside the targets: the daemon, its state, the shared limits, ingest and discovery. And the whole."""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from forged.model.events import EventKind
from forged.model.target import Bandwidth, MediaPolicy, Target

Scalar = str | int | float | bool | None

Shown = Scalar | tuple[Scalar, ...]
"""A value of the configuration as it is written there; None: the key has no value."""


class LogLevel(enum.Enum):
    """How much to tell."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(enum.Enum):
    """How to tell it. AUTO: lines for people on a terminal, JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where the metrics page is served. Port 0 lets the system choose one."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """The daemon itself. `log_dir` is $LOG_BASE/sync; None = no log files."""

    state_dir: Path
    socket: Path
    socket_mode: int = 0o660
    socket_group: str | None = None
    metrics: ListenAddress | None = ListenAddress("127.0.0.1", 9750)
    log_level: LogLevel = LogLevel.INFO
    log_format: LogFormat = LogFormat.AUTO
    log_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret as it was given: as text (which repr never shows) or as a file to read at the moment of use."""

    text: str | None = field(default=None, repr=False)
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class StateSettings:
    """Where state is kept: SQLite at `sqlite`, or the PostgreSQL database that `postgres` (a URL) names."""

    sqlite: Path
    postgres: Secret | None = None


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """What all targets share. `in_flight_bytes`: asked for and not yet on disk."""

    in_flight_bytes: int = 64_000_000
    min_free_bytes: int = 1_000_000_000
    bandwidth: Bandwidth = field(default_factory=Bandwidth)


CATALOG = "catalog.db"
"""The catalog's file in state_dir, unless another is named."""


@dataclass(frozen=True, slots=True)
class SqliteIngest:
    """The catalog as an SQLite file. Not `enabled`: there is none, not even the one that is there when nobody asks for it."""

    path: Path
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class PostgresIngest:
    """The catalog in a PostgreSQL database; `dsn` is a postgresql:// URL."""

    dsn: Secret


class WebhookFormat(enum.Enum):
    """What the body of a webhook looks like: everything as JSON for programs, or a message that a messenger shows to people."""

    JSON = "json"
    NTFY = "ntfy"
    SLACK = "slack"


@dataclass(frozen=True, slots=True)
class WebhookIngest:
    """Events by HTTP POST; `secret` signs them."""

    url: Secret
    secret: Secret | None = None
    timeout_s: float = 10.0
    format: WebhookFormat = WebhookFormat.JSON


@dataclass(frozen=True, slots=True)
class CommandIngest:
    """Events to a program's standard input. Started without a shell."""

    argv: tuple[str, ...]
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class PythonIngest:
    """Events to a class of the owner's: `module:Class`, or the name of an entry point of the group `forged.ingest`."""

    handler: str
    timeout_s: float = 60.0


Handler = SqliteIngest | PostgresIngest | WebhookIngest | CommandIngest | PythonIngest


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """One `[[ingest]]`. `required`: cleanup waits for it. `targets`, `events`: whose events it gets, and which; empty = all."""

    name: str
    handler: Handler
    required: bool = False
    targets: tuple[str, ...] = ()
    events: tuple[EventKind, ...] = ()

    @property
    def takes_files(self) -> bool:
        """Whether it hears that a file is home. One that does not has nothing to take, so that nothing waits for it."""
        return not self.events or EventKind.FILE_SYNCED in self.events

    def takes_files_of(self, names: Collection[str]) -> bool:
        """Of a target that has these names: its own, and that of the discovery which made it."""
        return self.takes_files and (not self.targets or not set(self.targets).isdisjoint(names))


@dataclass(frozen=True, slots=True)
class VastaiDiscovery:
    """Boxes rented at vast.ai. `label`: only instances with that label; None = all."""

    api_key: Secret
    label: str | None = None


@dataclass(frozen=True, slots=True)
class RunpodDiscovery:
    """Pods rented at RunPod. `label`: only pods of that name; None = all."""

    api_key: Secret
    label: str | None = None


@dataclass(frozen=True, slots=True)
class CommandDiscovery:
    """Boxes that a program of the owner's prints. Started without a shell."""

    argv: tuple[str, ...]
    label: str | None = None


Finder = VastaiDiscovery | RunpodDiscovery | CommandDiscovery


@dataclass(frozen=True, slots=True)
class DiscoverySettings:
    """One `[[discovery]]`. `template` is the target to make of each box: it lacks a name and a host."""

    name: str
    finder: Finder
    template: Target
    every_s: float = 60.0


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One key as it holds, to be shown: the text that is or could be in the file, without secrets.

    `key` is dotted, an element of an array by its name: `target.forge.cleanup.age`. `origin` says where the value was decided:
    `default`, `preset` (of the target's type), `FILE:LINE` (with `(credential)` behind it for a file that systemd hands over), or
    `$NAME` for an environment variable.
    """

    key: str
    value: Shown
    origin: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the owner asked for. Validated as a whole; replaced as a whole."""

    path: Path
    daemon: DaemonSettings
    state: StateSettings
    transfer: TransferSettings = TransferSettings()
    media: MediaPolicy = field(default_factory=MediaPolicy)
    targets: tuple[Target, ...] = ()
    ingests: tuple[IngestSettings, ...] = ()
    discoveries: tuple[DiscoverySettings, ...] = ()
    effective: tuple[EffectiveValue, ...] = field(default=(), compare=False, repr=False)
    """The same for people, in the order of the file's sections. Where a value was said makes no difference to what it is."""

    @property
    def handlers(self) -> tuple[IngestSettings, ...]:
        """All that get events: those of `ingests`, and the catalog in state_dir where none is configured."""
        if not any(isinstance(one.handler, SqliteIngest) for one in self.ingests):
            taken = {one.name for one in self.ingests}
            name = next(name for name in ("catalog", "catalog.sqlite", "catalog.forged.sqlite") if name not in taken)
            return (IngestSettings(name, SqliteIngest(self.daemon.state_dir / CATALOG)), *self.ingests)
        return tuple(one for one in self.ingests if not isinstance(one.handler, SqliteIngest) or one.handler.enabled)

    @property
    def catalog(self) -> Path | None:
        """The file that `media.find` looks into: the first catalog's. None: there is none."""
        return next((one.handler.path for one in self.handlers if isinstance(one.handler, SqliteIngest)), None)
