"""Sidecars and shared bytes on real disks: the owner's edits in between, links in the way, crashes, other mounts, btrfs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from forged.destination import linking, sidecars, swaps
from forged.destination.base import Linked, LinkMode, Refused, SidecarPut
from forged.destination.posix import PosixDestination
from forged.model.paths import home_path
from tests.destination.places import needs_root, posix, tmpfs, tree
from tests.destination.test_cloning import shares_blocks

A, B = home_path(b"a.png"), home_path(b"b.png")
PIXELS = bytes(range(256)) * 5_000


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


class Cut(BaseException):
    """The process dies in this moment."""


def once(before: Callable[[], object], call: Callable[..., object]) -> Callable[..., object]:
    """`call`, and the first time something else before it."""
    waiting = [before]

    def do(*args: object) -> object:
        if waiting:
            waiting.pop()()
        return call(*args)

    return do


@pytest.fixture
def edits(dest: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
    """The owner writes this, in the last moment before names are exchanged."""

    def plan(name: str, data: bytes) -> None:
        monkeypatch.setattr(swaps, "exchange", once(lambda: _rewrite(dest / name, data), swaps.exchange))

    return plan


def _rewrite(path: Path, data: bytes) -> None:
    """As editors do it."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").rename(path)


# --- the owner is quicker -------------------------------------------------------------------------------------------------


async def test_an_edit_in_the_last_moment_is_put_back(home: PosixDestination, dest: Path, edits: Callable[..., None]) -> None:
    (dest / "a.png").write_bytes(PIXELS)
    (dest / "a.png.xmp").write_bytes(b"old")
    edits("a.png.xmp", b"edited")
    assert await home.put_sidecar(A, b"ours", sha256(b"old")) is SidecarPut.CHANGED
    assert tree(dest) == {"a.png": PIXELS, "a.png.xmp": b"edited"}


