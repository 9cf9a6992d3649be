"""The upper rows of forged's dashboard: how the targets stand, and what comes home."""

from __future__ import annotations

from tests.grafana.asking import BAD, DOUBTFUL, FREE, RARELY, RATE, WAIT, YES, daemon, lines, of, pace, quantile, stat
from tests.grafana.panels import Ask, Column, Look, Panel, Row, Steps, Words

NOW = Row(
    "Now",
    (
        stat(
            "Targets down",
            "Boxes that could not be reached at the last attempt. forgectl status says why.",
            f"count({of('forged_target_up')} == 0) or vector(0)",
            steps=BAD,
        ),
        stat(
            "Held",
            "Targets whose cleanup and forgetting wait for a person: look at both ends, then forgectl release TARGET.",
            f"sum({of('forged_target_held')}) or vector(0)",
            steps=DOUBTFUL,
        ),
        stat(
            "Files not home",
            "Files that are known at the boxes and not home yet.",
            f"sum({of('forged_backlog_files')})",
            spark=True,
        ),
        stat(
            "Longest wait",
            "Age of the oldest finished file that is not home yet.",
            f"max({of('forged_lag_seconds')})",
            "s",
            steps=WAIT,
        ),
        stat(
            "Coming home",
            "Bytes a second that arrive now, from all boxes together.",
            f"sum(rate({of('forged_bytes_transferred_total')}[{RATE}]))",
            "Bps",
            spark=True,
        ),
        stat(
            "A new file is home after",
            "The median over the chosen time, from the last write at the box to the final name at home.",
            f"histogram_quantile(0.5, sum by (le) (rate({of('forged_arrival_latency_seconds_bucket')}[$__range])))",
            "s",
        ),
        stat(
            "Files home",
            "Files that came home in the chosen time.",
            f"sum(increase({of('forged_files_transferred_total')}[$__range]))",
        ),
        stat(
            "Freed at the boxes",
            "Bytes that cleanup removed at the boxes in the chosen time, each with proof that it is safe at home.",
            f"sum(increase({of('forged_cleanup_bytes_total')}[$__range]))",
            "decbytes",
        ),
        stat(
            "Least room at home",
            "The fullest home. Below min_free (1 GB unless configured) nothing comes home any more.",
            f"min({of('forged_destination_free_bytes')})",
            "decbytes",
            steps=FREE,
        ),
        stat(
            "Differing hashes",
            "Files that were not the same at both ends in the chosen time. They are fetched again; a bad disk shows here.",
            f"sum(increase({of('forged_verify_failures_total')}[$__range]))",
            steps=DOUBTFUL,
        ),
        stat(
            "Events not taken",
            "Events that wait for ingest handlers.",
            f"sum({daemon('forged_ingest_backlog_events')}) or vector(0)",
            steps=(("green", None), ("orange", 1000.0)),
        ),
        stat(
            "Events set aside",
            "Events that a handler failed on too often. forgectl ingest shows them; retry or drop.",
            f"sum({daemon('forged_ingest_set_aside_events')}) or vector(0)",
            steps=DOUBTFUL,
        ),
    ),
)


def _column(name: str, title: str, unit: str = "none", steps: Steps = (), words: Words = ()) -> Column:
    return Column(f"max by (target) ({of(name)})", title, unit, steps, words)


TARGETS = Row(
    "Targets",
    (
        Panel(
            "Targets",
            Look.TABLE,
            "One line for each target, as it is now.",
            width=24,
            height=8,
            columns=(
                _column("forged_target_up", "Up", words=YES),
                _column("forged_watch_active", "Watched", words=(("1", "yes", "green"), ("0", "polled", "blue"))),
                _column("forged_target_paused", "Paused", words=RARELY),
                _column("forged_target_held", "Held", words=RARELY),
                _column("forged_backlog_files", "Files waiting", "short"),
                _column("forged_backlog_bytes", "Bytes waiting", "decbytes"),
                _column("forged_lag_seconds", "Longest wait", "s", steps=WAIT),
                Column(pace("forged_bytes_transferred_total"), "Coming home", "Bps"),
                Column(f"max by (target) (time() - {of('forged_last_success_timestamp_seconds')})", "Last sync, ago", "s"),
                _column("forged_scan_files", "Files at the box", "short"),
                _column("forged_connections", "Connections", "short"),
                Column(f"max by (target) ({of('forged_instance_end_timestamp_seconds')} - time())", "Box ends in", "s"),
                _column("forged_destination_free_bytes", "Free at home", "decbytes", steps=FREE),
            ),
        ),
        Panel(
            "Reached",
            Look.STATES,
            "When each box could be reached, and when not.",
            (Ask(f"max by (target) ({of('forged_target_up')})", "{{target}}"),),
            width=12,
            height=6,
            steps=(("red", None), ("green", 1.0)),
            words=(("1", "reached", "green"), ("0", "not reached", "red")),
        ),
        Panel(
            "Watched, paused, held",
            Look.STATES,
            "Whether new files are noticed at once, whether a person has paused the target, and whether it waits for one.",
            (
                Ask(f"max by (target) ({of('forged_watch_active')})", "{{target}} watched"),
                Ask(f"max by (target) ({of('forged_target_paused')} * 2) > 0", "{{target}} paused"),
                Ask(f"max by (target, reason) ({of('forged_target_held')} * 3) > 0", "{{target}} held: {{reason}}"),
            ),
            width=12,
            height=6,
            words=(("0", "polled", "blue"), ("1", "watched", "green"), ("2", "paused", "yellow"), ("3", "held", "orange")),
        ),
    ),
)

