"""Connections that do not come to be, break, stall or flood: what is raised, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from forged.model.errors import NotSupported, SourceBroken, SourceLost, SourceUnreachable
from forged.model.observer import ConnectionClosed, ConnectionOpened
from forged.model.target import SourceAddress, SourceKind, SshOptions
from forged.sources.agent import launch
from forged.sources.ssh_channel import PAUSE_BYTES, STDERR_BYTES, SshChannel
from forged.sources.ssh_link import LinkSettings, SshDoor
from tests.support.proxy import CutAfter, Line, Proxy, StallAfter, proxy
from tests.support.ssh import Ears, address, door, empty, greet, logs_in
from tests.support.sshd import Sshd, free_port
from tests.support.sshd import sshd as running_sshd

HASTY = LinkSettings(connect_s=0.5, keepalive_s=0.1, keepalive_count=2)


def through(line: Proxy, server: Sshd, home: Path, settings: LinkSettings | None = None) -> SshDoor:
    ssh = SshOptions(identity_file=server.identity)
    return door(replace(address(server), port=line.port), home, ssh, settings=settings)


async def run_instead(channel: SshChannel, program: str) -> None:
    """Runs another program than the agent at the far end: what a hostile or broken box might do."""
    code = zlib.compress(program.encode())
    assert len(code) <= len(launch.program())
    await channel.write(code.ljust(len(launch.program()), b"\0"))


@asynccontextmanager
async def listener(answer: bytes | None) -> AsyncIterator[int]:
    """A server that says `answer` and then nothing; None: not even that, and it never hangs up."""
    callers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        if answer is not None:
            writer.write(answer)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in callers:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nothing_left_behind() -> AsyncIterator[None]:
    """No task outlives its test."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(2):
        while asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.sleep(0.01)


# --- connections that do not come to be -----------------------------------------------------------------------------------


async def test_a_port_where_nobody_listens_is_unreachable(sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(SourceUnreachable) as caught:
        await logs_in(door(address(sshd, port=free_port()), away_from_home))
    assert caught.value.transient


async def test_a_name_that_nobody_knows_is_unreachable(sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(SourceUnreachable):
        await logs_in(door(address(sshd, host="box.invalid"), away_from_home, settings=LinkSettings(connect_s=20)))


@pytest.mark.parametrize("answer", [None, b"SSH-2.0-OpenSSH_9.2\r\n"], ids=["silent", "silent after its version"])
async def test_a_server_that_goes_silent_is_unreachable(answer: bytes | None, away_from_home: Path) -> None:
    async with listener(answer) as port:
        with pytest.raises(SourceUnreachable):
            await logs_in(door(SourceAddress(SourceKind.SSH, "/", "127.0.0.1", "me", port), away_from_home, settings=HASTY))


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 64])
async def test_what_is_no_ssh_server_is_refused(answer: bytes, away_from_home: Path) -> None:
    async with listener(answer) as port:
        with pytest.raises((SourceUnreachable, SourceBroken, NotSupported)):
            await logs_in(door(SourceAddress(SourceKind.SSH, "/", "127.0.0.1", "me", port), away_from_home, settings=HASTY))


