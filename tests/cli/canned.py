"""A daemon that answers what a test wants: the real control server on a real socket, with canned results behind it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from forged.control.errors import NotPermitted
from forged.control.listening import listen
from forged.control.peers import Level
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Registry
from forged.control.server import Server
from forged.model import rpc
from forged.model.errors import SourceUnreachable

HERE = Path(__file__).parents[2]

AT = "2026-11-23T07:00:00+00:00"
SYNC_ID = "sync_20261123_070000_0123abcd"
EVIL = "evil\x1b]0;owned\x07[red]\n.png"
"""Sets a terminal's title, is rich's markup, has a newline."""


def problem(kind: str = "source_unreachable", message: str = "The source does not answer.") -> rpc.Problem:
    return {"kind": kind, "message": message, "hint": "check that the box runs", "since": AT}


def target(name: str = "forge", **changes: Any) -> rpc.Target:
    row: rpc.Target = {
        "name": name,
        "type": "forge",
        "source": "ssh://root@10.0.0.2:2222/outputs",
        "dest": "/media/forge",
        "state": "idle",
        "held": False,
        "paused": False,
        "watch": True,
        "guarded_removal": True,
        "transport": "ssh agent (python 3.10)",
        "missing": [],
        "last_sync": AT,
        "backlog_files": 0,
        "backlog_bytes": 0,
        "lag_seconds": 0.0,
        "free_bytes": 1_200_000_000_000,
        "discovery": None,
        "instance": None,
        "label": None,
        "ends_at": None,
        "asleep": None,
        "problems": [],
    }
    return {**row, **changes}  # type: ignore[typeddict-item]


def job(status: rpc.Status = "complete", **changes: Any) -> rpc.Job:
    ended = status in ("complete", "failed", "cancelled")
    result: rpc.JobResult = {
        "success": status == "complete",
        "files_transferred": 120,
        "bytes_transferred": 3_400_000_000,
        "duration": 12.5,
        "errors": [] if status == "complete" else [f"no answer from {EVIL}"],
    }
    row: rpc.Job = {
        "id": "0123abcd-0000-4000-8000-000000000000",
        "sync_id": SYNC_ID,
        "target": "forge",
        "status": status,
        "start_time": AT,
        "end_time": AT if ended else None,
        "result": result if ended else None,
    }
    return {**row, **changes}  # type: ignore[typeddict-item]


PROGRESS: rpc.Progress = {
    "sync_id": SYNC_ID,
    "status": "transferring",
    "progress_percent": 30.0,
    "current_stage": "transferring",
    "current_folder": None,
    "transferred_files": 120,
    "total_files": 400,
    "transferred_bytes": 34_000_000,
    "total_bytes": 120_000_000,
    "transfer_rate_mbps": 12.5,
    "estimated_time_remaining": 7.0,
}

EVENT: rpc.Event = {"id": 1, "kind": "file_synced", "target": "forge", "at": AT, "key": f"a/{EVIL}", "body": {}}

DAEMON: rpc.DaemonStatus = {
    "success": True,
    "version": "9.9.9",
    "pid": 1,
    "started_at": AT,
    "config": "/etc/forged/forged.toml",
    "state_dir": "/var/lib/forged",
    "socket": "/run/forged/forged.sock",
    "metrics": None,
    "targets": 1,
    "jobs_active": 0,
    "connections": 1,
    "last_reload": None,
    "discoveries": [],
    "handlers": [],
    "media": {"waiting": 0},
    "problems": [],
}


class Canned:
    """The answers, by method; a test changes them before it asks. `asked` are the parameters that came, in order."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {
            "target.list": {"success": True, "targets": [target()], "next_cursor": None},
            "target.status": {"success": True, "target": target()},
            "daemon.status": DAEMON,
            "sync.active": {"success": True, "jobs": [], "next_cursor": None},
            "sync.list": {"success": True, "jobs": [job()], "next_cursor": None},
            "sync.start": {"success": True, "job_id": job()["id"], "sync_id": SYNC_ID, "message": f"forge: {SYNC_ID} has begun"},
            "sync.status": {"success": True, "job": job()},
            "sync.progress": {"success": True, "progress": PROGRESS},
            "sync.subscribe": {"success": True, "message": ""},
            "events.subscribe": {"success": True, "recent": [EVENT]},
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.notes: list[tuple[str, object]] = []
        """Published when somebody subscribes."""
        self._held: dict[str, threading.Event] = {}

    def hold(self, method: str) -> None:
        """Lets callers of this method wait until `let_go`."""
        self._held[method] = threading.Event()

    def let_go(self, method: str) -> None:
        self._held[method].set()

    async def wait(self, method: str) -> None:
        """Until nobody holds this method any more."""
        if method in self._held:
            await asyncio.to_thread(self._held[method].wait, 30)

    def answer(self, method: str, params: dict[str, Any]) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        self.asked.append((method, given))
        answer = self.answers[method]
        if isinstance(answer, list):  # pages
            return answer[int(given.get("cursor") or 0)]
        if isinstance(answer, Iterator):  # another one each time
            return next(answer)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def params(self, method: str) -> dict[str, Any]:
        """Those of the only call of this method."""
        (found,) = [params for name, params in self.asked if name == method]
        return found


