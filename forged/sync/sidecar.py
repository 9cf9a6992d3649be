"""The sidecar of one file: read what lies there, merge, and put it there if nobody was quicker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from forged.destination.base import Destination, Refused, SidecarPut
from forged.model.media import MediaInfo, ToExamine
from forged.model.paths import shown
from forged.model.sidecars import SidecarFacts, Sidecars, SidecarTrouble

MOST_MERGES = 5
"""So often another program may write between our reading and writing; one that does so more often is at war with us."""


@dataclass(frozen=True, slots=True)
class SidecarDone:
    """How it ended: nothing to say; or why there is none, and whether it can follow later."""

    why: str = ""
    later: bool = False


async def keep_sidecar(
    destination: Destination, sidecars: Sidecars | None, target: str, file: ToExamine, info: MediaInfo
) -> SidecarDone:
    """Raises DestinationError."""
    if sidecars is None or not sidecars.available:
        return SidecarDone("exiftool is missing", later=True)
    facts = SidecarFacts(shown(file.home.rpartition(b"/")[2]), target, file.sha256, file.row.stat.mtime_ns)
    for _ in range(MOST_MERGES):
        existing = await destination.sidecar(file.home)
        if isinstance(existing, Refused):
            return SidecarDone(existing.why)
        made = await sidecars.render(info, facts, existing)
        if isinstance(made, SidecarTrouble):
            return SidecarDone(made.why, made.later)
        if made is None:
            return SidecarDone()
        expects = hashlib.sha256(existing).digest() if existing is not None else None
        put = await destination.put_sidecar(file.home, made, expects)
        if isinstance(put, Refused):
            return SidecarDone(put.why)
        if put is not SidecarPut.CHANGED:
            return SidecarDone()
    return SidecarDone("another program keeps writing to it")
