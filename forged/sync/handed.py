"""What required ingest handlers have not taken: asked once for many files, decided in rules/handing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from forged.model.manifest import ManifestRow
from forged.model.paths import SourcePath
from forged.rules import handing
from forged.sync.doors import Doors
from forged.sync.publish import key_of


async def not_taken(doors: Doors, rows: Sequence[ManifestRow]) -> Mapping[SourcePath, str]:
    """Those of these current rows that a required handler has not taken, with the reason in words. Raises StoreError."""
    required, target = doors.takers.required(), doors.target
    if not required or not rows:
        return {}
    keys = {row.path: key_of(target, row) for row in rows}
    of = [target.name, doors.takers.discovery or target.name]
    handed = await doors.store.ingests.handed(target.manifest, keys, required, of)
    found = ((row.path, handing.missing(row, keys[row.path], required, handed)) for row in rows)
    return {path: why for path, why in found if why is not None}
