"""The order of things: one round over one target, from the first look to the last note. Only this module knows the order.

The path of a changed file, top to bottom: scan (list, compare) > sift (settled? other content?) > adopt (already home?) > transfer
(bytes, proof) > land (final name, durable) > remember (manifest row). The stages overlap; each holds a bounded number of files.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace

from forged.kit.flow import line
from forged.model.errors import ForgedError
from forged.model.files import Entry, Stat
from forged.model.jobs import Job, JobStatus
from forged.model.manifest import AtSource, Hold
from forged.model.paths import SourcePath
from forged.model.plan import Change
from forged.rules import safety
from forged.sync.adopt import Adoption
from forged.sync.doors import Doors
from forged.sync.home import note_trouble, ready
from forged.sync.land import Land
from forged.sync.looks import Looks
from forged.sync.remember import remembered
from forged.sync.scan import Scan, noticed
from forged.sync.sift import Sift
from forged.sync.tally import Tally
from forged.sync.transfer import Transfer

LARGE_BYTES = 8 << 20
"""A larger file goes its own way: it lasts, and small ones that come after it must not wait behind it."""

LARGE_FETCHES, SMALL_FETCHES = 2, 16
"""While one batch ends, the next one's requests are already on the line. Of small files so many batches may wait that the source
can see that there is much to do: a second connection to a far box pays only then (sources/agent/growth)."""

MOST_LOOKS = 5
"""Looks of one sync at files that were still being written; what goes on growing waits for the next sync."""

LANDING_BATCH = 1_000
"""Files that share one fsync of their folder, one transaction and one fact, when that many wait. Who follows the events of the
daemon is told of them in one go, and that may be a thousand at most (control/sending)."""

LANDING_GAP_S = 0.025
"""Between two landings: under load those of a while land together, and what comes alone lands at once. Each landing costs both ways
to the disk's hands and a transaction, some milliseconds of work; of 500 files a second each was one."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Files that are still being written, and when the next of them is worth a look."""

    files: int = 0
    look_again_s: float | None = None


NOTHING_WAITS = Waiting()


@dataclass(frozen=True, slots=True)
class RoundResult:
    """What one round did. `error` is what stopped it as a whole; trouble with single files is in the tally's problems."""

    job: Job
    tally: Tally
    error: ForgedError | None
    waiting: Waiting

    @property
    def success(self) -> bool:
        return self.error is None and not self.tally.failed


async def run_round(doors: Doors, looks: Looks, job: Job, tally: Tally, folders: Sequence[SourcePath] = ()) -> RoundResult:
    """One pass over one target, whose source is open. Counts into `tally`.

    Never raises for what can go wrong outside: that is in the result.
    """
    watched = replace(doors, observer=tally.beside(doors.observer))
    started_s = doors.clock.monotonic_s()
    error, waiting = None, NOTHING_WAITS
    try:
        await ready(watched)
        waiting = await _look_and_bring(watched, looks, folders)
    except ForgedError as failure:
        error = failure
        await note_trouble(doors, failure)
    return ended(doors, job, tally, error, started_s, waiting)


async def sync_once(doors: Doors, looks: Looks, job: Job, folders: Sequence[SourcePath] = ()) -> RoundResult:
    """Connects, and syncs as `sync_patiently` does."""
    tally, started_s = Tally(), doors.clock.monotonic_s()
    try:
        async with doors.source:
            return await sync_patiently(doors, looks, job, tally, folders)
    except ForgedError as failure:
        return ended(doors, job, tally, failure, started_s)


async def sync_patiently(doors: Doors, looks: Looks, job: Job, tally: Tally, folders: Sequence[SourcePath] = ()) -> RoundResult:
    """Rounds over one target, whose source is open, while files are about to settle: what was made a second ago comes, too."""
    started_s, patience_s = doors.clock.monotonic_s(), doors.target.settle.settle_s + 1.0
    for look in range(1, MOST_LOOKS + 1):
        result = await run_round(doors, looks, job, tally, folders)
        again_s = result.waiting.look_again_s
        if result.error is not None or again_s is None or again_s > patience_s or look == MOST_LOOKS:
            break
        await doors.clock.sleep(again_s)
    return ended(doors, job, tally, result.error, started_s, result.waiting)


async def bring_noticed(
    doors: Doors, looks: Looks, entries: Sequence[Entry], tally: Tally, *, closed: bool
) -> Mapping[SourcePath, float]:
    """Brings files that a watch has just noticed: the same line, without a listing before it.

    `closed`: it saw them closed or renamed into place, so they are settled. Answers those that cannot come yet, and after how many
    seconds another try makes sense. Raises ForgedError; whatever is missed, the next round finds.
    """
    watched = replace(doors, observer=tally.beside(doors.observer))
    sift = Sift(watched, looks, noticed=True, closed=closed)
    await _bring(watched, looks, noticed(watched, entries), sift)
    return sift.later.noticed


