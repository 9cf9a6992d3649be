"""A real dropbear for tests, as small boxes have it. Only for root, since it knows no other place of keys than the user's home.

The traps, met with dropbear 2022.83: with an ed25519 host key alone it crashes on asyncssh's list of algorithms, so it gets three
kinds; it takes authorized keys from the home folder of /etc/passwd only, so it gets a passwd of its own, in a mount namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.busybox import BusyboxRoot
from tests.support.mounts import skip_without_own_mounts
from tests.support.sshd import Sshd, free_port, make_key

_PATH = "/usr/sbin:/usr/local/sbin:/usr/bin"
DROPBEAR = shutil.which("dropbear", path=_PATH)
DROPBEARKEY = shutil.which("dropbearkey", path=_PATH)

KEYS = ("rsa", "ecdsa", "ed25519")


@dataclass(slots=True)
class Dropbear(Sshd):
    """One server. `seen_as`: where it finds its folder."""

    said_when_listening: bytes = b"Not backgrounding"
    program: str = DROPBEAR or ""
    seen_as: Path = Path("/nowhere")

    def _command(self) -> list[str]:
        keys = [word for kind in KEYS for word in ("-r", str(self.seen_as / f"dropbear_{kind}"))]
        return [self.program, "-F", "-E", "-s", "-j", "-k", "-p", f"{self.address}:{self.port}", *keys]


def _in_a_home_of_its_own(folder: Path) -> Callable[[list[str]], list[str]]:
    """Root's home is `folder` there, and his shell /bin/sh."""
    skip_without_own_mounts()
    passwd = folder / "passwd"
    passwd.write_text(f"root:x:0:0:root:{folder}:/bin/sh\n")
    script = f'mount --bind {passwd} /etc/passwd && exec "$@"'
    return lambda command: ["unshare", "-m", "--propagation", "private", "sh", "-c", script, "sh", *command]


def _with_keys(server: Dropbear, ssh: Path) -> None:
    assert DROPBEARKEY is not None
    for kind in KEYS:
        made = [DROPBEARKEY, "-t", kind, "-f", str(server.folder / f"dropbear_{kind}")]
        subprocess.run(made, check=True, capture_output=True)
    make_key(server.identity)
    ssh.mkdir(mode=0o700, parents=True)
    shutil.copy(server.identity.with_suffix(".pub"), ssh / "authorized_keys")


@contextlib.contextmanager
def dropbear() -> Iterator[Dropbear]:
    """A running server on this machine, with all its programs; gone afterwards with all it ran."""
    folder = Path(tempfile.mkdtemp(prefix="forged-dropbear-", dir="/tmp"))
    server = Dropbear(folder, free_port(), within=_in_a_home_of_its_own(folder), seen_as=folder)
    _with_keys(server, folder / ".ssh")
    with _running(server):
        yield server


@contextlib.contextmanager
def dropbear_within(root: BusyboxRoot) -> Iterator[Dropbear]:
    """A running server inside a root folder that has busybox and nothing else: no Python, and no SFTP server."""
    assert DROPBEAR is not None
    folder = Path(tempfile.mkdtemp(prefix="forged-dropbear-", dir="/tmp"))
    root.add_program(Path(DROPBEAR))
    server = Dropbear(folder, free_port(), within=lambda command: ["chroot", str(root.path), *command], seen_as=Path("/keys"))
    _with_keys(server, root.path / "root/.ssh")
    shutil.copytree(folder, root.path / "keys", dirs_exist_ok=True)
    with _running(server):
        yield server


@contextlib.contextmanager
def _running(server: Dropbear) -> Iterator[None]:
    try:
        server.start()
        yield
    finally:
        server.stop()
        shutil.rmtree(server.folder)


def can_run() -> bool:
    """Whether there is one here, and it may run as it must."""
    return DROPBEAR is not None and DROPBEARKEY is not None and os.getuid() == 0
