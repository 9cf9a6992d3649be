"""May a file be removed at its source? Every way in which the answer is no."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from forged.model.files import Problem, ProblemKind, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.paths import home_path, source_path
from forged.model.removal import KeptBecause, Removable
from forged.rules.retention import AtHome, Circumstances, first_doubt, judge

S = 1_000_000_000
NOW = 2_000_000 * S
DAY = 86_400
STAT = Stat(100, NOW - 3 * DAY * S, 7, NOW - 3 * DAY * S)
ROW = ManifestRow(source_path(b"a.png"), STAT, b"h" * 32, home_path(b"a.png"), landed_at_ns=NOW - 2 * DAY * S)
CALM = Circumstances(DAY, NOW, NOW, preserved=lambda path: False, newest_of_series=lambda path: False)


def test_an_old_landed_file_may_go() -> None:
    assert first_doubt(ROW, CALM) is None
    assert judge(ROW, STAT, AtHome(100)) == Removable(ROW, STAT)


@pytest.mark.parametrize(
    ("row", "circumstances", "why"),
    [
        ({}, {"held": True}, KeptBecause.HELD),
        ({"at_source": AtSource.GONE}, {}, KeptBecause.VANISHED),
        ({"at_source": AtSource.REMOVED}, {}, KeptBecause.VANISHED),
        ({"incomplete": True}, {}, KeptBecause.INCOMPLETE),
        ({}, {"preserved": lambda path: True}, KeptBecause.PRESERVED),
        ({}, {"newest_of_series": lambda path: True}, KeptBecause.NEWEST_OF_SERIES),
        ({"landed_at_ns": NOW - DAY * S + 1}, {}, KeptBecause.YOUNG),
        ({"stat": replace(STAT, mtime_ns=NOW - DAY * S + 1)}, {}, KeptBecause.YOUNG),
        # a clock off by a day on one side: the other side's age still protects
        ({"landed_at_ns": NOW}, {"source_now_ns": NOW + DAY * S}, KeptBecause.YOUNG),
        ({"stat": replace(STAT, mtime_ns=NOW)}, {"home_now_ns": NOW + DAY * S}, KeptBecause.YOUNG),
        ({}, {"source_now_ns": NOW - 3 * DAY * S}, KeptBecause.YOUNG),
    ],
)
def test_a_doubt_keeps_it(row: dict[str, object], circumstances: dict[str, object], why: KeptBecause) -> None:
    assert first_doubt(replace(ROW, **row), dataclasses.replace(CALM, **circumstances)) is why  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("source", "home", "why"),
    [
        (Problem(b"a.png", ProblemKind.VANISHED, ""), AtHome(100), KeptBecause.VANISHED),
        (Problem(b"a.png", ProblemKind.LINK, ""), AtHome(100), KeptBecause.CHANGED),
        (Problem(b"a.png", ProblemKind.UNREADABLE, ""), AtHome(100), KeptBecause.CHANGED),
        (replace(STAT, size_bytes=101), AtHome(100), KeptBecause.CHANGED),
        (replace(STAT, mtime_ns=1), AtHome(100), KeptBecause.CHANGED),
        (STAT, None, KeptBecause.HOME_MISSING),
        (STAT, AtHome(99), KeptBecause.HOME_DIFFERS),
        (STAT, AtHome(100, b"x" * 32), KeptBecause.HOME_DIFFERS),
    ],
)
def test_what_either_end_looks_like_keeps_it(source: Stat | Problem, home: AtHome | None, why: KeptBecause) -> None:
    assert judge(ROW, source, home) is why


def test_a_moved_inode_or_ctime_leaves_the_decision_to_the_hash_at_the_source() -> None:
    for moved in (replace(STAT, inode=8), replace(STAT, ctime_ns=NOW)):
        answer = judge(ROW, moved, AtHome(100))
        assert isinstance(answer, Removable)
        assert answer.expected == STAT  # the source compares again, and hashes because it differs


TIMES = st.integers(-(2**62), 2**62)


@given(TIMES, TIMES, TIMES, TIMES)
def test_no_clock_makes_a_file_removable_before_both_ages_are_reached(
    mtime: int, landed: int, source_now: int, home_now: int
) -> None:
    row = replace(ROW, stat=Stat(1, mtime, 1, mtime), landed_at_ns=landed)
    circumstances = dataclasses.replace(CALM, source_now_ns=source_now, home_now_ns=home_now)
    if first_doubt(row, circumstances) is None:
        assert source_now - mtime >= DAY * S
        assert home_now - landed >= DAY * S
