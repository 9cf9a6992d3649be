"""Small file systems to be filled, closed, taken away and broken: each mounted aside, and bound to the folder that forged uses.

So a disk that is unmounted there lives on aside, as one does on a NAS whose share has gone, and comes back as it was. Needs root.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import subprocess
import time
from abc import ABC, abstractmethod
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.support.daemon import PATIENCE_S

SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32) of fs/ext4/ext4.h and fs/xfs/libxfs/xfs_fs.h."""
WITHOUT_THE_LOG = 2
"""Nothing more reaches the disk, not even what is committed in memory: what a power cut does."""


def run(*command: str | Path, check: bool = True) -> bool:
    """Whether it ended well. With `check` it has to."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stderr}"
    return done.returncode == 0


def skip_without_mounts() -> None:
    """Skips the test where nothing may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("mounts file systems: needs root")
    if not run("unshare", "--mount", "mount", "-t", "tmpfs", "forged-test", "/mnt", check=False):
        pytest.skip("nothing may be mounted here, as in a container without CAP_SYS_ADMIN")


def leave_room(tmpfs: Path, left_bytes: int) -> None:
    """Makes a tmpfs so small that about so much room is left. Refused when it has just taken more, so it is tried again."""
    for _ in range(100):
        told = os.statvfs(tmpfs)
        size_bytes = (told.f_blocks - told.f_bfree) * told.f_frsize + left_bytes
        if run("mount", "-o", f"remount,size={size_bytes}", tmpfs, check=False):
            return
    raise AssertionError(f"{tmpfs} cannot be made smaller")


REPAIRS = {"ext4": ("e2fsck", "-fy"), "xfs": ("xfs_repair", "-L")}
"""`-L`: a journal that cannot be worked through is thrown away."""


def _holders(device: int) -> list[str]:
    """Which processes have what open on this device, of those that can be asked."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if os.stat(link).st_dev == device:
                found.append(f"{(link.parents[1] / 'comm').read_text().strip()} {link}: {os.readlink(link)}")
    return found


class Disk(ABC):
    """One file system. `home` is where forged finds it, `aside` where it lives."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.aside, self.home = folder / "aside", home

    def __enter__(self) -> Self:
        self.aside.mkdir(parents=True)
        with ExitStack() as stack:
            stack.callback(self._end)
            self._make()
            self.mount()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for place in (self.home, self.aside):
            while run("umount", "--lazy", place, check=False):
                pass

    def mount(self) -> None:
        """Makes it, or makes it whole again after trouble, and shows it to forged."""
        self._mount()
        self.attach()

    def unmount(self) -> None:
        """Takes it away for good, so that it can be mended. Fails when somebody holds it busy for long."""
        self.detach()
        deadline_s = time.monotonic() + PATIENCE_S
        while not run("umount", self.aside, check=False):
            assert time.monotonic() < deadline_s, f"forged holds a broken disk busy: {self.aside}"
            time.sleep(0.05)

    def attach(self) -> None:
        """Shows it to forged."""
        run("mount", "--bind", self.aside, self.home)

    def detach(self) -> None:
        """Takes it from forged's sight, whatever is open there."""
        run("umount", "--lazy", self.home)

    def close(self) -> bool:
        """Makes it read-only for forged; False when files are being written just now."""
        return run("mount", "-o", "remount,bind,ro", self.home, check=False)

    def reopen(self) -> None:
        """Makes it writable again."""
        run("mount", "-o", "remount,bind,rw", self.home)

    @abstractmethod
    def fill(self, left_bytes: int) -> None:
        """Leaves about so much room."""

    @abstractmethod
    def free(self) -> None:
        """Gives the room back."""

    @abstractmethod
    def _make(self) -> None:
        """What has to be there before it can be mounted."""

    @abstractmethod
    def _mount(self) -> None: ...


class RamDisk(Disk):
    """A tmpfs. Filled by making it smaller."""

    SIZE = "4g"

    def fill(self, left_bytes: int) -> None:
        leave_room(self.aside, left_bytes)

    def free(self) -> None:
        run("mount", "-o", f"remount,size={self.SIZE}", self.aside)

    def _make(self) -> None:
        """Nothing: memory is there."""

    def _mount(self) -> None:
        run("mount", "-t", "tmpfs", "-o", f"size={self.SIZE},mode=755", "forged-test", self.aside)


