"""Landing among hostile names, planted links and foreign disks. Nothing leaves the destination, nothing of the owner's changes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forged.destination.base import Closed, Landing
from forged.destination.claims import make_claim
from forged.destination.hashing import sha256_of
from forged.destination.posix import PosixDestination
from forged.kit import durable
from forged.kit.durable import FOLDER, NoReplace
from forged.model.errors import DestinationError, DiskFull
from forged.model.files import Problem, ProblemKind
from forged.model.paths import home_path
from forged.model.transfer import Landed, LandedAs, Receipt
from tests.destination.places import MTIME_NS, landing, needs_root, posix, pour, request, tmpfs, tree
from tests.destination.test_posix import without

NOBODY = 65534
"""The user and group that own nothing (Debian, Fedora and Alpine agree on the number)."""


async def land_one(home: PosixDestination, path: bytes, data: bytes = b"pixels", at: bytes | None = None) -> Landed | Problem:
    (receipt,) = await pour(home, (path, data))
    return (await home.land([landing(receipt, at)]))[0]


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            b"a\nb|c'd\"e.png",
            b"-rf",
            b"~",
            b"%s%n",
            b"\xff\xfe.png",
            b"x" * 255,
            b" ",
            b"...",
            b"a/" * 50 + b"deep.png",
            b"\x1b[2J",
        ],
    )
    async def test_every_name_that_a_file_can_have_lands_as_it_is(self, home: PosixDestination, dest: Path, name: bytes) -> None:
        landed = await land_one(home, name)
        assert isinstance(landed, Landed)
        assert Path(os.fsdecode(os.fsencode(dest) + b"/" + name)).read_bytes() == b"pixels"

    async def test_a_name_that_this_file_system_cannot_hold_is_a_problem_and_the_others_land(
        self, home: PosixDestination, dest: Path
    ) -> None:
        long, short = await pour(home, (b"x" * 255, b"pixels"), (b"short", b"pixels"))
        problem, landed = await home.land([Landing(long, _unchecked(b"x" * 256)), landing(short)])
        assert isinstance(problem, Problem)
        assert (problem.path, problem.kind) == (b"x" * 255, ProblemKind.HOME)
        assert isinstance(landed, Landed)

    @pytest.mark.parametrize("name", [b".forged/id", b".forged/staging/box/evil.part", b".forged/new", b".forged"])
    async def test_a_source_cannot_land_in_our_own_folder(self, home: PosixDestination, dest: Path, name: bytes) -> None:
        marker = (dest / ".forged/id").read_bytes()
        answer = await land_one(home, name)
        assert isinstance(answer, Problem) or answer.home.count(b"/") == 0
        assert (dest / ".forged/id").read_bytes() == marker
        assert sorted(os.listdir(dest / ".forged")) == ["id", "staging"]
        assert list(await home.look([home_path(name)])) == [None]
        assert await home.hash(home_path(name)) is None

    async def test_a_name_like_one_of_our_temporary_ones_is_a_name_like_any_other(self, home: PosixDestination, dest: Path) -> None:
        name = b".forged-0123456789abcdef.part"
        assert isinstance(await land_one(home, name), Landed)
        await home.sweep(())
        assert tree(dest) == {os.fsdecode(name): b"pixels"}


def _unchecked(path: bytes):  # type: ignore[no-untyped-def]
    """A HomePath that home_path would refuse."""
    return path


class TestThingsInTheWay:
    async def test_a_link_in_the_path_is_a_problem_and_is_not_followed(
        self, home: PosixDestination, dest: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").mkdir()
        (dest / "out").symlink_to(tmp_path / "outside")
        stuck, fine = await pour(home, (b"out/a.png", b"pixels"), (b"b.png", b"pixels"))
        problem, landed = await home.land([landing(stuck), landing(fine)])
        assert isinstance(problem, Problem)
        assert problem.kind is ProblemKind.HOME
        assert isinstance(landed, Landed)
        assert os.listdir(tmp_path / "outside") == []
        (tmp_path / "outside/a.png").write_bytes(b"secret")
        assert list(await home.look([home_path(b"out/a.png")])) == [None]
        assert await home.hash(home_path(b"out/a.png")) is None

    @pytest.mark.parametrize("dangling", [True, False])
    async def test_a_link_under_the_final_name_is_left_alone(
        self, home: PosixDestination, dest: Path, tmp_path: Path, dangling: bool
    ) -> None:
        if not dangling:
            (tmp_path / "target").write_bytes(b"pixels")
        (dest / "a.png").symlink_to(tmp_path / "target")
        landed = await land_one(home, b"a.png")
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.VERSION  # also where the link leads to equal content: that is not in this destination
        assert os.path.islink(dest / "a.png")
        assert (tmp_path / "target").exists() is not dangling

    async def test_a_file_where_a_folder_should_be_is_a_problem(self, home: PosixDestination, dest: Path) -> None:
        (dest / "a").write_bytes(b"owner")
        answer = await land_one(home, b"a/b.png")
        assert isinstance(answer, Problem)
        assert "move it away" in answer.message
        assert (dest / "a").read_bytes() == b"owner"

    async def test_a_folder_or_a_fifo_under_the_final_name_makes_a_version(self, home: PosixDestination, dest: Path) -> None:
        (dest / "a.png").mkdir()
        os.mkfifo(dest / "b.png")
        for name in (b"a.png", b"b.png"):
            landed = await land_one(home, name)
            assert isinstance(landed, Landed)
            assert landed.how is LandedAs.VERSION
        assert list(await home.look([home_path(b"a.png"), home_path(b"b.png")])) == [None, None]
        assert await home.hash(home_path(b"b.png")) is None

    async def test_mode_and_mtime_are_set_whatever_the_umask(self, dest: Path) -> None:
        home = posix(dest, file_mode=0o664, dir_mode=0o2775)
        before = os.umask(0o077)
        try:
            await home.ready(None)
            await land_one(home, b"x/a.png")
        finally:
            os.umask(before)
        seen = (dest / "x/a.png").stat()
        assert (stat.S_IMODE(seen.st_mode), seen.st_mtime_ns) == (0o664, MTIME_NS)
        assert stat.S_IMODE((dest / "x").stat().st_mode) == 0o2775
        await home.aclose()

    @needs_root
    async def test_files_and_folders_get_the_group(self, dest: Path) -> None:
        home = posix(dest, group="12345")
        await home.ready(None)
        await land_one(home, b"x/a.png")
        assert [(dest / name).stat().st_gid for name in ("x", "x/a.png")] == [12345, 12345]
        await home.aclose()

    @pytest.mark.parametrize("mtime_ns", [-1, 0, 2**63 - 1, -(2**63), 10**30])
    async def test_no_mtime_of_a_source_stops_a_file(self, home: PosixDestination, mtime_ns: int) -> None:
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        strange = Receipt(request(b"a.png", b"pixels", mtime_ns=mtime_ns).entry, receipt.staged)
        assert isinstance((await home.land([landing(strange)]))[0], Landed)

    async def test_an_adopted_file_keeps_what_its_owner_gave_it(self, home: PosixDestination, dest: Path) -> None:
        (dest / "a.png").write_bytes(b"pixels")
        os.utime(dest / "a.png", ns=(1, 1))
        (dest / "a.png").chmod(0o600)
        await land_one(home, b"a.png")
        assert ((dest / "a.png").stat().st_mtime_ns, stat.S_IMODE((dest / "a.png").stat().st_mode)) == (1, 0o600)

    async def test_a_mutable_file_that_its_owner_saves_in_this_moment_is_not_replaced(
        self, home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def hash_slowly(fd: int) -> bytes:
            sha256 = sha256_of(fd)
            (dest / "log.html").write_bytes(b"one, and my notes")
            return sha256

        (dest / "log.html").write_bytes(b"one")
        (receipt,) = await pour(home, (b"log.html", b"one and two"))
        monkeypatch.setattr("forged.destination.landing.sha256_of", hash_slowly)
        (landed,) = await home.land([landing(receipt, replaces=hashlib.sha256(b"one").digest())])
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.VERSION
        assert (dest / "log.html").read_bytes() == b"one, and my notes"


class TestDisks:
    async def test_a_failed_fsync_lands_nothing_and_drops_what_may_be_lost(
        self, home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(fd: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", broken)
            with pytest.raises(DestinationError, match="Input/output") as caught:
                await home.land([landing(receipt)])
        assert "dmesg" in caught.value.hint
        assert tree(dest) == {}

    @needs_root
    @pytest.mark.parametrize("level", list(NoReplace), ids=lambda level: level.value)
    async def test_another_disk_inside_the_destination_takes_files_too(
        self, dest: Path, monkeypatch: pytest.MonkeyPatch, level: NoReplace
    ) -> None:
        without(monkeypatch, level)
        home = posix(dest, file_mode=0o640)
        await home.ready(None)
        with tmpfs(dest / "other"):
            (dest / "other/taken.png").write_bytes(b"owner")
            (dest / "other/equal.png").write_bytes(b"pixels")
            for name, how in ((b"new.png", "new"), (b"taken.png", "version"), (b"equal.png", "adopted"), (b"sub/empty", "new")):
                landed = await land_one(home, b"other/" + name, b"" if name.endswith(b"empty") else b"pixels")
                assert isinstance(landed, Landed)
                assert landed.how.value == how
            seen = (dest / "other/new.png").stat()
            assert (seen.st_mtime_ns, stat.S_IMODE(seen.st_mode)) == (MTIME_NS, 0o640)
            assert {len(data) for data in tree(dest).values()} == {0, 5, 6}
            assert len(tree(dest)) == 5
        await home.aclose()

    @needs_root
    async def test_a_mutable_file_on_another_disk_is_replaced(self, home: PosixDestination, dest: Path) -> None:
        with tmpfs(dest / "other"):
            (one,) = await pour(home, (b"other/log.html", b"one"))
            await home.land([landing(one)])
            (two,) = await pour(home, (b"other/log.html", b"one and two"))
            (landed,) = await home.land([landing(two, replaces=one.staged.sha256)])
            assert isinstance(landed, Landed)
            assert landed.how is LandedAs.REPLACED
            assert tree(dest) == {"other/log.html": b"one and two"}

    @needs_root
    async def test_another_disk_that_is_full_leaves_nothing_half_behind(self, home: PosixDestination, dest: Path) -> None:
        with tmpfs(dest / "other", "1m"):
            (receipt,) = await pour(home, (b"other/a.mp4", os.urandom(2 << 20)))
            with pytest.raises(DiskFull):
                await home.land([landing(receipt)])
            assert [name for name in tree(dest) if not name.startswith(".forged")] == []
        assert isinstance((await home.land([landing(receipt)]))[0], Landed)


class TestClaims:
    async def test_a_placeholder_of_a_crash_is_taken_over_by_its_file(self, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        without(monkeypatch, NoReplace.PLACEHOLDER)
        home = posix(dest)
        await home.ready(None)
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        _claim(dest, receipt.staged.staging, b"a.png")
        (dest / "a.png").touch()
        (landed,) = await home.land([landing(receipt)])
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.NEW
        assert tree(dest) == {"a.png": b"pixels"}
        await home.aclose()

    async def test_an_empty_file_of_the_owner_is_no_placeholder(self, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        without(monkeypatch, NoReplace.PLACEHOLDER)
        home = posix(dest)
        await home.ready(None)
        (dest / "a.png").touch()
        landed = await land_one(home, b"a.png")
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.VERSION
        await home.sweep(())
        assert (dest / "a.png").exists()
        await home.aclose()

    @pytest.mark.parametrize("end", ["sweep", "discard"])
    async def test_what_a_claim_names_goes_with_it_if_it_is_ours(self, home: PosixDestination, dest: Path, end: str) -> None:
        copy = "x/.forged-0123456789abcdef.part"
        (dest / "x").mkdir()
        (dest / copy).write_bytes(b"half a copy")
        (dest / "x/empty.png").touch()
        (dest / "x/owner.png").write_bytes(b"owner")
        stagings = [f"{n:032d}" for n in range(4)]
        _claim(dest, stagings[0], copy.encode(), b"x/empty.png")
        _claim(dest, stagings[1], b"x/owner.png")
        _claim(dest, stagings[2], b"x/gone.png")
        _claim(dest, stagings[3], b"../outside")
        (dest.parent / "outside").touch()
        await (home.sweep(()) if end == "sweep" else home.discard(stagings))
        assert tree(dest) == {"x/owner.png": b"owner"}
        assert (dest.parent / "outside").exists()


def _claim(dest: Path, staging: str, *paths: bytes) -> None:
    fd = os.open(dest / ".forged/staging/box", FOLDER)
    make_claim(fd, staging, *paths)
    os.close(fd)


class TestClosedFolders:
    """Folders and files of the owner's that forged may not enter or read. Root may enter everything, so it steps down for this."""

    @pytest.fixture
    def dest(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="forged-closed-", dir="/tmp") as folder, as_ordinary_user(Path(folder)):
            yield Path(folder) / "home"

    async def test_a_closed_folder_is_told_apart_from_a_missing_file(self, home: PosixDestination, dest: Path) -> None:
        (dest / "closed").mkdir(0o000)
        looks = await home.look([home_path(b"closed/a.png"), home_path(b"a.png")])
        assert looks == [Closed.CLOSED, None]
        assert await home.hash(home_path(b"closed/a.png")) is None

    async def test_a_closed_folder_keeps_its_files_out_and_no_others(self, home: PosixDestination, dest: Path) -> None:
        (dest / "closed").mkdir(0o000)
        assert isinstance(await land_one(home, b"closed/a.png"), Problem)
        assert isinstance(await land_one(home, b"a.png"), Landed)

    async def test_a_file_that_nobody_may_read_is_other_content(self, home: PosixDestination, dest: Path) -> None:
        (dest / "a.png").write_bytes(b"pixels")
        (dest / "a.png").chmod(0o000)
        assert await home.hash(home_path(b"a.png")) is None
        landed = await land_one(home, b"a.png")
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.VERSION


@contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """The whole process gives up root's rights over `folder` for a while; an ordinary user has none to give up."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)  # glibc: of all threads
    try:
        yield
    finally:
        os.seteuid(0)


async def test_renameat2_is_what_this_kernel_has(home: PosixDestination) -> None:
    assert durable._RENAMEAT2 is not None
    assert (await home.ready(None)).no_replace is NoReplace.RENAMEAT2
