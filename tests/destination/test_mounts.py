"""What counts as a file system of its own, in the words of mountinfo; the real thing is in test_root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from forged.destination.mounts import lies_on_a_mount, mounts
from tests.support.mounts import skip_without_own_mounts

TOP = b"27 1 259:1 / / rw,relatime - ext4 /dev/nvme0n1p1 rw"
SUBVOLUME = b"27 1 0:30 /@ / rw,relatime - btrfs /dev/sda1 rw,subvol=/@"
NAS = b"90 27 0:61 / /srv/media/nas rw,relatime - nfs4 nas:/media rw"
SPACED = b"91 27 8:17 / /srv/my\\040media rw,relatime - ext4 /dev/sdb1 rw"
BOUND = b"92 27 259:1 /var/volumes/7 /media rw,relatime - ext4 /dev/nvme0n1p1 rw"
OWN = b"93 27 259:1 /srv/media /srv/media rw,relatime - ext4 /dev/nvme0n1p1 rw"
OWN_SUBVOLUME = b"94 27 0:30 /@/srv/media /srv/media rw,relatime - btrfs /dev/sda1 rw,subvol=/@"
DISK = b"95 93 8:33 / /srv/media rw,relatime - xfs /dev/sdc1 rw"
DISK_AGAIN = b"96 95 8:33 /sub /srv/media/sub rw,relatime - xfs /dev/sdc1 rw"


@pytest.mark.parametrize(
    ("path", "lines", "mounted"),
    [
        (b"/srv/media/nas", [TOP], False),
        (b"/srv/media/nas", [TOP, NAS], True),
        (b"/srv/media/nas/box", [TOP, NAS], True),
        (b"/srv/media", [TOP, NAS], False),
        (b"/srv/my media/box", [TOP, SPACED], True),
        (b"/media", [TOP, BOUND], True),
        (b"/srv/media", [TOP, OWN], False),
        (b"/srv/media/nas", [TOP, OWN], False),
        (b"/srv/media/nas", [TOP, OWN, NAS], True),
        (b"/srv/media/box", [SUBVOLUME, OWN_SUBVOLUME], False),
        (b"/srv/media/box", [TOP, OWN, DISK], True),
        (b"/srv/media/sub", [TOP, DISK, DISK_AGAIN], True),
        (b"/", [TOP], False),
        (b"/srv/media", [OWN], True),
    ],
)
def test_what_lies_on_a_mount(path: bytes, lines: list[bytes], mounted: bool) -> None:
    assert lies_on_a_mount(path, mounts(lines)) is mounted


def test_a_folder_that_is_bound_onto_itself_is_no_mount(tmp_path: Path) -> None:
    """As a unit's ReadWritePaths is, in the service's view."""
    skip_without_own_mounts()
    program = "import os, sys; from forged.destination.mounts import is_mounted; print(is_mounted(os.fsencode(sys.argv[1])))"
    ask = f'mount --bind "$1" "$1" && "{sys.executable}" -c "{program}" "$1/nas"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", ask, "sh", str(tmp_path)]
    before = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True).stdout
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == before
