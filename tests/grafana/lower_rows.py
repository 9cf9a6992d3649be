"""The lower rows of forged's dashboard: what goes wrong, what is freed, what is made of the files, and forged itself."""

from __future__ import annotations

from tests.grafana.asking import CALM, DOUBTFUL, RATE, YES, daemon, lines, of, pace, stat
from tests.grafana.panels import Ask, Column, Look, Panel, Row

TROUBLE = Row(
    "Trouble",
    (
        lines(
            "Failures",
            "A minute, by target and kind. A kind that goes on is in forgectl status, with what to do.",
            Ask(f"60 * sum by (target, kind) (rate({of('forged_errors_total')}[{RATE}])) > 0", "{{target}}: {{kind}}"),
            width=12,
            stacked=True,
            bars=True,
        ),
        lines(
            "Tried again",
            "Attempts that were made again, files whose hashes differed, and polls that were left out because a sync still ran.",
            Ask(f"sum by (target) (increase({of('forged_retries_total')}[{RATE}]))", "{{target}}"),
            Ask(f"sum(increase({of('forged_verify_failures_total')}[{RATE}]))", "hashes differed"),
            Ask(f"sum(increase({of('forged_polls_skipped_total')}[{RATE}]))", "poll left out"),
            width=12,
        ),
    ),
)

CLEANUP = Row(
    "Cleanup at the boxes",
    (
        lines(
            "Freed",
            "Bytes a second that cleanup removes at the boxes.",
            Ask(pace("forged_cleanup_bytes_total"), "{{target}}"),
            unit="Bps",
            stacked=True,
            width=6,
        ),
        lines(
            "Files removed",
            "A minute, by target.",
            Ask(f"60 * {pace('forged_cleanup_files_total')}", "{{target}}"),
            stacked=True,
            width=6,
        ),
        Panel(
            "Kept by the last cleanup",
            Look.BARS,
            "Why files stay. young and preserved are as configured; forgectl cleanup TARGET --dry-run names the others.",
            (Ask(f"sum by (target, reason) ({of('forged_cleanup_kept_files')})", "{{target}}: {{reason}}"),),
            width=6,
            steps=CALM,
        ),
        lines(
            "Overdue",
            "For how long cleanup has been due without going well: the box is off, the target paused, or forgectl status says why.",
            Ask(f"clamp_min(max by (target) (time() - {of('forged_cleanup_due_timestamp_seconds')}), 0)", "{{target}}"),
            unit="s",
            width=6,
        ),
    ),
)

LIBRARY = Row(
    "Media and ingest",
    (
        lines(
            "Looked into",
            "Files a minute at home whose prompt, seed and model were read, by kind and result.",
            Ask(f"60 * {pace('forged_media_processed_total', 'kind, result')}", "{{kind}}: {{result}}"),
            stacked=True,
        ),
        lines(
            "Waiting to be looked into",
            "If it does not shrink, forgectl status says why: often exiftool is missing.",
            Ask(f"sum by (target) ({of('forged_media_queue_files')})", "{{target}}"),
        ),
        lines(
            "Events delivered",
            "A minute, by handler. What is not taken comes again.",
            Ask(
                f"60 * sum by (handler, result) (rate({daemon('forged_ingest_events_total')}[{RATE}])) > 0",
                "{{handler}} {{result}}",
            ),
        ),
        lines(
            "Events not taken",
            "They wait in the state database. A handler that is required holds up cleanup with them.",
            Ask(f"max by (handler) ({daemon('forged_ingest_backlog_events')})", "{{handler}}"),
            width=12,
        ),
        lines(
            "Discovery answers",
            "1 while a provider says which boxes there are, 0 while it does not.",
            Ask(f"min by (discovery) ({daemon('forged_discovery_up')})", "{{discovery}}"),
            width=12,
        ),
    ),
)

HOME = Row(
    "Home",
    (
        lines(
            "Free at home",
            "Of the file system that each target lands on.",
            Ask(f"min by (target) ({of('forged_destination_free_bytes')})", "{{target}}"),
            unit="decbytes",
            width=12,
        ),
        lines(
            "Free in 24 hours, if it goes on so",
            "From the last 6 hours. At zero the targets wait until there is room.",
            Ask(
                f"clamp_min(min by (target) (predict_linear({of('forged_destination_free_bytes')}[6h], 86400)), 0)",
                "{{target}}",
            ),
            unit="decbytes",
            width=12,
        ),
    ),
)

ITSELF = Row(
    "forged itself",
    (
        lines(
            "Processor",
            "Of the daemon alone: what writes at home, and what opens media, are processes of their own.",
            Ask(f"rate({daemon('process_cpu_seconds_total')}[{RATE}])", "{{instance}}"),
            unit="percentunit",
            width=6,
        ),
        lines(
            "Memory",
            "Resident, of the daemon alone. It has a bound, whatever the size of files and trees.",
            Ask(daemon("process_resident_memory_bytes"), "{{instance}}"),
            unit="decbytes",
            width=6,
        ),
        lines(
            "Open descriptors",
            "Dashed: the bound of the system (LimitNOFILE).",
            Ask(daemon("process_open_fds"), "{{instance}}"),
            width=6,
        ),
        lines(
            "Garbage collections",
            "Python's, a second, by generation.",
            Ask(f"sum by (generation) (rate({daemon('python_gc_collections_total')}[{RATE}]))", "generation {{generation}}"),
            width=6,
        ),
        stat("Up for", "Since the last start.", f"time() - min({daemon('process_start_time_seconds')})", "s"),
        stat(
            "Reloads refused",
            "In the chosen time. A refused one changed nothing; forged check says what is wrong with the file.",
            f"sum(increase({daemon('forged_reloads_total', result='refused')}[$__range]))",
            steps=DOUBTFUL,
        ),
        Panel(
            "Versions",
            Look.TABLE,
            "What runs where.",
            width=16,
            height=4,
            columns=(Column(f"max by (instance, version, python) ({daemon('forged_build_info')})", "Runs", words=YES),),
        ),
    ),
)
