"""Rings: an alarm breaks once and heals once, over restarts too, and each time it is an event that handlers receive."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from forged.kit.clock import Clock
from forged.kit.tasks import to_the_end
from forged.model.alarms import Alarm, AlarmKind
from forged.model.events import EventKind, NewEvent
from forged.store.base import Alarms


@dataclass(frozen=True, slots=True)
class Said:
    """An alarm in words. `target`: the target's name, or the discovery's. `more`: what programs want to know beside the words."""

    target: str
    message: str
    hint: str = ""
    more: Mapping[str, str | int | float | None] = field(default_factory=dict)

    def event(self, kind: EventKind, key: str, at_ns: int) -> NewEvent:
        """As handlers receive it; a body's `message` and `hint` are what a telephone shows."""
        body = {"message": self.message, "hint": self.hint, **self.more}
        return NewEvent(kind, self.target, at_ns, key, json.dumps(body))


class Bell:
    """The alarms that are raised now. What must be told is told by `tell`, and put into the outbox when somebody takes it."""

    def __init__(self, alarms: Alarms, clock: Clock, tell: Callable[[NewEvent], None]) -> None:
        self._alarms = alarms
        self._clock = clock
        self._tell = tell
        self._raised: dict[tuple[AlarmKind, str], Alarm] = {}
        self.anybody_takes: Callable[[], bool] = lambda: False
        """Whether events have a handler: those that nobody takes are not kept."""

    async def restore(self) -> None:
        """At the start: what was raised is raised. Raises StoreError."""
        self._raised = {(alarm.kind, alarm.subject): alarm for alarm in await self._alarms.raised()}

    def is_raised(self, kind: AlarmKind, subject: str) -> bool:
        return (kind, subject) in self._raised

    async def judge(self, kind: AlarmKind, subject: str, verdict: bool | None, said: Callable[[bool], Said]) -> None:
        """What a rule has answered (True: it breaks; False: it is well; None: as it was).

        `said` puts into words that it broke (True), or is well. Raises StoreError; then nothing has changed,
        and the next time it is tried again.
        """
        alarm = self._raised.get((kind, subject))
        if verdict is True and alarm is None:
            await to_the_end(self._broke(Alarm(kind, subject, self._clock.now_ns()), said(True)))
        elif verdict is False and alarm is not None:
            await to_the_end(self._is_well(alarm, said(False)))

    async def _broke(self, alarm: Alarm, words: Said) -> None:
        """Never in halves: what is remembered and not known here would ring again."""
        event = words.event(alarm.kind.breaks, alarm.subject, alarm.since_ns)
        await self._alarms.raise_(alarm, self._for_handlers(event))
        self._raised[alarm.kind, alarm.subject] = alarm
        self._tell(event)

    async def _is_well(self, alarm: Alarm, words: Said) -> None:
        event = words.event(alarm.kind.heals, alarm.subject, self._clock.now_ns())
        await self._alarms.end(alarm, self._for_handlers(event))
        self._raised.pop((alarm.kind, alarm.subject), None)
        self._tell(event)

    async def forget(self, kinds: Collection[AlarmKind], subjects: Collection[str]) -> None:
        """Of these kinds only alarms of these subjects are left: the others are gone, or were given up. Raises StoreError."""
        for (kind, subject), alarm in list(self._raised.items()):
            if kind in kinds and subject not in subjects:
                await self._alarms.end(alarm)
                del self._raised[kind, subject]

    def _for_handlers(self, event: NewEvent) -> list[NewEvent]:
        return [event] if self.anybody_takes() else []
