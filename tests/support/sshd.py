"""A real OpenSSH server for tests: own port, own keys, own folder; ends only what it started.

Works as root and as an ordinary user (who can then log in only as himself). The traps, met with OpenSSH 9.2: as root /run/sshd must
exist; `StrictModes no`, since the folder lies below /tmp; the host key files must not be readable for others.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/opt/homebrew/sbin") or "/usr/sbin/sshd"

CONFIG = """\
Port {port}
ListenAddress {address}
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PubkeyAuthentication yes
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
LogLevel VERBOSE
MaxStartups 100:30:200
MaxSessions 100
X11Forwarding no
PrintMotd no
UseDNS no
SetEnv HOME={folder} PATH={path}
"""

BOX_PATH = f"/usr/bin:/bin:{Path(sys.executable).resolve().parent}"
"""With HOME, this makes the box one of its own: nobody's .bashrc runs there (one with pyenv in it took a quarter of a second)."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A key pair by ssh-keygen. An encrypted one gets few KDF rounds, since tests need no patience."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-a", "4", "-C", path.name, "-f", str(path)], check=True)
    return path


def fingerprint(public_key: Path) -> str:
    """`SHA256:...` as ssh-keygen shows it."""
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(public_key)], check=True, capture_output=True, text=True).stdout
    return shown.split()[1]


@dataclass(slots=True)
class Sshd:
    """One server. `extra` are lines of sshd_config; the first value of a keyword wins, so they come first.

    `within` makes a command one that runs elsewhere, in a network namespace say, and becomes the same process.
    """

    folder: Path
    port: int
    extra: str = ""
    host_keys: tuple[Path, ...] = ()
    user: str = field(default_factory=getpass.getuser)
    address: str = "127.0.0.1"
    within: Callable[[list[str]], list[str]] = list
    said_when_listening: bytes = b"Server listening on"
    _server: subprocess.Popen[bytes] | None = None

    @property
    def identity(self) -> Path:
        """A private key that may log in."""
        return self.folder / "id"

    @property
    def host_key(self) -> Path:
        """The public host key; the first one, where there are several."""
        return self.host_keys[0].with_suffix(".pub")

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.host_key)

    def url(self, path: str | Path) -> str:
        return f"ssh://{self.user}@{self.address}:{self.port}{path}"

    def known_hosts_line(self) -> str:
        return f"[{self.address}]:{self.port} {' '.join(self.host_key.read_text().split()[:2])}\n"

    def authorize(self, public_key: Path) -> None:
        with (self.folder / "authorized_keys").open("a") as file:
            file.write(public_key.read_text())

    def new_host_key(self, kind: str = "ed25519") -> Path:
        """Another box at the same address: takes effect with the next start."""
        key = make_key(self.folder / f"host_{kind}_{len(list(self.folder.glob('host_*')))}", kind)
        self.host_keys = (key,)
        return key

    def start(self) -> None:
        """Answers once the port accepts connections."""
        command = self._command()
        with (self.folder / "sshd.log").open("ab") as log:
            told_bytes = log.tell()
            self._server = subprocess.Popen(self.within(command), stderr=log, start_new_session=True)
        self._await_listening(told_bytes)

    def _command(self) -> list[str]:
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        return [SSHD, "-D", "-e", "-f", str(self._configured())]

    def _configured(self) -> Path:
        config = self.folder / "sshd_config"
        keys = "".join(f"HostKey {key}\n" for key in self.host_keys)
        lines = CONFIG.format(address=self.address, port=self.port, folder=self.folder, path=BOX_PATH)
        config.write_text(f"{self.extra}\n{keys}{lines}")
        return config

    def _await_listening(self, told_bytes: int) -> None:
        """Until it says so in its log: elsewhere it could not be asked from here."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.said_when_listening in (self.folder / "sshd.log").read_bytes()[told_bytes:]:
                return
            assert self._server is not None
            assert self._server.poll() is None, f"sshd ended: {self.log()[-2000:]}"
            time.sleep(0.01)
        raise AssertionError(f"sshd does not listen: {self.log()[-2000:]}")

    @property
    def pid(self) -> int:
        """Of the listener, while it runs."""
        assert self._server is not None
        return self._server.pid

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(errors="replace")

    def stop(self) -> None:
        """Ends the listener and the connections it accepted: all its descendants."""
        server, self._server = self._server, None
        if server is None:
            return
        for pid in [*descendants(server.pid), server.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait(10)

    def restart(self) -> None:
        self.stop()
        self.start()

    def children(self) -> list[int]:
        """Processes that this server runs for its connections; empty once every connection has ended."""
        return descendants(self._server.pid) if self._server else []


def descendants(pid: int) -> list[int]:
    """All processes below `pid` that live, deepest last. Read from /proc, so that nobody else's are ever meant."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rsplit(")", 1)[1].split()[:2]
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(stat.parent.name))
    found, queue = [], [pid]
    while queue:
        below = parents.get(queue.pop(), [])
        found += below
        queue += below
    return found


@contextlib.contextmanager
def sshd(
    extra: str = "",
    host_key_kinds: tuple[str, ...] = ("ed25519",),
    address: str = "127.0.0.1",
    within: Callable[[list[str]], list[str]] = list,
) -> Iterator[Sshd]:
    """A running server in a folder of its own, gone afterwards with all it ran."""
    folder = Path(tempfile.mkdtemp(prefix="forged-sshd-", dir="/tmp"))
    folder.chmod(0o755)
    server = Sshd(folder, free_port(), extra, address=address, within=within)
    server.host_keys = tuple(make_key(folder / f"host_{kind}", kind) for kind in host_key_kinds)
    make_key(server.identity)
    server.authorize(server.identity.with_suffix(".pub"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
