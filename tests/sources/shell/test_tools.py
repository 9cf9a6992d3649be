"""Real shells whose tools fail, say something in between, or are of another kind; and a shell that may not look everywhere."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from forged.model.errors import SourceBroken
from forged.model.files import ProblemKind
from forged.model.removal import KeptBecause
from forged.model.transfer import Fetched
from forged.sources.base import Source
from forged.sources.shell import client
from forged.sources.shell.client import ShellSource
from tests.sources.asking import bytes_of, fetched, kind_of, listed, removable, requests_of
from tests.sources.boxes import FolderBox
from tests.support.busybox import PipedShells
from tests.support.sinks import MIB, MemorySink


class Tools:
    """A PATH of this machine's dash and tools, some of which are replaced by lines of shell; `$REAL` is the one replaced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "sh").symlink_to("/bin/dash")

    def replace(self, name: str, script: str) -> None:
        real = shutil.which(name, path="/usr/bin:/bin")
        (self._folder / name).unlink(missing_ok=True)
        (self._folder / name).write_text(f"#!/bin/dash\nREAL={real}\n{script}\n")
        (self._folder / name).chmod(0o755)

    def box(self, root: Path) -> FolderBox:
        return FolderBox(root, lambda root: ShellSource(PipedShells(self._folder), bytes(root)))


@pytest.fixture
def tools(tmp_path: Path) -> Tools:
    if not Path("/bin/dash").exists():
        pytest.skip("no dash here")
    return Tools(tmp_path / "bin")


@pytest.fixture
def box(tools: Tools, quick_path: Path) -> FolderBox:
    return tools.box(quick_path / "root")


async def test_a_complaint_in_the_middle_of_a_name_costs_no_name(tools: Tools, box: FolderBox) -> None:
    box.write(b"folder/file", b"")
    tools.replace(
        "find",
        """case $* in *"! -type"*)
        printf './fold'; echo "find: './closed': Permission denied" >&2; sleep 0.3; printf 'er/file\\0' ;;
        *) exec $REAL "$@";; esac""",
    )
    async with box.source() as source:
        entries, problems, _ = await listed(source)
    assert [entry.path for entry in entries] == [b"folder/file"]
    assert [problem.path for problem in problems] == [b""], "nobody knows what was closed"


@pytest.mark.parametrize("words", ["Input/output error", "Stale file handle", "File name too long"])
async def test_what_find_cannot_read_is_unknown_whatever_else_is_closed(tools: Tools, box: FolderBox, words: str) -> None:
    box.write(b"file", b"")
    tools.replace("find", f"""case $* in *"! -type"*) echo "find: './bad': {words}" >&2;; esac; exec $REAL "$@" """)
    tools.replace("xargs", """case $* in *-r*) printf 'U ./a//\\nU ./b//\\n';; esac; exec $REAL "$@" """)
    async with box.source() as source:
        assert b"" in [problem.path for problem in (await listed(source))[1]]


@pytest.mark.parametrize(
    ("tool", "script"),
    [
        ("find", "exit 127"),
        ("find", "kill -9 $$"),
        ("sort", "case $(cat | tr '\\0' ' ') in a*) printf 'a\\0b\\0';; *) exit 2;; esac"),
        ("sort", '$REAL "$@" | head -c 20'),
        ("xargs", """case $* in *stat*) exec $REAL "$@";; *) exec $REAL -n 1 "$@";; esac"""),
    ],
)
async def test_a_tool_that_dies_never_makes_files_vanish(tools: Tools, box: FolderBox, tool: str, script: str) -> None:
    """Either all is listed, or it is said that something is unknown."""
    for number in range(40):
        box.write(b"%d" % number, b"")
    async with box.source() as source:
        tools.replace(tool, script)
        try:
            entries, problems, _ = await listed(source)
        except SourceBroken:
            return
    assert len(entries) == 40 or b"" in [problem.path for problem in problems]


