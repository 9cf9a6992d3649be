"""The life of one `[[discovery]]`: asks which boxes there are, and makes targets of them.

What follows from an answer is decided by rules/boxes. An answer that does not come changes nothing: the boxes that are known go on
being synced. What is known is in the store, so that a provider that is down at the start takes no box away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace

from forged.daemon.bell import Bell, Said
from forged.daemon.conditions import Conditions
from forged.daemon.fleet import Difference, Fleet, Member
from forged.daemon.instance import Found
from forged.daemon.standing import State
from forged.discovery.base import Discovery
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.tasks import to_the_end
from forged.metrics.metrics import Metrics
from forged.model.alarms import AlarmKind
from forged.model.boxes import Box, BoxId, BoxState, KnownBox, Sighting
from forged.model.errors import DiscoveryError, DiscoveryRefused, DiscoveryThrottled, StoreError
from forged.model.manifest import Hold
from forged.model.settings import DiscoverySettings
from forged.model.target import TargetName
from forged.rules import alarms, boxes
from forged.rules.boxes import Book, Decision, Turn
from forged.store.base import Store

ASK_LIMIT_S = 300.0
"""For a whole question. Every discovery has a deadline of its own; this is for one that has lost it."""

LOOK_S = 5.0
"""Between two looks at whether a box has stopped answering, which is a reason to ask sooner."""

KEY_FILE = "api_key_file"
"""The condition of a discovery whose key should be kept better."""


class Discovered:
    """One discovery at work. `settings` may change meanwhile; what it asks with may not."""

    def __init__(
        self,
        settings: DiscoverySettings,
        asks: Discovery,
        store: Store,
        fleet: Fleet,
        bell: Bell,
        metrics: Metrics,
        clock: Clock,
        log: Log,
        chance: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.asks = asks
        self.book = Book()
        self.conditions = Conditions(f"discovery {settings.name}", log, clock)
        self.error: DiscoveryError | None = None
        """Of the last question; None: it was answered, or there was none yet."""
        self.asked_ns: int | None = None
        self.next_ns: int | None = None
        self.taken: tuple[Collection[str], Collection[str]] = ((), ())
        """The names of the configured targets, and of all discoveries."""
        self._hold_new: Hold | None = None
        """For boxes that show and that nobody knows: after the state database was lost, their cleanup waits for a person."""
        self._answers_s: list[float] = []
        """When whole answers came that may have shown such boxes."""
        self._store = store
        self._fleet = fleet
        self._bell = bell
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._chance = chance
        self._at_once = asyncio.Event()
        self._turn = asyncio.Lock()
        self._unwritten = False
        self._trouble: StoreError | None = None
        """Met while the last answer was worked on."""

    @property
    def name(self) -> str:
        return self.settings.name

    async def restore(self) -> None:
        """What was known when forged ran last. Raises StoreError."""
        known = await self._store.boxes.known(self.name)
        self.book = Book({one.box.id: one for one in known})
        self._hold_new = await self._store.flags.hold(boxes.newcomers(self.name))

    async def run(self) -> None:
        """An eternal task: question after question."""
        while True:
            self._at_once.clear()
            await self.ask()
            await self._rest()

    async def _rest(self) -> None:
        """Until the next question is due. What a box does meanwhile may bring that nearer."""
        began_s, chance = self._clock.monotonic_s(), self._chance()
        while not self._at_once.is_set():
            left_s = self._wait_s(chance) - (self._clock.monotonic_s() - began_s)
            self.next_ns = self._clock.now_ns() + round(left_s * 1e9)
            if left_s < 0.001:  # less is the rounding of sums of seconds
                break
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, LOOK_S)):
                    await self._at_once.wait()

    def ask_at_once(self) -> None:
        """The next question comes now, whatever the rhythm says."""
        self._at_once.set()

    async def ask(self) -> None:
        """One question, and all that follows from it."""
        self.asked_ns, self.next_ns = self._clock.now_ns(), None
        try:
            found = await self._answer()
        except DiscoveryError as error:
            self.error, self.book = error, boxes.failed(self.book, self._clock.now_ns())
            self.conditions.failed(error)
            await to_the_end(self._settle())
        else:
            self.error = None
            self.conditions.well(DiscoveryError.scope)
            await to_the_end(self._settle(Sighting(self._clock.now_ns(), found)))
        self._metrics.discovery_up(self.name, self.error is None)
        self._warn()
        await self._ring()

    async def _answer(self) -> tuple[Box, ...]:
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                return await self.asks.boxes()
        except TimeoutError as e:
            raise DiscoveryError(f"no answer within {ASK_LIMIT_S:g} s") from e

    def _wait_s(self, chance: float) -> float:
        retry_after_s = self.error.retry_after_s if isinstance(self.error, DiscoveryThrottled) else None
        unreached = any(one.is_of(self.name) and one.standing.state is State.UNREACHABLE for one in self._fleet.members)
        return boxes.next_question_s(self.book, self.settings.every_s, chance, retry_after_s, unreached=unreached)

    # --- what follows -----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Makes the targets anew of what is known: the template has changed, or a name."""
        await to_the_end(self._settle())

    async def give_up(self, target: str) -> None:
        """A person does not wait any longer for what is left of a box that is gone."""
        member = self._fleet.find(target)
        instance = member.standing.instance
        if instance is not None:
            self.book = boxes.let_go(self.book, [instance.known.box.id])
            await self.settle()

    def difference(self, settings: DiscoverySettings, taken: tuple[Collection[str], Collection[str]]) -> Difference:
        """What these settings would change about the targets."""
        return self._fleet.difference_found(self.name, self._found(settings, taken))

    async def _settle(self, sighting: Sighting | None = None) -> None:
        async with self._turn:
            before = self.book
            reached = self._note()
            decisions: tuple[Decision, ...] = ()
            if sighting is not None:
                self.book, decisions = boxes.answered(self.book, sighting)
                decisions = await self._hold_newcomers(decisions)
            now_ns = self._clock.now_ns()
            kept = {id for id, one in self.book.boxes.items() if boxes.is_kept(one, reached=id in reached, now_ns=now_ns)}
            self._tell(decisions, kept)
            self.book = boxes.let_go(self.book, set(self.book.boxes) - kept)
            await self._remember(before)
            await self._make_targets()
            self._tell_trouble()

    def _note(self) -> set[BoxId]:
        """Writes into the book what the targets know of their boxes; answers which of those are reached."""
        members = [member for member in self._fleet.members if member.is_of(self.name)]
        self.book = boxes.noted(self.book, [one for member in members if (one := self._noted(member)) is not None])
        return {_id(member) for member in members if member.standing.capabilities is not None}

    def _noted(self, member: Member) -> KnownBox | None:
        known, standing = self.book.boxes.get(_id(member)), member.standing
        if known is None:
            return None
        files, size_bytes = standing.backlog
        unseen = known.unseen
        if standing.refused:
            unseen = True
        elif standing.last_sync_ns is None:
            unseen = unseen or known.box.state is BoxState.RUNNING
        elif standing.capabilities is not None:
            unseen = False
        return replace(known, left_files=files, left_bytes=size_bytes, unseen=unseen)

    def _found(self, settings: DiscoverySettings, taken: tuple[Collection[str], Collection[str]]) -> list[Found]:
        targets, discoveries = taken
        found = []
        for id, known in self.book.boxes.items():
            name = boxes.target_name(self.name, id, targets, discoveries)
            target = boxes.target_of(settings.template, TargetName(name), boxes.manifest_name(self.name, id), known.box)
            found.append(Found(target, self.name, known))
        return found

    async def _hold_newcomers(self, decisions: tuple[Decision, ...]) -> tuple[Decision, ...]:
        """While a lost memory is being made up for, until as many answers came as it takes to believe that a box is gone.

        A box that cannot be held does not come yet: the next answer shows it again.
        """
        if self._hold_new is None:
            return decisions
        new = {one.box.id for one in decisions if one.turn is Turn.APPEARED}
        self._answers_s.append(self._clock.monotonic_s())
        try:
            for id in sorted(new):
                await self._store.flags.set_hold(boxes.manifest_name(self.name, id), self._hold_new)
            if len(self._answers_s) >= boxes.MISSES and self._answers_s[-1] - self._answers_s[0] >= boxes.GONE_AFTER_S:
                await self._store.flags.set_hold(boxes.newcomers(self.name), None)
                self._hold_new = None
        except StoreError as error:
            self._trouble = error
            self.book = boxes.let_go(self.book, new)
            return tuple(one for one in decisions if one.box.id not in new)
        return decisions

    async def _make_targets(self) -> None:
        """A state database in trouble keeps some from beginning: they are tried again with the next answer."""
        try:
            await self._fleet.found(self.name, self._found(self.settings, self.taken))
        except StoreError as error:
            self._trouble = error

    def _tell_trouble(self) -> None:
        error, self._trouble = self._trouble, None
        if error is not None:
            self.conditions.failed(error)
        else:
            self.conditions.well(StoreError.scope)

    async def _remember(self, before: Book) -> None:
        """A state database in trouble stops no box: what is known is still known here, and is written with the next answer."""
        try:
            if dict(before.boxes) != dict(self.book.boxes) or self._unwritten:
                self._unwritten = True
                await self._store.boxes.remember(self.name, list(self.book.boxes.values()))
                self._unwritten = False
        except StoreError as error:
            self._trouble = error

    # --- telling ----------------------------------------------------------------------------------------------------------

    def _tell(self, decisions: tuple[Decision, ...], kept: Collection[str]) -> None:
        for one in decisions:
            told = {"discovery": self.name, "instance": one.box.id, "label": one.box.label}
            if one.turn is Turn.GONE and one.box.id in kept:
                hint = "it stays as `lost` for a week, should it come back; forgectl release gives it up"
                self._log.warning("a box is gone, and not all of it is home", **told, hint=hint)
            elif one.turn is Turn.MISSING:
                self._log.debug("a box is missing in an answer", **told, hint="it is believed when more answers say so")
            else:
                self._log.info(WORDS[one.turn], **told, addresses=[str(address) for address in one.box.addresses])

    def _warn(self) -> None:
        warnings = self.asks.warnings()
        if warnings:
            self.conditions.broken(KEY_FILE, "; ".join(warnings))
        else:
            self.conditions.healed(KEY_FILE)

    async def _ring(self) -> None:
        since_ns = self.book.failing_since_ns
        verdict = alarms.discovery(
            answered=self.book.answered_ns is not None,
            failing_s=None if since_ns is None else (self._clock.now_ns() - since_ns) / 1e9,
            refused=isinstance(self.error, DiscoveryRefused),
        )
        with suppress(StoreError):  # that it is in trouble shows elsewhere; the next question rings again
            await self._bell.judge(AlarmKind.DISCOVERY, self.name, verdict, self._said)

    def _said(self, broke: bool) -> Said:
        if broke and self.error is not None:
            return Said(self.name, f"discovery {self.name}: {self.error.message}", self.error.hint)
        return Said(self.name, f"discovery {self.name}: answered again, {len(self.book.boxes)} boxes")


WORDS = {
    Turn.APPEARED: "a box has appeared, and is a target now",
    Turn.MOVED: "a box has moved, and is followed to its new address",
    Turn.STOPPED: "a box has stopped; it is waited for",
    Turn.WOKE: "a box has an address again, and is tried at once",
    Turn.GONE: "a box is gone; all that is known of it is home",
    Turn.BACK: "a box is back, and goes on where it was",
}


def _id(member: Member) -> BoxId:
    assert member.standing.instance is not None  # it is of this discovery
    return member.standing.instance.known.box.id
