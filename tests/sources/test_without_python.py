"""Boxes without Python behind real servers: what is fallen back to, that it keeps the contract, and what never leads there."""

from __future__ import annotations

import os
import shutil
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
from forged.model.transfer import Fetched
from forged.sources.agent.launch import TOO_OLD
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.shell.client import ShellSource
from forged.sources.ssh import ways
from forged.sources.ssh_shells import SshShells
from forged.sources.ways import ASK_AGAIN_S, BestWay, Memory, Way
from tests.sources.asking import fetched, listed, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import FullContract, SourceContract
from tests.sources.contract_hash import HashContract
from tests.sources.contract_removal import GuardedContract
from tests.support.busybox import BUSYBOX, BusyboxRoot, busybox_root
from tests.support.dropbear import Dropbear, can_run, dropbear, dropbear_within
from tests.support.sinks import MemorySink
from tests.support.ssh import Ears, door, empty
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd

needs_dropbear = pytest.mark.skipif(not can_run(), reason="no dropbear here, or not root (apt install dropbear-bin)")


class FarBox(FolderBox):
    """A folder behind a server that may see it under another name. `memory`: of the way to it, which was found before."""

    def __init__(self, server: Sshd, root: Path, home: Path, memory: Memory, seen_as: str | None = None) -> None:
        self._server, path = server, os.fsencode(seen_as or root)
        super().__init__(root, lambda root: BestWay(ways(door(server, home), path, 3), memory), os.fsdecode(path))

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


@pytest.fixture(scope="module")
def memory() -> Memory:
    """Of the way to the box with busybox, so that only the first connection looks for it."""
    return Memory()


class TestBusyboxBehindOpenSsh(SourceContract, HashContract, GuardedContract):
    @pytest.fixture
    def box(self, busybox_sshd: Sshd, busybox_box: BusyboxRoot, away_from_home: Path, memory: Memory) -> Iterator[FarBox]:
        yield from emptied(FarBox(busybox_sshd, busybox_box.media / "root", away_from_home, memory, "/media/root"))


@needs_dropbear
class TestBusyboxBehindDropbear:
    """What of the contract depends on the server: many sessions on few connections, bytes, and how all of it ends."""

    @pytest.fixture
    def box(self, smallest_box: Dropbear, busybox_box: BusyboxRoot, away_from_home: Path, memory: Memory) -> Iterator[FarBox]:
        yield from emptied(FarBox(smallest_box, busybox_box.media / "root", away_from_home, memory, "/media/root"))

    source = SourceContract.source
    test_many_calls_at_once = SourceContract.test_many_calls_at_once_get_their_own_answers
    test_names = SourceContract.test_names_are_kept_byte_for_byte
    test_left_early = SourceContract.test_a_listing_can_be_left_early_and_two_can_run_at_once
    test_every_size = SourceContract.test_files_of_every_size_arrive_whole_and_each_is_answered_once
    test_cancelled = SourceContract.test_a_cancelled_fetch_leaves_reservations_even_and_the_source_usable
    test_closing = SourceContract.test_closing_ends_a_running_fetch_and_everything_else
    test_removing = GuardedContract.test_a_file_that_is_not_as_expected_is_kept_as_it_is
    test_second = SourceContract.test_a_second_source_looks_at_the_same_box


@needs_dropbear
class TestAgentBehindDropbear(FullContract):
    @pytest.fixture
    def box(self, small_box: Dropbear, quick_path: Path, away_from_home: Path) -> FarBox:
        return FarBox(small_box, quick_path / "root", away_from_home, Memory())


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


def answering(python: str) -> str:
    """A ForceCommand: the box has neither SFTP nor a Python that suits; asked for it, its shell does this instead."""
    return f'case $SSH_ORIGINAL_COMMAND in *python3*) {python};; *sftp*) exit 127;; esac; exec sh -c "$SSH_ORIGINAL_COMMAND"'


@pytest.mark.parametrize(
    ("python", "word"),
    [
        (f"echo {TOO_OLD} >&2; exit 1", "no python3 from 3.6 on"),
        ("echo 'unknown option: -I' >&2; exit 2", "no python3 from 3.6 on"),
        ("exit 127", "no python3"),
    ],
)
async def test_a_python_that_does_not_suit_is_none(python: str, word: str, quick_path: Path, away_from_home: Path) -> None:
    with running_sshd(f"ForceCommand {answering(python)}") as server:
        assert await reached(server, away_from_home, str(quick_path)) == (f"shell ({word} and no sftp on the box)", 3)


@pytest.mark.parametrize("python", ["kill -9 $$", "echo out of memory >&2; exit 1", "exit 126", "exit 255"])
async def test_a_python_that_has_an_accident_leads_nowhere_else(python: str, quick_path: Path, away_from_home: Path) -> None:
    with running_sshd(f"ForceCommand {answering(python)}") as server:
        ears = Ears()
        with pytest.raises(SourceError) as error:
            async with BestWay(ways(door(server, away_from_home, ears=ears), bytes(quick_path), 1), Memory()):
                pass
        assert not isinstance(error.value, Lacking)
        assert sum(isinstance(fact, ConnectionOpened) for fact in ears.facts) == 1


@pytest.mark.parametrize("shell", ["sh", "bash", "zsh", "fish", "mksh", "csh", "tcsh"])
async def test_a_shell_speaks_behind_every_login_shell(shell: str, quick_path: Path, away_from_home: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    (quick_path / "it's $HOME `x`\n!").write_bytes(b"x")
    with running_sshd(f'ForceCommand exec {found} -c "$SSH_ORIGINAL_COMMAND"') as server:
        shells = SshShells(door(server, away_from_home))
        async with ShellSource(shells, bytes(quick_path)) as source:
            [entry], _, _ = await listed(source)
            assert isinstance((await fetched(source, requests_of([entry]), MemorySink()))[entry.path], Fetched)
        await empty(server)


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
