"""A place that has busybox and nothing else: a PATH of its applets, a shell over pipes, a root folder of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forged.sources.agent.channel import Channel
from forged.sources.piped import started
from forged.sources.shell.opening import Line

BUSYBOX = shutil.which("busybox")
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")


def applets(folder: Path) -> Path:
    """A folder with busybox and a link for each of its applets, to be all of a PATH."""
    assert BUSYBOX is not None
    folder.mkdir(parents=True)
    shutil.copy(BUSYBOX, folder / "busybox")
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (folder / name).symlink_to("busybox")
    return folder


class PipedShells:
    """Shells of this machine that see nothing but one PATH. An OpenShell."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.opened: list[asyncio.subprocess.Process] = []

    async def __call__(self, line: Line) -> Channel:
        channel = await started([str(self._path / "sh")], {"PATH": str(self._path)})
        self.opened.append(channel.process)
        return channel

    async def empty(self) -> None:
        """Returns once none of their shells runs."""
        async with asyncio.timeout(5):
            while any(_lives(process.pid) for process in self.opened):
                await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


class BusyboxRoot:
    """A root folder for chroot: busybox, a device or two, and a folder `media`. Only for root; below /tmp, where devices work."""

    def __init__(self, path: Path) -> None:
        self.path = path
        applets(path / "bin")
        for name in ("dev", "etc", "root", "tmp", "media", "usr/bin"):
            (path / name).mkdir(parents=True, exist_ok=True)
        path.chmod(0o755)
        (path / "root").chmod(0o700)
        os.mknod(path / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        (path / "dev/null").chmod(0o666)
        os.mknod(path / "dev/urandom", 0o666 | stat.S_IFCHR, os.makedev(1, 9))
        (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        (path / "etc/shells").write_text("/bin/sh\n")

    @property
    def media(self) -> Path:
        return self.path / "media"

    @property
    def command(self) -> str:
        """What to put into ForceCommand, so that a server outside of it seems to be inside: whatever is asked for runs there."""
        return f'/usr/bin/env -i PATH=/bin:/usr/bin HOME=/root {CHROOT} {self.path} /bin/sh -c "$SSH_ORIGINAL_COMMAND"'

    def add_program(self, program: Path) -> None:
        """A program with the libraries it needs, at the same places."""
        libraries = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
        for file in [str(program), *re.findall(r"(/\S+) \(0x", libraries)]:
            there = self.path / file.removeprefix("/")
            there.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, there)


@contextlib.contextmanager
def busybox_root() -> Iterator[BusyboxRoot]:
    """One, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="forged-busybox-", dir="/tmp"))
    try:
        yield BusyboxRoot(folder)
    finally:
        shutil.rmtree(folder)
