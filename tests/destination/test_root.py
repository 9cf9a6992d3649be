"""Promise 11: a full disk or a missing destination is noticed, said, and healed by itself; an unmounted one is never filled."""

from __future__ import annotations

import asyncio
import hashlib
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import uuid
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from forged.destination.base import NoReplace
from forged.destination.root import Root
from forged.model.errors import DestinationError, DestinationMissing, DestinationReadOnly, DiskFull, MarkerMissing
from forged.model.paths import home_path
from forged.model.target import HomePolicy
from forged.model.transfer import Landed, Piece
from tests.destination.places import landing, needs_root, pieces, posix, pour, request, tmpfs, tree


class TestFirstUse:
    async def test_the_folder_and_its_marker_are_made(self, dest: Path) -> None:
        home = posix(dest / "deep/er", dir_mode=0o750)
        readiness = await home.ready(None)
        assert (dest / "deep/er/.forged/id").read_text() == readiness.id + "\n"
        assert stat.S_IMODE((dest / "deep").stat().st_mode) == 0o750
        assert readiness.no_replace is NoReplace.RENAMEAT2
        assert readiness.free_bytes > 0
        await home.aclose()

    async def test_what_is_staged_is_nobody_elses_to_read(self, dest: Path) -> None:
        home = posix(dest)
        await home.ready(None)
        await pour(home, (b"a.png", b"pixels"))
        assert stat.S_IMODE((dest / ".forged").stat().st_mode) == 0o700
        assert stat.S_IMODE(next((dest / ".forged/staging/box").iterdir()).stat().st_mode) == 0o600
        await home.aclose()

    async def test_many_targets_at_once_agree_on_one_marker(self, dest: Path) -> None:
        homes = [posix(dest, namespace=f"box{n}") for n in range(8)]
        answers = await asyncio.gather(*(home.ready(None) for home in homes))
        assert len({answer.id for answer in answers}) == 1
        assert sorted(os.listdir(dest / ".forged/staging/box0")) == []
        for home in homes:
            await home.aclose()

    async def test_an_empty_marker_of_a_crash_is_made_anew(self, dest: Path) -> None:
        (dest / ".forged").mkdir(parents=True)
        (dest / ".forged/id").touch()
        home = posix(dest)
        assert (await home.ready(None)).id == (dest / ".forged/id").read_text().strip()
        await home.aclose()

    async def test_a_target_with_a_hostile_name_has_its_own_staging_inside(self, dest: Path) -> None:
        for name in ("../../x", ".", "..", "a/b", "ümlaut"):
            home = posix(dest, namespace=name)
            await home.ready(None)
            await home.aclose()
        assert len(os.listdir(dest / ".forged/staging")) == 5
        assert os.listdir(dest) == [".forged"]
        assert os.listdir(dest.parent) == ["home"]

    async def test_a_file_where_the_folder_should_be_is_told(self, dest: Path) -> None:
        dest.write_text("not a folder")
        home = posix(dest)
        with pytest.raises(DestinationMissing):
            await home.ready(None)
        await home.aclose()


