"""`forged run` and forgectl, both as real programs: it starts, answers, says what is wrong, and stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cli.canned import HERE, forgectl
from tests.support.sshd import free_port

CONFIG = """\
[daemon]
state_dir = "{folder}/state"
socket = "{folder}/s"
metrics = ""
[[target]]
name = "away"
type = "comfyui"
source = "ssh://root@127.0.0.1:{port}"
dest = "{folder}/home"
"""


@contextmanager
def running(config: Path, **env: str) -> Iterator[subprocess.Popen[str]]:
    """`forged run`, ended with SIGTERM at the end; it must have ended well."""
    program = [sys.executable, "-m", "forged", "-c", str(config), "run"]
    clean = {name: value for name, value in os.environ.items() if name not in ("FORGED_CONFIG", "NOTIFY_SOCKET", "LOG_BASE")}
    with subprocess.Popen(program, cwd=HERE, env={**clean, **env}, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            process.said = []  # type: ignore[attr-defined]
            for line in process.stderr:
                process.said.append(line)  # type: ignore[attr-defined]
                if "forged runs" in line:
                    break
            yield process
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)
            assert process.returncode == 0, errors
        finally:
            process.kill()


def test_forgectl_steers_a_real_daemon() -> None:
    with tempfile.TemporaryDirectory(prefix="forged-") as name:  # a short path: a socket's has 107 bytes at most
        folder = Path(name)
        (folder / "home").mkdir()
        config, socket = folder / "forged.toml", str(folder / "s")
        config.write_text(CONFIG.format(folder=folder, port=free_port()))
        with running(config):
            status = forgectl("--socket", socket, "status", "--json")
            assert [target["name"] for target in json.loads(status.stdout)["targets"]] == ["away"]
            assert forgectl("--socket", socket, "pause", "away").returncode == 0
            assert "paused" in forgectl("--socket", socket, "status").stdout
            config.write_text(config.read_text() + "pol = 3\n")
            reload = forgectl("--socket", socket, "reload")
            assert reload.returncode == 2 and "did you mean 'poll'" in reload.stdout
            assert forgectl("--socket", socket, "sync", "nobody").returncode == 1
        assert forgectl("--socket", socket, "status").returncode == 3


def test_a_bad_configuration_ends_with_2_and_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "forged.toml").write_text("[daemon]\nsockt = 1\n[transfer]\nmin_free = 3\n")
    program = [sys.executable, "-m", "forged", "-c", str(tmp_path / "forged.toml"), "run"]
    done = subprocess.run(program, cwd=HERE, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "sockt" in done.stderr and "min_free" in done.stderr


def test_its_log_files_are_below_log_base() -> None:
    with tempfile.TemporaryDirectory(prefix="forged-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        config = folder / "forged.toml"
        config.write_text(CONFIG.format(folder=folder, port=free_port()))
        with running(config, LOG_BASE=str(folder / "logs")):
            pass
        assert [str(path.relative_to(folder)) for path in (folder / "logs").rglob("*.log")] == ["logs/sync/forged.log"]
        assert "forged runs" in (folder / "logs" / "sync" / "forged.log").read_text()


def test_it_runs_without_log_files_where_it_may_write_none_and_says_so() -> None:
    with tempfile.TemporaryDirectory(prefix="forged-") as name:
        folder = Path(name)
        (folder / "home").mkdir()
        (folder / "logs").write_text("not a folder")
        config = folder / "forged.toml"
        config.write_text(CONFIG.format(folder=folder, port=free_port()))
        with running(config, LOG_BASE=str(folder / "logs")) as process:
            assert process.poll() is None
        said = [json.loads(line) for line in process.said if "log files cannot be written" in line]
        assert [(line["level"], line["folder"]) for line in said] == [("warning", f"{folder}/logs/sync")]
        assert "$LOG_BASE" in said[0]["hint"]
