"""A sink that hands bytes on under the names of the target, where the source inside knows its files by other paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from forged.model.paths import SourcePath
from forged.model.transfer import CloningSink, Piece, Request, Sink, Staged


class NamedSink:
    """`asked`: each request by the path that the source inside has for it."""

    def __init__(self, sink: Sink, asked: Mapping[SourcePath, Request]) -> None:
        self._sink, self._asked = sink, asked

    @property
    def portion_bytes(self) -> int:
        return self._sink.portion_bytes

    async def reserve(self, size_bytes: int) -> None:
        await self._sink.reserve(size_bytes)

    def refund(self, size_bytes: int) -> None:
        self._sink.refund(size_bytes)

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        return await self._sink.write([replace(piece, request=self._asked[piece.request.entry.path]) for piece in pieces])


class NamedCloningSink(NamedSink):
    """The same, where the sink can take whole files of this machine."""

    def __init__(self, sink: CloningSink, asked: Mapping[SourcePath, Request]) -> None:
        super().__init__(sink, asked)
        self._cloning = sink

    async def clone(self, request: Request, fd: int) -> Staged | None:
        return await self._cloning.clone(self._asked[request.entry.path], fd)
