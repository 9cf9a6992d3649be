"""How the agent comes to run: its program as one stream of bytes, and the command that takes the stream from standard input.

Nothing of the owner's (the root folder, say) is in the command: that goes through the line, so no shell ever sees it.
"""

from __future__ import annotations

import functools
import importlib.resources
import shlex
import zlib

PACKAGE = "forged.sources.agent.program"
PARTS = ("libc", "line", "tree", "removal", "blocks", "listing", "inotify", "news", "watching", "reading", "serve")
"""The modules of the program, each after those it imports."""

NO_PYTHON, NO_PYTHON_STATUS = "no python3 found", 69
"""What a shell says where there is none, and how it exits: EX_UNAVAILABLE of sysexits.h. Not 127, by which shells and engines say
that there is no shell; and what is said may get lost (podman 4.3 on a busy machine does not always bring the last words)."""

TOO_OLD = "forged: too old a python"
"""What a Python before 3.6 says that comes to run the program."""

BOOTSTRAP = (
    f'import sys,zlib;sys.version_info<(3,6)and sys.exit("{TOO_OLD}");'
    'exec(compile(zlib.decompress(sys.stdin.buffer.read(int(sys.argv[1]))),"forged-agent","exec"))'
)
"""Reads exactly the program and leaves the rest of standard input to it."""

FLAGS = ("-I", "-S", "-B")
"""Isolated from the box's environment variables and user site, no site-packages (starts faster), no bytecode on its disk."""

PYTHONS = ("python3", "/usr/bin/python3", "/usr/local/bin/python3", "/opt/conda/bin/python3", "/venv/main/bin/python3", "python")
"""Where images for rented boxes keep it, when the bare PATH of a command over SSH does not lead there."""

_LOADER = """\
import sys
package = sys.modules[{package!r}] = type(sys)({package!r})
for name, source in {parts!r}:
    module = sys.modules[{package!r} + "." + name] = type(sys)({package!r} + "." + name)
    exec(compile(source, "forged-agent/" + name, "exec"), module.__dict__)
    setattr(package, name, module)
package.serve.main()
"""


@functools.cache
def program() -> bytes:
    """The whole program, compressed; the first bytes that the agent's standard input must carry."""
    folder = importlib.resources.files(PACKAGE)
    parts = [(name, folder.joinpath(f"{name}.py").read_text("utf-8")) for name in PARTS]
    return zlib.compress(_LOADER.format(package=PACKAGE, parts=parts).encode(), 9)


def argv(python: str = "python3", lease_s: int = 0) -> tuple[str, ...]:
    """The command as a list, where no shell is between (a local process, `docker exec`).

    `lease_s`: after so long without a word from us the agent ends; 0 = never, where our end is sure to end its standard input.
    """
    return (python, *FLAGS, "-c", BOOTSTRAP, *_numbers(lease_s))


def shell_command(lease_s: int = 0) -> str:
    """The command as one line for a login shell of any kind: tries the known places of Python and becomes it, or exits with
    NO_PYTHON_STATUS."""
    run = f"{' '.join(FLAGS)} -c {shlex.quote(BOOTSTRAP)} {' '.join(_numbers(lease_s))}"
    tries = f'for p in {" ".join(PYTHONS)}; do command -v "$p" >/dev/null 2>&1 && exec "$p" {run}; done'
    return f"exec sh -c {shlex.quote(f'{tries}; echo {NO_PYTHON} >&2; exit {NO_PYTHON_STATUS}')}"


def _numbers(lease_s: int) -> tuple[str, ...]:
    """The size of the program, and the lease if there is one."""
    return (str(len(program())), *([str(lease_s)] if lease_s else []))
