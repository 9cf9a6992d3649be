"""Enrich: what a file at home holds, a thumbnail, a sidecar; and, once that is remembered, shared bytes.

A file stays in the queue until all of that is done and remembered (`underway`), and each step may be repeated: so a crash between
any two of them is healed by doing all of it again. Only sharing bytes comes after, since the first of two equal files has to be
remembered first; till then it is owed, as is a sidecar where exiftool is missing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from msgspec.structs import replace

from forged.destination.base import Destination, HomeFile, LinkMode
from forged.kit.clock import Clock
from forged.media.base import Examiner, Found, Opened, Wanted
from forged.model.manifest import ManifestName, ManifestRow
from forged.model.media import Copy, Examined, Known, MediaInfo, MediaKind, Owed, ToExamine
from forged.model.observer import ExamineResult, Observer
from forged.model.paths import shown
from forged.model.sidecars import Sidecars
from forged.model.target import DuplicatesMode, Target
from forged.rules import media
from forged.rules.selection import Selector
from forged.store.base import Store
from forged.sync.publish import Takers
from forged.sync.sidecar import SidecarDone, keep_sidecar

PAGE_ROWS = 1_000
"""Files that are queued anew in one go."""

MOST_LATE = 100
"""Looked at when the first of equal files is known at last: more than are looked into between two pages of the queue."""

_LINK_MODES = {DuplicatesMode.REFLINK: LinkMode.REFLINK, DuplicatesMode.HARDLINK: LinkMode.HARDLINK}


@dataclass(frozen=True, slots=True)
class Rooms:
    """The world of one target, as far as its media are concerned. `sidecars` None: this forged can make none."""

    target: Target
    selector: Selector
    destination: Destination
    store: Store
    examiner: Examiner
    sidecars: Sidecars | None
    observer: Observer
    clock: Clock
    neighbours: Callable[[], Sequence[ManifestName]]
    """The manifests, this one among them, whose files lie in the same destination folder."""
    takers: Takers = field(default_factory=Takers)


@dataclass(frozen=True, slots=True)
class Looked:
    """One file, and what came of it. `examined` None: it is not at home any more."""

    file: ToExamine
    examined: Examined | None
    result: ExamineResult

    @property
    def kind(self) -> MediaKind:
        return self.examined.info.kind if self.examined is not None else MediaKind.OTHER


async def enrich(rooms: Rooms, file: ToExamine, beside: Sequence[ManifestRow]) -> Looked:
    """One file's whole way, but for remembering it. `beside`: what has landed that may say more of it.

    Raises ForgedError when it is not the file's fault.
    """
    if file.tries >= media.MOST_TRIES:
        why = f"looking into it was begun {file.tries} times and never ended"
        return _unread(rooms, file, why, ExamineResult.GIVEN_UP)
    opened = await rooms.destination.open(file.home)
    if opened is None:
        return Looked(file, None, ExamineResult.GONE)
    if not isinstance(opened, HomeFile):
        return _unread(rooms, file, "its folder at home is closed to us", ExamineResult.CHANGED)
    with ExitStack() as stack:
        stack.callback(os.close, opened.fd)
        if opened.look.size_bytes != file.row.stat.size_bytes:
            return _unread(rooms, file, "it was changed at home since it landed", ExamineResult.CHANGED)
        mine = Opened(_name(file.home), opened.fd, opened.look.size_bytes)
        wanted = media.wishes(rooms.target.media)
        companions = await _companions(rooms, beside, stack)
        found = await rooms.examiner.examine(mine, companions, Wanted(wanted.metadata, wanted.thumbnail, wanted.likeness))
    return await _kept(rooms, file, found)


async def _companions(rooms: Rooms, beside: Sequence[ManifestRow], stack: ExitStack) -> list[Opened]:
    """What lies beside it at home and says more of it, open until the stack is left."""
    opened: list[Opened] = []
    for row in beside:
        home = await rooms.destination.open(row.home)
        if isinstance(home, HomeFile):
            stack.callback(os.close, home.fd)
            opened.append(Opened(_name(row.home), home.fd, home.look.size_bytes))
    return opened


async def _kept(rooms: Rooms, file: ToExamine, found: Found) -> Looked:
    """Puts beside it what belongs there."""
    info, policy = found.info, rooms.target.media
    if found.thumbnail is not None:
        await rooms.destination.put_thumbnail(file.sha256, found.thumbnail)
    owes: set[Owed] = set()
    if media.wants_sidecar(policy, info):
        done = await keep_sidecar(rooms.destination, rooms.sidecars, rooms.target.name, file, info)
        owes |= {Owed.SIDECAR} if done.later else set()
        info = _with_problem(info, done)
    if media.wants_link(policy, rooms.selector.is_mutable(file.path), file.row.incomplete):
        owes.add(Owed.LINK)
    result = ExamineResult.PROBLEM if info.problems else ExamineResult.DONE
    return Looked(file, Examined(file, info, rooms.clock.now_ns(), frozenset(owes)), result)


def _unread(rooms: Rooms, file: ToExamine, why: str, result: ExamineResult) -> Looked:
    info = MediaInfo(MediaKind.OTHER, "", problems=(why,))
    return Looked(file, Examined(file, info, rooms.clock.now_ns()), result)


async def share(rooms: Rooms, known: Known) -> None:
    """Lets a file share the bytes of the first one with its content. What cannot be shared is paid as well."""
    mode = _LINK_MODES.get(rooms.target.media.duplicates)
    firsts = await rooms.store.copies.firsts(known.sha256, rooms.neighbours())
    first = media.first(firsts)
    if mode is not None and first is not None:
        late = await _late(rooms, first, firsts) if first.home == known.home else ()
        for home in [known.home, *(copy.home for copy in late)]:
            if home != first.home:
                await rooms.destination.link(first.home, home, known.sha256, mode)
    await rooms.store.media.paid([known], Owed.LINK)


async def _late(rooms: Rooms, first: Copy, firsts: Sequence[Copy]) -> list[Copy]:
    """Copies that landed after the first, and yet were looked into before it, by another worker at the same time: so they found no
    other one. They are among those that come right after it."""
    after = await rooms.store.copies.copies(first.sha256, first, MOST_LATE)
    mutable = rooms.selector.is_mutable
    return [copy for copy in (*after, *firsts) if copy.manifest in rooms.neighbours() and not mutable(copy.path)]


async def follow_sidecar(rooms: Rooms, known: Known) -> bool:
    """A sidecar that is owed. False: it cannot be made now either."""
    row = await rooms.store.manifest.homes(known.manifest, known.path, known.sha256)
    if row is not None and row.tombstone_at_ns is None:
        file = ToExamine(known.manifest, row, row.landed_at_ns)
        done = await keep_sidecar(rooms.destination, rooms.sidecars, rooms.target.name, file, known.info)
        if done.later:
            return False
    await rooms.store.media.paid([known], Owed.SIDECAR)
    return True


async def rerun(rooms: Rooms) -> int:
    """Queues all that is home to be looked into anew; answers how many. Cut off, it has queued a part: run it again."""
    queued, after = 0, None
    while rows := await rooms.store.manifest.between(rooms.target.manifest, after, None, PAGE_ROWS):
        after = rows[-1].path
        paths = [row.path for row in rows if media.is_examined(rooms.target.media, row.path, row.stat.size_bytes)]
        queued += await rooms.store.media.queue(rooms.target.manifest, paths, rooms.clock.now_ns())
    return queued


def _with_problem(info: MediaInfo, done: SidecarDone) -> MediaInfo:
    return replace(info, problems=(*info.problems, f"sidecar: {done.why}")) if done.why and not done.later else info


def _name(home: bytes) -> str:
    return shown(home.rpartition(b"/")[2])
