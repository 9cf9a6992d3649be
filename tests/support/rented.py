"""A box with a disk of its own: `/workspace`, `/opt`, `/root` and `/home` are the test's, the system is this machine's.

Its sshd runs in a mount namespace of its own, changed into the folder that is the box's disk. Needs root; nothing outside that
folder is touched, and the mounts end with the last process.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.mounts import skip_without_own_mounts
from tests.support.sshd import Sshd, sshd

SHARED = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc", "dev", "proc", "tmp")
OWN = ("workspace", "opt", "root", "home", "run/sshd", "var/empty")
PYTHON = "python"
"""Where this Python is on the box, should the system have none of its own."""


@contextlib.contextmanager
def rented(disk: Path) -> Iterator[Sshd]:
    """A running sshd whose `/` is `disk`."""
    skip_without_own_mounts()
    for name in OWN:
        (disk / name).mkdir(parents=True, exist_ok=True)
    binds = [name for name in SHARED if _shared(disk, name)]
    script = "set -e; disk=$1; shift\n" + "".join(f'mount --rbind "/{name}" "$disk/{name}"\n' for name in binds)
    script += f'mount --bind "{sys.base_prefix}" "$disk/{PYTHON}"\nexec chroot "$disk" "$@"\n'
    (disk / PYTHON).mkdir(exist_ok=True)
    begin = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", script, "sh", str(disk)]
    path = f"SetEnv HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/{PYTHON}/bin"
    with sshd(path, within=lambda command: [*begin, *command]) as server:
        yield server


def _shared(disk: Path, name: str) -> bool:
    """Makes the same link where this machine has one; whether there is a folder to mount instead."""
    here, there = Path("/") / name, disk / name
    if here.is_symlink():
        there.symlink_to(os.readlink(here))
        return False
    if here.is_dir():
        there.mkdir()
    return here.is_dir()


def wipe(disk: Path) -> None:
    """The disk as it was rented: none of the programs on it."""
    for path in disk.iterdir():
        if path.name not in SHARED and path.name not in ("run", "var", PYTHON):
            shutil.rmtree(path)
    for name in OWN:
        (disk / name).mkdir(parents=True, exist_ok=True)
