"""Listings: the agent's walk yields the order of whole paths, and the client believes nothing else."""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forged.model.errors import SourceBroken
from forged.model.files import ListingPart, Problem, ProblemKind
from forged.model.paths import SourcePath, source_path
from forged.sources.agent.listing import MAX_BLOCK_BYTES, ListingCall, ListingReader, outermost
from forged.sources.agent.program import removal
from forged.sources.agent.program.line import ENTRY, FACTS, RECORD
from forged.sources.agent.program.listing import Blocks, Walk
from forged.sources.agent.program.tree import Tree
from forged.sources.agent.wire import Frame, Kind
from tests.sources.agent.agents import IN_MEMORY

# Around "/" (0x2f) on both sides, where the order of names and the order of paths part.
names = st.text(alphabet="a!./0\n|\udc80", min_size=1, max_size=3).map(
    lambda t: t.replace("/", "-").encode("utf-8", "surrogateescape")
)
paths = st.lists(names.filter(lambda n: n not in (b".", b"..")), min_size=1, max_size=4).map(b"/".join)


def make(root: bytes, wanted: Sequence[bytes]) -> set[bytes]:
    """Makes files; those whose folder is already a file, or the other way round, are left out."""
    made = set()
    for path in wanted:
        try:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "wb"):
                made.add(path)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            pass
    return made


def listed(root: bytes, folders: Sequence[SourcePath] = ()) -> ListingPart:
    """The agent's walk and the client's reader, without a process in between."""
    reader, parts = ListingReader(outermost(folders)), []
    blocks = Blocks(lambda block: parts.append(reader.part(block)))
    Walk(Tree(root), blocks, lambda: None).below(outermost(folders) or [b""])
    blocks.flush()
    return ListingPart(tuple(e for part in parts for e in part.entries), tuple(p for part in parts for p in part.problems))


def paths_of(part: ListingPart) -> list[bytes]:
    return [entry.path for entry in part.entries]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(paths, max_size=12))
