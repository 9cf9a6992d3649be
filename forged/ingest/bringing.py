"""Which of several events is it that a handler cannot take? All of them once more, in smaller parts.

Only errors that are about events (IngestError.about) begin that; a handler that is away is none, and ends it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from forged.ingest.base import Handler
from forged.model.errors import IngestError
from forged.model.events import Event

MOST_SUSPECTS = 5
"""Events that fail one after the other, while not one is taken: then it is rather the handler that fails, an owner's class whose
database is down, say. Chosen: a few events in a row may share what a handler cannot take; more cost a new process each."""


class Stuck(IngestError):
    """It takes none of them, whichever it is brought."""


@dataclass(slots=True)
class Bringing:
    """Some events of one handler, on their way. `suspects`: give up after so many; None: try each."""

    handler: Handler
    suspects: int | None = MOST_SUSPECTS
    taken: list[Event] = field(default_factory=list)
    failed: list[tuple[Event, IngestError]] = field(default_factory=list)
    """Brought alone, and not taken."""
    behind: list[Event] = field(default_factory=list)
    """Not brought, since an earlier one of their key has failed."""

    async def bring(self, events: Sequence[Event]) -> None:
        """All of them, in order. Raises IngestError for a handler that is away, and Stuck."""
        events = self._in_turn(events)
        if not events:
            return
        try:
            await self.handler.deliver(events)
        except IngestError as error:
            if not any(event.id in error.about for event in events):
                raise
            await self._closer(events, error)
        else:
            self.taken += events

    def _in_turn(self, events: Sequence[Event]) -> list[Event]:
        failed = {event.key for event, _ in self.failed}
        self.behind += [event for event in events if event.key in failed]
        return [event for event in events if event.key not in failed]

    async def _closer(self, events: Sequence[Event], error: IngestError) -> None:
        if len(events) > 1:
            for part in parts(events, error.about):
                await self.bring(part)
            return
        self.failed.append((events[0], error))
        if self.suspects is not None and len(self.failed) >= self.suspects and not self.taken:
            raise Stuck(error.message, hint=error.hint)


def parts(events: Sequence[Event], about: Collection[int]) -> Iterator[Sequence[Event]]:
    """What comes before those that an error is about, these in halves, and what comes after them. More than one, none empty."""
    meant = [number for number, event in enumerate(events) if event.id in about]
    first, end = meant[0], meant[-1] + 1
    middle = (first + end + 1) // 2
    for begin, until in ((0, first), (first, middle), (middle, end), (end, len(events))):
        if begin < until:
            yield events[begin:until]
