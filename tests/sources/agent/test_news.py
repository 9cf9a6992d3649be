"""News between agent and client: what the agent packs the client reads, and what no honest agent says ends the connection."""

from __future__ import annotations

import asyncio
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forged.model.errors import NotSupported, SourceBroken, SourceError, SourceLost
from forged.model.paths import SourcePath, source_path
from forged.sources.agent.program import line as say
from forged.sources.agent.program import news as program_news
from forged.sources.agent.program.line import CLOSED, FACTS, FOUND, GONE, NEWS, NOTICE
from forged.sources.agent.program.news import News
from forged.sources.agent.program.tree import Tree
from forged.sources.agent.program.watching import Scope
from forged.sources.agent.watching import NAMES_PER_S, SAVED_NAMES, WINDOW_BLOCKS, NewsReader, Pace
from forged.sources.agent.wire import MAX_NEWS_BYTES, Kind, grant_payload, packed
from forged.sources.base import Notices
from tests.sources.agent.agents import GOOD_HELLO, IN_MEMORY, Command, Impostor, pretending

CALL = 2
"""The number of the first call after START."""

HEAD = NEWS.pack(False, 0)
LOOKS = FACTS.pack(7, 1, 2, 3)


def told(what: int, path: bytes, looks: bytes = b"") -> bytes:
    return NOTICE.pack(what, len(path)) + path + looks


def notices_in(blocks: Iterable[bytes], *folders: bytes) -> list[Notices]:
    reader = NewsReader([source_path(folder) for folder in folders])
    return [reader.notices(block) for block in blocks]


# --- what the agent packs -------------------------------------------------------------------------------------------------


def test_both_ends_allow_the_same() -> None:
    assert say.MAX_NEWS_BYTES == MAX_NEWS_BYTES
    assert struct.calcsize(">?I") == NEWS.size


def test_the_first_news_are_that_there_are_none(tmp_path: Path) -> None:
    news = News()
    assert notices_in(news.blocks(Tree(bytes(tmp_path)))) == [Notices()]
    assert notices_in(news.blocks(Tree(bytes(tmp_path)))) == []


def test_the_last_thing_that_happened_to_a_file_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    (tmp_path / "folder").mkdir()
    news = News()
    for happened in (news.closed, news.gone, news.seen, news.closed):
        happened(b"there")
    for happened in (news.closed, news.seen, news.gone):
        happened(b"not there")
    news.closed(b"folder")
    news.closed(b"vanished/file")
    [notices] = notices_in(news.blocks(Tree(bytes(tmp_path))))
    assert [entry.path for entry in notices.entries] == [b"there"]
    assert (notices.found, notices.gone) == ((), (b"not there",))
    assert news.patience_ms() is None


def test_a_file_that_is_seen_is_told_when_it_was_not_closed_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "there").touch()
    news, tree = News(), Tree(bytes(tmp_path))
    _ = list(news.blocks(tree))
    now_s = time.monotonic()
    monkeypatch.setattr(program_news.time, "monotonic", lambda: now_s)
    news.seen(b"there")
    assert news.patience_ms() in (500, 501)
    assert list(news.blocks(tree)) == []
    now_s += 0.6
    news.seen(b"there")
    assert news.patience_ms() == 0
    [notices] = notices_in(news.blocks(tree))
    assert [entry.path for entry in notices.found] == [b"there"]
    assert news.patience_ms() is None


def test_what_was_missed_is_told_once_and_unwatched_folders_whenever_they_become_more(tmp_path: Path) -> None:
    news, tree = News(), Tree(bytes(tmp_path))
    news.missed, news.unwatched = True, 3
    assert notices_in(news.blocks(tree)) == [Notices(overflow=True, unwatched=3)]
    assert list(news.blocks(tree)) == []
    news.unwatched = 4
    assert notices_in(news.blocks(tree)) == [Notices(unwatched=4)]


names = st.binary(min_size=1, max_size=250).filter(lambda name: not {0, 0x2F} & set(name) and name not in (b".", b".."))


