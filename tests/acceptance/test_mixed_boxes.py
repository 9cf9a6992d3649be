"""One daemon, boxes of every kind: one with Python, one that only speaks SFTP, one with busybox and nothing else."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.busybox import BUSYBOX, BusyboxRoot, busybox_root
from tests.support.daemon import Daemon, daemon
from tests.support.site import tree
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd

REFUSING = (
    "case $SSH_ORIGINAL_COMMAND in *python3*) test -e {flag} || exit 127;; *sftp*) exit 127;; esac; "
    'exec sh -c "$SSH_ORIGINAL_COMMAND"'
)
"""A box whose Python comes with a file, and that has no SFTP."""


@pytest.fixture
def bare_root() -> Iterator[BusyboxRoot]:
    if BUSYBOX is None or os.getuid() != 0:
        pytest.skip("no busybox here (apt install busybox-static), or not root")
    with busybox_root() as root:
        yield root


@pytest.fixture
def fleet(sshd: Sshd, bare_root: BusyboxRoot) -> Iterator[Daemon]:
    key = sshd.identity.with_suffix(".pub")
    with (
        running_sshd("ForceCommand internal-sftp") as sftp_only,
        running_sshd(f"ForceCommand {bare_root.command}") as bare,
        daemon(sshd, full="", narrow="", bare="") as running,
    ):
        for server in (sftp_only, bare):
            server.authorize(key)
        running.sources = {"narrow": sftp_only.url(running.box("narrow")), "bare": bare.url("/media")}
        running.write()
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    """Without times: SFTP tells whole seconds only."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.txt")}


def fill(folder: Path, word: str) -> None:
    for number in range(30):
        path = folder / f"day {number % 3}" / f"{word}\n{number:03}.txt"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(f"{word} {number}".encode() * 1000 * number)


def test_each_comes_home_by_its_own_way_and_status_says_which(fleet: Daemon, bare_root: BusyboxRoot) -> None:
    places = {"full": fleet.box("full"), "narrow": fleet.box("narrow"), "bare": bare_root.media}
    for name, place in places.items():
        fill(place, name)
    fleet.start()
    for name, place in places.items():
        assert fleet.sync(name)["result"]["success"]
        assert contents(fleet.home(name)) == contents(place)
    by = {name: fleet.standing(name) for name in places}
    assert by["full"]["transport"].startswith("ssh agent (python 3.")
    assert by["narrow"]["transport"] == "sftp (no commands allowed on the box)"
    assert by["bare"]["transport"] == "shell (no python3 and no sftp on the box)"
    assert [problem["kind"] for problem in by["full"]["problems"]] == []
    for name in ("narrow", "bare"):
        [problem] = by[name]["problems"]
        assert problem["kind"] == "limited"
        assert "no watching" in problem["message"]
        assert "install python3" in problem["hint"]
    assert by["bare"]["guarded_removal"]
    fleet.stop()


def test_a_box_that_gains_python_is_reached_by_its_agent(sshd: Sshd, tmp_path: Path) -> None:
    flag = tmp_path / "python came"
    refusing = REFUSING.format(flag=shlex.quote(str(flag)))
    with running_sshd(f"ForceCommand {refusing}") as later, daemon(sshd, box="") as running:
        later.authorize(sshd.identity.with_suffix(".pub"))
        running.sources = {"box": later.url(running.box())}
        running.write()
        fill(running.box(), "early")
        running.start()
        assert running.sync()["result"]["success"]
        assert running.standing()["transport"].startswith("shell (")
        running.stop()
        flag.touch()
        fill(running.box(), "late")
        running.start()
        assert running.sync()["result"]["success"]
        assert running.standing()["transport"].startswith("ssh agent")
        assert running.standing()["problems"] == []
        assert tree(running.home()) == tree(running.box())
        assert not list(running.home().rglob("*~*")), "what came by the shell was brought again"
        running.stop()
