"""Logs: structlog and the libraries' own loggers through one set of writers, none of which can hold up the event loop.

Text for people on a terminal, JSON lines elsewhere. The program's own loggers (those below its name) speak from the configured
level on, everybody else's from warning on: what asyncssh has to say at info is several lines for every connection.

A line is made clean where it is logged (`log_lines`) and written by a thread: a terminal that was stopped with Ctrl-S, a slow pipe
or a disk that hangs costs lines, which are counted, and no time.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import logging.handlers
import os
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Protocol, TextIO

import structlog

from forged.kit.log_lines import LogLine, as_json, as_text, for_the_journal, line_of

MOST_WAITING = 4096
"""Lines that wait to be written. Some megabytes at worst; a normal minute at level debug has fewer."""

FILE_BYTES = 10_000_000
FILES_KEPT = 5
"""Of one program: 60 MB in all, which is weeks at level info. A guess."""

PATIENCE_S = 2.0
"""How long the end waits for lines still to be written. systemd and people wait 10 s for the whole program."""


class Style(enum.Enum):
    """How to write. AUTO: text on a terminal, JSON elsewhere."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


class Log(Protocol):
    """What a room needs of a logger. `event` says what happened; fields say to what (`target`), and what to do next (`hint`)."""

    def debug(self, event: str, **fields: object) -> None: ...
    def info(self, event: str, **fields: object) -> None: ...
    def warning(self, event: str, **fields: object) -> None: ...
    def error(self, event: str, **fields: object) -> None: ...


def logger(name: str) -> Log:
    """The logger of that name, such as `forged.daemon`. May be made before `configure`, which decides where its lines go."""
    log: Log = structlog.stdlib.get_logger(name)
    return log


def is_heard(name: str, level: str) -> bool:
    """Whether a line of this logger and level is written now: to be asked before making very many."""
    return logging.getLogger(name).isEnabledFor(_level(level))


class Logs:
    """Logs as they were set up; `close` puts everything back. Made by `configure`."""

    def __init__(self, program: str, level: int, handlers: tuple[logging.Handler, ...]) -> None:
        self._own, self._root = logging.getLogger(program), logging.getLogger()
        self._before = (self._own.level, self._root.level, structlog.get_config() if structlog.is_configured() else None)
        lines: queue.Queue[logging.LogRecord | None] = queue.Queue(MOST_WAITING)
        self._waiting, self._writing = _Waiting(program, lines), _Writing(lines, handlers)
        self._handlers = handlers
        self._root.addHandler(self._waiting)
        self._set_level(level)
        self._writing.start()

    def set_level(self, level: str) -> None:
        """`debug`, `info`, `warning` or `error`, from now on. Raises ValueError for another word."""
        self._set_level(_level(level))

    def _set_level(self, level: int) -> None:
        self._own.setLevel(level)
        self._root.setLevel(max(level, logging.WARNING))
        self._waiting.others_from = max(level, logging.WARNING)

    def close(self) -> None:
        """Writes what waits, for `PATIENCE_S` at most, and puts structlog and logging back as they were."""
        self._root.removeHandler(self._waiting)
        ending = threading.Thread(target=self._end, name="end of the logs", daemon=True)
        ending.start()
        ending.join(PATIENCE_S)
        own, root, structlog_before = self._before
        self._own.setLevel(own)
        self._root.setLevel(root)
        structlog.reset_defaults() if structlog_before is None else structlog.configure(**structlog_before)

    def _end(self) -> None:
        self._writing.stop()
        for handler in self._handlers:
            with contextlib.suppress(OSError):  # what was still to be flushed to a full disk
                handler.close()

    def __enter__(self) -> Logs:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def configure(
    program: str,
    stream: TextIO,
    *,
    level: str = "info",
    style: Style = Style.AUTO,
    folder: Path | None = None,
    file: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Logs:
    """Sends all logs to `stream`, normally standard error, and to rotating files in `folder`, named `file` or as the program.

    Raises ValueError (`level`), OSError (`folder`).

    On systemd's journal the level stands before each line as sd-daemon(3) wants it, and text has no time, since the journal has.
    """
    number = _level(level)
    screen = _Screen(stream)
    screen.setFormatter(_Written(_for_stream(stream, style, environ)))
    logs = Logs(program, number, (screen, *_files(file or program, folder, style, screen)))
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger made before, or kept by a test, follows the next `configure`
    )
    return logs


