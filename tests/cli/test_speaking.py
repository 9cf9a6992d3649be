"""What the commands say about a sync: the same facts for a person, a log and a program, and never a byte that a terminal obeys."""

import base64
import io
import json
import sys
from dataclasses import replace

import pytest
from rich.console import Console
from rich.spinner import Spinner

from forged.cli import bars, lines, results
from forged.cli.telling import Manner, columns, line, manner, print_json, say, trouble
from forged.daemon.progress import RATE_STEP_S, RATE_WINDOW_S, Progress, Rate
from forged.kit.clock import HandClock
from forged.model.errors import AuthRefused, ConfigError, SourceUnreachable
from forged.model.files import Entry, Problem, ProblemKind, ScanSummary, Stat
from forged.model.jobs import Job, JobId, JobResult, JobStatus
from forged.model.observer import BytesArrived, Fact, FilesLanded, FilesWanted, FileTrouble, Retried, ScanEnded, ScanStarted
from forged.model.paths import home_path, source_path
from forged.model.plan import ChangeKind, PlanCount
from forged.model.transfer import Landed, LandedAs
from forged.sync.cycle import RoundResult, Waiting
from forged.sync.preview import PlannedFile, Preview
from forged.sync.tally import Tally

EVIL = b"a\x1b[2J[red]\n\xff.png"
"""Clears a screen, is rich's markup, has a newline, and is not UTF-8."""

STAT = Stat(1_000_000, 0)


def landed(how: LandedAs = LandedAs.NEW, target: str = "forge") -> FilesLanded:
    one = Landed(Entry(source_path(EVIL), STAT), home_path(b"a"), b"", how)
    return FilesLanded(target, [one], 1, wanted=how is not LandedAs.ADOPTED)


def scanned(files: int = 4) -> ScanEnded:
    return ScanEnded("forge", ScanSummary(True, files, 0), PlanCount(), 0.1)


def told(*facts: Fact) -> tuple[Progress, HandClock]:
    """Progress after these facts, half a second apart."""
    clock = HandClock()
    progress = Progress(clock)
    progress.expect(["forge"])
    for fact in facts:
        clock.advance(0.5)
        progress.notice(fact)
    return progress, clock


def drawn(progress: Progress, clock: HandClock, *, moving: bool = True, width: int = 120) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(bars.board(progress, clock.monotonic_s(), Spinner("dots") if moving else None, width))
    return console.export_text()


# --- progress -------------------------------------------------------------------------------------------------------------

IN_THE_MIDDLE = (ScanStarted("forge"), FilesWanted("forge", 4, 4_000_000), BytesArrived("forge", 1_000_000), landed())


def test_progress_grows_with_the_facts() -> None:
    progress, clock = told(*IN_THE_MIDDLE, BytesArrived("forge", 500_000))
    target = progress.targets["forge"]
    assert (target.landed_files, target.total_files) == (1, 4)
    assert (target.done_bytes, target.wanted_bytes) == (1_500_000, 4_000_000)
    assert target.remaining_s(clock.monotonic_s()) == pytest.approx(2_500_000 / target.rate.bytes_per_s(clock.monotonic_s()))


def test_the_total_shrinks_by_files_that_do_not_come() -> None:
    vanished = FileTrouble("forge", Problem(b"x", ProblemKind.VANISHED, "gone"))
    unreadable = FileTrouble("forge", Problem(b"y", ProblemKind.UNREADABLE, "never was wanted"))
    progress, _ = told(*IN_THE_MIDDLE, vanished, unreadable)
    assert progress.targets["forge"].total_files == 3


def test_the_total_shrinks_by_files_that_were_home_when_they_came() -> None:
    at_home = landed(LandedAs.ADOPTED)
    progress, _ = told(*IN_THE_MIDDLE, replace(at_home, wanted=True), replace(at_home, wanted=False))
    target = progress.targets["forge"]
    assert (target.total_files, target.landed_files) == (3, 1)


def test_bytes_that_came_twice_do_not_count_twice() -> None:
    progress, _ = told(*IN_THE_MIDDLE, *[BytesArrived("forge", 4_000_000)] * 2)
    assert progress.targets["forge"].done_bytes == 4_000_000


