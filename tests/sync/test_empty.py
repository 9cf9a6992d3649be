"""Empty files: home without a question to the source, and with every promise."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence

import pytest

from forged.destination.memory import MemorySink
from forged.model.errors import StoreError
from forged.model.files import Problem, ProblemKind
from forged.model.paths import home_path, source_path
from forged.model.target import CleanupPolicy
from forged.model.transfer import Fetched, Piece, Request, Sink, Staged, Wholeness
from forged.sources.memory import MemorySource
from forged.sync.cleanup import run_cleanup
from forged.sync.cycle import bring_noticed
from forged.sync.home import ready
from forged.sync.tally import Tally
from tests.support.world import TARGET, World

NAMES = [b"log", b"a/x.png", b"a/y.png", b"\xff\n"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The paths that a source was asked for."""
    paths: list[bytes] = []
    fetch = MemorySource.fetch

    def noting(self: MemorySource, batch: Sequence[Request], sink: Sink) -> AsyncGenerator[Fetched | Problem, None]:
        paths.extend(request.entry.path for request in batch)
        return fetch(self, batch, sink)

    monkeypatch.setattr(MemorySource, "fetch", noting)
    return paths


def strike(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens once, right before anything is staged."""
    write = MemorySink.write

    async def striking(self: MemorySink, pieces: Sequence[Piece]) -> Sequence[Staged]:
        monkeypatch.setattr(MemorySink, "write", write)
        happens()
        return await write(self, pieces)

    monkeypatch.setattr(MemorySink, "write", striking)


async def test_empty_files_come_home_and_the_source_is_asked_for_the_others_only(asked: list[bytes]) -> None:
    world = World()
    for name in NAMES:
        world.box.write(name, b"")
    world.box.write(b"full", b"content")
    world.age()
    result = await world.round()
    assert result.success
    assert asked == [b"full"]
    assert world.home() == dict.fromkeys(NAMES, b"") | {b"full": b"content"}
    assert world.destination.files[home_path(b"log")].mtime_ns == world.box.entry(b"log").stat.mtime_ns
    assert (await world.rows())[source_path(b"log")] == hashlib.sha256(b"").digest()
    assert (result.tally.wanted, result.tally.transferred, result.tally.wanted_bytes) == (5, 5, 7)
    assert not world.destination.parts


async def test_one_that_is_still_being_written_waits() -> None:
    world = World()
    world.box.write(b"film.mp4", b"")
    assert (await world.round()).waiting.files == 1
    world.box.write(b"film.mp4", b"moov")
    world.age()
    await world.round()
    assert world.home() == {b"film.mp4": b"moov"}


async def test_what_is_written_meanwhile_comes_with_the_next_round_and_is_not_cleaned_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    seen = world.box.write(b"film.mp4", b"")
    world.age()
    strike(monkeypatch, lambda: world.box.write(b"film.mp4", b"moov"))
    await world.round()
    (row,) = await world.store.manifest.current(TARGET.manifest, [source_path(b"film.mp4")])
    assert row is not None
    assert row.stat == seen.stat
    world.age(1_000)
    doors = world.doors()
    async with doors.source:
        assert not (await run_cleanup(doors, CleanupPolicy(age_s=1.0), dry_run=False)).removed
    await world.round()
    version = b"film~" + hashlib.sha256(b"moov").hexdigest()[:8].encode() + b".mp4"
    assert world.home() == {b"film.mp4": b"", version: b"moov"}


async def test_one_that_a_watch_saw_closed_this_moment_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program may make a file, close it, and open it again to write: nobody has waited for it to settle."""
    world = World()
    seen = world.box.write(b"film.mp4", b"")
    world.box.write(b"film.mp4", b"moov")
    doors = world.doors()
    async with doors.source:
        await ready(doors)
        await bring_noticed(doors, world.looks, [seen], Tally(), closed=True)
    assert world.home() == {}
    assert world.facts.troubles() == {b"film.mp4": ProblemKind.CHANGED}


async def test_one_that_a_watch_saw_closed_comes_home_at_once(asked: list[bytes]) -> None:
    world = World()
    seen = world.box.write(b"done", b"")
    doors = world.doors()
    async with doors.source:
        await ready(doors)
        await bring_noticed(doors, world.looks, [seen], Tally(), closed=True)
    assert world.home() == {b"done": b""}
    assert asked == [b"done"]


async def test_what_its_format_calls_unfinished_waits_for_settle_max() -> None:
    world = World()
    world.destination.wholeness = Wholeness.BROKEN
    world.box.write(b"a.png", b"")
    for _ in range(2):
        world.age(100)
        result = await world.round()
        assert result.success
        assert world.home() == {}
    assert world.facts.troubles() == {}, "it was not staged again"
    world.age(600)
    await world.round()
    assert world.home() == {b"a.png": b""}
    (row,) = await world.store.manifest.current(TARGET.manifest, [source_path(b"a.png")])
    assert row is not None
    assert row.incomplete


async def test_dying_between_landing_and_remembering_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for name in NAMES:
        world.box.write(name, b"")
    world.age()

    async def dies(*_: object, **__: object) -> None:
        raise StoreError("no power")

    with monkeypatch.context() as once:
        once.setattr(world.store.manifest, "record", dies)
        assert not (await world.round()).success
    assert world.home() == dict.fromkeys(NAMES, b"")
    assert await world.rows() == {}
    result = await world.round()
    assert result.success
    assert (result.tally.adopted, result.tally.transferred) == (4, 0)
    assert world.home() == dict.fromkeys(NAMES, b"")
    assert len(await world.rows()) == 4
    assert not world.destination.parts


async def test_the_owner_s_content_under_its_name_is_left_alone() -> None:
    world, first = World(), World()
    first.box.write(b"a.png", b"the owner's")
    first.age()
    await first.round()
    world.destination = first.destination
    world.box.write(b"a.png", b"")
    world.age()
    await world.round()
    version = b"a~" + hashlib.sha256(b"").hexdigest()[:8].encode() + b".png"
    assert world.home() == {b"a.png": b"the owner's", version: b""}
