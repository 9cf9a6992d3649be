"""Further faults of the peer and its kind: what it takes for a change, for a box, for old, for whole."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.control.client import CallFailed
from tests.acceptance.peer import CLEANED, ONLY_WHEN_ASKED, age, clean, names, own, states, write
from tests.support.daemon import Daemon, daemon, until
from tests.support.proxy import CutAfter, Line, proxy
from tests.support.site import Site, grow, staged, tree
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd


@pytest.fixture(scope="module")
def house(sshd: Sshd) -> Iterator[Daemon]:
    """One daemon for most of these; each test has a target of its own."""
    lines = dict.fromkeys(("restored", "edited"), CLEANED.format(""))
    lines["fresh"] = CLEANED.format("").replace('age = "0s"', 'age = "24h"')
    lines["folders"] = CLEANED.format('folders = ["one", "missing", "three"]\n')
    with daemon(sshd, **lines) as made:
        yield made.start()


@pytest.fixture
def site(tmp_path: Path, sshd: Sshd) -> Site:
    return Site(tmp_path, sshd)


# --- another box at the address, and other boxes ----------------------------------------------------------------------------


def test_another_box_at_the_same_address_is_not_taken_for_the_old_one() -> None:
    """The peer: `StrictHostKeyChecking=no`. Rented addresses are recycled: the next tenant's files come home, and ours count as
    deleted; or he who stands in between reads and writes along."""
    with own() as (server, house):
        write(house, "box", *(f"{n}.png" for n in range(20)))
        house.start().sync()
        before = tree(house.home())
        server.new_host_key()
        server.restart()
        house.box().rename(house.root / "the old tree")
        write(house, "box", "of a stranger.png")

        told = (house.sync()["result"]["errors"][0] for _ in range(10))  # the first may only learn that the old one is gone
        assert any(server.fingerprint in error for error in told)
        assert house.standing()["state"] == "refused"
        with pytest.raises(CallFailed):
            house.call("cleanup.run", target="box")
        assert names(house.box()) == {"of a stranger.png"}
        assert tree(house.home()) == before
        assert set(states(house, "box").values()) == {"present"}


def test_a_folder_that_is_missing_stops_no_other_folder(house: Daemon) -> None:
    """The peer: `folders` are synced side by side, and the first that raises takes the results of the others with it."""
    target = "folders"
    house.sync(target)  # the first look is over
    write(house, target, "one/a.png", "three/c.png", "not asked for/b.png")
    house.sync(target)
    assert names(house.home(target)) == {"one/a.png", "three/c.png"}
    (house.box(target) / "three").rename(house.root / "three")
    write(house, target, "one/d.png")
    house.sync(target)
    assert names(house.home(target)) == {"one/a.png", "one/d.png", "three/c.png"}


def test_two_at_once_share_no_memory(site: Site) -> None:
    """The peer: two syncs (two clicks) read one JSON file, and each writes back what it knows: one forgets what the other brought,
    and both write into the same names."""
    grow(site.source, 300, 10, 50_000)
    both = [site.start("once", "--json") for _ in range(2)]
    outs = [process.communicate(timeout=120) for process in both]
    refused = [err for process, (_, err) in zip(both, outs, strict=True) if process.returncode]
    assert len(refused) <= 1
    assert all("another forged" in err for err in refused)
    assert tree(site.home) == tree(site.source)
    assert site.once()["files_transferred"] == 0
    assert staged(site.home) == []


# --- what has changed, and when ---------------------------------------------------------------------------------------------


def test_a_file_that_has_just_come_is_young_however_old_it_says_it_is(house: Daemon) -> None:
    """The peer: age is the mtime alone, and cleanup follows the sync at once: a picture from an archive or a copied tree is
    removed in the minute in which it came, before anybody has looked at it at home."""
    write(house, "fresh", "from an archive.png")
    house.sync("fresh")
    assert clean(house, "fresh") == (set(), {"from an archive.png": "young"})
    assert names(house.box("fresh")) == {"from an archive.png"}


def test_an_older_file_of_equal_size_is_another_file(house: Daemon) -> None:
    """The peer: changed is what has another size or a newer mtime. A file put back from a backup, or renamed over another one,
    is older; one whose mtime was kept is only to be told by inode and ctime."""
    target = "restored"
    write(house, target, "older.png", "same time.png")
    house.sync(target)
    seen = (house.box(target) / "same time.png").stat()
    again = write(house, target, "older.png", "same time.png")
    age(house.box(target) / "older.png", 400)
    os.utime(house.box(target) / "same time.png", ns=(seen.st_mtime_ns, seen.st_mtime_ns))
    assert house.sync(target)["result"]["files_transferred"] == 2
    at_home = [path.read_bytes() for path in house.home(target).glob("*.png")]
    assert len(at_home) == 4
    assert set(again.values()) <= set(at_home)


def test_a_copy_edited_at_home_hides_nothing_and_is_not_overwritten(house: Daemon) -> None:
    """The peer: `rsync --update` skips what is newer at home, so the box's new picture never comes; without it, it would overwrite
    what the owner has edited."""
    target = "edited"
    write(house, target, "a.png")
    house.sync(target)
    edited = house.home(target) / "a.png"
    edited.write_bytes(b"retouched by the owner")
    fresh = write(house, target, "a.png")["a.png"]
    house.sync(target)
    assert edited.read_bytes() == b"retouched by the owner"
    assert sorted(path.read_bytes() for path in house.home(target).glob("a*.png")) == sorted([b"retouched by the owner", fresh])


def test_times_come_home_whatever_zone_anybody_lives_in(tmp_path: Path) -> None:
    """The peer: `rsync --no-times`, and naive local times: each file is as old as its copy, and an age in hours is off by the
    zone's."""
    with running_sshd(extra="SetEnv TZ=Pacific/Kiritimati") as server:
        site = Site(tmp_path, server, env={"TZ": "Pacific/Pago_Pago"})
        for name, then_s in (("summer.png", 1_753_000_000), ("winter.png", 1_736_900_000), ("1969.png", -3_600)):
            (site.source / name).write_bytes(name.encode())
            os.utime(site.source / name, ns=(then_s * 10**9 + 123_456_789, then_s * 10**9 + 123_456_789))
        site.once()
        assert tree(site.home) == tree(site.source)
        site.env["TZ"] = "Europe/Berlin"
        assert site.once()["files_transferred"] == 0


# --- halves -----------------------------------------------------------------------------------------------------------------


async def test_a_line_that_breaks_leaves_no_half_file_among_the_whole_ones(sshd: Sshd) -> None:
    """The peer: `rsync --partial`: what came before the line broke lies at home, and whoever looks there takes it for the file. It
    also counts one file for each folder, whatever came."""
    with daemon(sshd, box=ONLY_WHEN_ASKED) as house:
        async with proxy(sshd.port) as line:
            house.sources["box"] = sshd.url(house.box()).replace(f":{sshd.port}/", f":{line.port}/")
            house.write()
            write(house, "box", "film.bin", size_bytes=6_000_000)
            line.line = CutAfter(2_000_000, times=10_000)
            await asyncio.to_thread(house.start)
            await asyncio.to_thread(until, lambda: sum(path.stat().st_size for path in staged(house.home())) > 0)
            assert names(house.home()) == set()
            assert states(house, "box") == {}

            line.line = Line()
            line.cut()
            await asyncio.to_thread(until, lambda: names(house.home()) == {"film.bin"}, house.log)
            assert tree(house.home()) == tree(house.box())
            assert staged(house.home()) == []
