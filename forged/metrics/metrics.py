"""What is measured: an observer that turns facts into numbers, and setters for what only the daemon knows.

The series are bounded: facts and values of a target that was not announced by `expect`, or that was forgotten again, are dropped.
So a late fact of a removed target does not bring its series back, and an ad-hoc sync under any name leaves none.
"""

from __future__ import annotations

import enum
import platform
from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, Info, Metric, ProcessCollector

from forged.kit.clock import Clock
from forged.metrics import names
from forged.metrics.names import Family, Kind
from forged.model.errors import ForgedError
from forged.model.files import HARMLESS, Problem, ScanSummary
from forged.model.jobs import JobResult
from forged.model.observer import BytesArrived, Fact, FilesExamined, FilesLanded, FileTrouble, Retried, ScanEnded, VerifyFailed
from forged.model.removal import KeptBecause
from forged.model.transfer import LandedAs
from forged.rules.safety import Doubt

_FROM_ZERO = tuple(f for f in names.ALL if f.labels == ("target",) and f.kind is not Kind.GAUGE)
"""Shown from the first moment of a target: `increase()` misses a counter's first step when the series begins with it."""

MOST_TARGETS = 1000
"""With series, at one time. A target has some 75 of them, which is a page of 5 MB every few seconds. A discovery may show ten
times as many boxes (discovery/base.MOST_BOXES), which are synced all the same."""

_OF_ALL = ""
"""The value of `target` for what concerns all targets together; to Prometheus an empty label is no label."""


class ReloadResult(enum.Enum):
    """How a reload of the configuration ended: the words of forged_reloads_total{result}."""

    CHANGED = "changed"
    REFUSED = "refused"


class Registry(CollectorRegistry):
    """A registry that shows what was fed and nothing else.

    Left out are families without a series, and the `_created` series that prometheus_client adds to every counter and histogram:
    they are no names of ours, and would be a quarter of the page.
    """

    def collect(self) -> Iterable[Metric]:
        for metric in super().collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            if metric.samples:
                yield metric


