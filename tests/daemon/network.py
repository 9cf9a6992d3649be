"""A network in memory: who answers at which address, and with which host key. Lines can be cut."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from forged.model.errors import HostKeyChanged, SourceLost, SourceUnreachable
from forged.model.target import SourceAddress
from forged.sources.memory import MemorySource
from forged.sources.memory_box import MemoryBox
from forged.sources.memory_faults import Fault


class Network:
    """Boxes by address, and what is pinned, by manifest."""

    def __init__(self) -> None:
        self.answering: dict[SourceAddress, tuple[MemoryBox, str]] = {}
        self.pins: dict[str, str] = {}
        self.knocks: list[SourceAddress] = []
        """Every attempt to connect."""
        self.lines: dict[SourceAddress, list[Knocking]] = {}

    def up(self, at: SourceAddress, box: MemoryBox, key: str) -> None:
        """From now on this box answers there."""
        self.answering[at] = (box, key)

    def down(self, at: SourceAddress) -> None:
        """Nobody answers there any more, and the lines to it are cut."""
        self.answering.pop(at, None)
        for line in self.lines.pop(at, []):
            line.cut()


class Knocking(MemorySource):
    """A source at an address, as an SSH door is: nobody there, another key than the pinned one, or the box."""

    def __init__(self, network: Network, manifest: str, at: SourceAddress, *faults: Fault) -> None:
        super().__init__(MemoryBox(), *faults)
        self._network, self._manifest, self._at = network, manifest, at

    async def __aenter__(self) -> Self:
        await asyncio.sleep(0.05)
        self._network.knocks.append(self._at)
        if self._at not in self._network.answering:
            raise SourceUnreachable(f"{self._at} does not answer")
        self.box, key = self._network.answering[self._at]
        if self._network.pins.setdefault(self._manifest, key) != key:
            raise HostKeyChanged(f"{self._at} shows the key {key}")
        self._network.lines.setdefault(self._at, []).append(self)
        return await super().__aenter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        lines = self._network.lines.get(self._at, [])
        if self in lines:
            lines.remove(self)
        await super().__aexit__(kind, error, trace)

    def cut(self) -> None:
        self._open = False
        for watch in self._watches:
            watch.end(SourceLost(f"the line to {self._at} broke"))
