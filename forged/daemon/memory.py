"""Which body the memory has: a file in the state directory, or a schema in PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from forged.kit.clock import Clock
from forged.kit.interpreter import install_command
from forged.model.errors import DestinationError, StoreError
from forged.model.manifest import Hold, ManifestName
from forged.model.settings import Secret, StateSettings
from forged.store import sqlite
from forged.store.base import Store

if TYPE_CHECKING:  # its driver is an extra, and takes a while to load
    from forged.store.postgres import Place

LET_GO_S = 10.0
"""A memory that has not been ours for so long may soon be another's, who writes to the same places at home: store/owner.GRACE_S
after it was lost at the earliest. A server that is merely started anew is back before."""


@dataclass(frozen=True, slots=True)
class OpenState:
    """An open state database."""

    store: Store
    lost_for_s: Callable[[], float]
    """How long nobody can tell whether it is still ours; 0 = it is."""
    taken: Callable[[], Awaitable[StoreError]]
    """Waits until somebody else has it for good; for ever where nobody can."""
    shared: bool = False
    """Whether another machine could ever have it."""

    def why_not(self) -> DestinationError | None:
        """Why nothing may be changed at home now."""
        if self.lost_for_s() < LET_GO_S:
            return None
        said = "home is left alone: the state database is away, and another forged may have it and be at work here"
        return DestinationError(said, hint="look at what is wrong with the state database; forged goes on by itself")


async def opened(settings: StateSettings, clock: Clock) -> OpenState:
    """Raises StoreError and its kinds; after a StoreDamaged there is `begun_anew`."""
    if settings.postgres is None:
        return OpenState(await sqlite.open_store(settings.sqlite, clock=clock), lambda: 0.0, _never)
    place = _place(settings, settings.postgres)
    from forged.store.postgres import open_store

    store = await open_store(place, clock=clock)
    return OpenState(store, lambda: store.lost_for_s, store.taken, shared=True)


async def begun_anew(settings: StateSettings, holds: Mapping[ManifestName, Hold], at_ns: int) -> str | None:
    """In the place of a damaged or lost one; answers where that is now. Raises StoreError."""
    if settings.postgres is None:
        aside = await asyncio.to_thread(sqlite.begin_anew, settings.sqlite, holds, at_ns)
        return None if aside is None else str(aside)
    place = _place(settings, settings.postgres)
    from forged.store.postgres import begin_anew

    return await begin_anew(place, holds, at_ns)


async def tried(settings: StateSettings) -> str:
    """Whether it can be used, in words; changes nothing. Raises StoreError."""
    if settings.postgres is None:
        return await asyncio.to_thread(sqlite.tried, settings.sqlite)
    place = _place(settings, settings.postgres)
    from forged.store import postgres

    return await postgres.tried(place)


def _place(settings: StateSettings, url: Secret) -> Place:
    """Raises StoreError where the driver is not there."""
    if find_spec("asyncpg") is None:
        hint = f"{install_command('asyncpg')}, then start forged again"
        raise StoreError("asyncpg is not installed, which [state] url needs", hint=hint)
    from forged.store.postgres import NOTE, Place

    return Place(url, settings.sqlite.with_name(NOTE), settings.sqlite)


async def _never() -> StoreError:
    await asyncio.Event().wait()
    raise AssertionError
