"""Floor 2: what forged decides. Pure functions over the nouns of floor 1.

No I/O, no await, no clock (a moment is an argument), no randomness, no paths on disk: the same question always gets the
same answer, so hypothesis can ask a million of them.

    selection, settle, diff      which files are wanted, no longer being written, and different from what is remembered
    media                        which of them are looked into, and what is then done for them
    placement, names, renaming   where a file lands, and what its name becomes there: safe on every level, with a way back
    places, companions, series   what is one and the same folder, what belongs together, what is numbered
    resume, proof                which bytes of a broken transfer count, and whether what came is what was there
    retention, handing           may it be removed at its source, and has every required handler taken it
    safety, boxes, alarms        is it believable, what follows from a provider's answer, who has to hear at once
    bandwidth                    which bound the timetable has for a moment
"""
