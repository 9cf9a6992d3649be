"""The contract of an ingest handler, as promises. What brings events to handlers: ingest/delivery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from forged.model.events import Event

BATCH = 100
"""Of a handler that has no reason for another figure (issue 8 of the plan names it)."""


class Handler(Protocol):
    """Takes events, and brings them elsewhere."""

    @property
    def name(self) -> str:
        """As the owner called it; its place in the outbox belongs to this name."""

    @property
    def batch(self) -> int:
        """How many events it is brought at once, at most."""

    async def deliver(self, events: Sequence[Event]) -> None:
        """All of them were taken when it returns, in this order. Raises IngestError: then all of them are brought again.

        `transient` says whether trying again soon may help, `about` which of the events are at fault, if it is not the handler. An
        event can come more than once; its id is the same each time.
        """

    async def try_out(self) -> str:
        """Whether it could take events now, as far as can be told without bringing one; answers in a few words what was met.

        Nothing is changed at the other side. Raises IngestError.
        """

    async def aclose(self) -> None:
        """Lets go of what it holds. Nothing is delivered any more."""


@runtime_checkable
class Keeper(Protocol):
    """A handler that keeps all it takes in a place of its own, where it can be lost."""

    async def lost(self) -> bool:
        """Whether it has nothing: it never had, or all is gone. Says so once, and then only of another place. Raises nothing."""
