"""What can befall a disk, each as one thing that strikes, lasts, and is mended by a person; forged is told of neither."""

from __future__ import annotations

import errno
import os
import random
import time
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from tests.soak.disks import Disk, LoopDisk, run
from tests.support.faulty import HALF, Rule, Shim


class Fault:
    """One thing that befalls one disk."""

    steady: ClassVar[bool] = True
    """forged has to meet it, and it keeps every round from going through. Others may pass unseen, or come and go."""

    def strike(self) -> bool:
        """Begins. False when it cannot be done just now."""
        raise NotImplementedError

    def check(self) -> None:
        """Called before it is mended: nothing was done meanwhile that must not be done."""

    def heal(self) -> None:
        """Ends."""
        raise NotImplementedError


class Full(Fault):
    """Others have filled the disk: to the last byte, or below min_free."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self._disk, self._left_bytes = disk, chance.choice([0, 600_000])

    def strike(self) -> bool:
        self._disk.fill(self._left_bytes)
        return True

    def heal(self) -> None:
        self._disk.free()


class FullState(Full):
    """The same where the state database lies: for a while its log has room of its own."""

    steady = False


class ReadOnly(Fault):
    """Somebody mounts it read-only."""

    def __init__(self, disk: Disk, _: random.Random) -> None:
        self._disk = disk

    def strike(self) -> bool:
        """Not while a file is open for writing there: then the system refuses it."""
        for _ in range(100):
            if self._disk.close():
                return True
            time.sleep(0.02)
        return False

    def heal(self) -> None:
        self._disk.reopen()


class Unmounted(Fault):
    """It is unmounted while files are open there. The bare mount point must stay empty."""

    def __init__(self, disk: Disk, _: random.Random) -> None:
        self._disk = disk

    def strike(self) -> bool:
        self._disk.detach()
        return True

    def check(self) -> None:
        assert os.listdir(self._disk.home) == [], "an unmounted destination was filled"

    def heal(self) -> None:
        self._disk.attach()


class Exchanged(Fault):
    """An empty disk is mounted over it. It must stay empty."""

    def __init__(self, disk: Disk, _: random.Random) -> None:
        self._disk = disk

    def strike(self) -> bool:
        run("mount", "-t", "tmpfs", "-o", "size=8m", "forged-test", self._disk.home)
        return True

    def check(self) -> None:
        assert os.listdir(self._disk.home) == [], "another disk was filled"

    def heal(self) -> None:
        self._disk.detach()


class _Broken(Fault):
    """Something after which a disk has to be unmounted, checked and mounted again."""

    def __init__(self, disk: Disk, _: random.Random) -> None:
        assert isinstance(disk, LoopDisk)
        self._disk = disk

    def heal(self) -> None:
        self._disk.mend()


class PowerCut(_Broken):
    """The disk loses its power: what was not durable is gone."""

    def strike(self) -> bool:
        self._disk.cut_power()
        return True


class Stumbled(_Broken):
    """ext4 finds an error in itself and turns read-only while files are open for writing."""

    def strike(self) -> bool:
        self._disk.stumble()
        return True


class Worn(_Broken):
    """The device fails to write; whoever asks for durability is told, by fsync, and what was written is lost."""

    steady = False

    def strike(self) -> bool:
        self._disk.run_out()
        return True


class Shimmed(Fault):
    """Calls that fail or linger in between."""

    def __init__(self, shim: Shim, *rules: Rule) -> None:
        self._shim, self._rules = shim, rules

    def strike(self) -> bool:
        self._shim.add(*self._rules)
        return True

    def heal(self) -> None:
        self._shim.remove(*self._rules)


class WritesFail(Shimmed):
    """Every write ends in EIO."""

    def __init__(self, shim: Shim, path: Path, _: random.Random) -> None:
        super().__init__(shim, Rule("write", path))


class FsyncsFail(Shimmed):
    """Every fsync ends in EIO, and takes the pages with it."""

    def __init__(self, shim: Shim, path: Path, _: random.Random) -> None:
        super().__init__(shim, Rule("fsync", path))


class NamesFail(Shimmed):
    """No file gets its name: EIO."""

    def __init__(self, shim: Shim, path: Path, _: random.Random) -> None:
        super().__init__(shim, Rule("rename", path), Rule("link", path))


class Flaky(Shimmed):
    """Now and then a call fails, reads among them, and writes take half."""

    steady = False

    def __init__(self, shim: Shim, path: Path, chance: random.Random) -> None:
        share = chance.choice([3, 20])
        rules = [Rule(op, path, percent=share) for op in ("write", "read", "fsync", "rename", "link")]
        super().__init__(shim, *rules, Rule("write", path, HALF, percent=50))


class Slow(Shimmed):
    """A disk that takes its time: every write and fsync lingers."""

    steady = False

    def __init__(self, shim: Shim, path: Path, chance: random.Random) -> None:
        delay_s = chance.choice([0.05, 0.3])
        super().__init__(shim, *(Rule(op, path, 0, delay_s=delay_s) for op in ("write", "fsync")))


class Denied(Shimmed):
    """Every write is refused, as on a read-only file system, though the files are open."""

    def __init__(self, shim: Shim, path: Path, _: random.Random) -> None:
        super().__init__(shim, Rule("write", path, errno.EROFS), Rule("fsync", path, errno.EROFS))


def healed_quietly(fault: Fault) -> None:
    """For the end of a test that has failed: what cannot be mended any more goes with the mounts."""
    with suppress(Exception):
        fault.heal()