@settings(max_examples=20)
@given(st.sets(names, max_size=300))
def test_all_that_happened_is_read_again_in_blocks_that_the_client_allows(wanted: set[bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        root, news = os.fsencode(folder), News()
        for number, name in enumerate(sorted(wanted)):
            if number % 3:
                with open(os.path.join(root, name), "wb"):
                    news.closed(name)
            else:
                news.gone(name)
        blocks = list(news.blocks(Tree(root)))
    assert all(len(block) <= MAX_NEWS_BYTES for block in blocks)
    notices = notices_in(blocks)
    assert {entry.path for one in notices for entry in one.entries} == {n for i, n in enumerate(sorted(wanted)) if i % 3}
    assert {path for one in notices for path in one.gone} == {n for i, n in enumerate(sorted(wanted)) if not i % 3}


def test_the_way_to_a_folder_is_watched_but_not_told() -> None:
    scope = Scope([b"a/b", b"c"])
    assert [scope.leads(folder) for folder in (b"", b"a", b"a/b", b"a/b/c", b"c", b"ab", b"a/bb", b"d")] == [True] * 5 + [False] * 3
    assert [scope.has(path) for path in (b"a/b/x", b"c/d/x", b"a/x", b"a/b", b"x", b"cc/x")] == [True] * 2 + [False] * 4
    assert Scope([]).leads(b"anything")
    assert Scope([]).has(b"anything")


# --- what no honest agent says --------------------------------------------------------------------------------------------

LIES = {
    "nothing": b"",
    "half a head": HEAD[:-1],
    "a flag that is none": b"\2" + HEAD[1:],
    "an unknown kind": HEAD + told(9, b"a", LOOKS),
    "a file without its looks": HEAD + told(CLOSED, b"a"),
    "half of its looks": HEAD + told(FOUND, b"a", LOOKS[:-1]),
    "a file of negative size": HEAD + told(CLOSED, b"a", FACTS.pack(-1, 1, 2, 3)),
    "a path that is cut short": HEAD + told(GONE, b"abc")[:-1],
    "half a notice": HEAD + told(GONE, b"a") + b"\3",
    "a path that climbs out": HEAD + told(CLOSED, b"../a", LOOKS),
    "an absolute path": HEAD + told(GONE, b"/etc/passwd"),
    "an empty path": HEAD + told(GONE, b""),
    "a path with NUL": HEAD + told(CLOSED, b"a\0b", LOOKS),
    "an endless name": HEAD + told(CLOSED, b"n" * 256, LOOKS),
}


@pytest.mark.parametrize("lie", LIES)
def test_news_that_no_agent_packs_are_refused(lie: str) -> None:
    with pytest.raises(SourceBroken):
        notices_in([LIES[lie]])


def test_news_of_other_folders_than_those_asked_for_are_refused() -> None:
    assert notices_in([HEAD + told(GONE, b"a/b/c")], b"a/b")[0].gone == (SourcePath(b"a/b/c"),)
    for path in (b"a/c", b"a/bc", b"a/b"):
        with pytest.raises(SourceBroken):
            notices_in([HEAD + told(GONE, path)], b"a/b")


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: HEAD + rest))
def test_any_bytes_are_news_or_refused(block: bytes) -> None:
    try:
        notices_in([block])
    except SourceBroken:
        pass


Answers = Callable[[Command], Iterable[bytes]]


def news(*payloads: bytes, call: int = CALL, kind: Kind = Kind.NOTICED) -> Answers:
    """Answers the first grant with these."""

    def answer(command: Command) -> Iterable[bytes]:
        if command == (Kind.GRANT, CALL, grant_payload(WINDOW_BLOCKS)):
            yield from (packed(kind, call, payload) for payload in payloads)

    return answer


WATCHES: dict[str, Answers] = {
    "more than granted": news(*[HEAD] * (WINDOW_BLOCKS + 1)),
    "news that cannot be read": news(LIES["an absolute path"]),
    "news for nobody": news(HEAD, call=CALL + 1),
    "a listing": news(b"x", kind=Kind.LISTED),
    "bytes of a file": news(b"x", kind=Kind.DATA),
    "a removal": news(b"", kind=Kind.REMOVED),
    "that it was cancelled": news(b"\0", kind=Kind.PROBLEM),
    "a problem that no watch has": news(b"\1", kind=Kind.PROBLEM),
    "a block that is too large": lambda command: [b"\x8e\0\0\0\2\0\1\0\0"] if command[0] == Kind.GRANT else [],
}


