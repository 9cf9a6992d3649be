"""SyncEngine: folders of one source brought home, with one memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import replace

from forged.api.models import SyncConfig, SyncResult, job_of
from forged.api.state import State, target_of
from forged.api.syncing import ProgressCallback, Syncing
from forged.api.telling import MediaEventManager
from forged.api.transports import Transport
from forged.daemon.adhoc import AlreadyRunning

_PLACES = ("source_host", "source_port", "source_path", "dest_path", "folders", "enable_cleanup", "cleanup_age_hours")


class SyncEngine:
    """Brings folders home over one transport. It never removes anything: that is for CleanupEngine, and SyncOrchestrator."""

    def __init__(
        self,
        transport: Transport,
        manifest_path: str | os.PathLike[str] | None = None,
        event_manager: MediaEventManager | None = None,
    ) -> None:
        """`manifest_path` names the memory (api/state). From now on `transport` belongs to it."""
        self._transport = transport
        self._state = transport.state = State.beside(manifest_path)
        self._events = self._state.events = event_manager or MediaEventManager()
        self._running: set[str] = set()

    async def sync_folder(
        self, source: str, dest: str, config: SyncConfig, progress_callback: ProgressCallback | None = None, *, connections: int = 0
    ) -> SyncResult:
        """One sync of one folder; again, it brings only what is new. Trouble is in the result.

        The transport and the arguments say from where to where; of `config` the rest holds. Raises ConfigError for what makes no
        sense, StateDirectoryBusy, StoreError, AlreadyRunning.
        """
        table = {key: value for key, value in config.table().items() if not key.startswith("cleanup") and key not in _PLACES}
        table |= self._transport.options() | {"source": str(self._transport.address(source)), "dest": dest}
        target = target_of(table)
        if connections:
            target = replace(target, transfer=replace(target.transfer, parallel_transfers=connections))
        if target.manifest in self._running:
            raise AlreadyRunning(hint=f"wait until {source} is synced to {dest}")
        self._running.add(target.manifest)
        try:
            async with self._state.opened() as app:
                syncing = Syncing(app, self._state, target, [source], progress_callback, self._events)
                result = job_of(await syncing.run(table)).result
        finally:
            self._running.discard(target.manifest)
        assert result is not None
        return result

    async def sync_folders_parallel(
        self, folder_pairs: Sequence[tuple[str, str]], config: SyncConfig, progress_callback: ProgressCallback | None = None
    ) -> list[SyncResult]:
        """Several at once, in the order asked; trouble with one stops no other. `parallel_transfers` connections altogether."""
        at_once = max(1, min(config.parallel_transfers, len(folder_pairs)))
        turns = asyncio.Semaphore(at_once)

        async def one(source: str, dest: str) -> SyncResult:
            async with turns:
                each = max(1, config.parallel_transfers // at_once)
                return await self.sync_folder(source, dest, config, progress_callback, connections=each)

        async with self._state.opened(), asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(source, dest)) for source, dest in folder_pairs]
        return [task.result() for task in tasks]
