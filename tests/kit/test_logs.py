"""Logs: who sees what, in which form; nothing hostile and no secret in it; and nobody waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import logging
import os
import pty
import re
import resource
import signal
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TextIO

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from forged.kit import logs
from forged.kit.log_lines import MOST_CHARS, as_json, as_text, line_of
from forged.kit.logs import Style, configure, logger

LOG = logger("forged.test")
"""Made before anything is configured, as rooms do."""

NOWHERE: dict[str, str] = {}
"""An environment in which nothing is set."""


def said(*, level: str = "info", style: Style = Style.AUTO, log: str = "info", event: str = "event", **fields: object) -> str:
    """What a stream that is no terminal gets to see of one call."""
    stream = io.StringIO()
    with configure("forged", stream, level=level, style=style, environ=NOWHERE):
        getattr(LOG, log)(event, **fields)
    return stream.getvalue()


@contextlib.contextmanager
def terminal() -> Iterator[tuple[TextIO, list[str]]]:
    """A real terminal to write to, and a list that holds what it showed once the block is left."""
    master, slave = pty.openpty()
    shown: list[str] = []
    with open(slave, "w", encoding="utf-8") as stream:
        yield stream, shown
        shown.append(os.read(master, 65_536).decode())
    os.close(master)


def shown_on_a_terminal(environ: dict[str, str], style: Style = Style.AUTO) -> str:
    with terminal() as (stream, shown):
        with configure("forged", stream, style=style, environ=environ):
            LOG.warning("no answer", target="box", hint="look")
    return shown[0]


# --- forms


def test_elsewhere_than_on_a_terminal_each_line_is_one_json_object() -> None:
    line = json.loads(said(log="warning", event="no answer", target="box", hint="look", tries=3, rate=0.5, up=False, path=None))
    time = datetime.fromisoformat(line.pop("time"))
    assert time.tzinfo is not None
    assert list(line)[:3] == ["level", "logger", "event"]
    assert line == {
        "level": "warning",
        "logger": "forged.test",
        "event": "no answer",
        "target": "box",
        "hint": "look",
        "tries": 3,
        "rate": 0.5,
        "up": False,
        "path": None,
    }


def test_text_says_when_what_to_what_and_what_to_do() -> None:
    text = said(style=Style.TEXT, log="warning", event="no answer", target="box", hint="look there", tries=3, why="two words")
    time, _, rest = text.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d", time)
    assert rest == 'warning  box: no answer → look there  tries=3 why="two words"\n'


def test_on_a_terminal_it_is_text_with_colours() -> None:
    text = shown_on_a_terminal({"TERM": "xterm"})
    assert "\x1b[33mwarning" in text
    assert "box: no answer → look" in text


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colours_gets_none(environ: dict[str, str]) -> None:
    assert "\x1b" not in shown_on_a_terminal(environ)


def test_json_can_be_had_on_a_terminal() -> None:
    assert json.loads(shown_on_a_terminal({"TERM": "xterm"}, Style.JSON))["event"] == "no answer"


def test_an_error_brings_its_traceback() -> None:
    try:
        raise KeyError("x")
    except KeyError as e:
        error = e
    line = json.loads(said(log="error", event="crash", exc_info=error))
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    text = said(style=Style.TEXT, log="error", event="crash", exc_info=error)
    assert text.splitlines()[0].endswith("error    crash")
    assert text.splitlines()[-1] == "    KeyError: 'x'"


# --- who speaks


@pytest.mark.parametrize(
    ("level", "heard"),
    [("debug", "debug info warning error"), ("info", "info warning error"), ("warning", "warning error"), ("error", "error")],
)
def test_from_its_level_on_the_program_is_heard(level: str, heard: str) -> None:
    stream = io.StringIO()
    with configure("forged", stream, level=level, environ=NOWHERE):
        for name in ("debug", "info", "warning", "error"):
            getattr(LOG, name)(name)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == heard.split()


@pytest.mark.parametrize(
    ("level", "heard"), [("debug", ["warning", "error"]), ("info", ["warning", "error"]), ("error", ["error"])]
)
@pytest.mark.parametrize("library", ["asyncssh", "apscheduler.scheduler", "sqlalchemy.engine", "alembic", "asyncio"])
def test_libraries_are_heard_from_warning_on(library: str, level: str, heard: list[str]) -> None:
    stream = io.StringIO()
    with configure("forged", stream, level=level, environ=NOWHERE):
        for name in ("debug", "info", "warning", "error"):
            logging.getLogger(library).log(logging.getLevelName(name.upper()), "it is %s", name)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [f"{library}: it is {name}" for name in heard]
    assert {line["logger"] for line in lines} == {library}


def test_the_level_can_be_changed_while_it_runs() -> None:
    stream = io.StringIO()
    with configure("forged", stream, environ=NOWHERE) as running:
        LOG.debug("before")
        running.set_level("debug")
        LOG.debug("after")
        with pytest.raises(ValueError, match="'loud' is no log level"):
            running.set_level("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["after"]


def test_everything_is_put_back() -> None:
    root, own = logging.getLogger(), logging.getLogger("forged")
    before = (root.handlers[:], root.level, own.level, structlog.is_configured(), structlog.get_config())
    threads = threading.active_count()
    with configure("forged", io.StringIO(), environ=NOWHERE):
        with configure("forged", io.StringIO(), level="error", environ=NOWHERE):
            pass
        assert own.level == logging.INFO
    with pytest.raises(ValueError, match="is no log level"):
        configure("forged", io.StringIO(), level="loud", environ=NOWHERE)
    assert (root.handlers[:], root.level, own.level, structlog.is_configured(), structlog.get_config()) == before
    assert threading.active_count() == threads


# --- hostile words, and secrets


def record(event: object, **fields: object) -> logging.LogRecord:
    return logging.LogRecord("forged.x", logging.INFO, "", 0, {"event": event, **fields}, None, None)


@given(st.text(), st.text(), st.binary())
def test_a_line_is_one_line_of_printable_characters_whatever_it_says(event: str, target: str, path: bytes) -> None:
    line = line_of(record(event, target=target, path=path))
    for text in (as_text(line), as_json(line)):
        assert text.isprintable()
        text.encode("utf-8")
    assert json.loads(as_json(line))["event"] == line.event


def test_escapes_show_what_was_there() -> None:
    assert line_of(record("a\nb\x1b[31m\u202ec\udcff")).event == r"a\nb\x1b[31m\u202ec\udcff"
    assert line_of(record("x", path=b"a\xff\n")).fields["path"] == r"a\xff\n"


def test_a_value_cannot_pass_for_other_fields() -> None:
    assert as_text(line_of(record("x", path="a b=c")), time=False).endswith('path="a b=c"')
    assert as_text(line_of(record("x", path="")), time=False).endswith('path=""')


def test_what_json_has_no_word_for_is_text() -> None:
    line = json.loads(as_json(line_of(record("x", rate=float("nan"), where=Path("/a"), many=[1, 2]))))
    assert (line["rate"], line["where"], line["many"]) == ("nan", "/a", "[1, 2]")


def test_no_field_replaces_what_each_line_has() -> None:
    line = json.loads(as_json(line_of(record("x", time="never", level="none", logger="nobody"))))
    assert (line["level"], line["logger"]) == ("info", "forged.x")
    datetime.fromisoformat(line["time"])


def test_a_value_is_bounded() -> None:
    line = line_of(record("e" * 10**6, path="p" * 10**6))
    assert len(line.event) == MOST_CHARS + 1
    assert len(as_json(line)) < 3 * MOST_CHARS


def test_secrets_are_masked_wherever_they_stand() -> None:
    try:
        raise ValueError("cannot open postgresql://user:hunter2@host/db")
    except ValueError as e:
        error = e
    fields = {"url": "https://u:hunter2@h/", "api_key": "hunter2", "passphrase_file": "/etc/key", "exc_info": error}
    for style in (Style.TEXT, Style.JSON):
        text = said(style=style, log="error", event="token=hunter2", **fields)
        assert "hunter2" not in text
        assert "/etc/key" in text


def test_a_key_over_several_lines_of_a_traceback_is_masked_whole() -> None:
    """Line by line nobody could tell what its middle is."""
    ends = [f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END")]
    error = ValueError(f"cannot read {ends[0]}\nhunter2hunter2\nhunter2==\n{ends[1]}")
    for style in (Style.TEXT, Style.JSON):
        assert "hunter2" not in said(style=style, log="error", event="crash", exc_info=error)


def test_a_library_is_cleaned_as_well() -> None:
    stream = io.StringIO()
    with configure("forged", stream, environ=NOWHERE):
        logging.getLogger("asyncssh").warning("Login at %s said %r and %s", "ssh://u:hunter2@h", "x", "\x1b]0;title\x07")
    event = json.loads(stream.getvalue())["event"]
    assert event == r"asyncssh: Login at ssh://u:***@h said 'x' and \x1b]0;title\x07"


# --- systemd's journal


def journal_says(environ_matches: bool, style: Style, folder: Path) -> list[str]:
    """What arrives in a file that stands for the socket of the journal."""
    with (folder / "journal").open("w+", encoding="utf-8") as stream:
        status = os.fstat(stream.fileno())
        inode = status.st_ino if environ_matches else status.st_ino + 1
        with configure("forged", stream, style=style, environ={"JOURNAL_STREAM": f"{status.st_dev}:{inode}"}):
            LOG.warning("careful")
            LOG.info("calm")
        stream.seek(0)
        return stream.read().splitlines()


def test_the_journal_is_told_the_level_and_not_the_time(tmp_path: Path) -> None:
    assert journal_says(True, Style.TEXT, tmp_path) == ["<4>warning  careful", "<6>info     calm"]


def test_json_for_the_journal_is_json_behind_the_level(tmp_path: Path) -> None:
    first, _ = journal_says(True, Style.AUTO, tmp_path)
    assert first.startswith("<4>{")
    assert json.loads(first[3:])["event"] == "careful"


def test_the_journal_of_a_parent_is_not_ours(tmp_path: Path) -> None:
    first, _ = journal_says(False, Style.AUTO, tmp_path)
    assert json.loads(first)["event"] == "careful"


# --- files


def test_files_are_made_where_they_are_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "sync"
    with configure("forged", io.StringIO(), folder=folder, environ=NOWHERE):
        LOG.info("hello", target="box")
    assert json.loads((folder / "forged.log").read_text())["event"] == "hello"


def test_files_hold_text_where_text_is_wanted(tmp_path: Path) -> None:
    with configure("forged", io.StringIO(), style=Style.TEXT, folder=tmp_path, environ=NOWHERE):
        LOG.info("hello", target="box")
    assert (tmp_path / "forged.log").read_text().endswith("info     box: hello\n")


def test_a_folder_that_cannot_be_is_told_and_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    handlers = logging.getLogger().handlers[:]
    with pytest.raises(OSError, match="file"):
        configure("forged", io.StringIO(), folder=tmp_path / "file", environ=NOWHERE)
    assert logging.getLogger().handlers == handlers


def test_files_rotate_and_the_oldest_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 1_000)
    monkeypatch.setattr(logs, "FILES_KEPT", 3)
    with configure("forged", io.StringIO(), folder=tmp_path, environ=NOWHERE):
        for number in range(100):
            LOG.info("line", number=number)
    names = ["forged.log.3", "forged.log.2", "forged.log.1", "forged.log"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    lines = [json.loads(line) for name in names for line in (tmp_path / name).read_text().splitlines()]
    numbers = [line["number"] for line in lines]
    assert numbers == list(range(numbers[0], 100))
    assert all((tmp_path / name).stat().st_size <= 1_000 for name in names)


@contextlib.contextmanager
def no_file_larger_than(size_bytes: int) -> Iterator[None]:
    """The kernel refuses more (EFBIG), as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_file_that_cannot_be_written_is_told_once_and_once_when_it_can(tmp_path: Path) -> None:
    stream = Heard()
    with configure("forged", stream, folder=tmp_path, environ=NOWHERE):
        with no_file_larger_than(0):
            for number in range(5):
                LOG.info("lost", number=number)
            stream.wait()
        for number in range(5):
            LOG.info("kept", number=number)
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    told = [event for event in events if event.startswith("the log file")]
    assert told == ["the log file cannot be written; see the free space of its disk", "the log file is written again"]
    assert events.count("lost") == events.count("kept") == 5
    assert '"kept", "number": 4' in (tmp_path / "forged.log").read_text()


