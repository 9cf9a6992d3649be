"""A real daemon against a real sshd: how it starts, ends, dies and comes back."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.site import staged, tree
from tests.support.sshd import Sshd, sshd

ORDERLY_S = 10.0
"""Within that a stop must be over (daemon/main, STOP_LIMIT_S, and something for the machine)."""

FILM_BYTES = 24_000_000


@pytest.fixture
def house(sshd: Sshd) -> Iterator[Daemon]:
    with daemon(sshd) as made:
        yield made


@pytest.fixture
def own_sshd() -> Iterator[Sshd]:
    """One that the test may hang or stop."""
    with sshd() as server:
        try:
            yield server
        finally:
            thaw(server)


def freeze(server: Sshd) -> None:
    """The box hangs: its connections stay, and nobody answers on them."""
    for pid in hung(server):
        with contextlib.suppress(ProcessLookupError):  # a connection that was just ending
            os.kill(pid, signal.SIGSTOP)


def thaw(server: Sshd) -> None:
    for pid in hung(server):
        os.kill(pid, signal.SIGCONT)


def hung(server: Sshd) -> list[int]:
    assert server._server is not None
    return [server._server.pid, *server.children()]


def film(house: Daemon) -> Path:
    path = house.box() / "film.mp4"
    path.write_bytes(os.urandom(FILM_BYTES))
    return path


def slow(house: Daemon, rate: str) -> None:
    house.transfer_lines = f'min_free = "1MB"\nbandwidth = "{rate}"'
    house.write()


def until_it_comes(house: Daemon) -> None:
    until(lambda: any(path.stat().st_size > 500_000 for path in staged(house.home())), house.log)


def home_is_the_box(house: Daemon) -> None:
    until(lambda: tree(house.home()) == tree(house.box()), house.log)
    until(lambda: staged(house.home()) == [])


def test_it_says_when_it_is_ready_and_when_it_goes(house: Daemon) -> None:
    house.start()
    assert house.process is not None
    assert house.call("daemon.status")["pid"] == house.process.pid
    assert house.stop() < ORDERLY_S
    assert "STATUS" in house.told("STOPPING=1")
    assert not Path(house.control).exists()
    assert [line["event"].split(":")[0] for line in house.lines(level="info")] == ["forged runs", "forged stops"]


def test_a_bad_configuration_ends_the_start_with_every_mistake(house: Daemon) -> None:
    house.targets["box"] = 'poll = "30 parsecs"\ncolour = "red"'
    house.write()
    house.spawn()
    assert house.ended() == 2
    assert "poll" in house.log() and "colour" in house.log()


def test_only_one_daemon_works_with_a_state_directory(house: Daemon) -> None:
    house.start()
    command = [sys.executable, "-m", "forged", "-c", str(house.config), "run"]
    second = subprocess.run(command, env=house.environment, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert f"{house.root}/state is used by another forged" in second.stderr
    assert "forgectl" in second.stderr
    assert house.standing()["name"] == "box", "the first one does not notice"


def test_stopped_in_the_middle_of_a_film_it_goes_on_there_after_the_next_start(house: Daemon) -> None:
    film(house)
    slow(house, "2MB/s")
    house.start()
    until_it_comes(house)
    job_id = house.call("sync.start", target="box")["job_id"]
    assert house.stop() < ORDERLY_S
    beginning = sum(path.stat().st_size for path in staged(house.home()))
    assert beginning > 500_000
    slow(house, "off")
    house.start()
    home_is_the_box(house)
    assert house.metric("forged_bytes_transferred_total", target="box") <= FILM_BYTES - beginning
    job = house.call("sync.status", job_id=job_id)["job"]
    assert job["status"] == "cancelled"
    assert "forged stops" in job["result"]["errors"][0]


def test_killed_in_the_middle_of_a_film_it_converges(house: Daemon) -> None:
    for n in range(50):
        (house.box() / f"{n}.png").write_bytes(os.urandom(n * 100))
    film(house)
    slow(house, "4MB/s")
    house.start()
    for _ in range(3):
        until_it_comes(house)
        house.kill()
        house.start()
    slow(house, "off")
    house.send(signal.SIGHUP)
    home_is_the_box(house)
    with house.client() as client:
        files = client.call("manifest.list", target="box", limit=500)
    assert (files["total_files"], len(files["files"])) == (51, 51)


def test_a_box_that_hangs_in_the_middle_of_a_film_does_not_hold_up_the_stop(own_sshd: Sshd) -> None:
    with daemon(own_sshd) as house:
        film(house)
        slow(house, "2MB/s")
        house.start()
        until_it_comes(house)
        freeze(own_sshd)
        assert house.stop() < ORDERLY_S


def test_a_box_that_never_answers_does_not_hold_up_the_stop(own_sshd: Sshd) -> None:
    with daemon(own_sshd) as house:
        freeze(own_sshd)
        house.start()
        time.sleep(0.3)  # it is connecting by then, or about to: both must end
        assert house.stop() < 2.0


def test_a_second_sigterm_ends_it_at_once(own_sshd: Sshd) -> None:
    with daemon(own_sshd) as house:
        film(house)
        slow(house, "2MB/s")
        house.start()
        until_it_comes(house)
        freeze(own_sshd)
        house.send(signal.SIGTERM)
        house.told("STOPPING=1")
        began_s = time.monotonic()
        house.send(signal.SIGTERM)
        assert house.ended() == 1
        assert time.monotonic() - began_s < 1.0


def test_who_waits_for_an_answer_gets_one_when_it_stops(house: Daemon) -> None:
    film(house)
    slow(house, "1MB/s")
    house.start()
    until_it_comes(house)
    with house.client() as client:
        client._send({"jsonrpc": "2.0", "id": 1, "method": "target.drain", "params": {"target": "box"}})
        house.call("daemon.status")
        house.send(signal.SIGTERM)
        answer = client._message(ORDERLY_S)
    assert "forged" in str(answer)
    assert house.ended() == 0


def test_what_people_decided_is_known_again_after_a_restart(house: Daemon) -> None:
    (house.box() / "a.png").write_bytes(b"A")
    house.start()
    done = house.sync()
    house.call("target.pause", target="box")
    (house.box() / "b.png").write_bytes(b"B")
    house.kill()
    house.start()
    assert house.standing()["paused"] is True
    assert done in house.call("sync.list")["jobs"]
    assert not (house.home() / "b.png").exists()
    house.call("target.resume", target="box")
    home_is_the_box(house)
