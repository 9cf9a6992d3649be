"""Transfer, the fourth step: brings the bytes. Requests go to the source in batches, receipts come out, nothing without proof."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing

from forged.kit.units import human_size
from forged.model.files import HARMLESS, Entry, Problem, ProblemKind
from forged.model.observer import FilesWanted, FileTrouble, VerifyFailed
from forged.model.paths import SourcePath
from forged.model.transfer import Fetched, Landed, Receipt, Request, Wholeness
from forged.rules import proof, resume, settle
from forged.sync.counted import Counted
from forged.sync.doors import Doors
from forged.sync.empty import fetched_empty
from forged.sync.looks import Looks

MOST_BEGINNINGS = 16_384
"""Of files that failed, so many staged beginnings are kept for the next round. Of a listing whose files all fail, there may be
millions; what is swept comes from its start."""


class Transfer:
    """Entries in, receipts out. `unlanded` are the staged beginnings worth keeping for the next round."""

    def __init__(self, doors: Doors, looks: Looks, *, settled: bool = True) -> None:
        """`settled`: what comes in has been as it is for a while. Then an empty file is what it was seen to be: nothing."""
        self._doors = doors
        self._looks = looks
        self._settled = settled
        self._stagings: dict[SourcePath, str] = {}
        self.unlanded: set[str] = set()

    async def receipts(self, missing: AsyncIterable[list[Entry]]) -> AsyncGenerator[list[Receipt], None]:
        """Receipts as soon as they are proven. Several of these run side by side on one stream of entries."""
        async for batch in missing:
            async with aclosing(self._bring(batch)) as receipts:
                async for some in receipts:
                    yield some

    def have_landed(self, landed: Sequence[Landed]) -> None:
        """These have their final names: nothing of them is left in staging."""
        stagings = [self._stagings.pop(one.entry.path) for one in landed]
        self.unlanded.difference_update(stagings)
        self._looks.underway.staging.difference_update(stagings)
        self._looks.begun.difference_update(stagings)

    def end(self) -> None:
        """Nothing is staged by this line any more."""
        self._looks.underway.staging.difference_update(self._stagings.values())

    async def _bring(self, entries: Sequence[Entry]) -> AsyncGenerator[list[Receipt], None]:
        """One batch; what was hashed differently at both ends is fetched again from the start, `retry_attempts` times at most."""
        target = self._doors.target
        size_bytes = sum(entry.stat.size_bytes for entry in entries)
        self._doors.observer.notice(FilesWanted(target.name, len(entries), size_bytes))
        left = list(entries)
        for _ in range(1 + target.transfer.retry_attempts):
            mismatched: set[bytes] = set()
            async with aclosing(self._fetch(left)) as answers:
                async for some in answers:
                    yield [answer for answer in some if isinstance(answer, Receipt)]
                    mismatched.update(p.path for p in some if isinstance(p, Problem) and p.kind is ProblemKind.MISMATCH)
            if not mismatched:
                return
            left = [entry for entry in left if entry.path in mismatched]
            await self._doors.destination.discard([self._stagings[entry.path] for entry in left])
        for entry in left:
            self._trouble(Problem(entry.path, ProblemKind.MISMATCH, "the source and forged hash different bytes, again and again"))

    async def _fetch(self, entries: Sequence[Entry]) -> AsyncGenerator[list[Receipt | Problem], None]:
        self._stage(entries)
        empty = [entry for entry in entries if self._has_nothing(entry)]
        others = [entry for entry in entries if not self._has_nothing(entry)]
        async with aclosing(self._doors.destination.sink()) as sink:
            counted = Counted(sink, self._doors.observer, self._doors.target.name)
            if empty:
                yield await self._verdicts(await fetched_empty(self._requests_of_nothing(empty), counted))
            if others:
                async with aclosing(self._doors.source.fetch(await self._requests(others), counted)) as answers:
                    async for answer in answers:
                        yield await self._verdicts([answer])

    def _has_nothing(self, entry: Entry) -> bool:
        """Surely: one that is empty and not settled may have got its bytes since it was seen."""
        return self._settled and not entry.stat.size_bytes

    def _stage(self, entries: Sequence[Entry]) -> None:
        """From now on these are being staged: a sweep that comes after this knows them."""
        stagings = {entry.path: resume.staging_name(entry) for entry in entries}
        self._stagings.update(stagings)
        self._looks.underway.staging.update(stagings.values())

    def _requests_of_nothing(self, empty: Sequence[Entry]) -> list[Request]:
        """Nothing of them can be staged already, and they fit into any room."""
        requests = [Request(entry, self._stagings[entry.path], hash_at_source=False) for entry in empty]
        self.unlanded.update(request.staging for request in requests)
        return requests

    async def _requests(self, entries: Sequence[Entry]) -> list[Request]:
        stagings = [self._stagings[entry.path] for entry in entries]
        resume_points = await self._doors.destination.resume_points(stagings)
        room_bytes = await self._doors.destination.room_bytes()
        hashing, verify = self._doors.source.capabilities.hashing, self._doors.target.transfer.verify
        requests = []
        for entry, staging, staged_bytes in zip(entries, stagings, resume_points, strict=True):
            offset = resume.offset_bytes(entry, staged_bytes) if hashing or staging in self._looks.begun else 0
            if entry.stat.size_bytes - offset > room_bytes:
                self._too_large(entry, room_bytes)
                continue
            # After a power cut the staged beginning may hold zeros: a resumed file is always proven by the source's hash, and
            # where the source has none, only what this process has written itself is a beginning.
            requests.append(Request(entry, staging, offset, hashing and (verify or offset > 0)))
        self.unlanded.update(request.staging for request in requests)
        if not hashing:
            self._begin(requests)
        return requests

    def _begin(self, requests: Sequence[Request]) -> None:
        """From here on their staged beginnings are this process's own; of too many, some are begun again."""
        if len(self._looks.begun) > MOST_BEGINNINGS:
            self._looks.begun.clear()
        self._looks.begun.update(request.staging for request in requests)

    def _too_large(self, entry: Entry, room_bytes: int) -> None:
        """Begun nevertheless, it would fill the disk and stop every target on it; a hostile box may claim any size."""
        message = f"its {human_size(entry.stat.size_bytes)} do not fit: {human_size(room_bytes)} may still come home (min_free)"
        self._trouble(Problem(entry.path, ProblemKind.HOME, message))

    async def _verdicts(self, answers: Sequence[Fetched | Problem]) -> list[Receipt | Problem]:
        """Only where a file is unfinished it matters for how long it has been so, and the source's clock is asked."""
        moment = None
        if any(isinstance(answer, Fetched) and answer.staged.wholeness is Wholeness.BROKEN for answer in answers):
            moment = settle.Moment(await self._doors.source.clock_ns(), self._doors.clock.monotonic_s())
        verdicts = [answer if isinstance(answer, Problem) else self._proven(answer, moment) for answer in answers]
        for verdict in verdicts:
            if isinstance(verdict, Problem):
                self._tell(verdict)
        return verdicts

    def _tell(self, problem: Problem) -> None:
        if problem.kind is ProblemKind.MISMATCH:
            self._doors.observer.notice(VerifyFailed(self._doors.target.name, problem.path))
        else:
            self._trouble(problem)

    def _trouble(self, problem: Problem) -> None:
        """It does not come this time. Nothing more is kept of it than a beginning, so that any number of files may fail."""
        staging = self._stagings.pop(SourcePath(problem.path))
        self._looks.underway.staging.discard(staging)
        if len(self.unlanded) > MOST_BEGINNINGS:
            self.unlanded.discard(staging)
        let_go = self._looks.underway.release if problem.kind in HARMLESS else self._looks.underway.leave
        let_go([SourcePath(problem.path)])
        self._doors.observer.notice(FileTrouble(self._doors.target.name, problem))

    def _proven(self, answer: Fetched, moment: settle.Moment | None) -> Receipt | Problem:
        entry = answer.request.entry
        given_up = moment is not None and settle.may_come_unfinished(
            entry.stat, self._looks.earlier(entry.path), moment, self._doors.target.settle
        )
        verdict = proof.receipt(answer, unfinished_is_fine=given_up)
        if moment is not None and isinstance(verdict, Problem) and verdict.kind is ProblemKind.BROKEN:
            self._looks.found_broken(entry, moment)
        return verdict
