"""A long, slow or lossy link of the bench's own: two network namespaces, a TUN device in each, and `wire.py` between the two.

The kernels this must run on know no netem. The namespaces have no names and live by one process each, which ends when this one
closes its pipe or dies: nothing of a link outlives a bench, however it ends.

Nothing of the machine's own network is touched. What a namespace does not have of its own (net.core.*) stays the machine's.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from subprocess import PIPE

from tests.bench.wire import DEVICE

WIRE = Path(__file__).with_name("wire.py")
PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "ip": "iproute2", "sysctl": "procps"}
"""What is needed, and the Debian packages that have it."""

MINIMUM_AND_DEFAULT = {"tcp_rmem": "4096 131072", "tcp_wmem": "4096 16384"}
"""What Linux has had since 4.20; only the maxima differ between the kinds of buffers."""

ADDRESSES = ("198.18.0.1", "198.18.0.2")
"""Near and far. RFC 2544 sets them aside for benchmarks."""

DEVICE_QUEUE_PACKETS = 10_000
"""Where packets wait until the wire looks again. So many that it is always the wire's own, bounded queue that drops."""


@dataclass(frozen=True)
class LinkSpec:
    """What a link is like, the same in both directions. `rtt_s` is without queueing; `loss` is a share of all packets."""

    name: str
    rtt_s: float
    rate_bit_per_s: int
    loss: float = 0.0
    mtu_bytes: int = 9000
    """1500 costs no more here, since trains are as long then; 9000 is what the anchors were measured with."""

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
    """As Linux sets them up to 6.15. 6.16 receives with up to 32 MiB, which changes nothing measurable: sending limits."""
    LARGE = (64 * 2**20, 64 * 2**20)

    @property
    def text(self) -> str:
        """For the report: `receive 6 MiB, send 4 MiB`."""
        receive_bytes, send_bytes = self.value
        return f"receive {receive_bytes >> 20} MiB, send {send_bytes >> 20} MiB"


@dataclass(frozen=True)
class Wire:
    """Bytes of IP packets that each end has sent since the link is up, headers and what was lost included.

    On loopback, where the ends cannot be told apart, all of it counts as near to far.
    """

    near_to_far_bytes: int
    far_to_near_bytes: int


@dataclass(frozen=True)
class Ends:
    """The two ends of a link that is up. They differ from the rest of the machine in the network only: the files are the same."""

    near_pid: int
    far_pid: int
    near_address: str
    far_address: str
    congestion: str
    """The TCP congestion control of both: the machine's. A namespace could choose only what the machine allows to everybody."""
    buffers: str
    wire: Callable[[], Wire]
    """Says what has been sent up to now. Raises OSError when the link has broken."""

    def near(self, argv: list[str]) -> list[str]:
        """This command, run at the near end. It becomes that program: the process that is started is the program's own."""
        return within(self.near_pid, argv)

    def far(self, argv: list[str]) -> list[str]:
        """This command, run at the far end."""
        return within(self.far_pid, argv)


def why_not() -> str | None:
    """What keeps this machine from such a link, for a person to read; None if nothing does."""
    if os.geteuid() != 0:
        return "a link between two network namespaces needs root"
    if missing := [f"{name} (in {package})" for name, package in PROGRAMS.items() if shutil.which(name) is None]:
        return f"a link between two network namespaces needs {', '.join(missing)}"
    if not Path("/dev/net/tun").exists():
        return "a link between two network namespaces needs /dev/net/tun (modprobe tun)"
    return None


@contextmanager
def link(spec: LinkSpec | None, buffers: Buffers) -> Iterator[Ends]:
    """Two ends with this link between them; without a spec, one namespace that is both and has only its loopback.

    When the block ends, whatever still runs at either end is killed.
    Raises OSError where `why_not` has something to say or the link does not come up.
    """
    if problem := why_not():
        raise OSError(problem)
    with ExitStack() as stack:
        near = stack.enter_context(namespace())
        far = near if spec is None else stack.enter_context(namespace())
        for pid in {near, far}:
            tune(pid, buffers)
        congestion = run(within(near, ["sysctl", "-n", "net.ipv4.tcp_congestion_control"]))
        if spec is None:
            yield Ends(near, far, "127.0.0.1", "127.0.0.1", congestion, buffers.text, lambda: Wire(loopback_bytes(near), 0))
        else:
            process = stack.enter_context(wire(spec, near, far))
            connect(near, spec, ADDRESSES[0], ADDRESSES[1])
            connect(far, spec, ADDRESSES[1], ADDRESSES[0])
            yield Ends(near, far, *ADDRESSES, congestion, buffers.text, lambda: ask(process))


@contextmanager
def namespace() -> Iterator[int]:
    """A new network namespace with its loopback up, as the id of the process that keeps it."""
    with beside(["unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo up && exec cat"]) as keeper:
        with open(f"/proc/{keeper.pid}/ns/net", "rb"):  # held, or its number might become another namespace's
            home = os.readlink(f"/proc/{keeper.pid}/ns/net")
            assert home != os.readlink("/proc/self/ns/net")
            try:
                yield keeper.pid
            finally:
                kill_all(home)


@contextmanager
def wire(spec: LinkSpec, near: int, far: int) -> Iterator[subprocess.Popen[bytes]]:
    """The program between the two namespaces. It holds both devices: they are gone when it ends."""
    figures = [spec.rtt_s / 2, spec.rate_bit_per_s, spec.queue_bytes, spec.loss]
    with beside([sys.executable, "-I", str(WIRE), str(near), str(far), *map(str, figures)]) as process:
        yield process


@contextmanager
def beside(argv: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that has said "up", until the block ends. When we die instead, it sees its standard input closed."""
    with subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, bufsize=0, start_new_session=True) as process:
        try:
            if answer(process) != b"up\n":
                raise OSError(f"no link: {argv} has failed")
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[bytes]) -> Wire:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    figures = answer(process).split()
    if len(figures) != 2:
        raise BrokenPipeError("the link has broken")
    return Wire(int(figures[0]), int(figures[1]))


def answer(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


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


def kill_all(home: str) -> None:
    """Every process in this network namespace, its keeper included."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/ns/net") == home:
                os.kill(int(name), signal.SIGKILL)
        except OSError:  # has just ended, or is not to be looked at, which no program of ours is
            pass


def loopback_bytes(pid: int) -> int:
    """From the kernel's table of that process's devices: a name, eight figures of receiving, then the bytes sent."""
    rows = (line.split(":") for line in Path(f"/proc/{pid}/net/dev").read_text().splitlines() if ":" in line)
    return next(int(figures.split()[8]) for name, figures in rows if name.strip() == "lo")


def run(argv: list[str]) -> str:
    """What it prints. Raises OSError with what it complains of."""
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{argv}: {done.stderr.strip()}")
    return done.stdout.strip()
