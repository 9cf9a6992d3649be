"""The command line itself: what it loads, what it refuses, how it exits."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

VALID = """\
[daemon]
state_dir = "{folder}/state"
socket = "{folder}/forged.sock"
[[target]]
name = "studio"
type = "comfyui"
source = "ssh://root@10.0.0.2:2222"
dest = "{folder}/home"
"""


def forged(*arguments: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parents[2]
    clean = {name: value for name, value in os.environ.items() if name not in ("FORGED_CONFIG", "MEDIA_BASE")}
    return subprocess.run(
        [sys.executable, "-m", "forged", *arguments],
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(here)} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    file = tmp_path / "forged.toml"
    file.write_text(VALID.format(folder=tmp_path))
    return file


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["once", "--help"], ["demo", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom forged.cli.forged import cli\n"
        f"try: cli({arguments!r}, prog_name='forged')\nexcept SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'asyncio', 'asyncssh', 'sqlalchemy', 'rich', 'pydantic', 'PIL', 'av', 'uvloop'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_check_says_what_a_valid_file_configures(valid: Path) -> None:
    done = forged("-c", str(valid), "check")
    assert (done.returncode, done.stderr) == (0, "")
    first, second = done.stdout.splitlines()
    assert first == f"{valid}: ok, 1 target"
    assert second.split() == ["studio", "comfyui", "ssh://root@10.0.0.2:2222/workspace/ComfyUI/output", "->",
                              f"{valid.parent}/home", "every", "30", "s", "no", "cleanup"]  # fmt: skip


def test_check_says_every_mistake_at_once_with_its_line(valid: Path) -> None:
    valid.write_text(valid.read_text().replace("source =", "sorce =") + 'settle = "soon"\n')
    done = forged("check", cwd=valid.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{valid}:7: target[studio].sorce: no such key here; did you mean 'source'?" in done.stderr
    assert f"{valid}:9: target[studio].settle:" in done.stderr


def test_check_tells_programs_the_same(valid: Path) -> None:
    document = json.loads(forged("-c", str(valid), "check", "--json").stdout)
    assert document == {
        "success": True,
        "file": str(valid),
        "targets": [
            {
                "name": "studio",
                "type": "comfyui",
                "source": "ssh://root@10.0.0.2:2222/workspace/ComfyUI/output",
                "dest": f"{valid.parent}/home",
            }
        ],
        "discoveries": [],
        "connected": None,
        "said": [],
    }
    valid.write_text("[daemon]\nlog_level = 'loud'\n")
    done = forged("-c", str(valid), "check", "--json")
    assert done.returncode == 2 and "daemon.log_level" in json.loads(done.stdout)["problems"][0]


def test_the_environment_names_the_file_and_the_option_comes_first(valid: Path, tmp_path: Path) -> None:
    assert forged("check", FORGED_CONFIG=str(valid)).returncode == 0
    done = forged("-c", str(tmp_path / "nowhere.toml"), "check", FORGED_CONFIG=str(valid))
    assert done.returncode == 2
    assert "nowhere.toml" in done.stderr


def test_once_refuses_a_bad_configuration_in_json_too(valid: Path) -> None:
    valid.write_text("[daemon]\nlog_level = 'loud'\n")
    done = forged("-c", str(valid), "once", "--json")
    assert done.returncode == 2
    document = json.loads(done.stdout)
    assert document["success"] is False
    assert document["error"]["kind"] == "config_error"
    assert f"{valid}:2: daemon.log_level" in document["problems"][0]


@pytest.mark.parametrize("arguments", [["nonsense"], ["once", "--nonsense"], ["demo", "--seconds", "x"], ["probe"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert forged(*arguments).returncode == 2


@pytest.mark.parametrize("url", ["ftp://x/y", "ssh://", "ssh://root:secret@host"])
def test_probe_refuses_what_is_no_source_and_repeats_no_password(url: str) -> None:
    done = forged("probe", url)
    assert done.returncode == 2
    assert "secret" not in done.stderr


WAITS = """
import asyncio, sys
from forged.cli.forged import told
from forged.cli.running import run
from forged.cli.telling import Manner

async def wait():
    try:
        print("ready", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        print("closed in order", flush=True)

with told(Manner[sys.argv[1]]):
    run(wait())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_in_order(number: signal.Signals, code: int) -> None:
    assert interrupted("LINES", number) == (code, "")


def test_an_interrupted_command_still_answers_one_json_document() -> None:
    code, answer = interrupted("JSON", signal.SIGINT)
    assert code == 130
    assert json.loads(answer)["error"]["kind"] == "cancelled"


def interrupted(manner: str, number: signal.Signals) -> tuple[int, str]:
    """How a command ends that a signal meets at work, and what it says after it has closed everything."""
    command = [sys.executable, "-c", WAITS, manner]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=20)
    assert stdout.startswith("closed in order\n")
    assert stderr == "Stopped. What has landed stays; the rest comes with the next sync.\n"
    return process.returncode, stdout.removeprefix("closed in order\n")


def faulty(fault: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a world with one fault in it."""
    begin = "import os, pwd, signal, sys\nimport forged.cli.forged as roof"
    code = f"{begin}\n{fault}\nsys.argv = {['forged', *arguments]!r}\nroof.main()"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)


def test_ctrl_c_while_it_starts_ends_it_as_shells_expect() -> None:
    done = faulty("roof.configuration = lambda file: os.kill(os.getpid(), signal.SIGINT)", "check")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_a_user_without_a_name_is_told_to_set_home(valid: Path) -> None:
    nobody = "del os.environ['HOME']\ndef unknown(uid): raise KeyError(uid)\npwd.getpwuid = unknown"
    done = faulty(nobody, "-c", str(valid), "check")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "✘ forged: this user has no home folder"
    assert "$HOME" in done.stderr


def test_a_deleted_folder_to_stand_in_is_said(tmp_path: Path) -> None:
    folder = str(tmp_path / "deleted")
    done = faulty(f"os.mkdir({folder!r}); os.chdir({folder!r}); os.rmdir({folder!r})", "check")
    assert done.returncode == 1
    assert "the current folder does not exist any more" in done.stderr


def test_a_closed_standard_output_hurts_nobody(valid: Path) -> None:
    command = ["sh", "-c", f"exec {sys.executable} -m forged -c {valid} check >&-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [("check",), ("once", "--dry-run"), ("run",)])
def test_the_configuration_may_be_named_after_the_command(valid: Path, tmp_path: Path, command: tuple[str, ...]) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("nonsense = 1\n")
    done = forged(*command, "-c", str(broken), cwd=tmp_path)
    assert (done.returncode, "broken.toml:1" in done.stderr) == (2, True), done.stderr
    both = forged("-c", str(valid), *command, "--config", str(broken), cwd=tmp_path)
    assert (both.returncode, "broken.toml:1" in both.stderr) == (2, True), both.stderr


def test_a_configuration_named_after_check_is_the_one_that_is_checked(valid: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    valid.rename(elsewhere)
    done = forged("check", "-c", str(elsewhere), cwd=tmp_path)
    assert (done.returncode, str(elsewhere) in done.stdout) == (0, True), done.stdout + done.stderr
