"""One box behind several addresses: whichever answers is used, and keeps the whole contract; the pin is demanded at each."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import (
    AuthRefused,
    HostKeyChanged,
    HostKeyUnknown,
    NotSupported,
    SourceError,
    SourceLost,
    SourceMissing,
    SourceUnreachable,
)
from forged.model.target import SourceAddress, SourceKind
from forged.sources.base import Source
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.routed import Route, Routed
from tests.sources.boxes import MemoryBoxBox
from tests.sources.contract import FullContract


def at(number: int) -> SourceAddress:
    return SourceAddress(SourceKind.SSH, "", f"h{number}", "root", 22)


class Door(MemorySource):
    """Raises what is behind it, or opens."""

    def __init__(self, box: MemoryBox, error: SourceError | None = None) -> None:
        super().__init__(box)
        self.error, self.ended = error, False

    async def __aenter__(self) -> Self:
        if self.error is not None:
            raise self.error
        return await super().__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ended = True
        await super().__aexit__(kind, error, trace)


class Street:
    """Doors by address, and at which of them somebody knocked."""

    def __init__(self, *errors: SourceError | None) -> None:
        self.doors = {at(number): Door(MemoryBox(), error) for number, error in enumerate(errors)}
        self.knocked: list[SourceAddress] = []
        self.route = Route(tuple(self.doors))

    def make(self, address: SourceAddress) -> Source:
        self.knocked.append(address)
        return self.doors[address]

    async def visited(self) -> Sequence[SourceAddress]:
        """Opens and closes; answers where somebody knocked for that."""
        self.knocked.clear()
        async with Routed(self.route, self.make):
            pass
        return self.knocked


class SecondDoorBox(MemoryBoxBox):
    """Nobody answers at the first address; the box is at the second."""

    def source(self) -> Source:
        route = Route((at(0), at(1)))
        return Routed(route, lambda address: Door(self.box, SourceUnreachable() if address == at(0) else None))


class TestRouted(FullContract):
    @pytest.fixture
    def box(self) -> SecondDoorBox:
        return SecondDoorBox()


@pytest.mark.parametrize("error", [HostKeyChanged(), HostKeyUnknown(), AuthRefused(), SourceUnreachable(), SourceLost()])
async def test_after_these_the_next_address_is_tried_and_what_worked_is_the_first_from_then_on(error: SourceError) -> None:
    street = Street(error, None)
    assert await street.visited() == [at(0), at(1)]
    assert await street.visited() == [at(1)]
    assert street.route.current == at(1)
    street.doors[at(1)].error, street.doors[at(0)].error = SourceUnreachable(), None
    assert await street.visited() == [at(1), at(0)]
    assert await street.visited() == [at(0)]


@pytest.mark.parametrize("error", [SourceMissing(), NotSupported()])
async def test_what_the_box_itself_says_is_no_reason_to_look_elsewhere(error: SourceError) -> None:
    street = Street(error, None)
    with pytest.raises(type(error)):
        await street.visited()
    assert street.knocked == [at(0)]


ERRORS = (HostKeyChanged, HostKeyUnknown, AuthRefused, SourceUnreachable, SourceLost)


@given(st.lists(st.sampled_from(ERRORS), min_size=1, max_size=5))
async def test_where_none_will_do_the_error_that_says_most_is_told(kinds: list[type[SourceError]]) -> None:
    street = Street(*(kind() for kind in kinds))
    with pytest.raises(SourceError) as told:
        await street.visited()
    assert type(told.value) is min(kinds, key=ERRORS.index)
    assert street.knocked == list(street.doors)


async def test_without_an_address_it_says_why_and_knocks_nowhere() -> None:
    for route, words in ((Route(), "no address"), (Route((), "it is stopped"), "it is stopped")):
        with pytest.raises(SourceUnreachable, match=words):
            async with Routed(route, lambda _: pytest.fail("nobody is there")):
                pass


async def test_it_is_read_at_every_connection_where_the_box_is() -> None:
    street = Street(None, None)
    street.route.change([at(1)], "")
    assert await street.visited() == [at(1)]
    assert street.doors[at(1)].ended
    assert not street.doors[at(0)].ended


def test_an_address_that_worked_and_is_gone_is_not_tried_any_more() -> None:
    route = Route([at(0), at(1)])
    route.worked(at(1))
    assert route.order == (at(1), at(0))
    route.change([at(0), at(2)], "")
    assert route.order == (at(0), at(2))


def test_only_what_is_new_is_worth_another_try() -> None:
    route = Route([at(0), at(1)])
    assert not route.change([at(1), at(0)], ""), "the order says nothing"
    assert not route.change([at(0)], "")
    assert route.change([at(0), at(2)], "")
    assert not route.change([], "it is stopped")
    assert route.change([at(0), at(2)], ""), "it is up again"
