"""The link of the bench, with real TCP over it: it brings the same bytes, it is as slow as it says, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import psutil
import pytest

from tests.bench import net
from tests.bench.net import GIGABIT, LOOPBACK, MS50, MS50_LOSS, MS150, Buffers, Ends, LinkSpec, link

pytestmark = [pytest.mark.root, pytest.mark.skipif(net.why_not() is not None, reason=net.why_not() or "")]

LOSSY = LinkSpec("a bad one", 0.004, GIGABIT, loss=0.02)
SET_BYTES = 4_000_000

SINK = """
import hashlib, socket, sys
server = socket.create_server((sys.argv[1], 5001))
print("up", flush=True)
while True:
    connection, _ = server.accept()
    digest = hashlib.sha256()
    while piece := connection.recv(1 << 18):
        digest.update(piece)
    connection.sendall(digest.hexdigest().encode())
"""
SOURCE = """
import socket, sys
with socket.create_connection((sys.argv[1], 5001)) as connection, open(sys.argv[2], "rb") as file:
    connection.sendfile(file)
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(64).decode())
"""
FLOOD = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 5001)) as connection:
    piece, sent, began_s = bytes(1 << 18), 0, time.monotonic()
    while time.monotonic() < began_s + 8:
        sent += connection.send(piece)
    connection.shutdown(socket.SHUT_WR)
    connection.recv(64)
    print(sent / 1e6 / (time.monotonic() - began_s))
"""
ECHO = """
import socket, sys
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind((sys.argv[1], 5002))
print("up", flush=True)
while True:
    server.sendto(*server.recvfrom(9999))
"""
PING = """
import socket, sys, time
client = socket.socket(type=socket.SOCK_DGRAM)
client.settimeout(1)
for number in range(100):
    began_s = time.monotonic()
    client.sendto(str(number).encode(), (sys.argv[1], 5002))
    try:
        client.recv(99)
    except TimeoutError:
        continue
    print(time.monotonic() - began_s)
    time.sleep(number % 17 / 2000)
"""


def python(program: str, *argv: str) -> list[str]:
    return [sys.executable, "-I", "-c", program, *argv]


@contextmanager
def serving(argv: list[str]) -> Iterator[psutil.Process]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"up\n"
            yield psutil.Process(process.pid)
        finally:
            process.kill()


def output(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.mark.parametrize("spec", [LOOPBACK, LOSSY], ids=["loopback", "lossy"])
def test_what_goes_in_comes_out(spec: LinkSpec | None, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(SET_BYTES))
    with link(spec, Buffers.STOCK) as ends, serving(ends.far(python(SINK, ends.far_address))):
        before = ends.wire()
        digest = output(ends.near(python(SOURCE, ends.far_address, str(file))))
        after = ends.wire()
    assert digest == output(["sha256sum", str(file)])[:64] + "\n"
    assert SET_BYTES < after.near_to_far_bytes - before.near_to_far_bytes < 1.2 * SET_BYTES
    assert (after.far_to_near_bytes > before.far_to_near_bytes) == (spec is not None)


def test_the_ends_have_the_buffers_they_say_and_a_loopback_of_their_own() -> None:
    with link(LOSSY, Buffers.LARGE) as ends:
        for at in (ends.near, ends.far):
            names = [f"net.ipv4.tcp_{name}" for name in ("rmem", "wmem", "congestion_control")]
            *buffers, congestion = output(at(["sysctl", "-n", *names])).splitlines()
            assert [line.split()[-1] for line in buffers] == [str(64 << 20)] * 2
            assert congestion == ends.congestion
            assert json.loads(output(at(["ip", "-json", "link", "show", "lo"])))[0]["flags"][1:] == ["UP", "LOWER_UP"]
        assert ends.buffers == "receive 64 MiB, send 64 MiB"


def test_nothing_is_left_behind() -> None:
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(ZeroDivisionError), link(LOSSY, Buffers.STOCK) as ends:
        sleeper = subprocess.Popen(ends.far(["sleep", "600"]))
        while psutil.Process(sleeper.pid).name() != "sleep":
            pass
        raise ZeroDivisionError
    assert sleeper.wait() == -9
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert not psutil.pid_exists(ends.near_pid) and not psutil.pid_exists(ends.far_pid)


def test_a_broken_link_is_an_error() -> None:
    with link(LOSSY, Buffers.STOCK) as ends:
        the_wire().kill()
        with pytest.raises(OSError):
            ends.wire()


def the_wire() -> psutil.Process:
    return next(child for child in psutil.Process().children() if str(net.WIRE) in child.cmdline())


CASES = [
    (MS50, Buffers.STOCK, 40, 65),
    (MS150, Buffers.STOCK, 13, 22),
    (MS50, Buffers.LARGE, 80, 125),
    (MS150, Buffers.LARGE, 60, 125),
    (MS50_LOSS, Buffers.LARGE, 1, 125),
]
"""With the MB/s that one connection makes there in 8 s, its start included. With loss it is the congestion control's affair."""


@pytest.mark.campaign
@pytest.mark.parametrize(("spec", "buffers", "least", "most"), CASES)
def test_the_link_is_as_slow_as_it_says(spec: LinkSpec, buffers: Buffers, least: float, most: float) -> None:
    with link(spec, buffers) as ends:
        round_trips_s = pings(ends)
        with serving(ends.far(python(SINK, ends.far_address))):
            cpu_s, sent_bytes = sum(the_wire().cpu_times()[:2]), ends.wire().near_to_far_bytes
            rate = float(output(ends.near(python(FLOOD, ends.far_address))))
            cpu_s, sent_bytes = sum(the_wire().cpu_times()[:2]) - cpu_s, ends.wire().near_to_far_bytes - sent_bytes
    figures = {"link": spec.name, "buffers": ends.buffers, "congestion": ends.congestion, "mtu_bytes": spec.mtu_bytes}
    figures |= {
        "queue_bytes": spec.queue_bytes,
        "round_trip_ms": round(median(round_trips_s) * 1000, 2),
        "mb_per_s": round(rate, 1),
    }
    print(json.dumps(figures | {"cpu_s_per_gb": round(cpu_s / sent_bytes * 1e9, 2)}))
    assert spec.rtt_s < median(round_trips_s) < spec.rtt_s + 0.001
    assert least < rate < most


def pings(ends: Ends) -> list[float]:
    """In seconds, of those that were not lost."""
    with serving(ends.far(python(ECHO, ends.far_address))):
        return [float(line) for line in output(ends.near(python(PING, ends.far_address))).split()]
