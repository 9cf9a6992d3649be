"""What becomes of a file at home: media info, sidecar, thumbnail, shared bytes; and what may come in between."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from forged.destination.base import Linked
from forged.destination.memory import MemoryFile
from forged.media.base import Opened
from forged.model.errors import DestinationMissing, StoreError
from forged.model.events import EventKind
from forged.model.manifest import ManifestName
from forged.model.media import Examined, Known, MediaKind, Owed, ToExamine
from forged.model.observer import ExamineResult, FilesExamined
from forged.model.paths import home_path, source_path
from forged.model.sidecars import SidecarTrouble
from forged.model.target import DuplicatesMode, MediaPolicy
from forged.rules.media import MOST_TRIES
from forged.rules.selection import Selector
from forged.sync.enrich import Rooms, enrich, rerun
from forged.sync.enrichment import AGAIN_S, FILES_A_WORKER, Enrichment, Turns
from forged.sync.pages import PAGE_FILES
from tests.support.virtual import LoopClock, virtual
from tests.support.world import TARGET, World
from tests.sync.toys import ToyExaminer, ToySidecars

NAME = TARGET.manifest
A, B = source_path(b"a.png"), source_path(b"b.png")


class Studio:
    """A world, and somebody who looks into what comes home."""

    def __init__(self, policy: MediaPolicy = MediaPolicy(thumbnails=True, phash=True)) -> None:  # noqa: B008
        self.world = World(target=replace(TARGET, media=policy))
        self.examiner, self.sidecars = ToyExaminer(), ToySidecars()
        self.turns = Turns(8)
        self.enrichment = Enrichment(self.rooms(), self.turns)

    def rooms(self) -> Rooms:
        world = self.world
        selector = Selector(world.target.selection)
        return Rooms(
            world.target,
            selector,
            world.destination,
            world.store,
            self.examiner,
            self.sidecars,
            world.facts,
            world.clock,
            lambda: [NAME, ManifestName("other")],
            world.takers(),
        )

    async def bring(self, files: dict[bytes, bytes]) -> None:
        for name, data in files.items():
            self.world.box.write(name, data)
        self.world.age()
        assert (await self.world.round()).success

    async def drain(self) -> None:
        """As after a start: nothing is in mind but what is remembered."""
        self.enrichment = Enrichment(self.rooms(), self.turns)
        await self.enrichment.drain()

    async def text(self, path: bytes) -> str | None:
        known = await self.known(path)
        return known.info.raw[0].text if known and known.info.raw else None

    async def known(self, path: bytes) -> Known | None:
        return await self.world.store.media.info(NAME, source_path(path))

    async def waiting(self) -> list[bytes]:
        return [file.path for file in await self.world.store.media.waiting(NAME, 1_000)]

    def results(self) -> list[ExamineResult]:
        return [fact.result for fact in self.world.facts.seen if isinstance(fact, FilesExamined)]


async def test_what_comes_home_is_known_has_a_sidecar_and_a_thumbnail() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat", b"sub/b.png": b"a dog"})
    assert await studio.waiting() == [b"a.png", b"sub/b.png"]
    await studio.drain()
    assert (await studio.waiting(), await studio.text(b"a.png"), await studio.text(b"sub/b.png")) == ([], "a cat", "a dog")
    sha256 = hashlib.sha256(b"a cat").digest()
    assert studio.world.at_home(b"a.png.xmp") == b"forged " + sha256.hex().encode() + b" a cat"
    assert await studio.world.destination.thumbnail(sha256) == b"thumb of a cat"
    assert studio.results() == [ExamineResult.DONE] * 2


async def test_what_is_no_media_is_left_alone() -> None:
    studio = Studio()
    await studio.bring({b"log.html": b"<p>", b"a.txt": b"text", b"empty.png": b""})
    assert await studio.waiting() == []


async def test_with_everything_off_nothing_waits() -> None:
    studio = Studio(MediaPolicy(metadata=False, xmp=False))
    await studio.bring({b"a.png": b"a cat"})
    assert await studio.waiting() == []


async def test_a_broken_picture_is_data() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"broken", b"b.png": b"fine"})
    await studio.drain()
    known = await studio.known(b"a.png")
    assert known is not None
    assert known.info.problems == ("broken",)
    assert await studio.text(b"b.png") == "fine"
    assert sorted(result.value for result in studio.results()) == ["done", "problem"]


async def test_companions_are_opened_beside_it_and_all_is_closed_again() -> None:
    studio = Studio()
    before = len(os.listdir("/proc/self/fd"))
    await studio.bring({b"a.mp4": b"film", b"a.swarm.json": b"{}", b"a.png": b"first frame"})
    await studio.drain()
    known = await studio.known(b"a.mp4")
    assert known is not None
    assert {(one.place, one.text) for one in known.info.raw[1:]} == {("beside/a.swarm.json", "{}"), ("beside/a.png", "first frame")}
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_text_that_lands_later_makes_it_look_again() -> None:
    studio = Studio()
    await studio.bring({b"a.mp4": b"film"})
    await studio.drain()
    await studio.bring({b"a.swarm.json": b"{}"})
    assert await studio.waiting() == [b"a.mp4"]
    await studio.drain()
    known = await studio.known(b"a.mp4")
    assert known is not None
    assert len(known.info.raw) == 2


async def test_what_was_written_for_the_newer_version_says_nothing_of_the_older() -> None:
    studio = Studio()
    await studio.bring({b"a.mp4": b"film", b"a.swarm.json": b"its text"})
    await studio.bring({b"a.mp4": b"another film", b"a.swarm.json": b"another text"})
    await studio.drain()
    films = [known for home in studio.world.home() for known in await studio.world.store.media.of_home(NAME, home_path(home))]
    texts = {known.info.raw[0].text: [block.text for block in known.info.raw[1:]] for known in films}
    assert texts == {"film": [], "another film": ["another text"]}


# --- what happens meanwhile -------------------------------------------------------------------------------------------------


async def test_a_file_that_the_owner_moved_away_is_no_news() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    del studio.world.destination.files[home_path(b"a.png")]
    await studio.drain()
    assert (await studio.waiting(), await studio.known(b"a.png"), studio.results()) == ([], None, [ExamineResult.GONE])


async def test_a_file_that_the_owner_changed_or_closed_is_told_so_and_not_opened() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat", b"sub/b.png": b"a dog"})
    studio.world.destination.files[home_path(b"a.png")] = MemoryFile(b"painted over")
    studio.world.destination.closed.add(b"sub")
    await studio.drain()
    assert studio.examiner.seen == []
    for path in (b"a.png", b"sub/b.png"):
        known = await studio.known(path)
        assert known is not None
        assert known.info.kind is MediaKind.OTHER
        assert known.info.problems
    assert set(studio.world.home()) == {b"a.png", b"sub/b.png"}


async def test_a_newer_version_that_comes_meanwhile_is_looked_into_for_itself() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    (file,) = await studio.world.store.media.waiting(NAME, 10)
    await studio.bring({b"a.png": b"another cat"})
    looked = await enrich(studio.rooms(), file, ())
    assert looked.examined is not None
    await studio.world.store.media.finish([looked.examined])
    assert await studio.waiting() == [b"a.png"]  # the newer one
    await studio.drain()
    assert await studio.text(b"a.png") == "another cat"


async def test_a_file_that_takes_the_program_along_is_given_up() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"deadly", b"b.png": b"fine"})

    def dies(file: Opened) -> None:
        if file.name == "a.png":
            raise SystemError("killed")

    studio.examiner.before = dies
    for _ in range(MOST_TRIES):
        with pytest.raises(ExceptionGroup):
            await studio.drain()
    await studio.drain()
    known = await studio.known(b"a.png")
    assert known is not None
    assert "3 times" in known.info.problems[0]
    assert await studio.text(b"b.png") == "fine"
    assert ExamineResult.GIVEN_UP in studio.results()


async def test_what_is_remembered_while_the_queue_is_read_is_not_looked_into_again(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    await studio.bring({b"%04d.png" % n: b"%d" % n for n in range(PAGE_FILES + 1)})
    waiting = studio.world.store.media.waiting

    async def slowly(name: ManifestName, limit: int) -> Sequence[ToExamine]:
        found = await waiting(name, limit)
        await asyncio.sleep(0.05)
        return found

    monkeypatch.setattr("forged.sync.enrichment.WRITE_AGAIN_S", 0.01)
    monkeypatch.setattr(studio.world.store.media, "waiting", slowly)
    await studio.drain()
    assert len(studio.examiner.seen) == PAGE_FILES + 1


async def test_few_transactions_are_needed_for_many_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sync.enrichment.WRITE_AGAIN_S", 60.0)  # also on a slow machine
    studio, calls = Studio(), Counter[str]()
    await studio.bring({b"%04d.png" % n: b"%d" % n for n in range(10 * PAGE_FILES)})
    for room in (studio.world.store.media, studio.world.store.manifest):
        for call in ("waiting", "begun", "finish", "put_back", "info", "current", "homes"):
            if hasattr(room, call):
                monkeypatch.setattr(room, call, counted(calls, call, getattr(room, call)))
    await studio.drain()
    assert len(studio.examiner.seen) == 10 * PAGE_FILES
    assert (calls["begun"], calls["finish"]) <= (10, 12)
    assert sum(calls.values()) <= 40 + 4 * FILES_A_WORKER


def counted(calls: Counter[str], name: str, call: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    async def told(*args: object) -> object:
        calls[name] += 1
        return await call(*args)

    return told


async def test_of_long_texts_few_wait_to_be_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile box's files may have 16 MiB each."""
    studio, together = Studio(), list[int]()
    await studio.bring({b"%02d.png" % n: b"%d" % n for n in range(30)})
    finish = studio.world.store.media.finish

    async def seen(examined: Sequence[Examined]) -> None:
        together.append(len(examined))
        await finish(examined)

    monkeypatch.setattr("forged.sync.pages.MOST_UNWRITTEN_CHARS", 3)
    monkeypatch.setattr(studio.world.store.media, "finish", seen)
    await studio.drain()
    assert (max(together) <= 3, sum(together)) == (True, 30)


