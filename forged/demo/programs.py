"""The real programs of the tour: forged's daemon as a process of its own, and forgectl, asked as a person would ask it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import site
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from forged.demo.grounds import Grounds
from forged.model.errors import ForgedError

STOP_S = 12.0
"""From SIGTERM to SIGKILL. The daemon promises to stop within 10 s; usually it takes a tenth of one."""

LAST_LINES = 8
"""Of the daemon's log, when it ended uncalled: what it complained of, and what it did before."""

FORGECTL = "from forged.cli.forgectl import main; main()"
"""As the installed command does, which need not be on the PATH."""

ELSEWHERE = frozenset(
    {"FORGED_CONFIG", "FORGED_SOCKET", "LOG_BASE", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY", "SSH_AUTH_SOCK"}
    | {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}
)
"""Variables that would lead a daemon out of the tour's folder, or make it speak to a systemd that means another service."""


class DaemonEnded(ForgedError):
    """The daemon ended in the middle of the tour"""


class ForgectlFailed(ForgedError):
    """forgectl did not get its answer"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed. `command` is what a person would have typed."""

    command: str
    text: str


class Daemon:
    """The running daemon."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def ended(self) -> NoReturn:
        """Waits for what should not happen, and raises DaemonEnded with its last words."""
        status = await self._process.wait()
        how = f"status {status}" if status >= 0 else f"signal {signal.Signals(-status).name}"
        raise DaemonEnded("\n".join([f"the daemon has ended with {how}", *self.last_words()]), hint=f"all of its log: {self._log}")

    def last_words(self) -> list[str]:
        """The end of its log."""
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]

    async def stop(self) -> None:
        """SIGTERM, patience, SIGKILL. One that has ended already is fine."""
        if self._process.returncode is None:
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), STOP_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def daemon(grounds: Grounds) -> AsyncIterator[Daemon]:
    """Runs `forged run` while the block does; it may not answer yet when the block begins."""
    run = (sys.executable, "-m", "forged", "-c", str(grounds.config_file), "run")
    with grounds.daemon_log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "forged.demo.bound", str(os.getpid()), *run),
            env=surroundings(grounds.root),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
    running = Daemon(process, grounds.daemon_log)
    try:
        yield running
    finally:
        await running.stop()


def surroundings(home: Path) -> Mapping[str, str]:
    """The environment of the programs: nothing of the person's own ssh or forged reaches into the tour, nor the other way round."""
    kept = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    # Python looks for packages that were installed with --user below HOME.
    return {**kept, "HOME": str(home), "PYTHONUSERBASE": site.getuserbase()}


class Forgectl:
    """Asks the daemon that listens at `socket`."""

    def __init__(self, grounds: Grounds, socket: Path) -> None:
        self._grounds = grounds
        self._socket = socket

    async def say(self, *words: str) -> Said:
        """What a person would read. Some commands say no by their exit status; that is an answer, too."""
        _, out, err = await self._run(*words)
        return Said(" ".join(("forgectl", *words)), (out + err).rstrip())

    async def ask(self, *words: str) -> Any:  # Any, as json.loads: the commands' documents are those of forged.model.rpc
        """What a program would read, with --json. Raises ForgectlFailed where it is no success."""
        status, out, err = await self._run(*words, "--json")
        if status != 0:
            told = f"`forgectl {' '.join(words)}` ended with status {status}\n{err.strip()}"
            raise ForgectlFailed(told, hint=f"the daemon's log: {self._grounds.daemon_log}")
        return json.loads(out)

    async def _run(self, *words: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FORGECTL, "--socket", str(self._socket), *words),
            env=surroundings(self._grounds.root),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        try:
            out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return process.returncode or 0, out.decode(), err.decode()
