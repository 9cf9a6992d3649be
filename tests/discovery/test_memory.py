"""The twin in memory: the contract, and its faults."""

from __future__ import annotations

import pytest

from forged.discovery.memory import Fail, Fault, Hang, MemoryDiscovery, Throttle
from forged.discovery.reading import BoxList
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.errors import DiscoveryError, DiscoveryThrottled
from tests.discovery.contract import DiscoveryContract
from tests.discovery.desks import Odd, There, Trouble, box
from tests.support.virtual import virtual


class Words(Fault):
    """Says what is there."""

    def __init__(self, there: There) -> None:
        self.there = there

    async def before_answer(self, boxes: tuple[Box, ...]) -> tuple[Box, ...]:
        if self.there.trouble is Trouble.HANGS:
            await Hang(0.01).before_answer(boxes)
        if self.there.trouble is not None:
            await Fail().before_answer(boxes)
        whys = [
            one if one.addresses else Box(one.id, one.state, (), one.label, one.end_ns, "it has none") for one in self.there.boxes
        ]
        return (*whys, *(odd_box(what, id) for what, id in self.there.odd))


def odd_box(what: Odd, id: str) -> Box:
    return Box(BoxId(id if what not in (Odd.WITHOUT_ID, Odd.NOT_EVEN_AN_OBJECT) else ""), BoxState.UNKNOWN, (), "forge", why="odd")


class MemoryDesk:
    tells_ends = True

    def __init__(self) -> None:
        self.there = There()

    def discovery(self, label: str | None = None, *, hasty: bool = False) -> MemoryDiscovery:
        made = MemoryDiscovery(label)
        made.faults.append(Words(self.there))
        return made


class TestMemory(DiscoveryContract):
    """The contract."""

    @pytest.fixture
    def desk(self) -> MemoryDesk:
        return MemoryDesk()


async def test_boxes_come_and_go() -> None:
    discovery = MemoryDiscovery()
    discovery.put(box("1"))
    discovery.put(box("2"))
    discovery.put(box("2", BoxState.STOPPED))
    assert [(one.id, one.state) for one in await discovery.boxes()] == [("1", BoxState.RUNNING), ("2", BoxState.STOPPED)]
    discovery.take(BoxId("1"))
    assert len(await discovery.boxes()) == 1
    assert discovery.asked == 2


async def test_faults_strike_as_often_as_they_are_told() -> None:
    discovery = MemoryDiscovery()
    discovery.faults += [Fail(times=1), Throttle(7.0, times=1)]
    with pytest.raises(DiscoveryError, match="500"):
        await discovery.boxes()
    with pytest.raises(DiscoveryThrottled) as throttled:
        await discovery.boxes()
    assert throttled.value.retry_after_s == 7.0
    assert await discovery.boxes() == ()


@virtual
async def test_it_hangs_until_its_deadline() -> None:
    discovery = MemoryDiscovery()
    discovery.faults.append(Hang(3600))
    with pytest.raises(DiscoveryError, match="within 3600 s"):
        await discovery.boxes()


def test_a_list_counts_the_boxes_that_are_not_wanted() -> None:
    boxes = BoxList("somebody", "forge")
    boxes.add(box("1", label="other"))
    assert (len(boxes), boxes.boxes()) == (1, ())
