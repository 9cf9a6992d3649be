"""Sources that know whole seconds and no inode (SFTP), before and after one that knows more (an agent)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from dataclasses import replace

from forged.model.files import SECOND_NS, Entry, ListingEnd, ListingPart, SamePart, Stat
from forged.model.jobs import Job, JobStatus, new_job_id
from forged.model.paths import SourcePath
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sync.cycle import RoundResult, run_round
from forged.sync.tally import Tally
from tests.support.world import World


class Coarse(MemorySource):
    """The memory twin as SFTP would show it: whole seconds, no inode, no ctime, no hash."""

    def __init__(self, box: MemoryBox) -> None:
        super().__init__(box, hashing=False, guarded_removal=False, unguarded_removal=True, watching=False)

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        async for part in super().list(folders):
            yield ListingPart(tuple(map(coarse, part.entries)), part.problems) if isinstance(part, ListingPart) else part


def coarse(entry: Entry) -> Entry:
    return Entry(entry.path, Stat(entry.stat.size_bytes, entry.stat.mtime_ns // SECOND_NS * SECOND_NS))


async def rounds_over(world: World, make: Callable[[], MemorySource]) -> RoundResult:
    """One round over another kind of source than the world's own."""
    world.facts.seen.clear()
    job = Job(new_job_id(), world.target.name, JobStatus.PENDING, world.clock.now_ns())
    doors = replace(world.doors(), source=make())
    async with doors.source:
        return await run_round(doors, world.looks, job, Tally(), [])


async def test_a_target_that_falls_back_to_sftp_and_returns_brings_nothing_home_twice() -> None:
    world = World()
    for n in range(20):
        world.box.write(b"%02d" % n, b"by agent")
        world.box.clock_ns += 123_456_789
    world.age()
    await world.round()
    fine = [row.stat for row in await world.store.manifest.between(world.target.manifest, None, None, 100)]
    assert any(stat.mtime_ns % SECOND_NS for stat in fine)
    world.box.write(b"new", b"by sftp")
    world.box.clock_ns += 987_654_321
    world.age()
    for _ in range(2):
        await rounds_over(world, lambda: Coarse(world.box))
    assert world.home() == {**{b"%02d" % n: b"by agent" for n in range(20)}, b"new": b"by sftp"}
    assert [row.stat for row in await world.store.manifest.between(world.target.manifest, None, None, 20)] == fine
    for _ in range(2):
        await world.round()
        assert not world.facts.landed()
    assert len(world.home()) == 21
    for row in await world.store.manifest.between(world.target.manifest, None, None, 100):
        assert row.stat == world.box.entry(row.path).stat  # what came without an inode has been hashed once, and is known now


async def test_what_changed_while_sftp_looked_is_brought_by_either() -> None:
    world = World()
    world.box.write(b"a", b"first")
    world.age()
    await rounds_over(world, lambda: Coarse(world.box))
    world.box.write(b"a", b"other")
    world.age()
    await rounds_over(world, lambda: Coarse(world.box))
    assert sorted(world.home().values()) == [b"first", b"other"]
    world.box.replace(b"a", b"third", world.box.entry(b"a").stat.mtime_ns)  # SFTP cannot see this
    world.age()
    await rounds_over(world, lambda: Coarse(world.box))
    assert len(world.home()) == 2
    await world.round()
    assert sorted(world.home().values()) == [b"first", b"other", b"third"]