def test_a_rate_forgets_what_is_long_ago() -> None:
    rate = Rate()
    for step in range(10):
        rate.add(1_000_000, step * RATE_STEP_S)
    assert rate.bytes_per_s(10 * RATE_STEP_S) == pytest.approx(4_000_000)
    assert rate.bytes_per_s(10 * RATE_STEP_S + RATE_WINDOW_S) == 0


@pytest.mark.parametrize(
    ("facts", "words", "state"),
    [
        ((), "connecting", "connecting"),
        ((ScanStarted("forge"),), "looking for new files", "looking for new files"),
        (IN_THE_MIDDLE, "1 of 4 files, 1.0 MB of 4.0 MB, 2.0 MB/s, still looking", "1.5 s left, still looking"),
        ((*IN_THE_MIDDLE, scanned()), "1 of 4 files, 1.0 MB of 4.0 MB, 1.0 MB/s, 3.0 s left", "3.0 s left"),
        ((ScanStarted("forge"), Retried("forge", SourceUnreachable("no"), 1, 5)), "no answer, trying again in 5.0 s: no",
         "no answer, trying again in 5.0 s"),
    ],
)  # fmt: skip
def test_each_state_has_its_words(facts: tuple[Fact, ...], words: str, state: str) -> None:
    progress, clock = told(*facts)
    assert [one.text for one in lines.standing(progress, clock.monotonic_s())] == [f"forge: {words}"]
    assert state in drawn(progress, clock)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_no_number_is_cut_on_a_narrow_terminal(width: int) -> None:
    facts = (ScanStarted("forge"), FilesWanted("forge", 12_345, 98_700_000_000), BytesArrived("forge", 1_000_000), scanned())
    text = drawn(*told(*facts), width=width)
    assert "0 / 12,345 files" in text and "1.0 MB / 98.7 GB" in text and "2.0 MB/s" in text
    assert "13 h 42 min left" in text or (width == 80 and "13 h " in text)
    assert max(map(len, text.splitlines())) <= width


def test_a_target_that_is_done_is_not_told_of_again() -> None:
    progress, clock = told(ScanStarted("forge"), FilesWanted("forge", 1, 1_000_000), landed(), scanned(1))
    assert lines.standing(progress, clock.monotonic_s()) == []
    last = drawn(progress, clock, moving=False)
    assert "1 / 1 files" in last and "1.0 MB / 1.0 MB" in last and "/s" not in last


# --- results --------------------------------------------------------------------------------------------------------------


def round_result(*facts: Fact, error: SourceUnreachable | AuthRefused | None = None, waiting: int = 0) -> RoundResult:
    tally = Tally()
    for fact in facts:
        tally.notice(fact)
    status = JobStatus.FAILED if error or tally.failed else JobStatus.COMPLETE
    result = JobResult(not error, tally.transferred, tally.transferred_bytes, 3.2)
    job = Job(JobId("0a1b2c3d-0000-4000-8000-000000000000"), "forge", status, 0, result=result)
    return RoundResult(job, tally, error, Waiting(waiting, None))


def unreadable(number: int = 0) -> FileTrouble:
    return FileTrouble("forge", Problem(EVIL + b"%d" % number, ProblemKind.UNREADABLE, "permission denied"))


def test_the_json_names_every_number_and_keeps_every_byte_of_a_path() -> None:
    document = results.document([round_result(landed(), scanned(), unreadable(), waiting=2)], dry_run=False, duration_s=3.25)
    assert json.loads(json.dumps(document)) == {
        "success": False,
        "dry_run": False,
        "by_daemon": False,
        "duration_s": 3.25,
        "targets": [
            {
                "target": "forge",
                "success": False,
                "job_id": "0a1b2c3d-0000-4000-8000-000000000000",
                "sync_id": "sync_19700101_000000_0a1b2c3d",
                "status": "failed",
                "duration_s": 3.2,
                "files_listed": 4,
                "files_transferred": 1,
                "bytes_transferred": 1_000_000,
                "files_adopted": 0,
                "files_versioned": 0,
                "files_incomplete": 0,
                "files_waiting": 2,
                "files_failed": 1,
                "error": None,
                "problems": [
                    {
                        "path": "a\\x1b[2J[red]\\n\\xff.png0",
                        "path_b64": base64.b64encode(EVIL + b"0").decode(),
                        "kind": "unreadable",
                        "message": "permission denied",
                    }
                ],
                "problems_total": 1,
            }
        ],
    }


