"""The link itself: carries IP packets between TUN devices in two network namespaces, late, not too fast, and some of them never.

    wire.py NEAR_PID FAR_PID DELAY_S RATE_BIT_PER_S QUEUE_BYTES LOSS

Says "up" when the devices exist. Asked with a line, answers with the bytes it was given at the near and at the far end. Ends when
its standard input is closed, and the devices with it.

The kernels hand over TCP segments as they do to a network card: in trains of up to 64 KB that share one header. That is most of
what makes this cheap enough. Time, loss and count are those of the single packets that a card would have made of a train; only
that those of one train arrive together, and where the queue is full one train is dropped as a whole.
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
from collections.abc import Iterator
from dataclasses import dataclass, field

CLONE_NEWNET = 0x40000000  # linux/sched.h
TUNSETIFF, TUNSETOFFLOAD = 0x400454CA, 0x400454D0  # linux/if_tun.h, as the three lines below
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x01, 0x02
CARD_BYTES = 10
"""struct virtio_net_hdr in front of each packet: byte 1 says whether it is a train, 4 and 5 how much one of its segments holds."""

DEVICE = "wire"
MOST_BYTES = CARD_BYTES + 65_535
TICK_S = 0.0005
"""How often it looks while packets are under way. Each look costs CPU time, and each packet is late by half of this."""


@dataclass(frozen=True)
class Train:
    """TCP segments of one connection in a row, behind one header of IPv4 and TCP."""

    card: bytes
    header: bytes
    payload: bytes
    segment_bytes: int

    @classmethod
    def parse(cls, packet: bytes) -> Train:
        ip_bytes = (packet[CARD_BYTES] & 0x0F) * 4
        tcp_bytes = (packet[CARD_BYTES + ip_bytes + 12] >> 4) * 4
        start = CARD_BYTES + ip_bytes + tcp_bytes
        return cls(packet[:CARD_BYTES], packet[CARD_BYTES:start], packet[start:], struct.unpack_from("=H", packet, 4)[0])

    @property
    def segments(self) -> int:
        return -(-len(self.payload) // self.segment_bytes)

    @property
    def size_bytes(self) -> int:
        """With a header for every segment."""
        return len(self.payload) + self.segments * len(self.header)

    def without(self, lost: set[int]) -> Iterator[bytes]:
        """What is left when the segments of these numbers are lost: the runs between them, as packets."""
        start = 0
        for end in [*sorted(lost), self.segments]:
            if start < end:
                yield self.part(start * self.segment_bytes, end * self.segment_bytes)
            start = end + 1

    def part(self, start: int, end: int) -> bytes:
        """These bytes of the payload as a packet. Its TCP checksum is the receiver's not to look at: the card vouches for it."""
        payload = self.payload[start:end]
        header = bytearray(self.header)
        ip_bytes = (header[0] & 0x0F) * 4
        struct.pack_into("!H", header, 2, len(header) + len(payload))
        struct.pack_into("!H", header, 10, 0)
        struct.pack_into("!H", header, 10, checksum(header[:ip_bytes]))
        (sequence,) = struct.unpack_from("!I", header, ip_bytes + 4)
        struct.pack_into("!I", header, ip_bytes + 4, (sequence + start) % 2**32)
        if end < len(self.payload):
            header[ip_bytes + 13] &= ~0x09  # FIN and PSH are the last one's
        card = self.card if len(payload) > self.segment_bytes else bytes([self.card[0], 0, *self.card[2:4], 0, 0, *self.card[6:]])
        return card + header + payload


def checksum(header: bytes) -> int:
    """RFC 1071."""
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


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
    given_bytes: int = 0
    idle_at_ns: float = 0.0
    under_way: deque[tuple[float, bytes]] = field(default_factory=deque)

    def take(self, now_ns: int) -> None:
        """Everything that has been sent since the last look."""
        try:
            while True:
                self.admit(os.read(self.source, MOST_BYTES), now_ns)
        except BlockingIOError:
            pass

    def admit(self, packet: bytes, now_ns: int) -> None:
        train = Train.parse(packet) if packet[1] else None
        size_bytes = train.size_bytes if train else len(packet) - CARD_BYTES
        self.given_bytes += size_bytes
        if self.idle_at_ns - now_ns > self.queue_ns:
            return
        self.idle_at_ns = max(self.idle_at_ns, now_ns) + size_bytes * self.ns_per_byte
        lost = {number for number in range(train.segments if train else 1) if self.chance.random() < self.loss}
        rest = [packet] if not lost else train.without(lost) if train else []
        self.under_way.extend((self.idle_at_ns + self.delay_ns, part) for part in rest)

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
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    return tun


def main() -> None:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))  # a real link does not wait for a free core either
    near, far = device(int(sys.argv[1])), device(int(sys.argv[2]))
    delay_s, rate_bit_per_s, queue_bytes, loss = map(float, sys.argv[3:])
    ns_per_byte = 8e9 / rate_bit_per_s
    settings = int((delay_s - TICK_S / 2) * 1e9), ns_per_byte, queue_bytes * ns_per_byte, loss
    lanes = Lane(near, far, *settings, random.Random(1)), Lane(far, near, *settings, random.Random(2))
    print("up", flush=True)
    while True:
        busy = any(lane.under_way for lane in lanes)
        if select.select([sys.stdin] if busy else [sys.stdin, near, far], [], [], TICK_S if busy else None)[0] == [sys.stdin]:
            if not sys.stdin.readline():
                return
            print(*(lane.given_bytes for lane in lanes), flush=True)
        now_ns = time.monotonic_ns()
        for lane in lanes:  # first, because some kernels answer at once
            lane.give(now_ns)
        for lane in lanes:
            lane.take(now_ns)


if __name__ == "__main__":
    main()
