"""How a local folder is watched: by inotify where it sees everything, by watchfiles where it does not.

inotify tells when a file is closed, so that it may leave at once; that is the agent's own code, run in a thread here. But the
kernel tells only of what passes through it: on a share (NFS, SMB, the Windows drives of WSL, sshfs) others write, and nothing
is heard. There watchfiles looks for us, every few seconds, as well as where the kernel has no inotify, or no instance left for us.

Why watchfiles does not watch everything (measured with 1.3.0): it does not tell closed files from those being written; one name
that is not UTF-8 ends it for good; an overflow of the kernel's queue passes in silence; and each of its watches wakes up 20 to
200 times a second, idle or not: at 5 ms a step 100 of them cost 16 % of a core.
"""

from __future__ import annotations

import enum
import os
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError  # documented as its "Rust backend"

from forged.model.errors import SourceMissing
from forged.model.files import Entry
from forged.model.paths import SourcePath, shown
from forged.sources.agent.listing import outermost
from forged.sources.agent.program.inotify import can_watch
from forged.sources.agent.program.line import Trouble
from forged.sources.agent.program.removal import ASIDE
from forged.sources.agent.program.tree import Facts, usable
from forged.sources.agent.program.watching import Scope, Watch
from forged.sources.agent.watching import NewsReader
from forged.sources.base import Notices
from forged.sources.local_threads import Feed
from forged.sources.local_tree import LocalTree, stat_of

SHARES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "ceph", "afs", "lustre", "vboxsf", "prl_fs"}) | {
    f"fuse.{name}" for name in ("sshfs", "rclone", "glusterfs", "ceph", "s3fs", "vmhgfs-fuse", "davfs", "juicefs")
}
"""File systems that others write to without this kernel knowing: the types of proc(5), mountinfo, field 9."""

LOOK_EVERY_S = 5.0
"""Of watchfiles, over the whole tree. It asks each file's looks, often across a network: more often would keep a NAS busy."""

STEP_MS = 250
"""How often we ask watchfiles whether it has found something: under 1 % of a core for 100 watches."""

GATHER_MS = 1_000
"""Changes that come within this time are told at once."""

QUIET_S = 2.5
"""How long a file that changed is looked at again: over a second, and over the granularity of a clock on SMB and FAT (2 s)."""

AGAIN_MS = 500
"""How often that is."""

ROOT_EVERY_MS = 10_000
"""How often the root is looked for while nothing happens: watchfiles does not tell when it goes."""


class Eyes(enum.Enum):
    """What watches; shown in `status`."""

    INOTIFY = "inotify"
    WATCHFILES = "watchfiles"


@dataclass(frozen=True, slots=True)
class Sight:
    """How to watch."""

    eyes: Eyes
    look_every_s: float = LOOK_EVERY_S
    """Of watchfiles; inotify needs no looking."""


def best_sight(root: bytes) -> Sight:
    """Who sees what happens below this folder."""
    return Sight(Eyes.INOTIFY if can_watch() and _type_of_mount(root) not in SHARES else Eyes.WATCHFILES)


def _type_of_mount(path: bytes) -> str:
    """The type of the file system that holds a path; empty where it is not told, as for subvolumes of btrfs."""
    try:
        device = os.stat(path).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
            for line in mounts:
                place, _, system = line.partition(" - ")
                if place.split()[2] == number:
                    return system.split()[0]
    except OSError:
        pass  # no Linux; or it went in this moment, and will be missed soon enough
    return ""


def watch(tree: LocalTree, sight: Sight, folders: Sequence[SourcePath], feed: Feed[Notices]) -> None:
    """Tells into the feed what happens, until it is stopped. Raises SourceMissing when the root goes."""
    if sight.eyes is Eyes.INOTIFY:
        try:
            return _watch_closings(tree, folders, feed)
        except OSError:
            pass  # no instance left (max_user_instances): the other way is slower, but open
    return _watch_by_looking(tree, sight, folders, feed)


# --- inotify --------------------------------------------------------------------------------------------------------------


