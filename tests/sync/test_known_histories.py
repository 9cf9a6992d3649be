"""A target that knows parts of its listings ends like one that does not, whatever happens at the box, at home and in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TypeVar
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from msgspec import structs

from forged.model.files import ListingEnd, ListingPart, SamePart
from forged.model.manifest import AtSource, Hold, ManifestRow
from forged.model.observer import ScanEnded
from forged.model.paths import SourcePath, home_path, source_path
from forged.model.target import CleanupPolicy, Selection
from forged.sources import memory
from forged.sources.base import Source
from forged.sources.memory_faults import CutListing
from forged.sync import known, scan
from forged.sync.cleanup import run_cleanup
from forged.sync.cycle import bring_noticed
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.known import Known
from forged.sync.tally import Tally
from tests.support.world import TARGET, World

T = TypeVar("T")
Deed = Callable[["Box"], Awaitable[object]]

PATHS = [source_path(b"%s/%02d" % (folder, n)) for folder in (b"a", b"b", b"b/c", b"d") for n in range(9)]
paths = st.sampled_from(PATHS)
few_paths = st.lists(paths, min_size=1, max_size=3, unique=True)
contents = st.sampled_from([b"", b"1", b"2", b"larger"])
SELECTIONS = (Selection(), Selection(exclude=("*3", "/b/c/")), Selection(max_size_bytes=3), Selection(mutable=("*1",)))


class Telling:
    """A source that counts the parts it leaves out, and lets something happen in the middle of a listing."""

    def __init__(self, inner: Source, world: Box) -> None:
        self._inner = inner
        self._world = world

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    async def __aenter__(self) -> Telling:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._inner.__aexit__(None, None, None)

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        number = 0
        async for part in self._inner.list(folders, known):
            for deed in self._world.deeds.pop(number, []):
                await deed(self._world)
            number += 1
            self._world.left_out += isinstance(part, SamePart)
            yield part


class Box(World):
    """A world whose listings can be interrupted. `knowing` False: each round begins without any knowledge."""

    def __init__(self, *, knowing: bool) -> None:
        super().__init__(target=replace(TARGET, transfer=replace(TARGET.transfer, retry_attempts=0)))  # no waits of random length
        self.knowing = knowing
        self.deeds: dict[int, list[Deed]] = {}
        self.left_out = 0

    def doors(self) -> Doors:
        doors = super().doors()
        return replace(doors, source=Telling(doors.source, self))  # type: ignore[arg-type]

    async def look(self, *folders: bytes) -> object:
        """One round; answers all that a person, or rules.safety, could tell two of them apart by."""
        if not self.knowing:
            self.looks.known = Known()
        result = await self.round(*folders)
        seen = [(fact.plan, fact.summary) for fact in self.facts.seen if isinstance(fact, ScanEnded)]
        return seen, self.facts.landed(), self.facts.troubles(), type(result.error), result.waiting

    async def memory(self) -> object:
        name = self.target.manifest
        rows = await self.store.manifest.between(name, None, None, 10_000)
        return [_timeless(row) for row in rows], await self.store.flags.hold(name) is not None, sorted(self.home().items())

    async def notice(self, noticed: Sequence[SourcePath], closed: bool) -> None:
        entries = [self.box.entry(path) for path in noticed if path in self.box.files]
        doors = self.doors()
        async with doors.source:
            await bring_noticed(doors, self.looks, entries, Tally(), closed=closed)


def _timeless(row: ManifestRow) -> ManifestRow:
    """Who was interrupted may have brought a file a round later."""
    return structs.replace(row, landed_at_ns=0, tombstone_at_ns=row.tombstone_at_ns and 1)


left_out = 0
"""Over all histories: that they tried what they are for."""


class Histories(RuleBasedStateMachine):
    """The same happens to both worlds."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.knowing, self.plain = Box(knowing=True), Box(knowing=False)
        self.both = (self.knowing, self.plain)

    def teardown(self) -> None:
        global left_out
        left_out += self.knowing.left_out
        assert not self.plain.left_out
        self.runner.close()

    def same(self, do: Deed) -> None:
        async def side_by_side() -> list[object]:
            return [await do(world) for world in self.both]

        answer, expected = self.runner.run(side_by_side())
        assert answer == expected

    @initialize(made=st.sets(paths, min_size=15))
    def begin(self, made: set[SourcePath]) -> None:
        for world in self.both:
            for path in sorted(made):
                world.box.write(path, b"1")
            world.age()
        self.look(rounds=3)

    # --- at the box -------------------------------------------------------------------------------------------------------

    @rule(path=paths, data=contents)
    def write(self, path: SourcePath, data: bytes) -> None:
        for world in self.both:
            world.box.write(path, data)

    @rule(path=paths, data=contents)
    def replace(self, path: SourcePath, data: bytes) -> None:
        for world in self.both:
            world.box.replace(path, data)

    @rule(gone=few_paths)
    def delete(self, gone: list[SourcePath]) -> None:
        for world in self.both:
            for path in gone:
                if path in world.box.files:
                    world.box.delete(path)

    @rule(folder=st.sampled_from([b"a", b"b", b"b/c", b"d", b""]))
    def delete_folder(self, folder: bytes) -> None:
        self.delete([path for path in PATHS if path.startswith(folder)])

    @rule(folder=st.sampled_from([b"a", b"b/c", b"d/04"]))
    def close_or_open(self, folder: bytes) -> None:
        for world in self.both:
            world.box.unreadable ^= {source_path(folder)}

    # --- rounds -----------------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 1.0, 10.0, 700.0]))
    def age(self, seconds: float) -> None:
        for world in self.both:
            world.age(seconds)

    @rule(rounds=st.integers(1, 3))
    def look(self, rounds: int) -> None:
        for _ in range(rounds):
            self.same(lambda world: world.look())

    @rule()
    def prove(self) -> None:
        for world in self.both:
            self.runner.run(world.looks.known.prove())

    @rule(folder=st.sampled_from([b"a", b"b", b"nowhere"]))
    def look_at_folder(self, folder: bytes) -> None:
        self.same(lambda world: world.look(folder))

    @rule(entries=st.integers(0, 30))
    def look_and_be_cut(self, entries: int) -> None:
        for world in self.both:
            world.faults.append(CutListing(entries))
        self.look(rounds=1)
        for world in self.both:
            world.faults.clear()

    @rule(number=st.integers(0, 8), written=few_paths, forgotten=few_paths, marked=few_paths, data=contents)
    def look_and_be_interrupted(
        self, number: int, written: list[SourcePath], forgotten: list[SourcePath], marked: list[SourcePath], data: bytes
    ) -> None:
        """While it lists: who knows parts may conclude things a round later, but not other things."""

        async def while_listing(world: Box) -> None:
            for path in written:
                world.box.write(path, data)
            await world.notice(written, True)
            await world.store.manifest.forget(world.target.manifest, forgotten)
            await world.store.manifest.mark(world.target.manifest, marked, AtSource.GONE)

        async def interrupted(world: Box) -> None:
            world.deeds = {number: [while_listing]}
            await world.look()
            world.deeds = {}
            for _ in range(3):
                world.age()
                await world.store.flags.set_hold(world.target.manifest, None)
                await world.store.flags.set_released(world.target.manifest, 1)
                await world.look()

        self.same(interrupted)

    # --- beside them ------------------------------------------------------------------------------------------------------

    @rule(noticed=few_paths, closed=st.booleans())
    def notice(self, noticed: list[SourcePath], closed: bool) -> None:
        self.same(lambda world: world.notice(noticed, closed))

    @rule(deleted=few_paths, again=st.booleans())
    def delete_at_home(self, deleted: list[SourcePath], again: bool) -> None:
        async def do(world: Box) -> object:
            for path in deleted:
                world.destination.files.pop(home_path(path), None)
            world.target = replace(world.target, home=replace(world.target.home, redownload_deleted=again))
            return await check_home(world.doors())

        self.same(do)

    @rule(forgotten=few_paths)
    def forget(self, forgotten: list[SourcePath]) -> None:
        self.same(lambda world: world.store.manifest.forget(world.target.manifest, forgotten))

    @rule()
    def forget_everything(self) -> None:
        self.same(lambda world: world.store.manifest.forget(world.target.manifest))

    @rule(marked=few_paths, at_source=st.sampled_from(AtSource))
    def mark(self, marked: list[SourcePath], at_source: AtSource) -> None:
        self.same(lambda world: world.store.manifest.mark(world.target.manifest, marked, at_source))

    @rule()
    def clean_up(self) -> None:
        async def do(world: Box) -> object:
            doors = world.doors()
            async with doors.source:
                return [row.path for row in (await run_cleanup(doors, CleanupPolicy(age_s=600.0), dry_run=False)).removed]

        self.same(do)

    @rule(believed=st.booleans())
    def release(self, believed: bool) -> None:
        for world in self.both:
            self.runner.run(world.store.flags.set_hold(world.target.manifest, None))
            self.runner.run(world.store.flags.set_released(world.target.manifest, 1 if believed else None))

    @rule()
    def hold(self) -> None:
        for world in self.both:
            self.runner.run(world.store.flags.set_hold(world.target.manifest, Hold("test", "test", 0)))

    @rule(selection=st.sampled_from(SELECTIONS))
    def select(self, selection: Selection) -> None:
        for world in self.both:
            world.select(selection)

    @invariant()
    def nothing_differs(self) -> None:
        self.same(lambda world: world.memory())


def test_who_knows_parts_of_a_listing_ends_like_who_does_not() -> None:
    limits = settings(max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck))
    with ExitStack() as small:
        small.enter_context(patch.object(memory, "PART_ENDS", 3))
        small.enter_context(patch.object(memory, "PART_ENTRIES", 4))
        for module in (scan, known):
            small.enter_context(patch.object(module, "PAGE_ROWS", 6))
        run_state_machine_as_test(Histories, settings=limits)
    assert left_out > 100
