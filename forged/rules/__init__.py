"""Floor 2: what forged decides. Pure functions over the nouns of floor 1.

No I/O, no await, no clock (a moment is an argument), no randomness, no paths on disk: the same question always gets the
same answer, so hypothesis can ask a million of them.
"""
