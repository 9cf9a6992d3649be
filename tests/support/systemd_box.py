"""A real systemd as PID 1 in namespaces of its own, to try units in. Needs root, and touches nothing of the machine it runs on.

It sees the machine's files through an overlay whose upper side is memory: users, units and state that are made inside are gone with
it. It has its own processes, cgroups (a pure cgroup2 tree below one new group) and /dev; the network is the machine's, so that
servers of the tests can be reached. This checkout runs in it as the commands `forged` and `forgectl` (in /usr/local/bin), from
below /opt: services with ProtectHome= could not read a Python or a checkout in somebody's home folder.

The traps, met with systemd 252: it starts nothing without sysinit, basic and shutdown targets, and the distribution's would start
half a machine, so ours are empty; /proc/sys must be read-only, or it would set the machine's sysctls; LoadCredential= needs shared
mounts; /dev/console must exist and may be /dev/null; there is no journal, so each service writes to a file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

SYSTEMD = next((path for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if Path(path).exists()), None)
CHECKOUT = Path(__file__).parents[2]
PYTHON = f"/opt/forged/python/bin/python{sys.version_info.major}.{sys.version_info.minor}"
ENVIRONMENT = "PYTHONPATH=/opt/forged/src:/opt/forged/lib LD_LIBRARY_PATH=/opt/forged/python/lib"
"""Inside. A Python with a shared library looks for it where it was built, which a service may not read."""

PATIENCE_S = 60.0
"""How long to wait for anything: on a busy machine every step may take seconds."""

UNIT_PATH = "/run/box/units"
EMPTY_TARGETS = ("box", "sysinit", "basic", "shutdown")
NAMESPACES = ("--mount", "--pid", "--cgroup", "--uts", "--ipc")

SET_UP = f"""
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"

mkdir -p opt/forged/python opt/forged/lib opt/forged/src/forged
mount -o bind,ro "$2" opt/forged/python
mount -o bind,ro "$3" opt/forged/lib
mount -o bind,ro "$4" opt/forged/src/forged

mount -t proc proc proc
for name in sys sysrq-trigger; do
    if [ -e "proc/$name" ]; then mount -o bind,ro "proc/$name" "proc/$name"; fi
done
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
    set -- $node
    mknod -m 666 "dev/$1" c "$2" "$3"
done
mkdir dev/pts dev/shm run/box run/box/log run/box/units
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount --bind dev/null dev/console
for name in {" ".join(EMPTY_TARGETS)}; do
    printf '[Unit]\\nDefaultDependencies=no\\n' > "run/box/units/$name.target"
done

pivot_root . mnt
cd /
umount -l /mnt
mount --make-rshared /
echo "the box is set up"
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=forged-test SYSTEMD_UNIT_PATH={UNIT_PATH} \\
    {SYSTEMD} --system --unit=box.target --show-status=no --log-target=console
