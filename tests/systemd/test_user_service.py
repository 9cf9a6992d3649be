"""The unit for one user, run by that user's own systemd (systemd --user), without root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.systemd_box import CHECKOUT, NoBox, SystemdBox, systemd_box, wait_until

pytestmark = pytest.mark.root

OWN_SYSTEMD = """
[Service]
Type=notify
User=owl
Delegate=yes
RuntimeDirectory=owl
RuntimeDirectoryMode=0700
Environment=HOME=/var/owl XDG_RUNTIME_DIR=/run/owl
ExecStart=/lib/systemd/systemd --user --log-target=console
KillMode=mixed
"""
"""As user@.service starts one, without the login."""

CONFIG = """
[daemon]
metrics = ""
[transfer]
min_free = "1MB"
[media]
metadata = false
[[target]]
name = "mine"
source = "/var/owl/outputs"
dest = "/var/owl/home"
poll = "1s"
settle = "0s"
"""

AS_OWL = ("setpriv", "--reuid=owl", "--regid=owl", "--clear-groups", "env", "HOME=/var/owl", "XDG_RUNTIME_DIR=/run/owl")


@pytest.fixture(scope="module")
def box() -> Iterator[SystemdBox]:
    try:
        with systemd_box() as box:
            box.run("useradd", "--home-dir=/var/owl", "--create-home", "owl", check=True)
            box.install("owl.service", OWN_SYSTEMD)
            unit = (CHECKOUT / "systemd/user/forged.service").read_text()
            box.write("/var/owl/.config/systemd/user/forged.service", unit)
            log = "[Service]\nStandardOutput=append:/var/owl/log\nStandardError=append:/var/owl/log\n"
            box.write("/var/owl/.config/systemd/user/forged.service.d/log.conf", log)
            box.write("/var/owl/.config/forged/forged.toml", CONFIG)
            box.write("/var/owl/outputs/first.txt", "the first")
            box.run("install", "-d", "/var/owl/.local/bin", check=True)
            box.run("ln", "-s", "/usr/local/bin/forged", "/usr/local/bin/forgectl", "/var/owl/.local/bin", check=True)
            box.run("chown", "-R", "owl:", "/var/owl", check=True)
            box.systemctl("start", "owl.service", check=True)
            yield box
    except NoBox as reason:
        pytest.skip(str(reason))


def test_a_user_runs_it_reloads_it_and_stops_it_without_root(box: SystemdBox) -> None:
    def user(*args: str) -> str:
        ran = box.run(*AS_OWL, "systemctl", "--user", "--no-pager", *args)
        assert ran.returncode == 0, ran.stderr + box.read("/var/owl/log") + box.log("owl.service")
        return ran.stdout.strip()

    def show(key: str) -> str:
        return user("show", "--value", f"--property={key}", "forged")

    user("start", "forged")
    assert (show("ActiveState"), show("WatchdogUSec")) == ("active", "1min")
    assert "1 target" in show("StatusText")
    root = Path(f"/proc/{box.pid}/root/var/owl")
    wait_until((root / "home/first.txt").exists)
    assert (root / ".local/state/forged/forged.db").exists()
    status = json.loads(box.run(*AS_OWL, "/var/owl/.local/bin/forgectl", "status", "--json", check=True).stdout)
    assert status["daemon"]["socket"] == "/run/owl/forged/forged.sock", "found without being told"
    user("reload", "forged")
    assert "configuration reloaded" in box.read("/var/owl/log")
    user("stop", "forged")
    assert (show("ActiveState"), show("Result")) == ("inactive", "success")
