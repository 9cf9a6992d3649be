"""Nouns of the house as answers of the control socket (model/rpc): the only place that knows both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from pydantic_core import to_json

from forged.config.mistakes import told
from forged.daemon.conditions import Conditions
from forged.daemon.progress import TargetProgress
from forged.daemon.standing import Standing, State
from forged.model import rpc
from forged.model.alarms import AlarmKind
from forged.model.errors import IngestError, Scope
from forged.model.jobs import Job, JobStatus
from forged.model.manifest import Hold, ManifestRow
from forged.model.paths import b64_if_needed, shown
from forged.model.removal import KeptBecause
from forged.model.settings import (
    CommandDiscovery,
    CommandIngest,
    Finder,
    Handler,
    PostgresIngest,
    PythonIngest,
    RunpodDiscovery,
    SqliteIngest,
    VastaiDiscovery,
    WebhookIngest,
)
from forged.sync.cleanup import CleanupResult, Kept
from forged.sync.verify import Compared

if TYPE_CHECKING:
    from forged.daemon.couriers import Courier
    from forged.daemon.discovered import Discovered
    from forged.daemon.reload import Reloaded

ALARMS = (AlarmKind.LOST.value, AlarmKind.ENDING.value)

FINDERS: Mapping[type[Finder], str] = MappingProxyType(
    {VastaiDiscovery: "vastai", RunpodDiscovery: "runpod", CommandDiscovery: "command"}
)
"""As `type` is written in forged.toml."""

HANDLERS: Mapping[type[Handler], str] = MappingProxyType(
    {
        SqliteIngest: "sqlite",
        PostgresIngest: "postgres",
        WebhookIngest: "webhook",
        CommandIngest: "command",
        PythonIngest: "python",
    }
)
"""Of ingest, likewise."""

NO_TRIES: Mapping[Scope, int | None] = MappingProxyType({})

MISTAKES_SHOWN = 5
"""Of a refused configuration, in status; `forged check` tells all."""

MOST_NAMED = 1_000
"""Files named in an answer that is not paged. More are only counted."""

ROOM_BYTES = 450_000
"""For one list, as JSON text: two lists and the rest stay under the bound of 1 MiB for an answer."""

SENTENCE_CHARS = 500
"""Of one sentence. A path of a hostile box takes 20,000 when it is made readable; what is wrong with it stands at the end."""

T = TypeVar("T")


def fitting(rows: Sequence[T], room_bytes: int = ROOM_BYTES) -> list[T]:
    """The beginning of a list that fits, counted as it will be written; at least one row, since no row is that large."""
    used_bytes = 0
    for number, row in enumerate(rows):
        used_bytes += json_bytes(row)
        if used_bytes > room_bytes:
            return list(rows[: max(number, 1)])
    return list(rows)


def json_bytes(row: object) -> int:
    """What it takes in an answer, with the comma."""
    return len(to_json(row)) + 1


def clipped(sentence: str) -> str:
    """Its beginning and its end, where it is too long."""
    if len(sentence) <= SENTENCE_CHARS:
        return sentence
    return sentence[: SENTENCE_CHARS // 2 - 1] + " … " + sentence[2 - SENTENCE_CHARS // 2 :]


MB = 1_000_000
"""`transfer_rate_mbps` is in 10^6 bytes a second, whatever its name makes one think of. Fixed, as all keys are."""


def time_text(at_ns: int) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds")


def path_of(raw: bytes) -> rpc.Path:
    """Text that is safe to show, and the exact bytes where the text cannot give them back."""
    answer: rpc.Path = {"path": shown(raw)}
    if (b64 := b64_if_needed(raw)) is not None:
        answer["path_b64"] = b64
    return answer


def job(one: Job) -> rpc.Job:
    result: rpc.JobResult | None = None
    if one.result is not None:
        result = {
            "success": one.result.success,
            "files_transferred": one.result.files_transferred,
            "bytes_transferred": one.result.bytes_transferred,
            "duration": round(one.result.duration_s, 3),
            "errors": [clipped(error) for error in one.result.errors],
        }
    return {
        "id": one.id,
        "sync_id": one.sync_id,
        "target": one.target,
        "status": one.status.value,
        "start_time": time_text(one.start_ns),
        "end_time": None if one.end_ns is None else time_text(one.end_ns),
        "result": result,
    }


STAGES = {
    JobStatus.PENDING: "Waiting for its turn",
    JobStatus.SCANNING: "Looking at the source",
    JobStatus.TRANSFERRING: "Transferring files",
    JobStatus.PROCESSING: "Remembering what landed",
    JobStatus.COMPLETE: "Complete",
    JobStatus.FAILED: "Failed",
    JobStatus.CANCELLED: "Cancelled",
}


def progress(one: Job, numbers: TargetProgress, now_s: float) -> rpc.Progress:
    """How far a running job is."""
    total = numbers.wanted_bytes
    done = numbers.done_bytes
    percent = 100.0 if one.status is JobStatus.COMPLETE else min(100.0 * done / total, 99.9) if total else 0.0
    left_s = numbers.remaining_s(now_s)
    return {
        "sync_id": one.sync_id,
        "status": one.status.value,
        "progress_percent": round(percent, 1),
        "current_stage": STAGES[one.status],
        "current_folder": _folder(numbers.landed_last, one.folders),
        "transferred_files": numbers.landed_files,
        "total_files": numbers.total_files,
        "transferred_bytes": done,
        "total_bytes": total,
        "transfer_rate_mbps": round(numbers.rate.bytes_per_s(now_s) / MB, 3),
        "estimated_time_remaining": None if left_s is None else round(left_s, 1),
    }


def _folder(landed: bytes, asked: Sequence[str]) -> str | None:
    """The folder of the file that landed last: the one that was asked for, else the first of its path."""
    if not landed:
        return asked[0] if asked else None
    holding = [folder for folder in asked if landed.startswith(folder.strip("/").encode("utf-8", "surrogateescape") + b"/")]
    first, slash, _ = landed.partition(b"/")
    return max(holding, key=len) if holding else shown(first) if slash else None


def last_progress(one: Job) -> rpc.Progress:
    """What is left to say about a job that has ended."""
    files = one.result.files_transferred if one.result else 0
    size_bytes = one.result.bytes_transferred if one.result else 0
    return {
        "sync_id": one.sync_id,
        "status": one.status.value,
        "progress_percent": 100.0 if one.status is JobStatus.COMPLETE else 0.0,
        "current_stage": STAGES[one.status],
        "current_folder": None,
        "transferred_files": files,
        "total_files": files,
        "transferred_bytes": size_bytes,
        "total_bytes": size_bytes,
        "transfer_rate_mbps": 0.0,
        "estimated_time_remaining": None,
    }


def target(standing: Standing) -> rpc.Target:
    """A row of `forgectl status`."""
    one, can, (files, size_bytes), known = standing.target, standing.capabilities, standing.backlog, standing.knows_what_is_left
    instance = standing.instance
    box = instance.known.box if instance else None
    return {
        "name": one.name,
        "type": one.type.value,
        "source": str(standing.source),
        "dest": told(one.home.dest),
        "state": standing.state.value,
        "held": standing.hold is not None,
        "paused": standing.pause is not None,
        "watch": standing.watching,
        "guarded_removal": can.guarded_removal if can else None,
        "transport": clipped(can.transport) if can else None,
        "missing": list(can.missing) if can else [],
        "last_sync": None if standing.last_sync_ns is None else time_text(standing.last_sync_ns),
        "backlog_files": files if known else None,
        "backlog_bytes": size_bytes if known else None,
        "lag_seconds": None if standing.lag_s is None else round(standing.lag_s, 1),
        "free_bytes": standing.free_bytes,
        "discovery": instance.discovery if instance else None,
        "instance": box.id if box else None,
        "label": box.label if box else None,
        "ends_at": _time_or_none(box.end_ns if box else None),
        "asleep": (instance.route.nobody_there or None) if instance and standing.state is not State.LOST else None,
        "problems": problems(standing.conditions, {Scope.SOURCE: standing.next_try_ns}),
    }


def problems(conditions: Conditions, next_try_ns: Mapping[Scope, int | None] = NO_TRIES) -> list[rpc.Problem]:
    """What is wrong now; alarms first, since files are about to be out of reach. `next_try_ns`: when what errors of a scope
    have stopped is tried again by itself."""
    found = sorted(conditions.problems, key=lambda one: one.kind not in ALARMS)
    return [
        {
            "kind": one.kind,
            "message": clipped(one.message),
            "hint": clipped(one.hint),
            "since": time_text(one.since_ns),
            "next_try": _time_or_none(next_try_ns.get(one.scope) if one.scope else None),
        }
        for one in found
    ]


def refused_reload(last: Reloaded | None) -> list[rpc.Problem]:
    """That the file is not what is in force: a problem until one is accepted (promise 8)."""
    if last is None or last.success:
        return []
    few, more = last.problems[:MISTAKES_SHOWN], len(last.problems) - MISTAKES_SHOWN
    told = [f"{last.message}; what was in force before goes on", *few, *([f"and {more} more"] if more > 0 else [])]
    hint = "mend it (`forged check` says whether it is right), then: forgectl reload"
    return [{"kind": "config_refused", "message": clipped("\n".join(told)), "hint": hint, "since": time_text(last.at_ns)}]


def discovery(one: Discovered) -> rpc.Discovery:
    """A row of `forgectl status`."""
    known = one.book.boxes.values()
    return {
        "name": one.name,
        "type": FINDERS[type(one.settings.finder)],
        "up": None if one.error is None and one.book.answered_ns is None else one.error is None,
        "asked_at": _time_or_none(one.asked_ns),
        "answered_at": _time_or_none(one.book.answered_ns),
        "next_at": _time_or_none(one.next_ns),
        "boxes": len(known),
        "gone": sum(box.gone_since_ns is not None for box in known),
        "problems": problems(one.conditions),
    }


def handler(one: Courier) -> rpc.Handler:
    """How an ingest handler stands."""
    standing = one.delivery.standing
    return {
        "name": one.name,
        "type": HANDLERS[type(one.settings.handler)],
        "up": standing.error is None if standing.delivered or standing.error else None,
        "delivered": standing.delivered,
        "waiting": one.waiting,
        "retried": one.aside.retried,
        "set_aside": one.aside.set_aside,
        "failures": standing.failures,
        "problems": problems(one.conditions, {IngestError.scope: one.delivery.next_try_ns}),
    }


def _time_or_none(at_ns: int | None) -> str | None:
    return None if at_ns is None else time_text(at_ns)


def hold(one: Hold) -> rpc.Hold:
    return {"reason": one.reason, "message": one.message, "since": time_text(one.since_ns)}


def manifest_file(row: ManifestRow) -> rpc.ManifestFile:
    answer: rpc.ManifestFile = {
        "path": shown(row.path),
        "home": shown(row.home),
        "size": row.stat.size_bytes,
        "mtime": time_text(row.stat.mtime_ns),
        "sha256": row.sha256.hex(),
        "landed_at": time_text(row.landed_at_ns),
        "state": row.at_source.value,
        "incomplete": row.incomplete,
        "tombstone_at": None if row.tombstone_at_ns is None else time_text(row.tombstone_at_ns),
    }
    if (b64 := b64_if_needed(row.path)) is not None:
        answer["path_b64"] = b64
    if (b64 := b64_if_needed(row.home)) is not None:
        answer["home_b64"] = b64
    return answer


def cleanup(result: CleanupResult) -> rpc.Cleanup:
    removed: list[rpc.RemovedFile] = [{**path_of(row.path), "size": row.stat.size_bytes} for row in result.removed[:MOST_NAMED]]
    kept = [_kept(one) for one in sorted(result.kept, key=_by_interest)[:MOST_NAMED]]
    return {
        "success": result.error is None,
        "dry_run": result.dry_run,
        "files_deleted": len(result.removed),
        "space_freed_bytes": result.freed_bytes,
        "removed": (gone := fitting(removed)),
        "removed_unnamed": len(result.removed) - len(gone),
        "kept": (stays := fitting(kept)),
        "kept_unnamed": result.kept_count.total() - len(stays),
        "kept_counts": {why.value: count for why, count in result.kept_count.items()},
        "errors": [clipped(f"{result.error.message} ({result.error.hint})")] if result.error is not None else [],
    }


def _by_interest(one: Kept) -> tuple[bool, bytes]:
    """What is merely young comes last: nobody has to do anything about it."""
    return one.why in (KeptBecause.YOUNG, KeptBecause.BATCH_FULL), one.path


def _kept(one: Kept) -> rpc.KeptFile:
    answer: rpc.KeptFile = {"path": shown(one.path), "why": one.why.value}
    if (b64 := b64_if_needed(one.path)) is not None:
        answer["path_b64"] = b64
    if one.message:
        answer["message"] = clipped(one.message)
    return answer


def compared(one: Compared) -> rpc.Compared:
    answer: rpc.Compared = {"path": shown(one.path), "symbol": one.symbol.value}
    if (b64 := b64_if_needed(one.path)) is not None:
        answer["path_b64"] = b64
    if one.why:
        answer["why"] = one.why
    return answer


def path_why(one: Compared) -> rpc.PathWhy:
    return {**path_of(one.path), "why": one.why}