def watcher(answer: Answers) -> Impostor:
    return Impostor(answer, hello=GOOD_HELLO + b" watch")


@pytest.mark.parametrize("lie", WATCHES)
async def test_an_impostor_that_lies_in_a_watch_is_cut_off(lie: str) -> None:
    impostor = watcher(WATCHES[lie])
    async with pretending(impostor, silence_limit_s=2) as source:
        with pytest.raises(SourceBroken):
            async with aclosing(source.watch()) as answers:
                async for _ in answers:
                    await asyncio.sleep(0.01)
        assert impostor.closed


async def test_a_flood_of_news_waits_for_whoever_listens() -> None:
    sent = 0

    def answer(command: Command) -> Iterable[bytes]:
        nonlocal sent
        if command[0] == Kind.GRANT:
            for _ in range(int.from_bytes(command[2], "big")):
                sent += 1
                yield packed(Kind.NOTICED, command[1], HEAD + told(GONE, b"a") * 4000)

    async with pretending(watcher(answer)) as source, aclosing(source.watch()) as answers:
        for _ in range(3):
            assert len((await anext(answers)).gone) == 4000
            for _ in range(100):
                await asyncio.sleep(0)
        assert sent == WINDOW_BLOCKS + 2


async def test_news_that_arrive_after_a_watch_was_left_are_dropped_but_still_bounded() -> None:
    impostor = watcher(news(HEAD))
    async with pretending(impostor) as source:
        async with aclosing(source.watch()) as answers:
            await anext(answers)
        for _ in range(WINDOW_BLOCKS):
            impostor.say(packed(Kind.NOTICED, CALL, HEAD))
        impostor.say(packed(Kind.NOTICED, CALL, HEAD))
        with pytest.raises(SourceError):
            await source.clock_ns()


async def test_silence_is_fine_once_a_watch_is_in_place_and_not_before() -> None:
    async with pretending(watcher(news(HEAD)), silence_limit_s=0.04) as source, aclosing(source.watch()) as answers:
        await anext(answers)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await anext(answers)
    async with pretending(watcher(news()), silence_limit_s=0.04) as source, aclosing(source.watch()) as answers:
        with pytest.raises(SourceLost, match="silent"):
            await anext(answers)


async def test_an_agent_that_cannot_watch_is_not_asked() -> None:
    impostor = Impostor(lambda command: [])
    async with pretending(impostor) as source:
        assert not source.capabilities.watching
        with pytest.raises(NotSupported):
            await anext(source.watch())
    assert [command[0] for command in impostor.commands] == [Kind.START]


async def test_folders_that_the_agent_keeps_are_not_called_removed() -> None:
    def answer(command: Command) -> Iterable[bytes]:
        if command[0] == Kind.REMOVE_FOLDER:
            yield packed(Kind.REMOVED, command[1]) if command[2] == b"b" else packed(Kind.PROBLEM, command[1], b"\3not empty")

    async with pretending(Impostor(answer)) as source:
        assert await source.remove_empty_folders([source_path(f) for f in (b"a", b"b", b"c", b"b")]) == [b"b"]
    async with pretending(
        Impostor(lambda command: [packed(Kind.TIME, command[1], bytes(8))] if command[1] == CALL else [])
    ) as source:
        with pytest.raises(SourceBroken):
            await source.remove_empty_folders([source_path(b"a")])


@given(st.lists(st.integers(1, 5_000), min_size=1, max_size=200))
def test_who_tells_without_end_is_heard_at_a_rate(blocks: list[int]) -> None:
    now_s, pace = 100.0, Pace(100.0)
    for names in blocks:
        now_s += pace.told(names, now_s)
    told_before_s = (sum(blocks) - SAVED_NAMES) / NAMES_PER_S
    assert now_s - 100.0 == pytest.approx(max(0.0, told_before_s))


def test_a_burst_is_heard_at_once_and_quiet_earns_another() -> None:
    pace = Pace(0.0)
    assert pace.told(int(SAVED_NAMES), 0.0) == 0
    assert pace.told(int(NAMES_PER_S), 0.0) == 1
    assert pace.told(int(SAVED_NAMES), 1_000.0) == 0
