"""Completion as the shells themselves do it: real ones, with the scripts that forgectl prints, and a daemon that answers or not."""

from __future__ import annotations

import os
import pty
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.canned import HERE, SYNC_ID, Canned, daemon, forgectl, job, target

PATIENCE_S = 60

Complete = Callable[[str], str]
"""From the beginning of a command line to what the shell shows after Tab."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`forgectl` and `forged` on a PATH of their own, the scripts as files, and a daemon behind them."""
    place = tmp_path_factory.mktemp("shell")
    for name in ("forgectl", "forged"):
        program = place / name
        program.write_text(f"#!{sys.executable}\nfrom forged.cli.{name} import main\nmain()\n")
        program.chmod(0o755)
        for shell in ("bash", "zsh", "fish"):
            done = subprocess.run([str(program), "completion", shell], env=env(place), capture_output=True, text=True, check=True)
            (place / f"{name}.{shell}").write_text(done.stdout)
    canned = Canned()
    names = [target("forge"), target("fortress"), target("studio")]
    canned.answers["target.list"] = {"success": True, "targets": names, "next_cursor": None}
    canned.answers["sync.active"] = {"success": True, "jobs": [job("transferring")], "next_cursor": None}
    values = [{"key": f"target.forge.{key}", "value": 1, "origin": "default"} for key in ("poll", "settle")]
    canned.answers["daemon.config"] = {"success": True, "path": "", "values": values, "next_cursor": None}
    with daemon(place / "s", canned):
        yield place


def env(folder: Path, socket: str = "s") -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("FORGED_CONFIG", "ZDOTDIR")}
    own = {"PATH": f"{folder}:{kept['PATH']}", "PYTHONPATH": str(HERE), "FORGED_SOCKET": str(folder / socket), "TERM": "xterm"}
    return kept | own | {"HOME": str(folder)}


def in_bash(folder: Path, typed: str, socket: str = "s") -> list[str]:
    """What bash would offer: its own completion function, called as readline calls it."""
    name = typed.split()[0]
    words = [*shlex.split(typed), *([""] if typed.endswith(" ") else [])]
    script = f"""
        source {folder}/{name}.bash
        complete -p {name} >/dev/null
        COMP_WORDS=({" ".join(shlex.quote(word) for word in words)}); COMP_CWORD={len(words) - 1}
        _{name}_completion {name}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], env=env(folder, socket), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stderr == ""
    return done.stdout.split()


def in_fish(folder: Path, typed: str) -> list[str]:
    """What fish would offer, by its own `complete -C`."""
    script = f"source {folder}/{typed.split()[0]}.fish; complete -C {shlex.quote(typed)}"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script], env=env(folder), capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def in_zsh(folder: Path, typed: str, until: str) -> str:
    """What zsh shows on its terminal after Tab, once it holds the words."""
    mine, theirs = pty.openpty()
    begin = f"autoload -Uz compinit; compinit -u -D; source {folder}/{typed.split()[0]}.zsh; PS1=; print -r -- re''ady\n"
    with subprocess.Popen(["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=env(folder)) as process:
        os.close(theirs)
        try:
            os.write(mine, begin.encode())
            read(mine, "ready")
            os.write(mine, f"{typed}\t".encode())
            return read(mine, until)
        finally:
            process.kill()
            os.close(mine)


def read(terminal: int, until: str) -> str:
    output, end_s = "", time.monotonic() + PATIENCE_S
    while until not in output:
        assert select.select([terminal], [], [], max(end_s - time.monotonic(), 0))[0], f"{until!r} never came: {output!r}"
        output += os.read(terminal, 65536).decode(errors="replace")
    return output


CASES = [
    ("forgectl cle", ["cleanup"]),
    ("forgectl pause fo", ["forge", "fortress"]),
    ("forgectl pause --js", ["--json"]),
    ("forgectl limit --target st", ["studio"]),
    ("forgectl cancel ", [SYNC_ID]),
    ("forgectl job sync_", [SYNC_ID]),
    ("forgectl config target.forge.", ["target.forge.poll", "target.forge.settle"]),
    ("forgectl call daemon.st", ["daemon.status"]),
    ("forgectl manifest ", ["forget", "reset", "show"]),
    ("forgectl find --kind v", ["video"]),
    ("forgectl pause x", []),
    ("forged pro", ["probe"]),
    ("forged check --conf", ["--config"]),
]


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_bash_completes(folder: Path, typed: str, offered: list[str]) -> None:
    assert in_bash(folder, typed) == offered


@pytest.mark.parametrize(("typed", "offered"), [CASES[1], CASES[5], CASES[11]])
def test_fish_completes(folder: Path, typed: str, offered: list[str]) -> None:
    assert in_fish(folder, typed) == offered


def test_zsh_completes(folder: Path) -> None:
    assert "fortress" in in_zsh(folder, "forgectl pause fort", "fortress")
    assert "probe" in in_zsh(folder, "forged pro", "probe")


def test_without_a_daemon_there_are_still_commands_and_no_noise(folder: Path) -> None:
    assert in_bash(folder, "forgectl pause fo", socket="none") == []
    assert in_bash(folder, "forgectl pau", socket="none") == ["pause"]


def test_a_name_that_a_shell_would_obey_is_not_offered(tmp_path: Path) -> None:
    canned = Canned()
    names = [target("f$(touch x)"), target("f\x1b[2J"), target("fine")]
    canned.answers["target.list"] = {"success": True, "targets": names, "next_cursor": None}
    with daemon(tmp_path / "s", canned):
        asked = {"COMP_WORDS": "forgectl pause f", "COMP_CWORD": "2", "_FORGECTL_COMPLETE": "bash_complete"}
        done = forgectl(FORGED_SOCKET=str(tmp_path / "s"), **asked)
    assert done.stdout.split() == ["plain,fine"]


def test_help_says_where_the_script_goes() -> None:
    text = forgectl("completion", "--help").stdout
    assert "~/.local/share/bash-completion/completions/forgectl" in text and "~/.config/fish/completions/forgectl.fish" in text
    assert forgectl("completion", "tcsh").returncode == 2
