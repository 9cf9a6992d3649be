"""A place that has busybox and nothing else: a PATH of its applets, a shell over pipes, a root folder of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from forged.sources.agent.channel import Channel
from forged.sources.piped import READ_BYTES, PipedChannel
from forged.sources.shell.opening import SHELL_ARGV, Line

BUSYBOX = shutil.which("busybox")


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
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            str(self._path / SHELL_ARGV[0]),
            env={"PATH": str(self._path)},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            limit=READ_BYTES,
            start_new_session=True,
        )
        self.opened.append(process)
        return PipedChannel(process)

    async def empty(self) -> None:
        """Returns once none of their shells runs."""
        async with asyncio.timeout(5):
            while any(_lives(process.pid) for process in self.opened):
                await asyncio.sleep(0.01)


def _lives(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
