"""Engines that hang at any step, answer nonsense, or flood: each is given up within its deadline, and nothing stays open."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from forged.model.errors import SourceBroken, SourceError, SourceLost, SourceUnreachable
from forged.model.observer import Nobody
from forged.sources.docker.channel import DockerChannel
from forged.sources.docker.container import ContainerDoor
from tests.sources.engine_impostor import HELLO, HonestEngine, Step, listening, message, reply
from tests.support.sinks import MIB

QUICKLY_S = 20


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    """aiohttp and aiodocker complain of what nobody closed when it is collected, and that is an error in our tests."""
    yield
    gc.collect()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("container", "engine"):
        monkeypatch.setattr(f"forged.sources.docker.{module}.ANSWER_S", 0.1)


async def opened(environment: dict[str, str], name: str = "box") -> DockerChannel:
    return await ContainerDoor(name, lambda: environment, Nobody()).open_channel(("anything",))


async def everything(environment: dict[str, str]) -> None:
    """A process is begun, speaks, and ends; and a name that is not there is asked for."""
    channel = await opened(environment)
    try:
        assert await channel.read() == HELLO
        channel._session._end_input()
        assert await channel.read() == b""
    finally:
        await channel.close()


async def test_an_honest_one_is_believed(tmp_path: Path) -> None:
    engine = HonestEngine()
    async with listening(engine, tmp_path) as environment:
        with pytest.raises(SourceLost, match="the line into the container box ended"):
            await everything(environment)
    assert set(engine.asked) == set(Step) - {Step.LIST}


class HangsAt(HonestEngine):
    def __init__(self, step: Step, from_time: int = 1) -> None:
        super().__init__()
        self._step, self._from_time = step, from_time

    def answer(self, step: Step) -> bytes | None:
        hangs = step is self._step and self.asked.count(step) >= self._from_time
        return self.instead(step) if hangs else super().answer(step)

    def instead(self, step: Step) -> bytes | None:
        return None


class HangsInside(HangsAt):
    """In the middle of the answer."""

    def instead(self, step: Step) -> bytes | None:
        return reply(bytes(100))[:-50]


class HangsHalfWay(HangsAt):
    """In the middle of its first line."""

    def instead(self, step: Step) -> bytes | None:
        return b"HTTP/1.1 200"


ASKED = [(step, 1) for step in Step if step is not Step.LIST] + [(Step.LOOK, 2)]


@pytest.mark.parametrize("hangs", [HangsAt, HangsInside, HangsHalfWay])
@pytest.mark.parametrize(("step", "times"), ASKED)
async def test_an_engine_that_hangs_at_any_step_is_given_up(
    hangs: type[HangsAt], step: Step, times: int, tmp_path: Path, impatient: None
) -> None:
    async with asyncio.timeout(QUICKLY_S), listening(hangs(step, times), tmp_path) as environment:
        with pytest.raises((SourceUnreachable, SourceLost), match=r"did not answer|connection|no container engine"):
            await everything(environment)


NONSENSE = {
    "nothing": reply(b""),
    "html": reply(b"<html>502 Bad Gateway</html>").replace(b"application/json", b"text/html"),
    "null": reply(b"null"),
    "a list": reply(b"[]"),
    "a number": reply(b"17"),
    "another object": reply(b'{"message": "\x1b[31m"}'),
    "an error": reply(b'{"message": "\\u001b[31mno"}', "500 Internal Server Error"),
    "an error of no JSON": reply(b"\x1b[31mno\xff", "500 Internal Server Error"),
    "no HTTP": b"\x1b[31mSSH-2.0-OpenSSH\r\n\r\n",
    "bytes": b"\xff\xfe\x00" * 50 + b"\r\n\r\n",
    "no such": reply(b'{"message": "no such"}', "404 Not Found"),
    "a redirection": reply(b"", "302 Found", "Location: http://127.0.0.1:1/"),
    "too much": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
}


class Nonsense(HangsAt):
    def __init__(self, step: Step, from_time: int, nonsense: bytes) -> None:
        super().__init__(step, from_time)
        self._nonsense = nonsense

    def instead(self, step: Step) -> bytes | None:
        return self._nonsense


@pytest.mark.parametrize(("step", "times"), ASKED)
async def test_nonsense_at_any_step_is_an_error_in_our_words(step: Step, times: int, tmp_path: Path) -> None:
    for nonsense in NONSENSE.values():
        async with asyncio.timeout(QUICKLY_S), listening(Nonsense(step, times, nonsense), tmp_path) as environment:
            with pytest.raises((SourceUnreachable, SourceLost, SourceBroken)) as caught:
                await everything(environment)
            assert str(caught.value).isprintable(), nonsense


class Floods(HonestEngine):
    """One message that says it has four gigabytes, and has them."""

    async def says(self, step: Step, writer: asyncio.StreamWriter) -> None:
        await super().says(step, writer)
        if step is Step.BEGIN:
            writer.write(message(b"", size_bytes=0xFFFFFFFF))
            while True:
                writer.write(bytes(MIB))
                await writer.drain()


class SpeaksBeforeItIsAsked(HonestEngine):
    """The flood comes with the answer to the start."""

    def answer(self, step: Step) -> bytes | None:
        answer = super().answer(step)
        return answer + message(b"", size_bytes=0xFFFFFFFF) + bytes(4 * MIB) if answer and step is Step.BEGIN else answer


@pytest.mark.parametrize("flood", [Floods, SpeaksBeforeItIsAsked])
async def test_a_message_without_end_is_no_message(flood: Callable[[], HonestEngine], tmp_path: Path) -> None:
    """An engine at the end of a line (`tcp://`) may be a rented one."""
    async with asyncio.timeout(QUICKLY_S), listening(flood(), tmp_path) as environment:
        channel = await opened(environment)
        tracemalloc.start()
        try:
            with pytest.raises(SourceBroken):
                while await channel.read():
                    pass
            assert tracemalloc.get_traced_memory()[1] < 24 * MIB
        finally:
            tracemalloc.stop()
            await channel.close()


PLACES = [
    "unix://",
    "unix://relative",
    "unix:///x\0y",
    "unix:///" + "x" * 200,
    "tcp://",
    "tcp://10.0.0.5",
    "tcp://:2375",
    "tcp://host:port",
    "tcp://[::1",
    "tcp://host:99999",
    "http://",
    "https://nowhere.invalid",
    "tcp://a b",
    "tcp:///path",
    "\x1b[31m://",
    "npipe:////./pipe/x",
    " ",
    "tcp://user:secret@127.0.0.1:1",
    "unix:///dev/null",
    "unix:///tmp",
]


async def test_an_address_that_leads_nowhere_is_an_error_in_our_words() -> None:
    for place in PLACES:
        with pytest.raises(SourceError) as caught:
            await opened({"DOCKER_HOST": place})
        assert caught.value.message.isprintable(), place
        assert caught.value.hint, place
        assert "secret" not in str(caught.value)
