"""The destination folder itself: is it there, is it the right one, can it take more?

Everything here blocks; it runs at a desk.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from forged.destination.base import Readiness
from forged.destination.mounts import is_mounted
from forged.destination.place import MARKER, OURS, ROOT, STAGING, Place, open_place, read_marker
from forged.destination.trouble import border
from forged.kit.durable import FOLDER, Folders, NoReplace, fsync_folder, probe, rename_noreplace, write_durably
from forged.model.errors import DestinationError, DestinationMissing, DestinationReadOnly, DiskFull, MarkerMissing
from forged.model.target import HomePolicy

_OURS_MODE = 0o700
"""What waits there is not verified yet; nobody else should serve it or index it."""


_PERHAPS_NEW = "is the right disk mounted? If this folder is a new one: `forgectl release TARGET` of the target that is held"
"""Where the memory of its id was lost."""


class Root:
    """One destination folder, as the target `namespace` uses it."""

    def __init__(self, policy: HomePolicy, namespace: str, min_free_bytes: int) -> None:
        self._policy = policy
        self._path = os.fsencode(policy.dest)
        self._namespace = _folder_name(namespace)
        self._min_free_bytes = min_free_bytes
        self._id: str | None = None
        self._level: NoReplace | None = None
        self._trusted = False
        self._gid = -1

    @property
    def where(self) -> str:
        return str(self._policy.dest)

    def ready(self, known_id: str | None, may_be_new: bool = True) -> Readiness:
        """As the contract says. Writes only the first time and after `doubt`: the disks of a sleeping NAS sleep on."""
        with border(self.where):
            self._gid = _gid(self._policy.group)
            self._check_mounted()
            if known_id is None and may_be_new:
                self._make()
            with self._open(ROOT, self._path) as root:
                if known_id is not None and read_marker(root) != known_id:
                    raise MarkerMissing(f"{self.where}: this is not the folder that files were landed in before")
                if not may_be_new and read_marker(root) is None:
                    raise MarkerMissing(f"{self.where}: no forged has ever landed anything in this folder", hint=_PERHAPS_NEW)
                _check_writable(root, self.where)
                self._id, self._level = self._settle_in(root)
                self.check_free(root)
                return Readiness(self._id, _free_bytes(root), self._level)

    def try_out(self) -> int | None:
        """Whether files could land, with nothing made or written: the bytes that are free. None: it is made at the first sync.

        Raises DestinationError, in the words of `ready`.
        """
        with border(self.where):
            _gid(self._policy.group)
            self._check_mounted()
            there = next(one for one in (self._policy.dest, *self._policy.dest.parents) if os.path.lexists(one))
            with self._open(ROOT, os.fsencode(there)) as folder:
                _check_writable(folder, self.where)
                self.check_free(folder)
                return _free_bytes(folder) if there == self._policy.dest else None

    def believe(self, id: str, level: NoReplace) -> None:
        """What another one that works in the same folder has found: for looking only, since nothing was tried here."""
        self._id, self._level = id, level

    def doubt(self) -> None:
        """Something went wrong: the next `ready` tries everything again."""
        self._trusted = False

    def check_free(self, folder: int) -> None:
        """Raises DiskFull when less than `min_free` is left where this open folder lies."""
        free_bytes = _free_bytes(folder)
        if free_bytes < self._min_free_bytes:
            why = f"{self.where}: {free_bytes:,} bytes free, min_free is {self._min_free_bytes:,}"
            raise DiskFull(why, free_bytes=free_bytes)

    def free_space_bytes(self) -> int:
        """As the contract says."""
        with self.enter() as place:
            return _free_bytes(place.root)

    def room_bytes(self) -> int:
        """As the contract says."""
        with self.enter() as place:
            return max(_free_bytes(place.staging) - self._min_free_bytes, 0)

    def open(self) -> Place:
        """Opens the place, after a look at its marker; who asks closes it. Raises DestinationError."""
        with border(self.where):
            if self._id is None or self._level is None:
                raise DestinationMissing(f"{self.where}: not looked at yet", hint="forged looks at it before each round")
            return open_place(self._path, self._namespace, self._id, self._level)

    @contextmanager
    def enter(self) -> Iterator[Place]:
        """The open place for one piece of work. Raises DestinationError for OSErrors within, too."""
        place = self.open()
        with border(self.where):
            try:
                yield place
            finally:
                place.close()

    def folders(self, place: Place) -> Folders:
        """The owner's folders in this place; `.forged` is none of them."""
        return Folders(place.root, self._policy.dir_mode, self._gid, forbidden=place.ours)

    def dress(self, fd: int, mtime_ns: int) -> None:
        """Gives an open staged file the mtime, mode and group that it keeps under its final name."""
        try:
            os.fchmod(fd, self._policy.file_mode)
            if self._gid != -1:
                os.fchown(fd, -1, self._gid)
        except PermissionError:  # FAT and some shares keep no modes; `ready` has tried the group
            pass
        try:
            os.utime(fd, ns=(mtime_ns, mtime_ns))
        except OverflowError:  # a time that no file system can hold: the file matters more
            pass

    @contextmanager
    def _open(self, flags: int, name: bytes, folder: int | None = None) -> Iterator[int]:
        fd = os.open(name, flags, dir_fd=folder)
        try:
            yield fd
        finally:
            os.close(fd)

    def _check_mounted(self) -> None:
        if self._policy.require_mount and not is_mounted(self._path):
            hint = "mount it; forged goes on by itself, and writes nothing into the empty folder"
            raise DestinationMissing(f"{self.where}: nothing is mounted there, and require_mount is set", hint=hint)

    def _make(self) -> None:
        """On first use the folder may be made, with its parents: nobody can have unmounted what never was."""
        missing = []
        path = os.path.abspath(self._path)
        while not os.path.isdir(path) and not os.path.lexists(path):
            missing.append(os.path.basename(path))
            path = os.path.dirname(path)
        if missing:
            with self._open(ROOT, path) as above:
                with Folders(above, self._policy.dir_mode, self._gid) as folders:
                    folders.open(b"/".join(reversed(missing)), make=True)
                    folders.sync()

    def _settle_in(self, root: int) -> tuple[str, NoReplace]:
        """Makes what is missing of `.forged`, tries the folder out when that is due; answers the marker's id and the level."""
        with Folders(root, _OURS_MODE) as folders:
            staging = folders.open(b"/".join([OURS, STAGING, self._namespace]), make=True)
            if self._level is None or not self._trusted:
                self._check_group(staging)
                self._level = probe(staging)
                self._trusted = True
            made = read_marker(root) or self._make_marker(root, staging, self._level)
            folders.sync()
            return made, self._level

    def _make_marker(self, root: int, staging: int, level: NoReplace) -> str:
        """Two targets may come here at once: the first one's id counts."""
        made = str(uuid.uuid4())
        temporary = b"marker-" + made.encode()
        write_durably(staging, temporary, made.encode() + b"\n")
        with self._open(FOLDER, OURS, root) as ours:
            try:
                rename_noreplace(level, staging, temporary, ours, MARKER)
            except FileExistsError:
                there = read_marker(root)
                if there is not None:
                    os.unlink(temporary, dir_fd=staging)
                    return there
                os.rename(temporary, MARKER, src_dir_fd=staging, dst_dir_fd=ours)  # an empty one, of a crash in mid-making
            fsync_folder(ours)
        return made

    def _check_group(self, staging: int) -> None:
        if self._gid == -1:
            return
        try:
            os.fchown(staging, -1, self._gid)
        except OSError as e:
            hint = "the user that runs forged must be a member of it, and the file system must know groups"
            raise DestinationError(f"{self.where}: files cannot be given to group {self._policy.group!r}", hint=hint) from e


