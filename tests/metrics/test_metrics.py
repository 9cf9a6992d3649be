"""Facts become numbers, and only for targets that are configured."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import generate_latest

from forged.kit.clock import HandClock
from forged.metrics import names
from forged.metrics.metrics import MOST_TARGETS, Metrics, ReloadResult
from forged.metrics.names import Family, Kind
from forged.model.errors import SourceUnreachable
from forged.model.files import HARMLESS, Entry, Problem, ProblemKind, ScanSummary, Stat
from forged.model.jobs import JobResult
from forged.model.observer import (
    BytesArrived,
    FilesLanded,
    FilesWanted,
    FileTrouble,
    HostKeyPinned,
    Retried,
    ScanEnded,
    ScanStarted,
    VerifyFailed,
)
from forged.model.paths import home_path, source_path
from forged.model.plan import PlanCount
from forged.model.removal import KeptBecause
from forged.model.transfer import Landed, LandedAs

ENTRY = Entry(source_path(b"a.png"), Stat(1_000, 1))


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def metrics(clock: HandClock) -> Metrics:
    made = Metrics(clock, version="1.2.3")
    made.expect(["box"])
    return made


def value(metrics: Metrics, family: Family, *labels: str, suffix: str = "") -> float | None:
    """One series' value; None when the page does not have it."""
    values = labels or ("box",)
    return metrics.registry.get_sample_value(family.name + suffix, dict(zip(family.labels, values, strict=True)))


def landed(how: LandedAs = LandedAs.NEW, latency_s: float = 0.05) -> FilesLanded:
    now_ns = ENTRY.stat.mtime_ns + round(latency_s * 1e9)
    return FilesLanded("box", [Landed(ENTRY, home_path(b"a.png"), b"", how)], now_ns)


def scanned(*, complete: bool) -> ScanEnded:
    return ScanEnded("box", ScanSummary(complete, 7, 700), PlanCount(), 0.2)


def trouble(kind: ProblemKind) -> FileTrouble:
    return FileTrouble("box", Problem(b"a.png", kind, "no"))


def everything(metrics: Metrics, target: str) -> None:
    """Says all that can be said of a target."""
    result = JobResult(True, 1, 1_000, 2.0)
    for fact in (
        BytesArrived(target, 1),
        FilesLanded(target, landed().landed, 1),
        FileTrouble(target, Problem(b"a", ProblemKind.MISMATCH, "no")),
        VerifyFailed(target, b"a"),
        ScanEnded(target, ScanSummary(True, 1, 1), PlanCount(), 1.0),
        Retried(target, SourceUnreachable(), 1, 1.0),
    ):
        metrics.notice(fact)
    metrics.target_up(target, True)
    metrics.paused(target, True)
    metrics.held(target, "emptied")
    metrics.watch_active(target, True)
    metrics.sync_ended(target, result, 1)
    metrics.last_success(target, 1)
    metrics.failed(target, SourceUnreachable())
    metrics.poll_skipped(target)
    metrics.cleaned(target, 1, 1, {KeptBecause.YOUNG: 1})
    metrics.backlog(target, 1, 1)
    metrics.lag(target, 1.0)
    metrics.free_bytes(target, 1)
    metrics.connections(target, 1)
    metrics.in_flight(target, 1, 1)
    metrics.bandwidth_limit(target, 1)


