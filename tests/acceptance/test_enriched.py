"""As a user runs it: pictures come home, and what they say of themselves is beside them, in the daemon and without it."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo

from forged.demo.recipes import Recipe, graph, invented, parameters
from forged.media.xmp.fields import OWN
from forged.media.xmp.reading import read
from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import Sshd

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")

LINES = '[target.media]\nthumbnails = true\nphash = true\nduplicates = "hardlink"'


@pytest.fixture
def house(sshd: Sshd) -> Iterator[Daemon]:
    with daemon(sshd, box=LINES) as house:
        yield house


def made(folder: Path, name: str, recipe: Recipe, *, comfy: bool = False) -> None:
    info = PngInfo()
    info.add_text(*(("prompt", graph(recipe)) if comfy else ("parameters", parameters(recipe))))
    recipe.paint().save(folder / name, pnginfo=info)


def prompt_of(sidecar: Path) -> str:
    return read(sidecar.read_bytes()).values[f"{OWN} Prompt"][0]


def test_without_a_daemon_sidecars_come_with_the_files(house: Daemon) -> None:
    recipe = invented(random.Random(1))
    made(house.box(), "a.png", recipe)
    for _ in range(2):
        command = [sys.executable, "-m", "forged", "-c", str(house.config), "once"]
        done = subprocess.run(command, env=house.environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert prompt_of(house.home() / "a.png.xmp") == recipe.prompt
    assert sorted(file.name for file in house.home().glob("*")) == [".forged", "a.png", "a.png.xmp"]


def test_a_boxs_own_sidecar_stays_its_own(house: Daemon) -> None:
    recipe = invented(random.Random(2), 64)
    made(house.box(), "a.png", recipe, comfy=True)
    (house.box() / "a.png.xmp").write_bytes(b"<evil/>")
    house.start()
    until((house.home() / "a.png.xmp").exists, house.log)
    until((house.home() / "a.png~source.xmp").exists, house.log)
    assert prompt_of(house.home() / "a.png.xmp") == recipe.prompt
    assert (house.home() / "a.png~source.xmp").read_bytes() == b"<evil/>"


def test_equal_pictures_share_their_bytes_and_are_listed(house: Daemon) -> None:
    recipe = invented(random.Random(3))
    for name in ("a.png", "b.png", "c.png"):
        made(house.box(), name, recipe)
    house.start()
    homes = [house.home() / name for name in ("a.png", "b.png", "c.png")]
    until(lambda: all(home.exists() for home in homes) and len({home.stat().st_ino for home in homes}) == 1, house.log)
    (group,) = house.call("media.duplicates")["groups"]
    assert len(group["files"]) == 3
    shown = house.call("media.show", path=str(homes[1]))
    assert shown["media"]["generation"]["seed"] == str(recipe.seed)
    assert Path(shown["thumbnail"]).stat().st_size > 0
    assert len(shown["copies"]) == 2


def test_a_bomb_costs_a_problem_and_the_next_picture_is_read(house: Daemon) -> None:
    bomb = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60_000).to_bytes(4) * 2 + b"\x08\x02\x00\x00\x00\x00\x00\x00\x00"
    (house.box() / "bomb.png").write_bytes(bomb + b"\x00\x00\x00\x00IEND\xaeB`\x82")
    recipe = invented(random.Random(4))
    made(house.box(), "good.png", recipe)
    house.start()
    until((house.home() / "good.png.xmp").exists, house.log)
    until(lambda: house.call("media.show", path="bomb.png")["media"] is not None, house.log)
    problems = house.call("media.show", path="bomb.png")["media"]["problems"]
    assert any("60000 x 60000" in problem for problem in problems), json.dumps(problems)
