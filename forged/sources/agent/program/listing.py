"""The walk over the tree, in ascending byte order of whole paths.

A folder is looked into once, and what is in it is kept as items that sort as the paths below it do: `name NUL facts` of a file,
`name /` of a folder, `name NUL what it is` of anything else. Going down where a folder's turn comes then yields exactly the order
of whole paths, because two paths differ first inside the names of two siblings. Memory is bounded by the items of the folders on
the way, not by the tree.
"""

import os
import stat
import sys
from bisect import bisect_left
from itertools import islice
from typing import Callable, List, Optional, Sequence, Tuple, Union

from forged.sources.agent.program.blocks import Blocks
from forged.sources.agent.program.line import BAD_NAME, LINK, VANISHED, Trouble
from forged.sources.agent.program.removal import ASIDE, MARK, undone
from forged.sources.agent.program.tree import (
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    Tree,
    entries_of,
    packed,
    trouble_of,
    what_it_is,
)

ENCODING = sys.getfilesystemencoding()
LOOKS_AT_ONCE = 1024  # before it is asked whether anybody still waits: far below a second, also on a network volume


class Found:
    """What is in one folder, `prefix` (its path with a `/` behind it, b"" for the root)."""

    def __init__(self, prefix: bytes) -> None:
        self.prefix = prefix
        self.files: List[bytes] = []
        self.others: List[bytes] = []
        self._passed = 0
        self._left = iter(self.others)

    def add(self, name: bytes, seen: os.stat_result) -> None:
        if stat.S_ISREG(seen.st_mode):
            self.files.append(name + b"\0" + packed(seen))
        elif stat.S_ISDIR(seen.st_mode):
            self.others.append(name + b"/")
        else:
            self.others.append(name + b"\0" + what_it_is(seen.st_mode).encode())

    def sort(self) -> None:
        self.files.sort()
        self.others.sort()
        self._left = iter(self.others)

    def taken(self, begin: bytes) -> List[bytes]:
        """Takes out what begins so; answers the names."""
        taken: List[bytes] = []
        for items in (self.files, self.others):
            these = slice(bisect_left(items, begin), bisect_left(items, begin + b"\xff"))
            taken += items[these]
            del items[these]
        return [item.partition(b"\0")[0].rstrip(b"/") for item in taken]

    def pass_on(self) -> Tuple[Sequence[bytes], Optional[bytes]]:
        """The files up to something else, and that; None when there is nothing else."""
        begin, other = self._passed, next(self._left, None)
        self._passed = len(self.files) if other is None else bisect_left(self.files, other, begin)
        return self.files[begin : self._passed], other


class Walk:
    """One listing. `alive` is called where the work moves on; it may raise Trouble to stop it."""

    def __init__(self, tree: Tree, blocks: Blocks, alive: Callable[[], None]) -> None:
        self._tree, self._blocks, self._alive = tree, blocks, alive

    def below(self, folders: Sequence[bytes]) -> None:
        """Lists what is below each of `folders` (which ascend and do not contain each other), without recursion."""
        for top in folders:
            stack = [self._found(top)]
            while stack:
                here = stack[-1]
                files, other = here.pass_on()
                self._blocks.files(here.prefix, files)
                if other is None:
                    stack.pop()
                elif other.endswith(b"/"):
                    stack.append(self._found(here.prefix + other[:-1]))
                else:
                    name, _, what = other.partition(b"\0")
                    self._blocks.problem(here.prefix + name, Trouble(LINK, "it is " + what.decode()))

    def _found(self, folder: bytes) -> Found:
        self._alive()
        found = Found(folder + b"/" if folder else b"")
        try:
            with self._tree.folder(folder, os.O_RDONLY) as fd:
                try:
                    self._look(fd, found)
                finally:
                    found.sort()  # what was seen before an error is told, too
                self._undo(fd, found)
        except (Trouble, OSError) as error:
            self._trouble(folder, error)
        return found

    def _look(self, fd: int, found: Found) -> None:
        """One look at everything in a folder, without following a link."""
        longest = min(MAX_NAME_BYTES, MAX_PATH_BYTES - len(found.prefix))
        with entries_of(fd) as entries:
            for some in iter(lambda: list(islice(entries, LOOKS_AT_ONCE)), []):
                self._alive()
                for entry in some:
                    name = entry.name.encode(ENCODING, "surrogateescape")  # as os.fsencode does, in a third of its time
                    try:
                        if len(name) > longest:
                            raise Trouble(BAD_NAME, "its path is too long")
                        found.add(name, entry.stat(follow_symlinks=False))
                    except (Trouble, OSError) as error:
                        self._trouble(found.prefix + name, error, gone_is_fine=True)

    def _trouble(self, path: bytes, error: Union[Trouble, OSError], gone_is_fine: bool = False) -> None:
        trouble = error if isinstance(error, Trouble) else trouble_of(error)
        if not (gone_is_fine and trouble.kind == VANISHED):
            self._blocks.problem(path, trouble)

    def _undo(self, fd: int, found: Found) -> None:
        """Restores what an interrupted removal left aside; one in progress is not listed."""
        asides = found.taken(MARK)
        for aside in asides:
            name = undone(fd, aside) if ASIDE.fullmatch(aside) else aside
            if name is not None:
                self._look_at(fd, name, found)
        if asides:
            found.sort()

    def _look_at(self, fd: int, name: bytes, found: Found) -> None:
        try:
            found.add(name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        except OSError as error:
            self._trouble(found.prefix + name, error, gone_is_fine=True)
