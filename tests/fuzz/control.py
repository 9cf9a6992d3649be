"""The control socket as any bytes: every request is answered once, nothing else is, and somebody else is answered as before."""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, Any

from pydantic import Field
from pydantic_core import from_json

from forged.control.listening import listen
from forged.control.protocol import BATCH_MOST_PARTS, ID_MOST_CHARS, LINE_MOST_BYTES
from forged.control.publisher import Publisher
from forged.control.server import Server
from tests.control.serving import Line, Methods, open_folder, registry_of, until
from tests.fuzz.target import Poke, rearranged

BREAKS = {"broken", "unprintable"}
"""The methods of the tests that fail as only a fault in forged may; what any other one reports is a find."""

LAST = b'\n{"jsonrpc":"2.0","method":"unfollow"}\n'
"""Goes behind each input, so that nobody follows anything any more and the end of the connection comes."""

ABORT = 1
"""A bit of the first byte: the peer is gone before it has read anything."""

MOST_PIECES = 100
"""An input is cut into; more only take longer."""

WEIRD = (
    b"null", b"true", b"0", b"-1", b"1.5", b"1e400", b"-0.0", b"NaN", b'""', b'"\\ud800"', b'"\\u0000"', b"[]", b"{}", b"[[[[]]]]",
    b"[" * 250 + b"]" * 250, b"9" * 300, b"9" * 5000, b'"' + b"x" * 300 + b'"', b'"2.0"', b'"1.0"', b'{"a":1,"a":2}',
    b"18446744073709551616",
)  # fmt: skip
MEMBERS = (b'"jsonrpc"', b'"method"', b'"params"', b'"id"', b'"minuend"', b'"size_bytes"', b'"key"', b'"text"', b'"more"')
METHODS = ("subtract", "sum", "get_data", "whoami", "large", "changed", "broken", "unprintable", "follow", "unfollow", "wait")

Answered = tuple[bool, tuple[str, ...]]
"""One line of answer: whether it is an array, and the ids in it, as JSON, in order of their text."""


