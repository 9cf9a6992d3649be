"""The daemon over SFTP: a box that runs programs but is asked not to, and one whose key allows nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon
from tests.support.sshd import SSHD, Sshd
from tests.support.sshd import sshd as running_sshd

CLEANED = 'poll = "1h"\n[target.cleanup]\nage = "0s"\nevery = "1h"\nunguarded = {}\nremove_empty_dirs = true\n'
OLD_S = 1_600_000_000.25


@pytest.fixture(scope="module")
def key_for_sftp() -> Iterator[Sshd]:
    """A server where the one key that may log in may do nothing but SFTP."""
    if not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here (apt install openssh-server)")
    with running_sshd() as server:
        keys = server.folder / "authorized_keys"
        keys.write_text('restrict,command="internal-sftp" ' + keys.read_text())
        yield server


@pytest.fixture(params=["any", "only"])
def house(request: pytest.FixtureRequest, sshd: Sshd, key_for_sftp: Sshd) -> Iterator[Daemon]:
    server = sshd if request.param == "any" else key_for_sftp
    with daemon(server, careful=CLEANED.format("false"), bold=CLEANED.format("true")) as made:
        for name in made.targets:
            made.sources[name] = server.url(made.box(name)).replace("ssh://", "sftp://")
            (made.box(name) / "day").mkdir()
            for number in range(30):
                path = made.box(name) / "day" / f"caf\udce9 {number}.bin"
                path.write_bytes(os.urandom(number * 20_000))
                os.utime(path, (OLD_S, OLD_S))
        made.write()
        yield made.start()


def tree(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file() and ".forged" not in path.parts
    }


def test_it_syncs_says_what_is_missing_and_cleans_for_an_owner_who_accepts_it(house: Daemon) -> None:
    made = tree(house.box("bold"))
    for name in ("careful", "bold"):
        assert house.sync(name)["result"]["success"]
        assert tree(house.home(name)) == tree(house.box(name))
        again = house.sync(name)["result"]
        assert (again["success"], again["files_transferred"]) == (True, 0)
        standing = house.standing(name)
        assert (standing["transport"], standing["guarded_removal"], standing["watch"]) == ("sftp", False, False)
        assert standing["missing"] == ["hashing", "watching", "guarded removal"]
    refused = house.call("cleanup.run", target="careful")
    assert not refused["success"]
    assert "unguarded = true" in " ".join(refused["errors"])
    assert len(tree(house.box("careful"))) == 30
    late = house.box("bold") / "day" / "late.bin"
    late.write_bytes(b"never brought home")
    answer = house.call("cleanup.run", target="bold")
    assert answer["success"], answer
    assert answer["files_deleted"] == 30
    assert tree(house.box("bold")) == {Path("day/late.bin"): b"never brought home"}
    assert tree(house.home("bold")) == made


def test_a_target_that_was_reached_by_an_agent_brings_nothing_home_twice(sshd: Sshd) -> None:
    with daemon(sshd, box='poll = "1h"') as house:
        for number in range(50):
            (house.box() / f"{number}.bin").write_bytes(os.urandom(1000))
        ssh = house.url()
        house.start()
        assert house.sync()["result"]["success"]
        for url, transport in ((ssh.replace("ssh://", "sftp://"), "sftp"), (ssh, "ssh agent")):
            house.sources["box"] = url
            house.write()
            house.call("daemon.reload")
            assert house.sync()["result"]["files_transferred"] == 0
            assert house.standing()["transport"].startswith(transport)
        assert len(tree(house.home())) == 50
