"""The link itself: carries IP packets between TUN devices in two network namespaces, late, not too fast, and some of them never.

    wire.py NEAR_PID FAR_PID DELAY_S RATE_BIT_PER_S QUEUE_BYTES LOSS

Runs until its standard input is closed, says "up" when the devices exist, and takes them along when it ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import select
import struct
import sys
import time
from collections import deque
from dataclasses import dataclass, field

CLONE_NEWNET, TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x40000000, 0x400454CA, 0x0001, 0x1000  # sched.h, linux/if_tun.h
DEVICE = b"wire"
LARGEST_PACKET_BYTES = 65_536
REST_S = 0.0002
"""How long packets are left to gather after each look: with a thousand looks less per second, a third of the CPU time."""


@dataclass
class Lane:
    """One direction. A packet waits for those before it, takes its time, may be lost then, and arrives `delay_ns` later."""

    source: int
    sink: int
    delay_ns: int
    ns_per_byte: float
    queue_ns: float
    loss: float
    chance: random.Random
    idle_at_ns: float = 0.0
    under_way: deque[tuple[float, bytes]] = field(default_factory=deque)

    def take(self, now_ns: int) -> None:
        """Everything that has been sent since the last look."""
        try:
            while True:
                self.admit(os.read(self.source, LARGEST_PACKET_BYTES), now_ns)
        except BlockingIOError:
            pass

    def admit(self, packet: bytes, now_ns: int) -> None:
        if self.idle_at_ns - now_ns > self.queue_ns:
            return
        self.idle_at_ns = max(self.idle_at_ns, now_ns) + len(packet) * self.ns_per_byte
        if self.chance.random() >= self.loss:
            self.under_way.append((self.idle_at_ns + self.delay_ns, packet))

    def give(self, now_ns: int) -> None:
        """Everything that is due."""
        while self.under_way and self.under_way[0][0] <= now_ns:
            os.write(self.sink, self.under_way.popleft()[1])


def device(pid: int) -> int:
    """A new TUN device in the network namespace of that process. This process then stays in there."""
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if libc.setns(namespace, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(namespace)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE, IFF_TUN | IFF_NO_PI))
    return tun


def main() -> None:
    near, far = device(int(sys.argv[1])), device(int(sys.argv[2]))
    delay_s, rate_bit_per_s, queue_bytes, loss = map(float, sys.argv[3:])
    ns_per_byte = 8e9 / rate_bit_per_s
    settings = int(delay_s * 1e9), ns_per_byte, queue_bytes * ns_per_byte, loss
    lanes = Lane(near, far, *settings, random.Random(1)), Lane(far, near, *settings, random.Random(2))
    print("up", flush=True)
    while True:
        due_ns = min((lane.under_way[0][0] for lane in lanes if lane.under_way), default=None)
        timeout_s = None if due_ns is None else max(0.0, (due_ns - time.monotonic_ns()) / 1e9)
        if sys.stdin in select.select([near, far, sys.stdin], [], [], timeout_s)[0]:
            return
        now_ns = time.monotonic_ns()
        for lane in lanes:
            lane.take(now_ns)
            lane.give(now_ns)
        time.sleep(REST_S)


if __name__ == "__main__":
    main()
