"""`forged once` beside a running daemon: the daemon has the state directory, so the work is handed to it, and told as ever.

The JSON documents are those of forged.cli.results, with `by_daemon` true; what a job of the daemon does not tell is null there.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forged.cli.ctl.jobs import standing
from forged.cli.results import Foreseen, Json, error_json, foreseen_lines
from forged.cli.telling import Line, Manner, Tone, columns, line, print_json, say, trouble
from forged.control.client import CallFailed, Client, NoAnswer, NoDaemon
from forged.kit.units import human_duration, human_size
from forged.model.errors import ConfigError, ForgedError
from forged.model.settings import Config

if TYPE_CHECKING:
    from forged.model import rpc

LINE_EVERY_S = 10.0
"""Where nobody watches: as often as `forged once` alone speaks."""

MOST_PLANNED = 10_000
"""Files named in the document, as without a daemon."""

UNTOLD = ("files_listed", "files_adopted", "files_versioned", "files_incomplete", "files_waiting", "files_failed")
"""Numbers that a job does not keep."""


@dataclass(slots=True)
class Handed:
    """One target's part: the job that the daemon made of it, or why it made none."""

    target: str
    job: rpc.Job | None = None
    error: ForgedError | None = None

    @property
    def success(self) -> bool:
        return self.job is not None and self.job["result"] is not None and self.job["result"]["success"]


@contextmanager
def daemon_of(config: Config) -> Iterator[Client | None]:
    """The daemon that works with this configuration's state directory; None where there is none. Raises NoPermission."""
    try:
        client = Client(str(config.daemon.socket))
    except (NoDaemon, NoAnswer):
        yield None
        return
    with client:
        status: rpc.DaemonStatus = client.call("daemon.status")
        yield client if status["state_dir"] == str(config.daemon.state_dir) else None


def sync(client: Client, names: Sequence[str], manner: Manner) -> bool:
    """Has the daemon bring home what is new; answers whether all went well. Raises ConfigError for names that it does not know."""
    began_s = time.monotonic()
    client.call("sync.subscribe")
    parts = [started(client, name) for name in targets(client, names)]
    if manner is not Manner.JSON:
        say([line("a daemon runs here: it does the work", Tone.QUIET)])
    follow(client, parts, manner)
    success = all(part.success for part in parts)
    if manner is Manner.JSON:
        done: Json = {"success": success, "dry_run": False, "by_daemon": True}
        print_json(done | {"duration_s": round(time.monotonic() - began_s, 3), "targets": [part_json(part) for part in parts]})
    else:
        say(summary(parts))
    return success


def targets(client: Client, names: Sequence[str]) -> list[str]:
    """Those named, or all that are not paused or asleep. Raises ConfigError."""
    known: dict[str, rpc.Target] = {}
    cursor = None
    while True:
        page: rpc.Targets = client.call("target.list", **({"cursor": cursor} if cursor else {}))
        known |= {target["name"]: target for target in page["targets"]}
        cursor = page["next_cursor"]
        if cursor is None:
            break
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(tuple(f"no target {name!r}; there are: {', '.join(known) or 'none'}" for name in unknown))
    return list(names) or [name for name, target in known.items() if not target["paused"] and not target["asleep"]]


def started(client: Client, target: str) -> Handed:
    """The target's job has begun, or not."""
    try:
        begun: rpc.SyncStarted = client.call("sync.start", target=target)
        status: rpc.SyncStatus = client.call("sync.status", job_id=begun["sync_id"])
    except CallFailed as error:
        return Handed(target, error=error)
    return Handed(target, status["job"])


def follow(client: Client, parts: Sequence[Handed], manner: Manner) -> None:
    """Until all have ended; progress meanwhile, in the manner that suits who looks. Raises NoDaemon when it stops."""
    running = {part.job["sync_id"]: part for part in parts if part.job is not None and part.job["end_time"] is None}
    with drawing(manner) as told:
        while running:
            for note in client.notifications(1.0):
                if note.method == "sync_complete" and (part := running.pop(note.params["sync_id"], None)):
                    part.job = note.params
                elif note.method == "sync_progress" and note.params["sync_id"] in running:
                    told.take(running[note.params["sync_id"]].target, note.params)
                if not running:
                    return
            for sync_id in list(running):  # a notification may have been lost
                status: rpc.SyncStatus = client.call("sync.status", job_id=sync_id)
                if status["job"]["end_time"] is not None:
                    running.pop(sync_id).job = status["job"]


@dataclass(slots=True)
class Told:
    """Progress as it comes, and nothing else: for programs."""

    latest: dict[str, rpc.Progress] = field(default_factory=dict)

    def take(self, target: str, progress: rpc.Progress) -> None:
        self.latest[target] = progress
        self.tell()

    def tell(self) -> None:
        """Tells how far all are."""


@dataclass(slots=True)
class InLines(Told):
    """A line for each target, every ten seconds."""

    next_s: float = field(default_factory=lambda: time.monotonic() + LINE_EVERY_S)

    def tell(self) -> None:
        if time.monotonic() >= self.next_s:
            self.next_s = time.monotonic() + LINE_EVERY_S
            say(line(f"{target}: {standing(progress)}") for target, progress in self.latest.items())


