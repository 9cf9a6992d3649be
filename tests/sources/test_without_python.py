"""Boxes without Python behind real servers: what is fallen back to, that it keeps the contract, and what never leads there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from forged.model.errors import (
    Lacking,
    NotSupported,
    SourceBroken,
    SourceError,
    SourceLost,
    SourceMissing,
    SourceUnreachable,
)
from forged.model.observer import ConnectionOpened
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.ssh import ways
from forged.sources.ways import ASK_AGAIN_S, BestWay, Memory, Way
from tests.sources.asking import listed
from tests.sources.boxes import FolderBox
from tests.sources.contract import SourceContract
from tests.support.busybox import BUSYBOX, BusyboxRoot, busybox_root
from tests.support.dropbear import Dropbear, can_run, dropbear, dropbear_within
from tests.support.ssh import Ears, door, empty
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd

needs_dropbear = pytest.mark.skipif(not can_run(), reason="no dropbear here, or not root (apt install dropbear-bin)")


class FarBox(FolderBox):
    """A folder behind a server that may see it under another name."""

    def __init__(self, server: Sshd, root: Path, home: Path, seen_as: str | None = None) -> None:
        self._server = server
        super().__init__(root, lambda root: BestWay(ways(door(server, home), os.fsencode(seen_as or str(root)), 3), Memory()))

    async def empty(self) -> None:
        await empty(self._server)


@pytest.fixture(scope="module")
def busybox_box() -> Iterator[BusyboxRoot]:
    if BUSYBOX is None or os.getuid() != 0:
        pytest.skip("no busybox here (apt install busybox-static), or not root")
    with busybox_root() as root:
        yield root


@pytest.fixture(scope="module")
def busybox_sshd(busybox_box: BusyboxRoot) -> Iterator[Sshd]:
    """An OpenSSH that runs everything in a place that has busybox and nothing else."""
    with running_sshd(f"ForceCommand {busybox_box.command}") as server:
        yield server


@pytest.fixture(scope="module")
def small_box() -> Iterator[Dropbear]:
    with dropbear() as server:
        yield server


@pytest.fixture(scope="module")
def smallest_box(busybox_box: BusyboxRoot) -> Iterator[Dropbear]:
    with dropbear_within(busybox_box) as server:
        yield server


class TestBusyboxBehindOpenSsh(SourceContract):
    @pytest.fixture
    def box(self, busybox_sshd: Sshd, busybox_box: BusyboxRoot, away_from_home: Path) -> Iterator[FarBox]:
        yield from emptied(FarBox(busybox_sshd, busybox_box.media / "root", away_from_home, "/media/root"))


@needs_dropbear
class TestBusyboxBehindDropbear(SourceContract):
    @pytest.fixture
    def box(self, smallest_box: Dropbear, busybox_box: BusyboxRoot, away_from_home: Path) -> Iterator[FarBox]:
        yield from emptied(FarBox(smallest_box, busybox_box.media / "root", away_from_home, "/media/root"))


@needs_dropbear
class TestAgentBehindDropbear(SourceContract):
    @pytest.fixture
    def box(self, small_box: Dropbear, quick_path: Path, away_from_home: Path) -> FarBox:
        return FarBox(small_box, quick_path / "root", away_from_home)


def emptied(box: FarBox) -> Iterator[FarBox]:
    yield box
    if box.root.exists():
        box.delete_root()


# --- what is fallen back to -----------------------------------------------------------------------------------------------


async def reached(server: Sshd, home: Path, root: str, memory: Memory | None = None) -> tuple[str, int]:
    """How the box is reached, and with how many connections."""
    ears = Ears()
    async with BestWay(ways(door(server, home, ears=ears), os.fsencode(root), 3), memory or Memory()) as source:
        await listed(source)
        return source.capabilities.transport, sum(isinstance(fact, ConnectionOpened) for fact in ears.facts)


async def test_where_python_is_there_it_costs_one_connection(sshd: Sshd, quick_path: Path) -> None:
    transport, connections = await reached(sshd, quick_path, str(quick_path))
    assert transport.startswith("ssh agent (python 3.")
    assert connections == 1


async def test_without_python_it_is_sftp_and_that_is_remembered(quick_path: Path, away_from_home: Path) -> None:
    memory = Memory()
    with running_sshd("ForceCommand internal-sftp") as server:
        assert await reached(server, away_from_home, str(quick_path), memory) == ("sftp (no commands allowed on the box)", 2)
        assert await reached(server, away_from_home, str(quick_path), memory) == ("sftp (no commands allowed on the box)", 1)


async def test_without_sftp_either_it_is_the_shell(busybox_sshd: Sshd, away_from_home: Path) -> None:
    memory = Memory()
    words = "shell (no python3 and no sftp on the box)"
    assert await reached(busybox_sshd, away_from_home, "/media", memory) == (words, 3)
    assert await reached(busybox_sshd, away_from_home, "/media", memory) == (words, 1)


async def test_a_missing_root_is_missing_whatever_the_way(busybox_sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(SourceMissing):
        await reached(busybox_sshd, away_from_home, "/media/nowhere")


@needs_dropbear
async def test_dropbear_with_an_sftp_server_serves_by_that(small_box: Dropbear, quick_path: Path, away_from_home: Path) -> None:
    ears = Ears()
    _, by_sftp, _ = ways(door(small_box, away_from_home, ears=ears), bytes(quick_path), 1)
    (quick_path / "a").write_bytes(b"x")
    async with by_sftp() as source:
        assert [entry.path for entry in (await listed(source))[0]] == [b"a"]


# --- what leads there, and what does not ----------------------------------------------------------------------------------


class Body(MemorySource):
    """A body that opens, or raises what it is told."""

    def __init__(self, word: str, error: SourceError | None, opened: list[str]) -> None:
        super().__init__(MemoryBox())
        self._word, self._error, self._opened = word, error, opened

    async def __aenter__(self) -> Self:
        self._opened.append(self._word)
        if self._error is not None:
            raise self._error
        return await super().__aenter__()


@dataclass
class Bodies:
    """A box of two ways, and what was tried."""

    best: SourceError | None = field(default_factory=lambda: Lacking("no", lacks="no python3"))
    second: SourceError | None = None
    opened: list[str] = field(default_factory=list)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.memory = Memory(lambda: self.now_s)

    def source(self) -> BestWay:
        best: Way = lambda: Body("best", self.best, self.opened)  # noqa: E731
        return BestWay([best, lambda: Body("second", self.second, self.opened)], self.memory)


@pytest.mark.parametrize("error", [SourceLost(), SourceUnreachable(), NotSupported("who knows"), SourceBroken(), SourceMissing()])
async def test_only_a_clear_answer_leads_to_the_next_way(error: SourceError) -> None:
    box = Bodies(best=error)
    with pytest.raises(type(error)):
        async with box.source():
            pass
    assert box.opened == ["best"]
    assert not box.memory.lacking


async def test_no_way_at_all_says_what_is_lacking_and_asks_anew_the_next_time() -> None:
    box = Bodies(second=Lacking("no", lacks="no sftp"))
    for _ in range(2):
        with pytest.raises(NotSupported, match="no python3 and no sftp"):
            async with box.source():
                pass
    assert box.opened == ["best", "second"] * 2


async def test_a_better_way_is_noticed_after_a_while_when_a_listing_begins() -> None:
    box = Bodies()
    async with box.source() as source:
        box.best = None
        await listed(source)
        assert box.opened == ["best", "second"]
        box.now_s += ASK_AGAIN_S
        with pytest.raises(SourceLost, match="better way"):
            await listed(source)
    async with box.source() as source:
        await listed(source)
        assert "on the box" not in source.capabilities.transport
    assert box.opened == ["best", "second", "best", "best"]


async def test_who_is_still_lacking_is_left_alone_for_another_while() -> None:
    box = Bodies()
    async with box.source() as source:
        box.now_s += ASK_AGAIN_S
        box.best = SourceLost()  # says nothing
        for _ in range(3):
            await listed(source)
    assert box.opened == ["best", "second", "best"]
    assert box.memory.lacking == ["no python3"]


async def test_a_real_box_that_gains_python_is_noticed_by_whoever_goes_on_listing(tmp_path: Path, away_from_home: Path) -> None:
    flag, now_s = tmp_path / "flag", [0.0]
    memory = Memory(lambda: now_s[0])
    (tmp_path / "root").mkdir()
    command = f'case $SSH_ORIGINAL_COMMAND in *python3*) test -e {flag} || exit 127;; esac; exec sh -c "$SSH_ORIGINAL_COMMAND"'
    with running_sshd(f"ForceCommand {command}") as server:
        here = door(server, away_from_home)
        policy = RetryPolicy(attempts=1, delay_s=0.01)
        async with Retrying(lambda: BestWay(ways(here, bytes(tmp_path / "root"), 1), memory), policy) as source:
            await listed(source)
            assert source.capabilities.remedy
            flag.touch()
            await listed(source)
            assert source.capabilities.remedy
            now_s[0] += ASK_AGAIN_S
            await listed(source)
            assert source.capabilities.transport.startswith("ssh agent")
            assert source.capabilities.watching
        await empty(server)
