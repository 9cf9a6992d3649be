"""What happens at home and to its disk while forged is dead: a power cut, a bad disk, an owner who deletes."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from tests.soak.keeper import Keeper, inode_of
from tests.soak.ledger import MUTABLE
from tests.soak.remembered import Row
from tests.soak.verdict import ANOTHER
from tests.support.site import staged

MOST_DELETED = 6
"""By the owner: ten and more at once would be a reason to hold the target."""


@dataclass
class Mischief:
    """Does a little of it at a time; `did` counts."""

    keeper: Keeper
    chance: random.Random
    did: Counter[str] = field(default_factory=Counter)
    _kept: dict[str, bytes] = field(default_factory=dict)
    """What the damaged files held."""

    def strike(self) -> None:
        """After a kill, when the keeper has looked, and no agent is left that could be removing something."""
        rows = self._untouched()
        if self.chance.random() < 0.5:
            self._lose_staged_ends()
        if rows and self.chance.random() < 0.7:
            self._damage(rows.pop())
        if rows and self.chance.random() < 0.3 and len(self.keeper.deleted) < MOST_DELETED:
            self._delete(rows.pop())

    def mend(self) -> None:
        """The owner restores what the disk has damaged."""
        for home, data in self._kept.items():
            (self.keeper.home / home).write_bytes(data)
            del self.keeper.files[home]
        self.keeper.damaged.clear()
        self._kept.clear()

    def _lose_staged_ends(self) -> None:
        """As a power cut does: the file is as long as it was, and its last pages hold zeros."""
        for part in staged(self.keeper.home):
            size_bytes = part.stat().st_size
            if part.suffix == ".part" and part != self.keeper.home / ANOTHER and size_bytes:
                lost_bytes = min(size_bytes, 1 + self.chance.randrange(65_536))
                with part.open("r+b") as file:
                    file.seek(size_bytes - lost_bytes)
                    file.write(bytes(lost_bytes))
                self.did["staged ends lost"] += 1

    def _damage(self, row: Row) -> None:
        file = self.keeper.home / row.home
        self._kept[row.home] = file.read_bytes()
        file.write_bytes(self._kept[row.home][:-1])
        self.keeper.damaged.add(row.home)
        self.did["damaged at home"] += 1

    def _delete(self, row: Row) -> None:
        (self.keeper.home / row.home).unlink()
        self.keeper.deleted[row.home] = row.sha256
        self.did["deleted at home"] += 1

    def _untouched(self) -> list[Row]:
        """What is home, remembered, and still at the box; in any order."""
        touched = {MUTABLE, *self.keeper.damaged}
        rows = [
            row
            for row in self.keeper.memory.rows()
            if row.current and row.at_source == "present" and row.size_bytes and row.home not in touched
            if (self.keeper.home / row.home).exists() and inode_of(self.keeper.box / row.path) == row.inode
        ]
        self.chance.shuffle(rows)
        return rows
