"""The shipped units, run by a real systemd as a user would install them: user, folders, key, hardening and all."""

from __future__ import annotations

import json
import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from PIL.PngImagePlugin import PngInfo

from forged.demo.recipes import invented, parameters
from tests.support.sshd import Sshd
from tests.support.systemd_box import CHECKOUT, ENVIRONMENT, PYTHON, NoBox, SystemdBox, systemd_box, wait_until

pytestmark = pytest.mark.root

UNITS = CHECKOUT / "systemd"
HANGING = Path(__file__).with_name("hanging.py")

QUICKER = "[Service]\nRestartSec=0\nTimeoutStopSec=10s\n"
"""A stop takes at most 10 s. Where it does not, systemd kills, and the unit's result is `timeout`."""

MOUNT = "[Unit]\nDefaultDependencies=no\n[Mount]\nWhat=tmpfs\nType=tmpfs\nWhere=/mnt/nas/media\nOptions=mode=1777\n"
"""The NAS."""

WATCHED_CLOSELY = "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=2s\n"


class Hooks:
    """A real HTTP server that hears webhooks."""

    def __init__(self, server: ThreadingHTTPServer, paths: list[str]) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.paths = paths


@contextmanager
def hooks() -> Iterator[Hooks]:
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            paths.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield Hooks(server, paths)
        finally:
            server.shutdown()
            serving.join()


@dataclass
class Installed:
    """The installed service, and the machine that it brings files from: a real sshd outside of the box."""

    box: SystemdBox
    sshd: Sshd
    unit: str = "forged.service"
    config: str = "/etc/forged/forged.toml"

    @property
    def source(self) -> Path:
        return self.sshd.folder / "outputs"

    def configure(self, *more: str) -> None:
        target = f"""
[daemon]
metrics = ""
[transfer]
min_free = "1MB"
[[target]]
name = "gpu"
source = "{self.sshd.url(self.source)}"
identity_file = "$CREDENTIALS_DIRECTORY/ssh_key"
poll = "1s"
settle = "0s"
"""
        self.box.write(self.config, "\n".join((target, *more)))
        self.box.run("systemd-tmpfiles", "--create", "forged.conf", check=True)

    def start(self) -> None:
        started = self.box.systemctl("start", self.unit)
        assert started.returncode == 0, started.stderr + self.box.log(self.unit)

    def show(self, key: str) -> str:
        return self.box.show(self.unit, key)

    def make(self, name: str) -> None:
        """A finished file at the source."""
        (self.source / name).write_text(f"the picture {name}")

    def home(self, name: str) -> Path:
        """Seen from outside, so that tests can look at it."""
        return Path(f"/proc/{self.box.pid}/root/srv/media/{name}")

    def brings_home(self, name: str) -> None:
        self.make(name)
        wait_until(self.home(name).exists)


@pytest.fixture(scope="module")
def box() -> Iterator[SystemdBox]:
    try:
        with systemd_box() as box:
            box.run("install", "-d", "/etc/sysusers.d", "/etc/tmpfiles.d", check=True)
            for kind in ("sysusers", "tmpfiles"):
                box.write(f"/etc/{kind}.d/forged.conf", (UNITS / f"{kind}.d/forged.conf").read_text())
            box.run("systemd-sysusers", "forged.conf", check=True)
            box.run("systemd-tmpfiles", "--create", "forged.conf", check=True)
            box.run("install", "-d", "-o", "forged", "-g", "forged", "/srv/media", check=True)
            for unit in ("forged.service", "forged@.service"):
                box.install(unit, (UNITS / unit).read_text())
                box.install(f"{unit}.d/credentials.conf", (UNITS / "drop-ins/credentials.conf").read_text())
                box.install(f"{unit}.d/quicker.conf", QUICKER)
            yield box
    except NoBox as reason:
        pytest.skip(str(reason))


@pytest.fixture
def forged(box: SystemdBox, sshd: Sshd) -> Iterator[Installed]:
    """Installed and configured, not started; each time with an empty memory."""
    installed = Installed(box, sshd)
    installed.source.mkdir(exist_ok=True)
    box.write("/etc/forged/id_ed25519", sshd.identity.read_text(), mode=0o600)
    box.run("rm", "-rf", "/var/lib/forged", "/run/box/log/forged.service")
    installed.configure()
    yield installed
    box.systemctl("stop", "forged*", "mnt-*.mount", check=True)
    box.systemctl("reset-failed")
    for name in ("watched", "hanging", "hook", "destination"):
        box.uninstall(f"forged.service.d/{name}.conf")


