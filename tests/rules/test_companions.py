"""What belongs together, as the programs name it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.files import Problem, ProblemKind, Stat
from forged.model.manifest import ManifestRow
from forged.model.paths import HomePath, SourcePath, source_path
from forged.model.target import TargetType
from forged.rules.companions import companions
from forged.rules.retention import is_to_come

GROUPS = [
    (TargetType.A1111, [b"txt2img-images/2026-01-01/00001-42.png", b"00001-42.jpg", b"00001-42.txt"]),
    (TargetType.FORGE, [b"00001-42.webp", b"00001-42.txt"]),
    (TargetType.SDNEXT, [b"text/00001-2026-01-01-model.jpg", b"00001-2026-01-01-model.txt"]),
    (TargetType.COMFYUI, [b"AnimateDiff_00001.png", b"AnimateDiff_00001.mp4", b"AnimateDiff_00001-audio.mp4"]),
    (TargetType.SWARMUI, [b"local/raw/2026-01-01/1200001-a cat-model.mp4", b"1200001-a cat-model.swarm.json"]),
    (TargetType.VASTAI, [b"ComfyUI/output/video/x_00001.png", b"x_00001.mp4"]),
]


@pytest.mark.parametrize(("type_", "names"), GROUPS)
def test_each_of_a_group_belongs_to_all_others(type_: TargetType, names: list[bytes]) -> None:
    folder = names[0].rpartition(b"/")[0]
    paths = [source_path(folder + b"/" + name.rpartition(b"/")[2] if folder else name) for name in names]
    for path in paths:
        assert set(paths) - {path} <= set(companions(type_, path))


@pytest.mark.parametrize("type_", [TargetType.INVOKEAI, TargetType.FOOOCUS])
def test_where_each_picture_is_by_itself_nothing_belongs_to_it(type_: TargetType) -> None:
    assert companions(type_, source_path(b"a/b.png")) == ()


@pytest.mark.parametrize("name", [b"log.csv", b"a/.txt", b"a/noending", b"x.safetensors"])
def test_other_files_belong_to_none(name: bytes) -> None:
    assert companions(TargetType.GENERIC, source_path(name)) == ()


def test_the_next_number_is_another_group() -> None:
    assert source_path(b"X_00002.mp4") not in companions(TargetType.COMFYUI, source_path(b"X_00001.png"))


NAMES = st.lists(
    st.sampled_from([b"a", b"_00001", b"-audio", b".mp4", b".png", b".swarm", b".json", b".txt", b"/"]), min_size=1, max_size=6
)


@given(st.sampled_from(TargetType), NAMES.map(b"".join))
def test_belonging_is_mutual_and_stays_in_the_folder(type_: TargetType, name: bytes) -> None:
    path = SourcePath(name)
    for other in companions(type_, path):
        assert other != path
        assert other.rpartition(b"/")[0] == path.rpartition(b"/")[0]
        assert path in companions(type_, other)


ROW = ManifestRow(source_path(b"a.txt"), Stat(1, 2), b"", HomePath(b"a.txt"), 0)


def test_what_is_there_and_not_home_is_to_come() -> None:
    assert is_to_come(Stat(1, 2), None)
    assert is_to_come(Stat(1, 3 * 10**9), ROW)
    assert not is_to_come(Stat(1, 2), ROW)
    assert is_to_come(Problem(b"a.txt", ProblemKind.UNREADABLE, ""), ROW)
    assert not is_to_come(Problem(b"a.txt", ProblemKind.VANISHED, ""), None)
    assert not is_to_come(Problem(b"a.txt", ProblemKind.LINK, ""), None)
