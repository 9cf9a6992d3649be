"""A real PostgreSQL for a test: made, started, restarted, killed and ended by it, on a Unix socket and on a port of loopback.

As root everything of it runs as the user `postgres`, because the server refuses root.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

PASSWORD = "hush p@ss/word"
"""Of the user `forged` over TCP; as part of an address it is written `hush%20p%40ss%2Fword`."""

WRITTEN = "hush%20p%40ss%2Fword"

FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For tests that do not cut the power."""


def programs() -> Path:
    """Where initdb and the rest are. Skips where there is no PostgreSQL."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        pytest.skip("no PostgreSQL here (Debian: postgresql)")
    return Path(found[-1] if found else str(on_path)).parent


class PostgresServer:
    """One server. `dsn` is that of a database of its own for each caller."""

    def __init__(self, settings: tuple[str, ...]) -> None:
        self._bin = programs()
        self._settings = settings
        # In memory where there is such a place: a busy disk takes a minute to take a database away. /tmp/pytest-of-root is closed.
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="forged-pg-", dir=place))
        self._as: dict[str, object] = {"cwd": self.folder}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._databases = 0

    def _run(self, program: str, *args: str, check: bool = True) -> str:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [self._bin / program, *args],
            **{"check": check, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": env, **self._as},  # type: ignore[call-overload]
        )
        return str(done.stdout)

    def make(self) -> None:
        self._run(
            *("initdb", "-D", "data", "-A", "trust", "-U", "forged", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--no-sync", "--no-instructions"),
        )
        hba = self.folder / "data" / "pg_hba.conf"
        hba.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        self.start()
        self.sql(f"alter user forged password '{PASSWORD}'")

    def start(self) -> None:
        own = ("listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}", *self._settings)
        # To a file: a pipe of ours would be held by the server for as long as it runs.
        options = " ".join(f"-c {one}" for one in own)
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-t", "100", "-l", "log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", "data", "-w", "-s", "-m", mode, "stop", check=False)

    def kill(self) -> None:
        """As a power cut would, but for what the kernel had: all its processes at once."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while self.pids:
            time.sleep(0.01)

    @property
    def pids(self) -> list[int]:
        """The postmaster's and its children's, the postmaster first."""
        try:
            head = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
            children = (Path(f"/proc/{head}/task/{head}/children")).read_text().split()
        except (OSError, IndexError):
            return []
        return [head, *map(int, children)]

    def freeze(self, frozen: bool = True) -> None:
        """It hangs, or goes on."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def sql(self, text: str, database: str = "postgres") -> list[list[str]]:
        """What psql says, line by line, cut at tabs."""
        args = ("-h", str(self.folder), "-p", str(self.port), "-U", "forged", "-d", database, "-AtF\t", "-v", "ON_ERROR_STOP=1")
        return [line.split("\t") for line in self._run("psql", *args, "-c", text).splitlines()]

    def database(self, more: str = "") -> str:
        """A new, empty one; its name."""
        self._databases += 1
        name = f"t{self._databases}"
        self.sql(f"create database {name} {more}")
        return name

    def dsn(self, database: str, password: str = WRITTEN) -> str:
        """Over TCP, with a password."""
        return f"postgresql://forged:{password}@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        with suppress(ProcessLookupError):
            self.freeze(False)
        self.stop("immediate")
        shutil.rmtree(self.folder)


@contextmanager
def postgres_server(settings: tuple[str, ...] = FAST) -> Iterator[PostgresServer]:
    """For as long as the block."""
    server = PostgresServer(settings)
    try:
        server.make()
        yield server
    finally:
        server.remove()
