"""`forged once` against a real OpenSSH server, as a user and as a script see it."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from forged.cli.forged import cli
from forged.kit.lock import hold_lock
from tests.support.sshd import Sshd, free_port

TARGET = """
[[target]]
name = "{name}"
source = "{source}"
dest = "{folder}/home/{name}"
identity_file = "{identity}"
retry_attempts = 0
settle = "0s"
"""

HEAD = """\
[daemon]
state_dir = "{folder}/state"
socket = "{folder}/forged.sock"
metrics = ""
[transfer]
min_free = "1MB"
"""

FILES = {b"a.png": b"A" * 1000, b"sub/b [red].txt": b"B", b"sub/\xffc\n.bin": b"C" * 70_000}


@pytest.fixture
def box(sshd: Sshd) -> Sshd:
    return sshd


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        path = os.path.join(os.fsencode(tmp_path), b"outputs", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path / "outputs"


@pytest.fixture
def config(tmp_path: Path, box: Sshd, outputs: Path) -> Path:
    file = tmp_path / "forged.toml"
    file.write_text(HEAD.format(folder=tmp_path) + target(tmp_path, box, "good", box.url(outputs)))
    return file


def forged(*arguments: str) -> Result:
    """The command in this process: importing everything anew for each run would cost more than the runs."""
    return CliRunner().invoke(cli, arguments)


def target(folder: Path, box: Sshd, name: str, source: str) -> str:
    return TARGET.format(folder=folder, name=name, source=source, identity=box.identity)


def test_everything_comes_home_and_the_second_time_nothing_moves(config: Path) -> None:
    first = forged("-c", str(config), "once", "--json")
    assert (first.exit_code, first.stderr) == (0, "")
    (only,) = json.loads(first.stdout)["targets"]
    assert (only["target"], only["success"], only["files_transferred"]) == ("good", True, 3)
    assert only["bytes_transferred"] == sum(map(len, FILES.values()))
    home = config.parent / "home/good"
    assert (home / "a.png").read_bytes() == FILES[b"a.png"]
    again = json.loads(forged("-c", str(config), "once", "--json").stdout)
    assert (again["targets"][0]["files_transferred"], again["targets"][0]["files_listed"]) == (0, 3)


def test_a_dry_run_names_the_files_and_brings_none(config: Path) -> None:
    done = forged("-c", str(config), "once", "--dry-run", "--json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["dry_run"] is True
    planned = {file["path"]: file["size_bytes"] for file in document["targets"][0]["planned"]}
    assert planned == {"a.png": 1000, "sub/b [red].txt": 1, r"sub/\xffc\n.bin": 70_000}
    assert not (config.parent / "home/good/a.png").exists()
    spoken = forged("-c", str(config), "once", "--dry-run").stdout
    assert spoken.startswith("good: 3 of 3 files would come home (71.0 kB)\n")


def test_one_target_in_trouble_stops_no_other_and_says_what_to_do(config: Path, box: Sshd, outputs: Path) -> None:
    unreachable = target(config.parent, box, "gone", f"ssh://root@127.0.0.1:{free_port()}/x")
    missing = target(config.parent, box, "missing", box.url(f"{outputs}/nowhere"))
    config.write_text(config.read_text() + unreachable + missing)
    done = forged("-c", str(config), "once")
    assert done.exit_code == 1
    assert "good" in done.stdout and "all home" in done.stdout
    assert "✘ gone: " in done.stdout and "✘ missing: " in done.stdout
    assert done.stdout.count("  → ") == 2
    assert (config.parent / "home/good/a.png").exists()
    alone = forged("-c", str(config), "once", "good")
    assert alone.exit_code == 0
    assert "gone" not in alone.stdout


def test_a_target_that_is_not_configured_is_wrong_usage(config: Path) -> None:
    done = forged("-c", str(config), "once", "god")
    assert done.exit_code == 2
    assert "no target 'god'" in done.stderr and "good" in done.stderr


def test_ctrl_c_ends_it_in_order_and_the_next_run_brings_the_rest(config: Path, outputs: Path) -> None:
    size_bytes = 40_000_000
    with (outputs / "large.bin").open("wb") as file:
        file.truncate(size_bytes)
    slow = config.parent / "slow.toml"
    slow.write_text(config.read_text() + 'bandwidth = "4MB/s"\n')
    command = [sys.executable, "-m", "forged", "-c", str(slow), "once"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: (config.parent / "home/good/a.png").exists())
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert stderr == "Stopped. What has landed stays; the rest comes with the next sync.\n"
    assert forged("-c", str(config), "once").exit_code == 0
    assert (config.parent / "home/good/large.bin").stat().st_size == size_bytes


def until(condition: object) -> None:
    """Waits for it; the test's own time limit is the bound."""
    assert callable(condition)
    while not condition():
        time.sleep(0.01)


DISCOVERY = """
[[discovery]]
type = "command"
name = "cloud"
command = ["cat", "{folder}/boxes"]
[discovery.target]
source = "{path}"
dest = "{folder}/home/{name}"
layout = "{{target}}/{{folder}}/{{path}}"
identity_file = "{identity}"
retry_attempts = 0
settle = "0s"
"""


