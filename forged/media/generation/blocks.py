"""The raw blocks of one file, found by what their writer called them. JSON in them is read once, however many parsers ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from forged.media.generation import loose
from forged.model.media import RawBlock

COMMENTS = ("UserComment", "comment", "Comment", "ImageDescription", "description")
"""Where those write who have no keys of their own: EXIF in JPEG, WebP and AVIF, comments of GIF, JPEG and films."""


class Blocks:
    """All texts of one file, in its order."""

    def __init__(self, blocks: Sequence[RawBlock]) -> None:
        self.all = tuple(blocks)
        self._by_key: dict[str, list[RawBlock]] = {}
        for block in blocks:
            self._by_key.setdefault(block.key.lower(), []).append(block)
        self._mappings: dict[int, Mapping[str, object] | None] = {}

    def called(self, *keys: str) -> Iterator[RawBlock]:
        """Those of these keys, whatever the case (ffmpeg writes Matroska's in capitals): all of the first key before the next."""
        for key in dict.fromkeys(key.lower() for key in keys):
            yield from self._by_key.get(key, ())

    def first(self, *keys: str) -> RawBlock | None:
        """The first of them."""
        return next(self.called(*keys), None)

    def text(self, *keys: str) -> str | None:
        """The text of the first of them."""
        block = self.first(*keys)
        return block.text if block is not None else None

    def mapping(self, block: RawBlock) -> Mapping[str, object] | None:
        """The JSON object that it is; None for anything else."""
        if id(block) not in self._mappings:
            self._mappings[id(block)] = loose.mapping(block.text)
        return self._mappings[id(block)]

    def mappings(self, *keys: str) -> Iterator[tuple[RawBlock, Mapping[str, object]]]:
        """The blocks of these keys that are JSON objects, with the objects."""
        for block in self.called(*keys):
            data = self.mapping(block)
            if data is not None:
                yield block, data