def _gid(group: str | None) -> int:
    """Raises DestinationError when this machine does not know the group."""
    if group is None:
        return -1
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as e:
        raise DestinationError(f"there is no group {group!r} on this machine", hint="`getent group` lists them") from e


def _folder_name(namespace: str) -> bytes:
    """A safe folder name for a target's name, whatever is in it; distinct for distinct names."""
    return quote(namespace, safe="").replace(".", "%2E").encode()


def _check_writable(root: int, where: str) -> None:
    """Cheap signs first; the real try is the probe. Access is asked with the effective rights, as open(2) would."""
    if os.fstatvfs(root).f_flag & os.ST_RDONLY:
        raise DestinationReadOnly(f"{where}: mounted read-only", hint=DestinationReadOnly.of_the_mount)
    if not os.access(b".", os.W_OK | os.X_OK, dir_fd=root, effective_ids=True):
        hint = f"`chown -R {_own_name()}: {shlex.quote(where)}`, as root; on a NAS its own rights count as well"
        raise DestinationReadOnly(f"{where}: no permission to write", hint=hint)


def _own_name() -> str:
    """The user that this process writes as; its number where it has no name (in a container)."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _free_bytes(folder: int) -> int:
    """Bytes free for us. Some FUSE file systems do not tell (no blocks at all): then there is no end in sight."""
    told = os.fstatvfs(folder)
    return told.f_bavail * told.f_frsize if told.f_blocks else sys.maxsize