async def test_trouble_with_the_state_in_the_middle_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    await studio.bring({b"%02d.png" % n: b"%d" % n for n in range(30)})

    async def fails(examined: Sequence[Examined]) -> None:
        raise StoreError("the disk is full")

    for _ in range(MOST_TRIES + 1):
        with monkeypatch.context() as patch:
            patch.setattr(studio.world.store.media, "finish", fails)
            await studio.drain()
        assert isinstance(studio.enrichment.trouble, StoreError)
        assert {file.tries for file in await studio.world.store.media.waiting(NAME, 100)} == {0}
    await studio.drain()
    assert (await studio.waiting(), await studio.text(b"07.png")) == ([], "7")


async def test_a_state_that_not_even_takes_them_back_gets_no_file_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio()
    await studio.bring({b"%d.png" % n: b"%d" % n for n in range(3)})

    async def fails(_: object) -> None:
        raise StoreError("the server is gone")

    for _ in range(MOST_TRIES + 1):
        with monkeypatch.context() as patch:
            for name in ("finish", "put_back"):
                patch.setattr(studio.world.store.media, name, fails)
            await studio.enrichment.drain()
        assert isinstance(studio.enrichment.trouble, StoreError)
    await studio.enrichment.drain()
    assert studio.results() == [ExamineResult.DONE] * 3
    assert (await studio.waiting(), await studio.text(b"1.png")) == ([], "1")