class LoopDisk(Disk):
    """A file system in a sparse file, itself on a small disk that can run out: then writing fails as on a broken device."""

    SIZE_BYTES = 4 << 30

    def __init__(self, kind: str, folder: Path, home: Path) -> None:
        super().__init__(folder, home)
        self._kind, self._below, self._device = kind, folder / "below", 0

    @property
    def _image(self) -> Path:
        return self._below / "image"

    def _make(self) -> None:
        if shutil.which(f"mkfs.{self._kind}") is None:
            pytest.skip(f"no mkfs.{self._kind} here")
        self._below.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={self.SIZE_BYTES}", "forged-test", self._below)
        self._image.touch()
        os.truncate(self._image, self.SIZE_BYTES)
        small_log = ["-J", "size=8"] if self._kind == "ext4" else []
        run(f"mkfs.{self._kind}", "-q", *small_log, self._image)

    def _mount(self) -> None:
        errors = ",errors=remount-ro" if self._kind == "ext4" else ""
        if not run("mount", "-o", f"loop{errors}", self._image, self.aside, check=False):
            pytest.skip(f"this machine has no loop devices left, or its kernel no {self._kind}")
        self._device = os.stat(self.aside).st_dev
        self._be_honest()

    def _be_honest(self) -> None:
        """One page at a time: of a longer write that the disk below takes a part of, the loop driver says that all of it was
        written (Linux 6.18, lo_complete_rq), and no fsync can tell then that something was lost."""
        Path(f"/sys/block/{self._device_name()}/queue/max_sectors_kb").write_text("4")

    def _device_name(self) -> str:
        found = subprocess.run(["findmnt", "-no", "SOURCE", self.aside], capture_output=True, text=True, check=True)
        return Path(found.stdout.strip()).name

    def _end(self) -> None:
        super()._end()
        run("umount", "--lazy", self._below, check=False)

    def fill(self, left_bytes: int) -> None:
        fd = os.open(self.aside / ".ballast", os.O_CREAT | os.O_WRONLY)
        try:
            told = os.fstatvfs(fd)
            size_bytes, taken_bytes = told.f_bavail * told.f_frsize - left_bytes, 0
            while size_bytes > 1 << 14:
                try:
                    os.posix_fallocate(fd, taken_bytes, size_bytes)
                    taken_bytes += size_bytes
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                size_bytes = size_bytes // 2 if left_bytes == 0 else 0
        finally:
            os.close(fd)

    def free(self) -> None:
        (self.aside / ".ballast").unlink()

    def cut_power(self) -> None:
        """Whatever has not been made durable is lost; everything fails until it is mounted again."""
        fd = os.open(self.aside, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("=I", WITHOUT_THE_LOG))
        finally:
            os.close(fd)

    def stumble(self) -> None:
        """ext4 finds itself damaged and closes itself (errors=remount-ro)."""
        Path(f"/sys/fs/ext4/{self._device_name()}/trigger_fs_error").write_text("1")

    def run_out(self) -> None:
        """The device takes nothing new any more: what is on its way to it is lost."""
        leave_room(self._below, 0)

    def _is_let_go(self) -> None:
        """While forged has something open there that was taken from its sight, the disk is mounted still: nobody may repair it.

        e2fsck would refuse, xfs_repair would not notice: it looks for mounts of the file, not for a loop device over it.
        """
        deadline_s = time.monotonic() + PATIENCE_S
        while subprocess.run(["losetup", "-j", self._image], capture_output=True, text=True, check=True).stdout.strip():
            assert time.monotonic() < deadline_s, f"a broken disk is held busy: {self.aside} by {_holders(self._device)}"
            time.sleep(0.05)

    def _repair(self) -> None:
        """As its program does it. XFS is looked over only once its journal has been worked through, which mounting does."""
        if self._kind == "xfs" and run("mount", "-o", "loop", self._image, self.aside, check=False):
            run("umount", self.aside)
        self._is_let_go()
        done = subprocess.run([*REPAIRS[self._kind], self._image], capture_output=True, text=True, check=False)
        assert done.returncode in (0, 1), done.stdout + done.stderr  # 1: errors were corrected (e2fsck(8))

    def mend(self) -> None:
        """As a person does it: unmounted, checked, mounted again.

        The device takes writes again before that. Unmounted while it does not, ext4 (Linux 6.18) said "Couldn't clean up the
        journal", and a file was gone whose fsync had gone well long before: no program can do anything about that.
        """
        run("mount", "-o", f"remount,size={self.SIZE_BYTES}", self._below)
        self.unmount()
        self._is_let_go()
        self._repair()
        self.mount()
