"""Every metric name, in one place. Fixed: people's dashboards and alerts depend on them.

A family is shown on the page as soon as something has fed it, and not before: a name here promises the spelling, the unit and the
labels, never that there is a value. `etc/metrics.md` says what to do with each.

Labels are bounded: `target` is the name of a configured target, every other label is a word of an enum or of the configuration.
The label that a family of one value for each discovery needs is `discovery`, its configured name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What can be done with the numbers: a counter only grows, a gauge is the state now, a histogram counts by size."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with all its series. `buckets`: upper bounds of a histogram, in the unit of its name."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ("target",)
    buckets: tuple[float, ...] = ()


def _gauge(name: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.GAUGE, text, labels or ("target",))


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, Kind.COUNTER, text, labels or ("target",))


def _histogram(name: str, text: str, *buckets: float) -> Family:
    return Family(name, Kind.HISTOGRAM, text, buckets=buckets)


# --- targets ----------------------------------------------------------------------------------------------------------------

TARGET_UP = _gauge(
    "forged_target_up",
    "1 when the last attempt to reach the source worked, 0 when not. Absent before the first, and while it is switched off.",
)
TARGET_PAUSED = _gauge(
    "forged_target_paused", "1 while a person has paused the target: it brings nothing home until forgectl resume."
)
TARGET_HELD = _gauge(
    "forged_target_held",
    "1 for the reason why cleanup and forgetting wait for a person (forgectl release), 0 for the others.",
    "target",
    "reason",
)
WATCH_ACTIVE = _gauge(
    "forged_watch_active", "1 while changes at the source are noticed as they happen, 0 while only polls find them."
)
LAST_SUCCESS = _gauge(
    "forged_last_success_timestamp_seconds",
    "When a look at everything last ended well, in seconds since the epoch; kept over restarts.",
)
BACKLOG_FILES = _gauge("forged_backlog_files", "Files known at the source that are not home yet. Absent while nobody knows.")
BACKLOG_BYTES = _gauge(
    "forged_backlog_bytes", "Bytes of the files known at the source that are not home yet. Absent while nobody knows."
)
LAG = _gauge(
    "forged_lag_seconds",
    "Age of the oldest settled file that is not home yet, by its last write; 0 when all are home. Absent while nobody knows.",
)
FREE_BYTES = _gauge(
    "forged_destination_free_bytes",
    "Free space of the file system that the target lands on, at most a minute ago. Absent while home is not there, or silent.",
)
CONNECTIONS = _gauge("forged_connections", "Open connections to the source.")
INSTANCE_END = _gauge(
    "forged_instance_end_timestamp_seconds",
    "When the rented box ends by itself, in seconds since the epoch. Absent where no provider says so.",
)

# --- the round ---------------------------------------------------------------------------------------------------------------

SCAN_DURATION = _histogram(
    "forged_scan_duration_seconds",
    "How long a complete scan of the source took.",
    *(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0),  # an agent's listing takes milliseconds, SFTP over oceans minutes
)
SCAN_FILES = _gauge("forged_scan_files", "Files that the last complete scan saw at the source.")
FILES_TRANSFERRED = _counter(
    "forged_files_transferred_total", "Files that came home. Adopted ones, which did not move, are not in it."
)
BYTES_TRANSFERRED = _counter(
    "forged_bytes_transferred_total",
    "Bytes that arrived from the source, as they arrive; bytes that had to come twice count twice.",
)
TRANSFER_DURATION = _histogram(
    "forged_transfer_duration_seconds",
    "How long a sync took that brought at least one file home.",
    *(0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0),  # from one picture to the first sync of a full disk
)
ARRIVAL_LATENCY = _histogram(
    "forged_arrival_latency_seconds",
    "From the last write at the source to the final name at home.",
    # Close together around what a watch promises (0.06 at the median, 0.25 for 99 of 100), then up to polls and outages.
    *(0.02, 0.04, 0.06, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0),
)
TRANSFERS_IN_FLIGHT = _gauge("forged_transfers_in_flight", "Files on their way home now.")
BYTES_IN_FLIGHT = _gauge("forged_bytes_in_flight", "Bytes asked for and not yet on disk.")
BANDWIDTH_LIMIT = _gauge(
    "forged_bandwidth_limit_bytes_per_second",
    "The bandwidth limit now. Absent where there is none. An empty target is the limit for all together.",
)
ERRORS = _counter(
    "forged_errors_total",
    "Failures by kind: of attempts, of whole syncs, and of single files that should have come home. Most heal by themselves.",
    "target",
    "kind",
)
RETRIES = _counter("forged_retries_total", "Attempts that were made again after a failure.")
VERIFY_FAILURES = _counter(
    "forged_verify_failures_total", "Files for which the two ends hashed different bytes; they are fetched again."
)
POLLS_SKIPPED = _counter(
    "forged_polls_skipped_total", "Polls that were left out because the sync before still ran. Nothing is lost by that."
)

# --- cleanup -----------------------------------------------------------------------------------------------------------------

CLEANUP_FILES = _counter("forged_cleanup_files_total", "Files that cleanup removed at the source.")
CLEANUP_BYTES = _counter("forged_cleanup_bytes_total", "Bytes that cleanup freed at the source.")
CLEANUP_DUE = _gauge(
    "forged_cleanup_due_timestamp_seconds",
    "When cleanup is due, or since when it has been, in seconds since the epoch. Absent where none is configured.",
)
CLEANUP_KEPT = _gauge("forged_cleanup_kept_files", "Files that the last cleanup left at the source, by reason.", "target", "reason")

# --- media and ingest --------------------------------------------------------------------------------------------------------

MEDIA_PROCESSED = _counter(
    "forged_media_processed_total",
    "Files at home that were looked into, by kind of media, and by result: done, problem, changed, gone, given_up.",
    "target",
    "kind",
    "result",
)
MEDIA_QUEUE = _gauge("forged_media_queue_files", "Files at home that wait to be looked into.")
INGEST_EVENTS = _counter(
    "forged_ingest_events_total",
    "Events brought to the handler, by result: taken, or failed, which come again.",
    "handler",
    "result",
)
INGEST_BACKLOG = _gauge("forged_ingest_backlog_events", "Events that the handler has not taken yet.", "handler")
INGEST_SET_ASIDE = _gauge(
    "forged_ingest_set_aside_events", "Events that the handler failed on too often; they wait for a person.", "handler"
)

# --- the daemon --------------------------------------------------------------------------------------------------------------

DISCOVERY_UP = _gauge(
    "forged_discovery_up", "1 when the last question which instances exist was answered, 0 when not.", "discovery"
)
RELOADS = _counter(
    "forged_reloads_total",
    "Reloads of the configuration, by result: changed, or refused, which left everything as it was.",
    "result",
)

BUILD_INFO = "forged_build"
"""Shown as forged_build_info: the exposition formats add the suffix of an info metric themselves."""

BUILD_INFO_HELP = "The version that runs; always 1."

ALL: tuple[Family, ...] = (
    *(
        TARGET_UP,
        TARGET_PAUSED,
        TARGET_HELD,
        WATCH_ACTIVE,
        LAST_SUCCESS,
        BACKLOG_FILES,
        BACKLOG_BYTES,
        LAG,
        FREE_BYTES,
        CONNECTIONS,
    ),
    *(INSTANCE_END, SCAN_DURATION, SCAN_FILES, FILES_TRANSFERRED, BYTES_TRANSFERRED, TRANSFER_DURATION, ARRIVAL_LATENCY),
    *(TRANSFERS_IN_FLIGHT, BYTES_IN_FLIGHT, BANDWIDTH_LIMIT, ERRORS, RETRIES, VERIFY_FAILURES, POLLS_SKIPPED),
    *(CLEANUP_FILES, CLEANUP_BYTES, CLEANUP_DUE, CLEANUP_KEPT, MEDIA_PROCESSED, MEDIA_QUEUE, INGEST_EVENTS, INGEST_BACKLOG),
    *(INGEST_SET_ASIDE, DISCOVERY_UP, RELOADS),
)
