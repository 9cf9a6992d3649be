"""The tour's SSH server runs real processes, whose streams it neither bends nor cuts."""

import asyncio
import os
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from forged.demo.server import serving

ECHO = "import sys,shutil; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 1 << 18)"
COUNT = "import sys; print(len(sys.stdin.buffer.read()))"


@pytest.fixture
async def connection(tmp_path: Path) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with serving(tmp_path, tmp_path / "keys") as served:
        async with asyncssh.connect(
            "127.0.0.1",
            served.port,
            username=served.user,
            client_keys=[str(served.identity_file)],
            known_hosts=None,
            config=None,
        ) as connection:
            yield connection


def python(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


async def test_megabytes_of_any_bytes_pass_both_ways(connection: asyncssh.SSHClientConnection) -> None:
    data = os.urandom(8 * 2**20)
    done = await connection.run(python(ECHO), input=data, encoding=None)
    assert (done.exit_status, done.stderr) == (0, b"")
    assert done.stdout == data


async def test_the_end_of_input_reaches_the_command_and_its_answer_comes_back(connection: asyncssh.SSHClientConnection) -> None:
    done = await connection.run(python(COUNT), input=b"x" * 3_000_001, encoding=None)
    assert done.stdout == b"3000001\n"


async def test_streams_and_exit_status_are_told_apart(connection: asyncssh.SSHClientConnection) -> None:
    for _ in range(10):
        done = await connection.run("printf out; printf err >&2; exit 7", encoding=None)
        assert (done.stdout, done.stderr, done.exit_status) == (b"out", b"err", 7)


async def test_commands_run_side_by_side_in_the_box_s_folder(connection: asyncssh.SSHClientConnection, tmp_path: Path) -> None:
    answers = await asyncio.gather(*(connection.run("pwd", check=True) for _ in range(8)))
    assert {answer.stdout for answer in answers} == {f"{tmp_path}\n"}


async def test_a_closed_channel_ends_the_command_and_what_it_started(
    connection: asyncssh.SSHClientConnection, tmp_path: Path
) -> None:
    process = await connection.create_process("sleep 60 & echo $! ; wait", encoding=None)
    pid = int(await process.stdout.readline())
    process.close()
    await ended(pid)


async def test_a_stopped_server_leaves_no_process_behind(tmp_path: Path) -> None:
    async with serving(tmp_path, tmp_path / "keys") as served:
        connection = await asyncssh.connect(
            "127.0.0.1", served.port, username="x", client_keys=[str(served.identity_file)], known_hosts=None, config=None
        )
        process = await connection.create_process("trap '' HUP; echo $$; while :; do sleep 1; done", encoding=None)
        pid = int(await process.stdout.readline())
    await ended(pid)
    connection.abort()


async def test_only_the_fresh_key_is_let_in_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    async with serving(tmp_path, tmp_path / "keys") as served:
        assert served.identity_file.stat().st_mode & 0o777 == 0o600
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect("127.0.0.1", served.port, username="x", client_keys=[stranger], known_hosts=None, config=None)


async def ended(pid: int) -> None:
    """Waits until a process is gone; the test's own time limit is the bound."""
    while os.path.exists(f"/proc/{pid}") and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        await asyncio.sleep(0.01)