def test_it_starts_says_how_it_is_and_brings_files_home_as_its_own_user(forged: Installed) -> None:
    forged.start()
    assert forged.show("ActiveState") == "active"
    assert "1 target" in forged.show("StatusText")
    forged.brings_home("first.txt")
    assert forged.box.run("stat", "-c", "%U:%G", "/srv/media/first.txt").stdout == "forged:forged\n"
    assert forged.box.run("stat", "-c", "%a %U", "/var/lib/forged", "/run/forged").stdout == "750 forged\n" * 2


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_what_it_brought_home_is_looked_into_within_all_that_holds_it(forged: Installed) -> None:
    forged.configure("[target.media]", "thumbnails = true")
    forged.start()
    recipe = invented(random.Random(5))
    info = PngInfo()
    info.add_text("parameters", parameters(recipe))
    recipe.paint().save(forged.source / "picture.png", pnginfo=info)
    wait_until(forged.home("picture.png.xmp").exists)
    shown = json.loads(forged.box.run("forgectl", "show", "picture.png", "--json", check=True).stdout)
    assert shown["media"]["generation"]["prompt"] == recipe.prompt
    assert shown["media"]["problems"] == []
    assert forged.home(shown["thumbnail"].removeprefix("/srv/media/")).stat().st_size > 1_000
    assert json.loads(forged.box.run("forgectl", "status", "--json", check=True).stdout)["daemon"]["problems"] == []


def test_a_reload_brings_another_target_without_a_restart(forged: Installed) -> None:
    forged.start()
    forged.configure('[[target]]\nname = "second"\nsource = "ssh://nobody@127.0.0.1:1/nowhere"\n')
    reload = forged.box.systemctl("reload", forged.unit)
    assert reload.returncode == 0, reload.stderr + forged.box.log(forged.unit)
    assert (forged.show("ActiveState"), forged.show("NRestarts")) == ("active", "0")
    status = json.loads(forged.box.run("forgectl", "status", "--json").stdout)
    assert [target["name"] for target in status["targets"]] == ["gpu", "second"]


def test_a_reload_of_a_bad_file_fails_says_why_and_changes_nothing(forged: Installed) -> None:
    forged.start()
    forged.configure("nonsense = true")
    assert forged.box.systemctl("reload", forged.unit).returncode != 0
    told = forged.box.log(forged.unit)
    assert "NOT changed" in told
    assert f"{forged.config}:13: target[gpu].nonsense" in told
    assert forged.show("ActiveState") == "active"
    forged.brings_home("after-a-bad-reload.txt")


def test_systemd_sees_a_reload_by_signal_begin_and_end(forged: Installed) -> None:
    forged.start()
    began = forged.show("StateChangeTimestampMonotonic")
    forged.box.systemctl("kill", "--kill-whom=main", "--signal=HUP", forged.unit, check=True)
    wait_until(lambda: "configuration reloaded" in forged.box.log(forged.unit))
    wait_until(lambda: forged.show("ActiveState") == "active")
    assert forged.show("StateChangeTimestampMonotonic") != began, "it went from active to reloading and back"
    assert forged.show("NRestarts") == "0"


def test_secrets_come_from_credentials_and_the_catalog_is_kept_within_all_that_holds_it(forged: Installed) -> None:
    """A webhook whose address only root can read; the catalog is a second SQLite file in the state directory."""
    with hooks() as heard:
        forged.box.write("/etc/forged/hook.url", f"{heard.url}/a-token\n", mode=0o600)
        forged.box.install("forged.service.d/hook.conf", "[Service]\nLoadCredential=hook:/etc/forged/hook.url\n")
        hook = '[[ingest]]\nname = "hook"\ntype = "webhook"\nurl_file = "$CREDENTIALS_DIRECTORY/hook"\nevents = ["file_synced"]'
        forged.configure(hook, '[[ingest]]\nname = "catalog"\ntype = "sqlite"\n')
        forged.start()
        forged.brings_home("told.txt")
        wait_until(lambda: "/a-token" in heard.paths)
        wait_until(lambda: "told.txt" in forged.box.run("forgectl", "find", "--json", check=True).stdout)
        assert forged.box.run("stat", "-c", "%U", "/var/lib/forged/catalog.db").stdout == "forged\n"
        assert "a-token" not in forged.box.log(forged.unit) + forged.box.run("forgectl", "config").stdout


def test_it_starts_its_mount_first_and_goes_with_it(forged: Installed) -> None:
    forged.box.install("mnt-nas-media.mount", MOUNT)
    forged.box.install("forged.service.d/destination.conf", (UNITS / "drop-ins/destination.conf").read_text())
    mounted = forged.home("").parents[1] / "mnt/nas/media"
    forged.start()
    assert forged.box.show("mnt-nas-media.mount", "ActiveState") == "active"
    forged.make("on-the-nas.txt")
    wait_until((mounted / "on-the-nas.txt").exists)
    forged.box.systemctl("stop", "mnt-nas-media.mount", check=True)
    assert (forged.show("ActiveState"), forged.show("Result")) == ("inactive", "success")
    assert not (mounted / "on-the-nas.txt").exists()
    forged.start()
    assert forged.box.show("mnt-nas-media.mount", "ActiveState") == "active"


