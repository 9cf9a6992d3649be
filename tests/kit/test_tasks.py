"""Guarded tasks: an end that nobody asked for is told, and notes are written to the end."""

from __future__ import annotations

import asyncio

import pytest

from forged.kit.tasks import Eternal, Tasks, to_the_end
from tests.support.virtual import virtual


class Told:
    def __init__(self) -> None:
        self.ends: list[tuple[str, BaseException | None]] = []

    def __call__(self, name: str, error: BaseException | None) -> None:
        self.ends.append((name, error))


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_fails_or_just_returns_is_told_by_its_name() -> None:
    async def fails() -> None:
        raise KeyError("x")

    async def returns() -> None: ...

    told = Told()
    tasks = Tasks(told)
    tasks.start("fails", fails())
    tasks.start("returns", returns())
    tasks.start("lives", for_ever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [(name, type(error)) for name, error in told.ends] == [("fails", KeyError), ("returns", type(None))]
    assert tasks.names == ["lives"]
    await tasks.stop_all()
    assert len(told.ends) == 2, "an end that was asked for is no news"


async def test_stopping_waits_for_the_end_and_the_last_started_goes_first() -> None:
    gone: list[str] = []

    async def slow(name: str) -> None:
        try:
            await for_ever()
        finally:
            await asyncio.sleep(0)
            gone.append(name)

    tasks = Tasks(Told())
    for name in ("one", "two", "three"):
        tasks.start(name, slow(name))
    await asyncio.sleep(0)
    await tasks.stop("nobody")
    await tasks.stop_all()
    assert gone == ["three", "two", "one"]


async def test_two_tasks_of_one_name_are_refused_but_one_may_follow_the_other() -> None:
    told = Told()
    tasks = Tasks(told)
    tasks.start("one", for_ever())
    with pytest.raises(ValueError, match="runs already"):
        tasks.start("one", for_ever())
    stopping = asyncio.create_task(tasks.stop("one"))
    await asyncio.sleep(0)
    tasks.start("one", for_ever())  # while the first one is still ending
    await stopping
    assert tasks.names == ["one"]
    await tasks.stop_all()
    assert told.ends == []


async def test_a_fault_on_the_way_out_is_told_too() -> None:
    async def clumsy() -> None:
        try:
            await for_ever()
        finally:
            raise KeyError("broken on the way out")

    told = Told()
    tasks = Tasks(told)
    tasks.start("clumsy", clumsy())
    await asyncio.sleep(0)
    await tasks.stop("clumsy")
    assert [(name, type(error)) for name, error in told.ends] == [("clumsy", KeyError)]


async def test_a_note_is_written_to_the_end_although_its_writer_is_cancelled() -> None:
    half, written = asyncio.Event(), asyncio.Event()

    async def note() -> None:
        half.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        written.set()

    writer = asyncio.create_task(to_the_end(note()))
    await half.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    assert written.is_set()


async def test_what_carries_to_the_end_answers_and_raises_like_the_work_itself() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> int:
        raise KeyError("x")

    assert await to_the_end(answer()) == 7
    with pytest.raises(KeyError):
        await to_the_end(fail())


@virtual
async def test_an_eternal_task_that_stumbles_begins_anew_after_a_rest_and_never_after_it_was_stopped() -> None:
    began: list[str] = []
    told: list[str] = []

    async def stumbles(name: str) -> None:
        began.append(name)
        await asyncio.sleep(1)
        raise KeyError(name)

    eternal = Eternal(lambda name, error: told.append(f"{name} {error!r}"), rest_s=5.0)
    eternal.start("a", lambda: stumbles("a"))
    await asyncio.sleep(13.1)
    assert began == ["a"] * 3
    assert told == ["a KeyError('a')"] * 3
    eternal.start("b", lambda: stumbles("b"))
    await asyncio.sleep(1.5)  # it rests
    await eternal.stop("b")
    await asyncio.sleep(20)
    assert began.count("b") == 1
    await eternal.stop_all()
    before = len(began)
    await asyncio.sleep(20)
    assert len(began) == before