class TestLater:
    async def test_a_missing_folder_is_not_made_again(self, dest: Path) -> None:
        home = posix(dest)
        with pytest.raises(DestinationMissing):
            await home.ready(str(uuid.uuid4()))
        assert not dest.exists()
        await home.aclose()

    async def test_a_folder_without_its_marker_is_waited_for_and_nothing_is_written_to_it(self, dest: Path) -> None:
        dest.mkdir()
        home = posix(dest)
        with pytest.raises(MarkerMissing):
            await home.ready(str(uuid.uuid4()))
        assert os.listdir(dest) == []
        await home.aclose()

    async def test_another_disk_of_ours_in_the_middle_of_a_round_is_not_filled(self, dest: Path) -> None:
        """Two disks in turn, both with all that forged makes: only the marker tells them apart."""
        home, aside = posix(dest), dest.with_name("the disk of last week")
        await home.ready(None)
        dest.rename(aside)
        other = posix(dest)
        await other.ready(None)
        await other.aclose()
        before = tree(dest)
        with pytest.raises(MarkerMissing):
            await pour(home, (b"a.png", b"pixels"))
        with pytest.raises(MarkerMissing):
            await home.look([home_path(b"a.png")])
        assert tree(dest) == before
        await home.aclose()

    async def test_looking_again_writes_nothing(self, dest: Path) -> None:
        home = posix(dest)
        known_id = (await home.ready(None)).id
        staging = dest / ".forged/staging/box"
        before = [path.stat().st_ctime_ns for path in (dest, dest / ".forged", staging.parent, staging)]
        await home.ready(known_id)
        assert before == [path.stat().st_ctime_ns for path in (dest, dest / ".forged", staging.parent, staging)]
        await home.aclose()

    async def test_less_room_than_min_free_is_a_full_disk(self, dest: Path) -> None:
        home = posix(dest, min_free_bytes=1 << 60)
        with pytest.raises(DiskFull, match="min_free") as told:
            await home.ready(None)
        assert told.value.free_bytes is not None
        assert 0 < told.value.free_bytes < 1 << 60
        await home.aclose()

    async def test_an_unknown_group_is_told(self, dest: Path) -> None:
        home = posix(dest, group="no-such-group")
        with pytest.raises(DestinationError, match="no-such-group"):
            await home.ready(None)
        await home.aclose()

    async def test_require_mount_refuses_what_is_no_mount(self, tmp_path: Path) -> None:
        if _below_a_mount(tmp_path):
            pytest.skip("the temporary folder lies on a mount of its own")
        home = posix(tmp_path / "home", require_mount=True)
        with pytest.raises(DestinationMissing, match="mounted"):
            await home.ready(None)
        assert not (tmp_path / "home").exists()
        await home.aclose()


def _below_a_mount(path: Path) -> bool:
    return any(os.path.ismount(above) for above in [path, *path.parents] if above != Path("/"))


@needs_root
class TestMounts:
    async def test_require_mount_accepts_a_mount_and_folders_in_it(self, dest: Path) -> None:
        with tmpfs(dest):
            for folder in (dest, dest / "media"):
                home = posix(folder, require_mount=True)
                await home.ready(None)
                await home.aclose()

    async def test_an_unmounted_destination_is_never_filled(self, dest: Path) -> None:
        home = posix(dest)
        with tmpfs(dest):
            known_id = (await home.ready(None)).id
            (receipt,) = await pour(home, (b"a.png", b"pixels"))
        for attempt in (
            home.ready(known_id),
            home.land([landing(receipt)]),
            pour(home, (b"b.png", b"more")),
            home.look([home_path(b"a.png")]),
        ):
            with pytest.raises((MarkerMissing, DestinationMissing)):
                await attempt
        assert os.listdir(dest) == []
        await home.aclose()

    async def test_nothing_holds_an_idle_destination_busy(self, dest: Path) -> None:
        home = posix(dest)
        with tmpfs(dest):
            await home.ready(None)
            await home.land([landing(receipt) for receipt in await pour(home, (b"x/a.png", b"pixels"))])
            subprocess.run(["umount", dest], check=True)  # not lazily: an open descriptor would refuse it
        await home.aclose()

    async def test_a_read_only_remount_is_told_and_heals(self, dest: Path) -> None:
        home = posix(dest)
        with tmpfs(dest):
            known_id = (await home.ready(None)).id
            (receipt,) = await pour(home, (b"a.png", b"pixels"))
            subprocess.run(["mount", "-o", "remount,ro", dest], check=True)
            for attempt in (home.ready(known_id), home.land([landing(receipt)]), pour(home, (b"b.png", b"more"))):
                with pytest.raises(DestinationReadOnly, check=lambda error: "drop-ins/destination.conf" in error.hint):
                    await attempt
            subprocess.run(["mount", "-o", "remount,rw", dest], check=True)
            await home.ready(known_id)
            assert isinstance((await home.land([landing(receipt)]))[0], Landed)
        await home.aclose()

    async def test_a_disk_that_fills_up_in_mid_write_is_told_and_the_file_resumes(self, dest: Path) -> None:
        home, data = posix(dest), os.urandom(6 << 20)
        with tmpfs(dest, "4m"):
            known_id = (await home.ready(None)).id
            wanted = request(b"big.mp4", data)
            async with aclosing(home.sink()) as sink:
                with pytest.raises(DiskFull):
                    for piece in pieces(wanted, data, 300_000):
                        await sink.reserve(piece.size_bytes)
                        await sink.write([piece])
                with pytest.raises(DiskFull):
                    await sink.reserve(1)
            subprocess.run(["mount", "-o", "remount,size=16m", dest], check=True)
            await home.ready(known_id)
            (offset,) = await home.resume_points([wanted.staging])
            assert offset > 3 << 20
            again = request(b"big.mp4", data, offset)
            async with aclosing(home.sink()) as sink:
                await sink.reserve(len(data) - offset)
                (done,) = await sink.write(pieces(again, data, 300_000))
            assert done.sha256 == hashlib.sha256(data).digest()
        await home.aclose()

    async def test_a_disk_without_room_for_a_folder_is_full_and_the_file_lands_later(self, dest: Path) -> None:
        home = posix(dest)
        with tmpfs(dest, "4m,nr_inodes=12"):
            known_id = (await home.ready(None)).id
            (receipt,) = await pour(home, (b"a/b/c/d/e/f/g/h/i/j/k/l/m.png", b"pixels"))
            with pytest.raises(DiskFull):
                await home.land([landing(receipt)])
            subprocess.run(["mount", "-o", "remount,nr_inodes=100", dest], check=True)
            await home.ready(known_id)
            (landed,) = await home.land([landing(receipt)])
            assert isinstance(landed, Landed)
            assert set(tree(dest)) == {"a/b/c/d/e/f/g/h/i/j/k/l/m.png"}
        await home.aclose()

    async def test_min_free_is_kept_while_a_long_transfer_runs(self, dest: Path) -> None:
        home, size = posix(dest, min_free_bytes=150 << 20), 1 << 20
        with tmpfs(dest, "300m"):
            await home.ready(None)
            wanted, data = request(b"endless.mp4", b""), (bytes(size),)
            async with aclosing(home.sink()) as sink:
                with pytest.raises(DiskFull, match="min_free"):
                    for number in range(300):
                        await sink.reserve(size)
                        await sink.write([Piece(wanted, number * size, data)])
            assert os.statvfs(dest).f_bavail * os.statvfs(dest).f_frsize > 50 << 20
        await home.aclose()

    def test_without_permission_it_is_read_only(self, tmp_path: Path) -> None:
        with tempfile.TemporaryDirectory() as folder:  # tmp_path lies in a folder that nobody else may enter
            os.chmod(folder, 0o755)
            done = subprocess.run(
                [sys.executable, "-c", AS_NOBODY, folder], capture_output=True, text=True, timeout=30, check=False
            )
            assert f"{folder}: no permission to write\n" in done.stdout, done.stderr
            assert f"`chown -R {pwd.getpwuid(65534).pw_name}: {folder}`" in done.stdout


