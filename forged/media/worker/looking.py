"""What a worker does with a file: texts, what they say, thumbnail and likeness, each for itself. What fails costs its own part."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from msgspec import structs

from forged.kit.pread import read_all
from forged.media.base import Found, Opened, Wanted
from forged.media.pictures.words import PictureError
from forged.media.worker.letters import UNREAD
from forged.model.media import Generation, MediaInfo, RawBlock

T = TypeVar("T")

MOST_SWARM_BYTES = 1 << 22
"""Of a `.swarm.json`; they have some kilobytes."""

MOST_WORD_LETTERS = 300
"""Of an error's own text in a problem; some quote what they choked on."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Who reads what."""

    read: Callable[[int, int], MediaInfo]
    """Descriptor and size: everything but the generation."""
    generation_of: Callable[[Sequence[RawBlock]], Generation | None]
    stealth_text: Callable[[int, int, bytes], str | None]
    """Width, height and RGBA: a text hidden in the pixels."""


class Look:
    """At one file."""

    def __init__(self, parts: Parts, file: Opened, companions: Sequence[Opened], wanted: Wanted) -> None:
        self._parts = parts
        self._file = file
        self._companions = companions
        self._wanted = wanted
        self._problems: list[str] = []

    def found(self) -> Found:
        """Never raises for what the file holds."""
        info = self._tried("metadata", lambda: self._parts.read(self._file.fd, self._file.size_bytes)) or UNREAD
        raw = [*info.raw, *self._of_companions()]
        thumbnail, likeness = None, info.likeness
        if self._wanted.thumbnail or self._wanted.likeness:
            from forged.media.pictures import picture  # heavy, and not everybody wants it

            seen = self._tried("picture", lambda: picture.seen(self._file, info, self._wanted, self._parts.stealth_text))
            if seen is not None:
                thumbnail, likeness = seen.thumbnail, seen.likeness
                raw += [RawBlock(f"{info.format}/stealth", text) for text in seen.texts]
                self._problems += seen.problems
        generation = self._tried("metadata", lambda: self._parts.generation_of(raw)) if self._wanted.metadata else None
        problems = (*info.problems, *self._problems)
        return Found(structs.replace(info, generation=generation, raw=tuple(raw), likeness=likeness, problems=problems), thumbnail)

    def _of_companions(self) -> Iterator[RawBlock]:
        for companion in self._companions if self._wanted.metadata else ():
            yield from self._tried(companion.name, partial(self._of, companion)) or ()

    def _of(self, companion: Opened) -> list[RawBlock]:
        if companion.name.endswith(".swarm.json"):
            data = read_all(companion.fd, companion.size_bytes, MOST_SWARM_BYTES)
            return [RawBlock("swarm.json", data.decode("utf-8-sig", "replace"))]
        blocks = self._parts.read(companion.fd, companion.size_bytes).raw
        return [RawBlock(f"companion/{companion.name}/{block.place}", block.text) for block in blocks]

    def _tried(self, what: str, work: Callable[[], T]) -> T | None:
        """A mistake of ours, or of a library, with this file; the next may be read well."""
        try:
            return work()
        except Exception as e:  # noqa: BLE001  one of the two places that may: one bad file must not stop the rest
            self._problems.append(f"{what}: {words(e)}")
            return None


def words(error: Exception) -> str:
    """What a person makes something of; of what nobody foresaw also where it was, since a worker has no log."""
    if isinstance(error, PictureError):
        return str(error)
    if isinstance(error, MemoryError):
        return "it needs more memory than a worker may have"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join(str(error)[:MOST_WORD_LETTERS].split())
    return f"{type(error).__name__} at {last.filename.rsplit('/', 1)[-1]}:{last.lineno}: {text}"