async def test_a_shell_that_ends_in_the_middle_of_a_batch_ends_the_listing(tools: Tools, box: FolderBox) -> None:
    """dash does so, with status 2, where it cannot fork; and `xargs` goes on with the next batch."""
    for number in range(40):
        box.write(b"%02d" % number, b"")
    tools.replace("xargs", 'case $1 in -0) shift;; esac; exec $REAL -0 -n 10 "$@"')
    async with box.source() as source:
        assert len((await listed(source))[0]) == 40
        tools.replace("sh", 'case $* in *./19*) exit 2;; esac; exec /bin/dash "$@"')
        with pytest.raises(SourceBroken, match="tool"):
            await listed(source)


async def test_a_path_longer_than_any_call_takes_is_told(box: FolderBox) -> None:
    box.write(b"file", b"")
    here = os.open(box.root, os.O_RDONLY)
    try:
        for _ in range(24):
            os.mkdir("d" * 200, dir_fd=here)
            deeper = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = deeper
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    finally:
        os.close(here)
    async with box.source() as source:
        entries, problems, _ = await listed(source)
    assert [entry.path for entry in entries] == [b"file"]
    assert problems


async def test_where_dd_counts_no_bytes_tail_and_head_do(tools: Tools, box: FolderBox) -> None:
    tools.replace("dd", 'case $* in *count_bytes*) exit 1;; esac; exec $REAL "$@"')
    datas = {b"empty": b"", b"small": b"x", b"large": bytes_of(5 * MIB + 3)}
    entries = [box.write(path, data) for path, data in datas.items()]
    async with box.source() as source:
        assert not source._shells.tools.across  # type: ignore[attr-defined]
        sink = MemorySink(resumed={"0002": datas[b"large"][:1_234_567]})
        requests = requests_of(entries)[:2] + requests_of(entries, 1_234_567)[2:]
        answers = await fetched(source, requests, sink)
    assert all(isinstance(answer, Fetched) for answer in answers.values())
    assert [sink.content(request.staging) for request in requests] == list(datas.values())


