"""The toy keeps the promises, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from forged.media.base import Wanted
from forged.media.memory import MemoryExaminer
from tests.media.contract import ExaminerContract, Open


@pytest.fixture
async def examiner() -> AsyncIterator[MemoryExaminer]:
    made = MemoryExaminer()
    yield made
    await made.aclose()


class TestMemory(ExaminerContract):
    async def test_held_it_answers_nothing_and_notes_what_it_was_asked(self, examiner: MemoryExaminer, fresh: Open) -> None:
        examiner.held = True
        task = asyncio.create_task(examiner.examine(fresh("a.png", b"a cat"), [fresh("b.png", b"")], Wanted()))
        await asyncio.sleep(0)
        assert not task.done() and examiner.asked == [("a.png", ("b.png",), Wanted())]
        examiner.held = False
        assert (await task).info.problems == ()
