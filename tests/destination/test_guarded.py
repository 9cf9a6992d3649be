"""While the memory may be another's, nothing changes at home; what was begun is let go of, and goes on afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.destination.desk import Desk
from forged.destination.guarded import Guarded
from forged.destination.hands import Threads
from forged.model.errors import DestinationError
from forged.model.paths import home_path
from forged.model.target import HomePolicy
from tests.destination.places import unknown


async def test_what_changes_home_is_refused_while_there_is_a_reason(tmp_path: Path) -> None:
    why: list[DestinationError] = []
    hands = Guarded(Threads(Desk(HomePolicy(tmp_path), "box", 0, unknown), "box"), lambda: why[0] if why else None)
    await hands.open()
    await hands.landing(Desk.ready, None, True)
    await hands.writing(Desk.opened)
    await hands.write([("a", 1, 0, 0, [b"half"], False)])
    why.append(DestinationError("home is left alone"))
    for change in (
        lambda: hands.write([("a", 1, 0, 4, [b"rest"], True)]),
        lambda: hands.clone("b", 1, 0, 4, False, 4),
        lambda: hands.landing(Desk.land, []),
        lambda: hands.landing(Desk.put_thumbnail, "0" * 64, b"x"),
        lambda: hands.writing(Desk.sweep, []),
        lambda: hands.writing(Desk.discard, ["a"]),
    ):
        with pytest.raises(DestinationError, match="left alone"):
            await change()
    assert await hands.landing(Desk.look, [home_path(b"a")])
    await hands.writing(Desk.closed, ["a"])
    assert (tmp_path / ".forged/staging/box/a.part").read_bytes() == b"half"
    why.clear()
    assert await hands.writing(Desk.resume_points, ["a"]) == [4]
    await hands.writing(Desk.sweep, [])
    await hands.aclose()
