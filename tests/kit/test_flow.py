"""The line of stages: order, bounds, failures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable

import pytest

from forged.kit.flow import Stream, line
from tests.support.virtual import virtual


async def _numbers(upto: int) -> AsyncGenerator[list[int], None]:
    for n in range(upto):
        yield [n]


async def _doubled(numbers: AsyncIterable[list[int]]) -> AsyncGenerator[list[int], None]:
    async for batch in numbers:
        yield [2 * n for n in batch]


async def test_items_pass_all_stages_in_order() -> None:
    async with line() as flow:
        doubled = flow.stage("double", _doubled(flow.stage("count", _numbers(100))))
        got = [n async for batch in doubled for n in batch]
    assert got == [2 * n for n in range(100)]


async def test_several_producers_share_one_upstream_and_lose_nothing() -> None:
    async with line() as flow:
        numbers = flow.stage("count", _numbers(500))
        doubled = flow.stage("double", *(_doubled(numbers) for _ in range(3)))
        got = [n async for batch in doubled for n in batch]
    assert sorted(got) == [2 * n for n in range(500)]


async def test_batches_take_what_is_there_and_no_more_than_asked() -> None:
    stream: Stream[int] = Stream(producers=1)
    await stream.pump(_numbers(7))
    assert [batch async for batch in stream.batches(3)] == [[0, 1, 2], [3, 4, 5], [6]]


async def test_a_list_is_never_cut() -> None:
    async def lists() -> AsyncGenerator[list[int], None]:
        for size in (2, 2, 5, 1, 1):
            yield [size] * size

    stream: Stream[int] = Stream(producers=1)
    await stream.pump(lists())
    assert [batch async for batch in stream.batches(3)] == [[2, 2], [2, 2], [5] * 5, [1, 1]]


async def test_a_failing_stage_ends_the_line_with_its_own_exception() -> None:
    async def breaks(numbers: AsyncIterable[list[int]]) -> AsyncGenerator[list[int], None]:
        async for batch in numbers:
            if batch == [3]:
                raise LookupError("three")
            yield batch

    seen: list[int] = []
    with pytest.raises(LookupError, match="three"):
        async with line() as flow:
            async for batch in flow.stage("double", _doubled(flow.stage("break", breaks(flow.stage("count", _numbers(10)))))):
                seen += batch
    assert seen == [0, 2, 4], "what it had handed over comes through"


async def test_when_one_of_several_producers_fails_the_others_and_all_before_them_end() -> None:
    ended: list[str] = []

    async def endless(name: str) -> AsyncGenerator[list[int], None]:
        try:
            yield [1]
            await asyncio.Event().wait()
        finally:
            ended.append(name)

    async def takes(numbers: AsyncIterable[list[int]]) -> AsyncGenerator[list[int], None]:
        async for batch in numbers:
            yield batch
            raise LookupError("one")

    with pytest.raises(LookupError, match="one"):
        async with line() as flow:
            stream = flow.stage("take", takes(flow.stage("before", endless("before"))), endless("beside"))
            assert [batch async for batch in stream] == [[1], [1]]
    assert sorted(ended) == ["before", "beside"]


async def test_what_fails_behind_ends_what_is_before_it_at_once() -> None:
    async def breaks(numbers: AsyncIterable[list[int]]) -> AsyncGenerator[list[int], None]:
        async for _ in numbers:
            raise LookupError("at once")
        yield []

    made = 0

    async def endless() -> AsyncGenerator[list[int], None]:
        nonlocal made
        while True:
            made += 1
            yield [1]

    with pytest.raises(LookupError, match="at once"):
        async with line() as flow:
            async for _ in flow.stage("break", breaks(flow.stage("endless", endless(), most=4))):
                raise AssertionError("nothing comes through")
    assert made < 10


async def test_a_line_that_is_cancelled_ends_all_its_stages() -> None:
    async def work() -> None:
        async with line() as flow:
            async for _ in flow.stage("double", _doubled(flow.stage("endless", _endless()))):
                await asyncio.Event().wait()

    async def _endless() -> AsyncGenerator[list[int], None]:
        while True:
            yield [1]

    task = asyncio.create_task(work())
    for _ in range(20):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(asyncio.all_tasks()) == 1


async def test_a_failing_consumer_ends_the_stages() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[list[int], None]:
        try:
            while True:
                yield [1]
        finally:
            closed.set()

    with pytest.raises(LookupError):
        async with line() as flow:
            async for _ in flow.stage("endless", endless()):
                raise LookupError
    assert closed.is_set()


async def test_a_consumer_that_leaves_early_ends_the_stages() -> None:
    async with line() as flow:
        async for batch in flow.stage("count", _numbers(10_000), most=2):
            assert batch == [0]
            break
    assert len(asyncio.all_tasks()) == 1


async def test_no_more_than_asked_wait() -> None:
    made = 0

    async def counted() -> AsyncGenerator[list[int], None]:
        nonlocal made
        for n in range(100):
            made += 1
            yield [n]

    async with line() as flow:
        stream = flow.stage("count", counted(), most=3)
        for _ in range(20):
            await asyncio.sleep(0)
        assert made <= 5  # three wait, one is in the producer's hand, one is being made
        assert [n async for batch in stream for n in batch] == list(range(100))


async def test_several_waiting_producers_and_consumers_all_go_on() -> None:
    async def passed_on(numbers: AsyncIterable[list[int]]) -> AsyncGenerator[list[int], None]:
        async for batch in numbers:
            await asyncio.sleep(0)
            yield batch

    async with line() as flow:
        numbers = flow.stage("count", *(_numbers(50) for _ in range(3)), most=1)
        passed = flow.stage("pass", *(passed_on(numbers) for _ in range(3)), most=1)
        got = [n async for batch in passed for n in batch]
    assert sorted(got) == sorted([*range(50)] * 3)


# --- two kinds ------------------------------------------------------------------------------------------------------------


async def test_a_stream_parted_in_two_keeps_the_order_of_each_kind() -> None:
    async with line() as flow:
        even, odd = flow.split("part", flow.stage("count", _numbers(100)), lambda number: number % 2 == 1)
        assert [n async for batch in odd for n in batch] == list(range(1, 100, 2))
        assert [n async for batch in even for n in batch] == list(range(0, 100, 2))


async def test_nobody_waits_for_those_who_take_the_other_kind() -> None:
    async with line() as flow:
        even, odd = flow.split("part", flow.stage("count", _numbers(100)), lambda number: number % 2 == 1)
        got = [n async for batch in even for n in batch]  # and nobody takes an odd one
        assert got == list(range(0, 100, 2))
        assert len([n async for batch in odd for n in batch]) == 50


async def test_a_failure_before_the_parting_ends_both_kinds() -> None:
    async def breaks() -> AsyncGenerator[list[int], None]:
        yield [1, 2]
        raise LookupError("three")

    with pytest.raises(LookupError, match="three"):
        async with line() as flow:
            even, _ = flow.split("part", flow.stage("count", breaks()), lambda number: number % 2 == 1)
            _ = [batch async for batch in even]


# --- a while between batches ----------------------------------------------------------------------------------------------


async def _one_each(gap_s: float, count: int) -> AsyncGenerator[list[int], None]:
    for number in range(count):
        yield [number]
        await asyncio.sleep(gap_s)


@virtual
async def test_what_comes_in_quick_succession_is_taken_together_and_what_comes_alone_at_once() -> None:
    now = asyncio.get_running_loop().time
    async with line() as flow:
        quick = flow.stage("count", _one_each(1.0, 7)).batches(100, 2.6)
        assert [(now(), batch) async for batch in quick] == [(0.0, [0]), (2.6, [1, 2]), (5.2, [3, 4, 5]), (7.0, [6])]
        alone = flow.stage("count", _one_each(10.0, 2)).batches(100, 2.5)
        assert [(now(), batch) async for batch in alone] == [(7.0, [0]), (17.0, [1])]


@virtual
async def test_enough_of_them_are_taken_before_the_while_is_over() -> None:
    now = asyncio.get_running_loop().time
    async with line() as flow:
        batches = flow.stage("count", _one_each(1.0, 9)).batches(4, 100.0)
        assert [(now(), len(batch)) async for batch in batches] == [(0.0, 1), (4.0, 4), (8.0, 4)]
