"""forgectl on a real terminal: colours, bars, questions, the live view; and what it costs to load."""

from __future__ import annotations

import fcntl
import io
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
from rich.console import Console

from forged.cli.ctl.board import bars
from forged.cli.ctl.picture import picture, sparkline
from forged.cli.ctl.view import View
from forged.cli.ctl.words import WHY, brief
from forged.control.client import Notification
from forged.model.removal import KeptBecause
from tests.cli.canned import DAEMON, EVENT, EVIL, HERE, PROGRESS, SYNC_ID, Canned, daemon, forgectl, job, problem, target
from tests.control.serving import open_folder

PATIENCE_S = 30


class Terminal:
    """forgectl in a terminal of its own."""

    def __init__(self, socket: Path, *arguments: str, columns: int = 100, **env: str) -> None:
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        program = [sys.executable, "-c", "from forged.cli.forgectl import main; main()", "--socket", str(socket), *arguments]
        own = {"PYTHONPATH": str(HERE), "TERM": "xterm-256color", "TZ": "UTC", **env}
        given = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        self.process = subprocess.Popen(program, stdin=theirs, stdout=theirs, stderr=theirs, env=given | own)
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
    canned.answers["target.drain"] = answer | {"counts": {"home": 1}, "missing": [], "aside": []}
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


def test_the_live_view_shows_targets_jobs_and_files_and_ends_well(socket: Path, canned: Canned) -> None:
    canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    canned.notes = [("sync_progress", PROGRESS), ("event", EVENT)]
    with Terminal(socket, "watch") as terminal:
        terminal.until("120 / 400 files")
        assert r"a/evil\x1b]0;owned\x07[red]\n.png" in terminal.until(".png")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    assert terminal.output.count("\x1b[?1049h") == terminal.output.count("\x1b[?1049l") == 1  # the other screen, and back


def test_the_live_view_for_programs_is_a_document_a_line(socket: Path) -> None:
    assert forgectl("--socket", str(socket), "watch").returncode == 2
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


def shown(picture: object, columns: int) -> str:
    console = Console(width=columns, file=io.StringIO(), record=True)
    console.print(picture)
    return console.export_text()


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_no_number_is_cut_and_nothing_wraps(columns: int) -> None:
    long = PROGRESS | {"transferred_files": 12_345, "total_files": 123_456, "total_bytes": 98_700_000_000}
    text = shown(bars([("forge", long), ("night-shift", PROGRESS)], columns), columns)
    assert "12,345 / 123,456 files" in text and "34.0 MB / 98.7 GB" in text and "12.5 MB/s" in text
    assert "forge " in text and "night-shift " in text
    assert len(text.splitlines()) == 2 and max(map(len, text.splitlines())) <= columns


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


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_the_live_view_fits_its_terminal(columns: int, rows: int) -> None:
    text = shown(picture(view(3), columns, rows), columns)
    assert len(text.splitlines()) <= rows
    assert r"49evil\x1b]0;owned\x07[red]\n.png" in text, "the newest file comes first"
    assert "✘ target-0: The source does not answer." in text and "→ check that the box runs" in text
    assert "▄█" in text


def test_a_job_that_ends_leaves_the_live_view() -> None:
    seen = view(1)
    assert seen.bytes_per_s == 12.5e6
    seen.take(Notification("sync_complete", job()))
    assert (seen.jobs, seen.bytes_per_s) == ([], 0)


def test_a_sparkline_is_full_at_its_highest() -> None:
    assert sparkline([0.0, 1.0, 50.0, 100.0]) == " ▁▄█"
    assert sparkline([0.0, 0.0]) == sparkline([]) == ""


@pytest.mark.parametrize(("duration_s", "words"), [(0.01, "1 s"), (4.2, "4 s"), (61, "1 min"), (7_300, "2 h"), (90_000, "1 d")])
def test_ages_are_told_in_one_unit(duration_s: float, words: str) -> None:
    assert brief(duration_s) == words


def test_every_reason_for_keeping_a_file_has_its_words() -> None:
    assert {each.value for each in KeptBecause} <= WHY.keys()


# --- what it costs, and what a shell asks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["status"], ["sync", "forge", "--wait"], ["jobs"], ["events"], ["reload"], ["--help"]])
def test_a_command_loads_nothing_heavy(socket: Path, canned: Canned, arguments: list[str]) -> None:
    empty = {name: [] for name in ("problems", "added", "removed", "changed", "restart_needed")}
    canned.answers["daemon.reload"] = {"success": True, "message": ""} | empty
    code = (
        "import sys\nfrom forged.cli.forgectl import cli\n"
        f"try: cli(['--socket', {str(socket)!r}, *{arguments!r}], prog_name='forgectl')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'asyncio', 'asyncssh', 'pydantic', 'sqlalchemy', 'rich', 'uvloop', 'typing_extensions'} & set(sys.modules)\n"
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
