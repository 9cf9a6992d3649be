"""A real container engine for tests: Podman's socket, which speaks Docker's API, with all it keeps in a folder of its own.

Needs root, and the right to unmount in a mount namespace of its own. The traps, met with podman 4.3 and crun 1.8 as root without
CAP_SYS_RESOURCE: crun may not raise resource limits, so they are said below what we have; it refuses "hybrid" cgroups unless it
cannot see the second kind; five minutes after each exec conmon would run a podman to clean up, which costs a tenth of a second of
processor (here all of them are ended before); its locks lie in shared memory for everybody; and what one podman mounts another one
does not see here, so everything goes through the service.
"""

from __future__ import annotations

import contextlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.sshd import descendants

IMAGE = "forged-box"
BARE = "forged-bare"

CONFIG = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
cgroups = "disabled"
netns = "none"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
exit_command_delay = 300
tmp_dir = "{folder}/tmp"
lock_type = "file"
"""

ALONE = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
"""Run in a mount namespace of its own, so that nothing outside changes."""

SHARED = "/shared"
"""Where the containers have the folder that the test writes to."""

PYTHON_PLACES = ("/usr", *([] if sys.base_prefix.startswith("/usr") else [sys.base_prefix]))
"""What a container must see of this machine to run this machine's Python."""


class NoEngine(Exception):
    """Why none can run here."""


