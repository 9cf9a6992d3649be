"""Files that land are looked into beside everything else, and what is known of them is told by name."""

from __future__ import annotations

import asyncio
import base64

import pytest

from forged.control.errors import InvalidParams
from forged.control.protocol import LINE_MOST_BYTES
from forged.daemon import answers
from forged.daemon.enriching import LOOK_S
from forged.daemon.methods_media import MediaMethods, UnknownFile
from forged.model.target import DuplicatesMode, MediaPolicy
from tests.daemon.grounds import Grounds, grounds, target
from tests.support.virtual import virtual

HOME = str(target().home.dest)
ON = MediaPolicy(thumbnails=True, phash=True)


def methods(world: Grounds) -> MediaMethods:
    return MediaMethods(world.fleet, world.enriching, world.store)


async def rest(world: Grounds) -> None:
    """Until nothing waits any more."""
    async with asyncio.timeout(60):
        while sum((await world.enriching.waiting()).values()):
            await asyncio.sleep(0.1)
    await asyncio.sleep(0.1)


@virtual
async def test_what_lands_is_looked_into_and_told_by_any_of_its_names() -> None:
    async with grounds(target(media=ON)) as world:
        await world.put(b"out/a.png", b"a cat")
        await world.synced()
        await rest(world)
        ways = [{"path": f"{HOME}/out/a.png"}, {"path": "out/a.png"}, {"path_b64": base64.b64encode(b"out/a.png").decode()}]
        answers = [await methods(world).show(**way) for way in ways]
        assert answers[0] == answers[1] == answers[2]
        shown = answers[0]
        assert (shown["target"], shown["home"], shown["waiting"]) == ("box", f"{HOME}/out/a.png", False)
        assert shown["media"] is not None
        assert shown["media"]["raw"] == [{"place": "toy/text", "chars": 5}]
        assert shown["sidecar"] == f"{HOME}/out/a.png.xmp"
        sha256 = shown["file"]["sha256"]
        assert shown["thumbnail"] == f"{HOME}/.forged/thumbs/{sha256[:2]}/{sha256[2:4]}/{sha256}_512.webp"
        assert await methods(world).show(path="out/a.png", raw=True) != shown


@virtual
async def test_what_waits_is_told_as_waiting() -> None:
    async with grounds(target(media=ON)) as world:
        world.examiner.hold = asyncio.Event()
        await world.put(b"slow.png", b"a cat")
        await world.synced()
        shown = await methods(world).show(path="slow.png")
        assert (shown["waiting"], shown["media"], shown["examined_at"]) == (True, None, None)
        assert await world.enriching.waiting() == {"box": 1}
        world.examiner.hold.set()
        await rest(world)
        assert (await methods(world).show(path="slow.png"))["media"] is not None


@virtual
async def test_what_waits_or_is_not_looked_into_is_told_by_where_it_lies() -> None:
    async with grounds(target(media=ON)) as world:
        world.examiner.hold = asyncio.Event()
        for name in (b"slow.png", b"a.txt"):
            await world.put(name, b"a cat")
        await world.synced()
        shown = [await methods(world).show(path=f"{HOME}/{name}") for name in ("slow.png", "a.txt")]
        assert [(one["home"], one["media"]) for one in shown] == [(f"{HOME}/slow.png", None), (f"{HOME}/a.txt", None)]
        world.examiner.hold.set()
        await rest(world)


@virtual
async def test_a_file_that_takes_long_holds_up_no_transfer() -> None:
    async with grounds(target(media=ON)) as world:
        world.examiner.hold = asyncio.Event()
        await world.put(b"slow.png", b"a cat")
        await world.synced()
        await world.put(b"b.png", b"a dog")
        await world.synced()
        assert b"b.png" in world.at_home()


@virtual
@pytest.mark.parametrize("path", ["/elsewhere/a.png", "nobody.png", "/", f"{HOME}/", f"{HOME}/../x.png", "../x.png", "x//y", ""])
async def test_what_is_not_known_is_said(path: str) -> None:
    async with grounds(target(media=ON)) as world:
        with pytest.raises(UnknownFile):
            await methods(world).show(path=path)


@virtual
async def test_one_name_is_needed() -> None:
    async with grounds(target(media=ON)) as world:
        for names in ({}, {"path": "a", "path_b64": "YQ=="}, {"path_b64": "?"}):
            with pytest.raises(InvalidParams):
                await methods(world).show(**names)


@virtual
async def test_equal_files_are_listed_the_first_that_landed_first() -> None:
    async with grounds(target(media=ON), target("other", media=ON)) as world:
        await world.put(b"b.png", b"a cat")
        await world.synced()
        await asyncio.sleep(1)
        for name in (b"a.png", b"c.png"):
            await world.put(name, b"a cat")
        await world.put(b"d.png", b"a dog")
        await world.synced()
        await rest(world)
        page = await methods(world).duplicates()
        assert [[file["path"] for file in group["files"]] for group in page["groups"]] == [["b.png", "a.png", "c.png"]]
        assert page["next_cursor"] is None
        assert (await methods(world).duplicates(target="other"))["groups"] == []
        copies = (await methods(world).show(path="a.png"))["copies"]
        assert sorted(copy["path"] for copy in copies) == ["b.png", "c.png"]


