"""The six faults for which the nearest peer has lost files, each in a real case: OpenSSH, the agent, cleanup on."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from forged.sync.cycle import LANDING_BATCH
from tests.acceptance.peer import CLEANED, ONLY_WHEN_ASKED, age, clean, names, own, states, write
from tests.support.daemon import Daemon, daemon, until
from tests.support.proxy import CutAfter, Line, proxy
from tests.support.site import Site, grow, staged, tree
from tests.support.sshd import Sshd

SHELL = "shell"
SHELL_FOLDER = "out puts; touch canary $(touch canary) `touch canary` 'x\" & -rf *"
"""A source folder that a shell would fall over, or obey."""


@pytest.fixture(scope="module")
def house(sshd: Sshd) -> Iterator[Daemon]:
    """One daemon for most of these; each test has a target of its own."""
    lines = dict.fromkeys(("unsynced", "mirrored", SHELL, "meanwhile"), CLEANED.format(""))
    lines["unsynced"] = CLEANED.format('exclude = ["*.tmp"]\nmax_size = "50kB"\n')
    with daemon(sshd, **lines) as made:
        (made.box(SHELL) / SHELL_FOLDER).mkdir()
        made.sources[SHELL] = sshd.url(quote(str(made.box(SHELL) / SHELL_FOLDER)))
        made.write()
        yield made.start()


@pytest.fixture
def site(tmp_path: Path, sshd: Sshd) -> Site:
    return Site(tmp_path, sshd)


# --- a listing error read as "no changes" -----------------------------------------------------------------------------------


def test_a_box_that_does_not_answer_is_neither_empty_nor_unchanged() -> None:
    """The peer: `list_files` answers [] for any failure of ssh, so the sync is a success with nothing to do, and everything that
    was remembered counts as deleted."""
    with own() as (server, house):
        write(house, "box", *(f"{n}.png" for n in range(20)))
        house.start().sync()
        before, synced = tree(house.home()), house.standing()["last_sync"]
        assert len(before) == 20

        server.stop()
        failed = house.sync()
        assert (failed["status"], failed["result"]["success"], failed["result"]["files_transferred"]) == ("failed", False, 0)
        assert failed["result"]["errors"]
        assert (house.standing()["state"], house.standing()["last_sync"]) == ("unreachable", synced)
        assert set(states(house, "box").values()) == {"present"}

        house.box().rename(house.root / "not mounted yet")
        server.start()
        assert house.sync()["status"] == "failed"
        assert set(states(house, "box").values()) == {"present"}

        (house.root / "not mounted yet").rename(house.box())
        again = house.sync()
        assert (again["status"], again["result"]["files_transferred"]) == ("complete", 0)
        assert tree(house.home()) == before


async def test_a_listing_that_breaks_half_way_concludes_nothing_from_what_it_did_not_see(sshd: Sshd) -> None:
    """The peer: half a listing is a listing. What is missing from it is deleted at home by the next `rsync --delete-after`."""
    with daemon(sshd, box=f"{ONLY_WHEN_ASKED}\nmedia = {{ metadata = false, xmp = false }}") as house:
        async with proxy(sshd.port) as line:
            house.sources["box"] = sshd.url(house.box()).replace(f":{sshd.port}/", f":{line.port}/")
            house.write()
            await asyncio.to_thread(grow, house.box(), 3_000, 30, 500)
            await asyncio.to_thread(lambda: house.start().sync())
            before = tree(house.home())
            assert len(before) == 3_000

            await asyncio.to_thread(house.stop)  # a new session lists everything anew
            line.line = broken = CutAfter(30_000, times=10_000)
            await asyncio.to_thread(house.start)
            failed = await asyncio.to_thread(house.sync)
            assert broken.times < 10_000
            assert failed["status"] == "failed"
            assert house.standing()["held"] is False
            assert set(states(house, "box").values()) == {"present"}

            line.line = Line()
            again = await asyncio.to_thread(house.sync)
            assert (again["status"], again["result"]["files_transferred"]) == ("complete", 0)
            assert tree(house.home()) == before


# --- cleanup that never asks whether a file was synced ----------------------------------------------------------------------


def test_cleanup_takes_only_what_is_surely_home(house: Daemon) -> None:
    """The peer: `find` by age, then `rm`. Whether a file ever came home, and how it looks there now, is not asked. Here all files
    are ten days old, and all but two are not safe at home, each in its own way."""
    write(house, "unsynced", "safe.png", "safe too.png", "sketch.important", "excluded.tmp")
    write(house, "unsynced", "cut at home.png", "deleted at home.png", "rewritten.png", "equal size.png")
    write(house, "unsynced", "over max_size.png", size_bytes=60_000)
    half = house.box("unsynced") / "half.png"
    half.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    age(half, 1e-6)
    house.sync("unsynced")
    os.truncate(house.home("unsynced") / "cut at home.png", 10)
    (house.home("unsynced") / "deleted at home.png").unlink()
    write(house, "unsynced", "rewritten.png", size_bytes=1_001)
    write(house, "unsynced", "equal size.png")
    write(house, "unsynced", "not home yet.png")
    sent = names(house.box("unsynced"))

    removed, kept = clean(house, "unsynced")
    assert removed == {"safe.png", "safe too.png"}
    assert names(house.box("unsynced")) == sent - removed
    assert kept["cut at home.png"] == "home_differs"
    assert kept["deleted at home.png"] == "home_missing"
    assert kept["rewritten.png"] == kept["equal size.png"] == "changed"
    assert removed <= names(house.home("unsynced"))


# --- remote deletions mirrored home -----------------------------------------------------------------------------------------


def test_what_is_deleted_at_the_box_stays_at_home(house: Daemon) -> None:
    """The peer: `rsync --delete-after`, so a generator that clears its old outputs, a person, or a recycled box deletes at home."""
    target = "mirrored"
    made = write(house, target, *(f"day {n % 3}/{n}.png" for n in range(30)))
    house.sync(target)
    before = tree(house.home(target))
    assert len(before) == len(made)

    for name in list(made)[:5]:  # a few: believed, and remembered as gone
        (house.box(target) / name).unlink()
    assert house.sync(target)["status"] == "complete"
    assert tree(house.home(target)) == before
    assert sum(state == "gone" for state in states(house, target).values()) == 5

    house.box(target).rename(house.root / "the old tree")  # all: a recycled box. Not believed until a person has looked
    house.box(target).mkdir()
    house.sync(target)
    assert house.standing(target)["held"] is True
    assert sum(state == "gone" for state in states(house, target).values()) == 5
    assert tree(house.home(target)) == before
    assert clean(house, target)[0] == set()


# --- unquoted paths in a shell ----------------------------------------------------------------------------------------------


def test_no_name_is_ever_a_word_of_a_shell(house: Daemon) -> None:
    """The peer: `find {path} -printf '%p|%s|%T@'` over ssh, cut at `|` and newlines, and `rm -f {path}`: a name may run a command,
    remove its neighbours, or list files that do not exist."""
    box = house.box(SHELL) / SHELL_FOLDER
    nasty = {
        b"a b.png",
        b"c*",
        b"-rf",
        b"--",
        b"$(touch canary).png",
        b"`touch canary`",
        b"x;touch canary;.png",
        b"x\ntouch canary\n",
        b"forged.png|5|1700000000\netc|5|1700000000",
        b"'\"'\"",
        b"$HOME",
        b"~root",
        b"> canary",
        b"\xff\xfe.png",
    }
    bystanders = {b"a.important", b"b.important", b"c1.important", b"rf.important"}
    for name in nasty | bystanders:
        (box / os.fsdecode(name)).write_bytes(name)
    at_box = tree(box)
    house.sync(SHELL)
    assert tree(house.home(SHELL)) == at_box

    house.call("cleanup.run", target=SHELL)
    assert set(tree(box)) == bystanders
    assert tree(house.home(SHELL)) == at_box
    everywhere = [*house.root.rglob("canary*"), *house.sshd.folder.rglob("canary*"), *Path.cwd().glob("canary*")]
    assert everywhere == []


# --- files that appeared during the run marked as synced --------------------------------------------------------------------


def test_what_appears_while_a_sync_runs_is_not_taken_for_home(house: Daemon) -> None:
    """The peer: after the transfer it lists again, and marks all that is there now as synced. What was made meanwhile never comes
    home, and the clean-up removes it."""
    target = "meanwhile"
    house.sync(target)  # the first look is over
    write(house, target, "film.bin", size_bytes=3_000_000)
    house.call("transfer.limit", target=target, limit="2MB/s")
    with house.client() as client:
        client.call("sync.subscribe")
        job_id = client.call("sync.start", target=target)["job_id"]
        until(lambda: sum(path.stat().st_size for path in staged(house.home(target))) > 300_000)
        write(house, target, "meanwhile.png")
        with (house.box(target) / "film.bin").open("ab") as file:
            file.write(b"more")
        age(house.box(target) / "film.bin", 10)
        next(n for n in client.notifications(30) if n.method == "sync_complete" and n.params["id"] == job_id)
    house.call("transfer.limit", target=target, limit="off")
    assert set(states(house, target)) == names(house.home(target)) == set()
    assert clean(house, target)[0] == set()

    assert house.sync(target)["result"]["files_transferred"] == 2
    assert tree(house.home(target)) == tree(house.box(target))
    assert clean(house, target)[0] == {"film.bin", "meanwhile.png"}


# --- a manifest rewritten whole, and silently reset when corrupt ------------------------------------------------------------


def damage(state: Path) -> bytes:
    """As a dying disk does it: pages in the middle are not what they were. Answers the damaged file."""
    data = bytearray((state / "forged.db").read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    (state / "forged.db").write_bytes(data)
    return bytes(data)


def told_of_damage(site: Site) -> str:
    """Runs `forged once` on a damaged memory; all that it says. It may go on or not."""
    with site.start("once") as process:
        out, err = process.communicate(timeout=120)
    return out + err


def test_a_damaged_memory_is_said_and_kept_and_nothing_moves_or_goes_for_it(site: Site) -> None:
    """The peer: `except: manifest = {}`, and the next save writes the empty one over the damaged one, which nobody can then look
    at any more. All comes again, and what the owner had deleted comes back."""
    grow(site.source, 60, 5, 5_000)
    site.once()
    at_box, at_home = tree(site.source), tree(site.home)
    damaged = damage(site.root / "state")

    assert "damaged" in told_of_damage(site)
    assert any(path.read_bytes()[4096:] == damaged[4096:] for path in (site.root / "state").glob("forged.db*"))
    assert tree(site.source) == at_box
    assert tree(site.home) == at_home


def test_after_a_damaged_memory_all_that_is_home_is_adopted(site: Site) -> None:
    """The peer: an empty manifest copies everything again, over what is there."""
    grow(site.source, 60, 5, 5_000)
    site.once()
    at_home = tree(site.home)
    damage(site.root / "state")
    told_of_damage(site)
    answer = site.once()
    assert (answer["files_listed"], answer["bytes_transferred"]) == (60, 0)
    assert tree(site.home) == at_home
    assert list((site.root / "state").glob("forged.db.damaged-*"))


def rows(site: Site) -> int:
    """How many files are remembered, asked beside whoever works with the database."""
    file = site.root / "state" / "forged.db"
    if not file.exists():
        return 0
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT count(*) FROM versions").fetchone()[0])


def test_what_was_remembered_before_a_kill_stays_remembered(quick_path: Path, sshd: Sshd) -> None:
    """The peer: `open(manifest, "w")` and the whole of it after each file, so a kill in that moment leaves an empty memory."""
    unopened = "media = { metadata = false, xmp = false }"
    site = Site(quick_path, sshd, extra=f'bandwidth = "200kB/s"\n{unopened}')  # so that there is a middle to be killed in
    grow(site.source, 2_000, 20, 2_000)
    process = site.start("once", "--json")
    until(lambda: rows(site) > LANDING_BATCH or process.poll() is not None)
    process.kill()
    process.communicate()
    site.extra = unopened
    remembered, came = rows(site), len(tree(site.home))
    assert LANDING_BATCH < remembered <= came
    answer = site.once()
    assert (answer["files_adopted"], answer["files_transferred"]) == (came - remembered, 2_000 - came)
    assert tree(site.home) == tree(site.source)
