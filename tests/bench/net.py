"""A long, slow or lossy link of the bench's own: two network namespaces, a TUN device in each, and `wire.py` between the two.

The kernels this must run on know no netem. The namespaces have no names and live by one process each, which ends when this one
closes its pipe or dies: nothing of a link outlives a bench, however it ends.

Nothing of the machine's own network is touched. What a namespace does not have of its own (net.core.*) stays the machine's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

WIRE = Path(__file__).with_name("wire.py")
DEVICE = "wire"
MINIMUM_AND_DEFAULT = {"tcp_rmem": "4096 131072", "tcp_wmem": "4096 16384"}
"""What Linux has had since 4.20; only the maxima differ between the kinds of buffers."""

DEVICE_QUEUE_PACKETS = 10_000
"""Where packets wait until the wire looks again. So many that it is always the wire's own queue that drops: the longest holds 2,100."""


@dataclass(frozen=True)
class LinkSpec:
    """What a link is like, the same in both directions. `rtt_s` is without queueing; `loss` is a share of all packets."""

    name: str
    rtt_s: float
    rate_bit_per_s: int
    loss: float = 0.0
    mtu_bytes: int = 9000
    """At 1500 the two TCP stacks and the wire would want more than two cores at 1 Gbit, and that would be measured."""

    @property
    def queue_bytes(self) -> int:
        """How much waits at most in front of the link, per direction; then the newest is dropped. One bandwidth-delay product."""
        return int(self.rate_bit_per_s / 8 * self.rtt_s)


GIGABIT = 1_000_000_000
LOOPBACK: LinkSpec | None = None
"""No link at all."""
MS50 = LinkSpec("50 ms", 0.050, GIGABIT)
MS150 = LinkSpec("150 ms", 0.150, GIGABIT)
MS50_LOSS = LinkSpec("50 ms, 0.1% loss", 0.050, GIGABIT, loss=0.001)


class Buffers(Enum):
    """The most that TCP takes for a connection's buffers, receiving and sending."""

    STOCK = (6 * 2**20, 4 * 2**20)
    """As Linux had them from 2.6.17 to 6.15 on every machine with 4 GB or more."""
    LARGE = (64 * 2**20, 64 * 2**20)

    @property
    def text(self) -> str:
        """For the report: `receive 6 MiB, send 4 MiB`."""
        receive_bytes, send_bytes = self.value
        return f"receive {receive_bytes >> 20} MiB, send {send_bytes >> 20} MiB"


@dataclass(frozen=True)
class Wire:
    """Bytes of IP packets that each end has sent since the link is up, those that were lost included."""

    near_to_far_bytes: int
    far_to_near_bytes: int


@dataclass(frozen=True)
class Ends:
    """The two ends of a link that is up."""

    near_pid: int
    far_pid: int
    near_address: str
    far_address: str
    device: str
    congestion: str
    """The TCP congestion control of both ends: the machine's. A namespace may choose only among what the machine allows to everybody."""
    buffers: str

    def near(self, argv: list[str]) -> list[str]:
        """This command, run at the near end. It becomes that program: the process that is started is the program's own."""
        return within(self.near_pid, argv)

    def far(self, argv: list[str]) -> list[str]:
        """This command, run at the far end."""
        return within(self.far_pid, argv)

    def wire(self) -> Wire:
        """What has been sent up to now. On loopback every byte has been sent by both."""
        return Wire(sent_bytes(self.near_pid, self.device), sent_bytes(self.far_pid, self.device))


def why_not() -> str | None:
    """What keeps this machine from having such a link; None if nothing does."""
    if os.geteuid() != 0:
        return "a link between two network namespaces needs root"
    if not os.path.exists("/dev/net/tun"):
        return "a link between two network namespaces needs /dev/net/tun (modprobe tun)"
    return None


