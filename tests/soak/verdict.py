"""Ledger, box and home compared: what is lost, what is twice, what is where it should not be."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.soak.keeper import Keeper, came_from
from tests.soak.witness import Gone
from tests.support.site import contents

ANOTHER = Path(".forged/staging/another/0123.part")
"""Half a file of another forged, in its own staging area."""


@dataclass
class Verdict:
    """Plants what belongs to others, so that it can be missed in the end."""

    keeper: Keeper
    strangers: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        """A letter, files of the owner's under names that forged will want, and what another forged has staged."""
        home = self.keeper.home
        taken = [f"{number:06}-{animal}.bin" for number in range(2, 9) for animal in ("fox", "owl", "élan")]
        for name in ("letter.txt", *taken):
            (home / name).write_text(f"from the owner: {name}")
            self.keeper.owners.add(name)
        (home / ANOTHER).parent.mkdir(parents=True)
        (home / ANOTHER).write_text("half a file of another forged")

    def lost(self, removals: list[Gone]) -> list[str]:
        """Contents that should be home and are not: what is at the box, and what forged has removed there."""
        should = [*self.keeper.ledger.now.items(), *((gone.path, gone.sha256) for gone in removals)]
        return [f"{path} {sha256[:8]}" for path, sha256 in should if not self._is_safe(path, sha256)]

    def _is_safe(self, path: str, sha256: str) -> bool:
        return self.keeper.has(path, sha256) or sha256 in self.keeper.deleted.values()

    def twice(self) -> list[str]:
        """What is at home more than once."""
        files = self.keeper.files.items()
        came = Counter((came_from(path, one.sha256), one.sha256) for path, one in files if path not in self.keeper.owners)
        return [f"{path} {sha256[:8]}" for (path, sha256), times in came.items() if times > 1]

    def strays(self, removals: list[Gone]) -> list[str]:
        """What is at the box and was not put there by the writer, or the other way round; and what is in forged's own folder."""
        box, removed = contents(self.keeper.box), {(gone.path, gone.sha256) for gone in removals}
        now = self.keeper.ledger.now
        strange = [f"at the box: {path} {sha256[:8]}" for path, sha256 in box.items() if now.get(path) != sha256]
        strange += [
            f"not at the box: {path} {has[:8]}" for path, has in now.items() if path not in box and (path, has) not in removed
        ]
        ours = {path.relative_to(self.keeper.home) for path in (self.keeper.home / ".forged").rglob("*") if path.is_file()}
        strange += [f"in forged's folder: {path}" for path in ours - {ANOTHER, Path(".forged/id")}]
        return strange + ["another forged's half file is gone"] * (ANOTHER not in ours)