@virtual
async def test_what_many_targets_have_found_does_not_pile_up_before_a_slow_state(monkeypatch: pytest.MonkeyPatch) -> None:
    studios, slow, turns = [Studio() for _ in range(20)], asyncio.Event(), Turns(8)

    async def waits(examined: Sequence[Examined]) -> None:
        await slow.wait()

    for studio in studios:
        await studio.bring({b"%d.png" % n: b"%d" % n for n in range(10)})
        studio.enrichment = Enrichment(studio.rooms(), turns)
        monkeypatch.setattr(studio.world.store.media, "finish", waits)
    monkeypatch.setattr("forged.sync.pages.MOST_UNWRITTEN_CHARS", 1)
    draining = [asyncio.create_task(studio.enrichment.drain()) for studio in studios]
    await asyncio.sleep(60)
    assert sum(len(studio.examiner.seen) for studio in studios) <= 8
    for task in draining:
        task.cancel()
    slow.set()
    await asyncio.wait(draining)


@virtual
async def test_what_was_found_is_remembered_while_a_long_film_is_looked_into() -> None:
    studio = Studio()
    studio.examiner.hold = asyncio.Event()
    slow = [b"slow%d.mp4" % n for n in range(FILES_A_WORKER)]
    await studio.bring({b"a.png": b"a cat", **dict.fromkeys(slow, b"film"), b"z.png": b"a dog"})
    draining = asyncio.create_task(studio.drain())
    await asyncio.sleep(1)
    assert (await studio.text(b"a.png"), await studio.waiting()) == ("a cat", [*slow, b"z.png"])
    studio.examiner.hold.set()
    await draining
    assert await studio.waiting() == []


