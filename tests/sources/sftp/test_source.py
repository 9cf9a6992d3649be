"""SFTP over a real OpenSSH server keeps the whole contract, with a chroot and without, and what a broken line does to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from forged.model.errors import NotSupported, SourceLost, SourceMissing
from forged.model.files import Entry, ProblemKind, Stat
from forged.model.observer import Nobody
from forged.model.target import SourceAddress, SourceKind, SshOptions, Target
from forged.model.transfer import Fetched
from forged.sources.base import Source
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.sftp.lane import MOST_FOLDERS
from forged.sources.sftp.source import SftpSource, sftp_source
from forged.sources.sftp.wire import NANO
from forged.sources.ssh_link import LinkSettings
from tests.sources.asking import bytes_of, fetched, listed, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import SourceContract
from tests.sources.contract_removal import UnguardedContract
from tests.sources.test_ssh import no_source, target_at
from tests.support.proxy import CutAfter, StallAfter, proxy
from tests.support.sinks import MIB, MemorySink
from tests.support.ssh import door, empty
from tests.support.sshd import SSHD, Sshd
from tests.support.sshd import sshd as running_sshd


def sftp_target(server: Sshd, root: str, port: int | None = None, lanes: int = 3) -> Target:
    target = target_at(server, Path("/"), port, lanes)
    return replace(target, source=replace(target.source, kind=SourceKind.SFTP, path=root))


def source_at(
    server: Sshd, root: str, home: Path, *, port: int | None = None, lanes: int = 3, settings: LinkSettings | None = None
) -> SftpSource:
    return sftp_source(sftp_target(server, root, port, lanes), ForgetfulPins(), Nobody(), home, settings)


def coarse(entry: Entry) -> Entry:
    return Entry(entry.path, Stat(entry.stat.size_bytes, entry.stat.mtime_ns // NANO * NANO))


class CoarseBox(FolderBox):
    """A folder as SFTP shows it."""

    def entry(self, path: bytes) -> Entry:
        return coarse(super().entry(path))


class SftpBox(CoarseBox):
    """A folder behind a real sshd that runs nothing but its SFTP server, which shows it as `shown`."""

    def __init__(self, server: Sshd, root: Path, home: Path, shown: str = "") -> None:
        super().__init__(root, lambda root: source_at(server, shown or str(root), home), shown)
        self._server = server

    async def empty(self) -> None:
        await empty(self._server)


@pytest.fixture(scope="module")
def sftp_only() -> Iterator[Sshd]:
    if not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here (apt install openssh-server)")
    with running_sshd("ForceCommand internal-sftp") as server:
        yield server


class TestSftpOnly(SourceContract, UnguardedContract):
    @pytest.fixture
    def box(self, sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> SftpBox:
        return SftpBox(sftp_only, quick_path / "root", away_from_home)


@pytest.fixture(scope="module")
def jailed() -> Iterator[tuple[Sshd, Path]]:
    jail = Path("/run") / f"forged-jail-{os.getpid()}"  # sshd wants every folder above it to be root's alone
    jail.mkdir(mode=0o755)
    try:
        with running_sshd(f"ForceCommand internal-sftp\nChrootDirectory {jail}") as server:
            yield server, jail
    finally:
        shutil.rmtree(jail)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may chroot")
class TestInAChroot(SourceContract, UnguardedContract):
    """Where the server shows no /proc, and its paths are not the box's."""

    @pytest.fixture
    def box(self, jailed: tuple[Sshd, Path], away_from_home: Path) -> SftpBox:
        server, jail = jailed
        own = Path(tempfile.mkdtemp(dir=jail))
        return SftpBox(server, own / "outputs", away_from_home, f"/{own.name}/outputs")


