"""Is a plan believable?"""

from __future__ import annotations

import pytest

from forged.model.plan import PlanCount
from forged.rules.safety import Doubt, doubt, explain


@pytest.mark.parametrize(
    ("vanished", "listed", "remembered", "expected"),
    [
        (0, 100, 100, None),
        (9, 0, 9, None),  # somebody cleared a handful of test pictures
        (10, 0, 10, Doubt.EMPTIED),
        (1_000, 0, 1_000, Doubt.EMPTIED),
        (50, 50, 100, None),
        (51, 49, 100, Doubt.OUT_OF_PROPORTION),
        (51, 10_000, 100, Doubt.OUT_OF_PROPORTION),  # new files do not make up for lost ones
    ],
)
def test_mass_disappearance_is_doubted(vanished: int, listed: int, remembered: int, expected: Doubt | None) -> None:
    plan = PlanCount(listed=listed, remembered=remembered)
    assert doubt(plan, vanished) is expected
    if expected is not None:
        assert str(vanished) in explain(expected, plan, vanished)
