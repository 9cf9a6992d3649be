"""The container: its start in a real engine, without building the image; and the recipes, as far as they can be read without one.

`make ship` builds the image from etc/Containerfile and runs it.
"""

from __future__ import annotations

import json
import shlex
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.house.tree import ROOT
from tests.support.daemon import until
from tests.support.engine import IMAGE, PYTHON_PLACES, Engine, NoEngine, engine

ETC = ROOT / "etc"
PUID, PGID = 4321, 4322

OF_THE_OWNER = ("./config", "./secrets/", "${MEDIA")
"""What the compose example mounts that is not shipped."""

CONFIG = """
[daemon]
metrics = ""
[transfer]
min_free = "1MB"
[media]
metadata = false
[[target]]
name = "local"
source = "/shared/outputs"
dest = "/media/local"
poll = "1s"
settle = "0s"
"""

PROGRAM = """#!/bin/sh
exec env PYTHONPATH={path} {python} -c 'import sys; from forged.cli.{name} import main; sys.argv[0] = "{name}"; main()' "$@"
"""


def instruction(word: str) -> str:
    """The last of its kind in the Containerfile, on one line."""
    lines = (ETC / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    return next(line for line in reversed(lines) if line.startswith(f"{word} ")).removeprefix(f"{word} ").strip()


def environment() -> dict[str, str]:
    """What the image gives to its programs."""
    return dict(pair.split("=", 1) for pair in shlex.split(instruction("ENV")))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    try:
        with engine() as made:
            yield made
    except NoEngine as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def places(running: Engine) -> Path:
    """The folders of a user, and this checkout as the commands of the image, where the container sees them."""
    top = running.shared
    for folder in ("config", "state", "media", "run", "outputs", "bin"):
        (top / folder).mkdir()
    (top / "config/forged.toml").write_text(CONFIG)
    (top / "outputs/first.txt").write_text("the first")
    for name in ("forged", "forgectl"):
        program = top / "bin" / name
        path = f"{ROOT}:{sysconfig.get_path('purelib')}"
        program.write_text(PROGRAM.format(path=path, python=Path(sys.executable).resolve(), name=name))
        program.chmod(0o755)
    return top


def options(top: Path, *more: str) -> list[str]:
    """As the image would be run: root with few capabilities, PUID and PGID, and the volumes."""
    inside = ("config:ro", "state", "media")
    volumes = [f"{top}/{name.partition(':')[0]}:/{name}" for name in inside] + [f"{top}:/shared", f"{top}/run:/run/forged"]
    volumes += [f"{place}:{place}:ro" for place in {*PYTHON_PLACES, str(ROOT), sysconfig.get_path("purelib")}]
    variables = environment() | {"PATH": "/shared/bin:/usr/bin:/bin", "PUID": str(PUID), "PGID": str(PGID)}
    capabilities = yaml.safe_load((ETC / "compose.yaml").read_text())["services"]["forged"]["cap_add"]
    return [
        "--pull=never",
        "--cap-drop=ALL",
        "--tmpfs=/tmp:mode=1777",
        *(f"--cap-add={name}" for name in capabilities),
        *(f"--env={name}={value}" for name, value in variables.items()),
        *(f"--volume={volume}" for volume in volumes),
        f"--volume={ETC / 'container/entrypoint'}:/entrypoint:ro",
        '--entrypoint=["/usr/bin/sh", "/entrypoint"]',  # the image's own shell would take busybox's find
        *more,
        IMAGE,
    ]


@pytest.mark.root
def test_it_runs_as_the_user_that_was_asked_for_is_healthy_and_ends_in_order(running: Engine, places: Path) -> None:
    running.podman("run", "--detach", "--name=forged", *options(places), "run")
    home = places / "media/local/first.txt"
    until(home.exists, lambda: running.logs("forged"))
    assert (home.stat().st_uid, home.stat().st_gid) == (PUID, PGID)
    assert {path.stat().st_uid for path in (places / "state").rglob("*")} == {PUID}
    status = running.podman("exec", "forged", "cat", "/proc/1/status")
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (facts["Uid"].split(), facts["Gid"].split()) == ([str(PUID)] * 4, [str(PGID)] * 4)
    assert (int(facts["CapPrm"], 16), int(facts["CapInh"], 16), facts["NoNewPrivs"], facts["Groups"].strip()) == (0, 0, "1", "")
    health = json.loads(instruction("HEALTHCHECK").partition("CMD ")[2])
    assert "local" in running.podman("exec", "forged", *health)
    running.podman("stop", "-t", "15", "forged")
    assert running.podman("inspect", "--format", "{{.State.ExitCode}}", "forged") == "0"
    with pytest.raises(NoEngine):
        running.podman("exec", "forged", *health)


@pytest.mark.root
def test_a_user_that_is_no_number_is_refused_in_words(running: Engine, places: Path) -> None:
    with pytest.raises(NoEngine, match="PUID and PGID have to be numbers"):
        running.podman("run", "--rm", *options(places, "--env=PUID=nobody"), "run")


def test_the_image_leads_forged_to_its_volumes() -> None:
    volumes, given = json.loads(instruction("VOLUME")), environment()
    assert volumes == ["/config", "/state", "/media"]
    assert (given["FORGED_CONFIG"], given["STATE_DIRECTORY"], given["MEDIA_BASE"]) == ("/config/forged.toml", "/state", "/media")
    assert given["FORGED_SOCKET"] == given["RUNTIME_DIRECTORY"] + "/forged.sock"


def test_what_the_recipe_copies_exists() -> None:
    for line in (ETC / "Containerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            words = [word for word in line.split()[1:-1] if not word.startswith("--")]
            assert [word for word in words if not (ROOT / word).exists()] == []


def test_what_the_composition_mounts_is_shipped_or_the_owners() -> None:
    services = yaml.safe_load((ETC / "compose.yaml").read_text())["services"]
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", ())]
    ours = [place for place in mounted if place.startswith("./") and not place.startswith(OF_THE_OWNER)]
    assert [place for place in ours if not (ETC / place).exists()] == []
    assert {"./container/prometheus.yml", "./grafana/provisioning"} <= set(ours)


def test_the_parts_of_the_composition_find_each_other() -> None:
    services = yaml.safe_load((ETC / "compose.yaml").read_text())["services"]
    (job,) = yaml.safe_load((ETC / "container/prometheus.yml").read_text())["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["forged:9750"]}]
    (source,) = yaml.safe_load((ETC / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((ETC / "grafana/provisioning/dashboards/forged.yml").read_text())["providers"]
    dashboards = [volume.split(":")[1] for volume in services["grafana"]["volumes"] if "dashboard" in volume.split(":")[1]]
    assert [Path(place).parent for place in dashboards] == [Path(provider["options"]["path"])]
    assert {"forged", "prometheus", "postgres"} <= set(services)


def test_the_example_configuration_of_the_composition_is_right_but_for_what_its_owner_adds(tmp_path: Path) -> None:
    from forged.config.load import load
    from forged.model.errors import ConfigError

    with pytest.raises(ConfigError) as told:
        load(ETC / "container/forged.toml", {"STATE_DIRECTORY": str(tmp_path), "MEDIA_BASE": "/media"}, is_root=False)
    problems = [problem for problem in map(str, told.value.problems) if "there is no file at" not in problem]
    assert [problem for problem in problems if "ingest[postgres].dsn: it is missing" not in problem] == []
