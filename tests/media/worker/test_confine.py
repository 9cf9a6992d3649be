"""A worker that a file has taken over can do little. Tried by a looker that evaluates what a file says."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.media.base import Wanted
from forged.media.worker import seccomp
from forged.media.worker.examiner import WorkerExaminer
from tests.media.contract import Open


@pytest.fixture
async def examiner() -> AsyncIterator[WorkerExaminer]:
    made = WorkerExaminer(1, "tests.media.worker.lookers:attempt")
    yield made
    await made.aclose()


async def came(examiner: WorkerExaminer, fresh: Open, expression: str) -> str:
    found = await examiner.examine(fresh("attempt", expression.encode()), (), Wanted())
    assert found.info.problems == ()
    return found.info.raw[0].text


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("len(os.listdir('/proc/self/fd')) <= 8", "True"),
        (
            "sorted(os.environ)",
            str(sorted({"LANG", "MALLOC_ARENA_MAX", "LC_CTYPE"} | ({"PATH", "LD_LIBRARY_PATH"} & set(os.environ)))),
        ),
        ("os.getpriority(os.PRIO_PROCESS, 0) >= 5", "True"),
        ("bytearray(3 << 29)", "MemoryError"),
        ("[os.dup(0) for _ in range(100)]", "OSError"),
        ("open('/proc/self/oom_score_adj').read().strip()", "1000"),
        ("__import__('json').dumps(1)", "1"),  # what it is made of is still there
        ("__import__('PIL.Image').Image.new('L', (1, 1)).size", "(1, 1)"),
    ],
)
async def test_its_limits(examiner: WorkerExaminer, fresh: Open, expression: str, result: str) -> None:
    got = await came(examiner, fresh, expression)
    assert got == result or (result.startswith("[") and set(eval(got)) <= set(eval(result)))


@pytest.mark.parametrize(
    "expression",
    [
        "open('{tmp}/attempt').read()",
        "open('{tmp}/new', 'w')",
        "open('{tmp}/attempt', 'r+')",
        "os.listdir('{tmp}')",
        "os.unlink('{tmp}/attempt')",
        "os.rename('{tmp}/attempt', '{tmp}/b')",
        "os.mkdir('{tmp}/d')",
        "os.symlink('a', '{tmp}/l')",
        "os.truncate('{tmp}/attempt', 0)",
        "open('/etc/passwd').read()",
        "open('/proc/1/environ').read()",
    ],
)
async def test_files_are_out_of_reach(examiner: WorkerExaminer, fresh: Open, expression: str, tmp_path: Path) -> None:
    result = await came(examiner, fresh, expression.format(tmp=tmp_path))
    if "landlock" not in examiner.confinement:
        pytest.skip("no landlock here")
    assert result == "PermissionError"
    assert os.listdir(tmp_path) == ["attempt"]


@pytest.mark.parametrize(
    "expression",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.posix_spawn('/bin/true', ['true'], {{}})",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 0)",
        "os.chmod('{tmp}/attempt', 0o777)",
        "os.utime('{tmp}/attempt')",
        "os.setxattr('{tmp}/attempt', 'user.a', b'')",
        "os.memfd_create('a')",
        "os.pidfd_open(os.getppid())",
    ],
)
async def test_calls_are_out_of_reach(examiner: WorkerExaminer, fresh: Open, expression: str, tmp_path: Path) -> None:
    result = await came(examiner, fresh, expression.format(tmp=tmp_path))
    if "seccomp" not in examiner.confinement:
        pytest.skip("no filter of system calls here")
    assert result == "PermissionError"


async def test_threads_are_not(examiner: WorkerExaminer, fresh: Open) -> None:
    """Decoders use them."""
    expression = "__import__('concurrent.futures').futures.ThreadPoolExecutor(2).submit(lambda: 7).result()"
    assert await came(examiner, fresh, expression) == "7"


HEADERS = {
    "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
    "aarch64": "/usr/include/asm-generic/unistd.h",
}


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = Path(HEADERS[machine])
    if not header.exists():
        pytest.skip(f"{header} is not here (apt install linux-libc-dev)")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())}
    architecture = seccomp.ARCHITECTURES[machine]
    forbidden = {**architecture.forbidden, architecture.clone: "clone", 435: "clone3", **seccomp.SINCE_424}
    assert {name: known[name] for name in forbidden.values()} == {name: number for number, name in forbidden.items()}


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x32 is a matter of x86-64")
def test_the_other_numbers_of_x86_are_no_way_around() -> None:
    """Call 41 of x32 is a socket, too."""
    program = (
        "import ctypes; from forged.media.worker import seccomp; libc = ctypes.CDLL(None, use_errno=True);"
        "libc.prctl(38, 1, 0, 0, 0); assert seccomp.restrict();"
        "print(libc.syscall(0x40000000 + 41, 1, 1, 0), ctypes.get_errno(), libc.syscall(39) > 0)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert result.stdout.split() == ["-1", "1", "True"]