AS_NOBODY = """
import asyncio, os, sys
from pathlib import Path
from forged.model.errors import DestinationReadOnly
from tests.destination.places import posix

async def main():
    home = posix(Path(sys.argv[1]))
    try:
        await home.ready(None)
    except DestinationReadOnly as e:
        print(e)
        print(e.hint)
    await home.aclose()

os.setgroups([])
os.setgid(65534)
os.setuid(65534)
asyncio.run(main())
"""


def test_trying_it_out_makes_nothing_and_says_what_a_sync_would(tmp_path: Path) -> None:
    there = HomePolicy(dest=tmp_path / "home")
    assert Root(there, "studio", 0).try_out() is None
    assert list(tmp_path.iterdir()) == []
    there.dest.mkdir()
    free_bytes = Root(there, "studio", 0).try_out()
    assert free_bytes is not None and free_bytes > 0
    assert list(there.dest.iterdir()) == []
    with pytest.raises(DiskFull, match="min_free"):
        Root(there, "studio", 2**62).try_out()
    with pytest.raises(DestinationError, match="nosuchgroup"):
        Root(replace(there, group="nosuchgroup"), "studio", 0).try_out()
    (tmp_path / "file").write_text("")
    with pytest.raises(DestinationError):
        Root(replace(there, dest=tmp_path / "file" / "home"), "studio", 0).try_out()


async def test_what_lies_below_a_home_that_is_gone_is_not_told_as_its_free_space(tmp_path: Path) -> None:
    home = posix(tmp_path / "dest")
    await home.ready(None)
    assert await home.free_space_bytes() > 0
    (tmp_path / "dest/.forged/id").unlink()  # as where nothing is mounted any more
    with pytest.raises(DestinationError):
        await home.free_space_bytes()
    await home.aclose()
