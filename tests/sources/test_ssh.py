"""The agent over a real OpenSSH server keeps the whole contract, and what a broken line does to it."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from forged.model.errors import AuthRefused, SourceLost, SourceMissing
from forged.model.observer import Nobody
from forged.model.target import HomePolicy, SshOptions, Target, TargetName, TargetType, TransferPolicy
from forged.model.transfer import Fetched, Request
from forged.sources.agent.client import AgentSource
from forged.sources.base import Source
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.retrying import Retrying, RetryPolicy
from forged.sources.ssh import ssh_source
from forged.sources.ssh_link import LinkSettings
from forged.sources.ways import BestWay
from tests.sources.asking import bytes_of, fetched, listed, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import FullContract
from tests.support.proxy import CutAfter, StallAfter, proxy
from tests.support.sinks import MIB, MemorySink, NullSink
from tests.support.ssh import address, empty
from tests.support.sshd import Sshd


def target_at(server: Sshd, root: Path, port: int | None = None, lanes: int = 3) -> Target:
    return Target(
        TargetName("t"),
        TargetType.GENERIC,
        replace(address(server, port=port), path=str(root)),
        HomePolicy(Path("/nowhere")),
        ssh=SshOptions(identity_file=server.identity),
        transfer=TransferPolicy(parallel_transfers=lanes),
    )


def source_at(
    server: Sshd, root: Path, home: Path, *, port: int | None = None, lanes: int = 3, settings: LinkSettings | None = None
) -> BestWay:
    return ssh_source(target_at(server, root, port, lanes), ForgetfulPins(), Nobody(), home, settings)


def no_source(root: Path) -> Source:
    """For boxes that are only written to; the test brings its own source."""
    raise AssertionError("not asked for")


class SshBox(FolderBox):
    """A folder behind a real sshd."""

    def __init__(self, server: Sshd, root: Path, home: Path) -> None:
        super().__init__(root, lambda root: source_at(server, root, home))
        self._server = server

    async def empty(self) -> None:
        await empty(self._server)


class TestSsh(FullContract):
    @pytest.fixture
    def box(self, sshd: Sshd, quick_path: Path, away_from_home: Path) -> SshBox:
        return SshBox(sshd, quick_path / "root", away_from_home)


async def test_it_says_what_it_is(sshd: Sshd, quick_path: Path) -> None:
    async with source_at(sshd, quick_path, quick_path) as source:
        capabilities = source.capabilities
    assert capabilities.transport.startswith("ssh agent (python 3.")
    assert capabilities.hashing
    assert capabilities.guarded_removal


async def test_a_refused_login_goes_up_unchanged(sshd: Sshd, quick_path: Path) -> None:
    target = replace(target_at(sshd, quick_path), ssh=SshOptions(identity_file=quick_path / "missing"))
    with pytest.raises(AuthRefused):
        async with ssh_source(target, ForgetfulPins(), Nobody(), quick_path):
            pass
    await empty(sshd)


async def test_a_missing_root_goes_up_as_such_and_leaves_nothing_running(sshd: Sshd, quick_path: Path) -> None:
    with pytest.raises(SourceMissing):
        async with source_at(sshd, quick_path / "missing", quick_path):
            pass
    await empty(sshd)


async def test_a_large_file_arrives_byte_for_byte_over_several_lanes_beside_others(sshd: Sshd, quick_path: Path) -> None:
    box = FolderBox(quick_path / "root", lambda root: source_at(sshd, root, quick_path))
    entries = [box.write(b"large", bytes_of(100 * MIB)), *(box.write(b"%03d" % n, bytes_of(100_000, n)) for n in range(300))]
    sink = MemorySink()
    async with box.source() as source:
        answers = await fetched(source, requests_of(entries), sink)
    large = answers[b"large"]
    assert isinstance(large, Fetched)
    assert large.source_sha256 == large.staged.sha256 == hashlib.sha256(bytes_of(100 * MIB)).digest()
    assert all(isinstance(answer, Fetched) for answer in answers.values())
    assert sink.most_outstanding <= sink.bound


async def test_a_connection_cut_in_the_middle_of_a_file_is_lost_and_everything_ends(sshd: Sshd, quick_path: Path) -> None:
    box, sink, before = FolderBox(quick_path / "root", no_source), MemorySink(), asyncio.all_tasks()
    entry = box.write(b"large", bytes_of(20 * MIB))
    async with proxy(sshd.port, CutAfter(5 * MIB)) as line:
        async with source_at(sshd, box.root, quick_path, port=line.port) as source:
            with pytest.raises(SourceLost):
                await fetched(source, requests_of([entry]), sink)
            sink.assert_even()
            with pytest.raises(SourceLost):
                await source.clock_ns()
    await empty(sshd)
    assert asyncio.all_tasks() == before


async def test_a_stalled_line_is_lost_within_the_keepalive_rules(sshd: Sshd, quick_path: Path) -> None:
    box, sink, stall = FolderBox(quick_path / "root", no_source), MemorySink(), StallAfter(5 * MIB)
    entry = box.write(b"large", bytes_of(20 * MIB))
    settings = LinkSettings(keepalive_s=0.2, keepalive_count=2)
    async with proxy(sshd.port, stall) as line:
        async with source_at(sshd, box.root, quick_path, port=line.port, settings=settings) as source:
            async with asyncio.timeout(15):
                with pytest.raises(SourceLost):
                    await fetched(source, requests_of([entry]), sink)
            sink.assert_even()


async def test_a_flaky_line_still_brings_a_large_file_byte_for_byte(sshd: Sshd, quick_path: Path) -> None:
    box, sink = FolderBox(quick_path / "root", no_source), MemorySink(bound=4 * MIB)
    entry = box.write(b"large", bytes_of(40 * MIB))

    async def resume_points(stagings):  # type: ignore[no-untyped-def]
        return [sink.keep_beginning(staging) for staging in stagings]

    async with proxy(sshd.port, CutAfter(8 * MIB, times=4)) as line:

        def make() -> Source:
            return source_at(sshd, box.root, quick_path, port=line.port)

        policy = RetryPolicy(attempts=2, delay_s=0.01)
        async with Retrying(make, policy, resume_points=resume_points) as source:
            answers = await fetched(source, requests_of([entry]), sink)
    answer = answers[b"large"]
    assert isinstance(answer, Fetched)
    assert 0 < answer.request.offset_bytes < 40 * MIB
    assert sink.content("0000") == bytes_of(40 * MIB)
    assert answer.source_sha256 == answer.staged.sha256
    assert line.line.connections >= 5


async def test_more_lanes_are_more_connections_and_no_more_than_allowed(sshd: Sshd, quick_path: Path) -> None:
    box = FolderBox(quick_path / "root", no_source)
    entries = [box.write(b"%03d" % number, bytes_of(MIB, number)) for number in range(60)]
    for lanes in (1, 2):
        before = sshd.log().count("Accepted publickey")

        class Waiting(NullSink):
            """Lets nothing be asked for until so many connections stand."""

            async def reserve(self, size_bytes: int, before: int = before, lanes: int = lanes) -> None:
                while sshd.log().count("Accepted publickey") - before < lanes:
                    await asyncio.sleep(0.01)
                await super().reserve(size_bytes)

        async with source_at(sshd, box.root, quick_path, lanes=lanes) as source:
            assert isinstance(source.inside, AgentSource)
            source.inside._lanes.answered(0.1)  # as on a long line
            async with aclosing(source.fetch([Request(e, e.path.decode()) for e in entries], Waiting())) as answers:
                assert len([answer async for answer in answers]) == 60
        assert sshd.log().count("Accepted publickey") - before == lanes


async def test_a_listing_over_a_line_that_breaks_never_ends_well(sshd: Sshd, quick_path: Path) -> None:
    box = FolderBox(quick_path / "root", no_source)
    for number in range(2500):
        box.write(b"%02d/some rather long name that takes room %06d" % (number % 50, number * 7919 % 1_000_003), b"")
    async with proxy(sshd.port, CutAfter(25_000)) as line:
        async with source_at(sshd, box.root, quick_path, port=line.port) as source:
            with pytest.raises(SourceLost):
                await listed(source)
