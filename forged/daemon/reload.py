"""Reading the configuration again (SIGHUP, `forgectl reload`). It walks the same path as the start; a bad file changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from forged.config.store import ConfigStore
from forged.daemon.fleet import Difference
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.notify import Notifier
from forged.metrics.metrics import Metrics, ReloadResult
from forged.model.errors import ConfigError, ForgedError
from forged.model.settings import Config, DaemonSettings

NO_DIFFERENCE = Difference()

NOT_CHANGED = "the configuration is NOT changed"

HALF_CHANGED = "the configuration is changed only in part: reload again when this is mended"
"""The state database failed in the middle. What is missing then is done by the next reload."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """How a reload ended. `restart_needed`: changed keys that take effect with the next start only, and why."""

    at_ns: int
    success: bool
    message: str
    problems: tuple[str, ...] = ()
    difference: Difference = NO_DIFFERENCE
    restart_needed: tuple[str, ...] = ()


RESTART_ONLY: dict[str, Callable[[Config], object]] = {
    "daemon.state_dir": lambda config: config.daemon.state_dir,
    "daemon.socket": lambda config: config.daemon.socket,
    "daemon.socket_mode": lambda config: config.daemon.socket_mode,
    "daemon.socket_group": lambda config: config.daemon.socket_group,
    "daemon.metrics": lambda config: config.daemon.metrics,
    "daemon.log_format": lambda config: config.daemon.log_format,
    "state.url": lambda config: config.state,
}
"""What is opened once at the start: moving it would move memory, sockets or ports from under those who use them."""


def restart_needed(old: Config, new: Config) -> tuple[str, ...]:
    """The keys that differ and cannot change while forged runs."""
    return tuple(key for key, value in RESTART_ONLY.items() if value(old) != value(new))


class Reloader:
    """Proposes what the file says now. One reload at a time, in the order they were asked for."""

    def __init__(
        self,
        read: Callable[[], Config],
        store: ConfigStore,
        difference: Callable[[Config], Difference],
        metrics: Metrics,
        notifier: Notifier,
        clock: Clock,
        log: Log,
    ) -> None:
        """`read` loads the file; raises ConfigError with every mistake. `difference`: what a configuration would change."""
        self._read = read
        self._store = store
        self._difference = difference
        self._metrics = metrics
        self._notifier = notifier
        self._clock = clock
        self._log = log
        self._turn = asyncio.Lock()
        self.last: Reloaded | None = None

    async def reload(self) -> Reloaded:
        """Never raises for what a file can be wrong about: that is in the answer, in the log, and systemd is told."""
        async with self._turn:
            self._notifier.reloading()
            self.last = await self._tried()
            self._metrics.reloaded(ReloadResult.CHANGED if self.last.success else ReloadResult.REFUSED)
            self._notifier.ready(self.last.message)
            return self.last

    async def _tried(self) -> Reloaded:
        try:
            return await self._applied()
        except ConfigError as error:
            self._log.error(NOT_CHANGED, problems=list(error.problems), hint="mend the file and reload again")
            return Reloaded(self._clock.now_ns(), False, NOT_CHANGED, error.problems)
        except ForgedError as error:
            self._log.error(HALF_CHANGED, error=error.message, hint=error.hint)
            return Reloaded(self._clock.now_ns(), False, HALF_CHANGED, (error.message,))

    async def _applied(self) -> Reloaded:
        new, old = self._read(), self._store.current
        later = restart_needed(old, new)
        kept = replace(new, daemon=_kept_daemon(old, new), state=old.state)
        difference = self._difference(kept)
        await self._store.propose(kept)
        message = _sentence(difference, later)
        names = {"added": difference.added, "removed": difference.removed, "changed": difference.changed}
        self._log.info(message, **{word: " ".join(which) for word, which in names.items() if which})
        return Reloaded(self._clock.now_ns(), True, message, (), difference, later)


def _kept_daemon(old: Config, new: Config) -> DaemonSettings:
    """The daemon's settings with the restart-only ones as they are."""
    return replace(old.daemon, log_level=new.daemon.log_level)


def _sentence(difference: Difference, later: tuple[str, ...]) -> str:
    parts = [
        f"{len(names)} {word}"
        for word, names in (("added", difference.added), ("removed", difference.removed), ("changed", difference.changed))
        if names
    ]
    sentence = "configuration reloaded: " + (", ".join(parts) or "no target changed")
    return sentence + (f"; needs a restart: {', '.join(later)}" if later else "")
