"""Boxes whose shell lies, floods or hangs: each ends as SourceBroken or SourceLost, or costs one file, and little memory."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Awaitable, Callable

import pytest

from forged.model.errors import SourceBroken, SourceError, SourceLost
from forged.model.files import Problem
from forged.model.manifest import ManifestRow
from forged.model.paths import home_path, source_path
from forged.model.removal import KeptBecause, Removable
from forged.model.transfer import Fetched
from forged.sources.agent.pulse import PATIENCE_S, START_PATIENCE_S, WALK_PATIENCE_S
from forged.sources.base import Hashed
from forged.sources.shell import listing
from forged.sources.shell.client import ShellSource
from tests.sources.asking import fetched, listed, requests_of
from tests.sources.shell.impostor import BEGAN, DATA, ENDED, FILE, SEEN, SHA256, Answer, Impostor
from tests.support.sinks import MemorySink
from tests.support.virtual import virtual

SILENCE_S = 60.0
ENOUGH_BYTES = 4 << 20
"""So much is read at most before a box is let go that sends what nobody asked for."""

Ask = Callable[[ShellSource], Awaitable[object]]


async def fetching(source: ShellSource) -> object:
    return (await fetched(source, requests_of([FILE]), MemorySink()))[b"file"]


async def hashing(source: ShellSource) -> object:
    [answer] = [answer async for answer in source.hash([FILE])]
    return answer


async def removing(source: ShellSource) -> object:
    row = ManifestRow(FILE.path, FILE.stat, hashlib.sha256(DATA).digest(), home_path(b"file"), 1)
    return (await source.remove([Removable(row, FILE.stat)]))[0]


async def removing_a_folder(source: ShellSource) -> object:
    return await source.remove_empty_folders([source_path(b"folder")])


ASKING: dict[str, tuple[Ask, float]] = {
    "k": (lambda source: source.clock_ns(), PATIENCE_S),
    "l": (lambda source: source.look([FILE.path]), PATIENCE_S),
    "p": (lambda source: source.resolve([b"/root"]), PATIENCE_S),
    "b": (fetching, PATIENCE_S),
    "r": (fetching, PATIENCE_S),
    "e": (fetching, PATIENCE_S),
    "h": (hashing, PATIENCE_S),
    "x": (removing, PATIENCE_S),
    "z": (removing_a_folder, PATIENCE_S),
    "t": (listed, WALK_PATIENCE_S),
}
"""Each function of the script: what it is called for, and how long signs of life may stand for its answer."""


async def test_what_they_imitate_is_honest() -> None:
    async with Impostor().source() as source:
        assert (await listed(source))[0] == [FILE]
        assert isinstance(await fetching(source), Fetched)
        assert isinstance(await hashing(source), Hashed)
        assert (await removing(source)).kept is None  # type: ignore[attr-defined]
        for ask, _ in ASKING.values():
            await ask(source)


# --- lies -----------------------------------------------------------------------------------------------------------------


def says(*pieces: bytes) -> Callable[[Impostor], Answer]:
    return lambda impostor: pieces


BROKEN: dict[str, dict[str, Callable[[Impostor], Answer]]] = {
    "a size that no file has": {"l": says(SEEN.replace(b" 5 ", b" 99999999999999999999 ") + b"\n")},
    "a look and something more": {"l": says(SEEN + b"\nrm -rf\n")},
    "half a look": {"l": says(SEEN[:50])},
    "escapes instead of a look": {"l": says(b"\x1b[2J\x1b]0;owned\x07\n")},
    "no time": {"k": says(b"noon\n")},
    "a place that is no path": {"p": says(b"/a/../b//\n1 2\n")},
    "a place that is not absolute": {"p": says(b"a//\n1 2\n")},
    "a folder's end in other words": {"z": says(b"R\nR\n")},
    "a removal in other words": {"x": says(b"Y\n")},
    "a hash that is none": {"h": says(SEEN + b"\n" + b"0" * 63 + b"  -\n" + SEEN + b"\n")},
    "two hashes": {"h": says(SEEN + b"\n" + SHA256 + SHA256 + SEEN + b"\n")},
    "a hash too many after the last byte": {"e": says(SHA256 + SHA256 + SEEN + b"\n")},
    "more bytes than were asked for": {"r": says(DATA + b"!")},
    "bytes without end": {"r": lambda impostor: itertools.repeat(bytes(65_536))},
    "an answer without end": {"l": lambda impostor: itertools.repeat(b"x" * 1000)},
    "signs of life without end": {"h": lambda impostor: itertools.repeat(b".\n" * 100)},
    "a record without end": {"t": lambda impostor: itertools.chain([BEGAN], itertools.repeat(b"x" * 1000))},
    "a listing without an end": {"t": says(BEGAN + SEEN + b" ./file//\n")},
    "a listing whose last name is missing": {"t": says(BEGAN + SEEN + b" ./file//\nT//\n")},
    "a listing of which a tool died": {"t": says(BEGAN + SEEN + b" ./file//\n" + SEEN + b" /..//\nX//\nT//\n")},
    "a file outside the root": {"t": says(BEGAN + SEEN + b" /etc/passwd//\n" + ENDED)},
    "a file outside that cannot be looked at": {"t": says(BEGAN + b"U /etc/passwd//\n" + ENDED)},
    "the mark too early": {"t": lambda impostor: [BEGAN + impostor.mark + b"\n" + ENDED]},
    "the mark too often": {"k": lambda impostor: [b"1795835931.0\n" + impostor.mark + b"\n"]},
    "an answer to nothing": {"k": lambda impostor: [b"1795835931.000000000\n" + impostor.mark + b"\nhello\n"]},
}


@pytest.mark.parametrize("what", BROKEN)
async def test_a_lie_ends_the_connection(what: str) -> None:
    [lies] = [BROKEN[what]]
    [function] = lies
    impostor = Impostor(**lies)
    async with asyncio.timeout(60), impostor.source() as source:
        with pytest.raises(SourceBroken) as broken:
            await ASKING[function][0](source)
            await source.clock_ns()  # what came too much is noticed by the next one at the latest
            await asyncio.sleep(0.01)
            await source.clock_ns()
        assert "\x1b" not in str(broken.value)
    assert all(shell.closed for shell in impostor.shells)
    assert max(shell.said_bytes for shell in impostor.shells) < ENOUGH_BYTES


@pytest.mark.parametrize(
    "endless",
    [
        lambda: itertools.repeat(b".//\n" * 100),
        lambda: itertools.repeat((SEEN + b" ///\n") * 100),
        lambda: (SEEN + b" ./%010d/.forged-aside-%08x-00000000-x//\n" % (number, 1795835931) for number in itertools.count()),
    ],
    ids=["signs of life", "complaints", "files that wait aside"],
)
async def test_a_listing_that_never_lists_anything_is_let_go(
    endless: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MOST_IDLE_RECORDS", 2_000)
    impostor = Impostor(t=lambda impostor: itertools.chain([BEGAN], endless()))
    async with asyncio.timeout(60), impostor.source() as source:
        with pytest.raises(SourceBroken, match="lists nothing"):
            await listed(source)


async def test_an_endless_listing_is_read_only_as_fast_as_it_is_taken() -> None:
    files = (SEEN + b" ./%010d//\n" % number for number in itertools.count())
    impostor = Impostor(t=lambda impostor: itertools.chain([BEGAN], files))
    async with impostor.source() as source:
        parts = source.list()
        await anext(parts)
        for _ in range(5_000):
            await asyncio.sleep(0)
        assert impostor.shells[-1].said_bytes < ENOUGH_BYTES
        await parts.aclose()


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("b", b"G\n"),
        ("b", b"U\n"),
        ("b", SEEN.replace(b" 7 ", b" 8 ") + b"\n"),
        ("b", SEEN.replace(b"81a4", b"a1ff") + b"\n"),
        ("r", b"hell"),
        ("r", b""),
        ("e", SHA256 + SEEN.replace(b" 7 ", b" 8 ") + b"\n"),
        ("e", SHA256 + b"G\n"),
        ("e", SEEN + b"\n"),
        ("h", SEEN.replace(b" 5 ", b" 6 ") + b"\n"),
        ("h", SEEN + b"\n" + SHA256 + SEEN.replace(b" 5 ", b" 6 ") + b"\n"),
        ("h", SEEN + b"\n" + SEEN + b"\n"),
    ],
)
async def test_a_file_that_is_another_one_is_a_problem_and_no_more(function: str, answer: bytes) -> None:
    async with Impostor(**{function: says(answer)}).source() as source:
        assert isinstance(await ASKING[function][0](source), Problem)
        await source.clock_ns()


@pytest.mark.parametrize("said", [b"C\n", b"L\n", b"G\n", b"A\n", b"F\n", b"U\n", b".\n.\nC\n"])
async def test_a_file_that_was_not_removed_was_not(said: bytes) -> None:
    async with Impostor(x=says(said)).source() as source:
        assert isinstance((await removing(source)).kept, KeptBecause)  # type: ignore[attr-defined]


@pytest.mark.parametrize("changed", [b" 6 1795835914 7 ", b" 5 1795835915 7 "])
async def test_a_file_that_looks_otherwise_is_not_even_asked_to_be_removed(changed: bytes) -> None:
    def never(impostor: Impostor) -> Answer:
        raise AssertionError("it was asked to be removed")

    seen = SEEN.replace(b" 5 1795835914 7 ", changed)
    async with Impostor(l=says(seen + b"\n"), x=never).source() as source:
        assert (await removing(source)).kept is KeptBecause.CHANGED  # type: ignore[attr-defined]


# --- deadlines ------------------------------------------------------------------------------------------------------------


def now_s() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("function", ASKING)
def test_a_hang_at_any_step_is_noticed(function: str) -> None:
    @virtual
    async def story() -> None:
        impostor = Impostor()
        impostor.hangs = function
        async with impostor.source(SILENCE_S) as source:
            began_s = now_s()
            with pytest.raises(SourceLost, match="silent"):
                await ASKING[function][0](source)
            assert SILENCE_S <= now_s() - began_s <= 1.3 * SILENCE_S
        assert all(shell.closed for shell in impostor.shells)

    story()


class Dripping(Impostor):
    """It says that it lives, and no more."""

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(5):
                return await super().read()
        except TimeoutError:
            return b".//\n" if self.hangs == "t" else b".\n"


@pytest.mark.parametrize("function", sorted(set(ASKING) - {"r"}))
def test_signs_of_life_do_not_stand_for_an_answer_for_ever(function: str) -> None:
    @virtual
    async def story() -> None:
        ask, patience_s = ASKING[function]
        impostor = Dripping()
        impostor.hangs = function
        async with impostor.source(SILENCE_S) as source:
            began_s = now_s()
            with pytest.raises(SourceError):
                await ask(source)
            assert now_s() - began_s <= patience_s + 20

    story()


@pytest.mark.parametrize("function", ["m", "o"])
def test_a_shell_that_never_begins_is_let_go(function: str) -> None:
    @virtual
    async def story() -> None:
        impostor = Impostor()
        impostor.hangs = function
        with pytest.raises(SourceLost):
            async with impostor.source(SILENCE_S):
                pass
        assert now_s() <= START_PATIENCE_S + 20
        assert all(shell.closed for shell in impostor.shells)

    story()
