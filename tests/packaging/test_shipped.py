"""The wheel and the source archive: what is in them, and that forged works where nothing but the wheel is installed."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.house.tree import ROOT, checked_in
from tests.packaging.shipped import Built, Environment, bare, build

NOT_PYTHON = {
    "forged/__init__.pyi",
    "forged/py.typed",
    "forged/ingest/catalog/migrations/0001_catalog.sql",
    "forged/ingest/postgres_migrations/0001_catalog.sql",
    "forged/ingest/postgres_migrations/0002_indexes.sql",
    "forged/media/xmp/exiftool.config",
}

MADE = {"PKG-INFO"}
"""By the build."""

OLD = sorted((ROOT / "tests/store/old").glob("*.sql"))

CONFIG = """
[daemon]
state_dir = "{folder}/state"
socket = "{folder}/s"
[transfer]
min_free = "1MB"
[[target]]
name = "forge"
source = "{folder}/outputs"
dest = "{folder}/home"
settle = "0s"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(ROOT, tmp_path_factory.mktemp("dist"), "sdist", "wheel")


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return bare(tmp_path_factory.mktemp("bare") / "venv", built.wheel, borrowed=True)


def in_wheel(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def test_the_wheel_holds_the_package_and_nothing_else(built: Built) -> None:
    """The agent's program, the migrations and all other Python are among what git knows; the rest is said by name."""
    names = in_wheel(built.wheel)
    package = {path.as_posix() for path in checked_in() if path.parts[0] == "forged"}
    assert {name for name in package if not name.endswith(".py")} == NOT_PYTHON
    assert {name for name in names if name.startswith("forged/")} == package
    shared = {name.partition("/data/share/forged/")[2] for name in names if "/data/share/forged/" in name}
    given = {path.as_posix() for path in checked_in() if path.parts[0] in ("systemd", "etc", "forged.toml.example")}
    assert shared == given
    pages = {name.partition("/data/share/")[2] for name in names if "/data/share/man/" in name}
    assert pages == {"man/man1/forged.1", "man/man1/forgectl.1", "man/man5/forged.toml.5"}
    stem = built.wheel.name.removesuffix("-py3-none-any.whl")
    assert {name.split("/")[0] for name in names} == {"forged", f"{stem}.data", f"{stem}.dist-info"}


def test_the_source_archive_holds_what_git_knows_and_nothing_else(built: Built) -> None:
    assert in_sdist(built.sdist) - MADE == {path.as_posix() for path in checked_in()}


def test_the_source_archive_makes_the_same_wheel(built: Built, tmp_path: Path) -> None:
    with tarfile.open(built.sdist) as archive:
        archive.extractall(tmp_path)
    again = build(next(tmp_path.glob("forged-*")), tmp_path / "dist", "wheel")
    assert in_wheel(again.wheel) == in_wheel(built.wheel)


def test_both_commands_are_installed_and_say_who_they_are(installed: Environment) -> None:
    assert installed.python("import forged; print(forged.__file__)").startswith(str(installed.folder)), "not the checkout"
    version = installed.python("import forged; print(forged.__version__)").strip()
    assert version in installed.run("forged", "--version").stdout
    for program in ("forged", "forgectl"):
        shown = installed.run(program, "--help")
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "Usage: " + program in shown.stdout


def test_what_an_administrator_copies_lies_beside_it(installed: Environment) -> None:
    share = installed.folder / "share/forged"
    assert (share / "systemd/forged.service").read_text() == (ROOT / "systemd/forged.service").read_text()
    assert (share / "etc/compose.yaml").exists()
    assert (share / "forged.toml.example").read_text() == (ROOT / "forged.toml.example").read_text()


def test_man_pages_lie_where_man_looks(installed: Environment) -> None:
    """man-db looks beside each bin of $PATH (manpath(1)), into share/man."""
    for page in ("man1/forged.1", "man1/forgectl.1", "man5/forged.toml.5"):
        assert (installed.folder / "share/man" / page).read_text().startswith(".TH FORGE")


def configured(folder: Path) -> Path:
    (folder / "outputs").mkdir(parents=True)
    (folder / "home").mkdir()
    (folder / "forged.toml").write_text(CONFIG.format(folder=folder))
    return folder / "forged.toml"


def synced(installed: Environment, config: Path) -> dict[str, object]:
    """One sync of a local folder; answers what was done."""
    done = installed.run("forged", "-c", str(config), "once", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_it_brings_a_local_folder_home(installed: Environment, tmp_path: Path) -> None:
    config = configured(tmp_path)
    (tmp_path / "outputs/new.txt").write_text("new")
    checked = installed.run("forged", "-c", str(config), "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    synced(installed, config)
    assert (tmp_path / "home/new.txt").read_text() == "new"


@pytest.mark.parametrize("dump", OLD[:1], ids=lambda dump: f"from {dump.stem}")
def test_an_older_memory_is_taken_over_and_works(installed: Environment, tmp_path: Path, dump: Path) -> None:
    """What each level keeps is held by tests/store/test_migrations; here the installed program goes on with it."""
    config = configured(tmp_path)
    (tmp_path / "state").mkdir()
    with sqlite3.connect(tmp_path / "state/forged.db") as old:
        old.executescript(dump.read_text())
        known = old.execute("SELECT count(*) FROM versions").fetchone()[0]
    old.close()
    (tmp_path / "outputs/new.txt").write_text("new")
    (tmp_path / "home/.forged").mkdir()
    (tmp_path / "home/.forged/id").write_text("marker\n")
    synced(installed, config)
    assert (tmp_path / "home/new.txt").read_text() == "new"
    with sqlite3.connect(tmp_path / "state/forged.db") as now:
        rows = now.execute("SELECT count(*) FROM versions").fetchone()[0]
    now.close()
    assert rows == known + 1
