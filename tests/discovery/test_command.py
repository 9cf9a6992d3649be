"""A program that prints boxes: the contract with real programs, its format, and all the ways in which a program fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import uvloop

from forged.discovery.command import Command
from forged.model.boxes import Box, BoxState
from forged.model.errors import DiscoveryError
from tests.discovery.contract import END_NS, DiscoveryContract
from tests.discovery.desks import Odd, There, Trouble, broken

ODD: dict[Odd, Callable[[str], object]] = {
    Odd.WRONG_KINDS: lambda id: {"id": id, "host": ["a"], "label": "forge", "token": "df77e27085bd4b3b"},
    Odd.ONLY_AN_ID: lambda id: {"id": id},
    Odd.BAD_ADDRESS: lambda id: {"id": id, "host": "-oProxyCommand=reboot", "label": "forge"},
    Odd.WITHOUT_ID: lambda _: {"host": "a", "label": "forge"},
    Odd.NOT_EVEN_AN_OBJECT: lambda _: None,
}


def from_box(box: Box) -> dict[str, object]:
    """The line that somebody would write for it."""
    line: dict[str, object] = {"id": box.id, "state": box.state.value, "label": box.label, "jupyter_token": "df77e27085bd4b3b"}
    if box.addresses:
        line |= {"host": box.addresses[0].host, "port": box.addresses[0].port}
    if box.end_ns:
        assert box.end_ns == END_NS
        line["end"] = "2027-01-15T08:00:00Z"
    return line


class CommandDesk:
    """A shell that prints a file, or whatever else happens."""

    tells_ends = True

    def __init__(self, folder: Path) -> None:
        self.there = There()
        self.folder = folder

    def discovery(self, label: str | None = None, *, hasty: bool = False) -> Words:
        return Words(self, label, 0.5 if hasty else 60.0)


class Words(Command):
    """Writes down what is there before it is asked."""

    def __init__(self, desk: CommandDesk, label: str | None, within_s: float) -> None:
        self._desk = desk
        super().__init__(["sh", str(desk.folder / "boxes")], label, within_s=within_s)

    async def boxes(self) -> tuple[Box, ...]:
        there, folder = self._desk.there, self._desk.folder
        lines = [*map(from_box, there.boxes), *(ODD[what](id) for what, id in there.odd)]
        whole = "".join(json.dumps(line) + "\n" for line in [*lines, {"count": len(lines)}]).encode()
        scripts = {
            Trouble.FAILS: "cat out; echo it went wrong >&2; exit 3",
            Trouble.HANGS: "sleep 100",
            Trouble.ENDLESS: "yes '{}'",
        }
        plainly = there.trouble is None or there.trouble in scripts
        (folder / "out").write_bytes(whole if plainly else broken(there.trouble, whole) if there.trouble else b"")
        (folder / "boxes").write_text(f"cd {folder}; {scripts.get(there.trouble, 'cat out') if there.trouble else 'cat out'}\n")
        return await super().boxes()


class TestCommand(DiscoveryContract):
    """The contract."""

    @pytest.fixture
    def desk(self, tmp_path: Path) -> CommandDesk:
        return CommandDesk(tmp_path)


def shell(script: str, within_s: float = 60.0) -> Command:
    return Command(["sh", "-c", script], within_s=within_s)


def lines(*objects: object) -> Command:
    return shell("".join(f"printf '%s\\n' '{json.dumps(one)}'\n" for one in objects))


@pytest.fixture(autouse=True)
async def nothing_is_left_running() -> AsyncIterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    async with asyncio.timeout(5):
        while {child.pid for child in psutil.Process().children()} - before:
            await asyncio.sleep(0.01)


# --- the format -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ({"id": "a", "host": "h"}, "ssh://root@h:22"),
        ({"id": "a", "host": "10.0.0.1", "port": "2222", "user": "me"}, "ssh://me@10.0.0.1:2222"),
        ({"id": "a", "host": "2001:db8::1", "port": 22}, "ssh://root@[2001:db8::1]:22"),
        ({"id": 7, "source": "ssh://me@h:22"}, "ssh://me@h:22"),
        ({"id": "a", "source": "sftp://h"}, "sftp://h"),
        ({"id": "a", "source": "docker://comfy"}, "docker://comfy"),
        ({"id": "a", "host": "h", "count": 4, "gpu": {"name": "4090"}}, "ssh://root@h:22"),
        ({"id": "a", "host": "h", "state": "unknown"}, "ssh://root@h:22"),
    ],
)
async def test_where_a_box_is(line: dict[str, object], address: str) -> None:
    [one] = await lines(line).boxes()
    assert [str(each) for each in one.addresses] == [address]


@pytest.mark.parametrize(
    "line",
    [
        {"id": "a"},
        {"id": "a", "host": ""},
        {"id": "a", "host": "h", "port": 0},
        {"id": "a", "host": "h", "port": 1.5},
        {"id": "a", "host": "h", "user": "-l"},
        {"id": "a", "host": "h", "state": "Running"},
        {"id": "a", "host": "h", "end": "2026-12-01T06:00:00"},
        {"id": "a", "host": "h", "end": "tomorrow"},
        {"id": "a", "host": "h", "end": 1735689600},
        {"id": "a", "source": "/local"},
        {"id": "a", "source": "ssh://h/path"},
        {"id": "a", "source": "ssh://me:password@h"},
        {"id": "a", "source": "gopher://h"},
    ],
)
async def test_a_box_that_is_not_understood_is_there_all_the_same(line: dict[str, object]) -> None:
    [one] = await lines(line).boxes()
    assert (one.id, one.state, one.addresses) == ("a", BoxState.UNKNOWN, ())
    assert "not understood" in one.why
    assert "password" not in one.why


async def test_states_and_reasons_are_the_programs_own() -> None:
    boxes = await lines(
        {"id": "a", "state": "starting", "host": "h"},
        {"id": "b", "state": "stopped", "why": "no\tcredit"},
        {"id": "c", "state": "unknown"},
    ).boxes()
    assert [(one.state, one.addresses) for one in boxes] == [
        (BoxState.STARTING, ()),
        (BoxState.STOPPED, ()),
        (BoxState.UNKNOWN, ()),
    ]
    assert boxes[1].why == "no\N{REPLACEMENT CHARACTER}credit"


async def test_how_many_there_are_may_be_said_and_must_be_right() -> None:
    one, other = {"id": "a", "host": "h"}, {"id": "b", "host": "h"}
    assert len(await lines(one, other).boxes()) == 2
    assert len(await lines({"count": 2}, one, other).boxes()) == 2
    assert await lines({"count": 0}).boxes() == ()
    for wrong in (
        [{"count": 1}, one, other],
        [{"count": 3}, one, other],
        [one, {"count": 0}],
        [{"count": 0}, {"count": 0}],
        [{"count": -1}],
    ):
        with pytest.raises(DiscoveryError):
            await lines(*wrong).boxes()


async def test_what_does_not_end_in_a_line_end_counts_too() -> None:
    assert len(await shell("""printf '\\n  \\n{"id": "a", "host": "h"}\\r\\n{"id": "b", "host": "h"}'""").boxes()) == 2


@pytest.mark.parametrize(
    "line", ["[]", "{}", "7", '"none"', "none", "{'id': 'a'}", '{"id": "a"', '{"id": "a"} {"id": "b"}', "{" * 100_000]
)
async def test_a_line_that_is_none_voids_the_answer(line: str, tmp_path: Path) -> None:
    (tmp_path / "out").write_text(f'{{"id": "z", "host": "h"}}\n{line}\n')
    with pytest.raises(DiscoveryError):
        await Command(["cat", str(tmp_path / "out")]).boxes()


# --- programs that fail ---------------------------------------------------------------------------------------------------

LINE = """echo '{"id": "a", "host": "h"}'"""


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (f"{LINE}; exit 1", "exit status 1"),
        (f"{LINE}; kill -9 $$", "signal 9"),
        ("exit 0", "printed nothing"),
        ("echo no credentials >&2", "printed nothing.*no credentials"),
        ("seq 1 5000 >&2; echo last >&2; exit 2", "exit status 2: 4999 / 5000 / last"),
        ("printf 'bad\\033[31m token=abc\\n' >&2; exit 2", r"bad\\x1b\[31m token=\*\*\*"),
        (f"{LINE}; yes >&2", "within 1 s"),
        (f"{LINE}; sleep 100 & exit 0", "still holds its output open"),
        (f"{LINE}; exec sleep 100", "within 1 s"),
        (f"trap '' TERM HUP INT; {LINE}; while :; do sleep 1; done", "within 1 s"),
        ("cat /dev/zero", "far too much"),
        (f"while :; do {LINE}; done", "once|far too much|within"),
    ],
)
async def test_a_program_that_fails_is_an_error(script: str, told: str) -> None:
    with pytest.raises(DiscoveryError, match=told) as error:
        await shell(script, within_s=1.0 if "within" in told else 60.0).boxes()
    assert error.value.message.isprintable()
    assert len(error.value.message) < 600


@pytest.mark.parametrize("argv", [["/no/such/program"], ["/etc/passwd"], ["sh\x00"], ["\x1b[31m"]])
async def test_a_program_that_cannot_be_started_is_an_error(argv: list[str]) -> None:
    with pytest.raises(DiscoveryError, match="cannot be started") as error:
        await Command(argv).boxes()
    assert error.value.message.isprintable()


async def test_what_it_started_goes_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"sleep 100 >/dev/null 2>&1 & echo $! > {pid}; {LINE}"
    assert len(await shell(script).boxes()) == 1
    async with asyncio.timeout(5):
        while runs(int(pid.read_text())):
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """A dead one that nobody has fetched yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_one_that_only_holds_standard_error_open_does_not_matter() -> None:
    assert len(await shell(f"sleep 100 >/dev/null & {LINE}").boxes()) == 1


