"""What the methods of the control socket answer, as the JSON objects they are. Fixed: keys are only ever added.

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
    target.drain      target, timeout? (text such as "30m")
    media.show        path | path_b64, target?, raw?     media.duplicates  target?, limit?, cursor?
    media.rerun       target?
    ingest.list       handler?, limit?, cursor?          ingest.replay     handler
    ingest.retry, .drop   handler, events? (ids)
    media.find        query?, model?, seed?, since? (RFC 3339), target?, kind?, limit?, cursor?

`job_id` may also be a sync_id. A target that is not configured is an error of type `unknown_target`, an id that no job has one of
type `unknown_job`; both say in their hint what there is.
"""

from __future__ import annotations

from forged.model.rpc.basic import Done, Path, PathWhy, Problem, Scalar
from forged.model.rpc.files import Changes, Cleanup, Forgotten, KeptFile, ManifestFile, ManifestPage, PlannedFile, RemovedFile
from forged.model.rpc.ingest import AsideEvent, IngestHandler, IngestPage, IngestSteered
from forged.model.rpc.jobs import Job, JobResult, Jobs, Progress, Status, SyncProgress, SyncStarted, SyncStatus
from forged.model.rpc.media import (
    AlikeFile,
    Copy,
    DuplicateFile,
    Duplicates,
    DuplicatesPage,
    FoundFile,
    FoundPage,
    Generation,
    Lora,
    MediaInfo,
    MediaRerun,
    MediaShown,
    RawBlock,
    Sampling,
    Setting,
)
from forged.model.rpc.service import (
    ConfigValue,
    DaemonStatus,
    Discovery,
    EffectiveConfig,
    Event,
    EventsSubscribed,
    Handler,
    LastReload,
    Limit,
    Limits,
    Reloaded,
)
from forged.model.rpc.targets import Compared, Drained, Hold, Released, State, Symbol, Target, Targets, TargetStatus, Verified

__all__ = [
    "AlikeFile",
    "AsideEvent",
    "Changes",
    "Cleanup",
    "Compared",
    "ConfigValue",
    "Copy",
    "DaemonStatus",
    "Discovery",
    "Done",
    "Drained",
    "DuplicateFile",
    "Duplicates",
    "DuplicatesPage",
    "EffectiveConfig",
    "Event",
    "EventsSubscribed",
    "Forgotten",
    "FoundFile",
    "FoundPage",
    "Generation",
    "Handler",
    "Hold",
    "IngestHandler",
    "IngestPage",
    "IngestSteered",
    "Job",
    "JobResult",
    "Jobs",
    "KeptFile",
    "LastReload",
    "Limit",
    "Limits",
    "Lora",
    "ManifestFile",
    "ManifestPage",
    "MediaInfo",
    "MediaRerun",
    "MediaShown",
    "Path",
    "PathWhy",
    "PlannedFile",
    "Problem",
    "Progress",
    "RawBlock",
    "Released",
    "Reloaded",
    "RemovedFile",
    "Sampling",
    "Scalar",
    "Setting",
    "State",
    "Status",
    "Symbol",
    "SyncProgress",
    "SyncStarted",
    "SyncStatus",
    "Target",
    "TargetStatus",
    "Targets",
    "Verified",
]
