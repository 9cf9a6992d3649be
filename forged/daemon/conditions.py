"""What is wrong with a target right now: logged once when it breaks and once when it heals (promise 12), listed for status.

A box that is off for a night fails some thousand polls. That is one line in the evening, one in the morning, and in between one
entry in `problems` of `target.status`, with the newest words and the time it began.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.units import human_duration
from forged.model.errors import ForgedError, Scope


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is wrong, since when, and how often it was met. `message` and `hint` are the newest."""

    kind: str
    message: str
    hint: str
    since_ns: int
    times: int = 1
    met_s: float = 0.0
    """When it was last met, by the clock that only runs forward."""
    scope: Scope | None = None
    """What it stops; None for what was told without an error."""


class Conditions:
    """The conditions of one target."""

    def __init__(self, target: str, log: Log, clock: Clock) -> None:
        self._target = target
        self._log = log
        self._clock = clock
        self._broken: dict[str, Condition] = {}

    @property
    def problems(self) -> tuple[Condition, ...]:
        """All that is wrong now, oldest first."""
        return tuple(self._broken.values())

    def has(self, scope: Scope) -> bool:
        """Whether an error of this scope stops something now."""
        return any(condition.scope is scope for condition in self._broken.values())

    def broken(self, kind: str, message: str, hint: str = "", *, scope: Scope | None = None) -> None:
        """Something is wrong: news when this kind was well before, otherwise only counted. `kind` is a stable word."""
        known, met_s = self._broken.get(kind), self._clock.monotonic_s()
        if known is not None:
            self._broken[kind] = replace(known, message=message, hint=hint, times=known.times + 1, met_s=met_s, scope=scope)
            return
        self._broken[kind] = Condition(kind, message, hint, self._clock.now_ns(), met_s=met_s, scope=scope)
        self._log.warning(message, target=self._target, kind=kind, hint=hint)

    def failed(self, error: ForgedError, *, then: str = "") -> None:
        """Something ended with this error. `then`: what to do once its hint was followed, where that helps.

        A scope has one trouble at a time: a box that now refuses our key can be reached again, and nobody needs to be told that.
        """
        for kind in [one.kind for one in self.problems if one.scope is error.scope and one.kind != error.kind]:
            del self._broken[kind]
        hint = f"{error.hint}; {then}" if then else error.hint
        self.broken(error.kind, error.message, hint, scope=error.scope)

    def healed(self, kind: str) -> None:
        """This kind is well. No news when it was well before."""
        condition = self._broken.pop(kind, None)
        if condition is None:
            return
        lasted_s = max(self._clock.now_ns() - condition.since_ns, 0) / 1e9
        self._log.info(
            f"well again: {condition.message}",
            target=self._target,
            kind=kind,
            lasted=human_duration(lasted_s),
            times=condition.times,
        )

    def dropped(self, scope: Scope) -> None:
        """Errors of this scope say nothing any more, which is no news: who looked for a box knows now that it is stopped."""
        self._broken = {kind: one for kind, one in self._broken.items() if one.scope is not scope}

    def well(self, scope: Scope, as_of_s: float = math.inf) -> None:
        """Everything that errors of this scope had stopped works. A look that began at `as_of_s` disproves nothing later."""
        for condition in self.problems:
            if condition.scope is scope and condition.met_s <= as_of_s:
                self.healed(condition.kind)