def test_a_path_in_utf_8_needs_no_base64() -> None:
    assert results.path_json("ü\n".encode()) == {"path": "ü\n"}


def test_the_json_of_an_error_has_its_kind_and_its_hint() -> None:
    document = results.round_json(round_result(error=AuthRefused("no key fits")))
    told = {"kind": "auth_refused", "type": "auth_refused", "message": "no key fits", "hint": AuthRefused.default_hint}
    assert document["error"] == told
    assert results.refusal_json(ConfigError(("a: b",)))["problems"] == ["a: b"]


def test_printed_json_is_plain_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"path": "ü\x9b\udc80"})
    assert json.loads(capsys.readouterr().out.encode("ascii")) == {"path": "ü\x9b\udc80"}


def preview(files: int = 12) -> Preview:
    seen = Preview("forge", waiting=1, vanished=2)
    seen.files = [PlannedFile(Entry(source_path(EVIL + b"%d" % n), STAT), ChangeKind.NEW) for n in range(files)]
    seen.total_files, seen.total_bytes, seen.plan.listed = 20_000, 20_000_000_000, 30_000
    return seen


def test_a_dry_run_says_what_would_come() -> None:
    document = results.document([preview(1)], dry_run=True, duration_s=1)
    assert document["success"] is True
    assert document["targets"] == [
        {
            "target": "forge",
            "success": True,
            "files_listed": 30_000,
            "files_waiting": 1,
            "files_vanished": 2,
            "planned_files": 20_000,
            "planned_bytes": 20_000_000_000,
            "planned": [results.path_json(EVIL + b"0") | {"size_bytes": 1_000_000, "change": "new"}],
            "error": None,
        }
    ]
    first, *files, more = [one.text for one in results.preview_lines(preview())]
    assert (
        first == "forge: 20,000 of 30,000 files would come home (20.0 GB), 1 not ready yet, 2 gone at the source (they stay home)"
    )
    assert files[0] == r"  new  1.0 MB  a\x1b[2J[red]\n\xff.png0"
    assert len(files) == 10
    assert "19,990 more" in more


def test_the_summary_has_a_row_for_each_target_and_then_what_to_do() -> None:
    good = round_result(landed(), landed(LandedAs.ADOPTED), waiting=1)
    bad = round_result(error=SourceUnreachable("10.0.0.1 does not answer"))
    text = "\n".join(one.text for one in results.summary([good, bad]))
    assert text.splitlines() == [
        "target  files    size   time",
        "forge       1  1.0 MB  3.2 s  1 already home, 1 not ready yet",
        "forge       0     0 B  3.2 s  source unreachable",
        "✘ forge: 10.0.0.1 does not answer",
        f"  → {SourceUnreachable.default_hint}",
    ]


def test_a_flood_of_problems_is_cut_and_counted() -> None:
    text = [one.text for one in results.troubles(round_result(*(unreadable(n) for n in range(250))))]
    assert len(text) == 11
    assert "240 more" in text[-1]


def test_nothing_new_is_said_so() -> None:
    assert results.remarks(round_result(scanned())) == ["nothing new"]
    assert results.remarks(round_result(landed())) == ["all home"]


# --- lines ----------------------------------------------------------------------------------------------------------------


def test_no_line_carries_what_a_terminal_obeys() -> None:
    error = SourceUnreachable("bad \x1b]0;owned\x07 words\nsecond \udc80 line", hint="\x9bhint")
    for one in (*trouble("\x1b[1m", error), *results.troubles(round_result(unreadable())), *results.preview_lines(preview())):
        assert one.text.isprintable(), one


def test_rich_takes_nothing_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm")
    assert manner() is Manner.SCREEN
    say([line("[red]x[/red] [link=file:///etc]y")])
    assert "[red]x[/red] [link=file:///etc]y" in terminal.getvalue()


def test_without_a_terminal_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert manner() is Manner.LINES
    assert manner(as_json=True) is Manner.JSON
    say([line("a"), line("b")], to_stderr=True)
    assert capsys.readouterr() == ("", "a\nb\n")


def test_columns_line_up() -> None:
    assert columns([("a", "1", "x"), ("bcd", "100", "")], right=frozenset({1})) == ["a      1  x", "bcd  100"]
    assert columns([]) == []
