"""One run of one contestant, from an empty home to a proven copy, and what it took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import IO

from tests.bench import meter
from tests.bench.contestants import Contestant, Ready
from tests.bench.course import Course
from tests.bench.results import Cell, Run
from tests.bench.sets import DataSet, Files, Then

WARM_BYTES = 3 << 30
"""More than the largest set, at home and on its way."""


@dataclass(frozen=True)
class Finish:
    """How a command ended. `cpu_s`: its own, and that of the processes it waited for. `why`: empty where all is well."""

    wall_s: float
    cpu_s: float
    why: str


def race(course: Course, data: DataSet, files: Files, contestant: Contestant, cell: Cell, patience_s: float) -> Run:
    """One run. What goes wrong in it stands in its `why`, and so does a copy that is none."""
    course.quiet()
    with contestant.ready(course) as ready, files.at(course.slot) as place:
        if data.then is not Then.FIRST:
            execute(ready, patience_s)
        if data.then is Then.CHANGED:
            files.change(place)
        if ready.pid is None:
            course.quiet()
        run = measured(course, ready, contestant, cell, patience_s)
        missing = 0 if run.why else files.missing(ready.home, data.then)
        return replace(run, why=f"{missing} files have no true copy") if missing else run


def measured(course: Course, ready: Ready, contestant: Contestant, cell: Cell, patience_s: float) -> Run:
    """Runs the command and counts what it took at both ends, with what serves it."""
    home = meter.Peaks([ready.pid] if ready.pid else [])
    far = meter.Peaks([course.sshd.pid], without=("sshd", course.sshd.pid))
    warm_memory()
    home_before_s, far_before_s, before = _cpu_s(ready.pid), _cpu_s(course.sshd.pid), course.ends.wire()
    with meter.watching(home, far):
        finish = execute(ready, patience_s, home)
    if ready.pid is None:
        course.quiet()
    after = course.ends.wire()
    return Run(
        cell,
        contestant.name,
        contestant.told,
        finish.wall_s,
        finish.cpu_s + _cpu_s(ready.pid) - home_before_s,
        _cpu_s(course.sshd.pid) - far_before_s,
        home.total_bytes,
        far.total_bytes,
        after.far_to_near_bytes - before.far_to_near_bytes,
        after.near_to_far_bytes - before.near_to_far_bytes,
        finish.why,
    )


def warm_memory() -> None:
    """Has the machine's memory touched and let go of. A virtual machine may have handed freed pages back to its host, and whoever
    writes to them first pays for their return: a GB took 0.5 to 2.1 s, by chance and by how long the contestant took to get ready.
    """
    subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            f"import mmap; mmap.mmap(-1, {WARM_BYTES}, flags=mmap.MAP_PRIVATE | mmap.MAP_POPULATE | mmap.MAP_ANONYMOUS)",
        ],
        check=True,
    )


def _cpu_s(pid: int | None) -> float:
    return meter.cpu_s(pid) if pid else 0.0


def execute(ready: Ready, patience_s: float, peaks: meter.Peaks | None = None) -> Finish:
    """The command as a whole process, ended with its children when the patience is. Its pid joins the roots of `peaks`."""
    others = meter.children()
    with tempfile.TemporaryFile() as words:
        began_s = time.perf_counter()
        with started(ready, words, patience_s) as process:
            if peaks:
                peaks.roots.append(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
            wall_s = time.perf_counter() - began_s
            process.returncode = os.waitstatus_to_exitcode(status)  # so that Popen does not wait for it again
        words.seek(0)
        why = _why(process.returncode, patience_s, words.read().decode(errors="replace") + ready.log())
    return Finish(wall_s, meter.seconds(usage) + meter.orphans_cpu_s(others), why)


@contextmanager
def started(ready: Ready, words: IO[bytes], patience_s: float) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a session of its own; killed with all that is in it when the patience or the block is at its end."""
    process = subprocess.Popen(
        ready.argv, env=ready.env, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True
    )
    patience = threading.Timer(patience_s, _kill, [process.pid])
    patience.start()
    try:
        yield process
    finally:
        patience.cancel()
        _kill(process.pid)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def _why(status: int, patience_s: float, words: str) -> str:
    if status == -signal.SIGKILL:
        return f"more than {patience_s:.0f} s"
    return f"exit status {status}: {words[-2000:].strip()}" if status else ""
