"""A real `forged run` for tests: boxes behind a real sshd, homes, a forged.toml, a socket, a log, and what systemd is told.

The folder's name is short, since the path of a Unix socket has at most 107 bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from forged.control.client import Client, NoDaemon
from tests.support.sshd import Sshd

HIDDEN = {
    "FORGED_CONFIG",
    "FORGED_SOCKET",
    "LOG_BASE",
    "MEDIA_BASE",
    "NOTIFY_SOCKET",
    "RUNTIME_DIRECTORY",
    "SSH_AUTH_SOCK",
    "STATE_DIRECTORY",
}

PATIENCE_S = 30.0
"""How long a test waits for something that should take moments; a busy machine must not make it fail."""


class Daemon:
    """One state directory and its daemon, which may be started and ended several times.

    `targets` are further lines for each target by name; change it and write the file again to reload something.
    """

    def __init__(self, root: Path, sshd: Sshd, **targets: str) -> None:
        self.root, self.sshd, self.targets = root, sshd, targets or {"box": ""}
        self.daemon_lines = 'metrics = "127.0.0.1:0"'
        self.transfer_lines = 'min_free = "1MB"'
        self.sources: dict[str, str] = {}
        self.within: Callable[[list[str]], list[str]] = list
        """Makes a command one that runs elsewhere, in a network namespace say, and becomes the same process."""
        self.module = "forged"
        """What is run; another one may run forged itself, and watch it."""
        self.process: subprocess.Popen[bytes] | None = None
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(root / "notify"))
        self._heard = 0
        (root / "user" / ".ssh").mkdir(parents=True)
        for name in self.targets:
            self.box(name).mkdir(parents=True)
            self.home(name).mkdir(parents=True)
        self.write()

    # --- places -----------------------------------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        return self.root / "forged.toml"

    @property
    def control(self) -> str:
        return str(self.root / "s")

    def box(self, name: str = "box") -> Path:
        return self.root / "box" / name

    def home(self, name: str = "box") -> Path:
        return self.root / "home" / name

    def url(self, name: str = "box") -> str:
        return self.sources.get(name) or self.sshd.url(self.box(name))

    # --- the file ---------------------------------------------------------------------------------------------------------

    def toml(self) -> str:
        targets = "\n".join(self._table(name, lines) for name, lines in self.targets.items())
        head = f'state_dir = "{self.root}/state"\nsocket = "{self.control}"\n{self.daemon_lines}'
        return f"[daemon]\n{head}\n[transfer]\n{self.transfer_lines}\n{targets}"

    def _table(self, name: str, lines: str) -> str:
        plain = {
            "name": f'"{name}"',
            "source": f'"{self.url(name)}"',
            "dest": f'"{self.home(name)}"',
            "poll": '"1s"',
            "settle": '"100ms"',
            "retry_delay": '"100ms"',
            "names": '"exact"',
        }
        if self.url(name).startswith(("ssh:", "sftp:")):
            plain["identity_file"] = f'"{self.sshd.identity}"'
        given = {line.split("=")[0].strip() for line in lines.splitlines()}
        ours = "\n".join(f"{key} = {value}" for key, value in plain.items() if key not in given)
        return f"[[target]]\n{ours}\n{lines}\n"

    def write(self) -> None:
        """Writes the configuration as an editor does: whole, then renamed."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(self.toml())
        fresh.replace(self.config)

    # --- life -------------------------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in HIDDEN}
        return kept | {"HOME": str(self.root / "user"), "NOTIFY_SOCKET": str(self.root / "notify")}

    def spawn(self) -> subprocess.Popen[bytes]:
        """Starts it and does not wait. What an earlier one told systemd is forgotten."""
        self._notify.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._notify.recv(4096)
        command = [sys.executable, "-m", self.module, "-c", str(self.config), "run"]
        with (self.root / "log").open("ab") as log:
            self.process = subprocess.Popen(self.within(command), env=self.environment, stderr=log, stdout=log)
        return self.process

    def start(self) -> Daemon:
        """Starts it and waits until it is ready."""
        self.spawn()
        self.told("READY=1")
        return self

    def told(self, field: str, within_s: float | None = None) -> str:
        """Waits until systemd is told this; answers the whole message."""
        deadline_s = time.monotonic() + (within_s or PATIENCE_S)
        while (left_s := deadline_s - time.monotonic()) > 0:
            self._notify.settimeout(left_s)
            with contextlib.suppress(TimeoutError):
                message = self._notify.recv(4096).decode()
                if field in message:
                    return message
        raise AssertionError(f"systemd was not told {field}:\n{self.log()[-3000:]}")

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def ended(self, within_s: float = PATIENCE_S) -> int:
        """Waits for its end; answers the exit status."""
        process, self.process = self.process, None
        assert process is not None
        try:
            return process.wait(within_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"it did not end within {within_s} s:\n{self.log()[-3000:]}") from None

    def stop(self, number: signal.Signals = signal.SIGTERM, within_s: float = PATIENCE_S) -> float:
        """Ends it in order; answers how many seconds that took."""
        began_s = time.monotonic()
        self.send(number)
        status = self.ended(within_s)
        assert status == 0, f"exit {status}:\n{self.log()[-3000:]}"
        return time.monotonic() - began_s

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.ended()

    # --- asking -----------------------------------------------------------------------------------------------------------

    def client(self, timeout_s: float = PATIENCE_S) -> Client:
        return Client(self.control, timeout_s)

    def call(self, method: str, **params: Any) -> Any:
        with self.client() as client:
            return client.call(method, **params)

    def standing(self, name: str = "box") -> dict[str, Any]:
        """`target.status`."""
        return self.call("target.status", target=name)["target"]  # type: ignore[no-any-return]

    def until(self, state: str, name: str = "box") -> dict[str, Any]:
        """Waits until the target is in this state."""
        until(lambda: self.standing(name)["state"] == state, lambda: f"{self.standing(name)}\n{self.log()[-3000:]}")
        return self.standing(name)

    def sync(self, name: str = "box", **params: Any) -> dict[str, Any]:
        """A sync, to its end: as `forgectl sync --wait` does it."""
        with self.client() as client:
            client.call("sync.subscribe")
            job_id = client.call("sync.start", target=name, **params)["job_id"]
            return next(
                note.params
                for note in client.notifications(PATIENCE_S)
                if note.method == "sync_complete" and note.params["id"] == job_id
            )

    def page(self) -> str:
        """The metrics page, as Prometheus reads it."""
        with urllib.request.urlopen(self.call("daemon.status")["metrics"], timeout=PATIENCE_S) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    def metric(self, name: str, **labels: str) -> float:
        """One value of the page. KeyError where there is no such series."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in self.page().splitlines():
            series, _, value = line.rpartition(" ")
            has, _, given = series.partition("{")
            if has == name and wanted <= set(given.rstrip("}").split(",")):
                return float(value)
        raise KeyError(name)

    def log(self) -> str:
        return (self.root / "log").read_text(errors="replace")

    def lines(self, **fields: str) -> list[dict[str, Any]]:
        """The log's lines that have these fields."""
        lines = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [line for line in lines if all(line.get(key) == value for key, value in fields.items())]

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self._notify.close()


@contextlib.contextmanager
def daemon(sshd: Sshd, place: str | None = None, **targets: str) -> Iterator[Daemon]:
    """A daemon that is not started yet, and gone afterwards. `place`: the folder for its folder, where that matters."""
    folder = Path(tempfile.mkdtemp(prefix="forged-d-", dir=place or _quick_place()))
    folder.chmod(0o755)
    made = Daemon(folder, sshd, **targets)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)


def _quick_place() -> str:
    """In memory where there is room: on a busy disk one fsync may take seconds, and a state database makes many."""
    with contextlib.suppress(FileNotFoundError):
        if shutil.disk_usage("/dev/shm").free > 2_000_000_000 and os.access("/dev/shm", os.W_OK):
            return "/dev/shm"
    return "/tmp"


def until(condition: Callable[[], object], why: Callable[[], str] = str, within_s: float = PATIENCE_S) -> None:
    """Waits for it, and fails after that time."""
    deadline_s = time.monotonic() + within_s
    while not _holds(condition):
        assert time.monotonic() < deadline_s, f"waited in vain: {why()}"
        time.sleep(0.02)


def _holds(condition: Callable[[], object]) -> bool:
    try:
        return bool(condition())
    except (NoDaemon, FileNotFoundError):
        return False