def test_the_walk_yields_the_byte_order_of_whole_paths(wanted: list[bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        made = make(os.fsencode(folder), wanted)
        assert paths_of(listed(os.fsencode(folder))) == sorted(made)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(paths, max_size=12), st.lists(paths, min_size=1, max_size=3))
def test_a_listing_of_folders_is_the_part_of_the_whole_below_them(wanted: list[bytes], folders: list[bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        made = make(os.fsencode(folder), wanted)
        below = [path for path in sorted(made) if any(path.startswith(f + b"/") for f in folders)]
        assert paths_of(listed(os.fsencode(folder), [source_path(f) for f in folders])) == below


@given(st.lists(paths, max_size=8))
def test_outermost_folders_contain_all_and_not_each_other(folders: list[bytes]) -> None:
    kept = outermost([source_path(folder) for folder in folders])
    assert all(any((f + b"/").startswith(k + b"/") for k in kept) for f in folders)
    assert not any(a != b and a.startswith(b + b"/") for a in kept for b in kept)
    assert list(kept) == sorted(kept, key=lambda folder: folder + b"/")


def test_a_folder_that_is_not_there_is_an_empty_one_with_a_problem(tmp_path: Path) -> None:
    part = listed(bytes(tmp_path), [source_path(b"no/such")])
    assert part == ListingPart((), (Problem(b"no/such", ProblemKind.VANISHED, "No such file or directory"),))


def test_a_file_asked_for_as_a_folder_is_an_empty_one_with_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert [p.kind for p in listed(bytes(tmp_path), [source_path(b"file")]).problems] == [ProblemKind.VANISHED]


def test_a_folder_behind_a_link_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "sub" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    for folder in (b"link", b"link/sub"):
        part = listed(bytes(tmp_path), [source_path(folder)])
        assert (part.entries, [p.kind for p in part.problems]) == ((), [ProblemKind.LINK])


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root may read everything; for a moment it is somebody who may not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_unreadable_folders_are_problems_and_the_rest_is_listed(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "file").touch()
    tmp_path.chmod(0o755)
    (tmp_path / "a").chmod(0)  # neither to be read nor to be entered
    (tmp_path / "c").chmod(0o444)  # to be read, not to be entered
    reader, parts = ListingReader(()), []
    blocks, tree = Blocks(lambda block: parts.append(reader.part(block))), Tree(bytes(tmp_path))
    with as_nobody():
        Walk(tree, blocks, lambda: None).below([b""])
    blocks.flush()
    for folder in ("a", "c"):
        (tmp_path / folder).chmod(0o755)
    assert [path for part in parts for path in paths_of(part)] == [b"b/sub/file"]
    assert [(p.path, p.kind) for part in parts for p in part.problems] == [
        (b"a", ProblemKind.UNREADABLE),
        (b"c/sub", ProblemKind.UNREADABLE),
    ]


def test_a_path_deeper_than_possible_is_a_problem_and_the_rest_is_listed(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(21):
        os.mkdir(b"d" * 200, dir_fd=fd)
        deeper = os.open(b"d" * 200, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(os.open(b"file", os.O_CREAT, dir_fd=fd))
    os.close(fd)
    (tmp_path / "e").touch()
    part = listed(bytes(tmp_path))
    assert paths_of(part) == [b"e"]
    assert [p.kind for p in part.problems] == [ProblemKind.BAD_NAME]


# --- what interrupted removals left ---------------------------------------------------------------------------------------


def aside(name: str, age_s: float = removal.STALE_S + 1) -> str:
    return f".forged-aside-{int(time.time() - age_s):08x}-0badcafe" + (f"-{name}" if name else "")


def test_a_file_left_aside_by_an_interrupted_removal_is_restored(tmp_path: Path) -> None:
    (tmp_path / aside("picture.png")).write_text("kept")
    assert paths_of(listed(bytes(tmp_path))) == [b"picture.png"]
    assert (tmp_path / "picture.png").read_text() == "kept"


def test_a_file_with_a_long_name_left_aside_is_restored(tmp_path: Path) -> None:
    (tmp_path / aside("")).mkdir()
    (tmp_path / aside("") / ("n" * 255)).write_text("kept")
    assert paths_of(listed(bytes(tmp_path))) == [b"n" * 255]
    assert [path.name for path in tmp_path.iterdir()] == ["n" * 255]


def test_a_removal_in_progress_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / aside("picture.png", age_s=10)).touch()
    assert paths_of(listed(bytes(tmp_path))) == []
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_left_aside_whose_name_is_taken_is_a_file_like_any_other(tmp_path: Path) -> None:
    left = tmp_path / aside("picture.png")
    left.write_text("old")
    (tmp_path / "picture.png").write_text("new")
    assert paths_of(listed(bytes(tmp_path))) == [os.fsencode(left.name), b"picture.png"]
    assert (left.read_text(), (tmp_path / "picture.png").read_text()) == ("old", "new")


def test_a_restoring_cut_off_between_link_and_unlink_is_finished(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_text("kept")
    os.link(tmp_path / "picture.png", tmp_path / aside("picture.png"))
    assert paths_of(listed(bytes(tmp_path))) == [b"picture.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


def test_a_planted_link_in_the_place_of_a_waiting_folder_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("stays")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / aside("")).symlink_to("../outside")
    part = listed(bytes(tmp_path / "root"))
    assert (part.entries, [p.kind for p in part.problems]) == ((), [ProblemKind.LINK])
    assert (tmp_path / "outside" / "secret").read_text() == "stays"


# --- what the client does not believe -------------------------------------------------------------------------------------


def record(path: bytes, shared: int = 0, size: int = 1) -> bytes:
    return RECORD.pack(ENTRY, shared, len(path)) + path + FACTS.pack(size, 1, 1, 1)


def trouble(path: bytes, kind: int = 3, message: bytes = b"") -> bytes:
    return RECORD.pack(kind, len(path), len(message)) + path + message


LIES = {
    "a path that climbs out": record(b"a/../../etc/passwd"),
    "an absolute path": record(b"/etc/passwd"),
    "a path with NUL": record(b"a\0b"),
    "an empty path": record(b""),
    "a path that continues nothing": record(b"b", shared=1),
    "a path twice": record(b"a") + record(b"a"),
    "paths that descend": record(b"b") + record(b"a"),
    "a negative size": record(b"a", size=-1),
    "half a record": record(b"a")[:-1],
    "half a head": record(b"a") + b"\xff\0",
    "a length that lies": RECORD.pack(ENTRY, 0, 5000) + b"a",
    "a problem of no kind": trouble(b"a", kind=77),
    "a problem that listings do not have": trouble(b"a", kind=1),
    "a cancelled problem": trouble(b"a", kind=0),
    "an endless message": trouble(b"a", message=b"m" * 301),
    "a problem with an endless path": trouble(b"a" * 6000),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_listing_that_lies_is_broken(lie: str) -> None:
    with pytest.raises(SourceBroken):
        ListingReader(()).part(zlib.compress(LIES[lie]))


def test_a_listing_out_of_order_over_two_blocks_is_broken() -> None:
    reader = ListingReader(())
    reader.part(zlib.compress(record(b"b")))
    with pytest.raises(SourceBroken):
        reader.part(zlib.compress(record(b"a")))


def test_a_file_outside_the_folders_asked_for_is_broken() -> None:
    reader = ListingReader([source_path(b"a"), source_path(b"c")])
    reader.part(zlib.compress(record(b"a/x") + record(b"c/x")))
    with pytest.raises(SourceBroken):
        reader.part(zlib.compress(record(b"cc")))


BAD_BLOCKS = {
    "a zip bomb": zlib.compress(bytes(1 << 26), 9),
    "a block of good records that is too large": zlib.compress(b"".join(record(b"%09d" % n) for n in range(MAX_BLOCK_BYTES // 40))),
    "no zlib at all": b"hello",
    "half a block": zlib.compress(record(b"a"))[:-1],
    "something behind a block": zlib.compress(record(b"a")) + b"x",
}


@pytest.mark.parametrize("block", BAD_BLOCKS)
def test_a_block_that_is_not_one_whole_bounded_stream_is_broken(block: str) -> None:
    with pytest.raises(SourceBroken):
        ListingReader(()).part(BAD_BLOCKS[block])


@given(st.binary(max_size=400))
def test_garbage_records_raise_source_broken_and_nothing_else(garbage: bytes) -> None:
    try:
        ListingReader(()).part(zlib.compress(garbage))
    except SourceBroken:
        pass


async def test_more_blocks_than_granted_are_broken() -> None:
    call = ListingCall((), b"/root")
    call.granted(1)
    assert not call.take(Frame(Kind.LISTED, 1, zlib.compress(record(b"a"))))
    with pytest.raises(SourceBroken):
        call.take(Frame(Kind.LISTED, 1, zlib.compress(record(b"b"))))
