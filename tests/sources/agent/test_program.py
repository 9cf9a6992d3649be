"""The streamed program: what it may be written in, and that it says what the client understands."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from forged.model.files import Stat
from forged.model.paths import source_path
from forged.sources.agent import launch, wire
from forged.sources.agent.program import line as say
from forged.sources.agent.program.blocks import BLOCK_BYTES, Blocks
from forged.sources.agent.wire import Kind

FOLDER = Path(str(importlib.util.find_spec(launch.PACKAGE).submodule_search_locations[0]))  # type: ignore[union-attr, index]
LATER_THAN_3_6 = {"dataclasses", "contextvars", "zoneinfo", "graphlib", "tomllib", "importlib.resources"}


def old_pythons() -> list[str]:
    """The oldest Python that can be found here besides the one that runs this, if any."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.[6-9].*/bin/python3"))
    found = [str(path) for path in kept] or [path for n in (6, 7, 8, 9) if (path := shutil.which(f"python3.{n}"))]
    return found[:1]


def test_all_parts_of_the_program_are_streamed() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {*launch.PARTS, "__init__"}


@pytest.mark.parametrize("part", launch.PARTS)
def test_a_part_is_python_3_6(part: str) -> None:
    ast.parse((FOLDER / f"{part}.py").read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("part", launch.PARTS)
def test_a_part_imports_only_the_standard_library_and_parts_streamed_before_it(part: str) -> None:
    tree = ast.parse((FOLDER / f"{part}.py").read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    parts = {f"{launch.PACKAGE}.{before}" for before in launch.PARTS[: launch.PARTS.index(part)]}
    for module in [*names, *(str(node.module) for node in froms)]:
        ours = module == launch.PACKAGE or module in parts
        assert ours or module.split(".")[0] in sys.stdlib_module_names - LATER_THAN_3_6, module


def test_both_ends_use_the_same_words() -> None:
    assert {kind.name: kind.value for kind in Kind} == {kind.name: getattr(say, kind.name) for kind in Kind}
    assert (wire.VERSION, wire.MAGIC, wire.MAX_MESSAGE_BYTES) == (say.VERSION, say.MAGIC, say.MAX_MESSAGE_BYTES)
    assert wire.MAX_REST_BYTES == say.MAX_REST_BYTES
    names = [kind.name if kind else "CANCELLED" for kind in wire.TROUBLES]
    assert [getattr(say, name) for name in names] == list(range(len(names)))


def test_what_the_client_packs_is_what_the_agent_reads() -> None:
    expected = Stat(7, -8, inode=9, ctime_ns=None)
    payload = wire.fetch_payload(source_path(b"a/b"), wire.packed_expected(expected), 5, 7, 2, True)
    assert say.EXPECTED.unpack_from(payload) == (1, 7, -8, 9, 0)
    assert say.RANGE.unpack_from(payload, say.EXPECTED.size) == (True, 5, 7, 2)
    assert payload[say.EXPECTED.size + say.RANGE.size :] == b"a/b"
    assert say.AMOUNT.unpack(wire.grant_payload(1 << 40)) == (1 << 40,)
    assert say.HEADER.unpack_from(wire.packed(Kind.LOOK, 77, b"xy")) == (say.LOOK, 77, 2)


def test_what_the_agent_packs_is_what_the_client_reads() -> None:
    facts = say.FACTS.pack(1, -2, 3, 4)
    assert wire.parse_stat(facts) == Stat(1, -2, 3, 4)
    look, known = Stat(1, -2, 3, 4), Stat(5, 6)
    ended = wire.parse_done(facts + facts + b"rest", False, known, wire.packed_expected(known))
    assert ended == (wire.Done(look, look, None), b"rest")
    ended = wire.parse_done(facts + facts + bytes(32) + b"rest", True, look, wire.packed_expected(look))
    assert ended == (wire.Done(look, look, bytes(32)), b"rest")
    greeting = say.GREETING.pack(say.VERSION, 42, 43, 3, 6, 15) + say.ABILITIES
    assert wire.parse_hello(greeting).python == "3.6.15"
    assert wire.parse_list_end(say.END.pack(5, 6)) == (5, 6)
    assert wire.parse_space(say.DISK.pack(7, 8)) == wire.Space(7, 8)
    assert wire.parse_time_ns(say.TIME_NS.pack(-9)) == -9
    assert wire.parse_trouble(say.Trouble(say.LINK, "é" * 400).packed()).kind == wire.ProblemKind.LINK


def test_a_block_of_the_agent_stays_below_what_the_client_allows() -> None:
    sent: list[bytes] = []
    blocks, facts = Blocks(sent.append, lambda same: None, {}), say.FACTS.pack(1, 2, 3, 4)
    for number in range(100):
        blocks.problem(b"p" * 5120, say.Trouble(say.BAD_NAME, "m" * 400))
        blocks.files(
            b"%03d" % number + b"f" * 3837 + b"/", [bytes([n]) + b"n" * 254 + b"\0" + facts for n in range(1, 1 + number % 9)]
        )
    assert len(sent) > 10
    assert BLOCK_BYTES < max(map(len, sent)) <= wire.MAX_BLOCK_BYTES


def hello_from(command: tuple[str, ...] | str, root: bytes, shell: bool = False) -> bytes:
    sent = launch.program() + wire.packed(Kind.START, 1, root)
    done = subprocess.run(command, input=sent, capture_output=True, timeout=30, shell=shell)
    assert done.stderr == b""
    return done.stdout


def test_the_command_for_a_shell_starts_the_agent_and_leaves_nothing_on_disk(tmp_path: Path) -> None:
    frames = wire.Decoder().feed(hello_from(launch.shell_command(), bytes(tmp_path), shell=True))
    assert [frame.kind for frame in frames] == [Kind.HELLO]
    assert list(tmp_path.iterdir()) == []


def test_the_command_for_a_shell_says_so_where_there_is_no_python() -> None:
    command = launch.shell_command().replace(" ".join(launch.PYTHONS), "no-such-python")
    done = subprocess.run(command, shell=True, capture_output=True, timeout=30)
    assert (done.returncode, done.stderr) == (69, b"no python3 found\n")


def test_what_the_box_puts_into_pythons_way_is_not_run(tmp_path: Path) -> None:
    """A module of a standard one's name, by an environment variable or in the folder where the agent starts."""
    for name in ("zlib", "struct", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text("open('canary', 'w')\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSTARTUP": str(tmp_path / "zlib.py")}
    done = subprocess.run(launch.argv(), input=launch.program(), env=env, cwd=tmp_path, capture_output=True, timeout=30)
    assert wire.MAGIC in done.stdout
    assert not (tmp_path / "canary").exists()


def test_an_agent_whose_client_is_gone_ends_even_while_it_cannot_send(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(4 << 20))
    seen = (tmp_path / "big").stat()
    expected = Stat(seen.st_size, seen.st_mtime_ns)
    sent = launch.program() + wire.packed(Kind.START, 1, bytes(tmp_path))
    sent += wire.packed(
        Kind.FETCH, 2, wire.fetch_payload(source_path(b"big"), wire.packed_expected(expected), 0, seen.st_size, 0, False)
    )
    sent += wire.packed(Kind.GRANT, 2, wire.grant_payload(seen.st_size))
    with subprocess.Popen(launch.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        agent.stdin.write(sent)
        agent.stdin.flush()
        assert agent.stdout.read(1), "it streams into a pipe that nobody empties"
        agent.stdin.close()
        assert agent.wait(timeout=20) == 0


@pytest.mark.parametrize("python", old_pythons() or [pytest.param("", marks=pytest.mark.skip("no Python 3.6 to 3.9 here"))])
def test_an_old_python_runs_the_program(python: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"x")
    sent = launch.program() + wire.packed(Kind.START, 1, bytes(tmp_path)) + wire.packed(Kind.LIST, 2, wire.list_payload(()))
    sent += wire.packed(Kind.GRANT, 2, wire.grant_payload(1))
    with subprocess.Popen(launch.argv(python), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        agent.stdin.write(sent)
        agent.stdin.flush()
        decoder, frames = wire.Decoder(), []
        while not frames or frames[-1].kind != Kind.LIST_END:
            frames += decoder.feed(agent.stdout.read1(65536))
    assert [frame.kind for frame in frames] == [Kind.HELLO, Kind.LISTED, Kind.LIST_END]
    assert struct.unpack_from(">Q", frames[-1].payload) == (1,)