def test_a_folder_on_which_nothing_is_mounted_is_not_filled_until_something_is(forged: Installed) -> None:
    """The unit's ReadWritePaths binds the folder onto itself, which looks like a mount in the service's own view."""
    forged.configure("require_mount = true")
    forged.start()
    forged.make("for-the-nas.txt")
    wait_until(lambda: "nothing is mounted" in forged.box.run("forgectl", "status").stdout)
    assert not forged.home("for-the-nas.txt").exists()
    forged.box.run("mount", "-t", "tmpfs", "-o", "mode=1777", "nas", "/srv/media", check=True)
    try:
        wait_until(forged.home("for-the-nas.txt").exists)
        wait_until(lambda: "nothing is mounted" not in forged.box.run("forgectl", "status").stdout)
    finally:
        forged.box.run("umount", "--lazy", "/srv/media", check=True)
    forged.make("after-the-nas.txt")
    wait_until(lambda: "nothing is mounted" in forged.box.run("forgectl", "status").stdout)
    assert not forged.home("after-the-nas.txt").exists()


def test_it_stops_in_order_within_ten_seconds(forged: Installed) -> None:
    forged.start()
    forged.brings_home("before-the-stop.txt")
    forged.box.systemctl("stop", forged.unit, check=True)
    assert (forged.show("Result"), forged.show("ExecMainStatus")) == ("success", "0")
    assert not Path(f"/proc/{forged.box.pid}/root/run/forged").exists()


def touched(file: Path) -> tuple[int, int, int]:
    """Which file it is, and when it was last written or moved; not when it was last read."""
    seen = file.stat()
    return seen.st_ino, seen.st_mtime_ns, seen.st_ctime_ns


def test_killed_it_comes_back_and_remembers(forged: Installed) -> None:
    forged.start()
    forged.brings_home("before-the-kill.txt")
    brought = touched(forged.home("before-the-kill.txt"))
    forged.box.systemctl("kill", "--signal=KILL", forged.unit, check=True)
    wait_until(lambda: forged.show("NRestarts") == "1" and forged.show("ActiveState") == "active")
    forged.brings_home("after-the-kill.txt")
    assert touched(forged.home("before-the-kill.txt")) == brought
    assert [path.name for path in forged.home("").glob("before-the-kill*")] == ["before-the-kill.txt"]


def test_alive_it_is_left_alone_and_hanging_it_is_started_again_and_says_where_it_stood(forged: Installed) -> None:
    forged.box.install("forged.service.d/watched.conf", WATCHED_CLOSELY)
    forged.start()
    first_sign = forged.show("WatchdogTimestampMonotonic")
    wait_until(lambda: forged.show("WatchdogTimestampMonotonic") != first_sign)
    assert forged.show("NRestarts") == "0"
    forged.box.systemctl("kill", "--kill-whom=main", "--signal=STOP", forged.unit, check=True)
    wait_until(lambda: forged.show("NRestarts") == "1" and forged.show("ActiveState") == "active")
    assert "Fatal Python error: Aborted" in forged.box.log(forged.unit)
    forged.brings_home("after-the-hang.txt")


def test_one_hanging_task_of_its_own_starves_the_watchdog_though_the_loop_turns(forged: Installed) -> None:
    forged.box.write("/opt/hanging.py", HANGING.read_text())
    hanging = f"Environment={ENVIRONMENT}\nExecStart=\nExecStart={PYTHON} /opt/hanging.py -c {forged.config} run\n"
    forged.box.install("forged.service.d/hanging.conf", WATCHED_CLOSELY + hanging)
    forged.start()
    wait_until(lambda: int(forged.show("NRestarts")) > 0)
    log = forged.box.log(forged.unit)
    assert "watching for alarms has stood still" in log
    assert "hanging.py:" in log.split("watching for alarms has stood still")[1].splitlines()[0], "and where"
    assert "Fatal Python error: Aborted" in log


def test_with_a_bad_file_it_does_not_start_and_is_not_tried_again(forged: Installed) -> None:
    forged.configure("nonsense = true")
    assert forged.box.systemctl("start", forged.unit).returncode != 0
    assert (forged.show("ActiveState"), forged.show("ExecMainStatus"), forged.show("NRestarts")) == ("failed", "2", "0")
    assert f"{forged.config}:13: target[gpu].nonsense" in forged.box.log(forged.unit)


def test_a_second_forged_runs_beside_it_from_the_template(forged: Installed) -> None:
    forged.start()
    other = Installed(forged.box, forged.sshd, "forged@other.service", "/etc/forged/other.toml")
    other.configure()
    other.start()
    assert (other.show("ActiveState"), forged.show("ActiveState")) == ("active", "active")
    answer = forged.box.run("forgectl", "--socket", "/run/forged-other/forged.sock", "status", "--json")
    assert answer.returncode == 0, answer.stderr
