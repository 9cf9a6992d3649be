"""The service as the head of its unit says it is installed: from the wheel, with this machine's Python, and with its files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT
from tests.packaging.shipped import build
from tests.support.systemd_box import NoBox, SystemdBox, systemd_box, wait_until

pytestmark = pytest.mark.root

CONFIG = """
[daemon]
metrics = ""
[transfer]
min_free = "1MB"
[media]
metadata = false
[[target]]
name = "local"
source = "/srv/outputs"
poll = "1s"
settle = "0s"
[[ingest]]
type = "command"
name = "own"
command = ["/bin/sh", "-c", "cat >> /srv/media/told"]
"""

SHARE = "/opt/installed/share/forged/systemd"


def has_our_python(program: str = "/usr/bin/python3") -> bool:
    """What forged needs is borrowed from the tests, and was built for one version."""
    ask = [program, "-c", "import sys; print(*sys.version_info[:2])"]
    return Path(program).exists() and subprocess.run(ask, capture_output=True, text=True).stdout.split() == [
        str(part) for part in sys.version_info[:2]
    ]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SystemdBox]:
    if not has_our_python():
        pytest.skip("this machine's own Python is another version than that of the tests")
    wheel = build(ROOT, tmp_path_factory.mktemp("dist"), "wheel").wheel
    try:
        with systemd_box() as box:
            place = Path(f"/proc/{box.pid}/root/opt/{wheel.name}")
            place.write_bytes(wheel.read_bytes())
            box.run("/usr/bin/python3", "-m", "venv", "--without-pip", "/opt/installed", check=True)
            libraries = f"/opt/installed/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
            box.write(f"{libraries}/borrowed.pth", "/opt/forged/lib\n")
            pip = ("/opt/installed/bin/python", "-m", "pip", "install", "-qq", "--no-deps", "--no-index")
            box.run("env", "PYTHONPATH=/opt/forged/lib", *pip, f"/opt/{wheel.name}", check=True)
            for name in ("forged", "forgectl"):
                box.run("ln", "-sf", f"/opt/installed/bin/{name}", f"/usr/local/bin/{name}", check=True)
            yield box
    except NoBox as reason:
        pytest.skip(str(reason))


def test_installed_as_its_head_says_it_runs_and_brings_files_home(box: SystemdBox) -> None:
    box.install("forged.service", box.read(f"{SHARE}/forged.service"))
    box.run("cp", "-r", f"{SHARE}/sysusers.d", f"{SHARE}/tmpfiles.d", "/etc", check=True)
    box.run("systemd-sysusers", "forged.conf", check=True)
    box.write("/etc/forged/forged.toml", CONFIG)
    box.run("systemd-tmpfiles", "--create", "forged.conf", check=True)
    box.run("install", "-d", "-o", "forged", "-g", "forged", "/srv/media", "/srv/outputs", check=True)
    box.write("/srv/outputs/first.txt", "the first")
    started = box.systemctl("start", "forged")
    assert started.returncode == 0, started.stderr + box.log("forged.service")
    wait_until(Path(f"/proc/{box.pid}/root/srv/media/first.txt").exists)
    wait_until(Path(f"/proc/{box.pid}/root/srv/media/told").exists)  # under all that the unit forbids
    assert "local" in box.run("forgectl", "status", check=True).stdout
    main = box.show("forged.service", "MainPID")
    assert "/opt/installed/bin/" in box.run("cat", f"/proc/{main}/cmdline").stdout.replace("\0", " ")
    box.systemctl("stop", "forged", check=True)
    assert box.show("forged.service", "Result") == "success"
