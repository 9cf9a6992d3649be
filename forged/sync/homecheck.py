"""What the owner deleted at home. A few missing files are the owner's wish and become tombstones; many at once are a rolled-back
or wrongly mounted home, and hold the target (promise 7). What is missing after a disk has failed is neither."""

from __future__ import annotations

from collections.abc import Sequence

from forged.model.errors import DestinationError
from forged.model.manifest import AtSource, Hold, ManifestRow
from forged.model.paths import SourcePath
from forged.rules import safety
from forged.sync.doors import Doors
from forged.sync.home import note_trouble, ready

PAGE_ROWS = 4_096
"""Rows looked at together: one hop for all of their names."""


async def check_home(doors: Doors, *, believe: bool = False) -> int:
    """Looks at every remembered file; answers how many became tombstones. Raises DestinationError, StoreError.

    A target that is held concludes nothing. `believe`: a person has looked, so however many are missing, it was the owner. With
    `redownload_deleted` nothing becomes a tombstone: the rows are forgotten, so that the next round brings the files again. So it
    is where the disk has failed since the last look: then it was not the owner.
    """
    try:
        return await _checked(doors, believe)
    except DestinationError as error:
        await note_trouble(doors, error)
        raise


async def _checked(doors: Doors, believe: bool) -> int:
    name, flags = doors.target.manifest, doors.store.flags
    await ready(doors)
    if await flags.hold(name) is not None:
        return 0
    missing, remembered = await _missing(doors)
    why = None if believe else safety.doubt_home(len(missing), remembered)
    if why is not None:
        await _hold(doors, why, safety.explain_home(len(missing), remembered))
        return 0
    if await flags.trouble(name) is not None:
        if not believe:
            await _bring_again(doors, missing)
            return 0
        await flags.set_trouble(name, None)
    paths = [row.path for row in missing]
    if doors.target.home.redownload_deleted:
        await doors.store.manifest.forget(name, paths)
        return 0
    await doors.store.manifest.entomb(name, paths, doors.clock.now_ns())
    return len(missing)


async def _bring_again(doors: Doors, missing: Sequence[ManifestRow]) -> None:
    """What a failing disk has lost: what the source still has comes home again, and for the rest a person has to look."""
    name = doors.target.manifest
    await doors.store.manifest.forget(name, [row.path for row in missing if row.at_source is AtSource.PRESENT])
    if alone := sum(row.at_source is not AtSource.PRESENT for row in missing):
        await _hold(doors, safety.Doubt.HOME_DAMAGED, safety.explain_damage(alone))
    else:
        await doors.store.flags.set_trouble(name, None)


async def _hold(doors: Doors, why: safety.Doubt, message: str) -> None:
    await doors.store.flags.set_hold(doors.target.manifest, Hold(why.value, message, doors.clock.now_ns()))


async def _missing(doors: Doors) -> tuple[list[ManifestRow], int]:
    """Those whose copy is not at home any more and is not known to be deleted; and how many should be there.

    What lies in a folder that is closed to us may well be there, so it is not missing.
    """
    missing: list[ManifestRow] = []
    remembered = 0
    after: SourcePath | None = None
    while rows := await doors.store.manifest.between(doors.target.manifest, after, None, PAGE_ROWS):
        after = rows[-1].path
        expected: list[ManifestRow] = [row for row in rows if row.tombstone_at_ns is None]
        remembered += len(expected)
        looks = await doors.destination.look([row.home for row in expected])
        missing += [row for row, look in zip(expected, looks, strict=True) if look is None]
    return missing, remembered
