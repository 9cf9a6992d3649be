"""SFTP servers that lie, flood or hang: what the protocol does not allow ends the connection, and costs little memory."""

from __future__ import annotations

import asyncio
import itertools
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from forged.model.errors import NotSupported, SourceBroken, SourceEndless, SourceError, SourceLost, SourceMissing
from forged.model.files import Entry, Problem, ProblemKind, Stat
from forged.model.paths import source_path
from forged.model.transfer import Fetched
from forged.sources.sftp import scan as sftp_scan
from forged.sources.sftp.lane import Root, SftpLane
from forged.sources.sftp.source import SftpSource
from forged.sources.sftp.wire import NANO, Ask, Code, Say, string
from tests.sources.asking import fetched, listed, removable, requests_of
from tests.sources.sftp.impostor import FILE, FILE_BYTES, FOLDER, LINK, MTIME_S, Honest, attrs, names, packet, pretending, status
from tests.support.sinks import MIB, MemorySink

ENTRY = Entry(source_path(b"file"), Stat(FILE_BYTES, MTIME_S * NANO))
QUICKLY_S = 20


@asynccontextmanager
async def opened(box: Honest, folder: Path, silence_limit_s: float = 60.0) -> AsyncIterator[SftpSource]:
    async with pretending(box, folder, silence_limit_s) as source, source:
        yield source


async def everything(source: SftpSource) -> None:
    """A listing, a fetch and a removal: every kind of question is asked."""
    await listed(source)
    await fetched(source, requests_of([ENTRY]), MemorySink())
    await source.remove_unguarded([removable(ENTRY, b"")])
    await source.remove_empty_folders([source_path(b"folder")])


async def test_the_honest_one_is_believed(tmp_path: Path) -> None:
    box, sink = Honest(), MemorySink()
    async with opened(box, tmp_path) as source:
        assert (await listed(source))[0] == [ENTRY]
        answer = (await fetched(source, requests_of([ENTRY]), sink))[b"file"]
        assert isinstance(answer, Fetched)
        assert sink.content("0000") == bytes(FILE_BYTES)
        await everything(source)
    assert set(box.asked) == set(Ask) - {Ask.INIT}


# --- lies -------------------------------------------------------------------------------------------------------------------


class ClimbsOut(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"../file", attrs()))]


class NamesWithNul(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"fi\0le", attrs()))]


class NamesNothing(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"", attrs()))]


class CountsTooMany(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.NAME, number, struct.pack(">I", 0xFFFFFFFF) + string(b"a"))]


class NamesTooMany(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, *[(b"a", struct.pack(">I", 0))] * 15_000)]


class AnswersTwice(Honest):
    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"file", attrs())), names(number, (b"other", attrs()))]


class AnswersWhatNobodyAsked(Honest):
    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.DATA, number + 1000, string(bytes(10)))]


class AnswersWithAnotherKind(Honest):
    def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.DATA, number, string(b"x"))]


class SaysOkInsteadOfAHandle(Honest):
    def open(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [status(number, Code.OK)]


class EndlessHandle(Honest):
    def open(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.HANDLE, number, string(bytes(10_000)))]


class SendsMoreThanAsked(Honest):
    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.DATA, number, string(bytes(FILE_BYTES + 1)))]


class SendsNothing(Honest):
    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.DATA, number, string(b""))]


class SendsGiants(Honest):
    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [struct.pack(">IBI", 0x7FFFFFFF, Say.DATA, number)]


class SendsCrumbs(Honest):
    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [struct.pack(">I", 3) + b"abc"]


class TellsNoSize(Honest):
    def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        mode = FILE if name.endswith(b"file") else FOLDER
        return [packet(Say.ATTRS, number, struct.pack(">II", 4, mode))]


class TailsAttributes(Honest):
    def fstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, attrs() + b"more")]


class ExtendsForEver(Honest):
    def fstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, struct.pack(">II", 0x80000000, 0xFFFFFFFF))]


class ReallyClimbs(Honest):
    def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"/root/../etc", attrs()))]


class IsReallyFarAway(Honest):
    """Each question would carry it, and each message show it."""

    def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"/x" * 10_000, attrs()))]


class HasTwoRealPaths(Honest):
    def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return (
            [names(number, (name, attrs()), (b"/elsewhere", attrs()))]
            if len(self.asked) > 5
            else super().realpath(number, name, rest)
        )


