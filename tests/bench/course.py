"""Where a race is run: two ends of a link, a real sshd at the far one, a slot for the files at the source, a place for copies."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tests.bench.net import Ends
from tests.support.sshd import Sshd, sshd

MEMORY = Path("/dev/shm")
DISK = Path(os.environ.get("FORGED_BENCH_DIR", "/var/tmp"))

REAPER = [sys.executable, "-I", str(Path(__file__).with_name("reaper.py"))]

PATIENCE_S = 30.0


class Place(Enum):
    """Where copies go. The source is always in memory."""

    MEMORY = "memory"
    DISK = "disk"

    @property
    def folder(self) -> Path:
        return MEMORY if self is Place.MEMORY else DISK


@dataclass(frozen=True)
class Course:
    """`slot`: the folder that is brought home. `homes`: where each contestant makes itself a folder to bring it to."""

    ends: Ends
    sshd: Sshd
    slot: Path
    homes: Path
    durable: bool

    @property
    def ssh(self) -> list[str]:
        """OpenSSH's client with what makes it fastest here: a cipher that the processor does, no compression, nothing forwarded."""
        options = {
            "Ciphers": "aes128-gcm@openssh.com",
            "Compression": "no",
            "IdentitiesOnly": "yes",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
        }
        given = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
        return ["ssh", "-F", "none", "-T", "-a", "-x", "-i", str(self.sshd.identity), "-p", str(self.sshd.port), *given]

    def quiet(self) -> None:
        """Waits until sshd has seen the end of what ran: only then all of its time is told. And until the disk has its peace."""
        deadline_s = time.monotonic() + PATIENCE_S
        while len(self.sshd.children()) > 1 and time.monotonic() < deadline_s:  # the one is the listener, below the reaper
            time.sleep(0.01)
        if self.durable:
            os.sync()


@contextmanager
def course(ends: Ends, place: Place) -> Iterator[Course]:
    """Everything that is made for it is gone afterwards."""
    with ExitStack() as stack:
        source, homes = (stack.enter_context(folder(each)) for each in (MEMORY, place.folder))
        server = stack.enter_context(sshd(address=ends.far_address, within=lambda argv: ends.far([*REAPER, *argv])))
        slot = source / "slot"
        slot.mkdir()
        yield Course(ends, server, slot, homes, place is Place.DISK)


@contextmanager
def folder(parent: Path) -> Iterator[Path]:
    """A new folder, with a name short enough for a Unix socket in it."""
    made = Path(tempfile.mkdtemp(prefix="forged-b-", dir=parent))
    made.chmod(0o755)
    try:
        yield made
    finally:
        clear(made)


def clear(place: Path) -> None:
    """Removes it with all that is in it. By rm, which takes a third of shutil's time."""
    subprocess.run(["rm", "-rf", "--", str(place)], check=True)
