"""What may change in a sidecar that others edit, too: pure decisions.

Properties of our namespace are ours. In those that others use as well we change what is absent, and what is still what we wrote:
`forged:Written` remembers that by a hash of each value. What a person has changed stays; what they have taken out does not come
back. Lists are united, and of them only our own former tags (`forged:Tags`) are ever taken out, when they are no longer wanted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from forged.media.xmp.fields import OWN_TAGS, PROPERTIES, TAG_LISTS, WRITTEN, Property, Values, as_in_xml

HASH_DIGITS = 16
"""64 bits: a person's edit that looks like ours by chance does not happen."""

There = Mapping[str, Sequence[str]]
"""What a packet says (`reading.Packet.values`)."""


def changes(wanted: Values, there: There) -> dict[Property, Sequence[str]]:
    """The properties to write, each with all of its values. Nothing where all is well already."""
    written = dict(one.split("=", 1) for one in there.get(WRITTEN.name, ()) if "=" in one)
    found: dict[Property, Sequence[str]] = {}
    for prop, values in wanted.items():
        now = list(there.get(prop.name, ()))
        if prop in TAG_LISTS:
            then = _united(now, values, there.get(OWN_TAGS.name, ()))
        elif prop.is_own or _is_ours(now, written.get(prop.tag)):
            then = [as_in_xml(prop, value) for value in values]
        else:
            continue
        if _order_free(prop, now) != _order_free(prop, then):
            found[prop] = then if prop in TAG_LISTS else values
    for prop in PROPERTIES:
        if prop.is_own and prop not in wanted and prop is not WRITTEN and wanted and there.get(prop.name):
            found[prop] = []
    marks = {prop.tag: hashed([as_in_xml(prop, value) for value in values]) for prop, values in found.items() if _is_shared(prop)}
    if marks:
        found[WRITTEN] = [f"{tag}={mark}" for tag, mark in sorted({**written, **marks}.items())]
    return found


def hashed(values: Sequence[str]) -> str:
    """Of the values as they stand in the packet."""
    return hashlib.sha256("\0".join(values).encode()).hexdigest()[:HASH_DIGITS]


def _is_shared(prop: Property) -> bool:
    return not prop.is_own and prop not in TAG_LISTS


def _is_ours(now: Sequence[str], mark: str | None) -> bool:
    """Absent and never written by us, or still what we wrote. Absent though we wrote it: a person took it out."""
    return mark is None if not now else mark == hashed(now)


def _united(now: Sequence[str], wanted: Sequence[str], former: Sequence[str]) -> list[str]:
    """What is there without our former tags that are not wanted any more, and what is wanted and was not taken out."""
    kept = [tag for tag in now if tag in wanted or tag not in former]
    return kept + [tag for tag in wanted if tag not in now and tag not in former]


def _order_free(prop: Property, values: Sequence[str]) -> Sequence[str]:
    return sorted(values) if prop.is_list else list(values)
