"""Home, as every step sees it: is it there (asked before all else), and where in it does a file belong?"""

from __future__ import annotations

from contextlib import suppress

from forged.model.errors import DestinationFailing, DestinationReadOnly, ForgedError, StoreError
from forged.model.observer import HomeReady
from forged.model.target import Target
from forged.rules.placement import Placement
from forged.rules.safety import Doubt
from forged.sync.doors import Doors


async def ready(doors: Doors) -> None:
    """Asks the destination. Its marker is remembered on first use, so that an unmounted disk is never mistaken for it.

    Where the memory of it was lost with the state database, it has to have one, until a person has looked and released the target.
    Raises DestinationError.
    """
    dest = str(doors.target.home.dest)
    known_id = await doors.store.destinations.known_id(dest)
    may_be_new = known_id is not None or not await _was_lost(doors)
    readiness = await doors.destination.ready(known_id, may_be_new=may_be_new)
    doors.observer.notice(HomeReady(doors.target.name, readiness.free_bytes))
    if known_id is None:
        await doors.store.destinations.remember(dest, readiness.id)


async def note_trouble(doors: Doors, error: ForgedError) -> None:
    """Remembers that the disk at home fails. A state database that takes nothing just now is in trouble itself, which is told."""
    if isinstance(error, DestinationFailing | DestinationReadOnly):
        with suppress(StoreError):
            name, flags = doors.target.manifest, doors.store.flags
            if await flags.trouble(name) is None:
                await flags.set_trouble(name, doors.clock.now_ns())


async def _was_lost(doors: Doors) -> bool:
    hold = await doors.store.flags.hold(doors.target.manifest)
    return hold is not None and hold.reason == Doubt.STATE_REBUILT.value


def placement(target: Target) -> Placement:
    """Which final name each file of this target should get."""
    return Placement(target.name, target.home.layout, target.home.names, target.selection.folders)