class Metrics:
    """All numbers of one daemon. Its `registry` is its own, so that several may live in one process."""

    def __init__(self, clock: Clock, *, version: str) -> None:
        self.registry = Registry()
        self._clock = clock
        self._targets: set[str] = set()
        self._gauges = {f: Gauge(f.name, f.help, f.labels, registry=self.registry) for f in _of(Kind.GAUGE)}
        self._counters = {f: Counter(f.name, f.help, f.labels, registry=self.registry) for f in _of(Kind.COUNTER)}
        self._histograms = {
            f: Histogram(f.name, f.help, f.labels, registry=self.registry, buckets=f.buckets) for f in _of(Kind.HISTOGRAM)
        }
        Info(names.BUILD_INFO, names.BUILD_INFO_HELP, registry=self.registry).info(
            {"version": version, "python": platform.python_version()}
        )
        for result in ReloadResult:
            self._counters[names.RELOADS].labels(result.value)
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    # --- which targets there are

    def expect(self, targets: Iterable[str]) -> list[str]:
        """These are configured from now on; their counters begin at 0. Those known already keep their values.

        Answers those that get no series, because there are MOST_TARGETS already.
        """
        left_out = []
        for target in targets:
            if target not in self._targets and len(self._targets) >= MOST_TARGETS:
                left_out.append(target)
                continue
            self._targets.add(target)
            for family in _FROM_ZERO:
                (self._counters.get(family) or self._histograms[family]).labels(target)
        return left_out

    def forget(self, target: str) -> None:
        """The target is configured no more: all its series go, and nothing brings them back."""
        self._targets.discard(target)
        for family, metric in (self._gauges | self._counters | self._histograms).items():
            if "target" in family.labels:
                metric.remove_by_labels({"target": target})

    # --- what the rooms report

    def notice(self, fact: Fact) -> None:
        """Takes one fact (model/observer)."""
        match fact:
            case BytesArrived(target=target, size_bytes=size_bytes):
                self._add(names.BYTES_TRANSFERRED, target, size_bytes)
            case FilesLanded():
                self._landed(fact)
            case FilesExamined(target=target, kind=kind, result=result, files=files):
                self._add(names.MEDIA_PROCESSED, target, files, kind.value, result.value)
            case FileTrouble(target=target, problem=problem):
                self._trouble(target, problem)
            case VerifyFailed(target=target):
                self._add(names.VERIFY_FAILURES, target)
            case ScanEnded(target=target, summary=summary, duration_s=duration_s):
                self._scanned(target, summary, duration_s)
            case Retried(target=target, error=error):
                self._add(names.RETRIES, target)
                self.failed(target, error)
            case _:
                pass

    def _landed(self, fact: FilesLanded) -> None:
        brought = [one for one in fact.landed if one.how is not LandedAs.ADOPTED]  # the others were home before, who knows when
        if brought and fact.target in self._targets:
            self._add(names.FILES_TRANSFERRED, fact.target, len(brought))
            latency = self._histograms[names.ARRIVAL_LATENCY].labels(fact.target)
            for one in brought:
                latency.observe(fact.latency_s(one))

    def _trouble(self, target: str, problem: Problem) -> None:
        if problem.kind not in HARMLESS:
            self._add(names.ERRORS, target, 1, problem.kind.value)

    def _scanned(self, target: str, summary: ScanSummary, duration_s: float) -> None:
        if summary.complete:  # a scan that broke off is ignorance: its numbers would be wrong ones
            self._observe(names.SCAN_DURATION, target, duration_s)
            self._set(names.SCAN_FILES, target, summary.files)

    # --- what the daemon tells, as it happens

    def target_up(self, target: str, up: bool) -> None:
        """Whether the source could be reached at the last attempt."""
        self._set(names.TARGET_UP, target, up)

    def nobody_tries(self, target: str) -> None:
        """Nobody is there to be reached: neither up nor down."""
        self._gauges[names.TARGET_UP].remove_by_labels({"target": target})

    def discovery_up(self, discovery: str, up: bool) -> None:
        """Whether the last question which instances exist was answered."""
        self._gauges[names.DISCOVERY_UP].labels(discovery).set(up)

    def forget_discovery(self, discovery: str) -> None:
        """It is configured no more."""
        self._gauges[names.DISCOVERY_UP].remove_by_labels({"discovery": discovery})

    def expect_handler(self, handler: str) -> None:
        """It is configured: its counters begin at 0."""
        for result in ("taken", "failed"):
            self._counters[names.INGEST_EVENTS].labels(handler, result)

    def ingested(self, handler: str, events: int, *, taken: bool) -> None:
        """So many events were brought to it. What it does not take comes again, and counts again."""
        self._counters[names.INGEST_EVENTS].labels(handler, "taken" if taken else "failed").inc(events)

    def ingest_waiting(self, handler: str, events: int, set_aside: int = 0) -> None:
        """So many wait for it, and so many more for a person."""
        self._gauges[names.INGEST_BACKLOG].labels(handler).set(events)
        self._gauges[names.INGEST_SET_ASIDE].labels(handler).set(set_aside)

    def forget_handler(self, handler: str) -> None:
        """It is configured no more."""
        self._counters[names.INGEST_EVENTS].remove_by_labels({"handler": handler})
        self._gauges[names.INGEST_BACKLOG].remove_by_labels({"handler": handler})
        self._gauges[names.INGEST_SET_ASIDE].remove_by_labels({"handler": handler})

    def media_waiting(self, target: str, files: int) -> None:
        """So many files at home wait to be looked into."""
        self._set(names.MEDIA_QUEUE, target, files)

    def instance_ends(self, target: str, end_ns: int | None) -> None:
        """When the rented instance ends by itself; None: it does not, or nobody says."""
        if end_ns is None:
            self._gauges[names.INSTANCE_END].remove_by_labels({"target": target})
        else:
            self._set(names.INSTANCE_END, target, end_ns / 1e9)

    def paused(self, target: str, paused: bool) -> None:
        """Whether a person has paused it."""
        self._set(names.TARGET_PAUSED, target, paused)

    def held(self, target: str, reason: str | None) -> None:
        """The reason of the target's hold (`Hold.reason`); None = it is not held."""
        self._gauges[names.TARGET_HELD].remove_by_labels({"target": target})
        for known in {doubt.value for doubt in Doubt} | ({reason} if reason else set()):
            self._set(names.TARGET_HELD, target, known == reason, known)

    def watch_active(self, target: str, active: bool) -> None:
        """Whether a watch lives."""
        self._set(names.WATCH_ACTIVE, target, active)

    def sync_ended(self, target: str, result: JobResult, at_ns: int) -> None:
        """A sync ended, well or not, at this time of day."""
        if result.success:
            self._set(names.LAST_SUCCESS, target, at_ns / 1e9)
        if result.files_transferred:
            self._observe(names.TRANSFER_DURATION, target, result.duration_s)

    def last_success(self, target: str, at_ns: int) -> None:
        """When a sync last ended well, remembered from before this start."""
        self._set(names.LAST_SUCCESS, target, at_ns / 1e9)

    def failed(self, target: str, error: ForgedError) -> None:
        """Something ended with this error. Attempts that are made again need not be told: `Retried` is counted as well."""
        self._add(names.ERRORS, target, 1, error.kind)

    def poll_skipped(self, target: str) -> None:
        """A poll was due while the sync before still ran."""
        self._add(names.POLLS_SKIPPED, target)

    def cleaned(self, target: str, files: int, size_bytes: int, kept: Mapping[KeptBecause, int]) -> None:
        """A cleanup ended: what it removed (0 and 0 for a dry run), and how many files it left, by reason."""
        self._add(names.CLEANUP_FILES, target, files)
        self._add(names.CLEANUP_BYTES, target, size_bytes)
        self._gauges[names.CLEANUP_KEPT].remove_by_labels({"target": target})
        for reason, count in kept.items():
            self._set(names.CLEANUP_KEPT, target, count, reason.value)

    def cleanup_due(self, target: str, at_ns: int | None) -> None:
        """When the next cleanup is due by this time of day; None: none is configured."""
        if at_ns is None:
            self._gauges[names.CLEANUP_DUE].remove_by_labels({"target": target})
        else:
            self._set(names.CLEANUP_DUE, target, at_ns / 1e9)

    def reloaded(self, result: ReloadResult) -> None:
        """The configuration was read again."""
        self._counters[names.RELOADS].labels(result.value).inc()

    # --- what is so now; best told right before the page is read (MetricsPage's `refresh`)

    def backlog(self, target: str, files: int | None, size_bytes: int | None) -> None:
        """What is known at the source and not home yet; None: nobody knows, and there is no sample."""
        for family, value in ((names.BACKLOG_FILES, files), (names.BACKLOG_BYTES, size_bytes)):
            if value is None:
                self._gauges[family].remove_by_labels({"target": target})
            else:
                self._set(family, target, value)

    def lag(self, target: str, age_s: float | None) -> None:
        """How old the oldest settled file is that is not home yet; 0 = all are home, None: nobody knows, and there is no sample.

        It ages by itself until told otherwise: while a box cannot be reached nobody looks, and that is when it matters.
        """
        if age_s is None:
            self._gauges[names.LAG].remove_by_labels({"target": target})
        elif target in self._targets:
            born_s = self._clock.monotonic_s() - age_s if age_s else None
            self._gauges[names.LAG].labels(target).set_function(
                lambda: 0.0 if born_s is None else self._clock.monotonic_s() - born_s
            )

    def free_bytes(self, target: str, size_bytes: int | None) -> None:
        """Free space at home; None: home is not there, or was not asked yet."""
        if size_bytes is None:
            self._gauges[names.FREE_BYTES].remove_by_labels({"target": target})
        else:
            self._set(names.FREE_BYTES, target, size_bytes)

    def connections(self, target: str, count: int) -> None:
        """Open connections to the source."""
        self._set(names.CONNECTIONS, target, count)

    def in_flight(self, target: str, files: int, size_bytes: int) -> None:
        """What is on its way home."""
        self._set(names.TRANSFERS_IN_FLIGHT, target, files)
        self._set(names.BYTES_IN_FLIGHT, target, size_bytes)

    def bandwidth_limit(self, target: str | None, bytes_per_s: float | None) -> None:
        """The limit of one target, or (None) of all together; no rate = no limit."""
        gauge, label = self._gauges[names.BANDWIDTH_LIMIT], _OF_ALL if target is None else target
        if bytes_per_s is None:
            gauge.remove(label)
        elif target is None or target in self._targets:
            gauge.labels(label).set(bytes_per_s)

    # --- the bound

    def _set(self, family: Family, target: str, value: float, *labels: str) -> None:
        if target in self._targets:
            self._gauges[family].labels(target, *labels).set(value)

    def _add(self, family: Family, target: str, amount: float = 1, *labels: str) -> None:
        if target in self._targets:
            self._counters[family].labels(target, *labels).inc(amount)

    def _observe(self, family: Family, target: str, value: float) -> None:
        if target in self._targets:
            self._histograms[family].labels(target).observe(value)


def _of(kind: Kind) -> list[Family]:
    return [family for family in names.ALL if family.kind is kind]
