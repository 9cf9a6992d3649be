"""Cleanup, beside the rounds: frees the rented disk.

Rows old enough are looked at on both ends once more, and only what is proven is removed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from forged.destination.base import HomeLook
from forged.model.errors import ForgedError, NotSupported
from forged.model.files import Entry, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.observer import CleanupEnded, FilesRemoved
from forged.model.paths import SourcePath
from forged.model.removal import KeptBecause, Removable, Removed
from forged.model.target import CleanupPolicy
from forged.rules import retention
from forged.rules.companions import companions
from forged.rules.selection import Preserved, folder_path
from forged.rules.series import Newest
from forged.sync.doors import Doors
from forged.sync.handed import not_taken
from forged.sync.home import ready
from forged.sync.publish import file_removed

Removal = Callable[[Sequence[Removable]], Awaitable[Sequence[Removed]]]

PAGE_ROWS = 1_024
"""Rows judged at a time: one look at each end for all of them."""

MOST_KEPT = 10_000
"""Kept files that are named with their reason; all are counted."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that stays at the source, and why."""

    path: SourcePath
    why: KeptBecause
    message: str = ""


@dataclass(slots=True)
class CleanupResult:
    """What went (with `dry_run`: would go), and what stayed."""

    dry_run: bool
    removed: list[ManifestRow] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    folders: list[SourcePath] = field(default_factory=list)
    """Folders that went because this run had emptied them."""
    kept_count: Counter[KeptBecause] = field(default_factory=Counter)
    error: ForgedError | None = None

    @property
    def freed_bytes(self) -> int:
        return sum(row.stat.size_bytes for row in self.removed)

    def keep(self, path: SourcePath, why: KeptBecause, message: str = "") -> None:
        self.kept_count[why] += 1
        if len(self.kept) < MOST_KEPT:
            self.kept.append(Kept(path, why, message))


async def run_cleanup(doors: Doors, policy: CleanupPolicy, *, dry_run: bool) -> CleanupResult:
    """One run over one target whose source is open: at most `max_files_per_batch` removals.

    Never raises for what can go wrong outside: that is in the result, and what was removed before it stays remembered.
    """
    result = CleanupResult(dry_run)
    try:
        removal = _removal(doors, policy)
        await ready(doors)
        circumstances = await _circumstances(doors, policy)
        async for rows in _pages(doors):
            await _clean(doors, policy, removal, circumstances, rows, result)
        if policy.remove_empty_dirs and not dry_run and result.removed:
            result.folders = list(await doors.source.remove_empty_folders(emptied(result.removed, doors.target.selection.folders)))
    except ForgedError as error:
        result.error = error
    doors.observer.notice(CleanupEnded(doors.target.name, result.removed, result.kept_count, dry_run))
    return result


def _removal(doors: Doors, policy: CleanupPolicy) -> Removal:
    """How files are removed here. Raises NotSupported where that has a risk, and the owner did not accept it."""
    can = doors.source.capabilities
    if can.guarded_removal:
        return doors.source.remove
    if can.unguarded_removal and policy.unguarded:
        return doors.source.remove_unguarded
    hint = "install python3 (3.6 or newer) on it: forged's agent removes under guard"
    if can.unguarded_removal:
        hint += "; or, where nobody else writes to old files: unguarded = true"
    raise NotSupported("this source cannot remove a file without the risk of removing another", hint=hint)


async def _circumstances(doors: Doors, policy: CleanupPolicy) -> retention.Circumstances:
    newest = Newest()
    async for rows in _pages(doors):
        newest.see(row.path for row in rows)
    return retention.Circumstances(
        age_s=policy.age_s,
        source_now_ns=await doors.source.clock_ns(),
        home_now_ns=doors.clock.now_ns(),
        preserved=Preserved(policy.preserve).matches,
        newest_of_series=newest.includes,
        held=await doors.store.flags.hold(doors.target.manifest) is not None,
    )


async def _pages(doors: Doors) -> AsyncIterator[Sequence[ManifestRow]]:
    """All current rows of files that are at the source, page by page."""
    after: SourcePath | None = None
    while rows := await doors.store.manifest.between(doors.target.manifest, after, None, PAGE_ROWS):
        after = rows[-1].path
        yield [row for row in rows if row.at_source is AtSource.PRESENT]


async def _clean(
    doors: Doors,
    policy: CleanupPolicy,
    removal: Removal,
    circumstances: retention.Circumstances,
    rows: Sequence[ManifestRow],
    result: CleanupResult,
) -> None:
    """One page: the cheap questions, then what handlers have taken, then a look at both ends, then the removal."""
    old: list[ManifestRow] = []
    for row in rows:
        doubt = retention.first_doubt(row, circumstances)
        if doubt is None:
            old.append(row)
        else:
            result.keep(row.path, doubt)
    room = policy.max_files_per_batch - len(result.removed)
    taken = await _taken(doors, old, result) if room else old
    for row in taken[room:]:
        result.keep(row.path, KeptBecause.BATCH_FULL)
    candidates = taken[:room]
    removables = await _judged(doors, policy, candidates, result)
    if result.dry_run:
        result.removed += [removable.row for removable in removables]
    elif removables:
        await _remove(doors, removal, removables, result)