def _level(word: str) -> int:
    number = logging.getLevelNamesMapping().get(word.upper())
    if number is None:
        raise ValueError(f"{word!r} is no log level: debug, info, warning or error")
    return number


def _for_stream(stream: TextIO, style: Style, environ: Mapping[str, str]) -> Callable[[LogLine], str]:
    journal, terminal = _is_journal(stream, environ), stream.isatty()
    colours = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"  # https://no-color.org

    def written(line: LogLine) -> str:
        if style is Style.JSON or (style is Style.AUTO and not terminal):
            text = as_json(line)
        else:
            text = as_text(line, time=not journal, colours=colours)
        return for_the_journal(line.level, text) if journal else text

    return written


def _is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether systemd connected `stream` to its journal: this one, not only our parent's ($JOURNAL_STREAM, systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream without a file, or a closed one
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _files(name: str, folder: Path | None, style: Style, screen: logging.Handler) -> tuple[logging.Handler, ...]:
    if folder is None:
        return ()
    folder.mkdir(parents=True, exist_ok=True)
    file = _File(folder / f"{name}.log", screen)
    file.setFormatter(_Written(as_text if style is Style.TEXT else as_json))
    return (file,)


class _Ready(logging.LogRecord):
    """A record whose line has been made."""

    def __init__(self, line: LogLine) -> None:
        super().__init__(line.logger, line.level, "", 0, line.event, None, None)
        self.line = line


class _Written(logging.Formatter):
    """Writes ready records."""

    def __init__(self, write: Callable[[LogLine], str]) -> None:
        super().__init__()
        self._write = write

    def format(self, record: logging.LogRecord) -> str:
        return self._write(record.line if isinstance(record, _Ready) else line_of(record))


class _Waiting(logging.handlers.QueueHandler):
    """Makes the line and queues it; never waits. Lines that found no room are counted, and the next one that does says so first."""

    def __init__(self, program: str, waiting: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(waiting)
        self._program = program
        self._lost = 0
        self.others_from = logging.WARNING

    def filter(self, record: logging.LogRecord) -> bool:
        """A library may have given its logger a level of its own (SQLAlchemy does at import), so the root's is not enough."""
        own = record.name == self._program or record.name.startswith(self._program + ".")
        return (own or record.levelno >= self.others_from) and bool(super().filter(record))

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return _Ready(line_of(record))

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                event = f"{self._lost} lines of the log were lost: they could not be written fast enough"
                self.queue.put_nowait(_Ready(LogLine(record.created, logging.WARNING, self._program, event, {})))
                self._lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._lost += 1


class _Writing(logging.handlers.QueueListener):
    """The thread that writes."""

    def __init__(self, waiting: queue.Queue[logging.LogRecord | None], handlers: Iterable[logging.Handler]) -> None:
        super().__init__(waiting, *handlers)
        self._ending = waiting

    def enqueue_sentinel(self) -> None:
        self._ending.put(None)  # waits for room, unlike the inherited one: the end of a full queue is the end, too


class _Screen(logging.StreamHandler[TextIO]):
    """The stream. When it is gone (a closed terminal, a dead pipe) there is nobody left to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the inherited name
        """Does nothing."""


class _File(logging.handlers.RotatingFileHandler):
    """A rotating file; when it cannot be written (a full disk) the screen says so once, and once when it can be again."""

    def __init__(self, path: Path, screen: logging.Handler) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="backslashreplace")
        self._screen = screen
        self._failed = False

    def emit(self, record: logging.LogRecord) -> None:
        failed_before, self._failed = self._failed, False
        super().emit(record)
        if self._failed != failed_before:
            event = (
                "the log file cannot be written; see the free space of its disk"
                if self._failed
                else "the log file is written again"
            )
            self._screen.handle(_Ready(LogLine(record.created, logging.WARNING, record.name, event, {"file": self.baseFilename})))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the inherited name
        self._failed = True
