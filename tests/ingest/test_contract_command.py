"""Commands, held to the contract; the other side is a real program. And what is said of a command alone."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop

from forged.ingest.command import Command
from forged.model.errors import IngestError, IngestRefused
from forged.model.settings import CommandIngest
from tests.ingest.contract import HandlerContract, Moody, synced

PROGRAM = """
import os, sys, time
mood, kept = open(sys.argv[1] + "/mood").read(), sys.argv[1] + "/kept"
if mood == "hangs":
    os.fork()
    open(sys.argv[1] + "/pid", "w").write(str(os.getpid()))
    time.sleep(1000)
if mood == "fails":
    sys.exit("the disk is full")
lines = sys.stdin.read()
if mood == "lies":
    print("all taken", flush=True)
    os.kill(os.getpid(), 9)
open(kept, "a").write(lines)
"""


class ProgramReceiver(Moody):
    """Appends its standard input to a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "program.py").write_text(PROGRAM)
        self.handler = Command("own", CommandIngest((sys.executable, "-S", str(folder / "program.py"), str(folder)), 3.0))

    async def taken(self) -> list[str]:
        lines = [json.loads(line) for line in (self.folder / "kept").read_text().split("\n") if line]
        return [line["key"] for line in lines if line["kind"].startswith("file_")]


class TestCommand(HandlerContract):
    @pytest.fixture
    async def receiver(self, tmp_path: Path) -> AsyncIterator[ProgramReceiver]:
        receiver = ProgramReceiver(tmp_path)
        yield receiver
        await receiver.handler.aclose()

    async def test_nothing_of_one_that_hangs_is_left(self, receiver: ProgramReceiver) -> None:
        await receiver.hangs()
        with pytest.raises(IngestError, match="not ended within 3 s"):
            await receiver.handler.deliver([synced(1)])
        group = int((receiver.folder / "pid").read_text())
        for _ in range(200):
            if not alive(group):
                break
            await asyncio.sleep(0.05)
        assert not alive(group)

    async def test_its_last_words_are_told(self, receiver: ProgramReceiver) -> None:
        await receiver.fails()
        with pytest.raises(IngestError, match=r"exit status 1: the disk is full"):
            await receiver.handler.deliver([synced(1)])


def alive(group: int) -> bool:
    """Whether a process of this group runs; a dead one that nobody fetched does not."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            return True
    return False


def shell(script: str, timeout_s: float = 20.0) -> Command:
    return Command("own", CommandIngest(("/bin/sh", "-c", script), timeout_s))


@pytest.mark.parametrize(
    "script", ["exit 0", "head -c1 >/dev/null", "exec <&-; sleep 0.1", "yes | head -c 1000000", "sleep 60 & exit 0"]
)
async def test_exit_status_0_is_all_that_counts(script: str) -> None:
    await shell(script).deliver([synced(number) for number in range(1, 101)])


async def test_it_is_given_no_descriptors_of_ours_and_nothing_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    secret = os.open(tmp_path / "secret", os.O_CREAT | os.O_RDWR)
    os.set_inheritable(secret, True)
    try:
        await shell(f"ls /proc/$$/fd > {tmp_path}/fds; env > {tmp_path}/env").deliver([synced(1)])
    finally:
        os.close(secret)
    assert str(secret) not in (tmp_path / "fds").read_text().split()
    assert "NOTIFY_SOCKET" not in (tmp_path / "env").read_text()
    assert "FORGED_HANDLER=own" in (tmp_path / "env").read_text().splitlines()


@pytest.mark.parametrize("program", ["/nowhere/program", "/etc/passwd", "a\0b"])
async def test_one_that_cannot_be_started_is_told(program: str) -> None:
    with pytest.raises(IngestRefused, match="cannot be started"):
        await Command("own", CommandIngest((program,))).deliver([synced(1)])


async def test_one_whose_interpreter_is_gone_is_away_and_blames_no_event(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/nowhere/python3\n")
    program.chmod(0o755)
    with pytest.raises(IngestRefused, match="cannot be started: No such file") as refused:
        await Command("own", CommandIngest((str(program),))).deliver([synced(1)])
    assert not refused.value.about


async def test_what_it_says_is_made_harmless_and_bounded() -> None:
    with pytest.raises(IngestError) as error:
        await shell("for i in $(seq 9999); do printf x; done >&2; printf '\\033[2J token=hush\\n' >&2; exit 3").deliver([synced(1)])
    assert error.value.message.isprintable()
    assert len(error.value.message) < 3000 and "exit status 3" in error.value.message


def test_the_daemons_loop_feeds_it_too(tmp_path: Path) -> None:
    """uvloop's transports are of other classes than asyncio's."""

    async def bring() -> list[str]:
        receiver = ProgramReceiver(tmp_path)
        await receiver.handler.deliver([synced(number) for number in range(1, 101)])
        return await receiver.taken()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert len(runner.run(bring())) == 100


def test_one_that_ends_before_it_is_fed_has_failed_and_nothing_else() -> None:
    """In the daemon's loop a pipe whose reader is gone may be closed before we come to write."""

    async def bring() -> None:
        handler = Command("program", CommandIngest(("/bin/false",), 60.0))
        for _ in range(50):
            with pytest.raises(IngestError, match="exit status 1"):
                await handler.deliver([synced(number) for number in range(1, 101)])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bring())
