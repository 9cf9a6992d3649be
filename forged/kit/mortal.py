"""A stranger's program that ends with us, however we end: the kernel kills it with the thread that started it (prctl(2),
PR_SET_PDEATHSIG). What it has started itself goes on to its own end, as does a program that runs as another user (set-user-ID).

The signal has to be asked for between fork and exec, and Python run there may hang in a process of several threads (os.fork). So
another program asks for it and becomes the stranger's: setpriv of util-linux (from 2.33 on; 1 ms), else a small Python (12 ms).
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Sequence

from forged.kit.child import PR_SET_PDEATHSIG

SETPRIV = "setpriv"

_BECOME = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, 9); os.execvp(sys.argv[1], sys.argv[1:])"


def mortal(argv: Sequence[str], path: str | None = None) -> list[str]:
    """What to start instead of `argv`, from a thread that lasts. `path`: the program's $PATH, None for ours. Looks at the disk.

    Raises OSError or ValueError, as a start would, where there is no such program or it may not be run.
    """
    if shutil.which(argv[0], path=path) is None:
        os.stat(argv[0])  # says what is wrong, but for what is there and may not be run
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), argv[0])
    return [*_coat(), *argv]


def _coat() -> list[str]:
    """Busybox has a setpriv as well, which does not know of this."""
    found = shutil.which(SETPRIV)
    if found is not None and os.path.basename(os.path.realpath(found)) == SETPRIV:
        return [found, "--pdeathsig", "KILL", "--"]
    return [sys.executable, "-I", "-S", "-c", _BECOME]
