"""When somebody has to hear at once, when it is well, and the band in between."""

from __future__ import annotations

import pytest

from forged.rules import alarms
from forged.rules.alarms import FAILING_S, SILENT_S, TargetFacts

HOUR_S, MB = 3600.0, 1_000_000


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (TargetFacts(reached=True, left_files=5), False),
        (TargetFacts(reached=False, silent_s=SILENT_S, left_files=5), True),
        (TargetFacts(reached=False, silent_s=SILENT_S - 1, left_files=5), None),
        (TargetFacts(reached=False, silent_s=SILENT_S), None),
        (TargetFacts(reached=False, left_files=5), None),
        (TargetFacts(reached=False, asleep=True, left_files=5), False),
        (TargetFacts(reached=False, asleep=True, gone=True, left_files=5), True),
        (TargetFacts(reached=False, asleep=True, gone=True, unseen=True), True),
        (TargetFacts(reached=False, asleep=True, gone=True), None),
    ],
    ids=["reached", "silent", "a moment", "all home", "not tried", "stopped", "gone", "gone unseen", "gone and home"],
)
def test_lost(facts: TargetFacts, expected: bool | None) -> None:
    assert alarms.lost(facts) is expected


@pytest.mark.parametrize(
    ("ends_in_s", "left_bytes", "bytes_per_s", "expected"),
    [
        (None, 0, None, False),
        (HOUR_S, 0, None, True),
        (HOUR_S + 1, 0, None, None),
        (2 * HOUR_S + 1, 0, None, False),
        (-5.0, 0, None, True),
        (5 * HOUR_S, 3600 * 2 * MB, 1.0 * MB, True),  # two hours' work, five hours left
        (7 * HOUR_S, 3600 * 2 * MB, 1.0 * MB, None),
        (5 * HOUR_S, 3600 * 2 * MB, 10.0 * MB, False),
    ],
)
def test_ending(ends_in_s: float | None, left_bytes: int, bytes_per_s: float | None, expected: bool | None) -> None:
    facts = TargetFacts(reached=True, ends_in_s=ends_in_s, left_bytes=left_bytes, bytes_per_s=bytes_per_s)
    assert alarms.ending(facts) is expected


def test_refused_until_it_is_reached() -> None:
    assert alarms.refused(TargetFacts(reached=False, refused=True)) is True
    assert alarms.refused(TargetFacts(reached=False)) is None
    assert alarms.refused(TargetFacts(reached=True)) is False


def test_a_discovery_rings_when_it_fails_for_long_or_its_key_is_refused() -> None:
    assert alarms.discovery(answered=False, failing_s=None, refused=False) is None
    assert alarms.discovery(answered=True, failing_s=None, refused=False) is False
    assert alarms.discovery(answered=True, failing_s=FAILING_S - 1, refused=False) is None
    assert alarms.discovery(answered=True, failing_s=FAILING_S, refused=False) is True
    assert alarms.discovery(answered=False, failing_s=0.0, refused=True) is True
