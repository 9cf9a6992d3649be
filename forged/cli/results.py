"""What a sync did, for people as lines and for programs as one JSON document.

The document of `forged once --json` (keys are only ever added):

    success, dry_run, by_daemon, duration_s, targets: [{
        target, success, job_id, sync_id, status, duration_s,
        files_listed, files_transferred, bytes_transferred, files_adopted, files_versioned, files_incomplete,
        files_waiting (not ready yet: they come with a later sync), files_failed,
        error: null | {kind, type, message, hint},  problems: [{path, path_b64?, kind, message}] (at most 100), problems_total
    }]

With `--dry-run` a target is `{target, success, files_listed, files_waiting, files_vanished, planned_files, planned_bytes, planned:
[{path, path_b64?, size_bytes, change}] (at most 10,000), error}`. Where nothing could begin (a configuration that does not
validate, exit 2; a state directory in use, exit 1), or a signal ended it (exit 130 or 143), it is
`{success: false, error: {kind, type, message, hint}, problems: [text]}`. `type` is the same word as `kind`, under forgectl's name.
`by_daemon`: a daemon runs here and did it (forged.cli.handed); what its jobs do not tell is then null.
Sizes are in bytes, times in seconds; `path_b64` is there only where the path is not UTF-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from forged.cli.telling import Line, Tone, columns, line, trouble
from forged.kit.units import human_duration, human_size
from forged.model.errors import ConfigError, ForgedError
from forged.model.files import HARMLESS, Problem, ProblemKind
from forged.model.paths import b64_if_needed, shown
from forged.sync.cycle import RoundResult
from forged.sync.preview import PlannedFile, Preview

Json = dict[str, object]

MOST_SHOWN = 10
"""Problems, or planned files, named on the screen for each target; all that are kept are in the JSON."""


def succeeded(results: Sequence[RoundResult | Preview]) -> bool:
    """Whether every target did what was asked."""
    return all(one.success if isinstance(one, RoundResult) else one.error is None for one in results)


def document(results: Sequence[RoundResult | Preview], *, dry_run: bool, duration_s: float) -> Json:
    """The whole JSON document."""
    targets = [round_json(one) if isinstance(one, RoundResult) else preview_json(one) for one in results]
    head: Json = {"success": succeeded(results), "dry_run": dry_run, "by_daemon": False}
    return head | {"duration_s": round(duration_s, 3), "targets": targets}


def refusal_json(error: ForgedError) -> Json:
    """The document when nothing could begin: no valid configuration, a state directory in use."""
    return {
        "success": False,
        "error": error_json(error),
        "problems": list(error.problems) if isinstance(error, ConfigError) else [],
    }


def round_json(result: RoundResult) -> Json:
    job, tally = result.job, result.tally
    return {
        "target": job.target,
        "success": result.success,
        "job_id": job.id,
        "sync_id": job.sync_id,
        "status": job.status.value,
        "duration_s": round(job.result.duration_s, 3) if job.result else 0.0,
        "files_listed": tally.listed,
        "files_transferred": tally.transferred,
        "bytes_transferred": tally.transferred_bytes,
        "files_adopted": tally.adopted,
        "files_versioned": tally.versions,
        "files_incomplete": tally.incomplete,
        "files_waiting": waiting(result),
        "files_failed": tally.failed,
        "error": error_json(result.error),
        "problems": [problem_json(problem) for problem in tally.problems],
        "problems_total": tally.troubled,
    }


def preview_json(preview: Preview) -> Json:
    return {
        "target": preview.target,
        "success": preview.error is None,
        "files_listed": preview.plan.listed,
        "files_waiting": preview.waiting,
        "files_vanished": preview.vanished,
        "planned_files": preview.total_files,
        "planned_bytes": preview.total_bytes,
        "planned": [planned_json(file) for file in preview.files],
        "error": error_json(preview.error),
    }


def planned_json(file: PlannedFile) -> Json:
    return path_json(file.entry.path) | {"size_bytes": file.entry.stat.size_bytes, "change": file.kind.value}


def problem_json(problem: Problem) -> Json:
    return path_json(problem.path) | {"kind": problem.kind.value, "message": problem.message}


def path_json(raw: bytes) -> Json:
    """`path` is text that any terminal may show; `path_b64` holds the exact bytes where they are not UTF-8."""
    exact = b64_if_needed(raw)
    return {"path": raw.decode("utf-8")} if exact is None else {"path": shown(raw), "path_b64": exact}


def error_json(error: ForgedError | None) -> Json | None:
    """`kind` and `type` are the same word: the first is older, the second is forgectl's."""
    return {"kind": error.kind, "type": error.kind, "message": error.message, "hint": error.hint} if error else None


