"""Names: nothing of a source's choosing may hurt at home, and (almost) every name has its way back."""

from __future__ import annotations

import re
import unicodedata
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import BadPath
from forged.model.paths import HomePath, SourcePath, home_path, source_path
from forged.model.target import NamesMode
from forged.rules import names
from forged.rules.names import MAX_HOME_BYTES, VersionNames, from_home, path_from_home, path_to_home, to_home

PORTABLE, EXACT = NamesMode.PORTABLE, NamesMode.EXACT
SHA = bytes(range(32))

# Fragments that meet the rules in odd combinations far more often than random bytes would.
fragments = st.sampled_from(
    [
        b"%",
        b"%2",
        b"%25",
        b"%2E",
        b"%7E",
        b"41",
        b"E",
        b".",
        b"..",
        b" ",
        b"~",
        b"~source",
        b"source",
        b".xmp",
        b".XMP",
        b"forged",
        b".forged",
        b"forged~1",
        b"CON",
        b"nul",
        b"com1",
        b"LPT\xc2\xb9",
        b":",
        b"\\",
        b"\x1b[31m",
        b"\n",
        b"\x7f",
        b"\xc2\x9b",
        b"\xe2\x80\xae",
        b"\xff",
        b"\xc3",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"png",
        b".png",
        b"a" * 120,
        b"~0123456789abcdef",
    ]
)
components = st.one_of(
    st.lists(fragments, min_size=1, max_size=6).map(b"".join),
    st.binary(min_size=1, max_size=255),
    st.text(min_size=1, max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
).filter(lambda raw: b"/" not in raw)
sources = st.lists(
    components.map(lambda raw: raw.replace(b"\0", b"0")[:255]).filter(lambda raw: raw not in (b".", b"..")), min_size=1, max_size=9
).map(lambda parts: source_path(b"/".join(parts)))
modes = st.sampled_from(NamesMode)


def is_ours(name: bytes) -> bool:
    return name.lower() == b".forged" or bool(re.fullmatch(rb"forged~[0-9]", name.lower())) or name.lower().endswith(b"~source")


@given(components, modes)
def test_every_name_has_its_way_back_unless_it_had_to_be_shortened(raw: bytes, mode: NamesMode) -> None:
    home = to_home(raw, mode)
    assert from_home(home, mode) == (raw if len(home) < 251 or from_home(home, mode) is not None else None)


@given(components, modes)
def test_a_name_at_home_is_possible_and_never_one_of_ours(raw: bytes, mode: NamesMode) -> None:
    home = to_home(raw, mode)
    assert 0 < len(home) <= 255
    assert home not in (b".", b"..")
    assert not is_ours(home)


@given(components, modes)
def test_a_sidecar_of_the_source_never_takes_the_name_of_one_of_ours(raw: bytes, mode: NamesMode) -> None:
    home = to_home(raw, mode)
    for name in (home, *VersionNames(HomePath(home.replace(b"\0", b"0")), SHA)):
        # Ours are <name at home>.xmp, and no name at home ends in ~source.
        assert not name.lower().endswith(b"~source")
        assert not name.lower().endswith(b".xmp") or name.lower().endswith(b"~source.xmp")


plain_or_nearly = st.text("conaux1.mp-_~ X", min_size=1, max_size=8).map(str.encode)


@given(components | plain_or_nearly, modes)
def test_a_plain_name_is_found_out_at_once_and_gets_the_same_home(raw: bytes, mode: NamesMode) -> None:
    quick = to_home(raw, mode)
    with mock.patch.object(names, "_PLAIN", re.compile(rb"(?!)")):
        assert quick == to_home(raw, mode)


@given(components)
def test_a_portable_name_is_text_that_no_terminal_obeys_and_windows_takes(raw: bytes) -> None:
    text = to_home(raw, PORTABLE).decode("utf-8")
    assert not [c for c in text if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") or c in '<>:"\\|?*']
    assert not text.endswith((".", " "))
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d) *(\.|$)", text, re.IGNORECASE)


@given(components.filter(lambda raw: not raw.lower().rstrip(b". ").endswith((b".xmp", b"source")) and b"forged" not in raw.lower()))
def test_exact_keeps_every_byte_of_a_name_that_is_not_ours(raw: bytes) -> None:
    assert to_home(raw, EXACT) == raw or len(raw) > 255 or not raw.strip(b".") or b"%" in raw


@given(st.lists(components, min_size=2, max_size=2, unique=True), modes)
def test_two_names_of_a_source_get_two_names_at_home(pair: list[bytes], mode: NamesMode) -> None:
    one, other = (to_home(raw, mode) for raw in pair)
    assert one != other or len(one) > 250


@pytest.mark.parametrize(
    ("raw", "portable", "exact"),
    [
        (b"00001-1234.png", b"00001-1234.png", b"00001-1234.png"),
        (b"100%.png", b"100%.png", b"100%.png"),
        (b"50%AB.png", b"50%25AB.png", b"50%AB.png"),
        (b"50%ab.png", b"50%ab.png", b"50%ab.png"),
        (b"two\nlines.png", b"two%0Alines.png", b"two\nlines.png"),
        (b"a|b.png", b"a%7Cb.png", b"a|b.png"),
        (b"\xff\xfe.png", b"%FF%FE.png", b"\xff\xfe.png"),
        (b"-rf ~", b"-rf ~", b"-rf ~"),
        (b"con.txt", b"%63on.txt", b"con.txt"),
        (b"concert.png", b"concert.png", b"concert.png"),
        (b"e\xcc\x81.png", b"e\xcc\x81.png", b"e\xcc\x81.png"),
        ("spoof\u202egnp.exe".encode(), b"spoof%E2%80%AEgnp.exe", "spoof\u202egnp.exe".encode()),
        (b"x.png.xmp", b"x.png~source.xmp", b"x.png~source.xmp"),
        (b"foo.XMP", b"foo~source.XMP", b"foo~source.XMP"),
        (b"x.png~source.xmp", b"x.png~source~source.xmp", b"x.png~source~source.xmp"),
        (b"x.png~source", b"x.png%7Esource", b"x.png%7Esource"),
        (b"x.png%7Esource", b"x.png%257Esource", b"x.png%257Esource"),
        (b".forged", b"%2Eforged", b"%2Eforged"),
        (b".Forged", b"%2EForged", b"%2EForged"),
        (b"%2Eforged", b"%252Eforged", b"%252Eforged"),
        (b"FORGED~1", b"%46ORGED~1", b"%46ORGED~1"),
        (b".forged.toml", b".forged.toml", b".forged.toml"),
    ],
)
def test_what_becomes_of(raw: bytes, portable: bytes, exact: bytes) -> None:
    assert (to_home(raw, PORTABLE), to_home(raw, EXACT)) == (portable, exact)
    assert (from_home(portable, PORTABLE), from_home(exact, EXACT)) == (raw, raw)


def test_a_shortened_name_keeps_its_beginning_and_its_suffix_and_says_that_it_has_no_way_back() -> None:
    home = to_home(b"\xff" * 250 + b".png", PORTABLE)
    assert home.startswith(b"%FF%FF")
    assert re.fullmatch(rb"(%FF)+~[0-9a-f]{16}\.png", home)
    assert len(home) <= 255
    assert from_home(home, PORTABLE) is None


def test_a_shortened_name_of_bytes_that_are_no_text_says_so_too() -> None:
    """What begins like a character of 200 bytes is none, and is not cut off as half of one."""
    raw = b"x" * 50 + b"\xff" + b"\xb4" * 197 + b".xmp"
    home = to_home(raw, EXACT)
    assert (len(raw), len(home)) == (252, 255)
    assert from_home(home, EXACT) is None


@pytest.mark.parametrize("home", [b"x.png.xmp", b"a:b", b"%41.png", b"%2F", b".forged", b"a."])
def test_a_name_that_forged_never_gives_has_no_way_back(home: bytes) -> None:
    assert from_home(home, PORTABLE) is None


@given(sources, modes)
def test_a_path_has_its_way_back_too(path: SourcePath, mode: NamesMode) -> None:
    home = path_to_home(path, mode)
    back = path_from_home(home, mode)
    assert back == path or (back is None and max(map(len, home.split(b"/"))) > 250)


@given(st.sampled_from([b":", b"a", b"\xff", b"x" * 255]), st.integers(1, 2048), modes)
def test_a_path_never_gets_too_long(part: bytes, count: int, mode: NamesMode) -> None:
    path = source_path(b"/".join([part] * count)[:4095].rstrip(b"/"))
    home = path_to_home(path, mode)
    assert len(home) <= MAX_HOME_BYTES
    assert len(list(VersionNames(home, SHA))) == 3


def test_two_paths_that_are_cut_short_stay_two() -> None:
    one, other = (path_to_home(b"/".join([b":" * 9] * 200 + [last, b"x.png"]), PORTABLE) for last in (b"1", b"2"))
    assert one != other
    assert one.endswith(b".png")


def test_a_path_without_a_name_is_refused() -> None:
    with pytest.raises(BadPath):
        path_to_home(b"//", PORTABLE)


@pytest.mark.parametrize(
    ("home", "first"),
    [
        (b"a/x.png", b"a/x~00010203.png"),
        (b"a.b/x", b"a.b/x~00010203"),
        (b"x.tar.gz", b"x.tar~00010203.gz"),
        (b".bashrc", b".bashrc~00010203"),
        (b"x.png~source.xmp", b"x.png~00010203~source.xmp"),
        (b"a" * 251 + b".png", b"a" * 242 + b"~00010203.png"),
        ("é".encode() * 125 + b".png", "é".encode() * 120 + b"~00010203.png"),
    ],
)
def test_a_version_lands_beside_under(home: bytes, first: bytes) -> None:
    beside = tuple(VersionNames(home_path(home), SHA))
    assert beside[0] == first
    assert [len(re.findall(rb"~([0-9a-f]+)", name)[-1]) for name in beside] == [8, 16, 64]
    assert max(len(name.rpartition(b"/")[2]) for name in beside) <= 255
