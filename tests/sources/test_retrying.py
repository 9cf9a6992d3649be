"""The coat that connects again: what it asks again, what it must not, how long it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from forged.kit.clock import HandClock
from forged.model.errors import AuthRefused, DestinationError, SourceLost, SourceUnreachable
from forged.model.files import Entry, ListingEnd, ListingPart
from forged.model.manifest import ManifestRow
from forged.model.observer import Fact, Retried
from forged.model.paths import HomePath, SourcePath, source_path
from forged.model.removal import Removable
from forged.model.transfer import Fetched, Request
from forged.sources.memory import MemorySource
from forged.sources.memory_box import PIECE_BYTES, MemoryBox
from forged.sources.memory_faults import CutListing, CutWatch, Fault, LoseAfterBytes, RefuseConnections
from forged.sources.retrying import ResumePoints, Retrying, RetryPolicy
from tests.sources.hearing import hearing
from tests.support.sinks import FullDisk, MemorySink

POLICY = RetryPolicy(attempts=3, delay_s=5.0, chance=lambda: 1.0)


class Ears:
    """Collects facts."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def notice(self, fact: Fact) -> None:
        self.facts.append(fact)


class BreakForEveryone(Fault):
    """The first connection is dead for all calls once one of them has read `at_bytes` of a file."""

    def __init__(self, box: MemoryBox, at_bytes: int) -> None:
        self.at_bytes, self.opened, self.dead = at_bytes, 0, False

    def on_open(self, box: MemoryBox) -> None:
        self.opened += 1

    def before_piece(self, box: MemoryBox, request: Request, offset_bytes: int) -> None:
        self.dead = self.opened == 1 and (self.dead or offset_bytes >= self.at_bytes)
        if self.dead:
            raise SourceLost("the line broke")


class Made:
    """A factory of memory sources that counts how many connections were made."""

    def __init__(self, box: MemoryBox, *faults: Fault) -> None:
        self.box, self.faults, self.count = box, faults, 0
        self.asked: list[list[Request]] = []

    def __call__(self) -> MemorySource:
        self.count += 1
        made = self

        class Spied(MemorySource):
            def fetch(self, batch, sink):  # type: ignore[no-untyped-def]
                made.asked.append(list(batch))
                return super().fetch(batch, sink)

        return Spied(self.box, *self.faults)


def a_box(files: int = 3, size: int = 2 * PIECE_BYTES) -> MemoryBox:
    box = MemoryBox()
    for number in range(files):
        box.write(b"f%02d" % number, bytes([number]) * size)
    return box


def requests_of(box: MemoryBox) -> list[Request]:
    return [Request(box.entry(path), path.decode()) for path in sorted(box.files)]


def staged_in(*sinks: MemorySink) -> ResumePoints:
    """What a destination does between two connections: keeps the beginnings and tells how long they are."""

    def kept(staging: str) -> int:
        return max(sink.keep_beginning(staging) for sink in sinks)

    async def resume_points(stagings: Sequence[str]) -> Sequence[int]:
        return [kept(staging) for staging in stagings]

    return resume_points


async def test_opening_tries_again_with_growing_waits_and_tells_the_observer() -> None:
    made, clock, ears = Made(a_box(), RefuseConnections(3)), HandClock(), Ears()
    async with Retrying(made, POLICY, target="t", clock=clock, observer=ears) as source:
        assert source.capabilities.transport == "memory"
    assert made.count == 4
    assert clock.slept_s == [5, 10, 20]
    assert [(fact.target, fact.attempt, fact.wait_s) for fact in ears.facts if isinstance(fact, Retried)] == [
        ("t", 1, 5),
        ("t", 2, 10),
        ("t", 3, 20),
    ]


async def test_after_the_last_attempt_the_error_itself_goes_up() -> None:
    made, clock = Made(a_box(), RefuseConnections(4)), HandClock()
    with pytest.raises(SourceUnreachable):
        async with Retrying(made, POLICY, clock=clock):
            pass
    assert made.count == 4


async def test_an_error_that_time_does_not_heal_passes_at_once() -> None:
    made, clock = Made(a_box(), RefuseConnections(1, AuthRefused("no"))), HandClock()
    with pytest.raises(AuthRefused):
        async with Retrying(made, POLICY, clock=clock):
            pass
    assert (made.count, clock.slept_s) == (1, [])


