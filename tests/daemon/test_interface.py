"""The control socket of a real `forged run`: the methods that are fixed are there, with their parameters and keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from forged.control.client import CallFailed, Client

PARAMS: dict[str, tuple[set[str], set[str]]] = {
    "sync.start": (set(), {"target", "config", "folders"}),
    "sync.status": ({"job_id"}, set()),
    "sync.progress": ({"job_id"}, set()),
    "sync.active": (set(), set()),
    "sync.list": (set(), {"limit", "cursor"}),
    "sync.cancel": ({"job_id"}, set()),
    "sync.subscribe": (set(), {"sync_id"}),
    "sync.unsubscribe": (set(), {"sync_id"}),
    "target.list": (set(), {"limit", "cursor"}),
    "target.status": ({"target"}, set()),
    "target.pause": ({"target"}, set()),
    "target.resume": ({"target"}, set()),
    "target.release": ({"target"}, set()),
    "target.trust": ({"target", "fingerprint"}, set()),
    "target.drain": ({"target"}, {"timeout"}),
    "target.verify": ({"target"}, {"rehash", "same", "limit", "cursor"}),
    "cleanup.run": ({"target"}, {"dry_run"}),
    "manifest.list": ({"target"}, {"limit", "cursor"}),
    "manifest.changes": ({"target"}, {"limit", "cursor"}),
    "manifest.forget": ({"target"}, {"paths", "paths_b64"}),
    "manifest.reset": ({"target"}, set()),
    "events.subscribe": (set(), {"target"}),
    "transfer.limit": (set(), {"target", "limit", "keep"}),
    "media.find": (set(), {"query", "model", "seed", "since", "target", "kind", "limit", "cursor"}),
    "media.show": (set(), {"path", "path_b64", "target", "raw"}),
    "media.rerun": (set(), {"target"}),
    "media.duplicates": (set(), {"target", "limit", "cursor"}),
    "ingest.list": (set(), {"handler", "limit", "cursor"}),
    "ingest.retry": ({"handler"}, {"events"}),
    "ingest.drop": ({"handler"}, {"events"}),
    "ingest.replay": ({"handler"}, set()),
    "daemon.status": (set(), set()),
    "daemon.config": (set(), {"limit", "cursor"}),
    "daemon.reload": (set(), {"wait"}),
    "rpc.discover": (set(), set()),
}
"""Needed and optional parameters, as model/rpc lists them. Parameters are only ever added, and then optional."""

JOB = {"id", "sync_id", "target", "status", "start_time", "end_time", "result"}
PROGRESS = {
    "sync_id",
    "status",
    "progress_percent",
    "current_stage",
    "current_folder",
    "transferred_files",
    "total_files",
    "transferred_bytes",
    "total_bytes",
    "transfer_rate_mbps",
    "estimated_time_remaining",
}
TARGET = {
    "name",
    "type",
    "source",
    "dest",
    "state",
    "held",
    "paused",
    "watch",
    "guarded_removal",
    "transport",
    "missing",
    "last_sync",
    "backlog_files",
    "backlog_bytes",
    "lag_seconds",
    "free_bytes",
    "discovery",
    "instance",
    "label",
    "ends_at",
    "problems",
}
KEYS: list[tuple[str, str, set[str]]] = [
    ("sync.start", "", {"success", "job_id", "sync_id", "message"}),
    ("sync.status", "", {"success", "job"}),
    ("sync.status", "job", JOB),
    ("sync.status", "job.result", {"success", "files_transferred", "bytes_transferred", "duration", "errors"}),
    ("sync.progress", "progress", PROGRESS),
    ("sync.active", "jobs", JOB),
    ("sync.list", "", {"success", "jobs", "next_cursor"}),
    ("target.list", "targets", TARGET),
    ("target.status", "target.problems", {"kind", "message", "hint", "since"}),
    ("cleanup.run", "", {"success", "files_deleted", "space_freed_bytes", "removed", "kept", "errors"}),
    ("cleanup.run", "removed", {"path", "size"}),
    ("cleanup.run", "kept", {"path", "why"}),
    ("daemon.config", "values", {"key", "value", "origin"}),
]
"""Of a method's result, below a dotted key (of the items, where it is a list), the keys that are fixed."""


class House:
    """A state directory, a configuration and a socket; `running` is one life of the daemon on them."""

    def __init__(self, folder: Path) -> None:
        self.socket = str(folder / "s")
        self.config = folder / "forged.toml"
        self.config.write_text('[daemon]\nstate_dir = "state"\nsocket = "s"\nmetrics = ""\n[transfer]\nbandwidth = "9MB/s"\n')

    @contextmanager
    def running(self) -> Iterator[Client]:
        hidden = {"FORGED_CONFIG", "NOTIFY_SOCKET", "LOG_BASE", "MEDIA_BASE", "STATE_DIRECTORY", "RUNTIME_DIRECTORY"}
        env = {name: value for name, value in os.environ.items() if name not in hidden}
        program = [sys.executable, "-m", "forged", "-c", str(self.config), "run"]
        with subprocess.Popen(program, env=env, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                assert any("forged runs" in line for line in process.stderr)
                with Client(self.socket) as client:
                    yield client
                process.send_signal(signal.SIGTERM)
                assert process.wait(30) == 0
            finally:
                process.kill()


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="forged-") as name:  # a socket's path has 107 bytes at most
        yield House(Path(name))


