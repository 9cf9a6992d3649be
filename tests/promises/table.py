"""All ways in which the promises (README numbers them) are broken on purpose."""

from __future__ import annotations

from tests.promises import alive, at_home, at_the_box, disks, enriched, handed, in_the_house, reached, removed, rented, told
from tests.promises.breach import NotBuilt

PROMISES = range(1, 15)

TABLES = (alive, at_home, at_the_box, disks, enriched, handed, in_the_house, reached, removed, rented, told)
BREACHES = tuple(sorted((breach for table in TABLES for breach in table.BREACHES), key=lambda breach: breach.promise))

NOT_BUILT: tuple[NotBuilt, ...] = ()
"""What cannot be broken yet."""