def _watch_closings(tree: LocalTree, folders: Sequence[SourcePath], feed: Feed[Notices]) -> None:
    """Raises OSError where inotify cannot be had."""
    reader = NewsReader(folders)
    with feed.hang_up() as hang_up:
        try:
            Watch(tree, Scope(outermost(folders)), lambda block: feed.put(reader.notices(block)), feed.check, hang_up).run()
        except Trouble as trouble:
            raise SourceMissing(f"{shown(tree.path)}: {trouble}") from trouble


# --- watchfiles -----------------------------------------------------------------------------------------------------------


def _watch_by_looking(tree: LocalTree, sight: Sight, folders: Sequence[SourcePath], feed: Feed[Notices]) -> None:
    """One RustNotify after the other: after a name that it cannot decode, or a loop of links, it answers nothing else any more."""
    missed = sight.eyes is Eyes.INOTIFY  # what the other way may have begun to tell
    while True:
        tree.refresh()
        root = tree.path
        with _looking(root, sight.look_every_s) as looker:
            feed.put(Notices(overflow=missed))
            _tell_looks(looker, Changes(tree, root, folders), feed)
        missed = True
        feed.stopped.wait(sight.look_every_s)


@contextmanager
def _looking(root: bytes, every_s: float) -> Iterator[RustNotify]:
    try:
        looker = RustNotify([os.fsdecode(root)], False, True, int(every_s * 1000), True, True)
    except FileNotFoundError as error:
        raise SourceMissing(f"{shown(root)}: {error}") from error
    with looker:
        yield looker


def _tell_looks(looker: RustNotify, changes: Changes, feed: Feed[Notices]) -> None:
    """Returns when it has to be begun anew."""
    while True:
        try:
            seen = looker.watch(GATHER_MS, STEP_MS, changes.patience_ms, feed.stopped)
        except WatchfilesRustInternalError:
            return
        feed.check()
        changes.tree.must_be_there()
        notices = changes.notices(seen if isinstance(seen, set) else set())
        if notices is not None:
            feed.put(notices)


class Changes:
    """What watchfiles saw, as notices. Nobody saw a file closed, so that all are merely found.

    It compares whole seconds of mtime, and so does not see the second of two changes in one second. Therefore what has changed is
    looked at again until it has been quiet for longer than that. What changed in the second in which the watch began is left to the
    listing that a watch begins with: that sees a file which is not settled, and looks again.
    """

    def __init__(self, tree: LocalTree, root: bytes, folders: Sequence[SourcePath]) -> None:
        self.tree = tree
        self._below = root.rstrip(b"/") + b"/"
        self._scope = Scope(outermost(folders))
        self._lately: dict[bytes, tuple[Facts, float]] = {}

    @property
    def patience_ms(self) -> int:
        """How long to wait for news."""
        return AGAIN_MS if self._lately else ROOT_EVERY_MS

    def notices(self, seen: set[tuple[int, str]]) -> Notices | None:
        """None where nothing of it concerns us."""
        changed = {path: change for change, raw in sorted(seen, reverse=True) if (path := self._path(raw)) is not None}
        there = dict(self.tree.looks(sorted({*changed, *self._lately})))
        found = tuple(Entry(SourcePath(path), stat_of(looks)) for path, looks in there.items() if self._is_new(path, looks))
        gone = tuple(SourcePath(path) for path, change in changed.items() if change == Change.deleted and path not in there)
        self._forget(there.keys())
        return Notices(found=found, gone=gone) if found or gone else None

    def _is_new(self, path: bytes, looks: Facts) -> bool:
        told = self._lately.get(path)
        if told is not None and told[0] == looks:
            return False
        self._lately[path] = (looks, time.monotonic() + QUIET_S)
        return True

    def _forget(self, there: Container[bytes]) -> None:
        now_s = time.monotonic()
        self._lately = {path: told for path, told in self._lately.items() if path in there and told[1] > now_s}

    def _path(self, raw: str) -> bytes | None:
        """The path below the root; None for what a listing would not show."""
        path = os.fsencode(raw)
        if not path.startswith(self._below):
            return None
        path = path[len(self._below) :]
        shows = usable(path) and not ASIDE.fullmatch(path.rpartition(b"/")[2]) and self._scope.has(path)
        return path if path and shows and not self.tree.leads_home(path) else None
