"""Whether the far end of a lane still does what was asked of it: silence, a drip instead of work, and a flood of signs of life.

An agent sees to several duties side by side, so one that hangs must not be taken for busy because another one is. What counts is
work: bytes and answers. Signs of life only end the silence, and each call says how long they may stand for its answer.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Protocol

from forged.model.errors import SourceBroken, SourceError, SourceLost

CHECKS = 8
"""How often within the silence limit it is looked whether something was heard: the limit is kept to an eighth."""

PATIENCE_S = 300.0
"""For `LEAST_BYTES` of work of one duty, or for an answer that takes no work. A line at the 9,600 bit/s of a bad phone carries
300 kB in that time, and a loaded box answers."""

LEAST_BYTES = 4_096
"""Less within the patience is a drip: 14 bytes a second."""

START_PATIENCE_S = 120.0
"""For the first word of an agent: Python has to start and to read a program of 20 kB."""

WALK_PATIENCE_S = 3_600.0
"""For the next part of a listing, or a watch in place: a folder of five million files on a cold network volume, at 0.7 ms each."""

HASH_BYTES_PER_S = 1_000_000
"""The slowest hashing that is waited for, beside `PATIENCE_S`: a loaded box, or a disk that dies. 100 GB take more than a day."""

MOST_BEATS = 100
"""Signs of life between two looks, of which an honest agent has two; more only serve to keep us busy."""

SILENCE_HINT = "forged reconnects and resumes by itself; if this goes on, look whether the box's disk or network hangs"
DRIP_HINT = "forged reconnects and resumes by itself; if this goes on, look at the box's disk and load, or do not trust it"
START_HINT = "look whether a login script of the box waits for input or prints without end, and whether python3 starts there"
FLOOD_HINT = "the box is faulty or hostile: take the target out of forged.toml unless you know why"


class Duty(enum.IntEnum):
    """What the far end sees to, side by side; the calls of one duty are answered one after the other."""

    START = 0
    FETCH = 1
    HASH = 2
    SMALL = 3
    LIST = 4
    WATCH = 5


class Due(Protocol):
    """A call, as it is waited for."""

    @property
    def expecting(self) -> bool:
        """Whether the agent owes something now; silence counts only then."""

    @property
    def duty(self) -> Duty: ...

    @property
    def patience_s(self) -> float:
        """How long its duty may stand still for it, without any work to show."""


def hash_patience_s(size_bytes: int) -> float:
    """For the hash of a file of that size."""
    return PATIENCE_S + size_bytes / HASH_BYTES_PER_S


class Pulse:
    """Of one lane. `heard`, `worked` and `beat` tell it what comes; `look` judges, every `every_s`."""

    def __init__(self, silence_limit_s: float) -> None:
        self.every_s = silence_limit_s / CHECKS
        self._silence_limit_s = silence_limit_s
        self._heard = False
        self._silent_looks = 0
        self._beats = 0
        self._worked_bytes = [0] * len(Duty)
        self._waited_s = [0.0] * len(Duty)

    def heard(self) -> None:
        """Anything at all."""
        self._heard = True

    def beat(self) -> None:
        """A sign of life. Raises SourceBroken for a flood of them."""
        self._beats += 1
        if self._beats > MOST_BEATS:
            raise SourceBroken("the agent floods us with signs of life", hint=FLOOD_HINT)

    def worked(self, duty: Duty, size_bytes: int) -> None:
        """So much of what was asked for; an answer counts `LEAST_BYTES` at least."""
        self._worked_bytes[duty] += size_bytes

    def look(self, calls: Iterable[Due]) -> SourceError | None:
        """Why the lane is to end, if it is. Time counts only while something is due, not while we ourselves hold the agent back."""
        patience_s = [0.0] * len(Duty)
        for call in calls:
            if call.expecting:
                patience_s[call.duty] = max(patience_s[call.duty], call.patience_s)
        self._beats = 0
        self._silent_looks = 0 if self._heard or not any(patience_s) else self._silent_looks + 1
        self._heard = False
        if self._silent_looks > CHECKS:
            return SourceLost(f"the source was silent for {self._silence_limit_s:g} s", hint=SILENCE_HINT)
        dripping = [duty for duty in Duty if self._waits_too_long(duty, patience_s[duty])]
        return _too_slow(dripping[0], patience_s[dripping[0]]) if dripping else None

    def _waits_too_long(self, duty: Duty, patience_s: float) -> bool:
        if not patience_s or self._worked_bytes[duty] >= LEAST_BYTES:
            self._worked_bytes[duty], self._waited_s[duty] = 0, 0.0
        else:
            self._waited_s[duty] += self.every_s
        return self._waited_s[duty] > patience_s


def _too_slow(duty: Duty, patience_s: float) -> SourceLost:
    if duty is Duty.START:
        return SourceLost(f"the agent at the source did not begin to speak within {patience_s:g} s", hint=START_HINT)
    return SourceLost(f"the source lives, but has done next to nothing for {patience_s:.0f} s", hint=DRIP_HINT)