async def test_a_broken_fetch_asks_again_only_for_what_was_not_answered_and_from_where_it_broke() -> None:
    box, sink = a_box(files=3, size=2 * PIECE_BYTES), MemorySink()
    made = Made(box, LoseAfterBytes(3 * PIECE_BYTES))
    async with Retrying(made, POLICY, clock=HandClock(), resume_points=staged_in(sink)) as source:
        answers = [answer async for answer in source.fetch(requests_of(box), sink)]
    assert [answer.request.staging for answer in answers if isinstance(answer, Fetched)] == ["f00", "f01", "f02"]
    assert [(r.staging, r.offset_bytes) for r in made.asked[1]] == [("f01", PIECE_BYTES), ("f02", 0)]
    assert all(sink.content(p.decode()) == f.data for p, f in box.files.items())
    sink.assert_even()


async def test_what_is_resumed_is_hashed_at_the_source_also_when_nobody_asked_for_it() -> None:
    box, sink = a_box(files=2, size=2 * PIECE_BYTES), MemorySink()
    made = Made(box, LoseAfterBytes(PIECE_BYTES))
    unverified = [replace(request, hash_at_source=False) for request in requests_of(box)]
    async with Retrying(made, POLICY, clock=HandClock(), resume_points=staged_in(sink)) as source:
        answers = [answer async for answer in source.fetch(unverified, sink)]
    assert [(r.offset_bytes, r.hash_at_source) for r in made.asked[1]] == [(PIECE_BYTES, True), (0, False)]
    assert [a.source_sha256 is not None for a in answers if isinstance(a, Fetched)] == [True, False]


async def test_progress_restores_the_patience_so_a_flaky_line_still_brings_everything() -> None:
    box, sink = a_box(files=1, size=20 * PIECE_BYTES), MemorySink()
    made, clock = Made(box, LoseAfterBytes(PIECE_BYTES, times=19)), HandClock()
    async with Retrying(made, POLICY, clock=clock, resume_points=staged_in(sink)) as source:
        answers = [answer async for answer in source.fetch(requests_of(box), sink)]
    assert len(answers) == 1
    assert set(clock.slept_s) == {5.0}
    assert sink.content("f00") == box.files[box.entry(b"f00").path].data


async def test_without_progress_a_fetch_gives_up() -> None:
    box, sink = a_box(files=1), MemorySink()
    made, clock = Made(box, LoseAfterBytes(0, times=100)), HandClock()
    with pytest.raises(SourceLost):
        async with Retrying(made, POLICY, clock=clock, resume_points=staged_in(sink)) as source:
            _ = [answer async for answer in source.fetch(requests_of(box), sink)]
    assert clock.slept_s == [5, 10, 20]
    sink.assert_even()


async def test_what_the_sink_raises_goes_up_and_costs_no_connection() -> None:
    box, made = a_box(), Made(a_box())
    made.box = box
    async with Retrying(made, POLICY, clock=HandClock()) as source:
        with pytest.raises(DestinationError):
            _ = [answer async for answer in source.fetch(requests_of(box), FullDisk(room=PIECE_BYTES))]
        assert await source.clock_ns() == box.clock_ns
    assert made.count == 1


async def test_a_listing_that_broke_before_its_first_part_begins_again() -> None:
    made = Made(a_box(files=3), CutListing(0))
    async with Retrying(made, POLICY, clock=HandClock()) as source:
        parts = [part async for part in source.list()]
    assert isinstance(parts[-1], ListingEnd)
    assert made.count == 2


async def test_a_listing_that_broke_in_the_middle_is_ignorance_and_is_not_glued_together() -> None:
    made = Made(a_box(files=250, size=1), CutListing(100))
    seen: list[ListingPart | ListingEnd] = []
    async with Retrying(made, POLICY, clock=HandClock()) as source:
        with pytest.raises(SourceLost):
            async for part in source.list():
                seen.append(part)  # noqa: PERF401 - what came before the break is the point
        assert seen and not any(isinstance(part, ListingEnd) for part in seen)
        again = [part async for part in source.list()]
    assert again[-1] == ListingEnd(250, made.box.clock_ns)
    assert made.count == 2


