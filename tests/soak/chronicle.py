"""Who uses a box and its home, and an independent ledger of both: what forged is held to after each step."""

from __future__ import annotations

import hashlib
import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from forged.destination.memory import MemoryDestination
from forged.destination.memory import MemoryFile as HomeFile
from forged.model.paths import HomePath, SourcePath, home_path, source_path
from forged.model.transfer import Wholeness
from forged.sources.memory_box import MemoryBox, MemoryFile
from tests.soak.versions import unmarked

PATHS = [
    source_path(path)
    for path in (b"1.png", b"2.png", b"a/1.png", b"a/2.png", b"a/b/1.png", b"a/b/2.png", b"c/1.png", b"keep.important", b"log.html")
]
MUTABLE = "*.html"
HALF = b"half"
SIZES = (0, 1, 9, 70_000)
"""The last one is fetched in two pieces."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


NOTHING = sha256(b"")


class Home(MemoryDestination):
    """A home that knows one format: what begins with `half` is cut short."""

    def judged(self, data: bytes) -> Wholeness:
        return Wholeness.BROKEN if data.startswith(HALF) else Wholeness.UNKNOWN


@dataclass
class Box(MemoryBox):
    """A box that tells of each removal by forged in the moment in which it happens. The writer has other ways."""

    chronicle: Chronicle | None = None

    def delete(self, path: bytes) -> None:
        assert self.chronicle is not None
        self.chronicle.removed(source_path(path))
        super().delete(path)


@dataclass
class Chronicle:
    """What is at the box and at home by the deeds of others, and what forged may therefore do."""

    box: Box
    home: Home
    now: dict[SourcePath, bytes] = field(default_factory=dict)
    """What the writer knows to be at the box: path to sha256."""
    ever: dict[bytes, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    at_home: dict[HomePath, bytes] = field(default_factory=dict)
    """All that has ever come home and that its owner has not touched since, or as he left it."""
    buried: dict[bytes, bytes] = field(default_factory=dict)
    """What the owner deleted at home while forged remembered it, and what must not come back: path to sha256."""
    disposed: set[tuple[bytes, bytes]] = field(default_factory=set)
    """(path, sha256) that the owner has deleted or changed at home: whether that is there, is no longer forged's business."""
    unseen: set[tuple[bytes, bytes]] = field(default_factory=set)
    """Of these, what forged could not see in time: done between two of its steps, or of equal size."""
    only_at_home: set[tuple[bytes, bytes]] = field(default_factory=set)
    """(path, sha256) that forged has removed at the box, which has not had it since."""
    may_remove: bool = False
    his_own: set[tuple[bytes, bytes]] = field(default_factory=set)
    """(path, sha256) that the owner put at home himself."""
    memory_was_lost: bool = False
    """Then what the owner deleted at home leaves a name free for what lies beside it: that may come twice."""
    removals: int = 0
    _count: int = 0
    _away: dict[SourcePath, MemoryFile] = field(default_factory=dict)
    _older: dict[SourcePath, bytes] = field(default_factory=dict)

    # --- the writer -------------------------------------------------------------------------------------------------------

    def fresh(self, size: int, beginning: bytes = b"") -> bytes:
        """Content that nobody has had, so that every file can be told from every other."""
        self._count += 1
        return (beginning + b"%07d" % self._count).ljust(size, b".") if size else b""

    def put(self, path: SourcePath, data: bytes, *, in_place: bool = True, same_time: bool = False) -> None:
        known = self.box.files.get(path)
        mtime_ns = known.mtime_ns if known is not None and same_time else None
        if known is not None:
            self._older[path] = known.data
        (self.box.write if in_place else self.box.replace)(path, data, mtime_ns)
        self._wrote(path)

    def _wrote(self, path: SourcePath) -> None:
        self.now[path] = sha256(self.box.files[path].data)
        self.ever[path].add(self.now[path])
        self.only_at_home.discard((bytes(path), self.now[path]))
        if self.buried.get(path) != self.now[path]:
            self.buried.pop(path, None)

    def create(self, path: SourcePath, other: SourcePath, size: int) -> None:
        self.put(path, self.fresh(size))

    def half(self, path: SourcePath, other: SourcePath, size: int) -> None:
        self.put(path, self.fresh(size or 9, HALF))

    def replace(self, path: SourcePath, other: SourcePath, size: int) -> None:
        self.put(path, self.fresh(size), in_place=False)

    def grow(self, path: SourcePath, other: SourcePath, size: int) -> None:
        if path in self.box.files:
            self.put(path, self.box.files[path].data + self.fresh(9))

    def equal_size(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """Other content of the same size and the same mtime: only ctime, or inode, tells."""
        if path in self.box.files and len(self.box.files[path].data) > 8:
            self.put(path, self.fresh(len(self.box.files[path].data)), in_place=size % 2 == 0, same_time=size > 1)

    def revert(self, path: SourcePath, other: SourcePath, size: int) -> None:
        if path in self._older:
            self.put(path, self._older[path], in_place=size % 2 == 0)

    def touch(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """Into the past, into the future, or to just now."""
        if path in self.box.files:
            ahead_ns = {0: -(10**17), 1: 10**16, 9: 0}.get(size, -(10**12))
            self.box.touch(path, self.box.clock_ns + ahead_ns)

    def rename(self, path: SourcePath, other: SourcePath, size: int) -> None:
        if path in self.box.files and path != other:
            self.box.files[other] = self.box.files.pop(path)
            self.box.files[other].ctime_ns = self.box.tick()
            del self.now[path]
            self._wrote(other)

    def delete(self, path: SourcePath, other: SourcePath, size: int) -> None:
        if self.box.files.pop(path, None) is not None:
            del self.now[path]

    def vanish(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """A folder that is not there for a while."""
        folder = path.rpartition(b"/")[0]
        for each in [each for each in self.box.files if each.startswith(folder)]:
            self._away[each] = self.box.files.pop(each)
            del self.now[each]

    def come_back(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """As it was, or restored: then with other inodes."""
        for each, file in self._away.items():
            if each not in self.box.files:
                self.box.files[each] = file if size % 2 else replace(file, inode=file.inode + 10**6, ctime_ns=self.box.tick())
                self._wrote(each)
        self._away.clear()

    def close(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """Its folder, or the file itself, cannot be looked into any more; or can be again."""
        self.box.unreadable ^= {source_path(path.rpartition(b"/")[0] or path)}

    def jump(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """The box's clock is set."""
        self._count += 1
        self.box.clock_ns += {0: -(10**14), 1: 10**14, 9: -(10**10)}.get(size, 10**10) + self._count

    # --- the owner --------------------------------------------------------------------------------------------------------

    def owned(self, path: SourcePath) -> list[HomePath]:
        return sorted(name for name in self.home.files if origin(name) == path)

    def dispose(self, path: SourcePath, other: SourcePath, size: int, *, unseen: bool = True) -> HomePath | None:
        """Deletes at home what came from this path, the last of several."""
        for name in self.owned(path)[-1:]:
            self._touched(path, name, unseen=unseen)
            del self.home.files[name]
            self.at_home.pop(name, None)  # it may have come only a step ago
            return name
        return None

    def edit(self, path: SourcePath, other: SourcePath, size: int, *, unseen: bool = True) -> None:
        """Paints over it."""
        for name in self.owned(path)[:1]:
            before = self.home.files[name]
            data = self.fresh(len(before.data) if size % 2 and len(before.data) > 8 else len(before.data) + 9)
            self._touched(path, name, unseen=unseen or len(data) == len(before.data))
            self.home.files[name] = replace(before, data=data)
            self.at_home[name] = data

    def library(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """Puts a file of his own under a name that forged may want: what the box has, or another."""
        name = home_path(path)
        if name not in self.home.files and not self.owned(path):
            at_box = self.box.files.get(path)
            data = at_box.data if at_box is not None and size % 2 else self.fresh(size)
            self.home.files[name] = HomeFile(data)
            self.at_home[name] = data
            self.his_own.add((bytes(path), sha256(data)))

    def _touched(self, path: SourcePath, name: HomePath, *, unseen: bool) -> None:
        what = (bytes(path), sha256(self.home.files[name].data))
        self.disposed.add(what)
        if unseen:
            self.unseen.add(what)

    # --- forged -----------------------------------------------------------------------------------------------------------

    def removed(self, path: SourcePath) -> None:
        """forged removes this at the box, now."""
        data = self.box.files[path].data
        what = (bytes(path), sha256(data))
        assert self.may_remove, f"{path!r} was removed, and nobody had asked for it"
        assert not data.startswith(HALF), f"{path!r} came home unfinished, and was removed at the box"
        assert not path.endswith(b".important"), f"{path!r} was removed, and is to be preserved"
        assert what in self.came() or what in self.unseen, f"LOST: {path!r} is not home, and was removed at the box"
        del self.now[path]
        self.only_at_home.add(what)
        self.removals += 1

    def came(self) -> Counter[tuple[bytes, bytes]]:
        """What is home, by where it came from."""
        return Counter((origin(name), sha256(file.data)) for name, file in self.home.files.items())

    def reconcile(self) -> None:
        """After forged did something: home has all it had, and nothing new but what may be there."""
        for name, data in self.at_home.items():
            there = self.home.files.get(name)
            assert there is not None, f"{name!r} is not at home any more"
            path = origin(name)
            is_home_alone = (bytes(path), sha256(data)) in self.only_at_home
            goes_on = there.data.startswith(data)  # all that was there is in it: nothing that is home alone is lost
            replaceable = path.endswith(b".html") and sha256(data) in self.ever[path] and (goes_on or not is_home_alone)
            assert there.data == data or replaceable, f"{name!r} was overwritten at home"
        for name in self.home.files.keys() - self.at_home.keys():
            path, hash = origin(name), sha256(self.home.files[name].data)
            assert hash in self.ever[path], f"{name!r} has a content that never was at the box"
            assert self.buried.get(path) != hash, f"{name!r} came back, and its owner had deleted it"
        self.at_home = {name: file.data for name, file in self.home.files.items()}
        excused = {path for path, _ in self.disposed} if self.memory_was_lost else set()
        came = self.came()
        doubles = [(path, hash) for (path, hash), times in came.items() if times > 1 and path not in excused and hash != NOTHING]
        assert not doubles, f"twice at home: {doubles}"

    def not_home(self) -> list[SourcePath]:
        """What is at the box, is not at home, and should be."""
        came = self.came()
        return [path for path, hash in self.now.items() if not came[path, hash] and (path, hash) not in self.disposed]


def origin(name: bytes) -> bytes:
    """The path at the box: a version beside has its name with a mark."""
    return os.fsencode(unmarked(os.fsdecode(name)))