def text(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


# --- names


def test_the_names_are_those_of_the_design() -> None:
    design = """
    forged_target_up forged_target_paused forged_target_held{reason} forged_watch_active forged_last_success_timestamp_seconds
    forged_backlog_files forged_backlog_bytes forged_lag_seconds forged_scan_duration_seconds forged_scan_files
    forged_files_transferred_total forged_bytes_transferred_total forged_transfer_duration_seconds forged_arrival_latency_seconds
    forged_transfers_in_flight forged_bandwidth_limit_bytes_per_second forged_errors_total{kind} forged_retries_total
    forged_verify_failures_total forged_cleanup_files_total forged_cleanup_bytes_total forged_cleanup_kept_files{reason}
    forged_media_processed_total{kind,result} forged_media_queue_files forged_ingest_events_total{handler,result}
    forged_ingest_backlog_events{handler} forged_destination_free_bytes forged_connections forged_bytes_in_flight
    forged_polls_skipped_total forged_discovery_up{discovery} forged_instance_end_timestamp_seconds
    forged_ingest_set_aside_events{handler} forged_reloads_total{result}
    """
    more = {"forged_cleanup_due_timestamp_seconds"}
    assert {written(family) for family in names.ALL} == set(design.split()) | more


def written(family: Family) -> str:
    """As the design writes it: the label `target` goes without saying."""
    labels = [label for label in family.labels if label != "target"]
    return family.name + (f"{{{','.join(labels)}}}" if labels else "")


@pytest.mark.parametrize("family", names.ALL, ids=lambda family: family.name)
def test_a_family_explains_itself_and_its_buckets_ascend(family: Family) -> None:
    assert family.help.endswith(".")
    assert list(family.buckets) == sorted(set(family.buckets))
    assert bool(family.buckets) == (family.kind is Kind.HISTOGRAM)


# --- facts


def test_a_file_that_comes_home_counts_with_its_latency(metrics: Metrics) -> None:
    metrics.notice(landed(latency_s=0.05))
    metrics.notice(landed(latency_s=0.2))
    assert value(metrics, names.FILES_TRANSFERRED) == 2
    assert value(metrics, names.ARRIVAL_LATENCY, suffix="_count") == 2
    assert value(metrics, names.ARRIVAL_LATENCY, suffix="_sum") == pytest.approx(0.25)
    bucket = {"target": "box", "le": "0.06"}
    assert metrics.registry.get_sample_value("forged_arrival_latency_seconds_bucket", bucket) == 1


def test_an_adopted_file_has_not_moved_and_has_no_latency(metrics: Metrics) -> None:
    metrics.notice(landed(LandedAs.ADOPTED, latency_s=1e6))
    assert value(metrics, names.FILES_TRANSFERRED) == 0
    assert value(metrics, names.ARRIVAL_LATENCY, suffix="_count") == 0


def test_bytes_count_as_they_arrive(metrics: Metrics) -> None:
    for size_bytes in (10, 20):
        metrics.notice(BytesArrived("box", size_bytes))
    assert value(metrics, names.BYTES_TRANSFERRED) == 30


def test_a_complete_scan_is_measured(metrics: Metrics) -> None:
    metrics.notice(scanned(complete=True))
    assert value(metrics, names.SCAN_FILES) == 7
    assert value(metrics, names.SCAN_DURATION, suffix="_sum") == pytest.approx(0.2)


def test_a_scan_that_broke_off_is_ignorance(metrics: Metrics) -> None:
    metrics.notice(scanned(complete=False))
    assert value(metrics, names.SCAN_FILES) is None
    assert value(metrics, names.SCAN_DURATION, suffix="_count") == 0


@pytest.mark.parametrize("kind", ProblemKind)
def test_trouble_with_a_file_is_an_error_unless_it_is_harmless(kind: ProblemKind, metrics: Metrics) -> None:
    metrics.notice(trouble(kind))
    assert value(metrics, names.ERRORS, "box", kind.value) == (None if kind in HARMLESS else 1)


def test_different_bytes_at_both_ends_are_counted_although_they_are_fetched_again(metrics: Metrics) -> None:
    metrics.notice(VerifyFailed("box", b"a.png"))
    assert value(metrics, names.VERIFY_FAILURES) == 1
    assert value(metrics, names.ERRORS, "box", "mismatch") is None


def test_an_attempt_made_again_is_a_retry_and_an_error(metrics: Metrics) -> None:
    metrics.notice(Retried("box", SourceUnreachable(), attempt=1, wait_s=5))
    metrics.failed("box", SourceUnreachable())
    assert value(metrics, names.RETRIES) == 1
    assert value(metrics, names.ERRORS, "box", "source_unreachable") == 2


@pytest.mark.parametrize("fact", [ScanStarted("box"), FilesWanted("box", 1, 1), HostKeyPinned("box", "SHA256:x")], ids=repr)
def test_what_says_no_number_changes_none(fact: ScanStarted | FilesWanted | HostKeyPinned, metrics: Metrics) -> None:
    before = ours(metrics)
    metrics.notice(fact)
    assert ours(metrics) == before


# --- what the daemon tells


def test_a_good_sync_is_the_last_success_and_a_bad_one_is_not(metrics: Metrics) -> None:
    metrics.sync_ended("box", JobResult(True, 2, 10, 3.0), 5_000_000_000)
    metrics.sync_ended("box", JobResult(False, 0, 0, 9.0), 8_000_000_000)
    assert value(metrics, names.LAST_SUCCESS) == 5
    assert value(metrics, names.TRANSFER_DURATION, suffix="_count") == 1
    assert value(metrics, names.TRANSFER_DURATION, suffix="_sum") == 3


def test_a_hold_shows_its_reason_and_the_others_as_zero(metrics: Metrics) -> None:
    metrics.held("box", "emptied")
    assert value(metrics, names.TARGET_HELD, "box", "emptied") == 1
    assert value(metrics, names.TARGET_HELD, "box", "out_of_proportion") == 0
    metrics.held("box", None)
    assert value(metrics, names.TARGET_HELD, "box", "emptied") == 0


def test_a_reason_of_another_version_goes_with_its_hold(metrics: Metrics) -> None:
    metrics.held("box", "from_the_future")
    assert value(metrics, names.TARGET_HELD, "box", "from_the_future") == 1
    metrics.held("box", None)
    assert value(metrics, names.TARGET_HELD, "box", "from_the_future") is None


def test_a_cleanup_adds_up_and_shows_what_the_last_one_kept(metrics: Metrics) -> None:
    metrics.cleaned("box", 2, 200, {KeptBecause.YOUNG: 5, KeptBecause.CHANGED: 1})
    metrics.cleaned("box", 1, 100, {KeptBecause.YOUNG: 4})
    assert value(metrics, names.CLEANUP_FILES) == 3
    assert value(metrics, names.CLEANUP_BYTES) == 300
    assert value(metrics, names.CLEANUP_KEPT, "box", "young") == 4
    assert value(metrics, names.CLEANUP_KEPT, "box", "changed") is None


def test_lag_grows_while_nobody_looks(metrics: Metrics, clock: HandClock) -> None:
    metrics.lag("box", 10.0)
    clock.advance(5.0)
    assert value(metrics, names.LAG) == pytest.approx(15.0)
    metrics.lag("box", 0.0)
    clock.advance(5.0)
    assert value(metrics, names.LAG) == 0


def test_what_nobody_knows_has_no_sample(metrics: Metrics) -> None:
    """0 would say that all is home."""
    metrics.lag("box", 10.0)
    metrics.backlog("box", 3, 100)
    metrics.lag("box", None)
    metrics.backlog("box", None, None)
    assert value(metrics, names.LAG) is None
    assert value(metrics, names.BACKLOG_FILES) is None
    assert value(metrics, names.BACKLOG_BYTES) is None


def test_a_limit_that_ends_is_gone_from_the_page(metrics: Metrics) -> None:
    metrics.bandwidth_limit(None, 5_000_000)
    metrics.bandwidth_limit("box", 1_000_000)
    assert value(metrics, names.BANDWIDTH_LIMIT, "") == 5_000_000
    assert value(metrics, names.BANDWIDTH_LIMIT) == 1_000_000
    metrics.bandwidth_limit(None, None)
    metrics.bandwidth_limit("box", None)
    assert value(metrics, names.BANDWIDTH_LIMIT, "") is None
    assert value(metrics, names.BANDWIDTH_LIMIT) is None


def test_no_free_space_is_told_of_a_home_that_is_not_there(metrics: Metrics) -> None:
    metrics.free_bytes("box", 5)
    assert value(metrics, names.FREE_BYTES) == 5
    metrics.free_bytes("box", None)
    assert value(metrics, names.FREE_BYTES) is None


def test_reloads_count_from_zero(metrics: Metrics) -> None:
    assert value(metrics, names.RELOADS, "refused") == 0
    metrics.reloaded(ReloadResult.REFUSED)
    assert value(metrics, names.RELOADS, "refused") == 1
    assert value(metrics, names.RELOADS, "changed") == 0


# --- the bound


def test_a_forgotten_target_leaves_nothing_and_nothing_brings_it_back(metrics: Metrics) -> None:
    metrics.expect(["other"])
    for target in ("box", "other"):
        everything(metrics, target)
    metrics.forget("box")
    assert 'target="box"' not in text(metrics)
    everything(metrics, "box")
    assert 'target="box"' not in text(metrics)
    assert value(metrics, names.FILES_TRANSFERRED, "other") == 1


@given(st.lists(st.text(max_size=20), max_size=20))
def test_no_name_that_is_not_configured_makes_a_series(strangers: list[str]) -> None:
    metrics = Metrics(HandClock(), version="1")
    metrics.expect(["box"])
    before = ours(metrics)
    for stranger in strangers:
        everything(metrics, stranger)
    assert ours(metrics) == before


def test_a_flood_of_discovered_boxes_does_not_flood_the_page(metrics: Metrics) -> None:
    boxes = [f"flood-{n}" for n in range(MOST_TARGETS)]
    assert metrics.expect([*boxes, "box"]) == boxes[-1:]  # box was there before
    assert metrics.expect(["one-more"]) == ["one-more"]
    everything(metrics, "one-more")
    assert value(metrics, names.TARGET_UP, "one-more") is None
    metrics.forget(boxes[0])
    assert metrics.expect(["one-more"]) == []
    assert value(metrics, names.FILES_TRANSFERRED, "one-more") == 0


def test_expecting_a_target_again_keeps_its_numbers(metrics: Metrics) -> None:
    metrics.notice(landed())
    metrics.expect(["box", "other"])
    assert value(metrics, names.FILES_TRANSFERRED) == 1
    assert value(metrics, names.FILES_TRANSFERRED, "other") == 0


def test_two_daemons_in_one_process_do_not_share_numbers(metrics: Metrics, clock: HandClock) -> None:
    other = Metrics(clock, version="1")
    other.expect(["box"])
    metrics.notice(landed())
    assert value(other, names.FILES_TRANSFERRED) == 0


# --- the page


def test_a_family_that_nothing_feeds_is_not_shown(metrics: Metrics) -> None:
    shown = text(metrics)
    assert "forged_files_transferred_total" in shown
    for unfed in (names.TARGET_UP, names.MEDIA_PROCESSED, names.INGEST_BACKLOG, names.DISCOVERY_UP, names.LAG):
        assert unfed.name not in shown


def test_python_process_and_build_show_themselves(metrics: Metrics) -> None:
    shown = text(metrics)
    for name in ("process_resident_memory_bytes", "process_open_fds", "python_gc_collections_total"):
        assert f"\n{name}" in shown
    assert 'version="1.2.3"} 1.0' in shown


def test_the_page_has_no_names_that_are_not_ours(metrics: Metrics) -> None:
    everything(metrics, "box")
    known = {family.name for family in names.ALL} | {"forged_build_info"}
    assert {line.split()[2] for line in text(metrics).splitlines() if line.startswith("# TYPE forged_")} <= known
    assert "_created" not in text(metrics)


def ours(metrics: Metrics) -> list[str]:
    """The page without what the process says of itself, which changes by the moment."""
    return [line for line in text(metrics).splitlines() if re.match("forged_", line)]