@pytest.fixture
def cloud(config: Path, box: Sshd, outputs: Path) -> Path:
    """A discovery beside the target; what its program prints is in the file that this answers."""
    config.write_text(
        config.read_text() + DISCOVERY.format(name="cloud", folder=config.parent, path=outputs, identity=box.identity)
    )
    boxes = config.parent / "boxes"
    one = {"id": "7", "label": "studio", "host": "127.0.0.1", "port": box.port, "user": box.user}
    boxes.write_text(json.dumps(one) + '\n{"id": "8", "state": "stopped", "why": "it is stopped"}\n{"count": 2}\n')
    return boxes


def test_boxes_of_a_discovery_come_home_too(config: Path, cloud: Path) -> None:
    done = forged("-c", str(config), "once")
    assert done.exit_code == 0, done.output
    assert "cloud-8: it is stopped" in done.stdout
    assert (config.parent / "home/cloud/cloud-7/sub/b [red].txt").read_bytes() == b"B"
    again = json.loads(forged("-c", str(config), "once", "cloud-7", "--json").stdout)
    assert [(one["target"], one["files_listed"], one["files_transferred"]) for one in again["targets"]] == [("cloud-7", 3, 0)]
    planned = json.loads(forged("-c", str(config), "once", "--dry-run", "--json").stdout)
    assert [(one["target"], one["planned_files"]) for one in planned["targets"]] == [("good", 0), ("cloud-7", 0)]


def test_a_discovery_that_does_not_answer_is_a_failure_and_stops_no_target(config: Path, cloud: Path) -> None:
    cloud.unlink()
    done = json.loads((ended := forged("-c", str(config), "once", "--json")).stdout)
    assert ended.exit_code == 1
    assert [(one["target"], one["success"]) for one in done["targets"]] == [("good", True), ("cloud", False)]
    assert done["targets"][1]["error"]["kind"] == "discovery_error"
    assert forged("-c", str(config), "once", "good").exit_code == 0, "nobody has to be asked for that"
    unknown = forged("-c", str(config), "once", "cloud-7")
    assert unknown.exit_code == 2
    assert "no target 'cloud-7'" in unknown.stderr and "discovery cloud: cat" in unknown.stderr


def test_check_connect_tries_sources_homes_and_discoveries(config: Path, cloud: Path, box: Sshd) -> None:
    done = forged("-c", str(config), "check", "--connect")
    assert done.exit_code == 0, done.output
    assert "✔ good: ssh://" in done.stdout and "answers (" in done.stdout
    assert f"✔ {config.parent / 'home/good'}: can be written to, " in done.stdout
    assert "✔ discovery cloud: 2 boxes" in done.stdout
    assert f"7 (studio): ssh://{box.user}@127.0.0.1:{box.port}" in done.stdout and "8: it is stopped" in done.stdout
    assert "✔ exiftool 1" in done.stdout and " writes sidecars" in done.stdout
    assert f"✔ state database {config.parent}/state/forged.db: made at the first start" in done.stdout
    assert not (config.parent / "state").exists(), "a daemon may run beside it"
    forged("-c", str(config), "once", "good")
    assert "state/forged.db is sound" in forged("-c", str(config), "check", "--connect").stdout


def test_check_connect_says_what_does_not_answer(config: Path, cloud: Path, box: Sshd) -> None:
    cloud.write_text("<html>")
    config.write_text(config.read_text() + target(config.parent, box, "gone", f"ssh://root@127.0.0.1:{free_port()}/x"))
    full = config.read_text().replace('min_free = "1MB"', 'min_free = "1000TB"')
    config.write_text(full)
    hook = f'[[ingest]]\ntype = "webhook"\nname = "notify"\nurl = "http://127.0.0.1:{free_port()}/?token=geheim"\n'
    config.write_text(config.read_text() + hook + '[[ingest]]\ntype = "command"\nname = "own"\ncommand = ["true"]\n')
    (config.parent / "state").mkdir()
    with closing(sqlite3.connect(config.parent / "state" / "forged.db")) as theirs:
        theirs.execute("create table theirs (a)")
    done = forged("-c", str(config), "check", "--connect")
    assert done.exit_code == 1
    assert "✘ gone: " in done.stdout and "✘ discovery cloud: cat" in done.stdout
    assert "min_free is 1,000,000,000,000,000" in done.stdout
    assert "✘ ingest notify: http://127.0.0.1:" in done.stdout and "✔ ingest own: " in done.stdout
    assert "✘ state: " in done.stdout and "another program" in done.stdout
    assert done.stdout.count("→ ") >= 4, "each with what to do"
    document = json.loads(forged("-c", str(config), "check", "--connect", "--json").stdout)
    assert (document["success"], document["connected"]) == (False, False)
    assert any(text.startswith("✘ gone: ") for text in document["said"])
    assert forged("-c", str(config), "check").exit_code == 0


