"""The shipped units, as systemd's own checkers read them. For a running one see test_real_systemd."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"

DROP_INS = sorted(path.name for path in (UNITS / "drop-ins").iterdir())

needs_systemd_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze (apt install systemd)")

MOST_EXPOSED = 20
"""Tenths. "OK" in systemd's words begins at 5.0 and below; what is left of ours is the network, the socket, and nice(2)."""


def prepared(folder: Path, name: str, *drop_ins: str) -> Path:
    """The unit as it would be installed, but with programs that exist here: verify looks for them."""
    text = re.sub(r"^(Exec\w+)=(forged|forgectl) ", r"\1=/bin/true ", (UNITS / name).read_text(), flags=re.MULTILINE)
    unit = folder / name
    unit.write_text(text)
    for drop_in in drop_ins:
        (folder / f"{name}.d").mkdir(exist_ok=True)
        shutil.copy(UNITS / "drop-ins" / drop_in, folder / f"{name}.d")
    return unit


def analyze(*args: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=60, env=env)


def complaints(unit: str | Path) -> str:
    """verify tells of unknown keys and bad values on stderr, and mostly still ends with 0."""
    result = analyze("verify", "--man=no", unit)
    return result.stderr + (f"exit status {result.returncode}" if result.returncode else "")


@needs_systemd_analyze
@pytest.mark.parametrize(("name", "started_as"), [("forged.service", "forged.service"), ("forged@.service", "forged@box.service")])
def test_systemd_has_nothing_to_say_about_the_unit(name: str, started_as: str, tmp_path: Path) -> None:
    prepared(tmp_path, name)
    assert complaints(tmp_path / started_as) == ""


@needs_systemd_analyze
def test_systemd_has_nothing_to_say_about_the_unit_of_a_user(tmp_path: Path) -> None:
    text = re.sub(r"^(Exec\w+)=\S+ ", r"\1=/bin/true ", (UNITS / "user/forged.service").read_text(), flags=re.MULTILINE)
    (tmp_path / "forged.service").write_text(text)
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    told = analyze("--user", "verify", "--man=no", tmp_path / "forged.service", env=env)
    assert (told.stderr, told.returncode) == ("", 0)


@needs_systemd_analyze
def test_a_misspelt_key_would_be_noticed(tmp_path: Path) -> None:
    unit = prepared(tmp_path, "forged.service")
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHorne=yes"))
    assert "ProtectHorne" in complaints(unit)


@needs_systemd_analyze
@pytest.mark.parametrize("name", DROP_INS)
def test_systemd_has_nothing_to_say_about_the_drop_in(name: str, tmp_path: Path) -> None:
    told = complaints(prepared(tmp_path, "forged.service", name))
    if name == "notify-reload.conf" and "Failed to parse service type, ignoring: notify-reload" in told:
        pytest.skip("this systemd is older than 253, as the drop-in says")
    assert told == ""


@needs_systemd_analyze
@pytest.mark.parametrize("name", ["forged.service", "forged@.service"])
def test_the_service_is_hardly_exposed(name: str, tmp_path: Path) -> None:
    result = analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", prepared(tmp_path, name))
    assert result.returncode == 0, result.stdout + result.stderr


@needs_systemd_analyze
def test_the_check_of_exposure_would_notice(tmp_path: Path) -> None:
    unit = prepared(tmp_path, "forged.service")
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=\n", ""))
    assert analyze("security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", unit).returncode != 0


def test_the_template_differs_from_the_unit_only_in_the_name() -> None:
    """Two files, since a drop-in cannot make a template of a unit; so they are held together here."""
    unit, template = (settings(UNITS / name) for name in ("forged.service", "forged@.service"))
    added = [line[2:] for line in difflib.ndiff(unit, template) if line.startswith("+ ")]
    assert [line for line in added if "%i" not in line] == []
    assert len(unit) == len(template)


def settings(unit: Path) -> list[str]:
    return [line for line in unit.read_text().splitlines() if line and not line.startswith("#")]


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="no systemd-sysusers (apt install systemd)")
def test_sysusers_and_tmpfiles_make_what_the_unit_needs(tmp_path: Path) -> None:
    """In an empty root of its own; who may not change owners sees only that the files can be read."""
    (tmp_path / "etc/forged").mkdir(parents=True)
    (tmp_path / "etc/forged/forged.toml").touch(mode=0o644)
    for program, *args in (("systemd-sysusers",), ("systemd-tmpfiles", "--create")):
        snippet = UNITS / f"{program.removeprefix('systemd-')}.d" / "forged.conf"
        ran = subprocess.run([program, *args, f"--root={tmp_path}", snippet], capture_output=True, text=True, timeout=60)
        if ran.returncode and "not permitted" in ran.stderr:
            pytest.skip("only root may change owners")
        assert ran.returncode == 0, ran.stderr
    assert re.search(r"^forged:x:\d+:\d+:.*:/var/lib/forged:\S*nologin$", (tmp_path / "etc/passwd").read_text(), re.MULTILINE)
    assert (tmp_path / "etc/forged").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "etc/forged/forged.toml").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "var/lib/forged").stat().st_mode & 0o777 == 0o750  # `forged check` looks at it before the first start