THROUGHPUT = Row(
    "Throughput",
    (
        lines(
            "Bytes coming home",
            "Bytes a second that arrive, by target. Dashed: the limit that is set; the one without a target is for all together.",
            Ask(pace("forged_bytes_transferred_total"), "{{target}}"),
            Ask(f"max by (target) ({of('forged_bandwidth_limit_bytes_per_second')})", "limit {{target}}", dashed=True),
            unit="Bps",
            width=12,
            height=8,
        ),
        lines(
            "Files coming home",
            "Files a minute that get their final name, by target.",
            Ask(f"60 * {pace('forged_files_transferred_total')}", "{{target}}"),
            unit="short",
            width=12,
            height=8,
            stacked=True,
        ),
        lines(
            "On the way",
            "Files on their way home now, by target.",
            Ask(f"sum by (target) ({of('forged_transfers_in_flight')})", "{{target}}"),
        ),
        lines(
            "Asked for and not yet on disk",
            "It has a bound (in_flight): a slow disk at home slows the boxes down, and does not fill the memory.",
            Ask(f"sum by (target) ({of('forged_bytes_in_flight')})", "{{target}}"),
            unit="decbytes",
        ),
        lines(
            "How long a sync takes",
            "Of those that brought at least one file.",
            Ask(quantile(0.5, "forged_transfer_duration_seconds"), "half of them"),
            Ask(quantile(0.95, "forged_transfer_duration_seconds"), "95 of 100"),
            unit="s",
        ),
    ),
)

BACKLOG = Row(
    "Waiting to come home",
    (
        lines(
            "Files not home",
            "Known at the box, and not home yet. Files that are still being written are among them.",
            Ask(f"sum by (target) ({of('forged_backlog_files')})", "{{target}}"),
        ),
        lines(
            "Bytes not home",
            "What would be lost if the box vanished now.",
            Ask(f"sum by (target) ({of('forged_backlog_bytes')})", "{{target}}"),
            unit="decbytes",
        ),
        lines(
            "Longest wait",
            "Age of the oldest finished file that is not home yet, from its last write. It grows while a box cannot be reached; "
            "where a box was not seen yet since forged started, there is no line.",
            Ask(f"max by (target) ({of('forged_lag_seconds')})", "{{target}}"),
            unit="s",
        ),
        lines(
            "Box ends in",
            "What a provider says of rented boxes. Below zero it should be gone.",
            Ask(f"max by (target) ({of('forged_instance_end_timestamp_seconds')} - time())", "{{target}}"),
            unit="s",
            width=12,
            least=None,
        ),
        lines(
            "All home in",
            "How long what waits still needs at the pace of now. Compare it with the end of the box.",
            Ask(
                f"sum by (target) ({of('forged_backlog_bytes')}) / ({pace('forged_bytes_transferred_total')} > 0)",
                "{{target}}",
            ),
            unit="s",
            width=12,
        ),
    ),
)

LATENCY = Row(
    "How soon",
    (
        Panel(
            "From the last write at the box to the final name at home",
            Look.HEATMAP,
            "Each column is a moment, each cell so many files. What lies above a minute was not noticed at once, or waited.",
            (Ask(f"sum by (le) (increase({of('forged_arrival_latency_seconds_bucket')}[{RATE}]))", "{{le}}"),),
            width=12,
            height=8,
            unit="s",
        ),
        lines(
            "Arrival, in shares",
            "Half, 95 and 99 of 100 files were home after so long.",
            Ask(quantile(0.5, "forged_arrival_latency_seconds"), "half"),
            Ask(quantile(0.95, "forged_arrival_latency_seconds"), "95 of 100"),
            Ask(quantile(0.99, "forged_arrival_latency_seconds"), "99 of 100"),
            unit="s",
            width=12,
            height=8,
        ),
        lines(
            "How long a look at the whole box takes",
            "The median, by target.",
            Ask(quantile(0.5, "forged_scan_duration_seconds", "target"), "{{target}}"),
            unit="s",
            width=12,
        ),
        lines(
            "Files at the box",
            "What the last whole look saw. Cleanup keeps it low.",
            Ask(f"max by (target) ({of('forged_scan_files')})", "{{target}}"),
            width=12,
        ),
    ),
)