async def test_signs_of_life_while_it_hashes_disturb_no_answer(
    tools: Tools, box: FolderBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BEATS_FROM_BYTES", 0)
    tools.replace("sleep", "exec $REAL 0.01")
    tools.replace("sha256sum", "/bin/sleep 0.2; exec $REAL")
    same, other = (box.write(path, b"12345678") for path in (b"same", b"other"))
    async with box.source() as source:
        [hashed] = [answer async for answer in source.hash([same])]
        assert hashed.sha256 == hashlib.sha256(b"12345678").digest()  # type: ignore[union-attr]
        box.replace(b"same", b"12345678", same.stat.mtime_ns)
        box.replace(b"other", b"1234567x", other.stat.mtime_ns)
        removed = await source.remove([removable(same, b"12345678"), removable(other, b"12345678")])
    assert [answer.kept is None for answer in removed] == [True, False]


# --- what happens between two steps of a removal --------------------------------------------------------------------------


async def removed_while(tools: Tools, box: FolderBox, tool: str, script: str) -> KeptBecause | None:
    """Why `file` was kept, whose removal this disturbs."""
    entry = box.write(b"file", b"12345678")
    tools.replace(tool, script)
    async with box.source() as source:
        [answer] = await source.remove([removable(entry, b"12345678")])
    return answer.kept


async def test_a_file_that_is_written_at_the_last_moment_is_put_back(tools: Tools, box: FolderBox) -> None:
    assert await removed_while(tools, box, "mv", 'echo more >>"$1"; exec $REAL "$@"') is KeptBecause.CHANGED
    assert box.read(b"file") == b"12345678more\n"
    assert box.names() == {b"file"}


async def test_a_file_that_is_written_while_it_waits_aside_is_put_back(tools: Tools, box: FolderBox) -> None:
    assert await removed_while(tools, box, "mv", '$REAL "$@"; echo more >>"$2"') is KeptBecause.CHANGED
    assert box.read(b"file") == b"12345678more\n"
    assert box.names() == {b"file"}


async def test_a_new_file_under_the_name_is_never_overwritten(tools: Tools, box: FolderBox) -> None:
    assert await removed_while(tools, box, "mv", 'echo more >>"$1"; $REAL "$@"; echo new >"$1"') is KeptBecause.CHANGED
    assert box.read(b"file") == b"new\n"
    [aside] = box.names() - {b"file"}
    assert box.read(aside) == b"12345678more\n"


async def test_a_file_that_does_not_go_is_not_said_to_be_gone(tools: Tools, box: FolderBox) -> None:
    assert await removed_while(tools, box, "rm", "exit 1") is KeptBecause.FAILED
    assert box.read(b"file") == b"12345678"


async def test_a_link_that_comes_before_the_renaming_takes_nothing_with_it(tools: Tools, box: FolderBox) -> None:
    box.write(b"other", b"12345678")
    assert await removed_while(tools, box, "mv", 'rm "$1"; ln -s other "$1"; exec $REAL "$@"') is not None
    assert box.read(b"other") == b"12345678"


# --- somebody who may not look everywhere ---------------------------------------------------------------------------------


class NobodysBox(FolderBox):
    """Its shell runs as `nobody`, for whom locks hold."""

    def lock(self, path: bytes) -> bool:
        os.chmod(self.at(path), 0)
        return True


@pytest.fixture(params=["dash", "busybox"])
def nobodys(request: pytest.FixtureRequest, quick_path: Path) -> NobodysBox:
    program = shutil.which(request.param)
    if os.getuid() != 0 or program is None:
        pytest.skip("needs root, to become somebody else, and dash and busybox")
    path = quick_path / "bin"
    path.mkdir()
    argv = f"{program} sh" if request.param == "busybox" else program
    (path / "sh").write_text(
        f'#!/bin/dash\n[ $# = 0 ] || exec {argv} "$@"\nexec /usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups {argv}\n'
    )
    (path / "sh").chmod(0o755)
    return NobodysBox(quick_path / "root", lambda root: ShellSource(PipedShells(path), bytes(root)))


async def test_what_is_closed_is_told_and_the_rest_comes(nobodys: NobodysBox) -> None:
    for path in (b"closed/1", b"open/2", b"open/closed too/3", b"locked", b"z"):
        nobodys.write(path, b"x")
    for path in (b"closed", b"open/closed too", b"locked"):
        nobodys.lock(path)
    async with nobodys.source() as source:
        entries, problems, _ = await listed(source)
        assert [entry.path for entry in entries] == [b"locked", b"open/2", b"z"]
        assert {(problem.path, problem.kind) for problem in problems} == {
            (path, ProblemKind.UNREADABLE) for path in (b"closed", b"open/closed too")
        }
        await self_evident(source, nobodys)


async def self_evident(source: Source, box: NobodysBox) -> None:
    """What may not be read, hashed or removed is said to be so."""
    locked, kept = box.entry(b"locked"), box.entry(b"z")
    answers = await fetched(source, requests_of([locked, kept]), MemorySink())
    assert kind_of(answers[b"locked"]) is not None
    assert isinstance(answers[b"z"], Fetched)
    [hashed] = [answer async for answer in source.hash([locked])]
    assert kind_of(hashed) is ProblemKind.UNREADABLE
    [removed] = await source.remove([removable(kept, b"x")])
    assert removed.kept is not None
    assert box.read(b"z") == b"x"


async def test_a_folder_that_may_be_read_but_not_entered_makes_its_files_unknown(nobodys: NobodysBox) -> None:
    nobodys.write(b"half/1", b"x")
    nobodys.write(b"z", b"x")
    os.chmod(nobodys.at(b"half"), 0o444)
    async with nobodys.source() as source:
        entries, problems, _ = await listed(source)
    assert [entry.path for entry in entries] == [b"z"]
    assert problems
