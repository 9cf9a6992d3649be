"""A real daemon and a real container engine: a target in a container from its first file to its cleanup."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.engine import SHARED, Engine
from tests.support.site import COMMAND, staged, tree
from tests.support.sshd import Sshd

CLEANUP = '[target.cleanup]\nage = "1s"\nevery = "1s"'


class Housed:
    """A daemon with one target in a container, whose folder is `box`."""

    def __init__(self, house: Daemon, box: Path) -> None:
        self.house, self.box = house, box

    def write(self, name: str, size_bytes: int = 200_000) -> Path:
        path = self.box / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size_bytes))
        return path

    def until_home(self, files: dict[str, bytes]) -> None:
        until(lambda: tree(self.house.home()) == files, self.house.log)
        until(lambda: staged(self.house.home()) == [])


@pytest.fixture
def housed(sshd: Sshd, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Housed]:
    monkeypatch.setenv("DOCKER_HOST", engine.environment["DOCKER_HOST"])
    box = Path(tempfile.mkdtemp(dir=engine.shared))
    engine.run("housed")
    with daemon(sshd, box=CLEANUP) as house:
        house.sources["box"] = f"docker://housed{SHARED}/{box.name}"
        house.write()
        yield Housed(house, box)
    engine.remove("housed")
    shutil.rmtree(box)


def test_files_come_home_from_a_container_are_cleaned_up_and_survive_its_restart(housed: Housed, engine: Engine) -> None:
    house = housed.house
    for number in range(20):
        housed.write(f"day/{number}.png.txt")
    files = tree(housed.box)
    house.start()
    housed.until_home(files)
    until(lambda: tree(housed.box) == {}, house.log)
    assert house.standing()["state"] in ("idle", "scanning", "waiting")
    engine.podman("stop", "-t", "0", "housed")
    until(lambda: house.standing()["state"] == "unreachable", house.log)
    problem = house.standing()["problems"][0]
    assert "the container housed is not running" in problem["message"]
    assert "docker start housed" in problem["hint"]
    housed.write("after/late.txt")
    files |= tree(housed.box)
    engine.podman("start", "housed")
    housed.until_home(files)
    house.stop()
    until(lambda: engine.processes("housed") == [], str)


@pytest.mark.parametrize("python", [True, False], ids=["python", "shell"])
def test_a_container_is_probed_and_what_is_printed_brings_its_files(engine: Engine, tmp_path: Path, python: bool) -> None:
    """By the real commands."""
    engine.run("probed", python=python)
    made = {"comfyui": "/workspace/ComfyUI/output/day/1.txt", "a1111": "/opt/stable-diffusion-webui/outputs/1.txt"}
    environment = {**os.environ, **engine.environment, "HOME": str(tmp_path)}

    def forged(*words: str) -> str:
        done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout

    try:
        for path in made.values():
            engine.podman("exec", "probed", "sh", "-c", f"mkdir -p {Path(path).parent} && echo made >{path}")
        told = forged("probe", "docker://probed")
        config = tmp_path / "forged.toml"
        blocks = told[told.index("[[target]]") :].replace("[[target]]", '[[target]]\nsettle = "0s"')
        config.write_text(f'[daemon]\nstate_dir = "{tmp_path}/state"\n[transfer]\nmin_free = "1MB"\n{blocks}')
        forged("-c", str(config), "once")
    finally:
        engine.remove("probed")
    assert list(tree(tmp_path / "media/comfyui")) == [b"day/1.txt"]
    assert list(tree(tmp_path / "media/a1111")) == [b"outputs/1.txt"]
