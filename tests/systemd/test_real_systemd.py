"""What forged.kit.notify says, to a real systemd; and that the box it runs in can be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.systemd_box import ENVIRONMENT, PYTHON, NoBox, SystemdBox, systemd_box, wait_until

pytestmark = pytest.mark.root

STAND_IN = Path(__file__).with_name("stand_in.py")

STAND_IN_UNIT = f"""
[Service]
Type=notify
Environment={ENVIRONMENT}
ExecStart={PYTHON} /opt/stand_in.py /run/may-start
ExecReload=kill -HUP $MAINPID
"""


@pytest.fixture(scope="module")
def box() -> Iterator[SystemdBox]:
    try:
        with systemd_box() as box:
            yield box
    except NoBox as reason:
        pytest.skip(str(reason))


@pytest.fixture
def stand_in(box: SystemdBox) -> Iterator[str]:
    """A started unit."""
    box.write("/opt/stand_in.py", STAND_IN.read_text())
    box.install("stand-in.service", STAND_IN_UNIT)
    box.write("/run/may-start", "")
    box.systemctl("start", "stand-in", check=True)
    yield "stand-in.service"
    box.systemctl("stop", "stand-in", check=True)
    box.systemctl("reset-failed")


def test_the_box_leaves_the_machine_as_it_was() -> None:
    try:
        with systemd_box() as box:
            box.write("/etc/was-here", "")
            box.run("useradd", "forged-was-here", check=True)
            assert "forged-was-here" in box.read("/etc/passwd")
            assert is_alive(box.pid)
    except NoBox as reason:
        pytest.skip(str(reason))
    wait_until(lambda: not is_alive(box.pid))
    assert not box.cgroup.exists()
    assert not Path("/etc/was-here").exists()
    assert "forged-was-here" not in Path("/etc/passwd").read_text()


def is_alive(pid: int) -> bool:
    """A dead one may still wait for its burial."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_start_waits_until_the_service_is_ready(box: SystemdBox, stand_in: str) -> None:
    box.systemctl("stop", stand_in, check=True)
    box.run("rm", "/run/may-start", check=True)
    box.systemctl("start", "--no-block", stand_in, check=True)
    wait_until(lambda: box.show(stand_in, "MainPID") != "0")
    assert box.show(stand_in, "ActiveState") == "activating"
    box.write("/run/may-start", "")
    wait_until(lambda: box.show(stand_in, "ActiveState") == "active")
    assert box.show(stand_in, "StatusText") == "standing in"


def test_a_reload_begins_and_ends(box: SystemdBox, stand_in: str) -> None:
    box.systemctl("reload", stand_in, check=True)
    wait_until(lambda: (box.show(stand_in, "ActiveState"), box.show(stand_in, "StatusText")) == ("active", "reloaded"))
    assert box.show(stand_in, "NRestarts") == "0"


def test_a_stop_is_a_success(box: SystemdBox, stand_in: str) -> None:
    box.systemctl("stop", stand_in, check=True)
    assert (box.show(stand_in, "Result"), box.show(stand_in, "ActiveState")) == ("success", "inactive")


def test_a_command_that_fails_inside_says_so(box: SystemdBox) -> None:
    with pytest.raises(AssertionError, match="not found"):
        box.systemctl("start", "nobody-has-installed-this", check=True)