class TestAnotherServer(SourceContract, UnguardedContract):
    """asyncssh's own SFTP server: another's order of answers, other words for errors, limits of megabytes."""

    @pytest.fixture
    async def box(self, quick_path: Path, away_from_home: Path) -> AsyncIterator[FolderBox]:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(away_from_home / "id"))
        server = await asyncssh.listen(
            "127.0.0.1",
            0,
            server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            authorized_client_keys=asyncssh.import_authorized_keys(key.export_public_key().decode()),
            sftp_factory=asyncssh.SFTPServer,
            reuse_address=False,
        )

        def source(root: Path) -> Source:
            where = SourceAddress(SourceKind.SFTP, str(root), "127.0.0.1", "demo", server.get_port())
            opened = door(where, away_from_home, SshOptions(identity_file=away_from_home / "id"))
            return SftpSource(opened.open_link, os.fsencode(root), max_lanes=2)

        yield CoarseBox(quick_path / "root", source)
        server.close()
        await server.wait_closed()


async def test_it_says_what_it_is(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    async with source_at(sftp_only, str(quick_path), away_from_home) as source:
        can = source.capabilities
    assert can.transport == "sftp"
    assert can.missing == ("hashing", "watching", "guarded removal")
    assert can.unguarded_removal


async def test_a_server_without_sftp_says_how_to_have_it(quick_path: Path, away_from_home: Path) -> None:
    for lines in ("ForceCommand /nonexistent", "ForceCommand echo only echoes here"):
        with running_sshd(lines) as server:
            with pytest.raises(NotSupported) as caught:
                async with source_at(server, str(quick_path), away_from_home):
                    pass
            assert "python3" in caught.value.hint
            assert "python3" not in caught.value.message
            await empty(server)


async def test_a_missing_root_goes_up_as_such_and_leaves_nothing_running(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    for root in (quick_path / "missing", quick_path / "file"):
        (quick_path / "file").write_bytes(b"")
        with pytest.raises(SourceMissing):
            async with source_at(sftp_only, str(root), away_from_home):
                pass
        await empty(sftp_only)


async def test_a_root_that_is_a_link_is_resolved(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    box = FolderBox(quick_path / "real", lambda _: source_at(sftp_only, str(quick_path / "link"), away_from_home))
    (quick_path / "link").symlink_to("real")
    entry, sink = box.write(b"a/b", b"data"), MemorySink()
    async with box.source() as source:
        assert (await listed(source))[0] == [coarse(entry)]
        await fetched(source, requests_of([entry]), sink)
        (quick_path / "link").unlink()
        (quick_path / "link").symlink_to("elsewhere")
        with pytest.raises(SourceMissing):
            await listed(source)
    assert sink.content("0000") == b"data"


async def test_what_an_interrupted_removal_left_aside_is_no_picture(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    box = SftpBox(sftp_only, quick_path / "root", away_from_home)
    box.write(b".forged-aside-65000000-00000000-a.png", b"data")
    async with box.source() as source:
        entries, problems, _ = await listed(source)
    assert entries == []
    assert [problem.kind for problem in problems] == [ProblemKind.UNREADABLE]


async def test_the_clock_is_the_boxs_own_and_never_ahead_of_it(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    async with source_at(sftp_only, str(quick_path), away_from_home) as source:
        before_ns = time.time_ns()
        told_ns = await source.clock_ns()
    assert before_ns - 5 * NANO < told_ns < time.time_ns()


async def test_a_large_file_arrives_byte_for_byte_over_several_lanes_beside_others(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    box = SftpBox(sftp_only, quick_path / "root", away_from_home)
    entries = [box.write(b"large", bytes_of(100 * MIB)), *(box.write(b"%03d" % n, bytes_of(100_000, n)) for n in range(300))]
    sink = MemorySink()
    async with box.source() as source:
        source._lanes.answered(0.1)  # as on a long line
        answers = await fetched(source, requests_of(entries), sink)
    assert all(isinstance(answer, Fetched) for answer in answers.values())
    assert sink.content("0000") == bytes_of(100 * MIB)
    assert sink.most_outstanding <= sink.bound


async def test_a_connection_cut_in_the_middle_of_a_file_is_lost_and_everything_ends(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    box, sink, before = FolderBox(quick_path / "root", no_source), MemorySink(), asyncio.all_tasks()
    entry = box.write(b"large", bytes_of(20 * MIB))
    async with proxy(sftp_only.port, CutAfter(5 * MIB)) as line:
        async with source_at(sftp_only, str(box.root), away_from_home, port=line.port) as source:
            with pytest.raises(SourceLost):
                await fetched(source, requests_of([entry]), sink)
            sink.assert_even()
            with pytest.raises(SourceLost):
                await source.clock_ns()
    await empty(sftp_only)
    assert asyncio.all_tasks() == before


async def test_a_stalled_line_is_lost_within_the_keepalive_rules(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    box, sink, stall = FolderBox(quick_path / "root", no_source), MemorySink(), StallAfter(5 * MIB)
    entry = box.write(b"large", bytes_of(20 * MIB))
    settings = LinkSettings(keepalive_s=0.2, keepalive_count=2)
    async with proxy(sftp_only.port, stall) as line:
        async with source_at(sftp_only, str(box.root), away_from_home, port=line.port, settings=settings) as source:
            async with asyncio.timeout(15):
                with pytest.raises(SourceLost):
                    await fetched(source, requests_of([entry]), sink)
            sink.assert_even()


async def test_a_flaky_line_still_brings_a_large_file_byte_for_byte(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    box, sink = FolderBox(quick_path / "root", no_source), MemorySink(bound=4 * MIB)
    entry = box.write(b"large", bytes_of(40 * MIB))

    async def resume_points(stagings: Sequence[str]) -> Sequence[int]:
        return [sink.keep_beginning(staging) for staging in stagings]

    async with proxy(sftp_only.port, CutAfter(8 * MIB, times=4)) as line:

        def make() -> Source:
            return source_at(sftp_only, str(box.root), away_from_home, port=line.port)

        async with Retrying(make, RetryPolicy(attempts=2, delay_s=0.01), resume_points=resume_points) as source:
            answers = await fetched(source, requests_of([entry]), sink)
    answer = answers[b"large"]
    assert isinstance(answer, Fetched)
    assert 0 < answer.request.offset_bytes < 40 * MIB
    assert sink.content("0000") == bytes_of(40 * MIB)


async def test_a_listing_over_a_line_that_breaks_never_ends_well(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    box = FolderBox(quick_path / "root", no_source)
    for number in range(2500):
        box.write(b"%02d/some rather long name that takes room %06d" % (number % 50, number * 7919 % 1_000_003), b"")
    async with proxy(sftp_only.port, CutAfter(100_000)) as line:
        async with source_at(sftp_only, str(box.root), away_from_home, port=line.port) as source:
            with pytest.raises(SourceLost):
                await listed(source)


async def test_a_deep_and_a_wide_tree_come_in_order(sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> None:
    """More folders than are looked into at once, with folders in them, and names on both sides of `/`."""
    box = SftpBox(sftp_only, quick_path / "root", away_from_home)
    paths = [
        b"%02d/%02d%s/%d" % (a, b, tail, c) for a in range(12) for b in range(12) for c in range(3) for tail in (b"", b"-", b"0")
    ]
    paths += [b"/".join([b"deep"] * 60) + b"/file", *(b"%02d!" % a for a in range(12))]
    for path in paths:
        box.write(path, b"")
    async with box.source() as source:
        entries, problems, _ = await listed(source)
    assert [entry.path for entry in entries] == sorted(paths)
    assert problems == []


async def test_a_thousand_folders_over_a_long_line_are_looked_into_side_by_side(
    sftp_only: Sshd, quick_path: Path, away_from_home: Path
) -> None:
    """Not by the clock: so many folders are open at once, as the server's handles tell."""
    box = SftpBox(sftp_only, quick_path / "root", away_from_home)
    for number in range(200):
        box.write(b"%03d/a" % number, b"")
    most = 0
    async with box.source() as source:
        lane = source._lanes.first
        asked = lane.opendir

        def counted(path: bytes) -> asyncio.Future[bytes]:
            nonlocal most
            most = max(most, sum(task.get_name() == "lane 1 folder" for task in asyncio.all_tasks()))
            return asked(path)

        lane.opendir = counted  # type: ignore[method-assign]
        assert len((await listed(source))[0]) == 200
    assert most == MOST_FOLDERS