# --- for people -----------------------------------------------------------------------------------------------------------


def summary(results: Sequence[RoundResult]) -> list[Line]:
    """A table with a row for each target, then what went wrong and what to do."""
    rows = [("target", "files", "size", "time", ""), *(summary_row(result) for result in results)]
    head, *body = columns(rows, right=frozenset({1, 2, 3}))
    lines = [line(head, Tone.QUIET)]
    lines += [line(text, Tone.PLAIN if result.success else Tone.BAD) for text, result in zip(body, results, strict=True)]
    for result in results:
        lines += troubles(result)
    return lines


def summary_row(result: RoundResult) -> tuple[str, ...]:
    job, tally = result.job, result.tally
    duration = human_duration(job.result.duration_s) if job.result else ""
    return (job.target, f"{tally.transferred:,}", human_size(tally.transferred_bytes), duration, ", ".join(remarks(result)))


def remarks(result: RoundResult) -> list[str]:
    """What a person should know beside the numbers."""
    tally = result.tally
    counted = (
        (tally.adopted, "already home"),
        (tally.versions, "beside another of that name"),
        (tally.incomplete, "unfinished but unchanged for long"),
        (waiting(result), "not ready yet"),
        (tally.failed, "failed"),
    )
    said = [f"{count:,} {words}" for count, words in counted if count]
    if result.error is not None:
        said.append(result.error.kind.replace("_", " "))
    return said or ["all home" if tally.transferred else "nothing new"]


def troubles(result: RoundResult) -> list[Line]:
    """The error that stopped a target, and the files that should have come home and did not."""
    lines = trouble(result.job.target, result.error) if result.error else []
    failed = [problem for problem in result.tally.problems if problem.kind not in HARMLESS]
    lines += [line(f"✘ {result.job.target}: {problem}", Tone.WARN) for problem in failed[:MOST_SHOWN]]
    hidden = result.tally.failed - min(len(failed), MOST_SHOWN)
    if hidden > 0:
        lines.append(line(f"  and {hidden:,} more (--json names up to 100)", Tone.WARN))
    return lines


NOT_READY = frozenset({ProblemKind.BROKEN, ProblemKind.CHANGED})
"""Found out only while reading: cut short, or still being written after all."""


def waiting(result: RoundResult) -> int:
    """Files that are not ready: still being written, or cut short. A later sync takes them."""
    found_out = {problem.path for problem in result.tally.problems if problem.kind in NOT_READY}
    return max(result.waiting.files, len(found_out))


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What a sync would bring home from one target; `named` are the first files, each with its change and size."""

    target: str
    listed: int
    files: int
    size_bytes: int
    waiting: int
    vanished: int
    named: Sequence[tuple[str, int, str]]


def preview_lines(preview: Preview) -> list[Line]:
    """What a sync would bring home, its beginning by name."""
    if preview.error is not None:
        return trouble(preview.target, preview.error)
    named = [(file.kind.value, file.entry.stat.size_bytes, shown(file.entry.path)) for file in preview.files[:MOST_SHOWN]]
    numbers = (preview.plan.listed, preview.total_files, preview.total_bytes, preview.waiting, preview.vanished)
    return foreseen_lines(Foreseen(preview.target, *numbers, named))


def foreseen_lines(seen: Foreseen) -> list[Line]:
    """A headline with the numbers, and the first files."""
    remarks = [f"{seen.waiting:,} not ready yet"] if seen.waiting else []
    remarks += [f"{seen.vanished:,} gone at the source (they stay home)"] if seen.vanished else []
    what = f"{seen.files:,} of {seen.listed:,} files would come home ({human_size(seen.size_bytes)})"
    lines = [line(", ".join([f"{seen.target}: {what}", *remarks]), Tone.TITLE)]
    rows = [(change, human_size(size_bytes), path) for change, size_bytes, path in seen.named[:MOST_SHOWN]]
    lines += [line(f"  {text}") for text in columns(rows, right=frozenset({1}))]
    if seen.files > len(rows):
        lines.append(line(f"  and {seen.files - len(rows):,} more (--json names up to 10,000)", Tone.QUIET))
    return lines