class Heard(io.StringIO):
    """A stream that tells when everything logged so far has been written: the screen is written first, then the file."""

    def __init__(self) -> None:
        super().__init__()
        self._mark = threading.Event()

    def write(self, text: str) -> int:
        if "the mark" in text:
            self._mark.set()
        return super().write(text)

    def wait(self) -> None:
        LOG.info("the mark")
        assert self._mark.wait(20)


# --- nobody waits


async def test_a_stream_that_takes_nothing_costs_lines_and_no_time() -> None:
    reading, writing = os.pipe()
    with open(writing, "w", encoding="utf-8") as stream, open(reading, encoding="utf-8") as reader:
        with configure("forged", stream, environ=NOWHERE):
            async with asyncio.timeout(60):
                for number in range(logs.MOST_WAITING + 2_000):
                    LOG.info("a line of some length, so that the pipe is soon full", number=number)
            lines = [json.loads(reader.readline()) for _ in range(2_000)]
            LOG.info("the last")
            while lines[-1]["event"] != "the last":
                lines.append(json.loads(await asyncio.to_thread(reader.readline)))
    assert [line["number"] for line in lines[:2_000]] == list(range(2_000))
    told = [int(lost[1]) for line in lines if (lost := re.fullmatch(r"(\d+) lines of the log were lost: .*", line["event"]))]
    assert told, "the pipe and the queue together hold fewer lines than were logged"
    assert sum(told) == logs.MOST_WAITING + 2_000 - sum("number" in line for line in lines)


def test_the_end_does_not_wait_for_a_stream_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "PATIENCE_S", 0.05)
    reading, writing = os.pipe()
    stream = open(writing, "w", encoding="utf-8")  # noqa: SIM115  # it outlives its other end
    threads = set(threading.enumerate())
    with configure("forged", stream, environ=NOWHERE):
        for _ in range(logs.MOST_WAITING + 2_000):
            LOG.info("a line of some length, so that the pipe is soon full")
    left = [thread for thread in threading.enumerate() if thread not in threads]
    assert left, "it should still hang in its write"
    os.close(reading)
    for thread in left:
        thread.join(20)
        assert not thread.is_alive()
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def test_a_stream_that_is_gone_harms_nobody() -> None:
    stream = io.StringIO()
    with configure("forged", stream, environ=NOWHERE):
        stream.close()
        LOG.info("to nobody")
