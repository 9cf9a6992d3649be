"""A real daemon whose memory is in a real PostgreSQL: its server dies in the middle of a round, and another machine takes over."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.postgres import PASSWORD, WRITTEN, PostgresServer
from tests.support.site import tree
from tests.support.sshd import Sshd

FILES = 400


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


def remembering(house: Daemon, server: PostgresServer, schema: str) -> Daemon:
    house.transfer_lines += f'\n[state]\nurl = "{server.dsn("postgres")}?schema={schema}"'
    house.write()
    return house


def fill(house: Daemon, first: int, files: int = FILES) -> None:
    for n in range(first, first + files):
        path = house.box() / f"{n // 100}" / f"{n:05}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"%05d" % n * 2_000)


def kinds(house: Daemon) -> set[str]:
    return {problem["kind"] for problem in house.standing()["problems"]}


def test_a_server_that_is_killed_in_the_middle_of_a_round_pauses_and_nothing_comes_twice(
    sshd: Sshd, server: PostgresServer
) -> None:
    with daemon(sshd, box='bandwidth = "2MB/s"') as house:
        remembering(house, server, "killed").start()
        pid = house.call("daemon.status")["pid"]
        fill(house, 0)
        (house.box() / "large.bin").write_bytes(os.urandom(3_000_000))
        until(lambda: len(tree(house.home())) > 20, house.log)
        server.kill()
        until(lambda: "store_error" in kinds(house), house.log)
        assert len(tree(house.home())) < FILES
        server.start()
        until(lambda: tree(house.home()) == tree(house.box()), house.log, within_s=60)
        until(lambda: not kinds(house) and house.standing()["state"] == "idle", lambda: f"{house.standing()} {house.log()}")
        assert house.call("daemon.status")["pid"] == pid
        assert house.call("manifest.list", target="box")["total_files"] == FILES + 1
        assert server.sql("select count(*), count(distinct path) from killed.versions") == [[str(FILES + 1)] * 2]
        assert house.lines(level="warning", kind="store_error") and not house.lines(level="error")
        house.stop()
        assert WRITTEN not in house.log() and PASSWORD not in house.log()


def test_a_second_machine_is_refused_until_the_first_has_ended_and_goes_on_with_its_memory(
    sshd: Sshd, server: PostgresServer
) -> None:
    with daemon(sshd) as first, daemon(sshd) as second:
        remembering(first, server, "shared").start()
        fill(first, 0, 30)
        until(lambda: first.call("manifest.list", target="box")["total_files"] == 30, first.log)
        second.sources["box"], second.targets["box"] = first.url(), f'dest = "{first.home()}"'
        remembering(second, server, "shared").spawn()
        assert second.ended() == 1
        assert "is used by another forged" in second.log() and "schema=NAME" in second.log()
        (first.home() / "0" / "00007.png").unlink()  # its owner does not want it
        first.stop()
        before = tree(first.home())

        second.start()
        fill(first, 30, 5)
        until(lambda: len(tree(first.home())) == len(before) + 5, second.log)
        until(lambda: second.standing()["state"] == "idle", second.log)
        assert b"0/00007.png" not in tree(first.home())
        assert second.metric("forged_files_transferred_total", target="box") == 5
        assert second.call("manifest.list", target="box")["total_files"] == 35
        assert not second.standing()["held"]

        # Its connections are cut, and an owner it knows nothing of has signed: what it knows is past.
        server.sql("update shared.owner set token = 'another', instance = 'elsewhere'")
        server.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'forged %'")
        assert second.ended() == 1
        assert second.lines(level="error", event=second.lines(level="error")[-1]["event"])
        assert "is used by another forged" in second.lines(level="error")[-1]["event"]


def test_forged_check_tries_it(sshd: Sshd, server: PostgresServer) -> None:
    with daemon(sshd) as house:
        remembering(house, server, "tried")
        command = [sys.executable, "-m", "forged", "-c", str(house.config), "check", "--connect"]
        said = subprocess.run(command, env=house.environment, capture_output=True, text=True, timeout=100, check=False)
        assert "state database postgresql://forged@127.0.0.1" in said.stdout, said.stdout + said.stderr
        assert "its tables are made at the first start" in said.stdout and "not built" not in said.stdout
        assert WRITTEN not in said.stdout + said.stderr and PASSWORD not in said.stdout + said.stderr
        assert server.sql("select count(*) from pg_namespace where nspname = 'tried'") == [["0"]]


def test_a_path_that_no_index_holds_is_one_files_problem(sshd: Sshd, server: PostgresServer) -> None:
    """A hostile box names its files so; SQLite would take them."""
    cleanup = '[target.cleanup]\nage = "0s"\nevery = "1s"'
    with daemon(sshd, box=f'poll = "1s"\nnames = "exact"\n{cleanup}') as house:
        long = b"/".join(secrets.token_hex(125)[:250].encode() for _ in range(15))[:3_765] + b"/" + b"x" * 100
        raw = b"/".join(bytes(secrets.choice(range(0x80, 0xC0)) for _ in range(100)) for _ in range(9))  # short, but not as text
        for path in (long, raw):
            write_deep(house.box(), path)
        fill(house, 0, 30)
        age(house.box())
        remembering(house, server, "long").start()
        until(lambda: len(tree(house.home())) == 30, house.log)
        until(lambda: b"0/00000.png" not in tree(house.box()), house.log)
        fill(house, 100, 5)
        age(house.box())
        until(lambda: len(tree(house.home())) == 35, house.log)
        assert "store_error" not in kinds(house) and not house.standing()["held"]
        assert {long, raw} <= set(tree(house.box()))
        assert "exclude it, or keep the state in SQLite" in str(house.standing()) + house.log()
        assert not house.lines(kind="store_error")


def write_deep(root: Path, path: bytes) -> None:
    """A path too long for one system call is walked."""
    *folders, name = path.split(b"/")
    at = os.open(root, os.O_DIRECTORY)
    for folder in folders:
        os.mkdir(folder, dir_fd=at)
        at, above = os.open(folder, os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    with open(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=at), "wb") as file:
        file.write(b"x")
    os.close(at)


def age(root: Path) -> None:
    subprocess.run(["find", root, "-type", "f", "-execdir", "touch", "-d", "2 days ago", "{}", "+"], check=True)
