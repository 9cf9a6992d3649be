"""What the owner deleted at home. A few missing files are the owner's wish and become tombstones; many at once are a rolled-back
or wrongly mounted home, and hold the target (promise 7)."""

from __future__ import annotations

from forged.model.manifest import Hold, ManifestRow
from forged.model.paths import SourcePath
from forged.rules import safety
from forged.sync.doors import Doors
from forged.sync.home import ready

PAGE_ROWS = 4_096
"""Rows looked at together: one hop for all of their names."""


async def check_home(doors: Doors, *, believe: bool = False) -> int:
    """Looks at every remembered file; answers how many became tombstones. Raises DestinationError, StoreError.

    A target that is held concludes nothing. `believe`: a person has looked, so however many are missing, it was the owner. With
    `redownload_deleted` nothing becomes a tombstone: the rows are forgotten, so that the next round brings the files again.
    """
    name = doors.target.manifest
    await ready(doors)
    if await doors.store.flags.hold(name) is not None:
        return 0
    missing, remembered = await _missing(doors)
    why = None if believe else safety.doubt_home(len(missing), remembered)
    if why is not None:
        message = safety.explain_home(len(missing), remembered)
        await doors.store.flags.set_hold(name, Hold(why.value, message, doors.clock.now_ns()))
        return 0
    if doors.target.home.redownload_deleted:
        await doors.store.manifest.forget(name, missing)
        return 0
    await doors.store.manifest.entomb(name, missing, doors.clock.now_ns())
    return len(missing)


async def _missing(doors: Doors) -> tuple[list[SourcePath], int]:
    """Paths whose copy is not at home any more and is not known to be deleted; and how many should be there.

    What lies in a folder that is closed to us may well be there, so it is not missing.
    """
    missing: list[SourcePath] = []
    remembered = 0
    after: SourcePath | None = None
    while rows := await doors.store.manifest.between(doors.target.manifest, after, None, PAGE_ROWS):
        after = rows[-1].path
        expected: list[ManifestRow] = [row for row in rows if row.tombstone_at_ns is None]
        remembered += len(expected)
        looks = await doors.destination.look([row.home for row in expected])
        missing += [row.path for row, look in zip(expected, looks, strict=True) if look is None]
    return missing, remembered