async def _taken(doors: Doors, rows: Sequence[ManifestRow], result: CleanupResult) -> list[ManifestRow]:
    """Those that every required ingest has taken; the others are kept with the reason."""
    missing = await not_taken(doors, rows)
    for path, why in missing.items():
        result.keep(path, KeptBecause.NOT_INGESTED, why)
    return [row for row in rows if row.path not in missing]


async def _judged(doors: Doors, policy: CleanupPolicy, candidates: Sequence[ManifestRow], result: CleanupResult) -> list[Removable]:
    """Looks at both ends; what is not beyond doubt is kept with its reason."""
    sources = await doors.source.look([row.path for row in candidates])
    homes = await _at_home(doors, candidates, policy.rehash)
    waiting = await _waiting_for_companions(doors, candidates)
    removables = []
    for row, source, home in zip(candidates, sources, homes, strict=True):
        verdict = retention.judge(row, source, home, companion_to_come=row.path in waiting)
        if isinstance(verdict, Removable):
            removables.append(verdict)
        else:
            result.keep(row.path, verdict)
    return removables


async def _waiting_for_companions(doors: Doors, rows: Sequence[ManifestRow]) -> frozenset[SourcePath]:
    """Those that belong together with a file which is at the source and wanted, and not home."""
    groups = {row.path: companions(doors.target.type, row.path) for row in rows}
    others = [path for path in sorted(set(chain.from_iterable(groups.values()))) if doors.selector.selects(path)]
    looks = zip(others, await doors.source.look(others), strict=True)
    there = [(path, look) for path, look in looks if not (isinstance(look, Stat) and _is_too_large(doors, path, look))]
    known = await doors.store.manifest.current(doors.target.manifest, [path for path, _ in there])
    to_come = {path for (path, look), row in zip(there, known, strict=True) if retention.is_to_come(look, row)}
    return frozenset(path for path, group in groups.items() if not to_come.isdisjoint(group))


def _is_too_large(doors: Doors, path: SourcePath, stat: Stat) -> bool:
    return doors.selector.is_too_large(Entry(path, stat))


async def _at_home(doors: Doors, rows: Sequence[ManifestRow], rehash: bool) -> list[retention.AtHome | None]:
    looks = await doors.destination.look([row.home for row in rows])
    answers: list[retention.AtHome | None] = []
    for row, look in zip(rows, looks, strict=True):
        if not isinstance(look, HomeLook):
            answers.append(None)
            continue
        sha256 = await doors.destination.hash(row.home) if rehash else None
        unreadable = rehash and sha256 is None
        answers.append(None if unreadable else retention.AtHome(look.size_bytes, sha256))
    return answers


async def _remove(doors: Doors, removal: Removal, removables: Sequence[Removable], result: CleanupResult) -> None:
    """The manifest remembers, the source removes and tells.

    In this order, since the answer may be lost: what is then gone would count as vanished, and many at once would hold the target.
    What is still there, the next look at everything finds to be back.
    """
    rows = {removable.row.path: removable.row for removable in removables}
    await doors.store.manifest.mark(doors.target.manifest, list(rows), AtSource.REMOVED)
    answers = await removal(removables)
    there: list[SourcePath] = []
    gone: list[ManifestRow] = []
    for answer in answers:
        if answer.kept is None:
            gone.append(rows[answer.path])
        else:
            result.keep(answer.path, answer.kept, answer.message)
            there.append(answer.path)
    await doors.store.manifest.mark(doors.target.manifest, there, AtSource.PRESENT)
    result.removed += gone
    await _tell(doors, gone)


async def _tell(doors: Doors, gone: Sequence[ManifestRow]) -> None:
    """With the row's last word. A crash before the source's answer leaves a removal untold: nothing needs the event to be safe."""
    if gone and doors.takers.anybody():
        now_ns = doors.clock.now_ns()
        events = [file_removed(doors.target, row, now_ns, discovery=doors.takers.discovery) for row in gone]
        await doors.store.manifest.mark(doors.target.manifest, [row.path for row in gone], AtSource.REMOVED, events)
        doors.observer.notice(FilesRemoved(doors.target.name, len(gone)))


def emptied(removed: Sequence[ManifestRow], configured: Sequence[str]) -> list[SourcePath]:
    """The folders that may be empty now: those of removed files and the ones above, but never a configured one or one above it."""
    wanted = [folder_path(folder) for folder in configured]
    above: set[bytes] = set()
    for row in removed:
        parts = row.path.split(b"/")[:-1]
        above.update(b"/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    stay = {folder for folder in above if any(want == folder or want.startswith(folder + b"/") for want in wanted)}
    return [SourcePath(folder) for folder in sorted(above - stay, reverse=True)]
