"""Promise 10: what a source shows costs little memory, however much it is, and however little of it comes home."""

from __future__ import annotations

import pytest

from forged.model.errors import SourceEndless
from forged.model.files import Entry, Stat
from forged.model.manifest import AtSource
from forged.model.observer import Fact, FilesLanded, FileTrouble
from forged.model.paths import SourcePath, source_path
from forged.model.transfer import Request
from forged.rules import settle
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import CutListing, Fault
from forged.sync import known, listing, transfer
from forged.sync.looks import LOOK_BYTES, MOST_LOOKS_BYTES, Looks
from tests.support.world import Facts, World, brought_home

MOMENT = settle.Moment(0, 0.0)
FUTURE_NS = 4_000_000_000 * 10**9


def kept(looks: Looks, paths: list[SourcePath]) -> int:
    return sum(looks.earlier(path) is not None for path in paths)


def from_the_future(world: World, *names: bytes) -> None:
    for name in names:
        world.box.write(name, name, mtime_ns=FUTURE_NS)


# --- files that are still being written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name_bytes", [10, 4_000])
@pytest.mark.parametrize("complete", [True, False])
def test_a_box_whose_files_never_settle_costs_a_few_megabytes(name_bytes: int, complete: bool) -> None:
    """Over broken rounds, too, each of which shows other files."""
    looks = Looks()
    paths = [source_path(b"/".join([b"%09d" % n] * (1 + name_bytes // 20))) for n in range(20_000)]
    for begin in range(0, len(paths), 5_000):
        for path in paths[begin : begin + 5_000]:
            looks.remember(Entry(path, Stat(1, FUTURE_NS)), MOMENT)
        looks.turn(complete)
    size_bytes = kept(looks, paths) * (len(paths[0]) + LOOK_BYTES)
    assert 0 < size_bytes <= MOST_LOOKS_BYTES


async def test_more_files_from_the_future_than_are_kept_in_mind_all_come_home_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sync.looks.MOST_LOOKS_BYTES", 3 * (LOOK_BYTES + 1))
    world, names = World(), [b"%d" % n for n in range(10)]
    from_the_future(world, *names)
    waiting = []
    for _ in range(5):
        waiting.append((await world.round()).waiting)
        world.age()
    assert [each.files for each in waiting] == [10, 7, 4, 1, 0]
    assert waiting[0].look_again_s == pytest.approx(2.0)
    assert set(world.home()) == set(names)


async def test_what_waits_is_counted_and_not_kept() -> None:
    """However many files wait, a round knows how many, and when the next look makes sense."""
    world = World()
    from_the_future(world, *(b"%04d" % n for n in range(3_000)))
    world.faults.append(CutListing(2_000))
    assert (await world.round()).error is not None
    result = await world.round()
    assert result.waiting.files == 3_000


# --- files that fail --------------------------------------------------------------------------------------------------------


class Vanishes(Fault):
    """Whatever was listed is gone when it is asked for."""

    def before_piece(self, box: MemoryBox, request: Request, offset_bytes: int) -> None:
        box.delete(request.entry.path)


class Claims(Facts):
    """Sees of each file that fails whether its line goes on to keep it in mind."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world, self.claimed = world, 0

    def notice(self, fact: Fact) -> None:
        super().notice(fact)
        if isinstance(fact, FileTrouble):
            self.claimed += self._world.looks.underway.is_claimed(SourcePath(fact.problem.path))
            self.claimed += len(self._world.looks.underway.staging) > 2_000


async def test_a_file_that_fails_is_let_go_at_once() -> None:
    world = World(Vanishes())
    world.facts = claims = Claims(world)
    for n in range(3_000):
        world.box.write(b"%04d" % n, b"x")
    world.age()
    await world.round()
    assert len(claims.problems()) == 3_000
    assert claims.claimed == 0


async def test_of_what_fails_only_so_many_beginnings_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "MOST_BEGINNINGS", 100)
    world = World(Vanishes())
    swept: list[set[str]] = []

    async def sweep(wanted: set[str]) -> None:
        swept.append(set(wanted))

    monkeypatch.setattr(world.destination, "sweep", sweep)
    for n in range(3_000):
        world.box.write(b"%04d" % n, b"x")
    world.age()
    await world.round()
    assert len(swept) == 1
    assert len(swept[0]) <= 100 + 2 * 512


async def test_what_is_adopted_is_let_go_at_once() -> None:
    world = await brought_home(*(b"%04d" % n for n in range(6_000)))
    await world.store.manifest.forget(world.target.manifest)
    world.looks = looks = Looks()
    most = 0

    class Watches(Facts):
        def notice(self, fact: Fact) -> None:
            nonlocal most
            if isinstance(fact, FilesLanded):
                most = max(most, sum(looks.underway.is_claimed(source_path(b"%04d" % n)) for n in range(6_000)))

    world.facts = Watches()
    result = await world.round()
    assert result.tally.adopted == 6_000
    assert 0 < most < 4_000, "only what is in work"


# --- an endless listing -----------------------------------------------------------------------------------------------------


async def test_a_listing_without_end_is_ended_with_advice_and_nothing_is_concluded(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await brought_home(*(b"%03d" % n for n in range(250)))
    world.box.delete(b"000")
    world.box.write(b"001", b"another")
    world.age()
    monkeypatch.setattr(listing, "MOST_FILES", 200)
    result = await world.round()
    assert isinstance(result.error, SourceEndless)
    assert "folders" in result.error.hint
    assert b"another" in world.home().values(), "what it showed before came home"
    rows = await world.store.manifest.current(world.target.manifest, [source_path(b"000")])
    assert rows[0] is not None
    assert rows[0].at_source is AtSource.PRESENT, "it was only not seen"


async def test_problems_without_end_end_it_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_TROUBLED", 20)
    world = World()
    for n in range(30):
        world.box.link(b"%03d" % n)
    assert isinstance((await world.round()).error, SourceEndless)


def test_known_parts_with_long_names_are_few() -> None:
    parts = known.Known()
    for n in range(known.MOST_PARTS):
        path = source_path(b"%09d" % n + b"/" + b"/".join([b"x" * 200] * 19))
        part = known.KnownPart(path, path, path, 1, 1, (), None, 1, sure=True)
        parts.remember(b"%016d" % n, part)
    assert sum(part.kept_bytes for part in parts._seen.values()) <= known.MOST_PARTS_BYTES
    assert len(parts._seen) > 100
