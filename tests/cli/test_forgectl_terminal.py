"""forgectl on a real terminal: colours, bars, questions, the live view; and what it costs to load."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.cli.ctl.board import bars
from forged.cli.ctl.frame import Row, width
from forged.cli.ctl.graph import ceiling, graph, sparkline
from forged.cli.ctl.picture import picture
from forged.cli.ctl.screen import keys
from forged.cli.ctl.view import View
from forged.cli.ctl.words import WHY, brief
from forged.control.client import Notification
from forged.model.removal import KeptBecause
from tests.cli.canned import DAEMON, EVENT, EVIL, FORBIDDEN, HERE, PROGRESS, SYNC_ID, Canned, daemon, forgectl, job, problem, target
from tests.control.serving import open_folder

PATIENCE_S = 30


class Terminal:
    """forgectl in a terminal of its own."""

    def __init__(self, socket: Path, *arguments: str, columns: int = 100, rows: int = 30, **env: str) -> None:
        self._mine, theirs = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._mine)
        program = [sys.executable, "-c", "from forged.cli.forgectl import main; main()", "--socket", str(socket), *arguments]
        own = {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "TZ": "UTC", **env}
        given = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        # A group of its own, as a shell makes one: in a group without a parent in its session, Ctrl-Z stops nobody (setpgid(2)).
        self.process = subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=given | own, process_group=0)
        os.close(theirs)
        self.output = ""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        os.close(self._mine)

    def until(self, words: str) -> str:
        """All that was written so far, once it holds these words."""
        end_s = time.monotonic() + PATIENCE_S
        while words not in self.output:
            assert self._read(end_s), f"{words!r} never came: {self.output!r}"
        return self.output

    def end(self) -> int:
        """Reads to the end; the exit status."""
        end_s = time.monotonic() + PATIENCE_S
        while self._read(end_s):
            pass
        return self.process.wait(PATIENCE_S)

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._mine, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def forget(self) -> None:
        """What was written until now is not looked at any more."""
        self.output = ""

    @property
    def is_restored(self) -> bool:
        """The other screen was left, the cursor is back, and keys echo as they did."""
        left = self.output.count("\x1b[?1049h") == self.output.count("\x1b[?1049l") > 0
        return left and self.output.endswith("\x1b[?1049l") and termios.tcgetattr(self._mine) == self.before

    def _read(self, end_s: float) -> bool:
        if not select.select([self._mine], [], [], max(end_s - time.monotonic(), 0))[0]:
            return False
        try:
            piece = os.read(self._mine, 65536)
        except OSError:  # EIO: nobody has the other end open any more
            return False
        self.output += piece.decode(errors="replace")
        return bool(piece)


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def socket(tmp_path: Path, canned: Canned) -> Iterator[Path]:
    with daemon(tmp_path / "s", canned):
        yield tmp_path / "s"


def test_a_status_is_coloured_on_a_terminal_only(socket: Path, canned: Canned) -> None:
    row = target(state="unreachable", problems=[problem(message=EVIL)])
    canned.answers["target.list"] = {"success": True, "targets": [row], "next_cursor": None}
    with Terminal(socket, "status") as terminal:
        assert terminal.end() == 0
    assert "\x1b[1;31mforge" in terminal.output
    assert "\x1b]0;owned" not in terminal.output and r"evil\x1b]0;owned\x07[red]" in terminal.output
    with Terminal(socket, "status", NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    assert "\x1b" not in terminal.output
    assert "\x1b" not in forgectl("--socket", str(socket), "status").stdout


def test_sync_wait_draws_a_bar_and_leaves_the_result(socket: Path, canned: Canned) -> None:
    canned.answers["sync.status"] = {"success": True, "job": job("transferring")}
    canned.notes = [("sync_progress", PROGRESS), ("sync_complete", job())]
    with Terminal(socket, "sync", "forge", "--wait") as terminal:
        assert terminal.end() == 0
    assert "━" in terminal.output and "120 / 400 files" in terminal.output
    assert "forge: complete, 120 files, 3.4 GB, in 12 s" in terminal.output


def test_ctrl_c_leaves_the_job_running_and_says_so(socket: Path, canned: Canned) -> None:
    canned.answers["sync.status"] = {"success": True, "job": job("transferring")}
    canned.notes = [("sync_progress", PROGRESS)]
    with Terminal(socket, "sync", "forge", "--wait") as terminal:
        terminal.until("120 / 400 files")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 130
    assert f"forgectl cancel {SYNC_ID}" in terminal.output


def test_drain_draws_while_it_waits_for_the_answer(socket: Path, canned: Canned) -> None:
    canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    canned.notes = [("sync_progress", PROGRESS)]
    answer = {"success": True, "safe_to_destroy": True, "message": "", "files_at_source": 1, "bytes_at_source": 1}
    canned.answers["target.drain"] = answer | {
        "counts": {"home": 1},
        **{"missing": [], "missing_unnamed": 0, "aside": [], "aside_unnamed": 0},
    }
    canned.hold("target.drain")
    with Terminal(socket, "drain", "forge") as terminal:
        terminal.until("120 / 400 files")
        canned.let_go("target.drain")
        assert terminal.end() == 0
    assert "safe to destroy: yes" in terminal.output


@pytest.mark.parametrize(("answer", "status", "released"), [("y\n", 0, True), ("n\n", 1, False)])
def test_release_asks_a_person(socket: Path, canned: Canned, answer: str, status: int, released: bool) -> None:
    row = target(held=True, problems=[problem("held", "all gone at once")])
    canned.answers["target.status"] = {"success": True, "target": row}
    canned.answers["target.release"] = {"success": True, "message": "forge is released", "held": None}
    with Terminal(socket, "release", "forge") as terminal:
        assert "all gone at once" in terminal.until("Release it?")
        terminal.type(answer)
        assert terminal.end() == status
    assert any(method == "target.release" for method, _ in canned.asked) is released


def at_work(canned: Canned) -> None:
    canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    canned.notes = [("sync_progress", PROGRESS), ("event", EVENT)]


@pytest.mark.parametrize(("end", "status"), [("q", 0), (signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_live_view_shows_targets_jobs_and_files_and_ends_well(
    socket: Path, canned: Canned, end: str | signal.Signals, status: int
) -> None:
    at_work(canned)
    with Terminal(socket, "watch") as terminal:
        terminal.until("120 / 400 files")
        assert r"a/evil\x1b]0;owned\x07[red]\n.png" in terminal.until(".png")
        terminal.type(end) if isinstance(end, str) else terminal.process.send_signal(end)
        assert terminal.end() == status
        assert terminal.is_restored, terminal.output[-200:]


def test_keys_choose_pause_sync_freeze_and_explain(socket: Path, canned: Canned) -> None:
    canned.answers["target.list"] = {"success": True, "targets": [target("a"), target("b", paused=True)], "next_cursor": None}
    canned.answers["target.pause"] = {"success": True, "message": "a rests now"}
    canned.answers["target.resume"] = FORBIDDEN
    with Terminal(socket, "watch") as terminal:
        terminal.until("? help")
        terminal.type("p")
        terminal.until("choose a target first")
        terminal.type("\x1b[B")
        terminal.until("▸")
        terminal.type("p")
        terminal.until("a rests now")
        terminal.type("s")
        terminal.until(f"a: {SYNC_ID}")
        terminal.type("j")
        terminal.type("p")
        terminal.until("the socket's group")
        terminal.type("?")
        terminal.until("freeze the picture")
        terminal.type("x")
        terminal.type(" ")
        terminal.until("frozen: space goes on")
        terminal.type("q")
        assert terminal.end() == 0
    assert canned.params("target.pause") == {"target": "a"}
    assert canned.params("target.resume") == {"target": "b"}


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_jobs_fit_their_terminal_and_keep_what_has_to_be_typed(socket: Path, canned: Canned, columns: int) -> None:
    failed = job("failed", result={**job()["result"], "errors": ["no answer " * 20]})  # type: ignore[dict-item]
    canned.answers["sync.list"] = {"success": True, "jobs": [job(), failed], "next_cursor": None}
    with Terminal(socket, "jobs", columns=columns, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
    rows = terminal.output.splitlines()
    assert max(map(len, rows)) <= columns
    assert [row.split()[:3] for row in rows[1:]] == [[SYNC_ID, "forge", "complete"], [SYNC_ID, "forge", "failed"]]


def test_a_terminal_that_speaks_latin_1_ends_no_command(socket: Path, canned: Canned) -> None:
    row = target("studio", problems=[problem()])
    canned.answers["target.list"] = {"success": True, "targets": [row], "next_cursor": None}
    done = forgectl("--socket", str(socket), "status", PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? studio: The source does not answer." in done.stdout


def test_keys_that_are_read_at_once_are_told_apart() -> None:
    assert keys("\x1b[B\x1bOAp\x1b[1;5Cq \x1b") == ["down", "up", "p", "q", "space", "escape"]


def test_a_frame_writes_only_what_changed_and_a_new_size_is_drawn_anew(socket: Path, canned: Canned) -> None:
    at_work(canned)
    canned.answers["target.list"] = {"success": True, "targets": [target("forge")], "next_cursor": None}
    with Terminal(socket, "watch", columns=100) as terminal:
        terminal.until("120 / 400 files")
        terminal.until("\x1b[30;1H")
        terminal.forget()
        terminal.type("\x1b[B")
        terminal.until("▸")
        assert "\x1b[2J" not in terminal.output and "? help" not in terminal.output, "the last line did not change"
        terminal.forget()
        terminal.resize(60, 20)
        assert "LAST SYNC" not in terminal.until("? help"), "there is no room for it any more"
        terminal.type("q")
        assert terminal.end() == 0


def test_ctrl_z_gives_the_terminal_back_until_it_goes_on(socket: Path) -> None:
    with Terminal(socket, "watch") as terminal:
        terminal.until("? help")
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.until("\x1b[?1049l")
        assert os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED | os.WNOWAIT) is not None
        assert terminal.is_restored
        terminal.forget()
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until("? help")
        terminal.type("q")
        assert terminal.end() == 0


def test_the_live_view_waits_for_a_daemon_that_restarts(tmp_path: Path, canned: Canned) -> None:
    with daemon(tmp_path / "s", canned):
        terminal = Terminal(tmp_path / "s", "watch")
        terminal.until("? help")
    with terminal:
        terminal.until("not connected, trying again: No forged daemon")
        terminal.forget()
        with daemon(tmp_path / "s", canned):
            terminal.until("forged 9.9.9")
            terminal.type("q")
            assert terminal.end() == 0


def test_the_live_view_has_no_colours_where_nobody_wants_them(socket: Path, canned: Canned) -> None:
    at_work(canned)
    with Terminal(socket, "watch", NO_COLOR="1") as terminal:
        terminal.until("120 / 400 files")
        terminal.type("q")
        assert terminal.end() == 0
    assert re.findall(r"\x1b\[[0-9;]*m", terminal.output) == ["\x1b[0m"], "the one that ends whatever there was"


@pytest.mark.parametrize("env", [{"TERM": "dumb"}, {}])
def test_where_nothing_can_be_drawn_the_live_view_is_lines(socket: Path, canned: Canned, env: dict[str, str]) -> None:
    at_work(canned)
    row = target(problems=[problem(message="no answer")])
    canned.answers["target.list"] = {"success": True, "targets": [row], "next_cursor": None}
    if env:
        with Terminal(socket, "watch", **env) as terminal:
            said = terminal.until(r"[red]\n.png")
            terminal.process.send_signal(signal.SIGINT)
            assert terminal.end() == 0
    else:
        program = [sys.executable, "-c", "from forged.cli.forgectl import main; main()", "--socket", str(socket), "watch"]
        with subprocess.Popen(program, env=os.environ | {"PYTHONPATH": str(HERE)}, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(3))
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0
    assert "✘ forge: no answer" in said and "\x1b" not in said


def test_the_live_view_for_programs_is_a_document_a_line(socket: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", "from forged.cli.forgectl import main; main()", "--socket", str(socket), "watch", "--json"],
        env=os.environ | {"PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        document = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert [each["name"] for each in document["targets"]] == ["forge"]
    assert document["recent"] == [EVENT]


def test_events_are_followed_until_ctrl_c(socket: Path, canned: Canned) -> None:
    canned.notes = [("event", EVENT | {"id": 2, "key": "b.png"}), ("rpc.dropped", {"count": 7})]
    with Terminal(socket, "events", "--follow") as terminal:
        terminal.until("7 events were lost")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    assert terminal.output.index(r"[red]\n.png") < terminal.output.index("b.png\r\n")


# --- the pictures ---------------------------------------------------------------------------------------------------------


def shown(rows: list[Row], columns: int) -> str:
    assert all(width(row) <= columns for row in rows), [width(row) for row in rows]
    return "\n".join("".join(piece.text for piece in row).rstrip() for row in rows)


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_no_number_is_cut_and_nothing_wraps(columns: int) -> None:
    long = PROGRESS | {"transferred_files": 12_345, "total_files": 123_456, "total_bytes": 98_700_000_000}
    text = shown(bars([("forge", long), ("night-shift", PROGRESS)], columns), columns)
    assert ("12,345 / 123,456 files" in text) is (columns > 60) and "12.5 MB/s" in text and "7 s left" in text
    assert ("34.0 MB / 98.7 GB" in text) is (columns >= 100)
    assert "forge " in text and "night-shift " in text
    assert text.count("━") > 3 and len(text.splitlines()) == 2


def view(targets: int) -> View:
    seen = View()
    seen.targets = [target(f"target-{i}", problems=[problem()] if i == 0 else []) for i in range(targets)]
    seen.daemon = DAEMON
    seen.names = {SYNC_ID: "forge"}
    seen.take(Notification("sync_progress", PROGRESS))
    for i in range(50):
        seen.take(Notification("event", EVENT | {"id": i, "key": f"{i}{EVIL}"}))
    seen.rates.extend([0, 1e6, 2e6])
    return seen


@pytest.mark.parametrize(("columns", "rows"), [(60, 20), (80, 24), (120, 40), (200, 100), (40, 12)])
@pytest.mark.parametrize("targets", [0, 1, 3, 60])
def test_the_live_view_fits_its_terminal(columns: int, rows: int, targets: int) -> None:
    text = shown(picture(view(targets), columns, rows), columns)
    assert len(text.split("\n")) == rows
    assert text.splitlines()[-1].lstrip().startswith("q quit   ? help")
    if rows >= 20 and 0 < targets < 60:
        assert (r"49evil\x1b]0;owned\x07[red]\n.png" in text) is (columns > 60), "the newest file comes first"
        assert r"…l\x1b]0;owned\x07[red]\n.png" in text or columns > 60, "of a name that is too long, the end"
        assert "✘ target-0: The source does not answer." in text and "→ check that the box runs" in text
    if targets == 60 and rows < 60:
        assert re.search(r"and \d+ more", text)


def test_the_chosen_target_is_what_the_rest_is_about() -> None:
    seen = view(2)
    seen.choose(+1)
    seen.choose(+1)
    text = shown(picture(seen, 80, 24), 80)
    assert "▸ target-1" in text and "✘" not in text and "nothing has come home since forged started" in text
    seen.choose(+1)
    assert seen.chosen is None
    seen.choose(-1)
    assert seen.chosen == "target-1"


def test_what_comes_home_beside_the_jobs_counts_as_rate() -> None:
    seen = View()
    seen.take(Notification("event", EVENT | {"body": {"size": 5_000_000}}))
    assert seen.fast == {"forge": 1e6}


def test_wide_characters_keep_the_columns(canned: Canned) -> None:
    seen = view(1)
    seen.targets = [target("工作室"), target("plain")]
    rows = shown(picture(seen, 80, 24), 80).splitlines()
    assert rows[3].index("idle") + 3 == rows[4].index("idle"), "three characters of two columns each"


def test_a_job_that_ends_leaves_the_live_view() -> None:
    seen = view(1)
    assert seen.bytes_per_s == 12.5e6
    seen.take(Notification("sync_complete", job()))
    assert (seen.jobs, seen.bytes_per_s) == ([], 0)


def test_a_graph_is_as_a_sparkline_but_higher() -> None:
    assert graph([0, 1, 8, 16], 2, 16.0) == ["   █", " ▁██"]
    assert [ceiling([rate]) for rate in (0, 0.5, 1e6, 1.2e6, 4.9e6, 9e6)] == [0, 0.5, 1e6, 2e6, 5e6, 1e7]


def test_a_sparkline_is_full_at_its_highest() -> None:
    assert sparkline([0.0, 1.0, 50.0, 100.0]) == " ▁▄█"
    assert sparkline([0.0, 0.0]) == sparkline([]) == ""


@pytest.mark.parametrize(("duration_s", "words"), [(0.01, "1 s"), (4.2, "4 s"), (61, "1 min"), (7_300, "2 h"), (90_000, "1 d")])
def test_ages_are_told_in_one_unit(duration_s: float, words: str) -> None:
    assert brief(duration_s) == words


def test_every_reason_for_keeping_a_file_has_its_words() -> None:
    assert {each.value for each in KeptBecause} <= WHY.keys()


# --- what it costs, and what a shell asks ---------------------------------------------------------------------------------


HEAVY = ("asyncio", "asyncssh", "pydantic", "sqlalchemy", "rich", "uvloop", "typing_extensions")
SLOW = ("dataclasses", "fractions", "decimal", "shutil", "textwrap", "base64", "subprocess")
"""A few milliseconds each: beside Python itself and click, an answer takes ten in all."""


@pytest.mark.parametrize("arguments", [["status"], ["sync", "forge", "--wait"], ["jobs"], ["events"], ["reload"], ["--help"]])
def test_a_command_loads_nothing_heavy(socket: Path, canned: Canned, arguments: list[str]) -> None:
    empty = {name: [] for name in ("problems", "added", "removed", "changed", "restart_needed")}
    canned.answers["daemon.reload"] = {"success": True, "message": ""} | empty
    code = (
        "import sys\nfrom forged.cli.forgectl import cli\n"
        f"try: cli(['--socket', {str(socket)!r}, *{arguments!r}], prog_name='forgectl')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        f"heavy = set({HEAVY!r}) & set(sys.modules)\n"
        f"heavy |= set({SLOW!r}) & set(sys.modules) if {arguments!r} == ['status'] else set()\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def completed(words: str, socket: Path) -> list[str]:
    count = str(len(words.split()) - (not words.endswith(" ")))
    done = forgectl(COMP_WORDS=words, COMP_CWORD=count, _FORGECTL_COMPLETE="bash_complete", FORGED_SOCKET=str(socket))
    return [each.split(",")[1] for each in done.stdout.splitlines() if each]


def test_the_shell_completes_commands_targets_and_jobs(socket: Path) -> None:
    assert completed("forgectl cle", socket) == ["cleanup"]
    assert completed("forgectl pause fo", socket) == ["forge"]
    assert completed("forgectl pause x", socket) == []
    assert completed("forgectl job sync_", socket) == [SYNC_ID]
    assert completed("forgectl manifest ", socket) == ["forget", "reset", "show"]


def test_completion_without_a_daemon_is_silent(tmp_path: Path) -> None:
    assert completed("forgectl pause fo", tmp_path / "none") == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_who_may_not_connect_is_told_the_group() -> None:
    with open_folder() as folder, daemon(folder / "s", Canned()):
        path = folder / "s"
        os.chown(path, 0, 4)  # `adm` on Debian
        os.chmod(path, 0o660)
        code = (
            "import os, sys\nfrom forged.cli.forgectl import main\nimport forged.cli.ctl.status\n"
            f"sys.argv[1:] = ['--socket', {str(path)!r}, 'status']\nos.setgroups([])\nos.setgid(65534)\nos.setuid(65534)\nmain()"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert re.search(r"it is for the group adm: `sudo usermod -aG adm \$USER`", done.stderr), done.stderr
