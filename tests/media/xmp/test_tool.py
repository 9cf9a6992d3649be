"""The process of exiftool: what it may be told, and all the ways in which it, or a script in its place, can fail."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.media.xmp.tool import CONFIG, Tool, ToolFailed, UnsafeArgument
from tests.media.xmp.making import EXIFTOOL, about, script, tried, writing, written

pytestmark = [pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed"), pytest.mark.timeout(120)]

FOR_EVER_S = 1e6


@pytest.fixture
def tool() -> Iterator[Tool]:
    assert EXIFTOOL
    tool = Tool(EXIFTOOL, 30.0)
    tool.run()
    yield tool
    tool.end()


def is_there(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid: int) -> bool:
    ends_s = time.monotonic() + 30
    while is_there(pid) and time.monotonic() < ends_s:
        time.sleep(0.02)
    return not is_there(pid)


@pytest.mark.parametrize("argument", ["", "-a=b\n-execute", "a\rb", "a\0b", "# a", " a", "\ta"])
def test_an_argument_that_would_not_arrive_as_it_is_is_refused_and_nothing_is_sent(argument: str, tool: Tool) -> None:
    with pytest.raises(UnsafeArgument):
        tool.execute("-ver", argument)
    assert tool.is_alive
    assert str(tool.execute("-ver")).strip()


def test_what_it_says_on_both_streams_is_bounded(tmp_path: Path) -> None:
    for text in ("yes", "yes >&2", "yes >&2 & yes", "head -c 3000000 /dev/zero >&2; sleep 1000"):
        tool = Tool(script(tmp_path, text), 30.0)
        tool.run()
        with pytest.raises(ToolFailed, match="more than it may"):
            tool.execute("-ver")
        assert not tool.is_alive


def test_one_that_reads_nothing_and_one_that_says_nothing_are_given_up(tmp_path: Path) -> None:
    for text in ("sleep 1000", "cat >/dev/null"):
        tool = Tool(script(tmp_path, text), 0.5)
        tool.run()
        with pytest.raises(ToolFailed, match="has not answered"):
            tool.execute("-a" * 200_000)
        assert not tool.is_alive


def test_ending_a_script_ends_what_it_started(tmp_path: Path) -> None:
    tool = Tool(script(tmp_path, f'sleep 1000 & echo $! >{tmp_path}/pid; cat | REAL "$@"'), 30.0)
    tool.run()
    assert str(tool.execute("-ver")).strip()
    tool.end()
    assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_program_that_started_it_even_if_that_is_killed(how: signal.Signals, tmp_path: Path) -> None:
    code = (
        "import time; from forged.media.xmp.tool import Tool\n"
        f"tool = Tool({EXIFTOOL!r}, 30.0); tool.run(); tool.execute('-ver')\n"
        "print(tool._child().pid, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as program:
        assert program.stdout
        pid = int(program.stdout.readline())
        assert is_there(pid)
        program.send_signal(how)
        program.wait()
    assert gone(pid)


def test_nobodys_configuration_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ExifTool_config").write_text(f"open(my $f, '>', '{tmp_path}/ran'); 1;\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("EXIFTOOL_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert EXIFTOOL
    subprocess.run([EXIFTOOL, "-ver"], check=True, capture_output=True)
    assert (tmp_path / "ran").exists()
    (tmp_path / "ran").unlink()
    tool = Tool(EXIFTOOL, 30.0)
    tool.run()
    assert str(tool.execute("-ver")).strip()
    tool.end()
    assert not (tmp_path / "ran").exists()


# --- in the middle of a command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signals", [[signal.SIGKILL], [signal.SIGSTOP], [signal.SIGTERM], [signal.SIGSTOP, signal.SIGKILL]])
@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.005, 0.02])
async def test_whatever_befalls_it_while_it_writes_the_file_gets_its_sidecar(
    signals: list[signal.Signals], after_s: float, tmp_path: Path
) -> None:
    prompt = "a cat, " * 9_000  # keeps it busy for a while
    async with writing(tmp_path, deadline_s=3.0) as writer:
        await written(writer, about())
        assert writer._tool is not None
        process = writer._tool._child()
        assert process is not None
        task = asyncio.create_task(written(writer, about(prompt)))
        await asyncio.sleep(after_s)
        for one in signals:
            os.kill(process.pid, one)
            await asyncio.sleep(0.05)
        content = await task
        assert await tried(writer, about(prompt), content) is None
        assert list((tmp_path / "xmp").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        'REAL "$@" & sleep 0.5; kill -9 $!; exit 1',
        "head -c 300 >/dev/null; exit 0",
        "while read -r line; do case $line in -execute*) echo '{ready'; esac; done",
        'sed -u "s/-XMP-dc:Description=/-XMP-dc:Title=/" | REAL "$@"',
        'REAL "$@" | sed -u "s/ready/read/"',
    ],
)
async def test_one_that_always_fails_costs_no_file_and_the_next_one_is_used(text: str, tmp_path: Path) -> None:
    assert EXIFTOOL
    programs = [script(tmp_path, text)]
    async with writing(tmp_path, find=lambda: programs[-1], deadline_s=2.0) as writer:
        writer._until_s = 0.0
        await writer.standing()
        programs.append(EXIFTOOL)
        writer._until_s = 0.0  # a minute later
        assert await written(writer, about())


async def test_ending_does_not_wait_for_one_that_hangs(tmp_path: Path) -> None:
    async with writing(tmp_path, deadline_s=FOR_EVER_S) as writer:
        await written(writer, about())
        assert writer._tool is not None
        process = writer._tool._child()
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        task = asyncio.create_task(tried(writer, about()))
        await asyncio.sleep(0.2)
        await writer.aclose()
        told = await task
    assert isinstance(told, str) and "about to end" in told
    assert gone(process.pid)


def test_the_configuration_comes_along_with_the_package() -> None:
    assert CONFIG.is_file()
