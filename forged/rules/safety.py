"""Is it believable? An unmounted disk looks exactly like "everything was deleted", so mass disappearance waits for a person."""

from __future__ import annotations

import enum

from forged.model.plan import PlanCount


class Doubt(enum.Enum):
    """Why a plan is not believed; the reason of a hold."""

    EMPTIED = "emptied"
    OUT_OF_PROPORTION = "out_of_proportion"
    HOME_VANISHED = "home_vanished"
    HOME_DAMAGED = "home_damaged"
    STATE_REBUILT = "state_rebuilt"


def is_of_the_source(reason: str) -> bool:
    """Whether a hold for this reason is about what vanished at the source, not about home."""
    return reason in (Doubt.EMPTIED.value, Doubt.OUT_OF_PROPORTION.value)


FEW_FILES = 10
"""Below this many disappearances nothing is suspicious: a person clears a folder of test pictures by hand. A guess."""

PROPORTION = 0.5
"""More than half of what was there, at once, is more than a program's own clean-up of old outputs does in one poll. A guess."""


def doubt(plan: PlanCount, vanished: int) -> Doubt | None:
    """Why `vanished` disappearances at once should not be believed; None = they may be."""
    if vanished < FEW_FILES:
        return None
    if plan.listed == 0:
        return Doubt.EMPTIED
    if vanished > PROPORTION * plan.remembered:
        return Doubt.OUT_OF_PROPORTION
    return None


def explain(why: Doubt, plan: PlanCount, vanished: int) -> str:
    """What a person has to know to judge it."""
    if why is Doubt.EMPTIED:
        return f"the source shows no file at all, though {vanished} were there before"
    return f"{vanished} of {plan.remembered} files vanished from the source at once"


def doubt_home(missing: int, remembered: int) -> Doubt | None:
    """Why `missing` files at home should not be taken for deleted by the owner; None = they may be."""
    return Doubt.HOME_VANISHED if missing >= FEW_FILES and missing > PROPORTION * remembered else None


EXPLAIN_REBUILT = "the state database was lost or damaged; what is home is adopted anew, and what was deleted at home may come back"
"""Why a target is held whose memory began anew. With the memory went its tombstones, and any hold that a person had not released:
each removal is proven all the same, but whether home is in order, a person has to say again."""


def explain_home(missing: int, remembered: int) -> str:
    """What a person has to know to judge it."""
    return f"{missing} of {remembered} files are not at home any more: rolled back, or another disk mounted?"


def explain_damage(alone: int) -> str:
    """What a person has to know about files that were at home alone."""
    which = "a file that is" if alone == 1 else f"{alone} files that are"
    return (
        f"{which} not at the source any more cannot be found at home since its disk has failed: look into lost+found, or a backup"
    )
