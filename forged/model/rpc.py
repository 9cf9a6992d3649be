"""What the methods of the control socket answer (DESIGN section 6), as the JSON objects they are. Keys are only ever added.

Conventions. Times are RFC 3339 with a zone; durations are in seconds, sizes in bytes, unless a key's note says otherwise. `path` is
text that is safe to show; where the name is not UTF-8, `path_b64` holds the exact bytes. A paged method takes `limit` and `cursor`
(opaque: the `next_cursor` of the page before; null at the end). A list in an answer that is not paged names as many as fit into
1 MiB, its beginning first, and a count beside it tells of how many in all. `success` is False where the thing was tried and did not
go well; what could not be tried at all is a JSON-RPC error.

Parameters, `?` where they may be left out:

    sync.start        target | config, folders?          target.verify     target, rehash?, same?, limit?, cursor?
    sync.status       job_id                             cleanup.run       target, dry_run?
    sync.progress     job_id                             manifest.list     target, limit?, cursor?
    sync.active                                          manifest.changes  target, limit?, cursor?
    sync.list         limit?, cursor?                    manifest.forget   target, paths?, paths_b64?
    sync.cancel       job_id                             manifest.reset    target
    sync.subscribe    sync_id?                           events.subscribe  target?
    sync.unsubscribe  sync_id?                           transfer.limit    target?, limit?, keep?
    target.list       limit?, cursor?                    daemon.status
    target.status     target                             daemon.config     limit?, cursor?
    target.pause, .resume, .release   target             daemon.reload     wait?
    target.trust      target, fingerprint
    target.drain      target, timeout?

`job_id` may also be a sync_id. A target that is not configured is an error of type `unknown_target`, an id that no job has one of
type `unknown_job`; both say in their hint what there is.

TypedDict is typing_extensions' because pydantic reads no other before Python 3.12.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

Scalar = str | int | float | bool | None

# --- everywhere -----------------------------------------------------------------------------------------------------------


class Done(TypedDict):
    """It is done. `message` is a sentence for people."""

    success: bool
    message: str


class Path(TypedDict):
    """A file, by its name at the source."""

    path: str
    path_b64: NotRequired[str]


class PathWhy(Path):
    """A file, and a word that says why it is in this list."""

    why: str


class Problem(TypedDict):
    """Something that is wrong now. `kind` is a stable word (forged.model.errors), `since` when it broke."""

    kind: str
    message: str
    hint: str
    since: str


# --- jobs -----------------------------------------------------------------------------------------------------------------

Status = Literal["pending", "scanning", "transferring", "processing", "complete", "failed", "cancelled"]


class JobResult(TypedDict):
    """What a job did. `errors` are sentences."""

    success: bool
    files_transferred: int
    bytes_transferred: int
    duration: float
    errors: list[str]


class Job(TypedDict):
    """One sync. `result` and `end_time` are null while it runs."""

    id: str
    sync_id: str
    target: str
    status: Status
    start_time: str
    end_time: str | None
    result: JobResult | None


class Progress(TypedDict):
    """How far a job is; also the params of the notification `sync_progress`. The rate is in MB/s (10^6), the rest as ever.

    `current_stage` says in words for people what it does now. `estimated_time_remaining` is null while nobody can know.
    """

    sync_id: str
    status: Status
    progress_percent: float
    current_stage: str
    current_folder: str | None
    transferred_files: int
    total_files: int
    transferred_bytes: int
    total_bytes: int
    transfer_rate_mbps: float
    estimated_time_remaining: float | None


class SyncStarted(TypedDict):
    """`sync.start`."""

    success: bool
    job_id: str
    sync_id: str
    message: str


class SyncStatus(TypedDict):
    """`sync.status`."""

    success: bool
    job: Job


class SyncProgress(TypedDict):
    """`sync.progress`; of an ended job its last."""

    success: bool
    progress: Progress


class Jobs(TypedDict):
    """`sync.active` (all on one page) and `sync.list` (newest first)."""

    success: bool
    jobs: list[Job]
    next_cursor: str | None


# --- targets --------------------------------------------------------------------------------------------------------------

State = Literal["idle", "scanning", "transferring", "waiting", "unreachable", "refused"]


class Target(TypedDict):
    """How one target stands. What is not known yet, or not of this kind of source, is null.

    A held target has a problem of the kind `held`, whose message is the reason. `last_sync` is the end of the last sync that went
    well. `lag_seconds`: age of the oldest settled file that is not home yet; 0 when all are home. `watch`: a watch is active.
    """

    name: str
    type: str
    source: str
    dest: str
    state: State
    held: bool
    paused: bool
    watch: bool
    guarded_removal: bool | None
    last_sync: str | None
    backlog_files: int | None
    backlog_bytes: int | None
    lag_seconds: float | None
    free_bytes: int | None
    problems: list[Problem]


class Targets(TypedDict):
    """`target.list`, in the order of the configuration."""

    success: bool
    targets: list[Target]
    next_cursor: str | None


class TargetStatus(TypedDict):
    """`target.status`."""

    success: bool
    target: Target


class Hold(TypedDict):
    """Why cleanup and forgetting were frozen. `reason` is the stable word of forged_target_held."""

    reason: str
    message: str
    since: str


class Released(TypedDict):
    """`target.release`. `held` is what was ended; null where nothing was held, which is a success as well."""

    success: bool
    message: str
    held: Hold | None


class Drained(TypedDict):
    """`target.drain` (promise 14). `success`: the source was emptied of work and looked at in whole, in time.

    `safe_to_destroy` implies `success`. `missing` makes the answer no: not_home, waiting (still being written), unreadable,
    home_missing, home_differs, changed, not_ingested, failed. `aside` stays behind knowingly: excluded, tombstoned, incomplete
    (came home cut short, as it is at the source), link. Both by name; `counts` has all of them by the same words, and `home` under
    the word `home`.
    """

    success: bool
    safe_to_destroy: bool
    message: str
    files_at_source: int
    bytes_at_source: int
    counts: dict[str, int]
    missing: list[PathWhy]
    aside: list[PathWhy]


Symbol = Literal["=", "-", "+", "*"]


class Compared(Path):
    """One file: `=` same, `-` missing at home, `+` only at home, `*` differs. `why` says more in a word where there is more."""

    symbol: Symbol
    why: NotRequired[str]


class Verified(TypedDict):
    """`target.verify`, paged. Rows with `=` come only with `same`.

    `counts` (by symbol) are of the part that this page compared: they add up over the pages.
    """

    success: bool
    rows: list[Compared]
    counts: dict[Symbol, int]
    next_cursor: str | None


# --- cleanup and manifest -------------------------------------------------------------------------------------------------


class RemovedFile(Path):
    """A file that went; with `dry_run`, would go."""

    size: int


class KeptFile(PathWhy):
    """A file that stays; `why` is a word of forged.model.removal.KeptBecause. `message` where the source said more."""

    message: NotRequired[str]


class Cleanup(TypedDict):
    """`cleanup.run`. `files_deleted` and `space_freed_bytes` are what a dry run would do. `kept_counts` counts all kept, by why."""

    success: bool
    dry_run: bool
    files_deleted: int
    space_freed_bytes: int
    removed: list[RemovedFile]
    kept: list[KeptFile]
    kept_counts: dict[str, int]
    errors: list[str]


class ManifestFile(Path):
    """What is remembered of a file's current version. `home` is relative to the destination; `state`: where the source's copy is.

    `tombstone_at`: since when it is known that the owner deleted it at home.
    """

    home: str
    home_b64: NotRequired[str]
    size: int
    mtime: str
    sha256: str
    landed_at: str
    state: Literal["present", "gone", "removed"]
    incomplete: bool
    tombstone_at: str | None


class ManifestPage(TypedDict):
    """`manifest.list`, ascending by path. The totals are of the whole manifest."""

    success: bool
    files: list[ManifestFile]
    total_files: int
    total_bytes: int
    next_cursor: str | None


class PlannedFile(Path):
    """A file that a sync would look into now; `change` is a word of forged.model.plan.ChangeKind."""

    size: int
    change: str


class Changes(TypedDict):
    """`manifest.changes`: the plan that a sync would carry out now, counted and by name."""

    success: bool
    changes: list[PlannedFile]
    total_files: int
    total_bytes: int
    waiting: int
    vanished: int
    next_cursor: str | None


class Forgotten(TypedDict):
    """`manifest.forget` (a path names a file or a folder with all that is below it) and `manifest.reset`. `files`: how many."""

    success: bool
    message: str
    files: int


# --- flow, events, the daemon ---------------------------------------------------------------------------------------------


class Limit(TypedDict):
    """A bandwidth bound; `target` is null for the one that all share. `rate` is what holds now, in bytes a second; null = none.

    `limit` is as somebody wrote it: a rate, `off` or a timetable. `origin`: from the file, from `transfer.limit` and kept over
    restarts, or until the next restart.
    """

    target: str | None
    rate: int | None
    limit: str
    origin: Literal["config", "kept", "until restart"]


class Limits(TypedDict):
    """`transfer.limit`: all limits, the shared one first. Without `limit` it only tells; "config" gives the configured one back."""

    success: bool
    message: str
    limits: list[Limit]


class Event(TypedDict):
    """A fact in the past tense; also the params of the notification `event`. `kind` is a word of forged.model.events.EventKind.

    `id` ascends. `key` is the path at home for events of a file. `body` is what the ingest handlers get.
    """

    id: int
    kind: str
    target: str
    at: str
    key: str
    body: dict[str, object]


class EventsSubscribed(TypedDict):
    """`events.subscribe`: from now on `event` notifications come on this connection. `recent`: the last before, oldest first."""

    success: bool
    recent: list[Event]


class Reloaded(TypedDict):
    """`daemon.reload`. With `success` False the configuration is NOT changed; `problems` say why, as `file:line: key: what`.

    `added`, `removed`, `changed` are names of targets; `restart_needed` are changed keys that take effect with the next start only.
    With `wait` it answers when targets that go or change have ended the round they were in.
    """

    success: bool
    message: str
    problems: list[str]
    added: list[str]
    removed: list[str]
    changed: list[str]
    restart_needed: list[str]


class LastReload(TypedDict):
    """How the last reload went."""

    at: str
    success: bool
    message: str


class DaemonStatus(TypedDict):
    """`daemon.status`. `metrics` is the page's address, null when it is off. `problems` are those that concern no single target."""

    success: bool
    version: str
    pid: int
    started_at: str
    config: str
    state_dir: str
    socket: str
    metrics: str | None
    targets: int
    jobs_active: int
    connections: int
    last_reload: LastReload | None
    problems: list[Problem]


class ConfigValue(TypedDict):
    """One effective value. `key` is dotted, a target's by name: `target.forge.poll`. Secrets are shown as `***`.

    `origin`: `default`, `preset`, `FILE:LINE`, or `$NAME` for an environment variable.
    """

    key: str
    value: Scalar | list[Scalar]
    origin: str


class EffectiveConfig(TypedDict):
    """`daemon.config`, paged, in the order of the file's sections."""

    success: bool
    path: str
    values: list[ConfigValue]
    next_cursor: str | None