LIES = [
    ClimbsOut, NamesWithNul, NamesNothing, CountsTooMany, NamesTooMany, AnswersTwice, AnswersWhatNobodyAsked,
    AnswersWithAnotherKind, SaysOkInsteadOfAHandle, EndlessHandle, SendsMoreThanAsked, SendsNothing, SendsGiants,
    SendsCrumbs, TellsNoSize, TailsAttributes, ExtendsForEver, HasTwoRealPaths, ReallyClimbs, IsReallyFarAway,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
async def test_a_server_that_lies_is_cut_off(lie: Callable[[], Honest], tmp_path: Path) -> None:
    async with asyncio.timeout(QUICKLY_S), pretending(lie(), tmp_path) as source:
        with pytest.raises(SourceBroken):
            async with source:
                await everything(source)
        if source._lanes._lanes:
            with pytest.raises(SourceError):
                await source.look([ENTRY.path])


async def test_a_real_path_elsewhere_is_a_link_on_the_way(tmp_path: Path) -> None:
    class Elsewhere(Honest):
        def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            return [names(number, (b"/etc/shadow" if name.endswith(b"file") else name, attrs()))]

    sink = MemorySink()
    async with opened(Elsewhere(), tmp_path) as source:
        answers = await fetched(source, requests_of([ENTRY]), sink)
        assert isinstance(answers[b"file"], Problem)
        assert [look.kind for look in await source.look([ENTRY.path]) if isinstance(look, Problem)] == [ProblemKind.LINK]
        [answer] = await source.remove_unguarded([removable(ENTRY, b"")])
        assert answer.kept
    assert sink.received == 0


async def test_a_root_that_moves_in_the_middle_of_a_listing_makes_it_none(tmp_path: Path) -> None:
    class Moves(Honest):
        def realpath(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            return [names(number, (b"/elsewhere" if self._read else name, attrs()))]

    async with opened(Moves(), tmp_path) as source:
        with pytest.raises(SourceMissing, match="it leads to another folder now"):
            await listed(source)


async def test_a_server_that_follows_links_in_its_listing_leads_nowhere(tmp_path: Path) -> None:
    """READDIR says that it is a folder, LSTAT knows better: without the second look, this tree would have no end."""

    class Follows(Honest):
        def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            if name in self._read:
                return [status(number, Code.EOF)]
            self._read.add(name)
            return [names(number, (b"loop", attrs(mode=FOLDER)))]

        def lstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            return [packet(Say.ATTRS, number, attrs(mode=LINK if name.endswith(b"loop") else FOLDER))]

    async with opened(Follows(), tmp_path) as source:
        entries, problems, _ = await listed(source)
    assert entries == []
    assert [(problem.path, problem.kind) for problem in problems] == [(b"loop", ProblemKind.LINK)]


async def test_a_folder_that_fails_half_way_is_a_problem_beside_what_was_seen(tmp_path: Path) -> None:
    """Not the root: without that nothing is known."""

    class Fails(Honest):
        def opendir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            return [packet(Say.HANDLE, number, string(name))]

        def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            if name in self._read:
                return [status(number, Code.FAILURE if name.endswith(b"folder") else Code.EOF, b"I/O error")]
            self._read.add(name)
            deeper = () if name.endswith(b"folder") else ((b"folder", attrs(mode=FOLDER)),)
            return [names(number, (b"file", attrs()), *deeper)]

    async with opened(Fails(), tmp_path) as source:
        entries, problems, _ = await listed(source)
    assert [entry.path for entry in entries] == [b"file", b"folder/file"]
    assert problems == [Problem(b"folder", ProblemKind.UNREADABLE, "I/O error")]


async def test_what_a_server_says_of_an_error_commands_no_terminal(tmp_path: Path) -> None:
    class Paints(Honest):
        def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            if name.endswith(b"file"):
                return [status(number, Code.FAILURE, b"\x1b]0;owned\x07\xff" + b"x" * 100_000)]
            return super().stat(number, name, rest)

    async with opened(Paints(), tmp_path) as source:
        [look] = await source.look([ENTRY.path])
    assert isinstance(look, Problem)
    assert look.kind is ProblemKind.UNREADABLE
    assert look.message.isprintable()
    assert len(look.message) < 500


class Crumbling(Honest):
    """One byte for each question, however many were asked for."""

    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        offset_bytes, _ = struct.unpack(">QI", rest)
        return [packet(Say.DATA, number, string(b"%d" % (offset_bytes % 10)))]


async def test_short_answers_are_asked_for_again_until_the_file_is_whole(tmp_path: Path) -> None:
    sink = MemorySink()
    async with opened(Crumbling(), tmp_path) as source:
        answers = await fetched(source, requests_of([ENTRY]), sink)
    assert isinstance(answers[b"file"], Fetched)
    assert sink.content("0000") == b"0123456789" * (FILE_BYTES // 10)


class Backwards(Honest):
    """Answers each fifty reads in the opposite order: the protocol allows it."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def extended(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.EXTENDED_REPLY, number, struct.pack(">QQQQ", 0, 1, 0, 0))]

    def stat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, attrs(20 * 4096, FILE if name.endswith(b"file") else FOLDER))]

    def fstat(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.ATTRS, number, attrs(20 * 4096))]

    def read(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        offset_bytes, size_bytes = struct.unpack(">QI", rest)
        self._held.append(packet(Say.DATA, number, string(b"%04d" % (offset_bytes // 4096) * (size_bytes // 4))))
        if len(self._held) < 20:
            return []
        return reversed(self._held)


async def test_answers_in_another_order_are_put_right(tmp_path: Path) -> None:
    """It also says that it reads one byte at a time at most: nobody asks for so little."""
    entry, sink = Entry(ENTRY.path, Stat(20 * 4096, MTIME_S * NANO)), MemorySink()
    async with opened(Backwards(), tmp_path) as source:
        answers = await fetched(source, requests_of([entry]), sink)
    assert isinstance(answers[b"file"], Fetched)
    assert sink.content("0000") == b"".join(b"%04d" % n * 1024 for n in range(20))


# --- what has no end --------------------------------------------------------------------------------------------------------


class EndlessFolder(Honest):
    def __init__(self, size: int) -> None:
        super().__init__()
        self._size, self._numbers = size, itertools.count()

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        count = next(self._numbers)
        return [names(number, *((b"%09d" % (count * 400 + each) + b"x" * self._size, attrs()) for each in range(400)))]


class EndlessRepetition(Honest):
    MANY = names(0, *[(b"file", attrs())] * 2_000)[9:]

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [packet(Say.NAME, number, self.MANY)]


@pytest.mark.parametrize("make", [lambda: EndlessFolder(200), EndlessRepetition], ids=["names", "one name"])
async def test_a_folder_without_end_is_given_up_within_its_bound(
    make: Callable[[], Honest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp_scan, "MOST_BYTES", MIB)
    monkeypatch.setattr(sftp_scan, "AHEAD_BYTES", MIB // 2)
    async with opened(make(), tmp_path) as source:
        tracemalloc.start()
        try:
            with pytest.raises(SourceEndless):
                await listed(source)
            assert tracemalloc.get_traced_memory()[1] < 16 * MIB  # both ends are in this process
        finally:
            tracemalloc.stop()


class EndlessEverywhere(Honest):
    """Forty folders, each without end, of names that take the least on the wire and the most in memory."""

    MANY = names(0, *[(b"a", struct.pack(">I", 0))] * 2_000)[9:]

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if name == b"1" and name in self._read:
            return [status(number, Code.EOF)]
        if name == b"1":
            self._read.add(name)
            return [names(number, *((b"%02d" % each, attrs(mode=FOLDER)) for each in range(40)))]
        return [packet(Say.NAME, number, self.MANY)]


async def test_folders_without_end_side_by_side_cost_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_scan, "MOST_BYTES", MIB)
    monkeypatch.setattr(sftp_scan, "AHEAD_BYTES", MIB // 2)
    monkeypatch.setattr(sftp_scan, "ALL_QUESTIONS", 8)
    async with opened(EndlessEverywhere(), tmp_path) as source:
        tracemalloc.start()
        try:
            with pytest.raises(SourceEndless):
                await listed(source)
            assert tracemalloc.get_traced_memory()[1] < 16 * MIB  # both ends are in this process
        finally:
            tracemalloc.stop()


class FloodsBackwards(Honest):
    """Answers with one name until many questions are on their way, and then those in the opposite order, with thousands of names
    each: so none of them can be made use of before the last has come."""

    MANY = names(0, *[(b"a", struct.pack(">I", 0))] * 10_000)[9:]

    def __init__(self) -> None:
        super().__init__()
        self._count, self._held = itertools.count(), list[bytes]()

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if next(self._count) < 40:
            return [names(number, (b"file", attrs()))]
        self._held.append(packet(Say.NAME, number, self.MANY))
        held, self._held = self._held, []
        if len(held) < sftp_scan.MOST_QUESTIONS:
            self._held = held
            return []
        return reversed(held)


async def test_many_names_in_the_wrong_order_wait_as_they_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_scan, "MOST_BYTES", MIB)
    monkeypatch.setattr(sftp_scan, "AHEAD_BYTES", MIB // 2)
    async with asyncio.timeout(QUICKLY_S), opened(FloodsBackwards(), tmp_path) as source:
        tracemalloc.start()
        try:
            with pytest.raises(SourceEndless):
                await listed(source)
            assert tracemalloc.get_traced_memory()[1] < 24 * MIB  # both ends are in this process
        finally:
            tracemalloc.stop()


class EndlessDepth(Honest):
    """A folder in each folder."""

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        if name in self._read:
            return [status(number, Code.EOF)]
        self._read.add(name)
        return [names(number, (b"deeper" * 40, attrs(mode=FOLDER)))]


async def test_folders_in_folders_end_where_a_path_ends(tmp_path: Path) -> None:
    async with asyncio.timeout(QUICKLY_S), opened(EndlessDepth(), tmp_path) as source:
        entries, problems, _ = await listed(source)
    assert entries == []
    assert [problem.kind for problem in problems] == [ProblemKind.BAD_NAME]


async def test_sizes_are_only_claims(tmp_path: Path) -> None:
    """A file of 2^64-1 bytes is listed as such; what is asked for is what the sink grants."""

    class Huge(Honest):
        def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
            if name in self._read:
                return [status(number, Code.EOF)]
            self._read.add(name)
            return [names(number, (b"file", attrs((1 << 64) - 1)))]

    async with opened(Huge(), tmp_path) as source:
        assert [entry.stat.size_bytes for entry in (await listed(source))[0]] == [(1 << 64) - 1]


# --- hangs ------------------------------------------------------------------------------------------------------------------


class HangsAt(Honest):
    def __init__(self, kind: Ask, times: int = 0) -> None:
        super().__init__()
        self._kind, self._times = kind, times

    def answers(self, kind: int, number: int, body: bytes) -> Iterable[bytes]:
        if kind == self._kind:
            self._times -= 1
            if self._times < 0:
                return []
        return super().answers(kind, number, body)


@pytest.mark.parametrize("kind", [kind for kind in Ask if kind is not Ask.CLOSE], ids=lambda kind: kind.name)
async def test_a_server_that_hangs_at_any_step_is_lost(kind: Ask, tmp_path: Path) -> None:
    async with asyncio.timeout(QUICKLY_S), pretending(HangsAt(kind), tmp_path, silence_limit_s=0.4) as source:
        with pytest.raises(SourceLost):
            async with source:
                await everything(source)


class Drips(Honest):
    """Answers each READDIR after a while, with one name: never silent, and never done."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def readdir(self, number: int, name: bytes, rest: bytes) -> Iterable[bytes]:
        return [names(number, (b"%d" % next(self._numbers), attrs()))]


async def test_a_listing_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forged.sources.sftp.lane.WALK_PATIENCE_S", 0.3)
    monkeypatch.setattr("forged.sources.agent.pulse.LEAST_BYTES", 1 << 30)
    async with asyncio.timeout(QUICKLY_S), opened(Drips(), tmp_path, silence_limit_s=0.8) as source:
        with pytest.raises(SourceLost, match="next to nothing"):
            await listed(source)


class Waiting:
    """A channel that answers once it is told to."""

    def __init__(self) -> None:
        self.answer = asyncio.Event()

    async def read(self) -> bytes:
        await self.answer.wait()
        self.answer.clear()
        return packet(Say.VERSION, 3)

    async def write(self, data: bytes) -> None:
        return

    async def close(self) -> str:
        return ""


async def test_a_greeting_that_comes_when_nobody_waits_any_more_is_no_mistake() -> None:
    """As when a source is closed while it opens another lane."""
    channel = Waiting()
    lane = SftpLane(channel, "box", Root(b"/"), "lane", 60.0)
    opening = asyncio.create_task(lane.greet())
    await asyncio.sleep(0)
    channel.answer.set()
    opening.cancel()
    await asyncio.wait([opening])
    await asyncio.sleep(0)
    await lane.close()


# --- who speaks no SFTP -----------------------------------------------------------------------------------------------------


class Speaks(Honest):
    def __init__(self, first: bytes) -> None:
        super().__init__()
        self._first = first

    def hello(self) -> bytes:
        return self._first


@pytest.mark.parametrize("first", [b"Welcome to \x1b[31mthe box!\r\n" * 3, packet(Say.VERSION, 2), packet(Say.STATUS, 3)])
async def test_another_greeting_is_no_sftp(first: bytes, tmp_path: Path) -> None:
    async with asyncio.timeout(QUICKLY_S), pretending(Speaks(first), tmp_path) as source:
        with pytest.raises(NotSupported) as caught:
            await source.__aenter__()
    assert "sshd_config" in caught.value.hint
    assert caught.value.message.isprintable()
