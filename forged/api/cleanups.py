"""CleanupEngine: frees a source of what is old enough, and proven to be home."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from forged.api.models import CleanupConfig, CleanupResult
from forged.api.state import State, target_of
from forged.api.telling import MediaEventManager
from forged.api.transports import LocalAdapter, Transport, joined
from forged.daemon.app import App
from forged.model.errors import ForgedError
from forged.model.target import SourceAddress, Target
from forged.sync.cleanup import run_cleanup
from forged.sync.homecheck import check_home


class CleanupEngine:
    """Removes only what a memory proves: that of `manifest_path`, else of the engine that uses the transport, else this user's."""

    def __init__(
        self,
        config: CleanupConfig | None = None,
        manifest_path: str | os.PathLike[str] | None = None,
        event_manager: MediaEventManager | None = None,
    ) -> None:
        """`event_manager` hears of what is removed; where the memory is that of an engine, the engine's own does."""
        self.config = config or CleanupConfig()
        self._state = None if manifest_path is None else State.beside(manifest_path)
        self._events = event_manager

    async def cleanup_old_media(
        self, target_path: str, age_hours: float | None = None, dry_run: bool | None = None, transport: Transport | None = None
    ) -> CleanupResult:
        """One run over every sync from `target_path` or below it; without a transport, a folder of this machine.

        What was not synced stays. Trouble is in the result. Raises ConfigError, StateDirectoryBusy, StoreError.
        """
        way = transport or LocalAdapter()
        state = self._state or way.state or State.beside(None)
        state.events = state.events or self._events
        dry = self.config.dry_run if dry_run is None else dry_run
        config = self.config if age_hours is None else replace(self.config, age_hours=age_hours)
        targets = list(_synced(state.syncs(), way, target_path, config))
        result = CleanupResult(dry_run=dry)
        if not targets:
            return replace(result, errors=[f"nothing is known to have come home from {target_path}: nothing is removed"])
        async with state.opened() as app:
            for target in targets:
                result = await _clean(app, target, result)
            words = await state.events.deliver(app) if state.events is not None and not dry else []
        return replace(result, errors=[*result.errors, *words])


async def _clean(app: App, target: Target, so_far: CleanupResult) -> CleanupResult:
    policy = target.cleanup
    assert policy is not None
    left = max(policy.max_files_per_batch - so_far.files_deleted, 0)
    try:
        async with app.doors(target) as doors, doors.source:
            await check_home(doors)
            done = await run_cleanup(doors, replace(policy, max_files_per_batch=left), dry_run=so_far.dry_run)
    except ForgedError as error:
        return replace(so_far, errors=[*so_far.errors, error.message])
    root = target.source.path
    return replace(
        so_far,
        files_deleted=so_far.files_deleted + len(done.removed),
        space_freed_bytes=so_far.space_freed_bytes + done.freed_bytes,
        removed=[*so_far.removed, *(joined(root, row.path) for row in done.removed)],
        kept=so_far.kept | {joined(root, one.path): one.why.value for one in done.kept},
        errors=[*so_far.errors, *([f"{done.error.message} ({done.error.hint})"] if done.error else [])],
    )


def _synced(syncs: Mapping[str, Mapping[str, object]], way: Transport, path: str, config: CleanupConfig) -> Iterator[Target]:
    """What was synced from this folder or below it, as targets that are cleaned up so."""
    place = way.address(path.rstrip("/") or "/")
    for table in syncs.values():
        plain = {key: value for key, value in table.items() if "cleanup" not in key}
        target = target_of({**plain, **way.options(), "enable_cleanup": None if "source" in plain else False})
        if _is_within(target.source, place):
            yield replace(target, cleanup=target_of({**_LOCAL, "cleanup": config.table()}).cleanup)


_LOCAL = {"source": "/nonexistent", "dest": "/elsewhere", "type": "generic"}


def _is_within(one: SourceAddress, place: SourceAddress) -> bool:
    same_box = (one.kind, one.host, one.user, one.port or 22) == (place.kind, place.host, place.user, place.port or 22)
    return same_box and f"{one.path.rstrip('/')}/".startswith(f"{place.path.rstrip('/')}/")
