"""Listings: the agent's walk yields the order of whole paths, and leaves out what is known and nothing else."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forged.model.files import ListingPart, Problem, ProblemKind, SamePart
from forged.model.paths import SourcePath, source_path
from forged.sources.agent import launch, wire
from forged.sources.agent.blocks import BlockReader, inflated
from forged.sources.agent.listing import outermost
from forged.sources.agent.program import blocks, removal
from forged.sources.agent.program.blocks import Blocks
from forged.sources.agent.program.line import FACTS
from forged.sources.agent.program.listing import Walk
from forged.sources.agent.program.tree import Tree
from forged.sources.agent.wire import Kind
from tests.sources.agent.agents import IN_MEMORY

Part = ListingPart | SamePart

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


@pytest.fixture
def in_memory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        yield Path(folder)


def parts_of(tree: Tree, folders: Sequence[SourcePath] = (), known: Sequence[bytes] = ()) -> list[Part]:
    """The agent's walk and the client's reader, without a process in between."""
    reader, parts = BlockReader(outermost(folders), known), list[Part]()
    places = {digest: place for place, digest in enumerate(known)}
    told = Blocks(lambda block: parts.append(reader.part(block)), lambda same: parts.extend(reader.same(same)), places)
    Walk(tree, told, lambda: None).below(outermost(folders) or [b""])
    told.flush()
    assert told.entries == reader.entries
    return parts


def joined(parts: Sequence[Part], known: Mapping[bytes, ListingPart] | None = None) -> ListingPart:
    """One part of all; those that are the same come from `known`."""
    whole = [part if isinstance(part, ListingPart) else (known or {})[part.digest] for part in parts]
    return ListingPart(tuple(e for part in whole for e in part.entries), tuple(p for part in whole for p in part.problems))


def listed(root: bytes, folders: Sequence[SourcePath] = ()) -> ListingPart:
    return joined(parts_of(Tree(root), folders))


def remembered(parts: Sequence[Part]) -> dict[bytes, ListingPart]:
    return {part.digest: part for part in parts if isinstance(part, ListingPart) and part.digest is not None}


def sent(parts: Sequence[Part]) -> list[int]:
    """How many files each part has that was not left out."""
    return [len(part.entries) for part in parts if isinstance(part, ListingPart) and part.entries]


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
    tree = Tree(bytes(tmp_path))
    with as_nobody():
        part = joined(parts_of(tree))
    for folder in ("a", "c"):
        (tmp_path / folder).chmod(0o755)
    assert paths_of(part) == [b"b/sub/file"]
    assert [(p.path, p.kind) for p in part.problems] == [
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


def test_a_time_that_no_number_holds_is_folded_into_one_that_does(in_memory: Path) -> None:
    (in_memory / "far off").touch()
    os.utime(in_memory / "far off", (0, 10**11))
    now = (in_memory / "far off").stat()
    [entry] = listed(bytes(in_memory)).entries
    assert entry.stat.mtime_ns == min(now.st_mtime_ns, (1 << 63) - 1)
    assert (entry.stat.inode, entry.stat.ctime_ns) == (now.st_ino, now.st_ctime_ns)


# --- blocks, and leaving out those that are known -------------------------------------------------------------------------


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other path ends a block, so that small trees have many."""
    monkeypatch.setattr(blocks, "LEAST_FILES", 1)
    monkeypatch.setattr(blocks, "ENDS", 1)


def edit(root: bytes, path: bytes, how: int) -> None:
    """One of the things that happen to files; what is not possible does not happen."""
    at = os.path.join(root, path)
    try:
        match how:
            case 0:
                make(root, [path])
            case 1:
                os.unlink(at)
            case 2:
                with open(at, "ab") as file:
                    file.write(b"more")
            case 3:
                os.symlink("nowhere", at)
            case _:
                os.rename(at, at + b"~")
    except OSError:
        pass


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(paths, max_size=20), st.lists(st.lists(st.tuples(paths, st.integers(0, 4)), max_size=4), max_size=4))
def test_a_listing_that_leaves_out_what_is_known_says_the_same(
    small_blocks: None, wanted: list[bytes], rounds: list[list[tuple[bytes, int]]]
) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        root = os.fsencode(folder)
        make(root, wanted)
        tree, known = Tree(root), dict[bytes, ListingPart]()
        for edits in rounds:
            parts = parts_of(tree, (), list(known))
            assert joined(parts, known) == listed(root)
            known |= remembered(parts)
            assert sent(parts_of(tree, (), list(known))) == []
            for path, how in edits:
                edit(root, path, how)


