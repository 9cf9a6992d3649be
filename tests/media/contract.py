"""What every examiner promises, over the toy format of `forged.media.memory`: a file is its prompt."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from forged.media.base import Examiner, Opened, Wanted
from forged.model.media import MediaKind

Open = Callable[[str, bytes], Opened]


class ExaminerContract:
    """A body's test class brings the fixture `examiner`, whose examiner is closed at the end."""

    async def test_says_what_is_in_a_file(self, examiner: Examiner, fresh: Open) -> None:
        found = await examiner.examine(fresh("a.png", b"a cat"), (), Wanted())
        assert found.info.kind is MediaKind.IMAGE and found.info.problems == () and found.thumbnail is None
        assert found.info.generation is not None and found.info.generation.prompt == "a cat"
        assert [(block.place, block.text) for block in found.info.raw] == [("toy/prompt", "a cat")]

    async def test_finds_out_no_more_than_is_wanted(self, examiner: Examiner, fresh: Open) -> None:
        file = fresh("a.png", b"a cat")
        found = await examiner.examine(file, (), Wanted(metadata=False, thumbnail=True))
        assert found.info.generation is None and found.thumbnail and found.info.likeness.dhash is None
        found = await examiner.examine(file, (), Wanted(likeness=True))
        assert found.info.generation is not None and not found.thumbnail and found.info.likeness.dhash is not None

    async def test_companions_are_read_as_well_and_told_apart(self, examiner: Examiner, fresh: Open) -> None:
        found = await examiner.examine(fresh("a.mp4", b"a dog"), [fresh("a.png", b"a cat")], Wanted())
        assert {block.place: block.text for block in found.info.raw} == {"toy/prompt": "a dog", "companion/a.png/prompt": "a cat"}

    async def test_the_descriptor_stays_the_callers(self, examiner: Examiner, fresh: Open) -> None:
        file = fresh("a.png", b"a cat")
        os.lseek(file.fd, 3, os.SEEK_SET)
        await examiner.examine(file, (), Wanted())
        assert os.lseek(file.fd, 0, os.SEEK_CUR) == 3 and os.read(file.fd, 9) == b"at"

    async def test_the_name_opens_nothing(self, examiner: Examiner, fresh: Open) -> None:
        file = fresh("a.png", b"a cat")
        for name in ("/etc/passwd", "../../etc/passwd", "a\nb", "", "x" * 255, "\udcff.png", "\x00"):
            found = await examiner.examine(Opened(name, file.fd, file.size_bytes), (), Wanted())
            assert found.info.raw[0].text == "a cat"

    async def test_an_empty_file_is_none_of_ours(self, examiner: Examiner, fresh: Open) -> None:
        found = await examiner.examine(fresh("a.png", b""), (), Wanted(thumbnail=True, likeness=True))
        assert found.info.kind is MediaKind.OTHER and found.info.format == "" and found.thumbnail is None

    async def test_many_at_once_get_their_own_answers(self, examiner: Examiner, fresh: Open) -> None:
        files = [fresh(f"{number}.png", f"cat {number}".encode()) for number in range(60)]
        found = await asyncio.gather(*(examiner.examine(file, (), Wanted(thumbnail=True)) for file in files))
        assert [each.info.raw[0].text for each in found] == [f"cat {number}" for number in range(60)]
        assert [each.thumbnail for each in found] == [f"a thumbnail of cat {number}".encode() for number in range(60)]

    @pytest.mark.parametrize("deadly", [b"crash", b"hang", b"bloat"])
    async def test_a_deadly_file_costs_a_problem_and_the_next_is_read_as_ever(
        self, examiner: Examiner, fresh: Open, deadly: bytes
    ) -> None:
        files = [fresh("a.png", b"a cat"), fresh("b.png", deadly), fresh("c.png", b"a dog")]
        before, found, after = await asyncio.gather(*(examiner.examine(file, (), Wanted()) for file in files))
        assert found.info.problems and found.info.generation is None and found.thumbnail is None
        assert (before.info.raw[0].text, after.info.raw[0].text) == ("a cat", "a dog")
        assert before.info.problems == after.info.problems == ()

    async def test_a_cancelled_examination_leaves_no_answer_behind(self, examiner: Examiner, fresh: Open) -> None:
        for number in range(30):
            cancelled = [asyncio.create_task(examiner.examine(fresh(f"x{number}.png", b"wrong"), (), Wanted())) for _ in range(3)]
            for _ in range(number % 3):
                await asyncio.sleep(0)
            for task in cancelled:
                task.cancel()
            found = await examiner.examine(fresh(f"y{number}.png", f"cat {number}".encode()), (), Wanted())
            assert found.info.raw[0].text == f"cat {number}"
            await asyncio.wait(cancelled)

    async def test_closed_it_ends_what_is_under_way_with_a_problem(self, examiner: Examiner, fresh: Open) -> None:
        waiting = [asyncio.create_task(examiner.examine(fresh(f"{n}.png", b"hang"), (), Wanted())) for n in range(5)]
        await asyncio.sleep(0)
        await examiner.aclose()
        assert all([(await task).info.problems for task in waiting])
        assert (await examiner.examine(fresh("late.png", b"a cat"), (), Wanted())).info.problems
        await examiner.aclose()
