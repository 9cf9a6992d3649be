"""What a race costs beside time: CPU seconds and memory of process trees, read from /proc. Linux only.

CPU time is asked at the start and at the end; that of ended processes stands with the parent that waited for them. The peak of
memory is the sum of each process's own peak (VmHWM), looked at while they run: an upper bound where a tree has several processes.
"""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

FIRST_LOOK_S, LOOK_S = 0.05, 0.25
"""A look at all processes takes 3 ms of CPU time: about 1% of a core."""


@dataclass(frozen=True)
class Process:
    """One process as /proc/PID/stat shows it. `cpu_s`: its own, and that of the descendants that were waited for."""

    pid: int
    parent: int
    name: str
    cpu_s: float


def look() -> dict[int, Process]:
    """All processes there are."""
    found: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                head, _, tail = file.read().decode(errors="replace").rpartition(")")
                fields = tail.split()
                cpu_s = sum(map(int, fields[11:15])) / TICKS_PER_S
                found[int(name)] = Process(int(name), int(fields[1]), head.partition("(")[2], cpu_s)
    return found


def tree(root: int, seen: dict[int, Process]) -> list[Process]:
    """A process and all that live below it."""
    below: dict[int, list[int]] = {}
    for process in seen.values():
        below.setdefault(process.parent, []).append(process.pid)
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        queue += below.get(pid, [])
        found += [seen[pid]] if pid in seen else []
    return found


def cpu_s(root: int) -> float:
    """Of a process and all that live or lived below it."""
    return sum(process.cpu_s for process in tree(root, look()))


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had resident. 0 for one that has ended."""
    with suppress(OSError), open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def children() -> set[int]:
    """Of this process, ended ones included that nobody has waited for."""
    return {process.pid for process in look().values() if process.parent == os.getpid()}


def orphans_cpu_s(others: set[int]) -> float:
    """Waits for the children that this process has beside `others`: what a command left behind. Answers what they took."""
    return sum(seconds(os.wait4(pid, 0)[2]) for pid in children() - others)


def seconds(usage: resource.struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@dataclass
class Peaks:
    """The most memory of some processes and all below them, but for those `without` names: by name, or by pid."""

    roots: list[int]
    without: tuple[str | int, ...] = ()
    by_pid: dict[int, int] = field(default_factory=dict)

    def look(self, seen: dict[int, Process]) -> None:
        for root in self.roots:
            for process in tree(root, seen):
                if not {process.name, process.pid} & {*self.without}:
                    self.by_pid[process.pid] = max(self.by_pid.get(process.pid, 0), peak_bytes(process.pid))

    @property
    def total_bytes(self) -> int:
        return sum(self.by_pid.values())


@contextmanager
def watching(*peaks: Peaks) -> Iterator[None]:
    """Looks at them while the block lasts, and once more at its end."""
    ended = threading.Event()

    def watch() -> None:
        wait_s = FIRST_LOOK_S
        while not ended.wait(wait_s):
            wait_s = LOOK_S
            look_all()

    def look_all() -> None:
        seen = look()
        for each in peaks:
            each.look(seen)

    thread = threading.Thread(target=watch, name="peaks", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look_all()
