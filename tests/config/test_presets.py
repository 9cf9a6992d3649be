"""What is known of each program."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.config.presets import folders_of, preset
from forged.config.programs import known_apps
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
    selector = Selector(selection('type = "forge"\nexclude = ["/outputs/grids/", "!*.tmp"]', tmp_path))
    assert not selector.selects(source_path(b"outputs/grids/a.png"))
    assert selector.selects(source_path(b"outputs/a.tmp"))


def test_growing_logs_are_mutable_unless_the_owner_says_otherwise(tmp_path: Path) -> None:
    assert Selector(selection('type = "fooocus"', tmp_path)).is_mutable(source_path(b"2026-01-01/log.html"))
    assert Selector(selection('type = "a1111"', tmp_path)).is_mutable(source_path(b"log.csv"))
    assert selection('type = "fooocus"\nmutable = []', tmp_path).mutable == ()


def test_a_rented_box_is_asked_for_each_programs_folder_unless_the_owner_names_some(tmp_path: Path) -> None:
    assert "ComfyUI/output" in selection('type = "vastai"', tmp_path).folders
    named = selection('type = "vastai"\nfolders = ["x"]', tmp_path)
    assert (named.folders, named.elsewhere, named.guessed) == (("x",), (), False)


def test_a_rented_box_is_asked_for_programs_beside_the_workspace_too(tmp_path: Path) -> None:
    found = {one.folder: one.path for one in selection('type = "runpod"', tmp_path).elsewhere}
    assert found["opt/ComfyUI/output"] == "/opt/ComfyUI/output"
    assert found["root/stable-diffusion-webui/log/images"] == "/root/stable-diffusion-webui/log/images"
    assert found["disk/ComfyUI/output"] == "/ComfyUI/output"
    assert not any(folder.startswith("home/") for folder in found)
    _, outside = folders_of(TargetType.VASTAI, "/workspace", "me")
    assert "/home/me/ComfyUI/output" in {one.path for one in outside}


def test_who_names_the_path_of_a_rented_box_means_that_path(tmp_path: Path) -> None:
    text = '[[target]]\nname = "a"\ntype = "vastai"\nsource = "ssh://box/data"\ndest = "/d"\n'
    known = loaded(text, tmp_path).targets[0].selection
    assert "ComfyUI/output" in known.folders
    assert known.elsewhere == ()


@pytest.mark.parametrize(
    ("path", "folders"),
    [
        ("", ("outputs", "log/images")),
        ("/data/stable-diffusion-webui-reForge", ("outputs", "log/images")),
        ("/data/stable-diffusion-webui-forge/outputs", ()),
        ("/data/pictures", ()),
    ],
)
def test_a_program_of_two_trees_brings_both_unless_the_path_is_one_of_them(path: str, folders: object, tmp_path: Path) -> None:
    text = f'[[target]]\nname = "a"\ntype = "forge"\nsource = "ssh://box{path}"\ndest = "/d"\n'
    assert loaded(text, tmp_path).targets[0].selection.folders == folders


def selects(type_: TargetType, *paths: bytes) -> list[bytes]:
    selector = Selector(Selection(folders=folders_of(type_, preset(type_).path, None)[0], exclude=preset(type_).exclude))
    return [path for path in paths if selector.selects(source_path(path))]


def test_of_each_program_the_outputs_are_wanted_and_what_it_makes_for_itself_is_not() -> None:
    cases = {
        TargetType.FORGE: (
            [b"outputs/txt2img-grids/2026-01-01/grid-0000.png", b"log/images/log.csv"],
            [b"log/other", b"models/a.png"],
        ),
        TargetType.COMFYUI: ([b"video/ComfyUI_00001_.mp4", b"mesh/a.glb"], [b"ComfyUI_temp_ab_00001_.png", b"temp/a.png"]),
        TargetType.SWARMUI: (
            [b"Output/local/raw/2026-01-01/a.swarm.json", b"dlbackend/ComfyUI/output/ComfyUI_00001_.png"],
            [b"Output/local/raw/a.swarmpreview.jpg", b"dlbackend/ComfyUI/output/temp/a.png", b"Models/a.safetensors"],
        ),
        TargetType.INVOKEAI: ([b"images/a.png"], [b"images/thumbnails/a.webp", b"tensors/tmp1/a.pt", b"conditioning/a"]),
        TargetType.VASTAI: (
            [
                b"opt/ComfyUI/output/a.png",
                b"kohya_ss/outputs/lora/sample/a.png",
                b"ai-toolkit/output/job/samples/1__000000000_0.jpg",
            ],
            [b"kohya_ss/outputs/lora/a.safetensors", b"root/ai-toolkit/output/job/a.safetensors", b"invokeai/outputs/tensors/a.pt"],
        ),
    }
    for type_, (wanted, unwanted) in cases.items():
        assert selects(type_, *wanted, *unwanted) == wanted


def test_the_places_to_probe_hold_those_of_the_presets() -> None:
    places = {(app.program.type, path) for app in known_apps() for path in (app.path, *(tree for _, tree in app.trees()))}
    own = (TargetType.GENERIC, TargetType.VASTAI, TargetType.RUNPOD)
    assert {(type_, preset(type_).path) for type_ in TargetType if type_ not in own} <= places
    assert all(path.startswith("/") and not path.endswith("/") for _, path in places)
