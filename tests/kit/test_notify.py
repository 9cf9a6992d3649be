"""What systemd would hear, heard by a socket of our own."""

from __future__ import annotations

import os
import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.kit.notify import STATUS_MOST_BYTES, Notifier


class Manager:
    """A service manager that only listens."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(10)

    def hears(self) -> dict[str, str]:
        """The fields of the next datagram."""
        return dict(line.split("=", 1) for line in self.socket.recv(65536).decode().split("\n"))


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify") if request.param == "path" else f"@forged-test-{uuid.uuid4()}")
    yield manager
    manager.socket.close()


@pytest.fixture
def notifier(manager: Manager) -> Iterator[Notifier]:
    notifier = Notifier({"NOTIFY_SOCKET": manager.name})
    yield notifier
    notifier.close()


def test_a_life_from_start_to_stop(manager: Manager, notifier: Notifier) -> None:
    assert notifier.ready("2 targets")
    assert manager.hears() == {"READY": "1", "STATUS": "2 targets"}
    assert notifier.status("scanning")
    assert manager.hears() == {"STATUS": "scanning"}
    assert notifier.watchdog()
    assert manager.hears() == {"WATCHDOG": "1"}
    assert notifier.stopping()
    assert manager.hears() == {"STOPPING": "1", "STATUS": "stopping"}


def test_a_reload_says_when_it_began_in_the_same_datagram(manager: Manager, notifier: Notifier) -> None:
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert notifier.reloading()
    heard = manager.hears()
    assert heard["RELOADING"] == "1"
    assert before_us <= int(heard["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_can_not_smuggle_in_another_field(manager: Manager, notifier: Notifier) -> None:
    notifier.status("a box called\nSTOPPING=1\x1b[2J")
    assert manager.hears() == {"STATUS": "a box called STOPPING=1 [2J"}


@pytest.mark.parametrize("char", ["x", "ü", "\U0001f3a8"])
def test_a_long_status_is_cut_between_characters(manager: Manager, notifier: Notifier, char: str) -> None:
    notifier.status("1" + char * 5000)
    heard = manager.hears()["STATUS"]
    assert STATUS_MOST_BYTES - 4 < len(heard.encode()) <= STATUS_MOST_BYTES
    assert heard.strip("1" + char) == ""


def test_bytes_that_are_not_text_do_no_harm(manager: Manager, notifier: Notifier) -> None:
    assert notifier.status(os.fsdecode(b"caf\xe9"))
    assert manager.hears() == {"STATUS": "caf "}


@pytest.mark.parametrize("env", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "relative/path"}])
def test_without_a_manager_nothing_happens(env: dict[str, str]) -> None:
    notifier = Notifier(env)
    assert not notifier.ready("here")
    assert not notifier.reloading()
    assert notifier.watchdog_s is None
    notifier.close()


@pytest.mark.parametrize("name", ["nobody listens", "x" * 200])
def test_a_manager_that_is_gone_is_no_trouble(name: str, tmp_path: Path) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / name)})
    assert not notifier.ready("here")
    notifier.close()
    assert not notifier.stopping()
    notifier.close()


def test_a_manager_that_does_not_read_blocks_nobody(manager: Manager, notifier: Notifier) -> None:
    """The kernel keeps only so many datagrams for it (net.unix.max_dgram_qlen)."""
    sent = 0
    while notifier.watchdog():
        sent += 1
        assert sent < 100_000
    assert manager.hears() == {"WATCHDOG": "1"}
    assert notifier.watchdog()


@pytest.mark.parametrize(
    ("env", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getppid())}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "²"}, None),
    ],
)
def test_the_watchdog_is_ours_only_when_it_says_so(env: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier(env).watchdog_s == watchdog_s
