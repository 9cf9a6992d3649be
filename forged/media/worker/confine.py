"""What a worker gives up before it sees the first byte of a file."""

from __future__ import annotations

import ctypes
import math
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

from forged.media.worker import landlock, seccomp
from forged.media.worker.limits import Limits

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
"""linux/prctl.h"""

_LIBRARIES = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/sys/devices/system/cpu", "/proc/self")


def confined(limits: Limits) -> str:
    """Takes from this process what it does not need. Returns what holds it besides the limits, in words."""
    os.nice(limits.nice)
    _first_to_go()
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    for number, most in (
        (resource.RLIMIT_AS, limits.address_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, limits.open_files),
    ):
        _limit(number, most)
    abi = _landlocked()
    filtered = seccomp.restrict()
    return ", ".join([f"landlock {abi}"] * bool(abi) + ["seccomp"] * filtered) or "limits alone"


def _limit(number: int, most: int) -> None:
    _, hard = resource.getrlimit(number)
    most = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(number, (most, most))


def _first_to_go() -> None:
    """Where the machine runs out of memory, a worker is ended before the daemon is."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _landlocked() -> int:
    try:
        return landlock.restrict(_readable())
    except OSError:  # a container whose own filter knows the question and forbids the deed
        return 0


def _readable() -> Iterator[str]:
    """What Python, its packages and the libraries are loaded from."""
    yield from (path for path in (*sys.path, sys.prefix, sys.base_prefix) if path)
    yield from _LIBRARIES


def allow_cpu(seconds: int) -> None:
    """So much more time of the processor from now on; then SIGXCPU ends the process."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + seconds), hard))
