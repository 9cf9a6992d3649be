"""One call of `fetch` at a local folder.

Small files are read many at a time and handed to the sink in one write: a hop and a write cost more than their bytes. A large one
is cloned where the destination can do that; otherwise it is read and written piece by piece.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from forged.model.files import Problem, Stat
from forged.model.transfer import CloningSink, Fetched, Piece, Request, Sink, Staged
from forged.sources.agent.program.line import Trouble
from forged.sources.local_threads import Threads
from forged.sources.local_tree import READ_BYTES, LocalTree, Reading, problem_of

P = ParamSpec("P")
R = TypeVar("R")

SMALL_BYTES = 256 << 10
"""Up to here files go in groups. Below it a clone saves less than its system calls and its hop cost."""

GROUP_BYTES = 1 << 20
"""What a group may hold together: no more than one piece of a large file."""

GROUP_FILES = 64
"""So that a group of empty files is not for ever on its way either: opening and looking costs about 50 us each."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen of a file that was read to its end."""

    before: Stat
    after: Stat
    sha256: bytes | None


@dataclass(frozen=True, slots=True)
class Small:
    """A small file, read whole."""

    request: Request
    data: bytes
    proof: Proof

    @property
    def piece(self) -> Piece:
        return Piece(self.request, self.request.offset_bytes, (self.data,) if self.data else (), last=True)


class LocalFetch:
    """Reads files below `tree` into `sink`, one group or one large file after the other."""

    def __init__(self, tree: LocalTree, threads: Threads, sink: Sink) -> None:
        self._tree, self._threads, self._sink = tree, threads, sink

    async def answers(self, batch: Sequence[Request]) -> AsyncGenerator[Fetched | Problem, None]:
        """As the contract says."""
        for group in _groups(batch, self._sink):
            if _is_large(group[0]):
                yield await self._bring_large(group[0])
            else:
                for answer in await self._bring_small(group):
                    yield answer

    # --- small files ------------------------------------------------------------------------------------------------------

    async def _bring_small(self, group: Sequence[Request]) -> list[Fetched | Problem]:
        read = await self._reserved(sum(map(_wanted_bytes, group)), self._read_all, group)
        good = [one for one in read if isinstance(one, Small)]
        staged = {done.staging: done for done in await self._sink.write([one.piece for one in good])} if good else {}
        return [one if isinstance(one, Problem) else _fetched(one.request, one.proof, staged[one.request.staging]) for one in read]

    def _read_all(self, group: Sequence[Request]) -> tuple[list[Small | Problem], int]:
        read = [self._read_small(request) for request in group]
        return read, sum(len(one.data) for one in read if isinstance(one, Small))

    def _read_small(self, request: Request) -> Small | Problem:
        try:
            with closing(Reading(self._tree, request.entry.path)) as reading:
                _begin(reading, request)
                if request.hash_at_source:
                    reading.digest_to(request.offset_bytes)
                chunks = []
                while reading.at_bytes < request.entry.stat.size_bytes:
                    chunks.append(reading.read(request.entry.stat.size_bytes - reading.at_bytes, request.hash_at_source))
                return Small(request, b"".join(chunks), _proof(reading, request))
        except Trouble as trouble:
            return problem_of(request.entry.path, trouble)

    # --- large files ------------------------------------------------------------------------------------------------------

    async def _bring_large(self, request: Request) -> Fetched | Problem:
        try:
            with closing(await self._threads.do(Reading, self._tree, request.entry.path)) as reading:
                await self._threads.do(_begin, reading, request)
                return await self._cloned(reading, request) or await self._copied(reading, request)
        except Trouble as trouble:
            return problem_of(request.entry.path, trouble)

    async def _cloned(self, reading: Reading, request: Request) -> Fetched | None:
        """The way without bytes of ours; None where there is none. The destination hashes what it has, and we what is here."""
        if request.offset_bytes or not isinstance(self._sink, CloningSink):
            return None
        staged = await self._sink.clone(request, reading.fd)
        if staged is None:
            return None
        if request.hash_at_source:
            await self._digest(reading, request.entry.stat.size_bytes)
        return _fetched(request, await self._threads.do(_proof, reading, request), staged)

    async def _copied(self, reading: Reading, request: Request) -> Fetched:
        """Raises Trouble when the file became shorter or was replaced."""
        if request.hash_at_source:
            await self._digest(reading, request.offset_bytes)
        proof: Proof | None = None
        staged: Sequence[Staged] = ()
        while proof is None:
            left = request.entry.stat.size_bytes - reading.at_bytes
            offset, wanted = reading.at_bytes, min(READ_BYTES, self._sink.portion_bytes, left)
            data, proof = await self._reserved(wanted, _next, reading, request, wanted)
            staged = await self._sink.write([Piece(request, offset, (data,) if data else (), last=proof is not None)])
        return _fetched(request, proof, staged[0])

    async def _reserved(self, most_bytes: int, read: Callable[P, tuple[R, int]], *args: P.args, **kwargs: P.kwargs) -> R:
        """A hop with leave to hold that many bytes. `read` answers how many it holds; the others are given back at once."""
        await self._sink.reserve(most_bytes)
        try:
            result, held_bytes = await self._threads.do(read, *args, **kwargs)
        except BaseException:
            self._sink.refund(most_bytes)
            raise
        self._sink.refund(most_bytes - held_bytes)
        return result

    async def _digest(self, reading: Reading, end_bytes: int) -> None:
        while not await self._threads.do(reading.digest_to, end_bytes):
            pass


def _groups(batch: Sequence[Request], sink: Sink) -> Iterator[Sequence[Request]]:
    """Small files that follow each other go together, as many as the sink likes to take at once; each large one alone."""
    group: list[Request] = []
    group_bytes, most_bytes = 0, min(GROUP_BYTES, sink.portion_bytes)
    for request in batch:
        if group and (_is_large(request) or group_bytes + _wanted_bytes(request) > most_bytes or len(group) == GROUP_FILES):
            yield group
            group, group_bytes, most_bytes = [], 0, min(GROUP_BYTES, sink.portion_bytes)
        if _is_large(request):
            yield [request]
        else:
            group.append(request)
            group_bytes += _wanted_bytes(request)
    if group:
        yield group


def _is_large(request: Request) -> bool:
    """By its whole size: of a resumed file all is hashed, however little is wanted."""
    return request.entry.stat.size_bytes > SMALL_BYTES


def _wanted_bytes(request: Request) -> int:
    return request.entry.stat.size_bytes - request.offset_bytes


def _begin(reading: Reading, request: Request) -> None:
    """Raises Trouble when it is not the file that was listed."""
    reading.must_be(request.entry.stat)
    if not request.hash_at_source:
        reading.skip_to(request.offset_bytes)


def _next(reading: Reading, request: Request, most_bytes: int) -> tuple[tuple[bytes, Proof | None], int]:
    """The next bytes, and behind the last one the look and the hash."""
    data = reading.read(most_bytes, request.hash_at_source) if most_bytes else b""
    ended = reading.at_bytes == request.entry.stat.size_bytes
    return (data, _proof(reading, request) if ended else None), len(data)


def _proof(reading: Reading, request: Request) -> Proof:
    return Proof(reading.before, reading.after(), reading.sha256 if request.hash_at_source else None)


def _fetched(request: Request, proof: Proof, staged: Staged) -> Fetched:
    return Fetched(request, proof.before, proof.after, proof.sha256, staged)
