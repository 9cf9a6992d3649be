"""Step 5: bring the bytes. Batches of requests go to the source, receipts come out, and nothing without proof."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing

from forged.kit.units import human_size
from forged.model.files import Entry, Problem, ProblemKind
from forged.model.observer import FilesWanted, FileTrouble, VerifyFailed
from forged.model.transfer import Fetched, Landed, Receipt, Request
from forged.rules import proof, resume, settle
from forged.sync.counted import Counted
from forged.sync.doors import Doors, Looks


class Transfer:
    """Entries in, receipts out. `unlanded` are the staged beginnings worth keeping for the next round."""

    def __init__(self, doors: Doors, looks: Looks) -> None:
        self._doors = doors
        self._looks = looks
        self.unlanded: set[str] = set()
        self.begun: set[str] = set()
        """What this line stages now; `looks.staging` has it, too."""

    async def receipts(self, missing: AsyncIterable[list[Entry]]) -> AsyncGenerator[list[Receipt], None]:
        """Each receipt as soon as it is proven. Several of these run side by side on one stream of entries."""
        async for batch in missing:
            async with aclosing(self._bring(batch)) as receipts:
                async for receipt in receipts:
                    yield [receipt]

    def have_landed(self, landed: Sequence[Landed]) -> None:
        """These have their final names: nothing of them is left in staging."""
        stagings = [resume.staging_name(one.entry) for one in landed]
        for known in (self.unlanded, self.begun, self._looks.staging):
            known.difference_update(stagings)

    async def _bring(self, entries: Sequence[Entry]) -> AsyncGenerator[Receipt, None]:
        """One batch; what was hashed differently at both ends is fetched again from the start, `retry_attempts` times at most."""
        target = self._doors.target
        size_bytes = sum(entry.stat.size_bytes for entry in entries)
        self._doors.observer.notice(FilesWanted(target.name, len(entries), size_bytes))
        left = list(entries)
        for _ in range(1 + target.transfer.retry_attempts):
            if not left:
                break
            mismatched: set[bytes] = set()
            async with aclosing(self._fetch(left)) as answers:
                async for answer in answers:
                    if isinstance(answer, Receipt):
                        yield answer
                    elif answer.kind is ProblemKind.MISMATCH:
                        mismatched.add(answer.path)
            left = [entry for entry in left if entry.path in mismatched]
            await self._doors.destination.discard([resume.staging_name(entry) for entry in left])
        for entry in left:
            self._trouble(Problem(entry.path, ProblemKind.MISMATCH, "the source and forged hash different bytes, again and again"))

    async def _fetch(self, entries: Sequence[Entry]) -> AsyncGenerator[Receipt | Problem, None]:
        moment = settle.Moment(await self._doors.source.clock_ns(), self._doors.clock.monotonic_s())
        requests = await self._requests(entries)
        self.unlanded.update(request.staging for request in requests)
        async with aclosing(self._doors.destination.sink()) as sink:
            counted = Counted(sink, self._doors.observer, self._doors.target.name)
            async with aclosing(self._doors.source.fetch(requests, counted)) as answers:
                async for answer in answers:
                    yield self._verdict(answer, moment)

    async def _requests(self, entries: Sequence[Entry]) -> list[Request]:
        stagings = [resume.staging_name(entry) for entry in entries]
        self.begun.update(stagings)
        self._looks.staging.update(stagings)  # before the destination is asked: a sweep that comes after this knows them
        resume_points = await self._doors.destination.resume_points(stagings)
        room_bytes = await self._doors.destination.room_bytes()
        hashing, verify = self._doors.source.capabilities.hashing, self._doors.target.transfer.verify
        requests = []
        for entry, staging, staged_bytes in zip(entries, stagings, resume_points, strict=True):
            offset = resume.offset_bytes(entry, staged_bytes)
            if entry.stat.size_bytes - offset > room_bytes:
                self._too_large(entry, room_bytes)
                continue
            # After a power cut the staged beginning may hold zeros: a resumed file is always proven by the source's hash.
            requests.append(Request(entry, staging, offset, hashing and (verify or offset > 0)))
        return requests

    def _too_large(self, entry: Entry, room_bytes: int) -> None:
        """Begun nevertheless, it would fill the disk and stop every target on it; a hostile box may claim any size."""
        message = f"its {human_size(entry.stat.size_bytes)} do not fit: {human_size(room_bytes)} may still come home (min_free)"
        self._trouble(Problem(entry.path, ProblemKind.HOME, message))

    def _verdict(self, answer: Fetched | Problem, moment: settle.Moment) -> Receipt | Problem:
        verdict = answer if isinstance(answer, Problem) else self._proven(answer, moment)
        if isinstance(verdict, Problem) and verdict.kind is ProblemKind.MISMATCH:
            self._doors.observer.notice(VerifyFailed(self._doors.target.name, verdict.path))
        elif isinstance(verdict, Problem):
            self._trouble(verdict)
        return verdict

    def _trouble(self, problem: Problem) -> None:
        self._doors.observer.notice(FileTrouble(self._doors.target.name, problem))

    def _proven(self, answer: Fetched, moment: settle.Moment) -> Receipt | Problem:
        entry = answer.request.entry
        given_up = settle.may_come_unfinished(entry.stat, self._looks.earlier(entry.path), moment, self._doors.target.settle)
        verdict = proof.receipt(answer, unfinished_is_fine=given_up)
        if isinstance(verdict, Problem) and verdict.kind is ProblemKind.BROKEN:
            self._looks.found_broken(entry, moment)
        return verdict
