"""Looks at all targets every few seconds: which of them is about to be out of reach with files that are not home."""

from __future__ import annotations

from forged.daemon.answers import time_text
from forged.daemon.bell import Bell, Said
from forged.daemon.fleet import Fleet
from forged.daemon.standing import Standing
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.signs import Alive
from forged.kit.units import human_duration, human_size
from forged.model.alarms import AlarmKind
from forged.model.errors import Scope, StoreError
from forged.rules.alarms import TargetFacts, needed_s, of_target

LOOK_S = 5.0
"""How late an alarm may be. A look is a few comparisons for each target."""

SHOWN = (AlarmKind.LOST, AlarmKind.ENDING)
"""Alarms that are a condition of the target as well. That it refuses us is one already, in the words of the error."""

OF_TARGETS = (AlarmKind.LOST, AlarmKind.REFUSED, AlarmKind.ENDING)


class Watchman:
    """Rings for targets."""

    def __init__(self, fleet: Fleet, bell: Bell, clock: Clock, log: Log) -> None:
        self._fleet = fleet
        self._bell = bell
        self._clock = clock
        self._log = log

    async def watch(self, alive: Alive) -> None:
        """An eternal task."""
        while True:
            alive()
            await self.look()
            await self._clock.sleep(LOOK_S)

    async def look(self) -> None:
        """Once, at all of them; not while targets are just being changed."""
        async with self._fleet.steady:
            standings = [member.standing for member in self._fleet.members]
            try:
                for standing in standings:
                    await self._look_at(standing)
                await self._bell.forget(OF_TARGETS, {standing.target.manifest for standing in standings})
            except StoreError as error:
                self._log.warning("an alarm cannot be remembered; it is tried again", reason=error.message, hint=error.hint)

    async def _look_at(self, standing: Standing) -> None:
        facts, subject = facts_of(standing, self._clock), standing.target.manifest
        for kind, verdict in of_target(facts).items():
            await self._bell.judge(kind, subject, verdict, lambda broke, kind=kind: said(kind, broke, standing, facts))  # type: ignore[misc]
            if kind in SHOWN:
                self._show(kind, standing, facts)

    def _show(self, kind: AlarmKind, standing: Standing, facts: TargetFacts) -> None:
        if self._bell.is_raised(kind, standing.target.manifest):
            words = said(kind, True, standing, facts)
            alone = words.message.removeprefix(f"{standing.target.name} ")  # its name stands before each of its conditions
            standing.conditions.broken(kind.value, alone, words.hint)
        else:
            standing.conditions.healed(kind.value)


def facts_of(standing: Standing, clock: Clock) -> TargetFacts:
    """How it stands now, as far as alarms go."""
    instance, (files, size_bytes) = standing.instance, standing.backlog
    box = instance.known.box if instance else None
    return TargetFacts(
        reached=standing.capabilities is not None,
        refused=standing.refused,
        silent_s=None if standing.silent_since_s is None else clock.monotonic_s() - standing.silent_since_s,
        asleep=bool(instance and instance.route.nobody_there),
        gone=standing.gone,
        left_files=files,
        left_bytes=size_bytes,
        unseen=bool(instance and instance.known.unseen),
        bytes_per_s=standing.rate_bytes_per_s,
        ends_in_s=None if box is None or box.end_ns is None else (box.end_ns - clock.now_ns()) / 1e9,
    )


def said(kind: AlarmKind, broke: bool, standing: Standing, facts: TargetFacts) -> Said:
    """An alarm of a target in words."""
    message, hint = (_broke if broke else _well)(kind, standing, facts)
    more: dict[str, str | int | float | None] = {"backlog_files": facts.left_files, "backlog_bytes": facts.left_bytes}
    if (instance := standing.instance) is not None:
        box = instance.known.box
        more |= {"discovery": instance.discovery, "instance": box.id, "label": box.label}
        more["ends_at"] = None if box.end_ns is None else time_text(box.end_ns)
    return Said(standing.target.name, message, hint, more)


def _broke(kind: AlarmKind, standing: Standing, facts: TargetFacts) -> tuple[str, str]:
    name, left = standing.target.name, _left(facts)
    if kind is AlarmKind.ENDING:
        when = f"ends in {human_duration(facts.ends_in_s)}" if facts.ends_in_s and facts.ends_in_s > 0 else "has reached its end"
        need = f", which takes about {human_duration(needed_s(facts))}" if facts.left_bytes else ""
        return f"{name} {when}: {left}{need}", f"extend it at its provider, or `forgectl drain {name}` before it is gone"
    if kind is AlarmKind.REFUSED:
        told = next((one for one in standing.conditions.problems if one.scope is Scope.SOURCE), None)
        return (told.message, told.hint) if told else (f"{name} is refused", "")
    if facts.gone:
        what = left if facts.left_files else "it was never looked at in whole, so what it held is not known"
        return f"{name} is gone: {what}", f"if its disk still exists, start it again; `forgectl release {name}` gives it up"
    silent = human_duration(facts.silent_s or 0.0)
    return f"{name} has not answered for {silent}: {left}", "look at the box and at its provider; forged keeps trying"


def _well(kind: AlarmKind, standing: Standing, facts: TargetFacts) -> tuple[str, str]:
    name = standing.target.name
    if kind is AlarmKind.ENDING:
        return f"{name} does not end soon any more", ""
    if facts.asleep and not facts.reached and standing.instance:
        return f"{name} cannot be reached, and need not be: {standing.instance.route.nobody_there}", ""
    return f"{name} is back: {_left(facts)}", ""


def _left(facts: TargetFacts) -> str:
    if not facts.left_files:
        return "all that is known of it is home"
    size = f" ({human_size(facts.left_bytes)})" if facts.left_bytes else ""
    return f"{facts.left_files:,} file{'' if facts.left_files == 1 else 's'}{size} not home"
