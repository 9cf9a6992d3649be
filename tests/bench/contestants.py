"""Who races: each is given a course, makes itself ready, and says by which command the files of the slot come home."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.course import Course, folder
from tests.support.daemon import Daemon, until

SCRIPTS = Path(sys.executable).parent
"""Where the virtual environment has `forgectl`."""


@dataclass(frozen=True)
class Ready:
    """`argv`: what is timed, as a whole process. `home`: where the copy is then. `pid`: what serves that process, if anything does.

    `log`: what to show when it fails.
    """

    argv: list[str]
    home: Path
    env: dict[str, str]
    pid: int | None = None
    log: Callable[[], str] = str


@dataclass(frozen=True)
class Contestant:
    """`ready` is entered while the slot is still empty. `told`: how it is used, for the report."""

    name: str
    told: str
    ready: Callable[[Course], AbstractContextManager[Ready]]


# --- forged ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def house(course: Course, parallel: int, scheme: str = "ssh") -> Iterator[Daemon]:
    """A daemon that is not started yet, with one target. It looks at nothing by itself: only what is asked for is timed."""
    lines = f'poll = "24h"\nwatch = "off"\nsettle = "0s"\nparallel_transfers = {parallel}'
    with folder(course.homes) as root:
        made = Daemon(root, course.sshd, box=lines)
        made.within = course.ends.near
        made.sources["box"] = course.sshd.url(course.slot).replace("ssh", scheme, 1)
        made.write()
        try:
            yield made
        finally:
            made.close()


def forged(parallel: int, name: str = "forged", scheme: str = "ssh") -> Contestant:
    """As it is used: a daemon runs and has looked at the source before; then it is asked."""

    @contextmanager
    def ready(course: Course) -> Iterator[Ready]:
        with house(course, parallel, scheme) as daemon:
            daemon.start()
            until(lambda: daemon.standing()["last_sync"] and daemon.standing()["state"] == "idle", daemon.log)
            assert daemon.process is not None
            argv = [str(SCRIPTS / "forgectl"), "--socket", daemon.control, "sync", "box", "--wait"]
            yield Ready(argv, daemon.home(), daemon.environment, daemon.process.pid, daemon.log)

    return Contestant(name, f"forgectl sync --wait over {scheme}://, parallel_transfers = {parallel}", ready)


def once(parallel: int) -> Contestant:
    """Cold: a process that knows nothing and ends."""

    @contextmanager
    def ready(course: Course) -> Iterator[Ready]:
        with house(course, parallel) as daemon:
            argv = [sys.executable, "-m", "forged", "-c", str(daemon.config), "once", "box"]
            yield Ready(course.ends.near(argv), daemon.home(), daemon.environment)

    return Contestant("once", f"forged once, parallel_transfers = {parallel}", ready)


# --- the others -----------------------------------------------------------------------------------------------------------------

Command = Callable[[Course, Path], list[str]]


def plain(name: str, told: str, command: Command) -> Contestant:
    """A program that knows nothing and ends."""

    @contextmanager
    def ready(course: Course) -> Iterator[Ready]:
        with folder(course.homes) as root:
            home = root / "home"
            home.mkdir()
            yield Ready(course.ends.near(command(course, home)), home, {"HOME": str(root), "PATH": os.environ["PATH"]})

    return Contestant(name, told, ready)


def rsync(*more: str) -> Command:
    """Onto what is not there yet all files go whole; fsync where the others do it too."""

    def command(course: Course, home: Path) -> list[str]:
        durable = ["--fsync"] if course.durable else []
        where = f"{course.sshd.user}@{course.sshd.address}:{course.slot}/"
        return ["rsync", *RSYNC.split(), *more, *durable, "-e", " ".join(course.ssh), where, f"{home}/"]

    return command


def rclone(flags: str) -> Command:
    """Its SSH library takes aes128-gcm by itself."""

    def command(course: Course, home: Path) -> list[str]:
        server = course.sshd
        host = ["--sftp-host", server.address, "--sftp-port", str(server.port), "--sftp-user", server.user]
        key = ["--sftp-key-file", str(server.identity), "--config", "", "--log-level", "ERROR"]
        return ["rclone", "copy", f":sftp:{course.slot}", str(home), *flags.split(), *host, *key]

    return command


def lftp(flags: str) -> Command:
    def command(course: Course, home: Path) -> list[str]:
        server = course.sshd
        connect = f'set sftp:connect-program "{" ".join(course.ssh)}"; set sftp:auto-confirm yes; {LFTP}'
        where = f"open -u {server.user}, sftp://{server.address}:{server.port}"
        return ["lftp", "-c", f"{connect}; {where}; mirror {flags} {course.slot} {home}"]

    return command


RSYNC = "-a --whole-file --inplace"
"""Over ssh with aes128-gcm; with other ciphers or IPQoS it was slower, or as fast. A list made whole before anything moves
(rsync-list) halves its time for `tree` at 50 ms, and a rescan takes a third, for more memory and a later first file."""

RCLONE = "--sftp-chunk-size 255k --sftp-concurrency 64 --multi-thread-streams 8 --sftp-disable-hashcheck"
"""255k: as much as OpenSSH sends in one answer."""

LFTP = "set sftp:max-packets-in-flight 128; set sftp:size-read 0x8000; set net:connection-limit 0"


def others(far_away: bool) -> list[Contestant]:
    """With the numbers of connections at which they were fastest: of 4 to 64 for `many` at 50 ms, of 4 to 48 for `tiny` near by."""
    at_once = f"{RCLONE} {'--transfers 48 --checkers 32' if far_away else '--transfers 8 --checkers 16'}"
    mirror = f"-P {32 if far_away else 8} --use-pget-n=4"
    return [
        plain("rsync", f"rsync {RSYNC}", rsync()),
        plain("rsync-list", f"rsync {RSYNC} --no-inc-recursive", rsync("--no-inc-recursive")),
        plain("rclone", f"rclone copy {at_once}", rclone(at_once)),
        plain("lftp", f"lftp: {LFTP}; mirror {mirror}", lftp(mirror)),
    ]


def named(name: str, parallel: int, far_away: bool) -> Contestant:
    """Of these names: forged, once, forged-N (with N connections at most), sftp, and the others'. KeyError for another."""
    head, _, count = name.partition("-")
    if head == "sftp":
        return forged(int(count or parallel), name, "sftp")
    if head == "forged":
        return forged(int(count or parallel), name)
    return {each.name: each for each in (once(parallel), *others(far_away))}[name]
