"""What follows from an answer to the question which boxes there are.

A book of the boxes of one discovery, and what an answer, or no answer, makes of it. An error changes nothing about any box. A box
that a whole answer does not show is missing, and gone only after several in a row.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from forged.model.boxes import Box, BoxId, BoxState, KnownBox, Sighting
from forged.model.manifest import ManifestName
from forged.model.target import Target, TargetName

MISSES = 3
GONE_AFTER_S = 60.0
"""A box is gone after so many whole answers in a row without it, over at least so long. One answer may be wrong however whole it
looks: a list that is just being moved from one server to another, a label that was taken off by mistake. Three over a minute cost
nothing, since its target goes on being tried all the while."""

MISSING_EVERY_S = 30.0
"""While a box is missing it is asked at least so often: with `every = "1h"` three answers would take the night."""

UNREACHED_EVERY_S = 60.0
"""And so often while a box does not answer, also when the provider fails: it may have moved, and nobody else knows where to."""

LOST_KEPT_S = 7 * 86_400.0
"""So long a box that is gone stays in sight with what it still had, if nobody gives it up before."""

LONGEST_EVERY_S = 900.0
"""Between two questions to a provider that fails, unless `every` is longer: it is down for minutes or hours, rarely for days."""

JITTER_SHARE = 0.1
"""A question comes up to a tenth earlier or later, so that several forgeds of one account do not ask at the same moment."""

NAME_CHARS = 64
"""As in config: a target's name becomes a folder and a label."""

DIGEST_CHARS = 8

NO_BOXES: Mapping[BoxId, KnownBox] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Book:
    """What one discovery knows: its boxes, and how the last questions went. Times as forged's clock counts."""

    boxes: Mapping[BoxId, KnownBox] = field(default_factory=lambda: NO_BOXES)
    answered_ns: int | None = None
    """When the last whole answer came, in this life of forged."""
    failures: int = 0
    """Questions in a row that were not answered."""
    failing_since_ns: int | None = None


class Turn(enum.Enum):
    """What has changed about a box."""

    APPEARED = "appeared"
    MOVED = "moved"
    STOPPED = "stopped"
    WOKE = "woke"
    MISSING = "missing"
    GONE = "gone"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Decision:
    """One change of one box, as it is now, or was seen last."""

    turn: Turn
    box: Box


def answered(book: Book, sighting: Sighting) -> tuple[Book, tuple[Decision, ...]]:
    """After a whole answer. Decisions come in the order of the ids.

    A box of which only the id is known, and that nobody knew before, is left out: it may be one with another label.
    """
    seen = {box.id: box for box in sighting.boxes}
    boxes: dict[BoxId, KnownBox] = {}
    decisions: list[Decision] = []
    for id in sorted({*book.boxes, *(id for id, box in seen.items() if box.state is not BoxState.UNKNOWN or box.addresses)}):
        known = book.boxes.get(id)
        now = _missed(book.boxes[id], sighting.at_ns) if id not in seen else _seen(known, seen[id])
        boxes[id] = now
        if (turn := _turn(known, now)) is not None:
            decisions.append(Decision(turn, now.box))
    return Book(MappingProxyType(boxes), sighting.at_ns), tuple(decisions)


def failed(book: Book, at_ns: int) -> Book:
    """After a question that was not answered: no box is touched."""
    since_ns = at_ns if book.failing_since_ns is None else book.failing_since_ns
    return replace(book, failures=book.failures + 1, failing_since_ns=since_ns)


def let_go(book: Book, ids: Collection[BoxId]) -> Book:
    """These boxes are forgotten: gone, and nothing of them is waited for."""
    return replace(book, boxes=MappingProxyType({id: known for id, known in book.boxes.items() if id not in ids}))


def noted(book: Book, changed: Iterable[KnownBox]) -> Book:
    """With what became known of boxes in between; of those that the book has."""
    new = {known.box.id: known for known in changed if known.box.id in book.boxes}
    return replace(book, boxes=MappingProxyType({**book.boxes, **new}))


def is_kept(known: KnownBox, *, reached: bool, now_ns: int) -> bool:
    """Whether it has a target: one that is there, that still answers, or of which something is not home, for a while."""
    if known.gone_since_ns is None or reached:
        return True
    unfinished = known.left_files > 0 or known.unseen
    return unfinished and now_ns - known.gone_since_ns < LOST_KEPT_S * 1e9