async def test_one_that_escaped_into_a_session_of_its_own_holds_nobody_up(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    try:
        with pytest.raises(DiscoveryError, match="holds its output open"):
            await shell(f"setsid sh -c 'echo $$ > {pid}; exec sleep 100' & {LINE}").boxes()
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


async def test_no_shell_is_involved_and_the_environment_is_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHOSE", "ours")
    program = tmp_path / "a program; with $(odd) name"
    program.write_text(
        """#!/bin/sh\nread nothing && exit 9\necho "{\\"id\\": \\"$WHOSE\\", \\"host\\": \\"h\\", \\"label\\": \\"$1\\"}"\n"""
    )
    program.chmod(0o755)
    [one] = await Command([str(program), "$(reboot) *"]).boxes()
    assert (one.id, one.label) == ("ours", "$(reboot) *")


async def test_a_question_that_is_cancelled_leaves_nothing() -> None:
    asking = asyncio.create_task(shell("sleep 100").boxes())
    await asyncio.sleep(0.2)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.2)


def test_it_is_the_same_on_the_loop_of_the_daemon() -> None:
    async def asked() -> None:
        assert len(await shell(LINE).boxes()) == 1
        for script, told in (
            ("exit 3", "exit status 3"),
            (f"{LINE}; sleep 100 & exit 0", "holds its output"),
            ("yes", "not understood|far too"),
        ):
            with pytest.raises(DiscoveryError, match=told):
                await shell(script).boxes()
        with pytest.raises(DiscoveryError, match="within"):
            await shell("sleep 100", within_s=0.3).boxes()
        with pytest.raises(DiscoveryError, match="cannot be started"):
            await Command(["/no/such/program"]).boxes()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asked())
