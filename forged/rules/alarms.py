"""When somebody has to hear at once. Each rule answers True (it breaks), False (it is well), or None (neither: as it was).

Between the two lies a band, so that an alarm does not come and go with every look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from forged.model.alarms import AlarmKind

SILENT_S = 60.0
"""A box that does not answer for so long while something of it is not home. Shorter, each restart of a box would ring."""

END_NEAR_S = 3600.0
"""An end is near so long before it, whatever there is to bring home: time for a person to see it and to extend it."""

END_SHARE = 3.0
"""Or as soon as the time left is so many times what the backlog needs: lines get slower, and pictures more."""

CALM = 2.0
"""And it is not near any more at twice that."""

UNMEASURED_BYTES_PER_S = 1_000_000.0
"""Until something has come from a box. A guess on the slow side: 8 Mbit/s."""

FAILING_S = 600.0
"""A discovery that fails for so long. Providers restart their servers, and answer again within minutes."""


@dataclass(frozen=True, slots=True)
class TargetFacts:
    """How a target stands now, as far as alarms go."""

    reached: bool
    """There is a connection."""
    refused: bool = False
    """It answers, but one side does not accept the other."""
    silent_s: float | None = None
    """How long it has not answered; None: it does, or nobody has tried."""
    asleep: bool = False
    """Its provider says that nobody is there to answer: stopped, or starting."""
    gone: bool = False
    """Its provider does not list it any more."""
    left_files: int = 0
    left_bytes: int = 0
    unseen: bool = False
    """It may hold what nobody has seen."""
    bytes_per_s: float | None = None
    """How fast files came last; None: none came yet."""
    ends_in_s: float | None = None
    """Until it ends by itself; None: it does not, or nobody says."""


def of_target(facts: TargetFacts) -> Mapping[AlarmKind, bool | None]:
    """Every alarm that a target can raise."""
    return {AlarmKind.LOST: lost(facts), AlarmKind.REFUSED: refused(facts), AlarmKind.ENDING: ending(facts)}


def lost(facts: TargetFacts) -> bool | None:
    """It does not answer, or is gone, and not all of it is home."""
    if facts.reached:
        return False
    if facts.gone:
        return True if facts.left_files or facts.unseen else None
    if facts.asleep:
        return False  # its disk is kept
    silent = facts.silent_s is not None and facts.silent_s >= SILENT_S
    return True if silent and facts.left_files else None


def refused(facts: TargetFacts) -> bool | None:
    """Only a person can mend it."""
    if facts.refused:
        return True
    return False if facts.reached else None


def ending(facts: TargetFacts) -> bool | None:
    """It ends before long, or before all of it can be home."""
    if facts.gone:
        return None
    if facts.ends_in_s is None:
        return False
    near_s = max(END_NEAR_S, END_SHARE * needed_s(facts))
    if facts.ends_in_s <= near_s:
        return True
    return False if facts.ends_in_s > CALM * near_s else None


def needed_s(facts: TargetFacts) -> float:
    """How long the rest takes, at the rate that was measured."""
    return facts.left_bytes / max(facts.bytes_per_s or UNMEASURED_BYTES_PER_S, 1.0)


def discovery(*, answered: bool, failing_s: float | None, refused: bool) -> bool | None:
    """It cannot be found out which boxes there are.

    `answered`: some question was, in this life. `failing_s`: since when none was. `refused`: the key is wrong, and no waiting
    mends that.
    """
    if failing_s is None:
        return False if answered else None
    return True if refused or failing_s >= FAILING_S else None
