"""The watch: which folders are watched, and what their events mean.

A folder is watched first and looked into afterwards, so that whatever happens meanwhile is seen or told by the kernel, or both.
When the kernel's queue ran over, all is begun anew, and then the client is told that it missed something.
"""

import os
import select
import time
from typing import Callable, Dict, List, NoReturn, Optional, Sequence, Set

from forged.sources.agent.program import inotify
from forged.sources.agent.program.inotify import CLOSE_WRITE, CREATE, DELETE, ISDIR, MOVED_FROM, MOVED_TO, Inotify
from forged.sources.agent.program.line import VANISHED, Trouble
from forged.sources.agent.program.news import News
from forged.sources.agent.program.removal import ASIDE
from forged.sources.agent.program.tree import Tree, scan, usable

EVENTS = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE
ROOT_EVENTS = MOVED_FROM | MOVED_TO | DELETE  # of the folder that the root is in
LINGER_S = 0.001  # what comes within this time is told at once: a file that is closed, then renamed into place, is one notice


class Scope:
    """What is watched: all, or what is below some folders. Folders on the way there are watched, too: the others may come later."""

    def __init__(self, folders: Sequence[bytes]) -> None:
        self._tops = tuple(folder + b"/" for folder in folders) or (b"",)

    def has(self, path: bytes) -> bool:
        return path.startswith(self._tops)

    def leads(self, folder: bytes) -> bool:
        inside = folder + b"/" if folder else b""
        return any(inside.startswith(top) or top.startswith(inside) for top in self._tops)


class Watch:
    """One watch. `send` tells a block of news and may wait; `alive` is called where work moves on and may raise, to stop it;
    `hang_up` is a descriptor that becomes readable when `alive` would raise."""

    def __init__(self, tree: Tree, scope: Scope, send: Callable[[bytes], None], alive: Callable[[], None], hang_up: int) -> None:
        self._tree, self._scope, self._send, self._alive, self._hang_up = tree, scope, send, alive, hang_up
        self._news = News()
        self._folders: Dict[int, bytes] = {}
        self._above = -1
        self._root_name = b""
        self._overflow = False

    def run(self) -> NoReturn:
        """Tells what happens until `alive` raises. Raises Trouble when the root goes missing, OSError when it cannot watch."""
        while True:
            with Inotify() as kernel:
                self._kernel = kernel
                self._begin()
                self._tell()
                self._listen()
            self._news.missed = True

    # --- which folders are watched ----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self._tree.refresh()
        self._folders, self._news.unwatched, self._overflow = {}, 0, False
        self._watch_above()
        self._add(b"", lambda path: None)
        self._tree.must_be_there()

    def _watch_above(self) -> None:
        """The root itself is held open, and so its deletion is told only by the folder that it is in, if that may be read."""
        self._above = -1
        above, self._root_name = os.path.split(self._tree.path)
        if self._root_name:
            try:
                fd = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                return
            try:
                self._above = self._watched(fd, ROOT_EVENTS)
            finally:
                os.close(fd)

    def _watched(self, fd: int, events: int) -> int:
        """The number of a folder's watch; -1 where the limit of the box is reached, or the folder may not be read."""
        try:
            return self._kernel.add(fd, events)
        except OSError as error:
            self._news.unwatched += error.errno == inotify.LIMIT
            return -1

    def _add(self, top: bytes, seen: Callable[[bytes], None]) -> None:
        """Watches a folder and those below it. `seen` hears of the files that are in them already."""
        stack = [top]
        while stack:
            self._alive()
            folder = stack.pop()
            for path in self._entered(folder):
                if path.endswith(b"/"):
                    stack.append(path[:-1])
                elif self._scope.has(path):
                    seen(path)

    def _entered(self, folder: bytes) -> List[bytes]:
        """Watches one folder; what is in it. Nothing where it was watched before, is out of scope, or cannot be looked into."""
        names: Set[bytes] = set()
        try:
            if self._scope.leads(folder):
                with self._tree.folder(folder, os.O_RDONLY) as fd:
                    if self._is_new(folder, self._watched(fd, EVENTS)):
                        scan(fd, names)
        except (Trouble, OSError):
            pass  # a listing tells what is wrong with it
        paths = [self._path(folder, name) for name in names]
        return [path for path in paths if path is not None]

    def _is_new(self, folder: bytes, watch: int) -> bool:
        if watch < 0:
            return True
        known, self._folders[watch] = self._folders.get(watch), folder
        return known != folder

    def _path(self, folder: bytes, name: bytes) -> Optional[bytes]:
        """The path of something in a folder; None where a listing would not show it."""
        path = folder + b"/" + name if folder else name
        return path if usable(path.rstrip(b"/")) and not ASIDE.fullmatch(name.rstrip(b"/")) else None

    def _drop(self, top: bytes) -> None:
        """A folder was moved away, and those below it with it. Which files were in it, nobody knows here."""
        self._news.missed = True
        for watch, folder in list(self._folders.items()):
            if (folder + b"/").startswith(top + b"/"):
                del self._folders[watch]
                self._kernel.forget(watch)

    # --- what happens in them ---------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """Hears and tells; returns when the kernel's queue ran over."""
        poll = select.poll()
        poll.register(self._kernel.fd, select.POLLIN)
        poll.register(self._hang_up, select.POLLIN)
        while not self._overflow:
            ready = dict(poll.poll(self._news.patience_ms()))
            if self._hang_up in ready:
                self._alive()
            if self._kernel.fd in ready:
                time.sleep(LINGER_S)
                for event in self._kernel.read():
                    self._take(*event)
            self._tell()

    def _tell(self) -> None:
        for block in self._news.blocks(self._tree):
            self._send(block)

    def _take(self, watch: int, mask: int, name: bytes) -> None:
        folder = self._folders.get(watch)
        if mask & inotify.OVERFLOW:
            self._overflow = True
        elif watch == self._above and name == self._root_name:
            raise Trouble(VANISHED, "the folder was moved, replaced or deleted")
        elif folder is not None and mask & (inotify.IGNORED | inotify.UNMOUNT):
            self._lose(watch, mask)
        elif folder is not None:
            path = self._path(folder, name)
            if path is not None:
                (self._folder_happened if mask & ISDIR else self._file_happened)(path, mask)

    def _lose(self, watch: int, mask: int) -> None:
        """A folder is gone; the kernel has told before what was in it, except when its file system was unmounted."""
        if self._folders.pop(watch) == b"":
            raise Trouble(VANISHED, "the folder is gone")
        self._news.missed |= bool(mask & inotify.UNMOUNT)

    def _folder_happened(self, path: bytes, mask: int) -> None:
        if mask & (CREATE | MOVED_TO):
            self._add(path, self._news.seen)
        elif mask & MOVED_FROM and self._scope.leads(path):
            self._drop(path)

    def _file_happened(self, path: bytes, mask: int) -> None:
        if not self._scope.has(path):
            return
        if mask & (CLOSE_WRITE | MOVED_TO):
            self._news.closed(path)
        elif mask & (DELETE | MOVED_FROM):
            self._news.gone(path)
        else:
            self._news.seen(path)
