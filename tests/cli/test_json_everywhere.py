"""`--json` everywhere: each command of both programs takes it, and whatever comes of a command with it is a document."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from forged.cli.forgectl import cli as forgectl
from forged.cli.forged import cli as forged
from forged.cli.manpages import commands

PROGRAMS = {"forged": forged, "forgectl": forgectl}

WITHOUT = {
    "forged run": "goes on for ever: its log is JSON with log_format, its state is that of forgectl status",
    "forged demo": "a show for people",
    "forged completion": "prints a program for a shell",
    "forgectl completion": "prints a program for a shell",
}
"""Those that have no `--json`, and why."""

LINES = ("forgectl watch", "forgectl events --follow")
"""Commands with many documents: each has a line."""


def every_command() -> dict[str, click.Command]:
    return {
        f"{name} {path}": command
        for name, program in PROGRAMS.items()
        for path, command, _ in commands(program, click.Context(program))
    }


def test_each_command_takes_json_or_has_a_reason_not_to() -> None:
    lacking = [name for name, one in every_command().items() if not any("--json" in each.opts for each in one.params)]
    assert sorted(lacking) == sorted(WITHOUT)


def run(typed: str, *, input: str | None = None) -> Result:
    name, *arguments = typed.split()
    return CliRunner().invoke(PROGRAMS[name], arguments, prog_name=name, input=input)


def refused(done: Result) -> dict[str, object]:
    """The only document, of a refusal."""
    document = json.loads(done.stdout)
    assert document["success"] is False
    assert done.stderr, "and in words beside it"
    error: dict[str, object] = document["error"]
    assert {"message", "hint"} <= error.keys()
    return error


@pytest.mark.parametrize("name", sorted(set(every_command()) - set(WITHOUT)))
def test_wrong_usage_is_a_document_of_its_own(name: str) -> None:
    error = refused(done := run(f"{name} --json --no-such-option"))
    assert done.exit_code == 2
    assert error["type"] == "wrong_usage"
    assert error.get("kind", error["type"]) == error["type"], "forged says it under its older name as well"
    assert "--no-such-option" in str(error["message"]) and error["hint"] == f"{name} --help"


@pytest.mark.parametrize(
    "typed",
    [
        "forgectl nonsense --json",
        "forgectl manifest nonsense --json",
        "forgectl show --json",
        "forgectl find --json --since nonsense",
        "forgectl trust forge MD5:00 --json",
        "forgectl manifest reset forge --json",
        "forgectl ingest drop own --json",
        "forged nonsense --json",
        "forged probe --json",
    ],
)
def test_so_is_whatever_else_cannot_be_understood(typed: str) -> None:
    error = refused(done := run(typed))
    assert done.exit_code == 2 and str(error["hint"]).startswith("forge")


def test_who_did_not_ask_for_documents_gets_none() -> None:
    for typed in ("forgectl nonsense", "forgectl find --nonsense -- --json"):
        done = run(typed)
        assert (done.exit_code, done.stdout) == (2, "") and done.stderr


@pytest.mark.parametrize("typed", LINES)
def test_a_refusal_among_lines_is_a_line(tmp_path: Path, typed: str) -> None:
    done = run(typed.replace("forgectl", f"forgectl --socket {tmp_path}/none") + " --json")
    assert done.exit_code == 3 and refused(done)["type"] == "no_daemon"
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "kind", "status"), [("ssh://root@127.0.0.1:1", "source_unreachable", 1), ("ssh://", "config_error", 2)]
)
def test_a_source_that_cannot_be_looked_at_is_a_document(url: str, kind: str, status: int) -> None:
    error = refused(done := run(f"forged probe --json {url}"))
    assert (done.exit_code, error["kind"], error["type"]) == (status, kind, kind)


def test_what_a_probe_finds_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "ComfyUI/output").mkdir(parents=True)
    (tmp_path / "ComfyUI/output/ComfyUI_00001_.png").write_bytes(b"x" * 7)
    done = run(f"forged probe --json {tmp_path}")
    assert (done.exit_code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document.keys() == {
        *("success", "source", "transport", "can", "fingerprint", "clock_ahead_s", "found", "left_out", "looked_at")
    }
    (found,) = document["found"]
    assert found.keys() == {
        *("name", "type", "path", "files", "size_bytes", "more", "free_bytes", "folders", "include", "toml"),
    }
    assert (found["type"], found["files"], found["size_bytes"]) == ("comfyui", 1, 7)
    printed = run(f"forged probe {tmp_path}").stdout
    assert found["toml"].rstrip() in printed, "the block is the one that people paste"


def test_a_probe_that_finds_nothing_says_where_it_looked(tmp_path: Path) -> None:
    done = run(f"forged probe --json {tmp_path}/none")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["success"], document["found"]) == (1, False, [])
    assert f"{tmp_path}/none/ComfyUI/output" in document["looked_at"]
