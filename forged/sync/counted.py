"""A coat around a sink that tells the observer how many bytes have arrived."""

from __future__ import annotations

from collections.abc import Sequence

from forged.model.observer import BytesArrived, Observer
from forged.model.transfer import CloningSink, Piece, Request, Sink, Staged


class Counted:
    """The sink it wraps, with every promise of it."""

    def __init__(self, sink: Sink, observer: Observer, target: str) -> None:
        self._sink = sink
        self._observer = observer
        self._target = target

    @property
    def portion_bytes(self) -> int:
        return self._sink.portion_bytes

    async def reserve(self, size_bytes: int) -> None:
        await self._sink.reserve(size_bytes)

    def refund(self, size_bytes: int) -> None:
        self._sink.refund(size_bytes)

    async def write(self, pieces: Sequence[Piece]) -> Sequence[Staged]:
        staged = await self._sink.write(pieces)
        self._observer.notice(BytesArrived(self._target, sum([piece.size_bytes for piece in pieces])))
        return staged

    async def clone(self, request: Request, fd: int) -> Staged | None:
        staged = await self._sink.clone(request, fd) if isinstance(self._sink, CloningSink) else None
        if staged is not None:
            self._observer.notice(BytesArrived(self._target, staged.size_bytes))
        return staged
