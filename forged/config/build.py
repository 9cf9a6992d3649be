"""From validated tables to the frozen policies of floor 1, with the defaults that type and surroundings give."""

from __future__ import annotations

from pathlib import Path

from forged.config.presets import folders_of, preset
from forged.config.read import Tables
from forged.config.schema import CleanupTable, DaemonTable, DiscoveredTable, MediaTable, StateTable, TargetKeys, TargetTable
from forged.config.schema_extras import (
    CommandTable,
    DiscoveryTable,
    FinderTable,
    IngestTable,
    PostgresTable,
    ProviderTable,
    PythonTable,
    SqliteTable,
    WebhookTable,
)
from forged.config.surroundings import Place, Surroundings
from forged.config.values import WatchMode
from forged.model import settings
from forged.model.target import (
    CleanupPolicy,
    HomePolicy,
    MediaPolicy,
    Selection,
    SettlePolicy,
    SourceAddress,
    SourceKind,
    SshOptions,
    Target,
    TargetName,
    Timing,
    TransferPolicy,
)


class Builder:
    """Builds one Config. Expects tables without mistakes: it only looks up defaults and moves values to their places."""

    def __init__(self, path: Path, tables: Tables, around: Surroundings) -> None:
        self._path = path
        self._tables = tables
        self._around = around

    def config(self) -> settings.Config:
        tables, daemon = self._tables, self._daemon(self._tables.daemon)
        return settings.Config(
            path=self._path,
            daemon=daemon,
            state=_state(tables.state, daemon.state_dir),
            transfer=settings.TransferSettings(tables.transfer.in_flight, tables.transfer.min_free, tables.transfer.bandwidth),
            media=_media(tables.media),
            targets=tuple(self.target(table) for _, table in tables.targets),
            ingests=tuple(_ingest(table, daemon.state_dir) for _, table in tables.ingests),
            discoveries=tuple(self._discovery(table) for _, table in tables.discoveries),
        )

    def _daemon(self, table: DaemonTable) -> settings.DaemonSettings:
        return settings.DaemonSettings(
            state_dir=table.state_dir or _known(self._around.state_dir()),
            socket=table.socket or _known(self._around.socket()),
            socket_mode=table.socket_mode,
            socket_group=table.socket_group,
            metrics=table.metrics,
            log_level=table.log_level,
            log_format=table.log_format,
            log_dir=self._around.log_dir(),
        )

    def target(self, table: TargetTable) -> Target:
        """One target; of the other tables only [media] is looked at."""
        address = table.source
        source = SourceAddress(address.kind, address.path or preset(table.type).path, address.host, address.user, address.port)
        return self._built(table, table.name, source)

    def _template(self, table: DiscoveredTable, name: str) -> Target:
        """Discovery fills in name, host, user and port of each box."""
        path = table.source.path if table.source else preset(table.type).path
        return self._built(table, name, SourceAddress(SourceKind.SSH, path))

    def _built(self, table: TargetKeys, name: str, source: SourceAddress) -> Target:
        changed = {key: getattr(table.media, key) for key in table.media.model_fields_set}
        return Target(
            name=TargetName(name),
            type=table.type,
            source=source,
            home=self._home(table),
            ssh=SshOptions(table.identity_file, table.passphrase_file, table.host_key),
            selection=_selection(table, source),
            settle=SettlePolicy(table.settle, table.settle_max),
            transfer=TransferPolicy(
                table.parallel_transfers, table.bandwidth, table.retry_attempts, table.retry_delay, table.verify
            ),
            timing=Timing(table.poll, table.schedule, table.watch is WatchMode.AUTO),
            media=_media(self._tables.media.model_copy(update=changed)),
            cleanup=_cleanup(table.cleanup) if table.cleanup else None,
        )

    def _home(self, table: TargetKeys) -> HomePolicy:
        return HomePolicy(
            dest=table.dest or _known(self._around.media_base()),
            layout=table.layout,
            names=table.names,
            file_mode=table.file_mode,
            dir_mode=table.dir_mode,
            group=table.group,
            require_mount=table.require_mount,
            redownload_deleted=table.redownload_deleted,
        )

    def _discovery(self, table: DiscoveryTable) -> settings.DiscoverySettings:
        return settings.DiscoverySettings(table.name, _finder(table), self._template(table.target, table.name), table.every)


def _known(place: Place | None) -> Path:
    """A place that `checks` has made sure of."""
    assert place is not None
    return place.path


def _state(table: StateTable, state_dir: Path) -> settings.StateSettings:
    postgres = None if table.url == "sqlite" else settings.Secret(table.url)
    if table.url_file:
        postgres = settings.Secret(file=table.url_file)
    return settings.StateSettings(state_dir / "forged.db", postgres)


def _selection(table: TargetKeys, source: SourceAddress) -> Selection:
    """The target's own keys take the place of the preset's; exclusions add up, so that `*.tmp` need not be repeated."""
    given, known = table.model_fields_set, preset(table.type)
    guessed, elsewhere = ((), ()) if "folders" in given else folders_of(table.type, source.path, source.user)
    return Selection(
        folders=table.folders if "folders" in given else guessed,
        include=table.include,
        exclude=(*known.exclude, *table.exclude),
        mutable=table.mutable if "mutable" in given else known.mutable,
        min_age_s=table.min_age,
        max_size_bytes=table.max_size,
        elsewhere=elsewhere,
        guessed=bool(guessed),
    )


def _media(table: MediaTable) -> MediaPolicy:
    return MediaPolicy(table.metadata, table.xmp, table.thumbnails, table.phash, table.duplicates, table.workers)


def _cleanup(table: CleanupTable) -> CleanupPolicy:
    return CleanupPolicy(
        age_s=table.age,
        preserve=table.preserve,
        max_files_per_batch=table.max_files_per_batch,
        every_s=table.every,
        dry_run=table.dry_run,
        rehash=table.rehash,
        remove_empty_dirs=table.remove_empty_dirs,
        unguarded=table.unguarded,
    )


def _ingest(table: IngestTable, state_dir: Path) -> settings.IngestSettings:
    events = table.events if isinstance(table, WebhookTable) else ()
    return settings.IngestSettings(table.name, _ingest_handler(table, state_dir), table.required, table.targets, events)


def _ingest_handler(table: IngestTable, state_dir: Path) -> settings.Handler:
    match table:
        case SqliteTable():
            return settings.SqliteIngest(table.path or state_dir / settings.CATALOG, table.enabled)
        case PostgresTable():
            return settings.PostgresIngest(settings.Secret(table.dsn, table.dsn_file))
        case WebhookTable():
            signing = settings.Secret(file=table.secret_file) if table.secret_file else None
            return settings.WebhookIngest(settings.Secret(table.url, table.url_file), signing, table.timeout, table.format)
        case CommandTable():
            return settings.CommandIngest(table.command, table.timeout)
        case PythonTable():
            return settings.PythonIngest(table.handler, table.timeout)
    raise AssertionError(f"no such type: {table.type}")


def _finder(table: DiscoveryTable) -> settings.Finder:
    match table:
        case FinderTable():
            return settings.CommandDiscovery(table.command, table.label)
        case ProviderTable(type="vastai"):
            return settings.VastaiDiscovery(settings.Secret(file=table.api_key_file), table.label)
        case ProviderTable():
            return settings.RunpodDiscovery(settings.Secret(file=table.api_key_file), table.label)
    raise AssertionError(f"no such type: {table.type}")
