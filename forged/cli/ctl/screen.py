"""A terminal taken over for a while: the other screen, keys as they are typed, and everything as it was at the end.

By hand, as the colours are: a picture that is drawn four times a second needs only its changed rows written, in one piece.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import tty
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from forged.cli.ctl.frame import Row, clipped, painted
from forged.cli.telling import is_coloured

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l\x1b[?7l", "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
"""The alternate screen without a cursor and without wrapping (xterm's private modes 1049, 25 and 7), and back."""

BEGIN, END = "\x1b[?2026h", "\x1b[?2026l"
"""Synchronized output: terminals that know it show a frame whole; the others ignore it."""

KEYS = {"\x1b[A": "up", "\x1bOA": "up", "k": "up", "\x1b[B": "down", "\x1bOB": "down", "j": "down", "\x1b": "escape", " ": "space"}
"""What a key sends (ECMA-48, and xterm's application mode), and its word; any other key is its own character."""

MOST_TYPED_BYTES = 64


KEY = re.compile(r"\x1b\[[0-9;]*[@-~]|\x1bO.|\x1b|.", re.DOTALL)
"""A control sequence, a function key, escape alone, or a character (ECMA-48, 5.4)."""


def keys(text: str) -> list[str]:
    """What was typed, key by key: several may be read at once. Sequences that mean nothing here are left out."""
    return [KEYS.get(key, key) for key in KEY.findall(text) if key in KEYS or len(key) == 1]


class Ended(BaseException):
    """SIGTERM or SIGHUP: the terminal is restored first."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number
        super().__init__(number)


class Readable(Protocol):
    """What can be waited for."""

    def fileno(self) -> int: ...


class Screen:
    """The terminal. Made by `screen`."""

    def __init__(self) -> None:
        self._input = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._input)
        self._shown: list[str] = []
        self._size = (0, 0)
        self._coloured = is_coloured(sys.stdout)

    def take(self) -> None:
        """Takes it over; what was drawn before is forgotten."""
        tty.setcbreak(self._input, termios.TCSANOW)
        self._shown = []
        self._size = (0, 0)
        _write(ENTER)

    def give_back(self) -> None:
        """Everything as it was, the lines above included."""
        _write(LEAVE)
        termios.tcsetattr(self._input, termios.TCSANOW, self._before)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, as they are now."""
        try:
            columns, rows = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns, rows = 0, 0
        return columns or 80, rows or 24

    def draw(self, picture: Sequence[Row]) -> None:
        """Shows these rows, from the top; only those that changed are written."""
        columns, rows = size = self.size
        fresh = [painted(clipped(row, columns), self._coloured) for row in picture[:rows]]
        fresh += [""] * (rows - len(fresh))
        if size != self._size:
            self._shown, self._size = [], size
        before: list[str | None] = [*self._shown] or [None] * rows
        changed = [f"\x1b[{y};1H\x1b[2K{now}" for y, (was, now) in enumerate(zip(before, fresh, strict=True), 1) if was != now]
        if changed:
            _write(BEGIN + "".join(changed) + END)
        self._shown = fresh

    def wait(self, other: Readable | None, within_s: float) -> bool:
        """Until a key, something to read from `other`, or the time is over. Whether there is a key."""
        watched = [self._input] if other is None else [self._input, other.fileno()]
        return self._input in select.select(watched, [], [], max(within_s, 0))[0]

    def typed(self) -> list[str]:
        """The keys that were typed, as words. Raises Ended when the terminal is gone."""
        try:
            text = os.read(self._input, MOST_TYPED_BYTES).decode("ascii", "replace")
        except OSError:
            text = ""
        if not text:
            raise Ended(signal.SIGHUP)
        return keys(text)


@contextmanager
def screen() -> Iterator[Screen]:
    """The terminal until the block ends, however it ends; Ctrl-Z gives it back until the program goes on. Raises Ended."""
    mine = Screen()

    def ended(number: int, _: FrameType | None) -> None:
        raise Ended(number)

    def stopped(number: int, _: FrameType | None) -> None:
        mine.give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # and here it stands until SIGCONT
        signal.signal(number, stopped)
        mine.take()

    handlers = {signal.SIGTERM: ended, signal.SIGHUP: ended, signal.SIGTSTP: stopped}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    mine.take()
    try:
        yield mine
    finally:
        mine.give_back()
        for number, handler in before.items():
            signal.signal(number, handler)


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
