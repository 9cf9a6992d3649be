"""How a target stands: what `forgectl status` shows, what the metrics say, and the one line that the log gets per change."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from forged.daemon.conditions import Conditions
from forged.daemon.instance import Instance
from forged.daemon.jobbook import ActiveJob
from forged.kit.clock import Clock
from forged.metrics.metrics import Metrics
from forged.model.errors import (
    AuthRefused,
    DestinationMissing,
    DiskFull,
    ForgedError,
    HostKeyChanged,
    HostKeyUnknown,
    MarkerMissing,
    Scope,
    SourceError,
    SourceMissing,
)
from forged.model.files import HARMLESS, Entry, ProblemKind
from forged.model.jobs import JobStatus
from forged.model.manifest import Hold, Pause
from forged.model.observer import ConnectionClosed, ConnectionOpened, Fact, HomeReady
from forged.model.target import SourceAddress, Target
from forged.sources.base import Capabilities
from forged.sync.cycle import RoundResult
from forged.sync.looks import Looks
from forged.sync.tally import Tally

REFUSALS = (AuthRefused, HostKeyChanged, HostKeyUnknown)
"""Errors that only a person can mend: the box answers, but one side does not accept the other."""

MEASURED_BYTES = 1_000_000
"""A sync of less says nothing about a line: it is over before the window is open."""

MEANT = {
    ProblemKind.UNREADABLE: "make it readable for the user that forged logs in as (chmod, chown at the box); ",
    ProblemKind.MISMATCH: "the line or the box's memory garbles bytes: restart the box if it goes on; ",
    ProblemKind.BAD_NAME: "rename it at the box; ",
    ProblemKind.HOME: "look at the folder at home that it should land in; ",
}
"""What to do about a file, by what is wrong with it."""

WAITED_FOR = (Scope.DESTINATION, Scope.STORE)
"""Scopes whose trouble is at home: it outlasts the wish that met it, and heals there."""


class State(enum.Enum):
    """The fixed words of DESIGN section 6."""

    IDLE = "idle"
    SCANNING = "scanning"
    TRANSFERRING = "transferring"
    WAITING = "waiting"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    LOST = "lost"  # a box that its provider does not list any more, of which not all is home


@dataclass(slots=True)
class Standing:
    """One target's. Written by its runner, read by everybody."""

    target: Target
    conditions: Conditions
    metrics: Metrics
    clock: Clock
    instance: Instance | None = None
    """Of a target that a discovery made."""
    pause: Pause | None = None
    hold: Hold | None = None
    capabilities: Capabilities | None = None
    """Of the connection; None while there is none."""
    watching: bool = False
    partly_watched: bool = False
    """The watch does not see all folders: a limit of the box is reached."""
    last_sync_ns: int | None = None
    """When the last sync ended well."""
    seen_s: float | None = None
    """When the last look at everything began that ended well, by the clock that only runs forward."""
    free_bytes: int | None = None
    """At home; None while home is not there, or was not asked yet."""
    home_seen: bool = False
    """Home was there once since the target began, so that it can be asked."""
    connections: int = 0
    """To the source, that stand now."""
    active: ActiveJob | None = None
    """The sync that is being done now."""
    left_files: int = 0
    left_bytes: int = 0
    looks: Looks = field(default_factory=Looks)
    """What its rounds keep in mind, and with it how old the oldest file is that waits."""
    silent_since_s: float | None = None
    """Since when it does not answer; None: it does, or was not asked."""
    next_try_ns: int | None = None
    """When a source that cannot be opened is tried again by itself, or since when it is being tried; None: it is open."""
    bytes_per_s: float | None = None
    """How fast the last sync was that moved enough to tell."""
    _began_s: float = 0.0
    _unreached: State | None = None
    waiting: bool = False
    """Home, or the state database, is in trouble and waited for."""

    def notice(self, fact: Fact) -> None:
        """An observer, too: what the rooms report."""
        if isinstance(fact, HomeReady):
            self.free_bytes, self.home_seen = fact.free_bytes, True
        elif isinstance(fact, ConnectionOpened):
            self.connections += 1
        elif isinstance(fact, ConnectionClosed):
            self.connections -= 1

    def remembered(self, last_sync_ns: int | None) -> None:
        """When a sync last ended well, before this standing began."""
        self.last_sync_ns = last_sync_ns
        if last_sync_ns is not None:
            self.metrics.last_success(self.target.name, last_sync_ns)

    # --- told by the runner -----------------------------------------------------------------------------------------------

    def reached(self, capabilities: Capabilities) -> None:
        self.capabilities, self._unreached, self.silent_since_s, self.next_try_ns = capabilities, None, None, None
        self.metrics.target_up(self.target.name, True)
        self.conditions.well(Scope.SOURCE)
        if capabilities.remedy:
            lost = f"{self.target.name} is reached by {capabilities.transport}: no {' and no '.join(capabilities.missing)}"
            self.conditions.broken("limited", lost, capabilities.remedy)
        else:
            self.conditions.healed("limited")

    def lost(self, error: SourceError) -> None:
        """There is no connection, and why. A box without the folder can be reached: the folder is waited for."""
        self.capabilities = None
        self._unreached = State.REFUSED if isinstance(error, REFUSALS) else State.UNREACHABLE
        if isinstance(error, SourceMissing):
            self._unreached = State.WAITING
        if self._unreached is not State.UNREACHABLE:
            self.silent_since_s = None
        elif self.silent_since_s is None:
            self.silent_since_s = self.clock.monotonic_s()
        self.metrics.target_up(self.target.name, False)
        self.watch_lives(False)
        self.broken(error)

    def cut(self, error: SourceError) -> None:
        """The line broke, and another one is being opened: counted, and news only if that fails."""
        self.capabilities = None
        self.metrics.failed(self.target.name, error)
        self.watch_lives(False)

    def sleeps(self) -> None:
        """Nobody is there to answer, and its provider says why: no trouble, and nothing to log."""
        self.capabilities, self._unreached, self.silent_since_s, self.next_try_ns = None, State.WAITING, None, None
        self.metrics.nobody_tries(self.target.name)
        self.watch_lives(False)
        self.conditions.dropped(Scope.SOURCE)

    def tries_in(self, seconds: float) -> None:
        """The next attempt at a source that could not be opened comes then; 0: now."""
        self.next_try_ns = self.clock.now_ns() + round(seconds * 1e9)

    def watch_lives(self, alive: bool, *, partly: bool = False) -> None:
        self.watching, self.partly_watched = alive, partly
        self.metrics.watch_active(self.target.name, alive)

    def broken(self, error: ForgedError) -> None:
        """A condition of its scope: logged once, shown until it heals."""
        self.metrics.failed(self.target.name, error)
        self.waiting = self.waiting or error.scope in WAITED_FOR
        self.conditions.failed(error)
        if isinstance(error, DiskFull) and error.free_bytes is not None:
            self.free_bytes = error.free_bytes  # or the page would show for ever what was free before it filled
        elif isinstance(error, DestinationMissing | MarkerMissing):
            self.free_bytes = None

    def round_began(self, active: ActiveJob) -> None:
        self.active, self._began_s = active, self.clock.monotonic_s()

    def round_cut_short(self) -> None:
        """It was cancelled, or a fault of ours ended it: how much is left, nobody knows."""
        self.active = None

    def round_ended(self, result: RoundResult, *, everything: bool, remembers: bool = True) -> None:
        """Counts what is left, and heals what a round that went through has disproved. `everything`: it looked at all folders.
        `remembers`: the state database takes what it is given.

        The error that ended it is not told here, but by whoever goes on after it.
        """
        numbers, self.active = self.active.numbers if self.active else None, None
        if result.job.result is not None:
            self.metrics.sync_ended(self.target.name, result.job.result, self.clock.now_ns())
            moved_bytes, took_s = result.job.result.bytes_transferred, result.job.result.duration_s
            if moved_bytes >= MEASURED_BYTES and took_s > 0:
                self.bytes_per_s = moved_bytes / took_s
        if result.error is None:
            self.last_sync_ns = self.clock.now_ns()
            self.seen_s = self._began_s if everything else self.seen_s
            for scope in (Scope.SOURCE, Scope.DESTINATION, *((Scope.STORE,) if remembers else ())):
                self.conditions.well(scope, self._began_s)  # what a notice has run into meanwhile stays broken
            self.waiting = any(condition.scope in WAITED_FOR for condition in self.conditions.problems)
            self.left_files, self.left_bytes = result.waiting.files, 0
            self._tell_files(result.tally, everything)
        elif numbers is not None:
            files = numbers.total_files - numbers.landed_files
            self.left_files, self.left_bytes = files, numbers.wanted_bytes - numbers.done_bytes

    def _tell_files(self, tally: Tally, everything: bool) -> None:
        """Files that should have come and did not, each for a reason of its own: the first stands for all."""
        first = next((problem for problem in tally.problems if problem.kind not in HARMLESS), None)
        if first is not None:
            few = "1 file does" if tally.failed == 1 else f"{tally.failed:,} files do"
            hint = f"{MEANT.get(first.kind, '')}each look tries again; `forgectl jobs` and `forgectl job ID` name them all"
            self.conditions.broken("files", f"{few} not come home; the first: {first}", hint)
        elif everything:
            self.conditions.healed("files")

    def noticed_in_vain(self, entries: Sequence[Entry]) -> None:
        """A line broke before these had come home, whom the watch had noticed: the next round finds them, if there is one."""
        if entries:
            size_bytes = sum(entry.stat.size_bytes for entry in entries)
            self.left_files, self.left_bytes = max(self.left_files, len(entries)), max(self.left_bytes, size_bytes)
            self.looks.underway.missed(entries)

    def held(self, hold: Hold | None) -> None:
        self.hold = hold
        self.metrics.held(self.target.name, hold.reason if hold else None)
        if hold is None:
            self.conditions.healed("held")
        else:
            hint = f"look at the source and at home, then: forgectl release {self.target.name}"
            self.conditions.broken("held", f"cleanup and forgetting are held: {hold.message}", hint, scope=Scope.SAFETY)

    def cleanup_due_in(self, seconds: float | None) -> None:
        """From now on; None: no cleanup is configured. What is due stays so until a cleanup has gone well."""
        at_ns = None if seconds is None else self.clock.now_ns() + round(seconds * 1e9)
        self.metrics.cleanup_due(self.target.name, at_ns)

    def paused(self, pause: Pause | None) -> None:
        self.pause = pause
        self.metrics.paused(self.target.name, pause is not None)

    # --- asked by everybody -----------------------------------------------------------------------------------------------

    @property
    def source(self) -> SourceAddress:
        """Where it is reached, or would be."""
        current = self.instance.route.current if self.instance else None
        return replace(current, path=self.target.source.path) if current else self.target.source

    @property
    def refused(self) -> bool:
        return self._unreached is State.REFUSED

    @property
    def gone(self) -> bool:
        """Its provider does not list it any more."""
        return self.instance is not None and self.instance.known.gone_since_ns is not None

    @property
    def state(self) -> State:
        if self.gone and self.capabilities is None:
            return State.LOST
        if self._unreached is not None:
            return self._unreached
        if self.active is not None and self.active.job.status is JobStatus.SCANNING:
            return State.TRANSFERRING if self.active.numbers.wanted_files else State.SCANNING
        return State.WAITING if self.waiting or self.capabilities is None else State.IDLE

    @property
    def backlog(self) -> tuple[int, int]:
        """(files, bytes) known at the source and not home yet."""
        if self.active is None:
            return self.left_files, self.left_bytes
        numbers = self.active.numbers
        return numbers.total_files - numbers.landed_files, numbers.wanted_bytes - numbers.done_bytes

    @property
    def knows_what_is_left(self) -> bool:
        """It was looked at in whole, in this life, or something is known to be left. Before, 0 files left would say nothing."""
        return self.seen_s is not None or self.backlog[0] > 0

    @property
    def rate_bytes_per_s(self) -> float | None:
        """How fast files come, or came last; None before anything came."""
        now = self.active.numbers.rate.bytes_per_s(self.clock.monotonic_s()) if self.active else 0.0
        return now or self.bytes_per_s

    @property
    def lag_s(self) -> float | None:
        """Age of the oldest settled file that is not home yet, by its last write and the source's clock; 0 = nothing waits, or what
        does has its last write in the future. None: none is known, and not all was looked at in this life."""
        oldest_ns = self.looks.underway.oldest_ns
        if oldest_ns is None:
            return None if self.seen_s is None else 0.0
        return max(self.clock.now_ns() + self.looks.source_ahead_ns - oldest_ns, 0) / 1e9

    def refresh_metrics(self) -> None:
        """Right before the metrics page is read: what is so now."""
        name = self.target.name
        if self.instance is not None:
            self.metrics.instance_ends(name, self.instance.known.box.end_ns)
        self.metrics.backlog(name, *(self.backlog if self.knows_what_is_left else (None, None)))
        self.metrics.lag(name, self.lag_s)
        self.metrics.connections(name, self.connections)
        self.metrics.free_bytes(name, self.free_bytes)
