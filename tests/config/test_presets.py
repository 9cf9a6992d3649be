"""What is known of each program."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.config.presets import known_folders, preset
from forged.model.files import Entry, Stat
from forged.model.paths import source_path
from forged.model.target import Selection, TargetType
from forged.rules.selection import Selector
from tests.config.loading import loaded


def selection(lines: str, folder: Path) -> Selection:
    return loaded(f'[[target]]\nname = "a"\nsource = "ssh://box"\ndest = "/d"\n{lines}', folder).targets[0].selection


@pytest.mark.parametrize("type_", [each for each in TargetType if each is not TargetType.GENERIC])
def test_every_program_has_a_place_and_needs_no_path(type_: TargetType, tmp_path: Path) -> None:
    text = f'[[target]]\nname = "a"\ntype = "{type_.value}"\nsource = "ssh://box:2222"\ndest = "/d"\n'
    assert loaded(text, tmp_path).targets[0].source.path == preset(type_).path != ""


def test_a_path_of_the_owner_takes_the_place_of_the_preset(tmp_path: Path) -> None:
    text = '[[target]]\nname = "a"\ntype = "forge"\nsource = "ssh://box/mine"\ndest = "/d"\n'
    assert loaded(text, tmp_path).targets[0].source.path == "/mine"


@pytest.mark.parametrize("type_", list(TargetType))
def test_half_written_files_are_excluded_and_pictures_are_not(type_: TargetType) -> None:
    selector = Selector(Selection(exclude=preset(type_).exclude))
    assert not selector.selects(source_path(b"2026-01-01/00001-42.tmp"))
    for wanted in (b"2026-01-01/00001-42.png", b"video/ComfyUI_00001_.mp4", b"00001.txt", b"log.html", b"x.swarm.json"):
        assert selector.wants(Entry(source_path(wanted), Stat(1, 1)))


def test_exclusions_of_the_owner_add_up_and_can_take_one_back(tmp_path: Path) -> None:
    selector = Selector(selection('type = "forge"\nexclude = ["/grids/", "!*.tmp"]', tmp_path))
    assert not selector.selects(source_path(b"grids/a.png"))
    assert selector.selects(source_path(b"a.tmp"))


def test_growing_logs_are_mutable_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    assert Selector(selection('type = "fooocus"', tmp_path)).is_mutable(source_path(b"2026-01-01/log.html"))
    assert Selector(selection('type = "a1111"', tmp_path)).is_mutable(source_path(b"log.csv"))
    assert selection('type = "fooocus"\nmutable = []', tmp_path).mutable == ()


def test_a_rented_box_is_asked_for_each_programs_folder_unless_the_owner_names_some(tmp_path: Path) -> None:
    assert "ComfyUI/output" in selection('type = "vastai"', tmp_path).folders
    assert selection('type = "vastai"\nfolders = ["x"]', tmp_path).folders == ("x",)


def test_the_places_to_probe_hold_those_of_the_presets() -> None:
    places = {(folder.type, folder.path) for folder in known_folders()}
    own = (TargetType.GENERIC, TargetType.VASTAI, TargetType.RUNPOD)
    assert {(type_, preset(type_).path) for type_ in TargetType if type_ not in own} <= places
    assert all(path.startswith("/") and not path.endswith("/") for _, path in places)
