"""A budget never gives out more than it has, and everyone gets a turn."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from forged.kit.budget import Budget, Room, Share


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


class TestTaking:
    async def test_what_fits_is_granted_at_once(self) -> None:
        budget = Budget(10)
        await budget.share("a").take(10)
        assert budget.held_bytes == 10

    async def test_what_does_not_fit_waits_until_it_does(self) -> None:
        budget = Budget(10)
        a, b = budget.share("a"), budget.share("b")
        await a.take(6)
        waiting = asyncio.create_task(b.take(5))
        await turn()
        assert not waiting.done()
        a.give(1)
        await waiting
        assert budget.held_bytes == 10

    async def test_between_waiting_shares_the_one_holding_least_goes_first(self) -> None:
        budget = Budget(10)
        rich, poor = budget.share("rich"), budget.share("poor")
        await rich.take(10)
        order: list[str] = []
        tasks = [asyncio.create_task(_note(rich, 5, order, "rich")), asyncio.create_task(_note(poor, 5, order, "poor"))]
        await turn()
        rich.give(5)
        await turn()
        assert order == ["poor"]
        rich.give(5)
        await asyncio.gather(*tasks)

    async def test_within_a_share_the_first_goes_first(self) -> None:
        budget = Budget(10)
        share = budget.share("a")
        await share.take(10)
        order: list[str] = []
        tasks = [asyncio.create_task(_note(share, 2, order, str(n))) for n in range(5)]
        for _ in range(6):
            await turn()
            share.give(2)
        await asyncio.gather(*tasks)
        assert order == list("01234")

    async def test_a_large_wish_is_not_passed_over_by_small_ones(self) -> None:
        budget = Budget(10)
        a, b = budget.share("a"), budget.share("b")
        await a.take(5)
        large = asyncio.create_task(b.take(9))
        await turn()
        small = asyncio.create_task(a.take(1))
        await turn()
        assert not small.done()
        a.give(5)
        await large
        await small

    async def test_a_wish_larger_than_everything_is_granted_alone(self) -> None:
        budget = Budget(10)
        a, b = budget.share("a"), budget.share("b")
        await a.take(1)
        giant = asyncio.create_task(b.take(50))
        await turn()
        assert not giant.done()
        a.give(1)
        await giant
        after = asyncio.create_task(a.take(1))
        await turn()
        assert not after.done()
        b.give(50)
        await after

    async def test_a_cancelled_waiter_leaves_nothing_taken_and_lets_the_others_go(self) -> None:
        budget = Budget(10)
        a, b = budget.share("a"), budget.share("b")
        await a.take(5)
        blocking, behind = asyncio.create_task(b.take(8)), asyncio.create_task(a.take(3))
        await turn()
        blocking.cancel()
        await turn()
        assert behind.done()
        assert budget.held_bytes == 8

    async def test_cancelled_in_the_moment_of_its_grant_it_gives_back(self) -> None:
        budget = Budget(10)
        a, b = budget.share("a"), budget.share("b")
        await a.take(10)
        waiting = asyncio.create_task(b.take(10))
        await turn()
        a.give(10)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert budget.held_bytes == 0

    async def test_giving_more_than_is_held_is_a_mistake(self) -> None:
        share = Budget(10).share("a")
        await share.take(1)
        with pytest.raises(ValueError, match="only 1"):
            share.give(2)

    async def test_a_smaller_total_grants_nothing_until_it_fits_again(self) -> None:
        budget = Budget(10)
        share = budget.share("a")
        await share.take(8)
        budget.resize(4)
        waiting = asyncio.create_task(share.take(2))
        share.give(4)
        await turn()
        assert not waiting.done()
        budget.resize(8)
        await waiting

    async def test_no_share_takes_the_last_of_it_so_that_a_newcomer_finds_room_beside_lines_that_hang(self) -> None:
        budget = Budget(1000)
        for name, held in (("first", 800), ("second", 160), ("third", 32)):
            share = budget.share(name)
            hanging = asyncio.create_task(_all_of_it(share))
            await turn()
            assert share.held_bytes == held
            hanging.cancel()
        assert budget.held_bytes == 992

    async def test_a_share_that_holds_nothing_gets_what_fits_however_large(self) -> None:
        budget = Budget(1000)
        await budget.share("a").take(900)
        await budget.share("b").take(100)
        assert budget.held_bytes == 1000

    async def test_a_waiter_that_was_cancelled_a_moment_ago_is_passed_by(self) -> None:
        budget = Budget(10)
        a, b, c = budget.share("a"), budget.share("b"), budget.share("c")
        await a.take(10)
        gone, next_ = asyncio.create_task(b.take(5)), asyncio.create_task(c.take(5))
        await turn()
        gone.cancel()
        a.give(10)  # before the cancelled one has heard of it
        await turn()
        assert (b.held_bytes, c.held_bytes, next_.done()) == (0, 5, True)

    async def test_room_that_is_free_is_taken_without_waiting(self) -> None:
        taking = Budget(10).share("a").take(10)
        with pytest.raises(StopIteration):
            taking.send(None)


async def _all_of_it(share: Share) -> None:
    while True:
        await share.take(1)


async def _note(room: Room, size_bytes: int, order: list[str], name: str) -> None:
    await room.take(size_bytes)
    order.append(name)


class Budgets(RuleBasedStateMachine):
    """Random shares take, give and are cancelled; after every step the books are right, and at the end everyone had a turn."""

    @initialize(total=st.integers(1, 20))
    def begin(self, total: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.budget = Budget(total)
        self.shares = [self.budget.share(name) for name in "abc"]
        self.held: list[tuple[Share, int]] = []
        self.waiting: list[tuple[asyncio.Task[None], Share, int]] = []

    def settle(self) -> None:
        self.loop.run_until_complete(turn())
        self.held += [(share, size) for task, share, size in self.waiting if task.done()]
        self.waiting = [wait for wait in self.waiting if not wait[0].done()]

    @rule(who=st.integers(0, 2), size=st.integers(0, 30))
    def take(self, who: int, size: int) -> None:
        share = self.shares[who]
        self.waiting.append((self.loop.create_task(share.take(size)), share, size))
        self.settle()

    @rule(which=st.integers(0, 100))
    def give(self, which: int) -> None:
        if self.held:
            share, size = self.held.pop(which % len(self.held))
            share.give(size)
            self.settle()

    @rule(which=st.integers(0, 100), after_a_gift=st.booleans())
    def cancel(self, which: int, after_a_gift: bool) -> None:
        if not self.waiting:
            return
        if after_a_gift and self.held:
            share, size = self.held.pop()
            share.give(size)  # it may be granted in this very moment
        task, _, _ = self.waiting.pop(which % len(self.waiting))
        task.cancel()
        self.loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        self.settle()

    @invariant()
    def the_books_are_right(self) -> None:
        if not hasattr(self, "budget"):
            return
        assert self.budget.held_bytes == sum(size for _, size in self.held)
        for share in self.shares:
            assert share.held_bytes == sum(size for holder, size in self.held if holder is share)
        large = [size for _, size in self.held if size]
        assert self.budget.held_bytes <= self.budget.total_bytes or len(large) == 1

    @invariant()
    def nobody_waits_while_nothing_is_held(self) -> None:
        if hasattr(self, "budget") and self.budget.held_bytes == 0:
            assert not self.waiting

    def teardown(self) -> None:
        if not hasattr(self, "budget"):
            return
        while self.held or self.waiting:
            assert self.held, "someone starves"  # whoever waits goes at the latest when nothing is held any more
            self.give(0)
        assert self.budget.held_bytes == 0
        self.loop.close()


TestBudgets = Budgets.TestCase
TestBudgets.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
