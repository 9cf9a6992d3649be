"""Which body a target's source has, by its scheme, and the coat for a target that names folders; a discovery's and a handler's."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from forged.discovery.base import Discovery
from forged.discovery.command import Command
from forged.ingest.base import Handler
from forged.ingest.catalog.handler import Sqlite
from forged.ingest.command import Command as IngestCommand
from forged.ingest.postgres import Postgres
from forged.ingest.python import Python
from forged.kit.clock import Clock
from forged.model.manifest import PinKeeper
from forged.model.observer import Observer
from forged.model.settings import (
    CommandDiscovery,
    CommandIngest,
    DiscoverySettings,
    IngestSettings,
    PostgresIngest,
    PythonIngest,
    RunpodDiscovery,
    SqliteIngest,
    VastaiDiscovery,
    WebhookIngest,
)
from forged.model.target import SourceKind, Target
from forged.sources.base import Source
from forged.sources.local import LocalSource
from forged.sources.placed import Placed, Remembered, wanted_of
from forged.sources.sftp.source import sftp_source
from forged.sources.ssh import ssh_source
from forged.sources.ways import Memory


@dataclass(frozen=True, slots=True)
class Bodies:
    """Makes closed sources of one target. `homes`: what forged writes to, never to be read as a source."""

    pins: PinKeeper
    observer: Observer
    ssh_home: Path
    homes: Sequence[Path] = ()
    memory: Memory = field(default_factory=Memory)
    """Of the way to its box that was found."""

    def bare(self, target: Target) -> Source:
        """Without a coat."""
        match target.source.kind:
            case SourceKind.LOCAL:
                return LocalSource(os.fsencode(target.source.path), self.homes)
            case SourceKind.SSH:
                return ssh_source(target, self.pins, self.observer, self.ssh_home, memory=self.memory)
            case SourceKind.SFTP:
                return sftp_source(target, self.pins, self.observer, self.ssh_home)
            case SourceKind.DOCKER:
                # Only for those who have containers: it loads aiohttp, a quarter of a second and 13 MB.
                from forged.sources.docker.source import docker_source

                return docker_source(target, self.observer, self.memory)


def placed_source(target: Target, make: Callable[[Target], Source], remembered: Remembered | None = None) -> Source:
    """What `make` answers for the target; where it names folders, in the coat that finds them."""
    if not target.selection.folders:
        return make(target)

    def at(root: bytes) -> Source:
        return make(replace(target, source=replace(target.source, path=os.fsdecode(root))))

    wanted = wanted_of(target)
    return Placed(at, wanted, remembered) if remembered else Placed(at, wanted)


def handler_of(settings: IngestSettings, clock: Clock) -> Handler:
    """The ingest handler of these settings. Opens nothing yet."""
    match settings.handler:
        case WebhookIngest():
            from forged.ingest.webhook import Webhook  # here, since loading an HTTP client takes 0.2 s

            return Webhook(settings.name, settings.handler)
        case PostgresIngest():
            return Postgres(settings.name, settings.handler)
        case CommandIngest():
            return IngestCommand(settings.name, settings.handler)
        case PythonIngest():
            return Python(settings.name, settings.handler)
        case SqliteIngest():
            return Sqlite(settings.name, settings.handler, clock)


def discovery_of(settings: DiscoverySettings) -> Discovery:
    """The body for its type. Opens nothing yet."""
    match settings.finder:
        case VastaiDiscovery(api_key=key, label=label):
            from forged.discovery.vastai import Vastai  # here, since loading an HTTP client takes 0.2 s

            return Vastai(key, label)
        case RunpodDiscovery(api_key=key, label=label):
            from forged.discovery.runpod import Runpod

            return Runpod(key, label)
        case CommandDiscovery(argv=argv, label=label):
            return Command(argv, label)