@contextmanager
def drawing(manner: Manner) -> Iterator[Told]:
    """Bars on a terminal, lines elsewhere."""
    if manner is not Manner.SCREEN:
        yield InLines() if manner is Manner.LINES else Told()
        return
    from forged.cli.ctl.board import in_place

    with in_place() as draw:

        class Drawn(Told):
            def tell(self) -> None:
                draw(list(self.latest.items()))

        yield Drawn()


def part_json(part: Handed) -> Json:
    """A target in the document."""
    job, result = part.job, part.job["result"] if part.job else None
    errors = result["errors"] if result else []
    failed = ForgedError(errors[0]) if errors and not part.success else None
    return {
        "target": part.target,
        "success": part.success,
        "job_id": job["id"] if job else None,
        "sync_id": job["sync_id"] if job else None,
        "status": job["status"] if job else "failed",
        "duration_s": round(result["duration"], 3) if result else 0.0,
        "files_transferred": result["files_transferred"] if result else 0,
        "bytes_transferred": result["bytes_transferred"] if result else 0,
        **dict.fromkeys(UNTOLD),
        "error": call_json(part.error) if isinstance(part.error, CallFailed) else error_json(part.error or failed),
        "problems": [],
        "problems_total": len(errors),
    }


def call_json(error: CallFailed) -> Json:
    word = error.type or error.kind
    return {"kind": word, "type": word, "message": error.message, "hint": error.hint}


def summary(parts: Sequence[Handed]) -> list[Line]:
    """A table with a row for each target, then what went wrong and what to do."""
    head, *body = columns([("target", "files", "size", "time", ""), *(row(part) for part in parts)], frozenset({1, 2, 3}))
    lines = [line(head, Tone.QUIET)]
    lines += [line(text, Tone.PLAIN if part.success else Tone.BAD) for text, part in zip(body, parts, strict=True)]
    for part in parts:
        lines += trouble(part.target, part.error) if part.error else []
        errors = part.job["result"]["errors"] if part.job and part.job["result"] else []
        lines += [line(f"✘ {part.target}: {error}", Tone.BAD) for error in errors]
    return lines


def row(part: Handed) -> tuple[str, ...]:
    """The cells of one target."""
    result = part.job["result"] if part.job else None
    if result is None:
        return (part.target, "0", "0 B", "", "not begun")
    files, said = result["files_transferred"], part.job["status"] if part.job else ""
    words = ("all home" if files else "nothing new") if part.success else said
    return (part.target, f"{files:,}", human_size(result["bytes_transferred"]), human_duration(result["duration"]), words)


# --- what would come ------------------------------------------------------------------------------------------------------


def preview(client: Client, names: Sequence[str], manner: Manner) -> bool:
    """Says what a sync would bring home; changes nothing. Raises ConfigError."""
    began_s, client.timeout_s = time.monotonic(), None  # a look at everything may take minutes
    seen = [(name, changes(client, name, whole=manner is Manner.JSON)) for name in targets(client, names)]
    success = not any(isinstance(one, CallFailed) for _, one in seen)
    if manner is Manner.JSON:
        head: Json = {"success": success, "dry_run": True, "by_daemon": True}
        parts = [changes_json(name, one) for name, one in seen]
        print_json(head | {"duration_s": round(time.monotonic() - began_s, 3), "targets": parts})
    else:
        say(text for name, one in seen for text in changes_lines(name, one))
    return success


def changes(client: Client, target: str, *, whole: bool) -> rpc.Changes | CallFailed:
    """The plan for one target: its first page, or all of them; or why there is none."""
    files: list[rpc.PlannedFile] = []
    cursor = None
    while True:
        try:
            page: rpc.Changes = client.call("manifest.changes", target=target, **({"cursor": cursor} if cursor else {}))
        except CallFailed as error:
            return error
        files += page["changes"]
        cursor = page["next_cursor"]
        if cursor is None or not whole or len(files) >= MOST_PLANNED:
            return {**page, "changes": files}


def changes_json(target: str, seen: rpc.Changes | CallFailed) -> Json:
    """A target in the document."""
    if isinstance(seen, CallFailed):
        return {"target": target, "success": False, "error": call_json(seen)}
    return {
        "target": target,
        "success": True,
        "files_listed": seen["listed_files"],
        "files_waiting": seen["waiting"],
        "files_vanished": seen["vanished"],
        "planned_files": seen["total_files"],
        "planned_bytes": seen["total_bytes"],
        "planned": [planned_json(file) for file in seen["changes"]],
        "error": None,
    }


def planned_json(file: rpc.PlannedFile) -> Json:
    exact: Json = {"path_b64": file["path_b64"]} if "path_b64" in file else {}
    return {"path": file["path"], **exact, "size_bytes": file["size"], "change": file["change"]}


def changes_lines(target: str, seen: rpc.Changes | CallFailed) -> list[Line]:
    """The same for people."""
    if isinstance(seen, CallFailed):
        return trouble(target, seen)
    numbers = (seen["listed_files"], seen["total_files"], seen["total_bytes"], seen["waiting"], seen["vanished"])
    named = [(file["change"], file["size"], file["path"]) for file in seen["changes"]]
    return foreseen_lines(Foreseen(target, *numbers, named))
