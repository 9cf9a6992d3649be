"""One line of a log: made clean once, then written for people or for programs.

Clean means: no secret that looks like one, nothing that a terminal would obey (names and messages may come from a hostile box),
bounded in length. It is done before a line is handed to anyone, so no way of writing it can forget it.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from forged.kit.masking import HIDDEN, masked, names_a_secret

MOST_CHARS = 4096
"""Of one value. A path of Linux has 4096 bytes at most; what is longer was sent to fill somebody's disk."""

MOST_TRACE_CHARS = 32_768
"""Of a traceback; its end, which names the error, is kept."""

_COLOURS = {logging.DEBUG: "\x1b[2m", logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[1;31m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"

_JOURNAL_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""syslog's numbers (RFC 5424), which sd-daemon(3) reads from a `<N>` at the beginning of a line and takes off."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class LogLine:
    """What happened, when, and how grave. Its texts are clean; made by `line_of`. `at_s`: seconds since the epoch."""

    at_s: float
    level: int
    logger: str
    event: str
    fields: Mapping[str, Scalar]
    trace: tuple[str, ...] = ()

    @property
    def level_name(self) -> str:
        return logging.getLevelName(self.level).lower()

    @property
    def time(self) -> str:
        """RFC 3339, local time with its zone."""
        return datetime.fromtimestamp(self.at_s).astimezone().isoformat(timespec="milliseconds")


def line_of(record: logging.LogRecord) -> LogLine:
    """A record of structlog (whose `msg` is its event dictionary) or of a library, which is named, as a clean line."""
    fields: dict[str, object] = (
        dict(record.msg) if isinstance(record.msg, dict) else {"event": f"{record.name}: {record.getMessage()}"}
    )
    event, error = fields.pop("event", ""), fields.pop("exc_info", None) or record.exc_info
    return LogLine(
        record.created,
        record.levelno,
        record.name,
        clean(str(event)),
        {name: _field(name, fields[name]) for name in fields},
        _trace(error),
    )


def clean(text: str, most_chars: int = MOST_CHARS) -> str:
    r"""`text` without secrets, on one line, bounded; what is not printable is escaped (`\n`, `\x1b`, `\u202e`)."""
    shown = masked(text[:most_chars]) + ("…" if len(text) > most_chars else "")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def _field(name: str, value: object) -> Scalar:
    """A value as JSON knows it."""
    if names_a_secret(name) and value:
        return HIDDEN
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return clean(value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value))


def _trace(error: object) -> tuple[str, ...]:
    """The lines of a traceback. `error` is whatever the logging call was given as exc_info."""
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if not isinstance(error, BaseException):
        return ()
    text = "".join(traceback.format_exception(error))[-MOST_TRACE_CHARS:]
    return tuple(clean(line) for line in masked(text).splitlines())


def as_json(line: LogLine) -> str:
    """One JSON object: time, level, logger, event, then the fields, then `exception`."""
    first = {"time": line.time, "level": line.level_name, "logger": line.logger, "event": line.event}
    last = {"exception": "\n".join(line.trace)} if line.trace else {}
    return json.dumps({**first, **line.fields, **first, **last}, ensure_ascii=False)


def as_text(line: LogLine, *, time: bool = True, colours: bool = False) -> str:
    """For people: when, how grave, to what, what, and at the end what to do. A traceback follows in lines of its own."""
    fields = dict(line.fields)
    what = f"{fields.pop('target')}: {line.event}" if "target" in fields else line.event
    hint = fields.pop("hint", None)
    level, rest = f"{line.level_name:<8}", "".join(f" {name}={_shown(value)}" for name, value in fields.items())
    stamp = f"{line.time} " if time else ""
    if colours:
        stamp, rest, level = f"{_DIM}{stamp}{_PLAIN}", f"{_DIM}{rest}{_PLAIN}", f"{_COLOURS.get(line.level, '')}{level}{_PLAIN}"
    return "\n    ".join((f"{stamp}{level} {what}{f' → {hint}' if hint else ''} {rest}".rstrip(), *line.trace))


def _shown(value: Scalar) -> str:
    """A word as it is, everything else in quotes, so that a value with spaces cannot pass for other fields."""
    text = str(value)
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


def for_the_journal(level: int, text: str) -> str:
    """`text` with its level before each line, for systemd's journal: `journalctl -p warning` then finds it."""
    return "\n".join(f"<{_JOURNAL_LEVELS.get(level, 6)}>{line}" for line in text.split("\n"))
