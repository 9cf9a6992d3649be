"""Runs a command, and waits for whatever loses its parent below it: so what they took stands with this process in /proc.

    reaper.py COMMAND ...

sshd does not wait for a program whose connection has ended.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """From now on those that lose their parent below this process become its children. Linux 3.4 or newer."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def main(argv: list[str]) -> int:
    adopt_orphans()
    command = os.posix_spawnp(argv[0], argv, os.environ)
    while (ended := os.wait())[0] != command:
        pass
    return os.waitstatus_to_exitcode(ended[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
