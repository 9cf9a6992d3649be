"""What `forged once` did, in rotating files below $LOG_BASE, as the daemon's: there cron's runs are looked up. Nothing of it is on
the screen, which has words of its own.

The files are its own, `once.log`: two processes that rotate one file lose lines. The same holds for two runs over two
configurations at one time, so the second writes to `once-2.log`, and so on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from forged.cli.telling import say, trouble
from forged.daemon.diary import Diary
from forged.kit.lock import LockHeld, hold_lock
from forged.kit.logs import Log, Style, configure, is_heard, logger
from forged.model.errors import ForgedError
from forged.model.observer import Nobody, Observer
from forged.model.settings import DaemonSettings
from forged.sync.cycle import RoundResult

LOGGER = "forged.once"

MOST_AT_ONCE = 9
"""Runs with a file of their own. More at one time are a mistake of somebody's timers, and would be as many files for ever."""


class NoLogFile(ForgedError):
    """Log files cannot be written."""

    default_hint = "make $LOG_BASE a folder that this user may write to; the sync goes on without"


@dataclass(frozen=True, slots=True)
class Logbook:
    """Takes facts as an observer, and the results at the end."""

    log: Log
    diary: Diary

    def ended(self, results: Sequence[RoundResult]) -> None:
        """One line for each sync that moved something, and one for each that has not gone well."""
        for result in results:
            self.diary.job_ended(result.job)
            error, target = result.error, result.job.target
            if error is not None:
                self.log.warning(error.message, target=target, kind=error.kind, hint=error.hint)
            elif result.tally.failed:
                hint = f"each sync tries again; `forgectl job {result.job.sync_id}` names them, where a daemon runs"
                self.log.warning(f"files that did not come home: {result.tally.failed:,}", target=target, hint=hint)


@contextmanager
def logbook(settings: DaemonSettings) -> Iterator[Logbook | None]:
    """The log of this run; None where no $LOG_BASE is set, or nothing can be written there, which is said on standard error."""
    with ExitStack() as stack:
        yield _opened(settings, settings.log_dir, stack) if settings.log_dir else None


def observer(book: Logbook | None) -> Observer:
    """Who writes down what happens."""
    return book.diary if book else Nobody()


def _opened(settings: DaemonSettings, folder: Path, stack: ExitStack) -> Logbook | None:
    level, style = settings.log_level.value, Style(settings.log_format.value)
    nowhere = stack.enter_context(open(os.devnull, "w"))  # noqa: SIM115  # the stack is its context
    try:
        name = _free_name(folder, stack)
        stack.enter_context(configure("forged", nowhere, level=level, style=style, folder=folder, file=name))
    except OSError as error:
        say(trouble("forged", NoLogFile(f"log files cannot be written below {folder}: {error.strerror}")), to_stderr=True)
        return None
    log = logger(LOGGER)
    return Logbook(log, Diary(log, lambda: is_heard(LOGGER, "debug")))


def _free_name(folder: Path, stack: ExitStack) -> str:
    """Of a log file that no other run writes to, until `stack` ends. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)  # as the daemon makes it: the lock would make it private
    for number in range(1, MOST_AT_ONCE + 1):
        name = "once" if number == 1 else f"once-{number}"
        try:
            stack.enter_context(hold_lock(folder / f".{name}.lock"))
        except LockHeld:
            continue
        return name
    raise OSError(0, f"{MOST_AT_ONCE} other runs write there")
