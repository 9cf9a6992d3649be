"""What may change in a sidecar that others edit, too: pure decisions.

Properties of our namespace are ours. In those that others use as well we change what is absent, and what is still what we wrote:
`forged:Written` remembers that by a hash of each value. What a person has changed stays, what they have taken out does not come
back, and what is of a form that we do not write (a structure, a reference) is not touched. Lists are united; out of them we take
only tags that we put there (`forged:Tags`) and do not want any more. `forged:Written` remembers, too, by a hash, which of our tags
were somebody else's before (`theirs`): these stay; and which a person has taken out (`out`): these do not come back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from forged.media.xmp.fields import (
    METADATA_DATE,
    OWN_TAGS,
    PROPERTIES,
    SUBJECT,
    TAG_LISTS,
    WRITTEN,
    Property,
    Values,
    as_in_xml,
    is_flat,
)
from forged.media.xmp.reading import Packet

HASH_DIGITS = 16
"""64 bits: a person's edit that looks like ours by chance does not happen."""

_THEIRS, _OUT = "theirs", "out"


@dataclass(frozen=True, slots=True)
class Memory:
    """What `forged:Written` and `forged:Tags` say of our former visits."""

    marks: dict[str, str]
    """For each shared property that we wrote, the hash of what we wrote."""
    theirs: frozenset[str]
    out: frozenset[str]
    tags: Sequence[str]

    def entries(self) -> list[str]:
        """As they stand in `forged:Written`, in one order."""
        tags = [f"{word}={one}" for word, those in ((_THEIRS, self.theirs), (_OUT, self.out)) for one in those]
        return sorted([*(f"{tag}={mark}" for tag, mark in self.marks.items()), *tags])


def changes(wanted: Values, there: Packet) -> dict[Property, Sequence[str]]:
    """The properties to write, each with all of its values; those without values are to be taken out.

    Nothing where all is well already, and nothing where nothing is wanted.
    """
    if not wanted:
        return {}
    before = remembered(there)
    tags = _tags_seen(before, wanted, there)
    lists = _tag_lists(tags, wanted, there)
    found = {prop: then for prop, then in lists.items() if then != list(there.values.get(prop.name, ()))}
    found |= _own_changed(wanted, there) | _shared_changed(before, wanted, there)
    shared = {prop: values for prop, values in found.items() if _is_shared(prop)}
    marks = {**before.marks, **{prop.tag: hashed(_as_there(prop, values)) for prop, values in shared.items()}}
    gone = {prop.tag for prop, values in shared.items() if not values}
    out = tags.out | {_place(prop, tag) for prop, then in lists.items() for tag in wanted.get(prop, ()) if tag not in then}
    after = Memory({tag: mark for tag, mark in marks.items() if tag not in gone}, tags.theirs, out, ())
    if after.entries() != sorted(there.values.get(WRITTEN.name, ())) and WRITTEN.name not in there.opaque:
        found[WRITTEN] = after.entries()
    return found


def remembered(there: Packet) -> Memory:
    """What the packet says of us. Entries that we do not understand are forgotten."""
    told = [one.split("=", 1) for one in there.values.get(WRITTEN.name, ()) if "=" in one]
    marks = {key: value for key, value in told if key not in (_THEIRS, _OUT)}
    theirs, out = (frozenset(value for key, value in told if key == word) for word in (_THEIRS, _OUT))
    return Memory(marks, theirs, out, there.values.get(OWN_TAGS.name, ()))


def hashed(values: Sequence[str]) -> str:
    """Of the values as they stand in the packet."""
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:HASH_DIGITS]


def _shared_changed(before: Memory, wanted: Values, there: Packet) -> dict[Property, Sequence[str]]:
    """Properties with one value that others use, too."""
    found: dict[Property, Sequence[str]] = {}
    for prop in PROPERTIES:
        now, values = list(there.values.get(prop.name, ())), wanted.get(prop, ())
        ours = _is_ours(now, before.marks.get(prop.tag)) and prop.name not in there.opaque
        if _is_shared(prop) and ours and now != _as_there(prop, values):
            found[prop] = values
    return found


def _own_changed(wanted: Values, there: Packet) -> dict[Property, Sequence[str]]:
    return {
        prop: wanted.get(prop, ())
        for prop in PROPERTIES
        if prop.is_own and prop is not WRITTEN and prop.name not in there.opaque
        if not _is_same(prop, there.values.get(prop.name, ()), wanted.get(prop, ()))
    }


def _tags_seen(before: Memory, wanted: Values, there: Packet) -> Memory:
    """Which tags are somebody else's, and which a person has taken out, after another look.

    One that was taken out of a list and is there again is theirs. One that is missing in a list where we put it has been taken out,
    and comes to no list again: programs do not write all three.
    """
    lists = {prop: set(there.values.get(prop.name, ())) for prop in TAG_LISTS if prop.name not in there.opaque}
    present = set().union(*lists.values())
    new = {hashed([tag]) for tag in wanted.get(SUBJECT, ()) if tag in present and tag not in before.tags}
    back = {(prop, tag) for prop, tags in lists.items() for tag in tags if _place(prop, tag) in before.out}
    out = {
        _place(prop, tag)
        for prop, tags in lists.items()
        for tag in before.tags
        if tag not in tags and (prop is SUBJECT or is_flat(tag))
    }
    theirs = before.theirs | new | {hashed([tag]) for _, tag in back}
    return Memory(before.marks, theirs, before.out - {_place(*one) for one in back} | out, before.tags)


def _place(prop: Property, tag: str) -> str:
    return hashed([prop.tag, tag])


def _tag_lists(tags: Memory, wanted: Values, there: Packet) -> dict[Property, Sequence[str]]:
    """The lists as they should be. In one of a form that is not ours nothing changes."""
    readable = [prop for prop in TAG_LISTS if prop.name not in there.opaque]
    return {prop: _united(there.values.get(prop.name, ()), wanted.get(prop, ()), tags) for prop in readable}


def _united(now: Sequence[str], wanted: Sequence[str], tags: Memory) -> list[str]:
    former, here, mine = set(tags.tags), set(now), set(wanted)
    kept = [tag for tag in now if tag in mine or tag not in former or hashed([tag]) in tags.theirs]
    new = [tag for tag in wanted if tag not in here and tag not in former]
    return kept + [tag for tag in new if not any(_place(prop, tag) in tags.out for prop in TAG_LISTS)]


def _is_shared(prop: Property) -> bool:
    return not prop.is_own and prop not in TAG_LISTS and prop is not METADATA_DATE


def _is_ours(now: Collection[str], mark: str | None) -> bool:
    """Absent and never written by us, or still what we wrote. Absent though we wrote it: a person took it out."""
    return mark is None if not now else mark == hashed(list(now))


def _as_there(prop: Property, values: Sequence[str]) -> list[str]:
    return [as_in_xml(prop, value) for value in values]


def _is_same(prop: Property, now: Sequence[str], then: Sequence[str]) -> bool:
    return sorted(now) == sorted(then) if prop.is_list else list(now) == list(then)
