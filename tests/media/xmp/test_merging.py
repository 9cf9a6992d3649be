"""What may change in a sidecar: decided from what is wanted, what is there, and what we wrote before."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from forged.media.xmp import fields
from forged.media.xmp.fields import DESCRIPTION, OWN_TAGS, PROPERTIES, SUBJECT, Property
from forged.media.xmp.merging import changes
from forged.media.xmp.reading import Packet

WORDS = st.sampled_from(["a", "b", "c", "two words"])
SCALARS = [prop for prop in PROPERTIES if not prop.is_list and prop not in (fields.METADATA_DATE,)]
WANTED = st.fixed_dictionaries(
    {OWN_TAGS: st.lists(WORDS, unique=True)},
    optional={prop: WORDS.map(lambda word: [word]) for prop in SCALARS if "Date" not in prop.tag},
).map(lambda found: {**found, **dict.fromkeys(fields.TAG_LISTS, found[OWN_TAGS])})


def packet(there: dict[str, list[str]], *opaque: str) -> Packet:
    return Packet(there, Counter(), frozenset(opaque))


def applied(there: dict[str, list[str]], changed: dict[Property, object]) -> dict[str, list[str]]:
    """What exiftool makes of it."""
    after = {**there, **{prop.name: list(values) for prop, values in changed.items()}}  # type: ignore[call-overload]
    return {name: values for name, values in after.items() if values}


@given(WANTED)
def test_what_was_written_is_not_written_again(wanted: dict[Property, list[str]]) -> None:
    there = applied({}, changes(wanted, packet({})))
    assert changes(wanted, packet(there)) == {}


@given(
    WANTED, WANTED, st.dictionaries(st.sampled_from([DESCRIPTION.name, fields.CREATOR_TOOL.name]), WORDS.map(lambda w: [w + "!"]))
)
def test_a_persons_words_are_never_changed(
    first: dict[Property, list[str]], second: dict[Property, list[str]], theirs: dict[str, list[str]]
) -> None:
    there = {**applied({}, changes(first, packet({}))), **theirs}
    after = applied(there, changes(second, packet(there)))
    for name, words in theirs.items():
        assert after[name] == words


@given(WANTED, WANTED, st.lists(WORDS.map(lambda word: word + "!"), unique=True), st.data())
def test_their_tags_stay_and_what_they_took_out_stays_out(
    first: dict[Property, list[str]], second: dict[Property, list[str]], added: list[str], data: st.DataObject
) -> None:
    there = applied({}, changes(first, packet({})))
    ours = there.get(SUBJECT.name, [])
    taken_out = data.draw(st.lists(st.sampled_from(ours), unique=True) if ours else st.just([]))
    there[SUBJECT.name] = [tag for tag in ours if tag not in taken_out] + added
    after = applied(there, changes(second, packet(there))).get(SUBJECT.name, [])
    assert set(added) <= set(after)
    assert not set(taken_out) & set(after)
    assert len(set(after)) == len(after)
    for tag in second[SUBJECT]:
        assert tag in after or tag in taken_out


def test_nothing_is_wanted_nothing_changes() -> None:
    assert changes({}, packet({DESCRIPTION.name: ["x"], OWN_TAGS.name: ["y"]})) == {}


EDITS = st.dictionaries(
    st.sampled_from([one.name for one in (*fields.TAG_LISTS, DESCRIPTION, fields.CREATOR_TOOL)]), st.lists(WORDS, unique=True)
)


@given(st.lists(st.tuples(EDITS, WANTED), min_size=1, max_size=5))
def test_whatever_others_do_between_our_visits_the_second_of_two_changes_nothing(visits: list[tuple[dict, dict]]) -> None:  # type: ignore[type-arg]
    there: dict[str, list[str]] = {}
    for edits, wanted in visits:
        there = applied({**there, **edits}, changes(wanted, packet({**there, **edits})))
        assert changes(wanted, packet(there)) == {}


@given(WANTED, st.lists(WANTED, min_size=1, max_size=4), st.lists(WORDS, unique=True))
def test_a_tag_that_was_there_before_us_is_there_in_the_end(
    first: dict[Property, list[str]], more: list[dict[Property, list[str]]], theirs: list[str]
) -> None:
    there = {SUBJECT.name: theirs} if theirs else {}
    for wanted in (first, *more):
        there = applied(there, changes(wanted, packet(there)))
    assert set(theirs) <= set(there.get(SUBJECT.name, ()))


@given(WANTED, st.sampled_from([one for one in PROPERTIES if one is not fields.METADATA_DATE]))
def test_what_has_a_form_that_is_not_ours_is_not_touched(wanted: dict[Property, list[str]], prop: Property) -> None:
    assert prop not in changes(wanted, packet({}, prop.name))
