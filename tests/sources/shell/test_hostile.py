"""What a shell says is read strictly: an answer that the script does not print ends the connection, or is not believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.model.errors import Lacking, SourceBroken, SourceError, SourceMissing
from forged.model.files import Entry, ListingEnd, ListingPart, Stat
from forged.sources.shell import answers
from forged.sources.shell.answers import LOOK, Look
from forged.sources.shell.lane import Splitter
from forged.sources.shell.listing import MOST_RECORD_BYTES, ListingReply
from forged.sources.shell.script import quoted

MARK = b"0123456789abcdef" * 2
SEEN = b"81a4 5 1795835914 7 2026-11-28 03:18:34.746938986 +0000 1795835915 2026-11-28 03:18:35.000000001 +0000"
BEGAN = b"K 1795835931.%N//\n"
END = SEEN + b" /..//\nT//\n"


async def listing(said: bytes, piece_bytes: int = 1 << 20) -> list[ListingPart | ListingEnd]:
    reply = ListingReply(b"/root")
    for begin in range(0, len(said), piece_bytes):
        await reply.more(said[begin : begin + piece_bytes])
    await reply.end()
    parts = []
    while not parts or not isinstance(parts[-1], ListingEnd):
        parts.append(await reply.next())
    return parts


def record(path: bytes) -> bytes:
    return SEEN + b" ./" + path + b"//\n"


@pytest.mark.parametrize("piece_bytes", [1, 7, 1 << 20])
async def test_an_honest_listing_is_understood_however_it_is_cut(piece_bytes: int) -> None:
    part, end = await listing(BEGAN + record(b"a\nb") + b".//\n" + record(b"c") + END, piece_bytes)
    assert isinstance(part, ListingPart)
    stat = Stat(5, 1795835914_746938986, 7, 1795835915_000000001)
    assert part.entries == (Entry(b"a\nb", stat), Entry(b"c", stat))  # type: ignore[arg-type]
    assert end == ListingEnd(2, 1795835931_000000000)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        BEGAN,
        BEGAN + record(b"a"),
        BEGAN + record(b"a") + b"T//\n",  # a tool died: no last name
        record(b"a") + END,
        BEGAN + BEGAN + END,
        BEGAN + record(b"b") + record(b"a") + END,
        BEGAN + record(b"a") + record(b"a") + END,
        BEGAN + SEEN + b" /etc/passwd//\n" + END,
        BEGAN + SEEN + b" /..//\n" + record(b"a") + b"T//\n",
        BEGAN + b"81a4 5 x//\n" + END,
        BEGAN + SEEN.replace(b" 5 ", b" 99999999999999999999 ") + b" ./a//\n" + END,
        BEGAN + b"U /a//\n" + END,
        BEGAN + END + record(b"z"),
        BEGAN + END + b"half",
        BEGAN + b"x" * (MOST_RECORD_BYTES + 1),
        b"K now//\n" + END,
    ],
)
async def test_whatever_else_ends_the_connection(said: bytes) -> None:
    with pytest.raises(SourceBroken):
        await listing(said)


async def test_what_find_complained_of_and_nobody_explains_makes_all_unknown() -> None:
    part, _ = await listing(BEGAN + SEEN + b" ///\n" + END)
    assert isinstance(part, ListingPart)
    assert [problem.path for problem in part.problems] == [b""]
    part, _ = await listing(BEGAN + SEEN + b" ///\n" + SEEN + b" /..//\nU ./closed//\nT//\n")
    assert isinstance(part, ListingPart)
    assert [problem.path for problem in part.problems] == [b"closed"]


async def test_a_root_that_moved_meanwhile_is_missing() -> None:
    with pytest.raises(SourceMissing):
        await listing(BEGAN + record(b"a") + SEEN + b" /..//\nM//\n")


@given(st.binary(max_size=200))
def test_no_look_but_a_look_is_one(line: bytes) -> None:
    if LOOK.fullmatch(line) is None:
        with pytest.raises(SourceError):
            answers.look(line)


@given(st.integers(0, 2**63 - 1), st.integers(-(10**9), 10**11), st.integers(0, 999_999_999))
def test_a_look_is_read_as_it_was_told(size: int, second: int, part: int) -> None:
    line = b"81a4 %d %d 7 2026-11-28 03:18:34.%09d +0000 1 2026-11-28 03:18:35 +0000" % (size, second, part)
    seen = answers.look(line)
    mtime_ns = max(-(2**63 - 1), min(2**63 - 1, second * 10**9 + part))
    assert seen == Look(line, 0o100644, Stat(size, mtime_ns, 7, 10**9))


@given(st.lists(st.binary(max_size=80)), st.integers(1, 40))
def test_bodies_come_apart_wherever_the_pieces_are_cut(bodies: list[bytes], piece_bytes: int) -> None:
    sent = b"".join(body + MARK + b"\n" for body in bodies)
    taken, seen = Splitter(MARK), [b""]
    for begin in range(0, len(sent), piece_bytes):
        for piece in taken.feed(sent[begin : begin + piece_bytes]):
            if piece is None:
                seen.append(b"")
            else:
                seen[-1] += piece
    assert seen == [*bodies, b""]


@pytest.mark.parametrize("line", [b"", b"0" * 64, b"0" * 63 + b"  -", b"0" * 64 + b"  x", b"\\" + b"0" * 64 + b"  -"])
def test_no_hash_but_a_hash_is_one(line: bytes) -> None:
    with pytest.raises(SourceBroken):
        answers.sha256(line)


def test_a_box_that_lacks_a_tool_says_which() -> None:
    with pytest.raises(Lacking, match="stat"):
        answers.tools(b"/", b"///\ndate find head sort tail xargs\na.b.\n\n")
    with pytest.raises(Lacking, match="sort -z"):
        answers.tools(b"/", b"///\ndate find head sort stat tail xargs\n\n\n")


@given(st.binary(max_size=60).filter(lambda raw: b"\0" not in raw))
def test_a_quoted_word_has_no_unquoted_byte(raw: bytes) -> None:
    words = quoted(raw).split(b"'\\''")
    assert b"'".join([words[0][1:], *words[1:]])[:-1] == raw
    assert all(b"'" not in word.strip(b"'") for word in words)