def test_check_warns_of_boxes_that_share_their_names(config: Path, cloud: Path) -> None:
    assert "share one folder" not in forged("-c", str(config), "check").stdout
    config.write_text(config.read_text().replace('layout = "{target}/{folder}/{path}"\n', ""))
    assert 'layout = "{target}/{folder}/{path}"' in forged("-c", str(config), "check").stdout


# --- beside a daemon ------------------------------------------------------------------------------------------------------


@pytest.fixture
def beside(config: Path, box: Sshd) -> Iterator[Path]:
    """The same configuration, with a daemon at work on it; its socket needs a short path, and its polls are far apart."""
    with tempfile.TemporaryDirectory(prefix="forged-") as folder:
        calm = config.read_text().replace(f"{config.parent}/forged.sock", f"{folder}/s").replace('settle = "0s"', QUIET)
        config.write_text(calm + target(config.parent, box, "gone", f"ssh://root@127.0.0.1:{free_port()}/x"))
        command = [sys.executable, "-m", "forged", "-c", str(config), "run"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as daemon:
            assert daemon.stderr is not None
            assert any("forged runs" in text for text in daemon.stderr)
            yield config
            daemon.terminate()
            daemon.communicate(timeout=30)


QUIET = 'settle = "0s"\npoll = "1h"\nwatch = "off"'


def test_beside_a_daemon_it_hands_the_work_to_it(beside: Path, outputs: Path) -> None:
    until(lambda: (beside.parent / "home/good/a.png").exists())
    (outputs / "new.png").write_bytes(b"new")
    planned = json.loads(forged("-c", str(beside), "once", "good", "--dry-run", "--json").stdout)
    assert (planned["by_daemon"], planned["targets"][0]["planned"]) == (
        True,
        [{"path": "new.png", "size_bytes": 3, "change": "new"}],
    )
    assert "good: 1 of 4 files would come home (3 B)" in forged("-c", str(beside), "once", "good", "--dry-run").stdout
    done = forged("-c", str(beside), "once", "good", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, done.stderr) == (0, "")
    assert (document["success"], document["by_daemon"]) == (True, True)
    (only,) = document["targets"]
    assert (only["target"], only["success"], only["files_transferred"], only["error"]) == ("good", True, 1, None)
    assert (beside.parent / "home/good/new.png").read_bytes() == b"new"
    assert only.keys() == ALONE


def test_beside_a_daemon_trouble_is_told_as_ever(beside: Path) -> None:
    done = forged("-c", str(beside), "once")
    assert done.exit_code == 1
    assert re.search(r"(?m)^good .+ (all home|nothing new)$", done.stdout), done.stdout
    assert "✘ gone: " in done.stdout
    unknown = forged("-c", str(beside), "once", "god")
    assert unknown.exit_code == 2 and "no target 'god'; there are: good, gone" in unknown.stderr


ALONE = {
    "target", "success", "job_id", "sync_id", "status", "duration_s", "files_listed", "files_transferred", "bytes_transferred",
    "files_adopted", "files_versioned", "files_incomplete", "files_waiting", "files_failed", "error", "problems", "problems_total",
}  # fmt: skip
"""The keys of a target in the document, with a daemon or without one."""


def test_the_document_has_the_same_keys_without_a_daemon(config: Path) -> None:
    (only,) = json.loads(forged("-c", str(config), "once", "--json").stdout)["targets"]
    assert only.keys() == ALONE


def test_its_log_files_are_below_log_base_under_a_name_of_their_own(
    config: Path, box: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logs = tmp_path / "logs" / "sync"
    monkeypatch.setenv("LOG_BASE", str(tmp_path / "logs"))
    config.write_text(config.read_text() + target(tmp_path, box, "gone", f"ssh://root@127.0.0.1:{free_port()}/x"))
    done = forged("-c", str(config), "once", "--json")
    assert (done.exit_code, done.stderr, json.loads(done.stdout)["success"]) == (1, "", False)
    lines = [json.loads(line) for line in (logs / "once.log").read_text().splitlines()]
    assert [one["event"] for one in lines if one.get("target") == "good"][1:] == ["sync complete: 3 files came home, 71.0 kB"]
    (wrong,) = [one for one in lines if one["level"] == "warning"]
    assert (wrong["target"], wrong["kind"], bool(wrong["hint"])) == ("gone", "source_unreachable", True)
    with hold_lock(logs / ".once.lock"):  # another run, over another state directory
        forged("-c", str(config), "once", "good")
    assert sorted(path.name for path in logs.glob("*.log")) == ["once-2.log", "once.log"]
    assert len((logs / "once.log").read_text().splitlines()) == len(lines)


def test_it_syncs_where_it_may_write_no_log_and_says_so(config: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("not a folder")
    monkeypatch.setenv("LOG_BASE", str(tmp_path / "logs"))
    done = forged("-c", str(config), "once")
    assert done.exit_code == 0
    assert "log files cannot be written" in done.stderr and "$LOG_BASE" in done.stderr
    assert (config.parent / "home/good/a.png").exists()