async def test_a_suspect_is_tried_while_no_other_suspect_is() -> None:
    """Of any target: two of them would share the blame."""
    one, two = Studio(MediaPolicy(workers=4)), Studio(MediaPolicy(workers=4))
    two.turns, two.examiner = one.turns, one.examiner
    for studio in (one, two):
        await studio.bring({b"%02d.png" % n: b"%d" % n for n in range(10)})
        await studio.world.store.media.begun(await studio.world.store.media.waiting(NAME, 10))
    await asyncio.gather(one.drain(), two.drain())
    assert (one.examiner.most_at_once, len(one.examiner.seen)) == (1, 20)
    assert [await one.waiting(), await two.waiting()] == [[], []]


async def test_trouble_with_the_destination_is_not_the_files_fault() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    studio.examiner.before = lambda file: setattr(studio.world.destination, "trouble", DestinationMissing())
    for _ in range(MOST_TRIES + 1):
        studio.world.destination.trouble = None
        await studio.drain()
        assert isinstance(studio.enrichment.trouble, DestinationMissing)
    studio.world.destination.trouble, studio.examiner.before = None, lambda file: None
    await studio.drain()
    assert await studio.text(b"a.png") == "a cat"


async def test_a_stop_in_the_middle_is_not_the_files_fault() -> None:
    studio = Studio()
    studio.examiner.hold = asyncio.Event()
    await studio.bring({b"slow.png": b"film"})
    for _ in range(MOST_TRIES + 1):
        running = asyncio.create_task(studio.drain())
        for _ in range(20):
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
    (file,) = await studio.world.store.media.waiting(NAME, 10)
    assert file.tries == 0


# --- sidecars ---------------------------------------------------------------------------------------------------------------


async def test_what_others_wrote_stays_also_when_they_write_meanwhile() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    place, edits = home_path(b"a.png.xmp"), [b"rating 5", b"rating 4"]
    studio.world.destination.files[place] = MemoryFile(b"rating 3")
    studio.sidecars.before = lambda: studio.world.destination.files.__setitem__(place, MemoryFile(edits.pop())) if edits else None
    await studio.drain()
    assert studio.world.at_home(b"a.png.xmp").splitlines()[1:] == [b"rating 5"]


async def test_without_exiftool_all_else_works_and_the_sidecars_follow() -> None:
    studio = Studio()
    studio.sidecars.available = False
    await studio.bring({b"%03d.png" % n: b"%d" % n for n in range(200)})
    await studio.drain()
    assert await studio.waiting() == []
    assert not [name for name in studio.world.home() if name.endswith(b".xmp")]
    assert len(await studio.world.store.media.owing(NAME, Owed.SIDECAR, None, 1_000)) == 200
    studio.sidecars.available = True
    studio.enrichment.follow()
    await studio.enrichment.drain()
    assert len([name for name in studio.world.home() if name.endswith(b".xmp")]) == 200
    assert await studio.world.store.media.owing(NAME, Owed.SIDECAR, None, 1_000) == []


