"""What one file may cost, and what a process may."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds, sizes in bytes. Tests bring smaller ones."""

    wall_s: float = 60
    """For one try at one file, a disk that is slow to wake included. The worst picture of 64 million pixels takes 15 s of a core
    that has other work, too (AVIF with alpha, 2026-11)."""

    busy_wall_s: float = 1800
    """For one that goes on, on a machine that leaves it little of the processor: another wall_s each time it had a hundredth of
    that, up to this. With niceness 10 beside twenty busy processes it has 1 %, and 1 s of work takes two minutes (2026-11)."""

    cpu_s: int = 30
    """Of the processor for one try at one file: twice the worst seen."""

    start_s: float = 60
    """Until a new process says that it is ready and has read its first file; 0.07 s on a machine that is not idle."""

    address_bytes: int = 3 << 29
    """1.5 GiB of address space (RLIMIT_AS). Of a picture of 64 million pixels with alpha, the whole worker takes 1,097 MB in
    WebP, 829 MB in AVIF and 568 MB in PNG (Pillow 13, test_hostile_pictures.py, 2026-11)."""

    open_files: int = 64
    """Sockets, one file and those beside it, the modules being loaded."""

    nice: int = 5
    """Looking into files does not hold up bringing them home, and comes to its end all the same. 200 pictures of 1.6 MB beside ten
    busy processes on two cores were home after 2 s with niceness 0, 5 and 10 alike, and had their thumbnails after 12, 19 and 37 s
    (2026-11)."""

    answer_bytes: int = 16 << 20
    """Of one answer: blocks, fields and a thumbnail. Reading one of that size holds up the loop for some 10 ms."""

    idle_s: float = 180
    """A process that nobody asked anything so long ends; its memory is worth more than a start: 16 MB,
    and 60 more once it has seen pictures and films."""

    files: int = 1000
    """That one process looks into before a fresh one takes its place: what decoders leak stays bounded, and a start is spread
    over enough of them to cost nothing (0.07 ms each)."""
