"""The walk over the tree, in ascending byte order of whole paths, and its compressed blocks.

A folder's names are sorted with `/` behind the names of folders; going down where a folder's turn comes then yields exactly the
order of whole paths, because two paths differ first inside the names of two siblings. Memory is bounded by the names of the
folders on the way, not by the tree.
"""

import os
import stat
import zlib
from typing import Callable, List, Optional, Sequence, Set

from forged.sources.agent.program.line import BAD_NAME, ENTRY, FACTS, LINK, RECORD, VANISHED, Trouble
from forged.sources.agent.program.removal import ASIDE, undone
from forged.sources.agent.program.tree import Tree, facts, scan, trouble_of, usable, what_it_is

BLOCK_BYTES = 65536  # before compression: about 1,000 files


class Blocks:
    """Collects records and sends them in blocks that are compressed each on its own."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._records = bytearray()
        self._prefix = b""
        self.entries = 0

    def entry(self, prefix: bytes, name: bytes, seen: os.stat_result) -> None:
        """One regular file. `prefix` is its folder with a `/`, left out where the entry before had it too."""
        shared = len(prefix) if prefix == self._prefix else 0
        own = name if shared else prefix + name
        self._prefix = prefix
        self.entries += 1
        self._add(RECORD.pack(ENTRY, shared, len(own)) + own + FACTS.pack(*facts(seen)))

    def problem(self, path: bytes, trouble: Trouble) -> None:
        message = trouble.message()
        self._add(RECORD.pack(trouble.kind, len(path), len(message)) + path + message)

    def _add(self, record: bytes) -> None:
        self._records += record
        if len(self._records) >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._records:
            self._send(zlib.compress(bytes(self._records), 1))
        self._records = bytearray()
        self._prefix = b""


class Walk:
    """One listing. `alive` is called where the work moves on; it may raise Trouble to stop it."""

    def __init__(self, tree: Tree, blocks: Blocks, alive: Callable[[], None]) -> None:
        self._tree, self._blocks, self._alive = tree, blocks, alive

    def below(self, folders: Sequence[bytes]) -> None:
        """Lists what is below each of `folders` (which ascend and do not contain each other), without recursion."""
        for top in folders:
            stack = [(top, self._names(top))]
            while stack:
                folder, names = stack[-1]
                inner = self._files(folder, names) if names else None
                if inner is None:
                    stack.pop()
                else:
                    stack.append((inner, self._names(inner)))

    def _names(self, folder: bytes) -> List[bytes]:
        """What is in a folder, in descending order, so that the next one is taken from the end."""
        self._alive()
        names: Set[bytes] = set()
        try:
            with self._tree.folder(folder, os.O_RDONLY) as fd:
                scan(fd, names)
                self._undo(fd, names)
        except (Trouble, OSError) as error:
            self._blocks.problem(folder, error if isinstance(error, Trouble) else trouble_of(error))
        return sorted(names, reverse=True)

    def _undo(self, fd: int, names: Set[bytes]) -> None:
        """Restores what an interrupted removal left aside; one in progress is not listed."""
        for aside in [name for name in names if ASIDE.fullmatch(name.rstrip(b"/"))]:
            name = undone(fd, aside.rstrip(b"/"))
            if name != aside.rstrip(b"/"):
                names.discard(aside)
                names.update({name} if name else ())

    def _files(self, folder: bytes, names: List[bytes]) -> Optional[bytes]:
        """Lists files of `folder` until a folder's turn comes, which is answered; None when there is no more."""
        prefix = folder + b"/" if folder else b""
        try:
            with self._tree.folder(folder) as fd:
                while names:
                    name = names.pop()
                    if not usable(prefix + name.rstrip(b"/")):
                        self._blocks.problem(prefix + name.rstrip(b"/"), Trouble(BAD_NAME, "its path is too long"))
                    elif name.endswith(b"/"):
                        return prefix + name[:-1]
                    else:
                        self._file(fd, prefix, name)
        except (Trouble, OSError) as error:
            self._blocks.problem(folder, error if isinstance(error, Trouble) else trouble_of(error))
        return None

    def _file(self, fd: int, prefix: bytes, name: bytes) -> None:
        try:
            seen = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            trouble = trouble_of(error)
            if trouble.kind != VANISHED:
                self._blocks.problem(prefix + name, trouble)
            return
        if stat.S_ISREG(seen.st_mode):
            self._blocks.entry(prefix, name, seen)
        else:
            self._blocks.problem(prefix + name, Trouble(LINK, "it is " + what_it_is(seen.st_mode)))