class Bounded(Methods):
    """The methods of the tests, but none makes a terabyte, and none waits for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.may_end.set()

    async def large(self, size_bytes: Annotated[int, Field(ge=0, le=2_000_000)]) -> str:
        return "x" * size_bytes


class Control:
    """A Target. An input: how it is cut, and whether the peer is gone at once (1 byte), then what a peer sends."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        runner = self._stack.enter_context(asyncio.Runner())
        folder = self._stack.enter_context(open_folder())
        self._publisher = Publisher()
        self._faults, self._methods = list[tuple[str, BaseException]](), Bounded()
        self._server = Server(
            registry_of(self._methods), Publisher(), report=lambda where, error: self._faults.append((where, error))
        )
        self._path, self._run = folder / "forged.sock", runner.run
        self._run(self._open())

    async def _open(self) -> None:
        await self._server.start(listen(self._path))
        self._honest = await self._connect()
        await self._honest_answer()
        self._tasks = len(asyncio.all_tasks())

    async def _connect(self) -> Line:
        return Line(*await asyncio.open_unix_connection(str(self._path), limit=4 * LINE_MOST_BYTES))

    def seeds(self) -> list[bytes]:
        calls = [json.dumps({"jsonrpc": "2.0", "id": number, "method": name}) for number, name in enumerate(METHODS)]
        one = '{"jsonrpc":"2.0","id":"a","method":"subtract","params":[3,2]}'
        null = '{"jsonrpc":"2.0","id":null,"method":"get_data"}'
        named = '{"jsonrpc":"2.0","method":"update","params":{"text":"x"}}'
        large = '{"jsonrpc":"2.0","id":1.5,"method":"large","params":{"size_bytes":700000}}'
        return [
            b"\0" + "\n".join([one, named, null, "", "nonsense", *calls]).encode(),
            b"\6" + f"[{','.join([one, named, *calls])}]\n{one}".encode(),
            b"\0" + f"[{large},{large},{one}]\r\n[]\n[1,{named}]\n[{named}]".encode(),
            b"\1" + f"{large}\n{one}\n".encode(),
            b"\0" + f"[{','.join([named] * 101)}]".encode(),
        ]

    def words(self) -> list[bytes]:
        return [*WEIRD, *MEMBERS, *(json.dumps(name).encode() for name in METHODS), b"\n", b",", b'"jsonrpc":"2.0"']

    def mutated(self, data: bytes, chance: random.Random, poke: Poke) -> bytes:
        """Lines are moved about and poked; a member or an item gets another value, a line becomes a batch."""
        lines = rearranged(data[1:].split(b"\n"), chance, poke)
        at = chance.randrange(len(lines)) if lines else 0
        if lines and chance.randrange(2):
            lines[at] = _exchanged(lines[at], chance)
        elif lines and chance.randrange(4) == 0:
            lines[at] = b"[" + b",".join([lines[at]] * chance.choice((1, 2, 99, 100, 101))) + b"]"
        return data[:1] + b"\n".join(lines)

    def check(self, data: bytes) -> bool:
        return bool(self._run(self._check(data[0] if data else 0, data[1:])))

    async def _check(self, how: int, sent: bytes) -> bool:
        self._faults.clear()
        self._methods.noted.clear()
        async with asyncio.timeout(20):
            answers = await self._conversed(how, sent + LAST)
            await self._honest_answer()
            await until(lambda: self._server.connections == 1 and len(asyncio.all_tasks()) == self._tasks)
        assert {where for where, _ in self._faults} <= BREAKS, self._faults
        assert self._server._backlog.unsent_bytes == 0
        expected = list(_expected(sent))
        assert how & ABORT or Counter(map(_answered, answers)) == Counter(expected)
        return bool(expected)

    async def _conversed(self, how: int, sent: bytes) -> list[Any]:
        """Sends it in pieces, ends as told, and gives what came back line by line."""
        size = max(how >> 1, len(sent) // MOST_PIECES) if how >> 1 else len(sent)
        async with await self._connect() as line:
            for start in range(0, len(sent), size):
                line.writer.write(sent[start : start + size])
                await asyncio.sleep(0)
                self._publisher.publish("fact", {"at": start}, key="key" * (start % 2), latest_wins=start % 3 == 0)
            if how & ABORT:
                return []
            line.writer.write_eof()
            lines = [each async for each in line.reader]
        assert all(len(each) <= LINE_MOST_BYTES + 1 for each in lines), "a line above 1 MiB"
        said = [json.loads(each) for each in lines]
        return [each for each in said if "method" not in each]  # the others are notifications

    async def _honest_answer(self) -> None:
        assert (await self._honest.call("subtract", minuend=44, subtrahend=2))["result"] == 42

    def close(self) -> None:
        self._honest.writer.transport.abort()
        self._run(self._server.stop(limit_s=1))
        self._stack.close()


def _exchanged(line: bytes, chance: random.Random) -> bytes:
    """One value, or one member, written anew."""
    try:
        value = json.loads(line)
    except ValueError:
        return chance.choice(WEIRD)
    if not isinstance(value, dict):
        return line
    members = {json.dumps(key).encode(): json.dumps(item).encode() for key, item in value.items()}
    members[chance.choice((*members, *MEMBERS))] = chance.choice((*WEIRD, *(json.dumps(name).encode() for name in METHODS)))
    return b"{" + b",".join(key + b":" + item for key, item in members.items()) + b"}"


# --- what should be answered: the specification once more, as plainly as can be -----------------------------------------------


def _expected(sent: bytes) -> Iterator[Answered]:
    for line in sent.split(b"\n"):
        if not line or line.isspace():
            continue
        try:
            value = from_json(line, allow_inf_nan=False)
        except ValueError:
            value = []
        if not isinstance(value, list):
            yield from ((False, ids) for ids in [_ids([value])] if ids)
        elif 0 < len(value) <= BATCH_MOST_PARTS:
            yield from ((True, ids) for ids in [_ids(value)] if ids)
        else:
            yield False, ("null",)


def _ids(parts: list[Any]) -> tuple[str, ...]:
    return tuple(sorted(_id(part) for part in parts if not _is_notification(part)))


def _is_notification(part: Any) -> bool:
    return (
        isinstance(part, dict)
        and "id" not in part
        and part.get("jsonrpc") == "2.0"
        and isinstance(part.get("method"), str)
        and isinstance(part.get("params", {}), dict | list)
    )


def _id(part: Any) -> str:
    given = part.get("id") if isinstance(part, dict) else None
    fits = isinstance(given, float) and math.isfinite(given)
    fits |= isinstance(given, str | int) and not isinstance(given, bool) and len(str(given)) <= ID_MOST_CHARS
    return json.dumps(given if fits else None)


def _answered(answer: Any) -> Answered:
    """The shape of an answer; each part of it has a result or an error, and nothing of the other."""
    parts = answer if isinstance(answer, list) else [answer]
    for part in parts:
        assert part["jsonrpc"] == "2.0" and ("result" in part) != ("error" in part)
    return isinstance(answer, list), tuple(sorted(json.dumps(part["id"]) for part in parts))
