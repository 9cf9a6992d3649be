"""Folders that are links, or behind links, or elsewhere: found once, under one name; and no other link is followed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forged.kit.clock import HandClock
from forged.model.errors import SourceLost, SourceMissing
from forged.model.files import Entry, ListingEnd, ListingPart, ProblemKind, SamePart
from forged.model.paths import SourcePath, source_path
from forged.rules import places
from forged.rules.places import Asked
from forged.sources.base import Source
from forged.sources.local import LocalSource
from forged.sources.memory import MemorySource
from forged.sources.memory_box import ROOT, MemoryBox
from forged.sources.placed import Placed, Wanted
from forged.sources.retrying import Retrying, RetryPolicy
from tests.sources.agent import agents
from tests.sources.asking import fetched, listed, removable, requests_of
from tests.sources.boxes import FolderBox
from tests.sources.contract import FullContract
from tests.sources.hearing import hearing
from tests.support.sinks import MemorySink


def local(root: bytes) -> Source:
    return LocalSource(root)


def wanted(root: Path, *folders: str, elsewhere: Sequence[tuple[str, Path]] = (), guessed: bool = False) -> Wanted:
    inside = [Asked(SourcePath(one.encode()), os.fsencode(root / one)) for one in folders]
    outside = [Asked(SourcePath(name.encode()), os.fsencode(path), elsewhere=True) for name, path in elsewhere]
    return Wanted(os.fsencode(root), (*inside, *outside), guessed=guessed)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A box's disk with the usual places `workspace` and `opt`."""
    (tmp_path / "workspace").mkdir()
    (tmp_path / "opt").mkdir()
    monkeypatch.setattr(places, "USUAL", (os.fsencode(tmp_path / "workspace"), os.fsencode(tmp_path / "opt")))
    return tmp_path


