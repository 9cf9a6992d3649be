"""What is shipped, with a network: the wheel with all that it needs from an index, and the image from etc/Containerfile."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.packaging.shipped import bare, build
from tests.packaging.test_shipped import configured, synced
from tests.support.daemon import until
from tests.support.engine import Engine, NoEngine, engine

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1800)]

BASE = os.environ.get("FORGED_BASE", "")
"""An image, or the archive of a root file system, to build upon instead of the one that the recipe names: a Debian with python3,
python3-venv and ca-certificates. For machines that reach no registry of images."""


def test_the_wheel_and_what_it_needs_are_installed_from_an_index_and_work(tmp_path: Path) -> None:
    wheel = build(ROOT, tmp_path / "dist", "wheel").wheel
    installed = bare(tmp_path / "venv", wheel, borrowed=False)
    config = configured(tmp_path / "user")
    (tmp_path / "user/outputs/new.txt").write_text("new")
    synced(installed, config)
    assert (tmp_path / "user" / "home" / "new.txt").read_text() == "new"
    assert "borrowed" not in "".join(path.name for path in (tmp_path / "venv").rglob("*.pth"))


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[Engine, str]]:
    """An engine with the image in it."""
    try:
        with engine() as made:
            base = [f"--build-arg=BASE={BASE}"] if BASE else []
            if BASE and Path(BASE).exists():
                made.local("import", "--change=ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt", BASE, "localhost/base")
                base = ["--build-arg=BASE=localhost/base"]
            recipe = str(ROOT / "etc/Containerfile")
            made.local(
                "build", "--isolation=chroot", "--network=host", "--format=docker", *base, "-f", recipe, "-t", "forged", str(ROOT)
            )
            yield made, "localhost/forged"
    except NoEngine as reason:
        pytest.skip(f"the image cannot be built here: {reason}")


@pytest.mark.root
def test_the_image_is_built_and_brings_files_home(image: tuple[Engine, str]) -> None:
    engine, name = image
    top = engine.shared
    for folder in ("config", "state", "media", "outputs"):
        (top / folder).mkdir()
    (top / "config/forged.toml").write_text(
        '[daemon]\nmetrics = ""\n[transfer]\nmin_free = "1MB"\n'
        '[[target]]\nname = "local"\nsource = "/outputs"\ndest = "/media"\npoll = "1s"\nsettle = "0s"\n'
    )
    (top / "outputs/first.txt").write_text("the first")
    volumes = [f"--volume={top}/{folder}:/{folder}" for folder in ("config", "state", "media", "outputs")]
    engine.podman("run", "--detach", "--name=forged", "--pull=never", "--env=PUID=4321", *volumes, name)
    until((top / "media/first.txt").exists, lambda: engine.logs("forged"))
    assert (top / "media/first.txt").stat().st_uid == 4321
    engine.podman("healthcheck", "run", "forged")
    assert "exiftool" not in engine.podman("exec", "forged", "forgectl", "status"), "it is there, and does what it should"
    engine.podman("stop", "-t", "15", "forged")
    assert engine.podman("inspect", "--format", "{{.State.ExitCode}}", "forged") == "0"
