"""All ways in which the promises (README numbers them) are broken on purpose, and what cannot be broken yet."""

from __future__ import annotations

from tests.promises import at_home, at_the_box, in_the_house, reached, rented
from tests.promises.breach import NotBuilt

PROMISES = range(1, 15)

ALL = at_home.BREACHES + at_the_box.BREACHES + in_the_house.BREACHES + reached.BREACHES + rented.BREACHES
BREACHES = tuple(sorted(ALL, key=lambda breach: breach.promise))

NOT_BUILT = (
    NotBuilt(2, "forged's own sidecars, merged and never replaced", issue=7),
    NotBuilt(3, "what an ingest has accepted, file by file: a required one keeps all", issue=8),
    NotBuilt(6, "media opened only in a worker with limits; exiftool sees no bytes of a source", issue=7),
    NotBuilt(9, "delivery to handlers: retried with backoff, set aside visibly, blocking nobody", issue=8),
    NotBuilt(14, "accepted by every required ingest, file by file: a required one makes no box safe", issue=8),
)
