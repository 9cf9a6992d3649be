"""Looking at a path of an SFTP server without following a symbolic link.

Version 3 has no handle of a folder to go on from, so a path is asked for as a whole: its own kind (LSTAT), and where it really
is (REALPATH), which must be the place that it says. What remains: whoever may write at the box can put a link there between the
look and the step after it. He gains what the account may read or remove anyway; files are looked at again after they were read.
And a server whose REALPATH resolves nothing (OpenSSH's does) does not show that a folder of the path has become a link since the
listing, which never goes through one.
"""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from forged.model.errors import BadPath
from forged.model.files import Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.places import Place
from forged.sources.sftp.wire import Attrs, Code, Refused

if TYPE_CHECKING:
    from forged.sources.sftp.lane import SftpLane

WHAT = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a device",
    stat.S_IFCHR: "a device",
}


class Unfit(Exception):
    """A path shows something else than a regular file (or folder) that can be believed."""

    def __init__(self, kind: ProblemKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def what_it_is(mode: int) -> str:
    """In words, for what is no regular file."""
    return WHAT.get(stat.S_IFMT(mode), "no regular file")


def problem_of(path: bytes, error: Unfit | Refused) -> Problem:
    if isinstance(error, Unfit):
        return Problem(path, error.kind, str(error))
    return Problem(path, ProblemKind.VANISHED if error.code is Code.NO_SUCH_FILE else ProblemKind.UNREADABLE, str(error))


class Look:
    """One look at a path below the root, asked for at once and answered when it is waited for."""

    def __init__(self, lane: SftpLane, path: bytes) -> None:
        self._place = lane.root.at(path)
        self._seen, self._real = lane.lstat(self._place), lane.realpath(self._place)

    async def attrs(self) -> Attrs:
        """Raises Refused, Unfit (LINK): a folder of its path is a link."""
        seen = await self._seen
        if seen.mode is not None and stat.S_ISLNK(seen.mode):
            return seen  # it is asked for itself, not for where it leads
        if await self._real != self._place:
            raise Unfit(ProblemKind.LINK, "a folder of its path is a symbolic link")
        return seen

    async def file(self) -> Stat:
        """Of a regular file. Raises Refused, Unfit (LINK)."""
        seen = await self.attrs()
        if not seen.is_regular:
            raise Unfit(ProblemKind.LINK, "it is " + what_it_is(seen.mode or 0))
        return seen.stat

    async def folder(self) -> None:
        """Raises Refused, Unfit (LINK, VANISHED) unless it is one."""
        seen = await self.attrs()
        if not seen.is_folder:
            is_link = seen.mode is not None and stat.S_ISLNK(seen.mode)
            raise Unfit(ProblemKind.LINK if is_link else ProblemKind.VANISHED, "it is " + what_it_is(seen.mode or 0))

    def forget(self) -> None:
        """Nobody waits for it."""
        self._seen.cancel()
        self._real.cancel()


async def looked(lane: SftpLane, path: bytes) -> Stat | Problem:
    """How a file looks now, as the contract's `look` says."""
    try:
        return await Look(lane, path).file()
    except (Refused, Unfit) as error:
        return problem_of(path, error)


async def placed(lane: SftpLane, folder: bytes) -> Place | Problem:
    """Where this folder really is; SFTP tells no inode."""
    try:
        real = await lane.realpath(folder)
        if real != b"/":
            source_path(real[1:])  # it is kept, shown, and asked for again and again
        if not (await lane.stat(real)).is_folder:
            return Problem(folder, ProblemKind.LINK, "it is no folder")
    except BadPath as error:
        return Problem(folder, ProblemKind.BAD_NAME, error.message)
    except Refused as error:
        if error.code is Code.FAILURE and await _is_link(lane, folder):  # ELOOP has no code of its own
            return Problem(folder, ProblemKind.LINK, "it is a link that leads nowhere")
        return problem_of(folder, error)
    return Place(real)


async def _is_link(lane: SftpLane, path: bytes) -> bool:
    try:
        mode = (await lane.lstat(path)).mode
    except Refused:
        return False
    return mode is not None and stat.S_ISLNK(mode)
