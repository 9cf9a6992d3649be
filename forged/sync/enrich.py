"""Enrich: what a file at home holds. From the queue to what is remembered of it, a sidecar, a thumbnail, shared bytes.

A file stays in the queue until all of that is done (`finish`), and each step may be repeated: so a crash between any two of them is
healed by doing all of it again. Only sharing bytes comes after, since the first of two equal files has to be remembered first; till
then it is owed, as is a sidecar where exiftool is missing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from msgspec.structs import replace

from forged.destination.base import Closed, Destination, HomeFile, LinkMode
from forged.kit.clock import Clock
from forged.kit.tasks import to_the_end
from forged.media.base import Examiner, Found, Opened, Wanted
from forged.model.errors import ForgedError
from forged.model.events import NewEvent
from forged.model.manifest import ManifestName
from forged.model.media import Copy, Examined, Known, MediaInfo, MediaKind, Owed, ToExamine
from forged.model.observer import ExamineResult, FilesExamined, Observer
from forged.model.paths import SourcePath, shown
from forged.model.sidecars import Sidecars
from forged.model.target import DuplicatesMode, Target
from forged.rules import media
from forged.rules.selection import Selector
from forged.store.base import Store
from forged.sync.publish import Takers, file_synced
from forged.sync.sidecar import SidecarDone, keep_sidecar

PAGE_ROWS = 1_000
"""Files that are queued anew in one go."""

MOST_LATE = 16
"""Looked at when the first of equal files is known at last: more than there are workers."""

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


async def enrich(rooms: Rooms, file: ToExamine) -> None:
    """One file's whole way. Raises ForgedError when it is not the file's fault: then it waits on as if it had not been tried, as it
    does when we are cancelled."""
    if file.tries >= media.MOST_TRIES:
        why = f"looking into it was begun {file.tries} times and never ended"
        return await _end(rooms, file, _nothing(why), ExamineResult.GIVEN_UP)
    opened = await rooms.destination.open(file.home)
    if not isinstance(opened, HomeFile):
        return await _not_there(rooms, file, opened)
    try:
        if opened.look.size_bytes != file.size_bytes:
            return await _end(rooms, file, _nothing("it was changed at home since it landed"), ExamineResult.CHANGED)
        await rooms.store.media.begun([file])
        try:
            await _look_into(rooms, file, opened)
        except (ForgedError, asyncio.CancelledError):
            await to_the_end(rooms.store.media.put_back([file]))
            raise
    finally:
        os.close(opened.fd)


async def _not_there(rooms: Rooms, file: ToExamine, seen: Closed | None) -> None:
    if seen is None:
        await rooms.store.media.drop([file])
        return rooms.observer.notice(FilesExamined(rooms.target.name, MediaKind.OTHER, ExamineResult.GONE))
    return await _end(rooms, file, _nothing("its folder at home is closed to us"), ExamineResult.CHANGED)


async def _look_into(rooms: Rooms, file: ToExamine, opened: HomeFile) -> None:
    found = await _found(rooms, file, opened)
    info, policy = found.info, rooms.target.media
    if found.thumbnail is not None:
        await rooms.destination.put_thumbnail(file.sha256, found.thumbnail)
    owes: set[Owed] = set()
    if media.wants_sidecar(policy, info):
        done = await keep_sidecar(rooms.destination, rooms.sidecars, rooms.target.name, file, info)
        owes |= {Owed.SIDECAR} if done.later else set()
        info = _with_problem(info, done)
    row = await rooms.store.manifest.homes(file.manifest, file.path, file.sha256)
    if media.wants_link(policy, rooms.selector.is_mutable(file.path), row is None or row.incomplete):
        owes.add(Owed.LINK)
    result = ExamineResult.PROBLEM if info.problems else ExamineResult.DONE
    await _end(rooms, file, info, result, frozenset(owes))
    if Owed.LINK in owes:
        await share(rooms, Known(file.manifest, file.path, file.home, file.sha256, 0, frozenset(), info))


async def _found(rooms: Rooms, file: ToExamine, opened: HomeFile) -> Found:
    wanted = media.wishes(rooms.target.media)
    with ExitStack() as stack:
        beside = []
        for companion in await _companions(rooms, file.path):
            stack.callback(os.close, companion.fd)
            beside.append(companion)
        mine = Opened(_name(file.home), opened.fd, opened.look.size_bytes)
        return await rooms.examiner.examine(mine, beside, Wanted(wanted.metadata, wanted.thumbnail, wanted.likeness))


async def _companions(rooms: Rooms, path: SourcePath) -> list[Opened]:
    """What lies beside it at home and says more of it, open. Who asked closes it."""
    names = media.told_by(rooms.target.type, path)
    rows = await rooms.store.manifest.current(rooms.target.manifest, names) if names else ()
    opened: list[Opened] = []
    try:
        for row in rows:
            home = await rooms.destination.open(row.home) if row is not None else None
            if row is not None and isinstance(home, HomeFile):
                opened.append(Opened(_name(row.home), home.fd, home.look.size_bytes))
    except BaseException:
        for one in opened:
            os.close(one.fd)
        raise
    return opened


async def _end(rooms: Rooms, file: ToExamine, info: MediaInfo, result: ExamineResult, owes: frozenset[Owed] = frozenset()) -> None:
    await rooms.store.media.finish([Examined(file, info, rooms.clock.now_ns(), owes)], await _events(rooms, file, info))
    rooms.observer.notice(FilesExamined(rooms.target.name, info.kind, result))


async def _events(rooms: Rooms, file: ToExamine, info: MediaInfo) -> list[NewEvent]:
    """That it is home, with what was found in it; none where its version was forgotten meanwhile, or nobody takes events."""
    if not rooms.takers.anybody():
        return []
    row = await rooms.store.manifest.homes(file.manifest, file.path, file.sha256)
    if row is None:
        return []
    again = await rooms.store.media.info(file.manifest, file.path) is not None
    discovery = rooms.takers.discovery
    return [file_synced(rooms.target, row, rooms.clock.now_ns(), media=info, discovery=discovery, again=again)]


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
        stat = row.stat
        file = ToExamine(known.manifest, known.path, known.sha256, known.home, stat.size_bytes, stat.mtime_ns, 0)
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


def _nothing(why: str) -> MediaInfo:
    return MediaInfo(MediaKind.OTHER, "", problems=(why,))


def _name(home: bytes) -> str:
    return shown(home.rpartition(b"/")[2])