async def test_few_of_those_that_are_owed_are_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of each of a hostile box's files may have 16 MiB."""
    studio, asked = Studio(), list[int]()
    studio.sidecars.available = False
    await studio.bring({b"%03d.png" % n: b"%d" % n for n in range(20)})
    await studio.drain()
    media = studio.world.store.media
    owing = media.owing

    async def counted(name: ManifestName, what: Owed, after: Known | None, limit: int) -> Sequence[Known]:
        asked.append(limit)
        return await owing(name, what, after, limit)

    monkeypatch.setattr(media, "owing", counted)
    studio.sidecars.available = True
    studio.enrichment.follow()
    await studio.enrichment.drain()
    assert max(asked) <= 4 and await owing(NAME, Owed.SIDECAR, None, 1_000) == []


async def test_a_sidecar_that_cannot_be_made_for_this_file_is_a_problem_of_it() -> None:
    studio = Studio()
    studio.sidecars.trouble = SidecarTrouble("a tag was refused")
    await studio.bring({b"a.png": b"a cat", b"x" * 250 + b".png": b"long"})
    await studio.drain()
    known = await studio.known(b"a.png")
    assert known is not None
    assert (known.info.problems, known.owes) == (("sidecar: a tag was refused",), frozenset())


async def test_a_sources_own_sidecar_is_not_opened_as_ours() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat", b"a.png.xmp": b"hostile", b"b.png.XMP": b"hostile", b"b.png": b"a dog"})
    await studio.drain()
    assert b"hostile" not in studio.world.at_home(b"a.png.xmp")
    assert studio.world.at_home(b"a.png~source.xmp") == b"hostile"
    assert studio.world.at_home(b"b.png~source.XMP") == b"hostile"


# --- duplicates ---------------------------------------------------------------------------------------------------------------


async def test_equal_files_share_the_bytes_of_the_first_that_landed() -> None:
    studio = Studio(MediaPolicy(duplicates=DuplicatesMode.HARDLINK, workers=4))
    await studio.bring({b"z.png": b"a cat"})
    await studio.bring({b"a.png": b"a cat", b"b.png": b"a dog", b"c.png": b"a cat"})
    await studio.drain()
    await studio.drain()
    assert studio.world.destination.links == {b"a.png": b"z.png", b"c.png": b"z.png"}
    assert await studio.world.store.media.owing(NAME, Owed.LINK, None, 10) == []


async def test_a_link_that_a_crash_forgot_is_made_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    studio = Studio(MediaPolicy(duplicates=DuplicatesMode.REFLINK))
    await studio.bring({b"a.png": b"a cat", b"b.png": b"a cat"})

    async def fails(*_: object) -> Linked:
        raise DestinationMissing

    with monkeypatch.context() as patch:
        patch.setattr(studio.world.destination, "link", fails)
        await studio.drain()
        await studio.drain()
    await studio.drain()
    assert studio.world.destination.links == {b"b.png": b"a.png"}


# --- its life -----------------------------------------------------------------------------------------------------------------


async def test_all_that_is_home_can_be_looked_into_again() -> None:
    studio = Studio()
    await studio.bring({b"%04d.png" % n: b"%d" % n for n in range(1_200)})
    await studio.drain()
    assert await rerun(studio.rooms()) == 1_200
    assert len(await studio.waiting()) == 1_000
    await studio.drain()
    assert len(studio.examiner.seen) == 2_400
    assert await studio.waiting() == []


