"""`python -m forged.demo.bound PARENT PROGRAM [ARGUMENT]...`: becomes PROGRAM, which gets SIGTERM when process PARENT is gone.

The tour ends what it started. If the tour itself is killed, nobody else would, and a forgotten daemon would run on for ever.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""prctl(2), linux/prctl.h. It outlives execve(2)."""


def main() -> None:
    parent, *command = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(parent):  # it went before the signal was ordered, which would never come
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