class Engine:
    """Podman's service in `folder`, and the containers in it; ends only what it started. `shared` is SHARED in each container."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder, self.shared = folder, shared
        self._service: subprocess.Popen[bytes] | None = None
        self._first: dict[str, int] = {}
        config = CONFIG.format(folder=folder, files=_least(resource.RLIMIT_NOFILE), processes=_least(resource.RLIMIT_NPROC))
        (folder / "containers.conf").write_text(config)

    @property
    def socket(self) -> Path:
        return self.folder / "s"

    @property
    def environment(self) -> dict[str, str]:
        """What leads a client to it."""
        return {"DOCKER_HOST": f"unix://{self.socket}"}

    # --- its service ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Answers once it listens. Raises NoEngine."""
        with (self.folder / "log").open("ab") as log:
            command = self._command("system", "service", "--time=0", f"unix://{self.socket}")
            self._service = subprocess.Popen(command, stdout=log, stderr=log, env=self._around, start_new_session=True)
        deadline_s = time.monotonic() + 20
        while not self.socket.exists():
            if self._service.poll() is not None or time.monotonic() > deadline_s:
                raise NoEngine((self.folder / "log").read_text(errors="replace")[-500:])
            time.sleep(0.01)

    def stop(self) -> None:
        """Ends the service; containers go on, as when Docker's own is restarted with live-restore."""
        service, self._service = self._service, None
        if service is not None:
            for pid in [*descendants(service.pid), service.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            service.wait(10)
        self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends containers and service, and what containers leave behind for a moment: conmon, and podman's own cleanup."""
        with contextlib.suppress(NoEngine):
            self.podman("rm", "-f", "-a", "-t", "0")
        self.stop()
        while left := self._left_behind():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _left_behind(self) -> list[int]:
        return [pid for pid in _everybody() if os.fsencode(self.folder) in _words(pid) and pid != os.getpid()]

    # --- images and containers --------------------------------------------------------------------------------------------

    def podman(self, *words: str, data: bytes = b"", check: bool = True) -> str:
        """Podman's command, which asks the service: what another process mounts, the service would not see. Raises NoEngine."""
        done = self._asked(words, data)
        if check and done.returncode != 0:
            raise NoEngine(f"podman {words[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}")
        return done.stdout.decode().strip()

    def local(self, *words: str) -> str:
        """Podman's command without the service, for what takes long (building). Raises NoEngine."""
        done = subprocess.run(self._command(*words), capture_output=True, env=self._around)
        if done.returncode != 0:
            raise NoEngine(f"podman {words[0]}: {done.stderr.decode(errors='replace').strip()[-500:]}")
        return done.stdout.decode().strip()

    def logs(self, name: str) -> str:
        """All that a container has said."""
        done = self._asked(("logs", name))
        return (done.stdout + done.stderr).decode(errors="replace")

    def _asked(self, words: Sequence[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["podman", "--remote", f"--url=unix://{self.socket}", *words]
        return subprocess.run(command, input=data, capture_output=True, env=self._around, timeout=60)

    def make_images(self) -> None:
        """One with a shell and this machine's Python, once that is mounted; one with neither."""
        self.podman("import", "-", IMAGE, data=_rootfs())
        self.podman("import", "-", BARE, data=_rootfs(applets=False))

    def run(self, name: str, *options: str, python: bool = True, image: str = IMAGE) -> str:
        """Starts a container that waits; answers its id."""
        places = [f"--volume={place}:{place}:ro" for place in PYTHON_PLACES] if python else []
        path = "/bin" + (f":{Path(sys.executable).resolve().parent}:/usr/bin" if python else "")
        fixed = ("--detach", "--pull=never", "--stop-timeout=0", f"--volume={self.shared}:{SHARED}", f"--env=PATH={path}")
        return self.podman("run", *fixed, f"--name={name}", *places, *options, image, "/bin/busybox", "sleep", "100000")

    def remove(self, name: str) -> None:
        self.podman("rm", "-f", "-t", "0", name)

    def restart(self, name: str) -> None:
        self.podman("restart", "-t", "0", name)

    def processes(self, name: str) -> list[int]:
        """What runs in a container besides its first process: those of its process namespace, by their numbers here."""
        if _space(self._first.get(name, 0)) == "":
            self._first[name] = int(self.podman("inspect", "--format", "{{.State.Pid}}", name))
        first = self._first[name]
        space = os.readlink(f"/proc/{first}/ns/pid")
        return [pid for pid in _everybody() if pid != first and _space(pid) == space]

    def _command(self, *words: str) -> list[str]:
        podman = ("podman", f"--root={self.folder}/root", f"--runroot={self.folder}/run", "--storage-driver=overlay")
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", ALONE, "sh", *podman, *words]

    @property
    def _around(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "CONTAINER"))}
        return kept | {"CONTAINERS_CONF": str(self.folder / "containers.conf")}


def _least(limit: int) -> int:
    """No more than we have ourselves."""
    have = resource.getrlimit(limit)[1]
    return 1024 if have == resource.RLIM_INFINITY else min(1024, have)


def _everybody() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _space(pid: int) -> str:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        return "" if state == "Z" else os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _rootfs(applets: bool = True) -> bytes:
    """A root file system of two megabytes: busybox, and places for what is mounted."""
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    names = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "usr", "root", SHARED.strip("/")):
            archive.addfile(_member(folder, tarfile.DIRTYPE))
        for link in ("lib", "lib64"):
            archive.addfile(_member(link, tarfile.SYMTYPE, f"usr/{link}"))
        program = _member("bin/busybox", tarfile.REGTYPE)
        program.size = busybox.stat().st_size
        with busybox.open("rb") as file:
            archive.addfile(program, file)
        for name in names if applets else []:
            if name != "busybox":
                archive.addfile(_member(f"bin/{name}", tarfile.SYMTYPE, "busybox"))
    return made.getvalue()


def _member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname = kind, 0o755, target
    return member


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """A running engine with its images, gone afterwards with all its containers. Raises NoEngine where that cannot be."""
    if os.getuid() != 0:
        raise NoEngine("a container engine needs root here")
    for program in ("podman", "crun", "unshare", "busybox"):
        if shutil.which(program) is None:
            raise NoEngine(f"no {program} here (apt install podman crun busybox-static)")
    folder = Path(tempfile.mkdtemp(prefix="forged-e-", dir="/tmp"))
    shared = Path(tempfile.mkdtemp(prefix="forged-shared-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"))
    shared.chmod(0o755)
    made = Engine(folder, shared)
    try:
        made.start()
        made.make_images()
        yield made
    finally:
        made.close()
        shutil.rmtree(shared, ignore_errors=True)
        shutil.rmtree(folder)
