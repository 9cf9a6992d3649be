"""The part of the source contract for bodies that hash files where they are."""

from __future__ import annotations

import hashlib
from contextlib import aclosing

from forged.model.files import Problem, ProblemKind
from forged.sources.base import Hashed, Source
from tests.sources.asking import bytes_of, kind_of, still_works
from tests.sources.boxes import Box
from tests.support.sinks import MIB


class HashContract:
    """Beside SourceContract, for a body that can."""

    async def test_files_are_hashed_where_they_are(self, box: Box, source: Source) -> None:
        datas = {b"empty": b"", b"small": b"x", b"large": bytes_of(3 * MIB + 1)}
        entries = [box.write(path, data) for path, data in datas.items()]
        answers = [answer async for answer in source.hash(entries)]
        assert len(answers) == 3
        for answer in answers:
            assert isinstance(answer, Hashed)
            assert answer.sha256 == hashlib.sha256(datas[answer.entry.path]).digest()
            assert answer.after.same_file(answer.entry.stat)

    async def test_a_file_that_is_not_as_its_entry_says_is_not_hashed(self, box: Box, source: Source) -> None:
        entries = [box.write(path, b"12345678") for path in (b"good", b"touched", b"gone")]
        box.touch(b"touched")
        box.delete(b"gone")
        answers = {(a.path if isinstance(a, Problem) else a.entry.path): a async for a in source.hash(entries)}
        assert isinstance(answers[b"good"], Hashed)
        assert kind_of(answers[b"touched"]) is ProblemKind.CHANGED
        assert kind_of(answers[b"gone"]) is ProblemKind.VANISHED

    async def test_hashing_can_be_left_early(self, box: Box, source: Source) -> None:
        entries = [box.write(b"%d" % number, bytes_of(MIB)) for number in range(10)]
        async with aclosing(source.hash(entries)) as answers:
            async for _ in answers:
                break
        await still_works(box, source)
