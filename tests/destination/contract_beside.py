"""The promises of a destination for what lies beside the files: opening them, sidecars, thumbnails, shared bytes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from abc import abstractmethod

import pytest

from forged.destination.base import Destination, HomeFile, HomeLook, Linked, LinkMode, NoReplace, Refused, SidecarPut
from forged.kit.budget import Budget
from forged.model.errors import DestinationMissing, MarkerMissing
from forged.model.paths import home_path

A, B = home_path(b"sub/a.png"), home_path(b"sub/b.png")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class House:
    """One destination under test, and a way around it to its files."""

    destination: Destination
    budget: Budget

    @abstractmethod
    def put(self, home: bytes, data: bytes) -> None: ...

    @abstractmethod
    def get(self, home: bytes) -> bytes | None: ...

    @abstractmethod
    def names(self) -> set[bytes]:
        """All files at home, but nothing of forged's own."""

    @abstractmethod
    def staged(self) -> int:
        """How many files lie in staging."""

    @abstractmethod
    def exchange(self) -> None:
        """Puts another destination in the place of this one."""


class BesidesContract:
    """Part of `DestinationContract`."""

    async def test_nothing_beside_is_asked_before_it_was_looked_at(self, house: House) -> None:
        for call in (house.destination.open(A), house.destination.sidecar(A), house.destination.thumbnail(bytes(32))):
            with pytest.raises(DestinationMissing):
                await call

    async def test_an_exchange_is_noticed_here_too(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        house.exchange()
        for call in (
            home.open(A),
            home.sidecar(A),
            home.put_sidecar(A, b"xmp", None),
            home.put_thumbnail(bytes(32), b"thumb"),
            home.link(A, B, bytes(32), LinkMode.HARDLINK),
        ):
            with pytest.raises((MarkerMissing, DestinationMissing)):
                await call

    # --- opening ----------------------------------------------------------------------------------------------------------

    async def test_a_file_is_opened_with_how_it_looks(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        (look,) = await home.look([A])
        opened = await home.open(A)
        assert isinstance(opened, HomeFile)
        assert (os.pread(opened.fd, 100, 0), opened.look) == (b"pixels", look)
        assert isinstance(look, HomeLook)
        assert not os.get_inheritable(opened.fd)
        os.close(opened.fd)

    async def test_where_no_file_is_nothing_is_opened(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        before = open_files()
        assert [await home.open(home_path(name)) for name in (b"no.png", b"sub", b"sub/a.png/c", b"x" * 255)] == [None] * 4
        assert open_files() == before

    async def test_one_that_nobody_waits_for_any_more_is_closed(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        opened = await home.open(A)
        assert isinstance(opened, HomeFile)
        os.close(opened.fd)
        before = open_files()
        for _ in range(20):
            opening = asyncio.ensure_future(home.open(A))
            await asyncio.sleep(0)
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled():
                os.close(opening.result().fd)  # type: ignore[union-attr]
        opened = await home.open(A)
        assert isinstance(opened, HomeFile)
        os.close(opened.fd)
        for _ in range(500):
            if open_files() == before:
                return
            await asyncio.sleep(0.01)  # another thread may still be opening
        raise AssertionError("descriptors are left open")

    # --- sidecars ---------------------------------------------------------------------------------------------------------

    async def test_a_sidecar_is_put_beside_its_file_and_read_again(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        assert await home.sidecar(A) is None
        assert await home.put_sidecar(A, b"<xmp/>", None) is SidecarPut.DONE
        assert house.get(b"sub/a.png.xmp") == b"<xmp/>"
        assert await home.sidecar(A) == b"<xmp/>"
        assert house.get(A) == b"pixels"

    async def test_only_what_was_read_is_replaced(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        house.put(b"sub/a.png.xmp", b"the owner's")
        assert await home.put_sidecar(A, b"ours", None) is SidecarPut.CHANGED
        assert await home.put_sidecar(A, b"ours", sha256(b"older")) is SidecarPut.CHANGED
        assert house.get(b"sub/a.png.xmp") == b"the owner's"
        assert await home.put_sidecar(A, b"merged", sha256(b"the owner's")) is SidecarPut.DONE
        assert house.get(b"sub/a.png.xmp") == b"merged"
        assert house.staged() == 0

    async def test_a_sidecar_that_was_deleted_meanwhile_is_a_change(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        assert await home.put_sidecar(A, b"ours", sha256(b"older")) is SidecarPut.CHANGED
        assert house.get(b"sub/a.png.xmp") is None
        assert house.staged() == 0

    async def test_there_is_no_sidecar_of_nothing(self, house: House, home: Destination) -> None:
        assert await home.sidecar(A) is None
        assert await home.put_sidecar(A, b"ours", None) is SidecarPut.GONE
        assert house.names() == set()

    async def test_a_name_too_long_for_a_sidecar_is_refused(self, house: House, home: Destination) -> None:
        just, over = home_path(b"x" * 247 + b".png"), home_path(b"x" * 248 + b".png")
        house.put(just, b"pixels")
        house.put(over, b"pixels")
        assert await home.put_sidecar(just, b"xmp", None) is SidecarPut.DONE
        assert isinstance(await home.put_sidecar(over, b"xmp", None), Refused)
        assert isinstance(await home.sidecar(over), Refused)

    async def test_a_huge_sidecar_is_refused(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        house.put(b"sub/a.png.xmp", bytes(8 << 20))
        assert await home.sidecar(A) == bytes(8 << 20)
        house.put(b"sub/a.png.xmp", bytes((8 << 20) + 1))
        assert isinstance(await home.sidecar(A), Refused)

    # --- thumbnails -------------------------------------------------------------------------------------------------------

    async def test_thumbnails_go_by_content(self, house: House, home: Destination) -> None:
        assert await home.thumbnail(sha256(b"pixels")) is None
        await home.put_thumbnail(sha256(b"pixels"), b"first")
        await home.put_thumbnail(sha256(b"pixels"), b"webp")
        assert await home.thumbnail(sha256(b"pixels")) == b"webp"
        assert await home.thumbnail(sha256(b"other")) is None
        assert house.names() == set()

    # --- shared bytes -----------------------------------------------------------------------------------------------------

    async def test_equal_files_are_linked_once(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        house.put(B, b"pixels")
        how = await home.link(A, B, sha256(b"pixels"), LinkMode.HARDLINK)
        if (await home.ready(None)).no_replace is not NoReplace.RENAMEAT2:
            assert (how, house.staged()) == (Linked.CANNOT, 0)  # two names cannot be exchanged there either
            return
        assert how is Linked.DONE
        assert await home.link(A, B, sha256(b"pixels"), LinkMode.HARDLINK) is Linked.ALREADY
        assert (house.get(A), house.get(B), house.staged()) == (b"pixels", b"pixels", 0)
        assert await home.hash(B) == sha256(b"pixels")

    async def test_what_is_not_equal_any_more_is_left_alone(self, house: House, home: Destination) -> None:
        house.put(A, b"pixels")
        house.put(B, b"edited")
        assert await home.link(A, B, sha256(b"pixels"), LinkMode.HARDLINK) is Linked.DIFFERS
        assert await home.link(B, A, sha256(b"pixels"), LinkMode.HARDLINK) is Linked.DIFFERS
        assert await home.link(A, home_path(b"gone.png"), sha256(b"pixels"), LinkMode.HARDLINK) is Linked.GONE
        assert (house.get(A), house.get(B), house.staged()) == (b"pixels", b"edited", 0)