def write(path: Path, data: bytes = b"x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def names(entries: Sequence[Entry]) -> list[bytes]:
    return [entry.path for entry in entries]


class TestPlacedElsewhere(FullContract):
    """The whole contract, while one folder is behind a link that leads out of the root: all names are turned into paths."""

    @pytest.fixture
    def box(self, disk: Path) -> FolderBox:
        (disk / "opt" / "aside").mkdir()
        box = FolderBox(disk / "workspace", lambda root: Placed(local, wanted(root, "zz aside")))
        (disk / "workspace" / "zz aside").symlink_to(disk / "opt" / "aside")
        return box


class TestPlacedPlain(FullContract):
    """The whole contract, with nothing to find."""

    @pytest.fixture
    def box(self, disk: Path) -> FolderBox:
        return FolderBox(disk / "workspace", lambda root: Placed(local, wanted(root, "a", "b")))


async def test_a_tree_of_two_names_is_listed_once_under_the_first(disk: Path) -> None:
    """As ai-dock links it: /workspace/ComfyUI -> /opt/ComfyUI."""
    write(disk / "opt/ComfyUI/output/a.png", b"abc")
    (disk / "workspace/ComfyUI").symlink_to(disk / "opt/ComfyUI")
    asked = wanted(disk / "workspace", "ComfyUI/output", elsewhere=[("opt/ComfyUI/output", disk / "opt/ComfyUI/output")])
    async with Placed(local, asked) as source:
        folders = [SourcePath(b"ComfyUI/output"), SourcePath(b"opt/ComfyUI/output")]
        entries, problems, _ = await listed(source, folders)
        assert names(entries) == [b"ComfyUI/output/a.png"]
        assert [(one.path, one.kind) for one in problems] == [(b"opt/ComfyUI/output", ProblemKind.VANISHED)]
        sink = MemorySink()
        assert list(await fetched(source, requests_of(entries), sink)) == [b"ComfyUI/output/a.png"]
        assert sink.content("0000") == b"abc"
        (removed,) = await source.remove([removable(entries[0], b"abc")])
        assert (removed.path, removed.kept) == (entries[0].path, None)
    assert not (disk / "opt/ComfyUI/output/a.png").exists()


async def test_a_link_inside_an_output_folder_is_told_and_not_followed(disk: Path) -> None:
    write(disk / "opt/out/real.png")
    write(disk / "opt/secret/key")
    (disk / "opt/out/planted").symlink_to(disk / "opt/secret")
    (disk / "workspace/out").symlink_to(disk / "opt/out")
    async with Placed(local, wanted(disk / "workspace", "out")) as source:
        entries, problems, _ = await listed(source, [source_path(b"out")])
        assert names(entries) == [b"out/real.png"]
        assert [(one.path, one.kind) for one in problems] == [(b"out/planted", ProblemKind.LINK)]
        (look,) = await source.look([source_path(b"out/planted/key")])
        assert look.kind is ProblemKind.LINK  # type: ignore[union-attr]


async def test_a_link_that_is_planted_after_the_look_is_not_followed(disk: Path) -> None:
    write(disk / "opt/out/a")
    write(disk / "opt/secret/key")
    (disk / "workspace/out").symlink_to(disk / "opt/out")
    async with Placed(local, wanted(disk / "workspace", "out")) as source:
        (disk / "opt/out/a").unlink()
        (disk / "opt/out").rmdir()
        (disk / "opt/out").symlink_to(disk / "opt/secret")
        (look,) = await source.look([source_path(b"out/key")])
        assert look.kind is ProblemKind.LINK  # type: ignore[union-attr]
        with pytest.raises(SourceLost):
            await listed(source, [source_path(b"out")])


async def test_a_link_out_of_the_usual_places_is_refused_loudly_in_every_listing(disk: Path) -> None:
    write(disk / "etc/passwd")
    write(disk / "workspace/good/a")
    (disk / "workspace/out").symlink_to(disk / "etc")
    async with Placed(local, wanted(disk / "workspace", "out", "good")) as source:
        for folders in ([source_path(b"good"), source_path(b"out")], []):
            entries, problems, _ = await listed(source, folders)
            assert names(entries) == [b"good/a"]
            assert (b"out", ProblemKind.UNREADABLE) in [(one.path, one.kind) for one in problems]
        assert names((await listed(source, [source_path(b"out")]))[0]) == []


async def test_who_asks_for_everything_gets_linked_folders_where_their_names_belong(disk: Path) -> None:
    for name in ("a", "m!/x", "m.a/x", "m0", "z/1"):
        write(disk / "workspace" / name)
    for name in ("1", "2/3"):
        write(disk / "opt/m" / name)
        write(disk / "opt/q" / name)
    (disk / "workspace/m").symlink_to(disk / "opt/m")
    (disk / "workspace/p").mkdir()
    (disk / "workspace/p/q").symlink_to(disk / "opt/q")
    async with Placed(local, wanted(disk / "workspace", "m", "p/q")) as source:
        entries, problems, _ = await listed(source)
        expected = [b"a", b"m!/x", b"m.a/x", b"m/1", b"m/2/3", b"m0", b"p/q/1", b"p/q/2/3", b"z/1"]
        assert (names(entries), problems) == (expected, [])
        assert names((await listed(source, [source_path(b"p")]))[0]) == [b"p/q/1", b"p/q/2/3"]
        assert names((await listed(source, [source_path(b"m/2")]))[0]) == [b"m/2/3"]


async def test_a_folder_that_leads_elsewhere_by_now_ends_the_connection_and_the_next_one_follows(disk: Path) -> None:
    write(disk / "opt/one/a")
    write(disk / "opt/two/b")
    (disk / "workspace/out").symlink_to(disk / "opt/one")
    asked, folder = wanted(disk / "workspace", "out"), source_path(b"out")
    policy = RetryPolicy(attempts=1, delay_s=0.0)
    async with Retrying(lambda: Placed(local, asked), policy, clock=HandClock()) as source:
        assert names((await listed(source, [folder]))[0]) == [b"out/a"]
        (disk / "workspace/out").unlink()
        (disk / "workspace/out").symlink_to(disk / "opt/two")
        assert names((await listed(source, [folder]))[0]) == [b"out/b"]


async def test_a_program_that_appears_while_we_are_connected_is_found(disk: Path) -> None:
    """RunPod's images copy their tree into the workspace during boot."""
    write(disk / "workspace/a/1")
    asked = wanted(disk / "workspace", "a", "b", elsewhere=[("opt/c", disk / "opt/c")])
    folders = [SourcePath(ask.folder) for ask in asked.folders]
    async with Retrying(lambda: Placed(local, asked), RetryPolicy(delay_s=0.0), clock=HandClock()) as source:
        assert names((await listed(source, folders))[0]) == [b"a/1"]
        write(disk / "workspace/b/2")
        write(disk / "opt/c/3")
        assert names((await listed(source, folders))[0]) == [b"a/1", b"b/2", b"opt/c/3"]


async def test_what_is_elsewhere_is_found_also_without_the_root(disk: Path) -> None:
    write(disk / "opt/c/3")
    asked = wanted(disk / "no workspace", "a", elsewhere=[("opt/c", disk / "opt/c")])
    async with Placed(local, asked) as source:
        entries, problems, _ = await listed(source, [source_path(b"a"), source_path(b"opt/c")])
        assert names(entries) == [b"opt/c/3"]
        assert [one.path for one in problems] == [b"a"]
    with pytest.raises(SourceMissing):
        async with Placed(local, wanted(disk / "no workspace", "a", elsewhere=[("x", disk / "opt/x")])):
            pass


async def test_folders_that_a_type_guesses_at_are_told_of_only_when_files_are_remembered_below_them(disk: Path) -> None:
    write(disk / "workspace/a/1")
    folders = [source_path(name) for name in (b"a", b"b", b"c")]

    async def remembered(asked: Sequence[SourcePath]) -> frozenset[SourcePath]:
        return frozenset({SourcePath(b"c")})

    async with Placed(local, wanted(disk / "workspace", "a", "b", "c", guessed=True), remembered) as source:
        assert [one.path for one in (await listed(source, folders))[1]] == [b"c"]
    async with Placed(local, wanted(disk / "workspace", "b", "c", guessed=True)) as source:
        assert [one.path for one in (await listed(source, folders[1:]))[1]] == [b"b", b"c"]  # nothing at all: that is news
    async with Placed(local, wanted(disk / "workspace", "a", "b")) as source:
        assert [one.path for one in (await listed(source, folders[:2]))[1]] == [b"b"]  # the owner's word


async def test_a_watch_tells_by_names(disk: Path) -> None:
    write(disk / "opt/out/old")
    (disk / "workspace/out").symlink_to(disk / "opt/out")
    async with Placed(local, wanted(disk / "workspace", "out", "plain")) as source:
        async with hearing(source, [b"out", b"plain"]) as heard:
            write(disk / "opt/out/new")
            write(disk / "workspace/plain/first")
            await heard.until(lambda: {b"out/new", b"plain/first"} <= heard.there.keys())
            (disk / "opt/out/old").unlink()
            await heard.until(lambda: b"out/old" in heard.gone)


async def test_known_parts_are_left_out_in_each_place(disk: Path) -> None:
    for number in range(3):
        write(disk / f"opt/one/{number}")
        write(disk / f"workspace/two/{number}")
    (disk / "workspace/one").symlink_to(disk / "opt/one")
    folders = [source_path(b"one"), source_path(b"two")]
    async with Placed(agents.local, wanted(disk / "workspace", "one", "two")) as source:
        first = [part async for part in source.list(folders)]
        known = frozenset(part.digest for part in first if isinstance(part, ListingPart) and part.digest)
        again = [part async for part in source.list(folders, known)]
    assert known
    assert [part.digest for part in again if isinstance(part, SamePart)] == [
        part.digest for part in first if isinstance(part, ListingPart)
    ]
    assert isinstance(again[-1], ListingEnd)
    assert again[-1].entries == 6


async def test_a_watch_can_be_left(disk: Path) -> None:
    write(disk / "opt/out/old")
    (disk / "workspace/out").symlink_to(disk / "opt/out")
    async with Placed(local, wanted(disk / "workspace", "out")) as source, aclosing(source.watch()) as answers:
        async for _ in answers:
            break


TREES = st.dictionaries(
    st.lists(st.sampled_from(["a", "b", "c", "a!", "a0"]), min_size=2, max_size=4).map("/".join), st.binary(max_size=3), max_size=12
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TREES, st.sets(st.sampled_from(["a", "b", "c"])))
async def test_it_looks_as_if_all_were_in_one_place(tree: dict[str, bytes], moved: set[str]) -> None:
    """Whole folders are moved away and linked to; the listing is the one of before."""
    plain, linked = MemoryBox(), MemoryBox()
    files = {path: data for path, data in tree.items() if not any(other.startswith(path + "/") for other in tree)}
    for path, data in files.items():
        plain.write(path.encode(), data)
        top, _, rest = path.partition("/")
        linked.write(f"{'.'.join(['zz', top]) if top in moved else top}/{rest}".encode(), data)
    for top in moved & {path.partition("/")[0] for path in files}:
        linked.link(top.encode(), f"zz.{top}".encode())
    asked = tuple(Asked(SourcePath(top), ROOT + b"/" + top) for top in (b"a", b"b", b"c"))
    async with MemorySource(plain) as before, Placed(lambda root: MemorySource(linked), Wanted(ROOT, asked)) as source:
        folders = [SourcePath(top.encode()) for top in sorted({path.partition("/")[0] for path in files})]
        for some in (folders, folders[1:], folders[::-1]):
            if some:
                assert names((await listed(source, some))[0]) == names((await listed(before, some))[0])
        everything = [name for name in names((await listed(source))[0]) if not name.startswith(b"zz.")]
        assert everything == names((await listed(before))[0])