@virtual
async def test_pages_of_equal_files_go_on_where_the_last_ended() -> None:
    async with grounds(target(media=ON)) as world:
        for number in range(5):
            for name in (b"a", b"b"):
                await world.put(b"%s%d.png" % (name, number), b"picture %d" % number)
        await world.synced()
        await rest(world)
        seen, cursor = [], None
        while True:
            page = await methods(world).duplicates(limit=2, cursor=cursor)
            seen += [group["sha256"] for group in page["groups"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 5


@virtual
async def test_equal_files_with_the_longest_names_fit_into_an_answer() -> None:
    deep = b"/".join([b"\x01\xff" * 120] * 16)
    async with grounds(target(media=ON)) as world:
        for number in range(60):
            await world.put(b"%s/%d.png" % (deep, number), b"a cat")
        await world.synced()
        await rest(world)
        page = await methods(world).duplicates()
        assert answers.json_bytes(page) < LINE_MOST_BYTES and len(page["groups"][0]["files"]) > 1
        assert page["next_cursor"] is None
        shown = await methods(world).show(path_b64=base64.b64encode(deep + b"/1.png").decode())
        assert answers.json_bytes(shown) < 250_000 and shown["copies"]


@virtual
async def test_where_equal_files_share_their_bytes_that_is_said() -> None:
    async with grounds(target(media=MediaPolicy(duplicates=DuplicatesMode.HARDLINK))) as world:
        for name in (b"a.png", b"b.png"):
            await world.put(name, b"a cat")
        await world.synced()
        await rest(world)
        (group,) = (await methods(world).duplicates())["groups"]
        assert [file["shares"] for file in group["files"]] == [False, True]


@virtual
async def test_a_rerun_looks_into_everything_again() -> None:
    async with grounds(target(media=ON)) as world:
        for name in (b"a.png", b"b.png", b"c.txt"):
            await world.put(name, name)
        await world.synced()
        await rest(world)
        world.examiner.seen.clear()
        done = await methods(world).rerun("box")
        assert (done["success"], done["files"], done["message"]) == (True, 2, "2 files wait to be looked into")
        await rest(world)
        assert sorted(world.examiner.seen) == ["a.png", "b.png"]
        assert (await methods(world).rerun())["files"] == 2


@virtual
async def test_a_missing_exiftool_is_said_once_and_the_sidecars_follow_when_it_is_there() -> None:
    async with grounds(target(media=ON)) as world:
        world.sidecars.available = False
        await world.enriching.look()
        await world.enriching.look()
        assert [one.kind for one in world.enriching.conditions.problems] == ["exiftool_missing"]
        await world.put(b"a.png", b"a cat")
        await world.synced()
        await rest(world)
        assert (await methods(world).show(path="a.png"))["sidecar"] is None
        world.sidecars.available = True
        await world.enriching.look()
        await asyncio.sleep(1)
        assert (await methods(world).show(path="a.png"))["sidecar"] is not None
        assert world.enriching.conditions.problems == ()
        assert sum("exiftool is missing" in line for line in world.heard.said) == 2  # when it broke, and when it healed


@virtual
async def test_an_exiftool_that_vanishes_is_told_before_a_file_needs_it_and_heals_when_it_is_back() -> None:
    async with grounds(target(media=ON)) as world:
        watching = asyncio.create_task(world.enriching.watch(alive=lambda: None))
        await asyncio.sleep(10 * LOOK_S)
        assert world.enriching.conditions.problems == ()
        world.sidecars.available = False
        await asyncio.sleep(LOOK_S)
        (told,) = world.enriching.conditions.problems
        assert (told.kind, "apt install libimage-exiftool-perl" in told.hint) == ("exiftool_missing", True)
        await world.put(b"a.png", b"a cat")
        await world.synced()
        await rest(world)
        assert (await methods(world).show(path="a.png"))["sidecar"] is None
        world.sidecars.available = True
        await asyncio.sleep(LOOK_S + 1)
        watching.cancel()
        assert world.enriching.conditions.problems == ()
        assert (await methods(world).show(path="a.png"))["sidecar"] is not None, "what was owed is paid without being asked for"


@virtual
async def test_nobody_who_wants_no_sidecars_is_told_of_exiftool() -> None:
    async with grounds(target(media=MediaPolicy(xmp=False))) as world:
        world.sidecars.available = False
        await world.enriching.look()
        assert world.enriching.conditions.problems == ()


@virtual
async def test_a_target_that_changes_goes_on_with_what_waits() -> None:
    async with grounds(target(media=ON)) as world:
        world.examiner.hold = asyncio.Event()
        await world.put(b"slow.png", b"a cat")
        await world.synced()
        await world.apply(target(media=MediaPolicy()))
        world.examiner.hold = None
        await rest(world)
        assert "slow.png" in world.examiner.seen
