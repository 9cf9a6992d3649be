"""A stranger's program that ends with us, however we end: the kernel kills it with the thread that started it (prctl(2),
PR_SET_PDEATHSIG). What it has started itself goes on to its own end, as does a program that runs as another user (set-user-ID).

The signal has to be asked for between fork and exec, and Python run there may hang in a process of several threads (os.fork). So a
small Python asks for it and becomes the stranger's (12 ms, and 34 on a busy machine). setpriv of util-linux takes 1 ms, but insists
on capset(2), which the shipped unit forbids (`SystemCallFilter=~@privileged`).

That one starts where the stranger would not. So what the kernel would say is found out before.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Sequence

from forged.kit.child import PR_SET_PDEATHSIG

HEAD_BYTES = 256
"""That many the kernel reads of a program (BINPRM_BUF_SIZE, Linux 5.1)."""

_MACHINE = slice(0, 6), slice(18, 20)
"""Of an ELF file (elf(5)): what it is, of how many bits and in which order; and for which processor."""

_BECOME = f"""
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl({PR_SET_PDEATHSIG}, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
with open("/proc/self/environ", "rb") as given:
    if not any(each.startswith(b"LC_CTYPE=") for each in given.read().split(b"\\0")):
        os.environ.pop("LC_CTYPE", None)
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Who started it may be gone before it could ask. Python ignores two signals and may set LC_CTYPE (PEP 538), and what it becomes
would have these from it."""


def mortal(argv: Sequence[str], path: str | None = None) -> list[str]:
    """What to start instead of `argv`, from this process and a thread of it that lasts. `path`: the program's $PATH, None for ours.
    Looks at the disk.

    Raises OSError or ValueError, as a start would, where there is no such program, or the kernel would not run it.
    """
    program = shutil.which(argv[0], path=path)
    if program is None:
        raise _why_not(argv[0])
    if not _is_run_by_the_kernel(program):
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), argv[0])
    return [sys.executable, "-I", "-S", "-c", _BECOME, str(os.getpid()), *argv]


def _why_not(program: str) -> OSError:
    """Raises another error where that says it better. A name without a slash is no file of the folder that we happen to be in."""
    if "/" in program or "\0" in program:
        os.stat(program)
        return PermissionError(errno.EACCES, os.strerror(errno.EACCES), program)
    return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), program)


def _is_run_by_the_kernel(program: str) -> bool:
    """As execve(2) tells programs apart. Raises OSError where a script's interpreter is not there, or may not be run."""
    try:
        with open(program, "rb") as file:
            first = file.read(HEAD_BYTES)
    except PermissionError:
        return True  # it may be run and not read, as a script may not
    if not first.startswith(b"#!"):
        return _ours(first) or _others_are_run()
    words = first[2:].partition(b"\n")[0].split()
    if not words:
        return False
    os.stat(words[0])
    if not os.access(words[0], os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fsdecode(words[0]))
    return True


def _ours(first: bytes) -> bool:
    """An ELF file for this machine, as the Python that reads this is one."""
    with open(sys.executable, "rb") as file:
        mine = file.read(HEAD_BYTES)
    return [first[part] for part in _MACHINE] == [mine[part] for part in _MACHINE]


def _others_are_run() -> bool:
    """Whether the kernel was told of other kinds of programs (binfmt_misc: qemu, Java, Wine). Which ones it knows itself."""
    try:
        return bool({*os.listdir("/proc/sys/fs/binfmt_misc")} - {"register", "status"})
    except OSError:
        return False