async def test_an_edit_in_place_in_the_last_moment_is_put_back(
    home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (dest / "a.png").write_bytes(PIXELS)
    (dest / "a.png.xmp").write_bytes(b"old")
    monkeypatch.setattr(swaps, "exchange", once(lambda: (dest / "a.png.xmp").write_bytes(b"edited"), swaps.exchange))
    assert await home.put_sidecar(A, b"ours", sha256(b"old")) is SidecarPut.CHANGED
    assert (dest / "a.png.xmp").read_bytes() == b"edited"


async def test_a_second_file_that_is_edited_in_the_last_moment_stays_the_owners(
    home: PosixDestination, dest: Path, edits: Callable[..., None]
) -> None:
    for name in ("a.png", "b.png"):
        (dest / name).write_bytes(PIXELS)
    edits("b.png", b"edited")
    assert await home.link(A, B, sha256(PIXELS), LinkMode.HARDLINK) is Linked.DIFFERS
    assert tree(dest) == {"a.png": PIXELS, "b.png": b"edited"}


async def test_two_edits_in_a_row_are_both_kept(home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes between the exchange and the giving back."""
    (dest / "a.png").write_bytes(PIXELS)
    (dest / "a.png.xmp").write_bytes(b"old")
    exchange, edits = swaps.exchange, [b"second", b"first"]

    def edited(*args: object) -> bool:
        if edits:
            _rewrite(dest / "a.png.xmp", edits.pop())
        return exchange(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(swaps, "exchange", edited)
    assert await home.put_sidecar(A, b"ours", sha256(b"old")) is SidecarPut.CHANGED
    beside = f"a.png~{sha256(b'first').hex()[:8]}.xmp"
    assert tree(dest) == {"a.png": PIXELS, "a.png.xmp": b"second", beside: b"first"}


# --- what is in the way -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", ["link", "folder", "fifo"])
async def test_a_sidecars_name_that_is_no_regular_file_is_left_alone(home: PosixDestination, dest: Path, make: str) -> None:
    (dest / "a.png").write_bytes(PIXELS)
    (dest.parent / "secret").write_bytes(b"secret")
    place = dest / "a.png.xmp"
    {"link": lambda: place.symlink_to(dest.parent / "secret"), "folder": place.mkdir, "fifo": lambda: os.mkfifo(place)}[make]()
    assert isinstance(await home.sidecar(A), Refused)
    assert await home.put_sidecar(A, b"ours", None) is SidecarPut.CHANGED
    assert await home.put_sidecar(A, b"ours", sha256(b"secret")) is SidecarPut.CHANGED
    assert (dest.parent / "secret").read_bytes() == b"secret"
    assert not place.is_file() or place.is_symlink()


async def test_a_link_is_not_opened(home: PosixDestination, dest: Path) -> None:
    (dest.parent / "secret").write_bytes(b"secret")
    (dest / "a.png").symlink_to(dest.parent / "secret")
    assert await home.open(A) is None
    assert await home.open(home_path(b".forged/id")) is None


async def test_sidecars_have_the_mode_of_the_files(tmp_path: Path) -> None:
    home = posix(tmp_path / "home", file_mode=0o604)
    await home.ready(None)
    (tmp_path / "home/a.png").write_bytes(PIXELS)
    await home.put_sidecar(A, b"ours", None)
    await home.put_sidecar(A, b"newer", sha256(b"ours"))
    assert (tmp_path / "home/a.png.xmp").stat().st_mode & 0o777 == 0o604
    await home.aclose()


# --- crashes ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("edited", [False, True], ids=["as read", "edited"])
@pytest.mark.parametrize("heal", ["sweep", "put"])
async def test_a_crash_around_the_exchange_is_healed(
    dest: Path, monkeypatch: pytest.MonkeyPatch, moment: str, edited: bool, heal: str
) -> None:
    home = posix(dest)
    await home.ready(None)
    (dest / "a.png").write_bytes(PIXELS)
    (dest / "a.png.xmp").write_bytes(b"old")
    exchange = swaps.exchange

    def cut(*args: object) -> bool:
        if edited:
            _rewrite(dest / "a.png.xmp", b"edited")
        if moment == "after":
            exchange(*args)  # type: ignore[arg-type]
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(swaps, "exchange", cut)
        patch.setattr(os, "unlink", _dead)
        with suppress(Cut):
            await home.put_sidecar(A, b"ours", sha256(b"old"))
    await home.aclose()
    again = posix(dest)
    await again.ready(None)
    if heal == "sweep":
        await again.sweep(())
    else:
        (dest / "b.png").write_bytes(PIXELS)
        await again.put_sidecar(B, b"ours", None)
    expected = b"edited" if edited else b"ours" if moment == "after" else b"old"
    assert (dest / "a.png.xmp").read_bytes() == expected
    assert not list((dest / ".forged/staging/box").iterdir())
    await again.aclose()


def _dead(*_: object, **__: object) -> None:
    raise Cut


async def test_what_is_being_swapped_is_not_swept(home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (dest / "a.png").write_bytes(PIXELS)
    (dest / "a.png.xmp").write_bytes(b"old")
    desk = home._hands._desk  # type: ignore[attr-defined]
    monkeypatch.setattr(swaps, "exchange", once(lambda: desk.sweep(()), swaps.exchange))
    assert await home.put_sidecar(A, b"ours", sha256(b"old")) is SidecarPut.DONE
    assert tree(dest) == {"a.png": PIXELS, "a.png.xmp": b"ours"}


# --- other file systems -----------------------------------------------------------------------------------------------------


@needs_root
async def test_on_another_disk_inside_sidecars_are_kept_and_nothing_is_linked(home: PosixDestination, dest: Path) -> None:
    inner, other = home_path(b"disk/a.png"), home_path(b"disk/b.png")
    with tmpfs(dest / "disk"):
        for name in ("a.png", "b.png"):
            (dest / "disk" / name).write_bytes(PIXELS)
        assert await home.put_sidecar(inner, b"ours", None) is SidecarPut.DONE
        assert await home.put_sidecar(inner, b"newer", sha256(b"ours")) is SidecarPut.DONE
        assert await home.put_sidecar(inner, b"late", sha256(b"ours")) is SidecarPut.CHANGED
        assert await home.link(inner, other, sha256(PIXELS), LinkMode.HARDLINK) is Linked.CANNOT
        assert await home.link(inner, other, sha256(PIXELS), LinkMode.REFLINK) is Linked.CANNOT
        assert tree(dest) == {"disk/a.png": PIXELS, "disk/b.png": PIXELS, "disk/a.png.xmp": b"newer"}


async def test_a_hard_link_has_the_mtime_and_mode_of_the_first(home: PosixDestination, dest: Path) -> None:
    for number, name in enumerate(("a.png", "b.png")):
        (dest / name).write_bytes(PIXELS)
        os.utime(dest / name, ns=(number, number))
    assert await home.link(A, B, sha256(PIXELS), LinkMode.HARDLINK) is Linked.DONE
    assert os.path.samefile(dest / "a.png", dest / "b.png")
    assert (dest / "b.png").stat().st_mtime_ns == 0
    (dest / "a.png").unlink()
    assert (dest / "b.png").read_bytes() == PIXELS


async def test_a_file_system_without_hard_links_says_so(
    home: PosixDestination, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for name in ("a.png", "b.png"):
        (dest / name).write_bytes(PIXELS)
    monkeypatch.setattr(os, "link", refuse)
    assert await home.link(A, B, sha256(PIXELS), LinkMode.HARDLINK) is Linked.CANNOT
    assert not os.path.samefile(dest / "a.png", dest / "b.png")


@pytest.fixture(params=["btrfs", "xfs"])
def sharing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system that can share blocks, in a file."""
    image, folder = tmp_path / "image", tmp_path / "sharing"
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(320 << 20)
    made = subprocess.run([f"mkfs.{request.param}", "-q", image], check=False, capture_output=True)
    mounted = subprocess.run(["mount", "-o", "loop", image, folder], check=False, capture_output=True, text=True)
    if made.returncode or mounted.returncode:
        pytest.skip(f"no {request.param} here: {made.stderr.decode()} {mounted.stderr}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
async def shared_home(sharing: Path) -> AsyncIterator[PosixDestination]:
    home = posix(sharing)
    await home.ready(None)
    yield home
    await home.aclose()


@needs_root
@pytest.mark.parametrize("size_bytes", [4096, 4097, (17 << 20) + 5], ids=str)
async def test_a_reflink_shares_blocks_and_changes_nothing_else(
    shared_home: PosixDestination, sharing: Path, size_bytes: int
) -> None:
    data = os.urandom(size_bytes)
    for number, name in enumerate(("a.png", "b.png")):
        (sharing / name).write_bytes(data)
        os.utime(sharing / name, ns=(number, number))
    os.sync()
    before = (sharing / "b.png").stat()
    assert await shared_home.link(A, B, sha256(data), LinkMode.REFLINK) is Linked.DONE
    after = (sharing / "b.png").stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_mode) == (before.st_ino, before.st_mtime_ns, before.st_mode)
    assert (sharing / "b.png").read_bytes() == data
    assert shares_blocks(sharing / "b.png")


@needs_root
async def test_the_kernel_compares_before_it_shares(shared_home: PosixDestination, sharing: Path) -> None:
    other = bytearray(PIXELS)
    other[-1] ^= 1
    (sharing / "a.png").write_bytes(PIXELS)
    (sharing / "b.png").write_bytes(other)
    os.sync()
    assert await shared_home.link(A, B, sha256(PIXELS), LinkMode.REFLINK) is Linked.DIFFERS
    assert (sharing / "b.png").read_bytes() == other


async def test_where_blocks_cannot_be_shared_that_is_an_answer(home: PosixDestination, dest: Path) -> None:
    for name in ("a.png", "b.png"):
        (dest / name).write_bytes(PIXELS)
    assert await home.link(A, B, sha256(PIXELS), LinkMode.REFLINK) in (Linked.CANNOT, Linked.DONE)
    assert tree(dest) == {"a.png": PIXELS, "b.png": PIXELS}


async def test_a_thumbnail_lies_by_its_content(home: PosixDestination, dest: Path) -> None:
    digits = sha256(PIXELS).hex()
    await home.put_thumbnail(sha256(PIXELS), b"webp")
    assert tree(dest) == {f".forged/thumbs/{digits[:2]}/{digits[2:4]}/{digits}_512.webp": b"webp"}


def test_the_numbers_are_those_of_the_system() -> None:
    assert (linking.FIDEDUPERANGE, linking._RANGE.size, sidecars.MOST_SIDECAR_BYTES) == (0xC0189436, 56, 8 << 20)
