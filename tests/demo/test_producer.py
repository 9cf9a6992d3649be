"""The throw-away box makes real files, the way the real programs do."""

import json
import random
import subprocess
import sys
from pathlib import Path

import av
import pytest
from PIL import Image

from forged.demo import pictures, writers
from forged.demo.ending import sha256
from forged.demo.producer import COMFYUI_OUTPUT, FAVOURITE, FORGE_OUTPUTS, Made, made
from forged.demo.recipes import Recipe, graph, invented, parameters


@pytest.fixture
def recipe() -> Recipe:
    return invented(random.Random(1))


def test_the_process_makes_whole_pictures_and_films_until_it_is_stopped_and_then_cuts_one(tmp_path: Path) -> None:
    files = produced(tmp_path, enough=14)
    assert [file.whole for file in files] == [True] * (len(files) - 1) + [False]
    assert sorted(file.path for file in files) == sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert all((tmp_path / file.path).stat().st_size == file.size_bytes for file in files)
    for file in files[:-1]:
        look_inside(tmp_path / file.path)
    with pytest.raises(OSError), Image.open(tmp_path / files[-1].path) as picture:
        picture.load()
    assert all(sha256(tmp_path / file.path) == file.sha256 for file in files)
    assert all(0 <= file.closed_ns - (tmp_path / file.path).stat().st_mtime_ns < 5e9 for file in files)
    kinds = {(file.path.split("/outputs")[0].split("/output")[0], file.path.rsplit(".", 1)[1]) for file in files}
    assert kinds == {("stable-diffusion-webui-forge", "png"), ("ComfyUI", "png"), ("ComfyUI", "mp4"), ("ComfyUI", "important")}


def produced(folder: Path, enough: int) -> list[Made]:
    """Runs the producer until it has told of `enough` files, then hangs up on it."""
    command = [sys.executable, "-m", "forged.demo.producer", str(folder), "--seed", "5"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        files = [made(process.stdout.readline()) for _ in range(enough)]
        process.stdin.close()
        files += [made(line) for line in process.stdout]
    assert process.returncode == 0
    return files


def look_inside(path: Path) -> None:
    if path.suffix == ".mp4":
        with av.open(str(path)) as film:
            assert "KSampler" in film.metadata["prompt"]
            assert sum(1 for _ in film.decode(video=0)) == writers.FRAMES
        return
    with Image.open(path) as picture:
        picture.load()
        assert picture.size == pictures.SIZE
        assert {"parameters", "prompt"} & set(picture.info)
        assert path.name == FAVOURITE or ("parameters" in picture.info) is (FORGE_OUTPUTS in str(path))


def test_a1111_renames_into_place_and_leaves_no_temporary_name(tmp_path: Path, recipe: Recipe) -> None:
    path = writers.a1111_picture(tmp_path, 7, recipe)
    assert [p.name for p in tmp_path.iterdir()] == [f"00007-{recipe.seed}.png"]
    with Image.open(path) as picture:
        assert picture.info["parameters"] == parameters(recipe)


def test_a_film_of_comfyui_stands_there_unfinished_while_it_grows(tmp_path: Path, recipe: Recipe) -> None:
    film = writers.comfyui_film(tmp_path, 1, recipe)
    sizes = []
    for step in film:
        sizes.append((tmp_path / "ComfyUI_00001_.mp4").stat().st_size)
        assert (b"moov" in (tmp_path / "ComfyUI_00001_.mp4").read_bytes()) is (step is not None)
    assert sizes == sorted(set(sizes)), "it grows with every step"


def test_the_parameters_read_as_a1111_writes_them(recipe: Recipe) -> None:
    prompt, negative, settings = parameters(recipe).split("\n")
    assert prompt == recipe.prompt
    assert negative.startswith("Negative prompt: ")
    assert settings.startswith("Steps: ")
    assert f"Seed: {recipe.seed}, Size: 512x768, Model hash: {recipe.checkpoint[1]}" in settings


def test_the_graph_is_json_whose_links_lead_to_its_nodes(recipe: Recipe) -> None:
    nodes = json.loads(graph(recipe))
    links = [v[0] for node in nodes.values() for v in node["inputs"].values() if isinstance(v, list)]
    assert links and set(links) <= set(nodes)


@pytest.mark.parametrize("motif", range(len(pictures.MOTIFS)))
def test_the_same_dice_paint_the_same_picture_and_other_dice_another(motif: int) -> None:
    _, paint = pictures.MOTIFS[motif]
    first, again, other = (paint(random.Random(seed), pictures.PALETTES[motif]).tobytes() for seed in (1, 1, 2))
    assert first == again != other


def test_both_programs_keep_their_files_where_they_do_on_a_rented_box() -> None:
    assert (FORGE_OUTPUTS, COMFYUI_OUTPUT) == ("stable-diffusion-webui-forge/outputs", "ComfyUI/output")