def test_the_openrpc_document_shows_what_is_fixed(house: House) -> None:
    with house.running() as client:
        document = client.call("rpc.discover")
    methods = {method["name"]: method for method in document["methods"]}
    params = {name: _params(method) for name, method in methods.items()}
    for name, (needed, optional) in PARAMS.items():
        assert params.get(name, (set(), set()))[0] == needed, name
        assert params[name][1] >= optional, name
        assert methods[name]["summary"], name
    schemas = document["components"]["schemas"]
    for name, place, keys in KEYS:
        assert _keys(methods[name]["result"]["schema"], place, schemas) >= keys, (name, place)


def _params(method: dict[str, Any]) -> tuple[set[str], set[str]]:
    needed = {one["name"] for one in method["params"] if one["required"]}
    return needed, {one["name"] for one in method["params"]} - needed


def _keys(schema: dict[str, Any], place: str, schemas: dict[str, Any]) -> set[str]:
    """The properties of the object at `place`; nullable ones and items of lists are looked through."""
    for step in place.split(".") if place else []:
        schema = _object(schema, schemas)["properties"][step]
    return set(_object(schema, schemas)["properties"])


def _object(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    while "properties" not in schema:
        if "$ref" in schema:
            schema = schemas[schema["$ref"].rpartition("/")[2]]
        else:
            schema = schema["items"] if "items" in schema else schema["anyOf"][0]
    return schema


def test_a_kept_limit_outlives_the_daemon_and_the_effective_configuration_names_its_origins(house: House) -> None:
    with house.running() as client:
        assert _shared(client.call("transfer.limit", limit="5MB/s", keep=True)) == (5_000_000, "kept")
        client.call("daemon.reload")
        assert _shared(client.call("transfer.limit")) == (5_000_000, "kept")
    with house.running() as client:
        assert _shared(client.call("transfer.limit")) == (5_000_000, "kept")
        assert _shared(client.call("transfer.limit", limit="config")) == (9_000_000, "config")
        told = {one["key"]: one for one in client.call("daemon.config")["values"]}
        assert told["transfer.bandwidth"]["origin"] == f"{house.config}:6"
        assert told["daemon.socket"]["value"] == house.socket
        assert told["transfer.min_free"] == {"key": "transfer.min_free", "value": "1GB", "origin": "default"}


def _shared(answer: dict[str, Any]) -> tuple[int, str]:
    limit = answer["limits"][0]
    assert limit["target"] is None
    return limit["rate"], limit["origin"]


def test_an_ad_hoc_sync_is_asked_for_over_the_socket(house: House) -> None:
    home = house.config.parent / "home"
    home.mkdir()
    table = {"source_host": "127.0.0.1", "source_port": 1, "source_path": "/out", "dest_path": str(home), "retry_attempts": 0}
    with house.running() as client:
        client.call("sync.subscribe")
        with pytest.raises(CallFailed) as refused:
            client.call("sync.start", config={**table, "source_port": 0, "colour": "red"})
        assert [line.split(":")[0] for line in refused.value.hint.splitlines()] == ["source_port", "colour"]
        started = client.call("sync.start", config=table)
        ended = next(note.params for note in client.notifications(30) if note.method == "sync_complete")
        assert (ended["id"], ended["status"]) == (started["job_id"], "failed")
        assert client.call("sync.list")["jobs"][0]["target"].startswith("adhoc-")


def test_folders_that_are_no_utf8_hide_nothing(house: House) -> None:
    """A Latin-1 home: with it in an answer as it is, neither `forgectl status` nor `forgectl config` would get one."""
    folder = house.config.parent / "caf\udce9"
    folder.mkdir()
    (folder.parent / "in").mkdir()
    odd, shown = House(folder), f"{house.config.parent}/caf\\xe9"
    odd.config.write_text(odd.config.read_text() + f'[[target]]\nname = "box"\nsource = "{folder.parent}/in"\ndest = "home"\n')
    with odd.running() as client:
        assert client.call("target.list")["targets"][0]["dest"] == f"{shown}/home"
        status = client.call("daemon.status")
        assert [status[key] for key in ("config", "state_dir", "socket")] == [
            f"{shown}/{name}" for name in ("forged.toml", "state", "s")
        ]
        assert client.call("daemon.config")["values"][0]["origin"] == f"{shown}/forged.toml:2"
        odd.config.write_text("nonsense")
        assert client.call("daemon.reload")["problems"][0].startswith(f"{shown}/forged.toml:1: ")
