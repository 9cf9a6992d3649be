"""Each place once, under a name that stays, and no link followed out of where outputs are kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from forged.model.files import Problem, ProblemKind
from forged.model.paths import SourcePath
from forged.model.places import Place
from forged.rules.places import Arrangement, Asked, Mount, arrange, own_path
from forged.rules.renaming import renaming

ROOT = b"/workspace"
COMFY, SWARM = SourcePath(b"ComfyUI/output"), SourcePath(b"SwarmUI/dlbackend/ComfyUI/output")
IN_OPT = Asked(SourcePath(b"opt/ComfyUI/output"), b"/opt/ComfyUI/output", elsewhere=True)


def below(*folders: bytes) -> list[Asked]:
    return [Asked(SourcePath(folder), own_path(ROOT, folder)) for folder in folders]


def arranged(asked: Sequence[Asked], *found: bytes | None, confined: bool = False, remembered: Sequence[bytes] = ()) -> Arrangement:
    """`found`: where each leads; None = nowhere."""
    places = [
        Place(real, (1, hash(real))) if real is not None else Problem(ask.path, ProblemKind.VANISHED, "no such folder")
        for ask, real in zip(asked, found, strict=True)
    ]
    return arrange(ROOT, asked, places, confined=confined, remembered=[SourcePath(name) for name in remembered])


def names(arrangement: Arrangement) -> list[bytes]:
    return [mount.folder for mount in arrangement.mounts]


def test_a_folder_behind_a_link_comes_home_under_the_name_that_was_asked_for() -> None:
    answer = arranged(below(COMFY), b"/opt/ComfyUI/output")
    assert answer == Arrangement((Mount(COMFY, b"/opt/ComfyUI/output"),))


def test_one_place_of_two_names_comes_home_once_and_the_other_name_is_told() -> None:
    answer = arranged([*below(COMFY), IN_OPT], b"/opt/ComfyUI/output", b"/opt/ComfyUI/output")
    assert answer.mounts == (Mount(COMFY, b"/opt/ComfyUI/output"),)
    assert [(one.path, one.kind) for one in answer.problems] == [(b"opt/ComfyUI/output", ProblemKind.VANISHED)]
    assert "same folder as ComfyUI/output" in answer.problems[0].message


def test_a_name_that_needs_no_link_goes_before_one_that_does() -> None:
    asked = below(b"latest", COMFY)
    assert names(arranged(asked, b"/workspace/ComfyUI/output", b"/workspace/ComfyUI/output")) == [COMFY]


def test_a_name_that_files_are_remembered_under_keeps_them_when_a_better_one_appears() -> None:
    """The image moves its tree into the workspace, or links it there, while we look."""
    asked = [*below(COMFY), IN_OPT]
    assert names(arranged(asked, None, b"/opt/ComfyUI/output")) == [IN_OPT.folder]
    later = arranged(asked, b"/opt/ComfyUI/output", b"/opt/ComfyUI/output", remembered=[IN_OPT.folder])
    assert names(later) == [IN_OPT.folder]


def test_two_programs_of_one_name_stay_apart() -> None:
    asked = [*below(COMFY), IN_OPT]
    assert names(arranged(asked, b"/workspace/ComfyUI/output", b"/opt/ComfyUI/output")) == [COMFY, IN_OPT.folder]


def test_a_place_inside_another_one_comes_home_with_it() -> None:
    answer = arranged(below(b"out", b"latest"), b"/workspace/out", b"/workspace/out/2026")
    assert names(answer) == [b"out"]
    assert "it is out/2026" in answer.problems[0].message
    assert arranged(below(b"out", b"out/2026"), b"/workspace/out", b"/workspace/out/2026").problems == ()


def test_a_link_out_of_the_usual_places_is_refused_and_said() -> None:
    for real in (
        b"/",
        b"/etc",
        b"/proc/1",
        b"/root",
        b"/root/.ssh",
        b"/home/me",
        b"/home/me/.config/x",
        b"/opt",
        b"/workspace/.git",
    ):
        answer = arranged(below(COMFY), real)
        assert answer.mounts == ()
        assert [(one.path, one.kind) for one in answer.problems] == [(COMFY, ProblemKind.UNREADABLE)], real
    for real in (b"/root/out", b"/home/me/out", b"/mnt/disk", b"/workspace/storage/out", b"/ComfyUI/output"):
        assert names(arranged(below(COMFY), real)) == [COMFY], real


def test_a_local_source_follows_no_link_out_of_its_root() -> None:
    assert arranged(below(COMFY), b"/opt/ComfyUI/output", confined=True).mounts == ()
    assert names(arranged(below(COMFY), b"/workspace/storage/out", confined=True)) == [COMFY]


def test_a_folder_that_is_where_it_says_is_the_owners_word_whatever_its_name() -> None:
    assert names(arranged(below(b".hidden/out"), b"/workspace/.hidden/out", confined=True)) == [b".hidden/out"]


PARTS = st.sampled_from([b"a", b"b", b"c", b".h"])
FOLDERS = st.lists(PARTS, min_size=1, max_size=3).map(b"/".join)
REALS = st.one_of(
    FOLDERS.map(lambda below: ROOT + b"/" + below),
    FOLDERS.map(lambda below: b"/opt/" + below),
    st.sampled_from([b"/etc/x", b"/root"]),
)
WORLDS = st.dictionaries(FOLDERS, st.none() | REALS, min_size=1, max_size=6)


@given(WORLDS, st.sets(FOLDERS), st.booleans())
def test_every_folder_is_accounted_for_and_no_place_is_in_two(
    world: dict[bytes, bytes | None], known: set[bytes], confined: bool
) -> None:
    asked = below(*world)
    answer = arranged(asked, *world.values(), confined=confined, remembered=sorted(known))
    mounted = {mount.folder: mount.real for mount in answer.mounts}
    told = {one.path for one in (*answer.missing, *answer.problems)}
    assert not mounted.keys() & told
    for folder, real in world.items():
        if folder not in mounted and folder not in told:  # it comes with another one, under just that name
            assert any(
                real is not None and folder.startswith(outer + b"/") and real == place + folder[len(outer) :]
                for outer, place in mounted.items()
            )
    reals = sorted(real + b"/" for real in mounted.values())
    assert not any(later.startswith(earlier) for earlier, later in pairwise(reals))
    for folder, real in mounted.items():
        assert real == own_path(ROOT, folder) or real.startswith((ROOT + b"/", *(() if confined else (b"/opt/", b"/root/"))))


@given(WORLDS, st.data())
def test_a_name_with_files_keeps_its_place_while_other_names_come_and_go(
    world: dict[bytes, bytes | None], data: st.DataObject
) -> None:
    """As long as that name itself leads there, and the place does not come to lie inside another one that is wanted."""
    today = arranged(below(*world), *world.values())
    remembered = [mount.folder for mount in today.mounts]
    tomorrow = dict(world)
    for folder, _ in list(world.items()):
        if folder not in remembered and data.draw(st.booleans()):
            tomorrow[folder] = data.draw(st.none() | st.sampled_from([mount.real for mount in today.mounts] or [None]))
    later = arranged(below(*tomorrow), *tomorrow.values(), remembered=remembered)
    assert set(today.mounts) <= set(later.mounts)


@given(WORLDS, st.lists(PARTS, max_size=3).map(b"/".join))
def test_names_and_paths_are_two_words_for_one_file(world: dict[bytes, bytes | None], rest: bytes) -> None:
    answer = arranged(below(*world), *world.values())
    both = renaming(ROOT, answer.mounts)
    for mount in answer.mounts:
        name = mount.folder + b"/" + rest if rest else mount.folder
        inner = any(one != mount and (name + b"/").startswith(one.folder + b"/") for one in answer.mounts)
        if not inner:
            assert own_path(both.base, both.path(name)) == (mount.real + b"/" + rest if rest else mount.real)
            assert both.name(both.path(name)) == name
    assert both.plain == all(mount.real == own_path(ROOT, mount.folder) for mount in answer.mounts)
