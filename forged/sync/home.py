"""Home, as every step sees it: is it there (step 0), and where in it does a file belong?"""

from __future__ import annotations

from forged.model.observer import HomeReady
from forged.model.target import Target
from forged.rules.placement import Placement
from forged.sync.doors import Doors


async def ready(doors: Doors) -> None:
    """Asks the destination. Its marker is remembered on first use, so that an unmounted disk is never mistaken for it.

    Raises DestinationError.
    """
    dest = str(doors.target.home.dest)
    known_id = await doors.store.destinations.known_id(dest)
    readiness = await doors.destination.ready(known_id)
    doors.observer.notice(HomeReady(doors.target.name, readiness.free_bytes))
    if known_id is None:
        await doors.store.destinations.remember(dest, readiness.id)


def placement(target: Target) -> Placement:
    """Which final name each file of this target should get."""
    return Placement(target.name, target.home.layout, target.home.names, target.selection.folders)