@contextmanager
def link(spec: LinkSpec | None, buffers: Buffers) -> Iterator[Ends]:
    """Two ends with this link between them; without a spec, one namespace that is both and has only its loopback.

    When the block ends, whatever still runs at either end is killed.
    Raises PermissionError without root, OSError and CalledProcessError if the machine refuses.
    """
    if problem := why_not():
        raise PermissionError(problem)
    with ExitStack() as stack:
        near = stack.enter_context(namespace())
        far = near if spec is None else stack.enter_context(namespace())
        for pid in {near, far}:
            tune(pid, buffers)
        control = run(within(near, ["sysctl", "-n", "net.ipv4.tcp_congestion_control"]))
        if spec is None:
            yield Ends(near, far, "127.0.0.1", "127.0.0.1", "lo", control, buffers.text)
            return
        stack.enter_context(wire(spec, near, far))
        addresses = "198.18.0.1", "198.18.0.2"  # RFC 2544: set aside for benchmarks
        for pid, own, other in ((near, *addresses), (far, *reversed(addresses))):
            connect(pid, spec, own, other)
        yield Ends(near, far, *addresses, DEVICE, control, buffers.text)


@contextmanager
def namespace() -> Iterator[int]:
    """A new network namespace with its loopback up, as the id of the process that keeps it."""
    keeper = "ip link set lo up && echo up && exec cat"
    argv = ["unshare", "--net", "--", "sh", "-c", keeper]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        wait_for_word(process)
        try:
            yield process.pid
        finally:
            for pid in inhabitants(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.stdin.close()


@contextmanager
def wire(spec: LinkSpec, near: int, far: int) -> Iterator[None]:
    """The program between the two namespaces. It holds both devices: they are gone when it ends."""
    figures = [spec.rtt_s / 2, spec.rate_bit_per_s, spec.queue_bytes, spec.loss]
    argv = [sys.executable, str(WIRE), str(near), str(far), *map(str, figures)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as process:
        wait_for_word(process)
        try:
            yield
        finally:
            process.stdin.close()


def wait_for_word(process: subprocess.Popen[bytes]) -> None:
    """Until it says that it is up."""
    assert process.stdout is not None
    if process.stdout.readline() != b"up\n":
        raise OSError(f"no link: {process.args!r} has failed")


def tune(pid: int, buffers: Buffers) -> None:
    """Its buffers, and no memory of earlier connections, or one round of a bench would slow down the next."""
    settings = {name: f"{MINIMUM_AND_DEFAULT[name]} {most}" for name, most in zip(MINIMUM_AND_DEFAULT, buffers.value, strict=True)}
    settings["tcp_no_metrics_save"] = "1"
    run(within(pid, ["sysctl", "-q", "-w", *(f"net.ipv4.{name}={value}" for name, value in settings.items())]))


def connect(pid: int, spec: LinkSpec, own: str, other: str) -> None:
    """Gives the device its address. Without one of IPv6, which would have packets on the wire that nobody sent."""
    settings = ["mtu", str(spec.mtu_bytes), "txqueuelen", str(DEVICE_QUEUE_PACKETS), "addrgenmode", "none"]
    run(within(pid, ["ip", "link", "set", DEVICE, *settings]))
    run(within(pid, ["ip", "address", "add", own, "peer", other, "dev", DEVICE]))
    run(within(pid, ["ip", "link", "set", DEVICE, "up"]))


def within(pid: int, argv: list[str]) -> list[str]:
    """This command, run in the network namespace of that process, with everything else as it is here."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv]


def inhabitants(keeper: int) -> list[int]:
    """The processes in this one's network namespace, but for itself."""
    home = os.readlink(f"/proc/{keeper}/ns/net")
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != keeper and lives_in(name, home)]


def lives_in(pid: str, home: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == home
    except OSError:  # has just ended
        return False


def sent_bytes(pid: int, device: str) -> int:
    """What this device has sent, from the kernel's own table: name, eight figures of receiving, then sent bytes."""
    rows = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    return next(int(row.split(":")[1].split()[8]) for row in rows if row.split(":")[0].strip() == device)


def run(argv: list[str]) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()
