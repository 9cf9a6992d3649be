"""Bytes become texts by what programs write, not by what standards demand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.media.blocks.text import clean, decoded, user_comment

CAT = "1girl, 猫, café\nNegative prompt: bad\nSteps: 20"

PLAIN = {
    "UTF-8": (CAT.encode(), CAT),
    "UTF-8 with a mark": (b"\xef\xbb\xbf" + CAT.encode(), CAT),
    "Latin-1": ("café, Señor".encode("latin-1"), "café, Señor"),
    "Latin-1 that ends in the middle of what could be UTF-8": ("un café".encode("latin-1"), "un café"),
    "UTF-8 that was cut within a character": ("café 猫".encode()[:-1], "café \ufffd"),
    "NULs around": (b"\0\0\0\0text\0\0", "text"),
    "a NUL inside": (b"a\0b\0", "a\0b"),
    "a pair of surrogates in UTF-8": (b"a \xed\xa0\xbd\xed\xb0\x88 cat", "a 🐈 cat"),
    "a lone surrogate": (b"a \xed\xa0\xbd cat", "a \ufffd cat"),
    "little-endian UTF-16 with its mark": (b"\xff\xfe" + CAT.encode("utf-16-le"), CAT),
    "big-endian UTF-16 with its mark": (b"\xfe\xff" + CAT.encode("utf-16-be"), CAT),
    "CR and LF": (b"a\r\nb", "a\r\nb"),
    "nothing": (b"", ""),
}

COMMENTS = {
    "big-endian, as A1111 writes it": (b"UNICODE\0" + CAT.encode("utf-16-be"), CAT),
    "little-endian": (b"UNICODE\0" + CAT.encode("utf-16-le"), CAT),
    "big-endian with its mark": (b"UNICODE\0\xfe\xff" + CAT.encode("utf-16-be"), CAT),
    "little-endian with its mark": (b"UNICODE\0\xff\xfe" + CAT.encode("utf-16-le"), CAT),
    "Chinese alone, big-endian": (b"UNICODE\0" + "美丽的猫在花园里".encode("utf-16-be"), "美丽的猫在花园里"),
    "Chinese alone, little-endian": (b"UNICODE\0" + "美丽的猫在花园里".encode("utf-16-le"), "美丽的猫在花园里"),
    "Korean alone, little-endian": (b"UNICODE\0" + "고양이와 소녀".encode("utf-16-le"), "고양이와 소녀"),
    "an odd byte at the end": (b"UNICODE\0" + "cat".encode("utf-16-be") + b"\0", "cat"),
    "UTF-8 that says it is UTF-16": (b"UNICODE\0" + CAT.encode(), CAT),
    "UTF-8 that says it is ASCII": (b"ASCII\0\0\0" + CAT.encode(), CAT),
    "UTF-8 of no stated kind": (bytes(8) + CAT.encode(), CAT),
    "UTF-8 that says it is JIS": (b"JIS\0\0\0\0\0" + CAT.encode(), CAT),
    "UTF-16 of no stated kind": (bytes(8) + CAT.encode("utf-16-le"), CAT),
    "without a prefix": (b'{"prompt": "cat"}\0', '{"prompt": "cat"}'),
    "UTF-16 without a prefix": ('{"prompt": "cat"}'.encode("utf-16-be"), '{"prompt": "cat"}'),
    "small letters": (b"Unicode\0" + CAT.encode("utf-16-be"), CAT),
    "a lone surrogate in UTF-16": (b"UNICODE\0" + b"\0a\xd8\x3d\0b", "a\ufffdb"),
    "the prefix alone": (b"UNICODE\0", ""),
    "nothing": (b"", ""),
}


@pytest.mark.parametrize("what", PLAIN)
def test_a_text_of(what: str) -> None:
    data, text = PLAIN[what]
    assert decoded(data) == text


@pytest.mark.parametrize("what", COMMENTS)
@pytest.mark.parametrize("is_big_endian", [True, False])
def test_a_comment_of(what: str, is_big_endian: bool) -> None:
    data, text = COMMENTS[what]
    assert user_comment(data, is_big_endian) == text


def test_where_nothing_tells_the_byte_order_that_of_the_file_decides() -> None:
    data = b"UNICODE\0" + "\u1e25\u1e26".encode("utf-16-be")
    assert user_comment(data, True) == "\u1e25\u1e26"
    assert user_comment(data, False) == "\u251e\u261e"


@given(st.binary(max_size=200))
def test_every_border_can_carry_what_becomes_of_any_bytes(data: bytes) -> None:
    for text in (decoded(data), user_comment(data, True), user_comment(b"UNICODE\0" + data, False)):
        text.encode()
        assert text == text.strip("\0")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100))
def test_utf_8_comes_through(text: str) -> None:
    text = text.strip("\0").removeprefix("\ufeff")
    assert decoded(text.encode()) == text.strip("\0")


@given(st.text(max_size=50), st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_a1111s_text_comes_through_in_both_byte_orders(prompt: str, order: str) -> None:
    text = clean(
        prompt + "\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512, Model: some long name of a model"
    ).lstrip("\ufeff")
    assert user_comment(b"UNICODE\0" + text.encode(order)) == text.strip("\0")