def next_question_s(
    book: Book, every_s: float, chance: float, retry_after_s: float | None = None, *, unreached: bool = False
) -> float:
    """How long to wait before asking again. `chance` is in [0, 1). Never sooner than the provider wants.

    `unreached`: a box that should be up does not answer.
    """
    wait_s = min(every_s * 2.0 ** min(book.failures, 30), max(every_s, LONGEST_EVERY_S))
    missing = any(known.missed and known.gone_since_ns is None for known in book.boxes.values())
    if missing and not book.failures:
        wait_s = min(wait_s, MISSING_EVERY_S)
    if unreached:
        wait_s = min(wait_s, UNREACHED_EVERY_S)
    wait_s *= 1.0 + JITTER_SHARE * (2.0 * chance - 1.0)
    return max(wait_s, retry_after_s or 0.0)


def nobody_there(known: KnownBox) -> str:
    """Why nobody need try to reach it, in words; empty where somebody may answer."""
    box = known.box
    if known.gone_since_ns is not None:
        return "it is gone: its provider does not list it any more"
    if box.addresses:
        return ""
    return box.why or {
        BoxState.STOPPED: "it is stopped; its disk is kept",
        BoxState.STARTING: "it is starting",
    }.get(box.state, "its provider tells no address of it")


# --- the targets ------------------------------------------------------------------------------------------------------------


def target_name(discovery: str, id: BoxId, targets: Collection[str], discoveries: Collection[str]) -> TargetName:
    """`<discovery>-<id>`: readable, and the same whatever other boxes there are. Expects an id that is a plain word.

    It gets a digest where that is too long, is the name of a configured target, or may be a box of another discovery
    (`a` with `b-1`, `a-b` with `1`). Case does not count, as in folders at home.
    """
    plain = f"{discovery}-{id}"
    others = [other for other in discoveries if len(other) > len(discovery) and plain.lower().startswith(f"{other.lower()}-")]
    if len(plain) <= NAME_CHARS and not others and plain.lower() not in {name.lower() for name in targets}:
        return TargetName(plain)
    digest = hashlib.sha256(f"{discovery}\0{id}".encode()).hexdigest()[:DIGEST_CHARS]
    return TargetName(f"{plain[: NAME_CHARS - DIGEST_CHARS - 1]}-{digest}")


def manifest_name(discovery: str, id: BoxId) -> ManifestName:
    """Of the memory and the pinned host key of an instance. No target's name has an `@`, so none is taken for it."""
    return ManifestName(f"{discovery}@{id}")


def newcomers(discovery: str) -> ManifestName:
    """In whose name a hold waits for the boxes that this discovery shows next. No instance's: no id is empty."""
    return ManifestName(f"{discovery}@")


def target_of(template: Target, name: TargetName, manifest: ManifestName, box: Box) -> Target:
    """The target of a box. Its address is the first one; which of them is used is decided at each connection."""
    address = template.source
    if box.addresses:
        address = replace(box.addresses[0], path=template.source.path)
    return replace(template, name=name, manifest=manifest, source=address)


# --- one box ----------------------------------------------------------------------------------------------------------------


def _seen(known: KnownBox | None, box: Box) -> KnownBox:
    if known is None:
        return KnownBox(box)
    if box.state is BoxState.UNKNOWN:  # what the provider does not know is not gone
        old = known.box
        addresses, label = box.addresses or old.addresses, box.label if box.label is not None else old.label
        box = replace(box, addresses=addresses, label=label, end_ns=box.end_ns if box.end_ns is not None else old.end_ns)
    return replace(known, box=box, missed=0, missing_since_ns=None, gone_since_ns=None)


def _missed(known: KnownBox, at_ns: int) -> KnownBox:
    if known.gone_since_ns is not None:
        return known
    missed = known.missed + 1
    since_ns = at_ns if known.missing_since_ns is None else min(known.missing_since_ns, at_ns)  # a clock may be set back
    gone = missed >= MISSES and at_ns - since_ns >= GONE_AFTER_S * 1e9
    return replace(known, missed=missed, missing_since_ns=since_ns, gone_since_ns=at_ns if gone else None)


def _turn(before: KnownBox | None, now: KnownBox) -> Turn | None:
    if before is None:
        return Turn.APPEARED
    if before.gone_since_ns is not None:
        return Turn.BACK if now.gone_since_ns is None else None
    if now.missed:
        return Turn.GONE if now.gone_since_ns is not None else Turn.MISSING if now.missed == 1 else None
    if now.box.addresses and before.box.addresses:
        return Turn.MOVED if now.box.addresses != before.box.addresses else None
    if now.box.addresses:
        return Turn.WOKE
    return Turn.STOPPED if before.box.addresses else None
