"""From a provider's words to boxes: strict about ids, who is not in an answer counts as gone; patient with everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

import msgspec

from forged.config.address import parse_source
from forged.discovery.base import MOST_BOXES
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.errors import DiscoveryError
from forged.model.target import SourceAddress, SourceKind

LABEL_MOST_CHARS = 200
"""A label is a few words; it is shown in one line of a terminal."""

LATEST_END_S = 32_503_680_000.0
"""The year 3000. An end beyond it is some "never", and would not fit the 64 bits of a moment in nanoseconds much longer."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as the names of targets in config/values
_PORT = re.compile(r"[0-9]{1,5}")

T = TypeVar("T")


class JustId(msgspec.Struct):
    """All that is needed of an element that is not understood otherwise."""

    id: int | str


def decoded(text: bytes, kind: type[T], who: str) -> T:
    """JSON as `kind`. Raises DiscoveryError, which says what came instead, without quoting it."""
    if not text.strip():
        raise DiscoveryError(f"{who} answers nothing at all, which is no list")
    if text.lstrip().startswith(b"<"):
        raise DiscoveryError(f"{who} answers with a page of HTML instead of JSON: is something in between, a proxy or a portal?")
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise DiscoveryError(f"the answer of {who} is not understood: {error}") from None
    except RecursionError:
        raise DiscoveryError(f"the answer of {who} is not understood: it is nested too deeply") from None


def box_id(raw: int | str, who: str) -> BoxId:
    """Raises DiscoveryError: a box without a usable id voids the whole answer."""
    text = str(raw)
    if not _ID.fullmatch(text):
        raise DiscoveryError(
            f"{who} names a box by an id that is none: {plain(text)[:80]!r}; an id is 64 letters, digits, . _ - at most"
        )
    return BoxId(text)


def plain(text: str) -> str:
    """Without what a terminal would obey, on one line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.strip())


def ssh_address(host: str, port: int | str, user: str) -> SourceAddress:
    """An address as config would read it from a URL. Raises ValueError."""
    digits = str(port)
    if not _PORT.fullmatch(digits) or int(digits) == 0:
        raise ValueError("its SSH port is no port")
    try:
        return parse_source(str(SourceAddress(SourceKind.SSH, "", host, user, int(digits))))
    except ValueError:
        raise ValueError("its SSH address is none") from None


def end_ns(epoch_s: float | None) -> int | None:
    """When it ends by itself. None, 0 and what lies beyond LATEST_END_S say nothing."""
    if epoch_s is None or not 0 < epoch_s < LATEST_END_S:
        return None
    return round(epoch_s * 1e9)


class BoxList:
    """The boxes of one answer, as they are read. `label`: only those that carry it; None = all."""

    def __init__(self, who: str, label: str | None) -> None:
        self._who = who
        self._label = None if label is None else plain(label)
        self._boxes: dict[str, Box] = {}
        self._taken: dict[str, BoxId] = {}

    def __len__(self) -> int:
        """How many there were, wanted or not."""
        return len(self._taken)

    def read(self, raws: Iterable[msgspec.Raw], kind: type[T], understood: Callable[[T], Box | None]) -> None:
        """Each element as `kind`, then as a box; `understood` raises ValueError, and answers None for one that is gone.

        Raises DiscoveryError.
        """
        for raw in raws:
            try:
                element = msgspec.json.decode(raw, type=kind)
                box = understood(element)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                self.add_unread(raw, str(error))
            else:
                if box is not None:
                    self.add(box)

    def add(self, box: Box) -> None:
        """Its label may still be as the provider has it. Raises DiscoveryError: an id that came before, or too many boxes."""
        self._take(box.id)
        label = plain(box.label or "") or None
        if self._label is None or label == self._label:
            short = label if label is None or len(label) <= LABEL_MOST_CHARS else label[: LABEL_MOST_CHARS - 1] + "…"
            self._boxes[box.id] = Box(box.id, box.state, box.addresses, short, box.end_ns, box.why)

    def add_unread(self, raw: msgspec.Raw | bytes, why: str) -> None:
        """One that is not understood: if it has an id, it exists. Raises DiscoveryError if not."""
        id = box_id(decoded(bytes(raw), JustId, self._who).id, self._who)
        self._take(id)
        self._boxes[id] = Box(id, BoxState.UNKNOWN, why=f"what {self._who} says of it is not understood: {plain(why)}")

    def _take(self, id: BoxId) -> None:
        if before := self._taken.get(id.lower()):
            raise DiscoveryError(f"{self._who} names two boxes {before!r} and {id!r}: each id may come once (case does not count)")
        self._taken[id.lower()] = id
        if len(self._taken) > MOST_BOXES:
            raise DiscoveryError(f"{self._who} names more than {MOST_BOXES:,} boxes: nothing of it is believed")

    def boxes(self) -> tuple[Box, ...]:
        """Those that are wanted, in the order of their ids."""
        return tuple(self._boxes[id] for id in sorted(self._boxes))
