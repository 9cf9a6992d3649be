"""exiftool as a process that stays, driven through pyexiftool, whose `execute` is replaced.

pyexiftool 0.5.6 joins arguments by line ends without looking at them (a prompt could give orders), reads standard output to its end
before standard error (64 KiB of warnings stop both for ever), spins when exiftool dies, and knows no time limit (measured,
2026-11). Here each argument is checked, both streams are read together, and every way out but success ends the process: its state
would be unknown. Blocks: to be used from one thread that lives as long as the process, since Linux ends a child with the thread
that started it (PR_SET_PDEATHSIG).
"""

from __future__ import annotations

import ctypes
import itertools
import os
import secrets
import selectors
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from typing import cast

from exiftool import ExifTool

MOST_OUTPUT_BYTES = 1 << 20
"""Of each stream for one command. A command of ours is answered by a line."""

PIECE_BYTES = 65_536

CONFIG = Path(__file__).with_name("exiftool.config")

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""

_LINE_ENDS = (b"\n", b"\r", b"\0")
_NO_BEGINNING = b"# \t"
"""A line that begins so is a comment to exiftool, or loses its blanks."""


class ToolFailed(Exception):
    """exiftool died, did not answer in time, or said more than it may. It has been ended; a new one may be started."""


class UnsafeArgument(ValueError):
    """An argument that exiftool would not take as it is."""


class Tool(ExifTool):  # type: ignore[misc]  # untyped
    """One exiftool process. `run` starts it, `end` ends it."""

    def __init__(self, executable: str, deadline_s: float, config: Path = CONFIG) -> None:
        super().__init__(executable, common_args=[], config_file=str(config), encoding="utf-8")
        self._deadline_s = deadline_s
        self._numbers = itertools.count(secrets.randbelow(10**9))  # no text of a file can know what ends an answer

    def run(self) -> None:
        """Starts the process. Raises OSError. pyexiftool's own leaves its pipes open when exiftool ends at once."""
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}  # nothing else of ours is its business
        command = [self._executable, "-config", self._config_file, "-stay_open", "True", "-@", "-"]
        self._process = Popen(
            command,
            env=env,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            process_group=0,
            preexec_fn=_ends_with_us,  # see there
        )
        self._running = True

    @property
    def is_alive(self) -> bool:
        """Whether the process runs. It is not reaped here: until `end` its number, and that of its group, stays its own."""
        process = self._child()
        if process is None:
            return False
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def execute(self, *params: str | bytes, raw_bytes: bool = False) -> str | bytes:
        """One command; answers its standard output. Raises UnsafeArgument before anything is sent, ToolFailed afterwards."""
        lines = [checked(param.encode("utf-8") if isinstance(param, str) else param) for param in params]
        out, err, status = self._spoken(lines)
        self._last_status = status
        self._last_stdout, self._last_stderr = out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        return out if raw_bytes else self._last_stdout

    def kill(self) -> None:
        """Kills the process and what it started (`exiftool` may be a script); whoever waits for its answer gets ToolFailed.

        From any thread, while `run` and `end` are not called.
        """
        process = self._child()
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Ends the process at once. Nothing of a command that has been answered is lost."""
        process = self._child()
        if process is not None:
            self.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self._process, self._running = None, False  # type: ignore[assignment]  # None as in its own __init__

    def _child(self) -> Popen[bytes] | None:
        return cast("Popen[bytes] | None", self._process)

    def _spoken(self, lines: Sequence[bytes]) -> tuple[bytes, bytes, int]:
        """The command, and what comes back: standard output, standard error, exit status."""
        number = next(self._numbers)
        ready, post = b"{ready%d}" % number, b"=post%d" % number
        command = b"\n".join([*lines, b"-echo4", b"=${status}" + post, b"-execute%d" % number, b""])
        try:
            out, err = self._exchange(command, ready, post)
            status = int(err.rpartition(b"=")[2])
        except (OSError, ValueError) as e:
            self.end()
            raise ToolFailed(f"exiftool has ended, or answers in a way we do not know ({e})") from e
        except BaseException:
            self.end()
            raise
        return out, err.rpartition(b"=")[0], status

    def _exchange(self, command: bytes, ready: bytes, post: bytes) -> tuple[bytes, bytes]:
        """Writes and reads at the same time until both streams end as they have to."""
        process = self._child()
        if process is None or process.stdin is None or process.stdout is None or process.stderr is None:
            raise ToolFailed("exiftool is not running")
        ends_s, left = time.monotonic() + self._deadline_s, memoryview(command)
        ins, outs = (
            process.stdin.fileno(),
            {process.stdout.fileno(): (bytearray(), ready), process.stderr.fileno(): (bytearray(), post)},
        )
        with selectors.DefaultSelector() as selector:
            for fd, events in ((ins, selectors.EVENT_WRITE), *((fd, selectors.EVENT_READ) for fd in outs)):
                os.set_blocking(fd, False)
                selector.register(fd, events)
            while left or not all(bytes(heard[-128:]).rstrip().endswith(end) for heard, end in outs.values()):
                for key, _ in _events(selector, ends_s, self._deadline_s):
                    if key.fd == ins:
                        left = left[os.write(ins, left[:PIECE_BYTES]) :]
                        if not left:
                            selector.unregister(ins)
                    else:
                        _hear(key.fd, outs[key.fd][0])
        out, err = (bytes(heard).rstrip().removesuffix(end) for heard, end in outs.values())
        return out, err


def _ends_with_us() -> None:
    """In the child, before exiftool: it ends when the thread that started it does, since it would not notice the end of its input.

    Between fork and exec only this call is made, on a library that is loaded: nothing waits for a lock of another thread.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def checked(argument: bytes) -> bytes:
    """The argument, if exiftool's argument stream carries it unchanged. Raises UnsafeArgument."""
    if not argument or argument[:1] in _NO_BEGINNING or any(end in argument for end in _LINE_ENDS):
        raise UnsafeArgument(f"exiftool would not take this as one argument: {argument[:60]!r}")
    return argument


def _events(selector: selectors.BaseSelector, ends_s: float, deadline_s: float) -> list[tuple[selectors.SelectorKey, int]]:
    events = selector.select(max(ends_s - time.monotonic(), 0))
    if not events and time.monotonic() >= ends_s:
        raise ToolFailed(f"exiftool has not answered for {deadline_s:g} s")
    return events


def _hear(fd: int, heard: bytearray) -> None:
    piece = os.read(fd, PIECE_BYTES)
    if not piece:
        raise ToolFailed("exiftool has ended")
    heard += piece
    if len(heard) > MOST_OUTPUT_BYTES:
        raise ToolFailed("exiftool says more than it may")