def flock(root: Path, folders: int, files: int) -> None:
    for folder in range(folders):
        (root / f"{folder:02}").mkdir()
        for number in range(files):
            (root / f"{folder:02}" / f"ComfyUI_{number:05}_.png").touch()


def test_a_new_file_changes_the_blocks_around_it_and_no_others(in_memory: Path) -> None:
    flock(in_memory, folders=40, files=150)
    tree = Tree(bytes(in_memory))
    first = parts_of(tree)
    assert len(first) >= 10
    known = remembered(first)
    (in_memory / "05" / "ComfyUI_00042_b.png").touch()
    (in_memory / "30" / "ComfyUI_00142_.png").unlink()
    (in_memory / "20" / "a link").symlink_to("nowhere")
    second = parts_of(tree, (), list(known))
    assert 2 <= len(sent(second)) <= 6
    assert joined(second, known) == listed(bytes(in_memory))


def test_blocks_are_neither_too_many_nor_too_large(in_memory: Path) -> None:
    flock(in_memory, folders=2, files=2500)
    for number in range(500):
        (in_memory / f"{number:0255}").touch()
    sizes = sent(parts_of(Tree(bytes(in_memory))))
    assert sum(sizes) == 5500
    assert min(sizes[:-1]) >= blocks.LEAST_FILES
    assert max(sizes) <= blocks.BLOCK_BYTES / 50
    assert len(sizes) <= 30


def test_empty_folders_do_not_end_a_block_before_its_time(in_memory: Path) -> None:
    inside = in_memory / ("f" * 250)
    for number in range(500):
        (inside / f"an empty folder {number}").mkdir(parents=True)
    for number in range(blocks.LEAST_FILES - 1):
        (inside / f"behind them {number}").touch()
    assert sent(parts_of(Tree(bytes(in_memory)))) == [blocks.LEAST_FILES - 1]


def test_a_file_that_a_system_shows_twice_is_listed_once() -> None:
    parts: list[ListingPart] = []
    collected = Blocks(lambda block: parts.append(BlockReader(()).part(block)), lambda same: None, {})
    first, later = (b"name\0" + FACTS.pack(size, 1, 1, 1) for size in (1, 2))
    collected.files(b"folder/", [first, later])
    collected.flush()
    assert [paths_of(part) for part in parts] == [[b"folder/name"]]
    assert collected.entries == 1


def test_problems_come_before_the_files_behind_them_and_never_among_them(in_memory: Path) -> None:
    flock(in_memory, folders=3, files=2)
    (in_memory / "00 is a link").symlink_to("nowhere")
    (in_memory / "02" / "z").symlink_to("nowhere")
    first, second = parts_of(Tree(bytes(in_memory)))
    assert isinstance(first, ListingPart)
    assert [problem.path for problem in first.problems] == [b"00 is a link", b"02/z"]
    assert (first.entries, first.digest) == ((), None)
    assert isinstance(second, ListingPart)
    assert (len(second.entries), second.problems) == (6, ())


def answers(root: Path, known: Sequence[bytes], granted: int) -> list[wire.Frame]:
    """What a real agent says to LIST, as far as it may."""
    said = launch.program() + wire.packed(Kind.START, 1, bytes(root))
    said += wire.packed(Kind.LIST, 2, wire.list_payload((), known)) + wire.packed(Kind.GRANT, 2, wire.grant_payload(granted))
    frames: list[wire.Frame] = []
    decoder = wire.Decoder()
    with subprocess.Popen(launch.argv(), stdin=subprocess.PIPE, stdout=subprocess.PIPE) as agent:
        assert agent.stdin and agent.stdout
        agent.stdin.write(said)
        agent.stdin.flush()
        while not frames or frames[-1].kind != Kind.LIST_END:
            frames += decoder.feed(os.read(agent.stdout.fileno(), 65536))
    return [frame for frame in frames if frame.kind != Kind.HELLO]


def test_a_tree_that_is_known_costs_few_bytes_and_waits_for_no_grant(in_memory: Path) -> None:
    flock(in_memory, folders=20, files=500)
    first = answers(in_memory, (), granted=1000)
    reader = BlockReader(())
    known = list(remembered([reader.part(inflated(frame.payload)) for frame in first[:-1]]))
    second = answers(in_memory, known, granted=0)
    assert {frame.kind for frame in second[:-1]} == {Kind.SAME}
    assert [part.digest for frame in second[:-1] for part in BlockReader((), known).same(frame.payload)] == known
    assert second[-1].payload[:8] == first[-1].payload[:8] == (10_000).to_bytes(8, "big")
    up_and_down = len(wire.list_payload((), known)) + sum(9 + len(frame.payload) for frame in second)
    assert up_and_down <= 1000, "a tenth of what 100,000 files may cost"
