"""A program of ours in a process of its own: how it is started, and that it ends with whoever started it."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Mapping

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""

_START = "import sys; module = sys.argv[1]; sys.path = sys.argv[2:]; import importlib; importlib.import_module(module).main()"
"""With our own search path, whatever folder we were started in: a stranger's `json.py` there is none of ours."""


def started(
    module: str, stdin: int, stdout: int = subprocess.DEVNULL, *, stderr: int | None = None, env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Runs `main()` of a module in a new process, with these descriptors and no others. Raises OSError.

    `stderr` and `env`: None for ours. What the program calls first should be `begin`.
    """
    command = [sys.executable, "-I", "-c", _START, module, *sys.path]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env)


def begin() -> None:
    """What the new process does first: signals that were meant for the daemon (Ctrl-C, systemd's SIGTERM to all of a unit) are
    the daemon's business, and the kernel kills it with the thread that started it: start it from one that lasts. One that died
    before this shows by the other end of `stdin` being closed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