async def test_no_more_files_at_once_than_there_are_turns() -> None:
    studio = Studio(MediaPolicy(workers=8))
    studio.turns = Turns(3)
    studio.examiner.hold = asyncio.Event()
    await studio.bring({b"slow%d.png" % n: b"%d" % n for n in range(30)})
    draining = asyncio.create_task(studio.drain())
    for _ in range(20):
        await asyncio.sleep(0)
    assert studio.examiner.most_at_once == 3
    studio.examiner.hold.set()
    await draining
    assert (studio.examiner.most_at_once, await studio.waiting()) == (3, [])


@virtual
async def test_what_lands_wakes_it_also_while_a_long_film_is_looked_into() -> None:
    studio = Studio(MediaPolicy(workers=2))
    studio.examiner.hold = asyncio.Event()
    running = asyncio.create_task(studio.enrichment.run())
    await studio.bring({b"slow.mp4": b"film"})
    studio.enrichment.wake()
    await asyncio.sleep(1)
    await studio.bring({b"a.png": b"a cat"})
    for fact in studio.world.facts.seen:
        studio.enrichment.notice(fact)
    await asyncio.sleep(1)
    assert (studio.examiner.seen, await studio.waiting()) == (["a.png"], [b"slow.mp4"])
    studio.examiner.hold.set()
    await asyncio.sleep(1)
    assert await studio.waiting() == []
    running.cancel()
    await asyncio.wait([running])


@virtual
async def test_after_trouble_it_tries_again_by_itself() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    studio.world.destination.trouble = DestinationMissing()
    running = asyncio.create_task(studio.enrichment.run())
    await asyncio.sleep(AGAIN_S / 2)
    assert studio.enrichment.trouble is not None
    studio.world.destination.trouble = None
    await asyncio.sleep(AGAIN_S)
    assert (await studio.text(b"a.png"), studio.enrichment.trouble) == ("a cat", None)
    running.cancel()
    await asyncio.wait([running])
    assert LoopClock().monotonic_s() > AGAIN_S


async def test_trouble_with_the_state_is_told() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat"})
    await studio.world.store.close()
    await studio.drain()
    assert isinstance(studio.enrichment.trouble, StoreError)


async def test_what_was_looked_into_is_told_with_what_was_found_and_again_when_it_is_looked_into_again() -> None:
    studio = Studio()
    studio.world.taken = True
    await studio.bring({b"a.png": b"a cat", b"a.txt": b"text"})
    told = [(kind, body.path, body.media) for kind, body in await studio.world.events()]
    assert told == [(EventKind.FILE_SYNCED, "a.txt", None)], "the picture is told when it was looked into"
    await studio.drain()
    await studio.world.store.media.queue(NAME, [A], 9)
    await studio.drain()
    bodies = [body for _, body in (await studio.world.events())[1:]]
    texts = [body.media.raw[0].text if body.media else None for body in bodies]
    assert [(body.path, body.again) for body in bodies] == [("a.png", False), ("a.png", True)]
    assert texts == ["a cat", "a cat"]


async def test_a_version_that_another_overtook_is_looked_into_and_told_as_well() -> None:
    studio = Studio()
    studio.world.taken = True
    cats = [b"a cat", b"another cat", b"a third cat"]
    for cat in cats:
        await studio.bring({b"a.png": cat})
    await studio.drain()
    told = {body.sha256: body for _, body in await studio.world.events()}
    assert [told[hashlib.sha256(cat).hexdigest()].media is not None for cat in cats] == [True] * 3
    assert {bytes(name) for name in studio.world.home()} == {
        *(place for body in told.values() for place in (name_at_home(body.home), name_at_home(body.home) + b".xmp"))
    }
    assert (await studio.waiting(), await studio.text(b"a.png")) == ([], "a third cat")
    assert len(await studio.world.events()) == 3
    assert await rerun(studio.rooms()) == 1


def name_at_home(home: str) -> bytes:
    return home.rpartition("/")[2].encode()


async def test_where_nobody_takes_events_none_are_written() -> None:
    studio = Studio()
    await studio.bring({b"a.png": b"a cat", b"a.txt": b"text"})
    await studio.drain()
    assert await studio.world.events() == []
