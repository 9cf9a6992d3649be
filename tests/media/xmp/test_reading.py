"""Our own reader of packets: what it understands, and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.xmp.reading import NotXmp, read

HEAD = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:a="urn:a/">'
TAIL = "</rdf:RDF></x:xmpmeta>"


def packet(inside: str) -> bytes:
    return f'{HEAD}<rdf:Description rdf:about="" {inside}</rdf:Description>{TAIL}'.encode()


@pytest.mark.parametrize(
    ("inside", "values"),
    [
        ('a:p="x">', ["x"]),
        ("><a:p>x</a:p>", ["x"]),
        ("><a:p> x\n</a:p>", [" x\n"]),
        ("><a:p/>", [""]),
        ("><a:p><rdf:Bag><rdf:li>x</rdf:li><rdf:li>y</rdf:li></rdf:Bag></a:p>", ["x", "y"]),
        ('><a:p><rdf:Alt><rdf:li xml:lang="de">y</rdf:li><rdf:li xml:lang="x-default">x</rdf:li></rdf:Alt></a:p>', ["x", "y"]),
        ('><a:p rdf:parseType="Resource"><a:q>x</a:q></a:p>', []),
        ('><a:p a:q="x"/>', []),
    ],
)
def test_a_property_may_be_written_in_all_of_rdfs_ways(inside: str, values: list[str]) -> None:
    assert read(packet(inside)).values.get("urn:a/ p", []) == values


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('a:p="x">', "><a:p>x</a:p>"),
        ('><a:p rdf:parseType="Resource"><a:q>x</a:q></a:p>', '><a:p><rdf:Description a:q="x"/></a:p>'),
        ('><a:p rdf:parseType="Resource"><a:q>x</a:q></a:p>', '><a:p a:q="x"/>'),
        (
            '><a:p><rdf:Seq><rdf:li a:q="x"/></rdf:Seq></a:p>',
            '><a:p><rdf:Seq><rdf:li rdf:parseType="Resource"><a:q>x</a:q></rdf:li></rdf:Seq></a:p>',
        ),
    ],
)
def test_the_same_facts_in_another_form_are_the_same(one: str, other: str) -> None:
    assert read(packet(one)).facts == read(packet(other)).facts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('a:p="x">', 'a:p="y">'),
        # the order of a history, and whose face is where
        (
            "><a:p><rdf:Seq><rdf:li>x</rdf:li><rdf:li>y</rdf:li></rdf:Seq></a:p>",
            "><a:p><rdf:Seq><rdf:li>y</rdf:li><rdf:li>x</rdf:li></rdf:Seq></a:p>",
        ),
        (
            '><a:p><rdf:Bag><rdf:li a:n="A" a:x="1"/><rdf:li a:n="B" a:x="2"/></rdf:Bag></a:p>',
            '><a:p><rdf:Bag><rdf:li a:n="A" a:x="2"/><rdf:li a:n="B" a:x="1"/></rdf:Bag></a:p>',
        ),
    ],
)
def test_another_fact_is_another(one: str, other: str) -> None:
    assert read(packet(one)).facts != read(packet(other)).facts


@pytest.mark.parametrize(
    "inside",
    [
        '><a:p rdf:resource="http://x/y"/>',
        '><a:p rdf:parseType="Resource"><rdf:value>x</rdf:value></a:p>',
        '><a:p><rdf:Bag><rdf:li>x</rdf:li><rdf:li rdf:resource="http://x/y"/></rdf:Bag></a:p>',
        "><a:p>x</a:p><a:p>y</a:p>",
        'a:p="x"><a:p>y</a:p>',
    ],
)
def test_what_is_neither_a_text_nor_a_list_of_texts_is_there_all_the_same(inside: str) -> None:
    found = read(packet(inside))
    assert found.opaque == {"urn:a/ p"}
    assert found.values == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" ",
        b"<a/>",
        b"<a>",
        b'<!DOCTYPE a><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>',
        HEAD.encode() + b"<a:p/>" + TAIL.encode(),
        packet(">" + "<a:p>" * 80 + "</a:p>" * 80),
        packet(">" + "<a:p/>" * 200_001),
        b"<?xml version='1.0' encoding='x-unheard-of'?><a/>",
        b"\xff\xfe" + packet("><a:p>x</a:p>").decode().encode("utf-16le"),  # exiftool 12.57 makes something else of it
        b"<?xml version='1.0' encoding='iso-8859-1'?>" + packet("><a:p>\u00e4</a:p>").decode().encode("latin-1"),
        packet("><a:p>x</a:p>")
        .replace(b"x:xmpmeta", b"svg")
        .replace(b'xmlns:x="adobe:ns:meta/"', b'xmlns="http://www.w3.org/2000/svg"'),
        packet(">between<a:p>x</a:p>"),
        b"\xff\xfe<\x00",
    ],
)
def test_what_is_no_packet_is_refused(content: bytes) -> None:
    with pytest.raises(NotXmp):
        read(content)


@given(
    st.binary(max_size=300)
    | st.text(alphabet="<>/=\"' :abrdfliDesption&;#x", max_size=300).map(lambda t: HEAD.encode() + t.encode())
)
def test_nothing_makes_it_fail_otherwise(content: bytes) -> None:
    try:
        read(content)
    except NotXmp:
        pass
