"""What scripts hold on to: the document of each command, and how each command ends. Keys are only added; statuses stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from forged.cli.forgectl import cli
from forged.cli.manpages import commands
from forged.daemon.methods_sync import UnknownJob
from tests.cli.canned import AT, FORBIDDEN, SYNC_ID, UNREACHABLE, Canned, daemon, job, target

DONE = {"success": True, "message": "so it is"}
FORGOTTEN = {**DONE, "files": 3}
LAST = {"success": True, "next_cursor": None}
RELOADED = {**DONE, "problems": [], "added": [], "removed": [], "changed": [], "restart_needed": []}
CLEANED = {
    "success": True, "dry_run": False, "files_deleted": 0, "space_freed_bytes": 0,
    "removed": [], "removed_unnamed": 0, "kept": [], "kept_unnamed": 0, "kept_counts": {}, "errors": [],
}  # fmt: skip
DRAINED = {
    "success": True, "safe_to_destroy": True, "message": "", "files_at_source": 1, "bytes_at_source": 1,
    "counts": {"home": 1}, "missing": [], "missing_unnamed": 0, "aside": [], "aside_unnamed": 0,
}  # fmt: skip
FILE = {
    "path": "a.png", "home": "a.png", "size": 1, "mtime": AT, "sha256": "00" * 32, "landed_at": AT, "state": "present",
    "incomplete": False, "tombstone_at": None,
}  # fmt: skip
SHOWN = {
    "success": True, "target": "forge", "file": FILE, "home": "/media/a.png", "waiting": False, "examined_at": None, "media": None,
    "sidecar": None, "thumbnail": None, "copies": [], "alike": [],
}  # fmt: skip
VALUE = {"key": "daemon.log_level", "value": "info", "origin": "default"}

ANSWERS: dict[str, Any] = {
    "sync.cancel": DONE,
    "target.pause": DONE,
    "target.resume": DONE,
    "target.release": {**DONE, "held": None},
    "target.trust": DONE,
    "target.drain": DRAINED,
    "target.verify": {**LAST, "rows": [], "counts": {"=": 1}},
    "cleanup.run": CLEANED,
    "manifest.list": {**LAST, "files": [FILE], "total_files": 1, "total_bytes": 1},
    "manifest.forget": FORGOTTEN,
    "manifest.reset": FORGOTTEN,
    "media.show": SHOWN,
    "media.rerun": FORGOTTEN,
    "media.duplicates": {**LAST, "groups": []},
    "media.find": {**LAST, "files": []},
    "transfer.limit": {**DONE, "limits": []},
    "daemon.config": {**LAST, "path": "/etc/forged/forged.toml", "values": [VALUE]},
    "daemon.reload": RELOADED,
}

DOCUMENTS: dict[str, tuple[str, set[str]]] = {
    "status": ("", {"success", "targets", "next_cursor", "progress", "daemon"}),
    "sync": ("forge", {"success", "job_id", "sync_id", "message"}),
    "jobs": ("", {"success", "jobs", "next_cursor"}),
    "job": (SYNC_ID, {"success", "job"}),
    "cancel": (SYNC_ID, {"success", "message"}),
    "pause": ("forge", {"success", "message"}),
    "resume": ("forge", {"success", "message"}),
    "limit": ("", {"success", "message", "limits"}),
    "cleanup": ("forge", set(CLEANED)),
    "release": ("forge", {"success", "message", "held"}),
    "drain": ("forge", set(DRAINED)),
    "verify": ("forge", {"success", "rows", "counts", "next_cursor"}),
    "manifest show": ("forge", {"success", "files", "total_files", "total_bytes", "next_cursor"}),
    "manifest forget": ("forge a.png", {"success", "message", "files"}),
    "manifest reset": ("forge --yes", {"success", "message", "files"}),
    "find": ("fox", {"success", "files"}),
    "show": ("a.png", set(SHOWN)),
    "duplicates": ("", {"success", "groups", "next_cursor"}),
    "media rerun": ("", {"success", "message", "files"}),
    "trust": ("forge SHA256:abc", {"success", "message"}),
    "events": ("", {"success", "recent"}),
    "reload": ("", set(RELOADED)),
    "config": ("", {"success", "path", "values", "next_cursor"}),
    "call": ('target.status {"target":"forge"}', {"success", "target"}),
}
"""Each command, what it is asked, and the keys of its document. `watch` writes one a line (test_forgectl_terminal)."""

NOT_HERE = ("watch", "completion", "ingest")


@pytest.fixture
def canned() -> Canned:
    made = Canned()
    made.answers |= ANSWERS
    return made


@pytest.fixture
def socket(tmp_path: Path, canned: Canned) -> Iterator[Path]:
    with daemon(tmp_path / "s", canned):
        yield tmp_path / "s"


def run(socket: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["--socket", str(socket), *arguments])


def every_command() -> dict[str, click.Command]:
    return {path: command for path, command, _ in commands(cli, click.Context(cli))}


def test_every_command_has_a_document_and_all_take_json() -> None:
    assert {name for name in every_command() if name.split()[0] not in NOT_HERE} == set(DOCUMENTS)
    for name, command in every_command().items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert "--json" in options or name == "completion", name


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_its_keys_and_is_alone(socket: Path, name: str) -> None:
    arguments, keys = DOCUMENTS[name]
    done = run(socket, *name.split(), *arguments.split(), "--json")
    assert (done.exit_code, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["success"] is True and document.keys() == keys


REFUSED = {"success", "error"}


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in ("call",)])
def test_a_refusal_is_a_document_too(tmp_path: Path, name: str) -> None:
    """Whatever was asked: no daemon is exit status 3, and an error with its four keys."""
    done = run(tmp_path / "none", *name.split(), *DOCUMENTS[name][0].split(), "--json")
    assert done.exit_code == 3
    document = json.loads(done.stdout)
    assert document.keys() == REFUSED and document["success"] is False
    assert document["error"].keys() == {"code", "type", "message", "hint"}
    assert (document["error"]["code"], document["error"]["type"]) == (None, "no_daemon")


ENDS: list[tuple[str, dict[str, Any], int]] = [
    ("status", {}, 0),
    ("sync forge", {}, 0),
    ("sync forge", {"sync.start": UNREACHABLE}, 1),
    ("sync forge", {"sync.start": FORBIDDEN}, 3),
    ("sync forge --wait", {}, 0),
    ("sync forge --wait", {"sync.status": {"success": True, "job": job("failed")}}, 1),
    ("sync forge --wait", {"sync.status": {"success": True, "job": job("cancelled")}}, 1),
    ("job x", {"sync.status": UnknownJob("no job has the id 'x'")}, 1),
    ("cancel x", {"sync.cancel": {**DONE, "success": False}}, 1),
    ("drain forge", {}, 0),
    ("drain forge", {"target.drain": {**DRAINED, "safe_to_destroy": False}}, 1),
    ("drain forge", {"target.drain": {**DRAINED, "success": False}}, 1),
    ("drain forge --timeout soon", {}, 2),
    ("verify forge", {}, 0),
    ("verify forge", {"target.verify": {**LAST, "rows": [], "counts": {"-": 1}}}, 1),
    ("verify forge", {"target.verify": {**LAST, "rows": [], "counts": {"*": 1}}}, 1),
    ("verify forge", {"target.verify": {**LAST, "rows": [], "counts": {"+": 1}}}, 0),
    ("cleanup forge", {"cleanup.run": {**CLEANED, "success": False, "errors": ["no"]}}, 1),
    ("release forge", {"target.status": {"success": True, "target": target(held=True)}}, 2),
    ("manifest reset forge", {}, 2),
    ("find nothing", {}, 0),
    ("trust forge MD5:00", {}, 2),
    ("trust forge SHA256:abc", {"target.trust": FORBIDDEN}, 3),
    ("reload", {}, 0),
    ("reload", {"daemon.reload": {**RELOADED, "success": False}}, 2),
    ("config no.such.key", {}, 1),
    ("call no.such.method", {}, 1),
    ("call target.status nonsense", {}, 2),
    ("nonsense", {}, 2),
    ("status --nonsense", {}, 2),
    ("completion tcsh", {}, 2),
]


@pytest.mark.parametrize(("typed", "answers", "status"), ENDS)
def test_every_end_has_its_status(socket: Path, canned: Canned, typed: str, answers: dict[str, Any], status: int) -> None:
    canned.answers |= answers
    done = run(socket, *typed.split())
    assert done.exit_code == status, done.output
    if status in (2, 3) and typed != "reload":  # a reload tells its mistakes as its answer
        assert done.stderr, "it says why"
