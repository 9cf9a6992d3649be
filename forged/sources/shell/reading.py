"""The lane that brings files: what a pump asks for, as questions to a shell.

A slice is one question to look, one to read for each grant, and one to look again, all sent ahead; so the shell works on without
waiting for us. What differs from its entry moves no byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from forged.model.errors import SourceBroken, SourceError
from forged.model.files import Problem, ProblemKind
from forged.sources.agent.pulse import PATIENCE_S, Duty
from forged.sources.agent.slices import Slice, WholeHash
from forged.sources.agent.wire import Done
from forged.sources.shell import answers
from forged.sources.shell.lane import ANSWER_BYTES, ShellLane
from forged.sources.shell.script import Script

HashApart = Callable[[WholeHash], None]
"""Has a whole file hashed by somebody else, so that it holds up no bytes. Raises SourceError."""


class Part:
    """A slice on its way through a shell; what its replies have in common."""

    expecting, duty, patience_s = True, Duty.FETCH, PATIENCE_S

    def __init__(self, part: Slice) -> None:
        self.slice = part

    @property
    def over(self) -> bool:
        return self.slice.file.over

    def trouble(self, kind: ProblemKind, message: str) -> None:
        """The file does not come."""
        if not self.over:
            self.slice.file.trouble(Problem(self.slice.file.request.entry.path, kind, message))

    def fail(self, error: SourceError) -> None:
        self.slice.fail(error)


class Lines(Part):
    """A reply of a few lines about a slice."""

    def __init__(self, part: Part, read: Callable[[Part, bytes], None]) -> None:
        super().__init__(part.slice)
        self._read, self._body = read, bytearray()

    async def more(self, data: bytes) -> None:
        self._body += data
        if len(self._body) > ANSWER_BYTES:
            raise SourceBroken("the shell answers without end")

    async def end(self) -> None:
        self._read(self, bytes(self._body))


class Bytes(Part):
    """The bytes of one grant."""

    def __init__(self, part: Slice, size_bytes: int) -> None:
        super().__init__(part)
        self._left_bytes = size_bytes

    async def more(self, data: bytes) -> None:
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            raise SourceBroken("the shell sent more bytes of a file than it was asked for")
        if not self.over:
            self.slice.take_data(data)

    async def end(self) -> None:
        if self._left_bytes:
            self.trouble(ProblemKind.CHANGED, "it became shorter while it was read, or could not be read")


class Reader(ShellLane):
    """A lane, as a pump sees it. Its `opened` is to be called before anything is asked."""

    round_trips = 1

    def opened(self, script: Script, across: bool, hash_apart: HashApart) -> None:
        """What it needs to ask for files. `across`: `dd` counts in bytes."""
        self._script, self._across, self._hash_apart = script, across, hash_apart
        self._numbers = itertools.count(1)
        self._ungranted: dict[int, Part] = {}

    def fetch(self, part: Slice) -> int:
        """See FileLane."""
        number, state, entry = next(self._numbers), Part(part), part.file.request.entry
        self.ask(Lines(state, _begun), self._script.begin(number, entry.path, entry.stat))
        self._ungranted[number] = state
        self.grant(number, part.granted_bytes)
        return number

    def grant(self, number: int, amount: int) -> None:
        """See FileLane; the amount is counted as granted already."""
        state = self._ungranted.get(number)
        if state is None or self.ended is not None:
            return
        part = state.slice
        if amount:
            offset_bytes = part.begin + part.granted_bytes - amount
            self.ask(Bytes(part, amount), self._script.read(number, offset_bytes, amount, self._across))
        if part.granted_bytes == part.size_bytes:
            del self._ungranted[number]
            self.ask(Lines(state, _ended), self._script.end(number, part.with_hash))

    def hash(self, call: WholeHash) -> int:
        """See FileLane."""
        self._hash_apart(call)
        return 0

    def cancel(self, numbers: Iterable[int]) -> None:
        """What was sent ahead still comes, no more than was granted, and is dropped."""
        for number in numbers:
            self._ungranted.pop(number, None)


def _begun(part: Part, body: bytes) -> None:
    """The look before the first byte; the shell reads only what looks as expected, to the second."""
    entry = part.slice.file.request.entry
    answer = answers.regular(entry.path, body)
    if isinstance(answer, Problem):
        part.trouble(ProblemKind.CHANGED if answer.kind is ProblemKind.LINK else answer.kind, answer.message)
    elif not answer.stat.same_file(entry.stat):
        part.trouble(ProblemKind.CHANGED, "it is not as it was listed")


def _ended(part: Part, body: bytes) -> None:
    """The look after the last byte, and the hash before it."""
    if part.over:
        return
    entry, said = part.slice.file.request.entry, answers.lines(body)
    hashing = part.slice.with_hash
    answer = answers.regular(entry.path, b"".join(line + b"\n" for line in said[-1:]))
    if isinstance(answer, Problem) or answer.stat.inode != (entry.stat.inode or answer.stat.inode):
        part.trouble(ProblemKind.CHANGED, "it was replaced while it was read")
    elif hashing and len(said) == 1:
        part.trouble(ProblemKind.UNREADABLE, "it could not be hashed")
    elif len(said) != 1 + hashing:
        raise SourceBroken("the shell answered with another number of lines than the script prints")
    else:
        sha256 = answers.sha256(said[0]) if hashing else None
        part.slice.take_done(Done(entry.stat, answer.stat, sha256))