async def test_opening_can_be_cancelled_at_any_moment(away_from_home: Path) -> None:
    async with listener(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        opening = asyncio.ensure_future(
            door(SourceAddress(SourceKind.SSH, "/", "127.0.0.1", "me", port), away_from_home).open_channel()
        )
        await asyncio.sleep(0.05)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening


async def test_a_server_for_sftp_only_says_what_to_do_instead(away_from_home: Path) -> None:
    with running_sshd("ForceCommand internal-sftp") as server:
        channel = await door(server, away_from_home).open_channel()
        with pytest.raises(NotSupported) as caught:
            await greet(channel)
        await channel.close()
    assert "sftp" in caught.value.hint


@pytest.fixture
def bare_box() -> Iterator[Path]:
    """A root folder with busybox and nothing else; root's login shell in it is busybox, too."""
    busybox = shutil.which("busybox")
    if os.getuid() != 0 or busybox is None:
        pytest.skip("needs root and busybox")
    root = Path(tempfile.mkdtemp(prefix="forged-bare-", dir="/run"))  # sshd wants every folder above to be root's alone
    root.chmod(0o755)
    for folder in ("bin", "root", "dev"):
        (root / folder).mkdir()
    shutil.copy(busybox, root / "bin")
    subprocess.run(["chroot", str(root), "/bin/busybox", "--install", "/bin"], check=True)
    shell = root / pwd.getpwuid(0).pw_shell.lstrip("/")
    shell.parent.mkdir(parents=True, exist_ok=True)
    shell.unlink(missing_ok=True)
    shell.write_text('#!/bin/sh\nshift\neval "$1"\n')
    shell.chmod(0o755)
    yield root
    shutil.rmtree(root)


@pytest.mark.root
async def test_a_box_without_python_says_what_to_do_instead(bare_box: Path, away_from_home: Path) -> None:
    with running_sshd(f"ChrootDirectory {bare_box}") as server:
        channel = await door(server, away_from_home).open_channel()
        with pytest.raises(NotSupported, match="no python3") as caught:
            await greet(channel)
        await channel.close()
    assert "install python3" in caught.value.hint


# --- a connection at work -------------------------------------------------------------------------------------------------


async def test_an_agent_answers_and_nothing_is_left_on_the_box(sshd: Sshd, away_from_home: Path) -> None:
    channel = await door(sshd, away_from_home).open_channel()
    await greet(channel)
    assert sshd.children()
    assert await channel.close() == ""
    await empty(sshd)


async def test_closing_twice_and_using_a_closed_channel_are_no_trouble(sshd: Sshd, away_from_home: Path) -> None:
    channel = await door(sshd, away_from_home).open_channel()
    await channel.close()
    await channel.close()
    with pytest.raises(SourceLost):
        await channel.write(b"x")
    with pytest.raises(SourceLost):
        await channel.read()


async def test_closing_wakes_a_reader(sshd: Sshd, away_from_home: Path) -> None:
    channel = await door(sshd, away_from_home).open_channel()
    reading = asyncio.ensure_future(channel.read())
    await asyncio.sleep(0)
    await channel.close()
    with pytest.raises(SourceLost):
        await reading


async def test_the_end_of_the_program_is_the_end_of_the_stream_and_its_last_words_are_kept(
    sshd: Sshd, away_from_home: Path
) -> None:
    channel = await door(sshd, away_from_home).open_channel()
    await run_instead(channel, "import sys; sys.stderr.write('a' * 9000 + 'last\\x1b words'); sys.exit(3)")
    assert await channel.read() == b""
    said = await channel.close()
    assert said.endswith("last\\x1b words")
    assert len(said) <= STDERR_BYTES + 8


async def test_large_writes_arrive_whole_although_the_far_end_reads_slowly(sshd: Sshd, away_from_home: Path) -> None:
    channel = await door(sshd, away_from_home).open_channel()
    count = "import sys,time;n=0\nwhile 1:\n d=sys.stdin.buffer.read1(1<<16)\n n+=len(d)\n if n>=20<<20:print(n);break"
    await run_instead(channel, count)
    for _ in range(20):
        await channel.write(bytes(1 << 20))
    assert await channel.read() == b"%d\n" % (20 << 20)
    await channel.close()


async def test_a_box_that_floods_us_costs_bounded_memory_and_no_byte(sshd: Sshd, away_from_home: Path) -> None:
    settings = LinkSettings(window_bytes=2 * PAUSE_BYTES)
    channel = await door(sshd, away_from_home, settings=settings).open_channel()
    await run_instead(channel, "import os\nfor i in range(200): os.write(1, b'x' * (1 << 20))")
    bound = PAUSE_BYTES + 2 * settings.window_bytes

    def held() -> int:
        return channel._session._unread + sum(len(chunk) for chunk, _ in channel._chan._recv_buf)

    seen: list[int] = []
    async with asyncio.timeout(30):  # nobody reads until the flood is there and stands still, however slow the machine
        while held() <= PAUSE_BYTES or len(seen) < 20 or len(set(seen[-20:])) > 1:
            seen.append(held())
            await asyncio.sleep(0.02)
    received, most = 0, held()
    while data := await channel.read():
        received += len(data)
        most = max(most, held())
        await asyncio.sleep(0.002)
    await channel.close()
    assert received == 200 << 20
    assert PAUSE_BYTES < most <= bound


async def test_a_connection_cut_in_the_middle_is_lost(sshd: Sshd, away_from_home: Path) -> None:
    async with proxy(sshd.port, CutAfter(1 << 20)) as line:
        channel = await through(line, sshd, away_from_home).open_channel()
        await run_instead(channel, "import os\nwhile 1: os.write(1, b'x' * (1 << 18))")
        with pytest.raises(SourceLost):
            while True:
                assert await channel.read()
        await channel.close()
    await empty(sshd)


async def test_a_link_that_goes_silent_is_noticed_by_keepalive(sshd: Sshd, away_from_home: Path) -> None:
    stall = StallAfter(1 << 20)
    async with proxy(sshd.port) as line:
        settings = replace(HASTY, connect_s=10)
        channel = await through(line, sshd, away_from_home, settings).open_channel()
        line.line = stall
        await run_instead(channel, "import os\nwhile 1: os.write(1, b'x' * (1 << 18))")
        with pytest.raises(SourceLost):
            async with asyncio.timeout(10):
                while True:
                    assert await channel.read()
        assert stall.stalled.is_set()
        async with asyncio.timeout(10):
            await channel.close()


async def test_an_idle_but_living_link_is_left_alone_by_keepalive(sshd: Sshd, away_from_home: Path) -> None:
    settings = LinkSettings(keepalive_s=0.02, keepalive_count=1)
    async with proxy(sshd.port, Line()) as line:
        channel = await through(line, sshd, away_from_home, settings).open_channel()
        await asyncio.sleep(0.5)  # 25 questions; an unanswered one would end the connection
        await greet(channel)
        await channel.close()


async def test_connections_are_told_as_they_come_and_go(sshd: Sshd, away_from_home: Path) -> None:
    ears = Ears()
    one = door(sshd, away_from_home, ears=ears)
    channels = [await one.open_channel() for _ in range(2)]
    for channel in channels:
        await channel.close()
    told = [type(fact) for fact in ears.facts if isinstance(fact, ConnectionOpened | ConnectionClosed)]
    assert told == [ConnectionOpened, ConnectionOpened, ConnectionClosed, ConnectionClosed]


async def test_a_killed_server_loses_its_connections(away_from_home: Path) -> None:
    with running_sshd() as server:
        channel = await door(server, away_from_home).open_channel()
        await greet(channel)
        server.stop()
        with pytest.raises(SourceLost):
            while True:
                assert await channel.read()
        await channel.close()


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "fish", "mksh", "tcsh", "busybox"])
def test_the_command_runs_under_every_login_shell(shell: str) -> None:
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"no {shell} here")
    argv = [found, "sh"] if shell == "busybox" else [found]
    ran = subprocess.run([*argv, "-c", launch.shell_command()], input=launch.program(), capture_output=True, timeout=20)
    assert b"forged agent" in ran.stdout, ran.stderr
