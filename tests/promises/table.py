"""All ways in which the promises (README numbers them) are broken on purpose, and what cannot be broken yet."""

from __future__ import annotations

from tests.promises import at_home, at_the_box, disks, enriched, in_the_house, reached, removed, rented, told
from tests.promises.breach import NotBuilt

PROMISES = range(1, 15)

TABLES = (at_home, at_the_box, disks, enriched, in_the_house, reached, removed, rented, told)
BREACHES = tuple(sorted((breach for table in TABLES for breach in table.BREACHES), key=lambda breach: breach.promise))

NOT_BUILT = (
    NotBuilt(3, "what an ingest has accepted, file by file: a required one keeps all", issue=8),
    NotBuilt(9, "delivery to handlers: retried with backoff, set aside visibly, blocking nobody", issue=8),
    NotBuilt(14, "accepted by every required ingest, file by file: a required one makes no box safe", issue=8),
)