def registry_of(canned: Canned, publisher: Publisher) -> Registry:
    """Every method with the parameters that forged.model.rpc documents: one that forgectl invents is refused."""
    registry = Registry("forged", "9.9.9")

    def tell(connection: Connection, *methods: str) -> None:
        for method in (*methods, "rpc.dropped"):
            connection.subscribe(method)
        for method, params in canned.notes:
            publisher.publish(method, params)

    async def target__list(limit: int | None = None, cursor: str | None = None) -> rpc.Targets:
        return canned.answer("target.list", {"limit": limit, "cursor": cursor})

    async def sync__list(limit: int | None = None, cursor: str | None = None) -> rpc.Jobs:
        return canned.answer("sync.list", {"limit": limit, "cursor": cursor})

    async def ingest__list(handler: str | None = None, limit: int | None = None, cursor: str | None = None) -> rpc.IngestPage:
        return canned.answer("ingest.list", {"handler": handler, "limit": limit, "cursor": cursor})

    async def ingest__retry(handler: str, events: list[int] | None = None) -> rpc.IngestSteered:
        return canned.answer("ingest.retry", {"handler": handler, "events": events})

    async def ingest__drop(handler: str, events: list[int] | None = None) -> rpc.IngestSteered:
        return canned.answer("ingest.drop", {"handler": handler, "events": events})

    async def ingest__replay(handler: str) -> rpc.IngestSteered:
        return canned.answer("ingest.replay", {"handler": handler})

    async def sync__active() -> rpc.Jobs:
        return canned.answer("sync.active", {})

    async def sync__start(target: str, folders: list[str] | None = None) -> rpc.SyncStarted:
        return canned.answer("sync.start", {"target": target, "folders": folders})

    async def sync__status(job_id: str) -> rpc.SyncStatus:
        return canned.answer("sync.status", {"job_id": job_id})

    async def sync__progress(job_id: str) -> rpc.SyncProgress:
        return canned.answer("sync.progress", {"job_id": job_id})

    async def sync__cancel(job_id: str) -> rpc.Done:
        return canned.answer("sync.cancel", {"job_id": job_id})

    async def sync__subscribe(connection: Connection, sync_id: str | None = None) -> rpc.Done:
        tell(connection, "sync_progress", "sync_complete")
        return canned.answer("sync.subscribe", {"sync_id": sync_id})

    async def events__subscribe(connection: Connection, target: str | None = None) -> rpc.EventsSubscribed:
        tell(connection, "event")
        return canned.answer("events.subscribe", {"target": target})

    async def target__status(target: str) -> rpc.TargetStatus:
        return canned.answer("target.status", {"target": target})

    async def target__pause(target: str) -> rpc.Done:
        return canned.answer("target.pause", {"target": target})

    async def target__resume(target: str) -> rpc.Done:
        return canned.answer("target.resume", {"target": target})

    async def target__release(target: str) -> rpc.Released:
        return canned.answer("target.release", {"target": target})

    async def target__trust(target: str, fingerprint: str) -> rpc.Done:
        return canned.answer("target.trust", {"target": target, "fingerprint": fingerprint})

    async def target__drain(target: str, timeout: str | None = None) -> rpc.Drained:
        await canned.wait("target.drain")
        return canned.answer("target.drain", {"target": target, "timeout": timeout})

    async def target__verify(
        target: str, rehash: bool = False, same: bool = False, limit: int | None = None, cursor: str | None = None
    ) -> rpc.Verified:
        return canned.answer("target.verify", {"target": target, "rehash": rehash, "same": same, "cursor": cursor})

    async def cleanup__run(target: str, dry_run: bool = False) -> rpc.Cleanup:
        return canned.answer("cleanup.run", {"target": target, "dry_run": dry_run})

    async def manifest__list(target: str, limit: int | None = None, cursor: str | None = None) -> rpc.ManifestPage:
        return canned.answer("manifest.list", {"target": target, "cursor": cursor})

    async def manifest__forget(target: str, paths: list[str] | None = None, paths_b64: list[str] | None = None) -> rpc.Forgotten:
        return canned.answer("manifest.forget", {"target": target, "paths": paths, "paths_b64": paths_b64})

    async def manifest__reset(target: str) -> rpc.Forgotten:
        return canned.answer("manifest.reset", {"target": target})

    async def media__show(
        path: str | None = None, path_b64: str | None = None, target: str | None = None, raw: bool = False
    ) -> rpc.MediaShown:
        return canned.answer("media.show", {"path": path, "path_b64": path_b64, "target": target, "raw": raw or None})

    async def media__rerun(target: str | None = None) -> rpc.MediaRerun:
        return canned.answer("media.rerun", {"target": target})

    async def media__duplicates(
        target: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> rpc.DuplicatesPage:
        return canned.answer("media.duplicates", {"target": target, "cursor": cursor})

    async def media__find(
        query: str = "",
        model: str | None = None,
        seed: str | None = None,
        since: str | None = None,
        target: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> rpc.FoundPage:
        wanted = {"model": model, "seed": seed, "since": since, "target": target, "kind": kind}
        return canned.answer("media.find", {"query": query, **wanted, "limit": limit, "cursor": cursor})

    async def transfer__limit(target: str | None = None, limit: str | None = None, keep: bool = False) -> rpc.Limits:
        return canned.answer("transfer.limit", {"target": target, "limit": limit, "keep": keep})

    async def daemon__status() -> rpc.DaemonStatus:
        return canned.answer("daemon.status", {})

    async def daemon__config(limit: int | None = None, cursor: str | None = None) -> rpc.EffectiveConfig:
        return canned.answer("daemon.config", {"cursor": cursor})

    async def daemon__reload(wait: bool = False) -> rpc.Reloaded:
        return canned.answer("daemon.reload", {"wait": wait})

    for name, handler in list(locals().items()):
        if "__" in name:
            registry.add(name.replace("__", "."), handler, level=Level.LOOK)
    return registry


@contextmanager
def daemon(socket: Path, canned: Canned) -> Iterator[None]:
    """Serves from a thread with a loop of its own until the block ends."""
    loop = asyncio.new_event_loop()
    publisher = Publisher()
    faults: list[BaseException] = []
    server = Server(registry_of(canned, publisher), publisher, report=lambda _, error: faults.append(error))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(server.start(listen(socket)), loop).result(20)
        yield
        asyncio.run_coroutine_threadsafe(server.stop(limit_s=5), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
    assert faults == []


def forgectl(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The real program, as from a pipe."""
    clean = {name: value for name, value in os.environ.items() if name not in ("FORGED_SOCKET", "XDG_RUNTIME_DIR")}
    return subprocess.run(
        [sys.executable, "-c", "from forged.cli.forgectl import main; main()", *arguments],
        env=clean | {"PYTHONPATH": str(HERE), "TZ": "UTC"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


FORBIDDEN = NotPermitted(hint="`sync.start` is for the socket's group; you are uid 4242")
UNREACHABLE = SourceUnreachable("The source does not answer\nat all.")