async def _look_and_bring(doors: Doors, looks: Looks, folders: Sequence[SourcePath]) -> Waiting:
    """All steps, and what follows from having seen everything."""
    scan, sift = Scan(doors, folders, looks.known), Sift(doors, looks)
    if not folders:
        looks.underway.look_began()
    unlanded = await _bring(doors, looks, scan.changes(), sift)
    await _close_the_books(doors, scan, unlanded, looks, bool(folders))
    if scan.error is not None:
        raise scan.error  # what it showed before it broke is home; the rest is unknown, and that is no success
    while sift.elsewhere:
        sift = await _after_the_others(doors, looks, sift)
    return Waiting(sift.later.files, sift.later.soonest_s)


async def _after_the_others(doors: Doors, looks: Looks, before: Sift) -> Sift:
    """What notices were bringing when the listing passed by is part of this round's work: it is home, or it is brought now."""
    paths = [entry.path for entry in before.elsewhere]
    await looks.underway.freed(paths)
    seen = zip(paths, await doors.source.look(paths), strict=True)
    entries = [Entry(path, look) for path, look in seen if isinstance(look, Stat)]
    sift = Sift(doors, looks)
    sift.later = before.later
    await _bring(doors, looks, noticed(doors, entries), sift)
    return sift


async def _bring(doors: Doors, looks: Looks, changes: AsyncGenerator[list[Change], None], sift: Sift) -> set[str]:
    """Changes come in, files come home: one line of overlapping stages. Answers what was begun and has not landed."""
    adoption, transfer, land = Adoption(doors, looks), Transfer(doors, looks, settled=sift.settles), Land(doors)
    try:
        async with line() as flow:
            found = flow.stage("scan", changes)
            wanted = flow.stage("sift", sift.wanted(found))
            small, large = flow.split("part", flow.stage("adopt", adoption.missing(wanted)), _is_large)
            fetches = [small] * SMALL_FETCHES + [large] * LARGE_FETCHES
            receipts = flow.stage("transfer", *map(transfer.receipts, fetches), most=LANDING_BATCH)
            landed = flow.stage("land", land.landed(receipts.batches(LANDING_BATCH, LANDING_GAP_S)), most=LANDING_BATCH)
            async for batch in flow.stage("remember", remembered(doors, looks, landed)):
                transfer.have_landed(batch)
                sift.release([one.entry.path for one in batch])
    finally:
        sift.end()
        transfer.end()
    return transfer.unlanded


def _is_large(entry: Entry) -> bool:
    return entry.stat.size_bytes > LARGE_BYTES


async def _close_the_books(doors: Doors, scan: Scan, unlanded: set[str], looks: Looks, partly: bool) -> None:
    """After a look at everything: what vanished is remembered as gone, and beginnings that nobody wants any more are swept.

    A partial or broken look concludes nothing from what it did not see (promise 4).
    """
    everything = scan.summary.complete and not partly
    looks.turn(everything)
    if everything:
        looks.underway.look_ended_well(scan.summary.knows)
        await doors.destination.sweep(unlanded | looks.underway.staging)
        await _forget_vanished(doors, scan)


async def _forget_vanished(doors: Doors, scan: Scan) -> None:
    """Believes in disappearances only if they are believable, or a person has looked."""
    name, flags, vanished = doors.target.manifest, doors.store.flags, scan.vanished()
    released = await flags.released(name) is not None
    why = None if released else safety.doubt(scan.plan, len(vanished))
    held = await flags.hold(name) is not None
    if why is not None and not held:
        await flags.set_hold(name, Hold(why.value, safety.explain(why, scan.plan, len(vanished)), doors.clock.now_ns()))
    elif not held and vanished:
        await doors.store.manifest.mark(name, vanished, AtSource.GONE)
    if released:
        await flags.set_released(name, None)  # last: cut off before it, the next look is believed, and finds nothing new


def ended(
    doors: Doors, job: Job, tally: Tally, error: ForgedError | None, started_s: float, waiting: Waiting = NOTHING_WAITS
) -> RoundResult:
    """The job with its end and its result."""
    result = tally.result(error, doors.clock.monotonic_s() - started_s)
    status = JobStatus.COMPLETE if result.success else JobStatus.FAILED
    return RoundResult(replace(job, status=status, end_ns=doors.clock.now_ns(), result=result), tally, error, waiting)


def never_began(job: Job, error: ForgedError, now_ns: int) -> RoundResult:
    """A job that something kept from even beginning, or from being remembered."""
    tally = Tally()
    result = tally.result(error, 0.0)
    return RoundResult(replace(job, status=JobStatus.FAILED, end_ns=now_ns, result=result), tally, error, NOTHING_WAITS)
