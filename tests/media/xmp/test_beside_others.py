"""Sidecars that others have written, in all the forms that RDF allows, through the real exiftool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from forged.media.xmp import fields
from forged.media.xmp.fields import AI_VERSION, DESCRIPTION, SUBJECT, TAG_LISTS, TAGS_LIST, WRITTEN
from forged.media.xmp.reading import read
from forged.model.media import Lora
from tests.media.xmp.making import EXIFTOOL, about, packet, tried, values, writing, written

pytestmark = pytest.mark.skipif(EXIFTOOL is None, reason="exiftool is not installed")

FACES = "".join(
    f'<rdf:li rdf:parseType="Resource"><my:Name>{name}</my:Name><my:Area my:x="{at}" my:unit="n"/></rdf:li>'
    for at, name in enumerate(["Ann", "Bob", "Cem", "Ann"])
)
HISTORY = "".join(f'<rdf:li darktable:num="{at}" darktable:operation="op{at % 5}" darktable:params="gz{at}"/>' for at in range(130))

THEIRS = {
    "a reference": '<Iptc4xmpExt:DigitalSourceType rdf:resource="http://cv.iptc.org/newscodes/digitalsourcetype/digitalArt"/>',
    "a structure": '<dc:description rdf:parseType="Resource"><rdf:value>mine</rdf:value><my:by>Ann</my:by></dc:description>',
    "a tag with a qualifier": '<dc:subject><rdf:Bag><rdf:li>a</rdf:li><rdf:li rdf:parseType="Resource"><rdf:value>b</rdf:value>'
    "<my:by>Ann</my:by></rdf:li></rdf:Bag></dc:subject>",
    "two languages": '<dc:description><rdf:Alt><rdf:li xml:lang="x-default">mine</rdf:li><rdf:li xml:lang="de">meins</rdf:li>'
    "</rdf:Alt></dc:description>",
    "another language only": '<dc:description><rdf:Alt><rdf:li xml:lang="de">meins</rdf:li></rdf:Alt></dc:description>',
    "a rating": "<xmp:Rating>4</xmp:Rating><xmp:Label>red</xmp:Label>",
    "faces": f"<my:Faces><rdf:Bag>{FACES}</rdf:Bag></my:Faces>",
    "a long history": f"<darktable:history><rdf:Seq>{HISTORY}</rdf:Seq></darktable:history>",
    "a date of their own": "<xmp:CreateDate>2001-02-03T04:05</xmp:CreateDate>",
    "blanks and entities": "<my:a>a &amp;amp; &lt;b&gt; &#xa; c</my:a><my:b/>",
}


def taken_out(content: bytes, tag: str, *lists: str) -> bytes:
    """As a person's program would."""
    text = content.decode()
    for one in lists:
        inside = re.search(f"<{one}>.*?</{one}>", text, re.DOTALL)
        assert inside, one
        text = text.replace(inside[0], inside[0].replace(f"<rdf:li>{tag}</rdf:li>", ""))
    return text.encode()


@pytest.mark.parametrize("name", THEIRS)
async def test_what_they_wrote_is_there_afterwards_in_any_form(name: str, tmp_path: Path) -> None:
    existing = packet(THEIRS[name])
    async with writing(tmp_path) as writer:
        content = await written(writer, about(), existing)
        assert await tried(writer, about(), content) is None
    assert read(existing).facts <= read(content).facts


@pytest.mark.parametrize("lists", [("dc:subject",), ("dc:subject", "digiKam:TagsList"), ("lr:hierarchicalSubject",)])
async def test_a_tag_that_was_theirs_before_we_wanted_it_stays_when_we_do_not(lists: Sequence[str], tmp_path: Path) -> None:
    existing = packet("".join(f"<{one}><rdf:Bag><rdf:li>cat</rdf:li></rdf:Bag></{one}>" for one in lists))
    async with writing(tmp_path) as writer:
        first = await written(writer, about("cat, 1girl"), existing)
        again = await written(writer, about("dog, hound"), first)
        assert await tried(writer, about("dog, hound"), again) is None
    for prop in TAG_LISTS:
        assert "cat" in values(again, prop) or not values(existing, prop)
    for prop in TAG_LISTS:
        assert "dog" in values(again, prop)
        assert "1girl" not in values(again, prop)


async def test_a_tag_that_a_person_took_out_stays_out_however_often_we_change_our_mind(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        content = await written(writer, about("cat, 1girl"))
        content = taken_out(content, "cat", "digiKam:TagsList")  # in one list only: not every program writes all three
        for prompt in ("cat, 1girl, new", "1girl", "cat, 1girl"):
            content = await written(writer, about(prompt), content)
            assert await tried(writer, about(prompt), content) is None
    assert [prop.tag for prop in TAG_LISTS if "cat" not in values(content, prop)]
    assert "1girl" in values(content, SUBJECT)


async def test_a_tag_that_a_person_put_back_is_theirs(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        content = await written(writer, about("cat, 1girl"))
        without = taken_out(content, "cat", "dc:subject", "digiKam:TagsList", "lr:hierarchicalSubject")
        noticed = await written(writer, about("cat, 1girl"), without)
        assert "cat" not in values(noticed, SUBJECT)
        back = noticed.replace(b"<rdf:li>1girl</rdf:li>", b"<rdf:li>1girl</rdf:li><rdf:li>cat</rdf:li>", 2)
        content = await written(writer, about("1girl"), back)
    assert "cat" in values(content, SUBJECT)
    assert "cat" in values(content, TAGS_LIST)


async def test_what_we_wrote_and_do_not_want_any_more_goes(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        first = await written(writer, about(version="1.2"))
        again = await written(writer, about(), first)
        assert await tried(writer, about(), again) is None
        back = await written(writer, about(version="1.3"), again)
    assert [values(one, AI_VERSION) for one in (first, again, back)] == [["1.2"], [], ["1.3"]]


async def test_what_a_person_changed_stays_though_we_do_not_want_it_any_more(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        first = await written(writer, about(version="1.2"))
        again = await written(
            writer, about(), first.replace(b"1.2</Iptc4xmpExt:AISystemVersionUsed>", b"x</Iptc4xmpExt:AISystemVersionUsed>")
        )
    assert values(again, AI_VERSION) == ["x"]


@pytest.mark.parametrize(
    "garbage",
    ["<forged:Written>nonsense</forged:Written>", '<forged:Written rdf:parseType="Resource"><my:a>b</my:a></forged:Written>'],
)
async def test_a_spoilt_memory_of_ours_costs_nobody_anything(garbage: str, tmp_path: Path) -> None:
    existing = packet(garbage + "<dc:description>mine</dc:description>")
    async with writing(tmp_path) as writer:
        content = await written(writer, about(), existing)
        assert await tried(writer, about(), content) is None
    assert values(content, DESCRIPTION) == ["mine"]


async def test_more_than_a_sidecar_takes_is_told_and_nothing_is_written(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        for subject in (about("x y " * 400_000), about(loras=tuple(Lora(str(number)) for number in range(11_000)))):
            told = await tried(writer, subject)
            assert isinstance(told, str)
            assert "more of itself" in told
        assert await written(writer, about())


async def test_blank_values_and_repeated_ones_cost_nothing(tmp_path: Path) -> None:
    loras = tuple(Lora(name) for name in ("", " ", "a", "a", "\n"))
    async with writing(tmp_path) as writer:
        content = await written(writer, about(loras=loras))
        assert await tried(writer, about(loras=loras), content) is None
    assert values(content, fields.LORAS) == ["a", "a"]
    assert values(content, WRITTEN)