"""

LOG_TO_A_FILE = "[Service]\nStandardOutput=append:/run/box/log/%n\nStandardError=append:/run/box/log/%n\n"

COMMAND = """\
#!/usr/bin/env -S {environment} {python}
from forged.cli.{name} import main
main()
"""


class NoBox(Exception):
    """Here no systemd can be started, and why."""


class SystemdBox:
    """A running systemd. Made by `systemd_box`. All paths are those inside."""

    def __init__(self, pid: int, cgroup: Path) -> None:
        """`pid` and `cgroup` of its PID 1, as seen from outside."""
        self.pid = pid
        self.cgroup = cgroup

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Writes a file inside; it belongs to root."""
        file = Path(f"/proc/{self.pid}/root{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def read(self, path: str) -> str:
        return Path(f"/proc/{self.pid}/root{path}").read_text(errors="replace")

    def install(self, name: str, text: str) -> None:
        """A unit, or a drop-in for one (`x.service.d/y.conf`)."""
        self.write(f"{UNIT_PATH}/{name}", text)
        self.systemctl("daemon-reload", check=True)

    def uninstall(self, name: str) -> None:
        """Takes one away again."""
        self.run("rm", "-f", f"{UNIT_PATH}/{name}", check=True)
        self.systemctl("daemon-reload", check=True)

    def run(self, *command: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Runs a command inside, as root. With `check` a failure is an AssertionError that shows what it said."""
        inside = ["nsenter", f"--target={self.pid}", *NAMESPACES, "--", *command]
        ran = subprocess.run(inside, capture_output=True, text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)
        assert not check or ran.returncode == 0, f"{' '.join(command)}: {ran.stdout}{ran.stderr}"
        return ran

    def systemctl(self, *args: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        return self.run("systemctl", "--no-pager", *args, check=check)

    def show(self, unit: str, key: str) -> str:
        """One property, as `systemctl show` tells it."""
        return self.systemctl("show", "--value", f"--property={key}", unit, check=True).stdout.strip()

    def log(self, unit: str) -> str:
        """What the service has written."""
        try:
            return self.read(f"/run/box/log/{unit}")
        except FileNotFoundError:
            return ""


@contextlib.contextmanager
def systemd_box() -> Iterator[SystemdBox]:
    """Raises NoBox where it cannot be: without root, without systemd, in a container that may not mount or make cgroups."""
    folder = Path(tempfile.mkdtemp(prefix="forged-box-"))
    try:
        with _cgroup(folder.name) as cgroup, _started(folder, cgroup) as pid:
            box = SystemdBox(pid, cgroup)
            _settle_in(box)
            yield box
    finally:
        folder.rmdir()


@contextlib.contextmanager
def _cgroup(name: str) -> Iterator[Path]:
    """An empty control group, and what grew below it taken away again."""
    if os.geteuid() != 0:
        raise NoBox("only root can start a systemd in namespaces")
    tree = next((mount.mountpoint for mount in psutil.disk_partitions(all=True) if mount.fstype == "cgroup2"), None)
    if tree is None:
        raise NoBox("no cgroup2 is mounted")
    group = Path(tree) / name
    try:
        group.mkdir()
    except OSError as e:
        raise NoBox(f"no control groups can be made: {e}") from e
    try:
        yield group
    finally:
        wait_until(lambda: _removed(group))


def _removed(group: Path) -> bool:
    """False while the kernel still buries a process of it."""
    try:
        for folder, _, _ in os.walk(group, topdown=False):
            os.rmdir(folder)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _started(folder: Path, cgroup: Path) -> Iterator[int]:
    """The pid of the systemd inside. It dies with us, however we end."""
    if SYSTEMD is None or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "pivot_root"))):
        raise NoBox("systemd or util-linux is missing (apt install systemd)")
    join = ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(cgroup)]
    unshare = ["unshare", *NAMESPACES, "--fork", "--kill-child=KILL"]
    places = [folder, sys.base_prefix, sysconfig.get_path("purelib"), CHECKOUT / "forged"]
    command = ["setpriv", "--pdeathsig=KILL", *join, *unshare, "sh", "-c", SET_UP, "sh", *map(str, places)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            if told != "the box is set up\n":
                raise NoBox(f"this machine does not let a systemd be started in namespaces: {told}{process.stdout.read()}")
            yield psutil.Process(process.pid).children()[0].pid
        finally:
            process.send_signal(signal.SIGKILL)


def _settle_in(box: SystemdBox) -> None:
    """Waits for the end of the boot, and puts our commands into place."""
    wait_until(lambda: box.systemctl("is-system-running").stdout.strip() in ("running", "degraded"))
    for name in ("forged", "forgectl"):
        box.write(f"/usr/local/bin/{name}", COMMAND.format(environment=ENVIRONMENT, python=PYTHON, name=name), mode=0o755)
    box.install("service.d/log.conf", LOG_TO_A_FILE)


def wait_until(true: Callable[[], bool]) -> None:
    """Looks again and again. Raises AssertionError when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
