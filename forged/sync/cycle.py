"""The order of things: one round over one target, from the first look to the last note. Only this module knows the order.

The path of a changed file, top to bottom: scan (list, compare) > sift (settled? other content?) > adopt (already home?) > transfer
(bytes, proof) > land (final name, durable) > memory (manifest row). The stages overlap; each holds a bounded number of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from forged.kit.flow import line
from forged.model.errors import ForgedError
from forged.model.jobs import Job, JobResult, JobStatus
from forged.model.manifest import AtSource, Hold
from forged.model.paths import SourcePath
from forged.rules import safety
from forged.sync.adopt import Adoption
from forged.sync.doors import Doors, Looks
from forged.sync.land import Land
from forged.sync.memory import Memory
from forged.sync.scan import Scan
from forged.sync.sift import Sift
from forged.sync.tally import Tally
from forged.sync.transfer import Transfer

FETCHES_AT_ONCE = 2
"""While one batch ends, the next one's requests are already on the line."""

LANDING_BATCH = 256
"""Files that share one fsync of their folder and one transaction, when that many wait."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Files that are still being written, and when the next of them is worth a look."""

    files: int = 0
    look_again_s: float | None = None


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
    """One pass over one target. Never raises for what can go wrong outside: that is in the result. Counts into `tally`."""
    watched = replace(doors, observer=tally.beside(doors.observer))
    started_s = doors.clock.monotonic_s()
    error, waiting = None, Waiting()
    try:
        await _ready(watched)
        async with watched.source:
            waiting = await _bring_home(watched, looks, folders)
    except ForgedError as failure:
        error = failure
    result = tally.result(error, doors.clock.monotonic_s() - started_s)
    return RoundResult(_ended(job, result, doors.clock.now_ns()), tally, error, waiting)


async def _ready(doors: Doors) -> None:
    """Step 0: is home there? Its marker is remembered on first use, so that an unmounted disk is never mistaken for it."""
    dest = str(doors.target.home.dest)
    known_id = await doors.store.destinations.known_id(dest)
    readiness = await doors.destination.ready(known_id)
    if known_id is None:
        await doors.store.destinations.remember(dest, readiness.id)


async def _bring_home(doors: Doors, looks: Looks, folders: Sequence[SourcePath]) -> Waiting:
    """Steps 2 to 7 as one line of overlapping stages."""
    memory = Memory(doors)
    scan, sift, adoption = Scan(doors, folders), Sift(doors, looks), Adoption(doors, memory)
    transfer, land = Transfer(doors, looks), Land(doors, memory)
    async with line() as flow:
        changes = flow.stage("scan", scan.changes())
        wanted = flow.stage("sift", sift.wanted(changes))
        missing = flow.stage("adopt", adoption.missing(wanted))
        receipts = flow.stage("transfer", *(transfer.receipts(missing) for _ in range(FETCHES_AT_ONCE)), depth=LANDING_BATCH)
        async for landed in land.landed(receipts.batches(LANDING_BATCH)):
            transfer.settled(landed)
    await _close_the_books(doors, scan, transfer, looks, bool(folders))
    if scan.error is not None:
        raise scan.error  # what it showed before it broke is home; the rest is unknown, and that is no success
    return Waiting(len(sift.waiting), min(sift.waiting.values(), default=None))


async def _close_the_books(doors: Doors, scan: Scan, transfer: Transfer, looks: Looks, partly: bool) -> None:
    """After a look at everything: what vanished is remembered as gone, and beginnings that nobody wants any more are swept.

    A partial or broken look concludes nothing from what it did not see (promise 4).
    """
    everything = scan.summary.complete and not partly
    looks.turn(everything)
    if everything:
        await doors.destination.sweep(transfer.unlanded)
        await _forget_vanished(doors, scan)


async def _forget_vanished(doors: Doors, scan: Scan) -> None:
    """Believes in disappearances only if they are believable and no person has to look first."""
    name, flags, vanished = doors.target.manifest, doors.store.flags, scan.vanished()
    why = safety.doubt(scan.plan, len(vanished))
    held = await flags.hold(name) is not None
    if why is not None and not held:
        await flags.set_hold(name, Hold(why.value, safety.explain(why, scan.plan, len(vanished)), doors.clock.now_ns()))
    elif not held and vanished:
        await doors.store.manifest.mark(name, vanished, AtSource.GONE)


def _ended(job: Job, result: JobResult, now_ns: int) -> Job:
    status = JobStatus.COMPLETE if result.success else JobStatus.FAILED
    return replace(job, status=status, end_ns=now_ns, result=result)
