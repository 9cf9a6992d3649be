"""Alarms: what somebody has to hear at once, because files are about to be out of reach. Each breaks once and heals once."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from forged.model.events import EventKind


class AlarmKind(enum.Enum):
    """What is wrong. The words stand in the store and, where it is a condition of a target, in `problems`."""

    LOST = "lost"  # a box does not answer, or is gone, and not all of it is home
    REFUSED = "refused"  # a box answers, but one side does not accept the other
    ENDING = "ending"  # a box ends soon
    DISCOVERY = "discovery"  # it cannot be found out which boxes there are

    @property
    def breaks(self) -> EventKind:
        """The event when it breaks."""
        return _EVENTS[self][0]

    @property
    def heals(self) -> EventKind:
        """The event when it is well again."""
        return _EVENTS[self][1]


_EVENTS = {
    AlarmKind.LOST: (EventKind.TARGET_LOST, EventKind.TARGET_BACK),
    AlarmKind.REFUSED: (EventKind.TARGET_REFUSED, EventKind.TARGET_BACK),
    AlarmKind.ENDING: (EventKind.INSTANCE_ENDING, EventKind.INSTANCE_EXTENDED),
    AlarmKind.DISCOVERY: (EventKind.DISCOVERY_FAILED, EventKind.DISCOVERY_BACK),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """One that was raised. `subject`: the name of a manifest, or of a discovery."""

    kind: AlarmKind
    subject: str
    since_ns: int
