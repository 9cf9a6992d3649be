"""ManifestManager: what is remembered, compared with what a source shows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from forged.api.models import FileList, FileManifest
from forged.api.state import State, target_of
from forged.api.transports import joined
from forged.model.manifest import AtSource
from forged.model.paths import SourcePath

Changes = tuple[list[FileManifest], list[FileManifest], list[FileManifest]]
"""New, modified, deleted."""

PAGE_ROWS = 4_096


class ManifestManager:
    """The memory that `manifest_path` names (api/state). Raises StateDirectoryBusy while an engine uses it."""

    def __init__(self, manifest_path: str | os.PathLike[str]) -> None:
        self._state = State.beside(manifest_path)

    def get_changes(self, remote_files: Iterable[FileManifest]) -> Changes:
        """(new, modified, deleted) since what is remembered. Changes nothing; deleted are those at the source, never at home.

        For what `list_files` answered, only that folder of that source is compared; for another iterable, all that is remembered.
        """
        with ThreadPoolExecutor(1) as thread:  # whoever calls may stand in a running event loop
            return thread.submit(asyncio.run, self.changes(remote_files)).result()

    async def changes(self, remote_files: Iterable[FileManifest]) -> Changes:
        """The same for coroutines."""
        place = remote_files.place if isinstance(remote_files, FileList) else None
        remote = {one.path: one for one in remote_files}
        known, present = await self._known(place)
        new = [one for path, one in remote.items() if path not in known]
        modified = [one for path, one in remote.items() if path in known and known[path].needs_sync(one)]
        return new, modified, [known[path] for path in sorted(present - remote.keys())]

    async def _known(self, place: str | None) -> tuple[dict[str, FileManifest], set[str]]:
        """What was brought from there, and which of it was there at last."""
        known: dict[str, FileManifest] = {}
        present: set[str] = set()
        if not self._state.is_there:
            return known, present
        async with self._state.opened() as app:
            for table in self._state.syncs().values():
                target = target_of(table)
                after: SourcePath | None = None
                while rows := await app.store.manifest.between(target.manifest, after, None, PAGE_ROWS):
                    after = rows[-1].path
                    for row in rows:
                        if place is not None and not joined(str(target.source), row.path).startswith(place.rstrip("/") + "/"):
                            continue
                        path = joined(target.source.path, row.path)
                        known[path] = FileManifest(
                            path, row.stat.size_bytes, row.stat.mtime_ns / 1e9, row.sha256.hex(), stat=row.stat
                        )
                        if row.at_source is AtSource.PRESENT:
                            present.add(path)
        return known, present