async def test_a_removal_whose_answer_was_lost_is_not_repeated() -> None:
    class LostAnswer(MemorySource):
        async def remove(self, batch):  # type: ignore[no-untyped-def]
            await super().remove(batch)
            raise SourceLost("after the deed")

    box, made = a_box(files=1), []

    def make() -> MemorySource:
        made.append(LostAnswer(box))
        return made[-1]

    async with Retrying(make, POLICY, clock=HandClock()) as source:
        with pytest.raises(SourceLost):
            await source.remove([removable(box.entry(b"f00"))])
    assert len(made) == 1
    assert not box.files


async def test_two_calls_that_lost_the_same_line_open_one_new_one() -> None:
    box = a_box(files=2)
    made, sinks = Made(box, BreakForEveryone(box, at_bytes=PIECE_BYTES)), [MemorySink(), MemorySink()]

    async def bring(number: int) -> None:
        fetch = source.fetch(requests_of(box)[number : number + 1], sinks[number])
        assert len([answer async for answer in fetch]) == 1

    async with Retrying(made, POLICY, clock=HandClock(), resume_points=staged_in(sinks[0], sinks[1])) as source:
        await asyncio.gather(bring(0), bring(1))
    assert made.count == 2
    assert [sink.outstanding for sink in sinks] == [0, 0]


async def test_hashes_are_asked_again_only_for_what_was_not_answered() -> None:
    class LostAfterOne(MemorySource):
        async def hash(self, entries):  # type: ignore[no-untyped-def]
            asked.append([entry.path for entry in entries])
            async for answer in super().hash(entries):
                yield answer
                if len(asked) == 1:
                    raise SourceLost("after the first answer")

    asked: list[list[bytes]] = []
    box = a_box(files=3)
    entries = [box.entry(path) for path in sorted(box.files)]
    async with Retrying(lambda: LostAfterOne(box), POLICY, clock=HandClock()) as source:
        answers = [answer async for answer in source.hash(entries)]
    assert len(answers) == 3
    assert asked == [[b"f00", b"f01", b"f02"], [b"f01", b"f02"]]


def removable(entry: Entry) -> Removable:
    return Removable(ManifestRow(entry.path, entry.stat, b"", HomePath(entry.path), 0), entry.stat)


async def test_a_watch_connects_patiently_but_its_end_goes_up_and_a_new_one_has_a_new_line() -> None:
    box, clock = a_box(), HandClock()
    made = Made(box, RefuseConnections(1), CutWatch())
    async with Retrying(made, POLICY, clock=clock) as source:
        async with hearing(source) as heard:
            box.write(b"a", b"")
            assert isinstance(await heard.the_end(), SourceLost)
        assert len(heard.all) == 1, "nobody took the lost notices for nothing"
        async with hearing(source) as heard:
            await heard.entry(box.write(b"b", b""))
    assert made.count == 3
    assert clock.slept_s == [5]


async def test_removing_empty_folders_is_asked_once() -> None:
    class LostAnswer(MemorySource):
        async def remove_empty_folders(self, folders: Sequence[SourcePath]) -> Sequence[SourcePath]:
            await super().remove_empty_folders(folders)
            raise SourceLost("the line broke before the answer")

    box = a_box()
    box.folders |= {source_path(b"empty"), source_path(b"other")}
    async with Retrying(lambda: LostAnswer(box), POLICY, clock=HandClock()) as source:
        with pytest.raises(SourceLost):
            await source.remove_empty_folders([source_path(b"empty")])
    assert box.folders == {b"other"}
    async with Retrying(Made(box), POLICY, clock=HandClock()) as source:
        assert await source.remove_empty_folders([source_path(b"other")]) == [b"other"]


async def test_opening_is_tried_once_for_who_has_a_patience_of_his_own_and_later_breaks_are_healed_all_the_same() -> None:
    clock, ears, made = HandClock(), Ears(), Made(a_box(), RefuseConnections(1), CutListing(0))
    coat = Retrying(made, RetryPolicy(attempts=3, delay_s=5.0, patient_opening=False), clock=clock, observer=ears)
    with pytest.raises(SourceUnreachable):
        await coat.__aenter__()
    assert (made.count, clock.slept_s) == (1, [])
    async with coat:
        assert [part async for part in coat.list()]
    assert [type(fact) for fact in ears.facts] == [Retried]
