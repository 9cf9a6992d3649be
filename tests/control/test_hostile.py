"""Peers that are slow, silent, huge, many or mad: they get an error or nothing, and everybody else is answered as before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psutil
import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forged.control import conversation
from forged.control.sending import NOTES_MOST_BYTES, ROOM_BYTES
from forged.control.server import CONNECTIONS_MOST_OF_ONE
from tests.control.serving import Line, Served, serving, until

MEBIBYTE = 1 << 20


async def assert_well(served: Served) -> None:
    """Somebody else is answered."""
    async with await served.connect() as other:
        assert (await other.call("subtract", 77, minuend=44, subtrahend=2)) == {"jsonrpc": "2.0", "id": 77, "result": 42}


async def refused(served: Served, data: bytes) -> Any:
    """Sends too much, and gives the error that comes before the end of the connection.

    By a plain socket, as nc and forgectl do: asyncio's streams forget what they have received when a write fails.
    """
    loop, received = asyncio.get_running_loop(), b""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.setblocking(False)
        await loop.sock_connect(plain, str(served.path))
        with contextlib.suppress(OSError):
            await loop.sock_sendall(plain, data)
        with contextlib.suppress(ConnectionResetError):
            while piece := await loop.sock_recv(plain, 65536):
                received += piece
    return json.loads(received)


FOLLOW = b'{"jsonrpc":"2.0","method":"follow"}\n'


@pytest.mark.parametrize("data", [b'{"id":1,' + b" " * 2 * MEBIBYTE + b"}\n", b"x" * 5 * MEBIBYTE, FOLLOW + b"x" * 2 * MEBIBYTE])
async def test_a_huge_or_endless_line_is_an_error_and_the_end(data: bytes) -> None:
    async with serving() as served:
        answer = await refused(served, data)
        assert (answer["id"], answer["error"]["code"]) == (None, -32600)
        assert "1 MiB" in answer["error"]["data"]["hint"]
        await assert_well(served)


async def test_a_line_of_exactly_one_mebibyte_is_read() -> None:
    async with serving() as served, await served.connect() as line:
        request = b'{"jsonrpc":"2.0","id":1,"method":"get_data"}'
        line.writer.write(request + b" " * (MEBIBYTE - len(request)) + b"\n")
        assert (await line.receive())["result"] == ["hello", 5]


async def test_five_thousand_levels_are_a_parse_error_and_the_connection_goes_on() -> None:
    async with serving() as served, await served.connect() as line:
        line.writer.write(b"[" * 5000 + b"]" * 5000 + b"\n")
        assert (await line.receive())["error"]["code"] == -32700
        assert (await line.call("subtract", minuend=1, subtrahend=1))["result"] == 0


async def test_a_line_that_comes_byte_by_byte_is_read() -> None:
    async with serving() as served, await served.connect() as line:
        for byte in b'{"jsonrpc":"2.0","id":1,"method":"subtract","params":[2,1]}\n':
            line.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await line.receive())["result"] == 1


async def test_a_reader_that_never_reads_gets_20_000_notifications_and_harms_nobody() -> None:
    async with serving() as served, await served.connect() as slow, await served.connect() as quick:
        slow.reader._limit = 1  # type: ignore[attr-defined]  # and so the client's own loop takes nothing in, either
        slow.send("follow", 1)
        assert (await quick.call("follow"))["result"] is True
        await until(lambda: len(served.publisher._connections) == 2)
        got = 0
        for number in range(20_000):
            served.publisher.publish("fact", {"number": number, "more": "x" * 500})
            if number % 100 == 99:
                got += len([await quick.receive() for _ in range(100)])
        assert got == 20_000
        assert served.server._backlog.unsent_bytes < NOTES_MOST_BYTES + 2 * ROOM_BYTES
        assert served.server.notifications_dropped > 15_000
        await assert_well(served)


async def test_who_asks_and_never_reads_is_not_read_from_any_more() -> None:
    async with serving() as served, await served.connect() as line:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for number in range(200):
            line.send("large", number, size_bytes=100_000)
        backlog = served.server._backlog
        await until(lambda: backlog.unsent_bytes > ROOM_BYTES)
        await assert_well(served)
        for _ in range(100):
            await asyncio.sleep(0)
        assert backlog.unsent_bytes < ROOM_BYTES + (conversation.CALLS_MOST + 1) * 100_100


async def test_beyond_the_bound_of_all_unread_answers_the_greediest_is_cut_off() -> None:
    async with serving() as served, contextlib.AsyncExitStack() as stack:
        served.server._backlog._most_bytes = 3_000_000
        lines = [await stack.enter_async_context(await served.connect()) for _ in range(4)]
        for line in lines:
            line.writer.transport.pause_reading()  # type: ignore[attr-defined]
            for number in range(10):
                line.send("large", number, size_bytes=500_000)
        await until(lambda: served.server.connections < 4)
        await until(lambda: served.server._backlog.unsent_bytes <= 3_000_000)
        await assert_well(served)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Both ends of a thousand connections are in this process; a login shell often allows 1,024 open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard < 4096 else max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
async def test_a_thousand_connections_are_bounded_told_and_closed() -> None:
    async with serving() as served, contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(await served.connect()) for _ in range(1000)]
        await until(lambda: served.server.connections == CONNECTIONS_MOST_OF_ONE)
        answer = await lines[-1].receive()
        assert (answer["id"], answer["error"]["code"]) == (None, -32003)
        assert await lines[-1].reader.read() == b""
        assert (await lines[0].call("subtract", minuend=1, subtrahend=1))["result"] == 0
        await stack.aclose()
        await until(lambda: served.server.connections == 0)
        await assert_well(served)


async def test_under_a_flood_of_requests_others_are_answered() -> None:
    async with serving() as served, await served.connect() as line:
        flood = b'{"jsonrpc":"2.0","method":"update","params":["x"]}\n' * 5000 + b"nonsense\n" * 5000
        line.writer.write(flood)
        await assert_well(served)
        assert len(served.methods.noted) < 5000, "it was answered in the middle of the flood"
        for _ in range(5000):
            assert (await line.receive())["error"]["code"] == -32700
        assert len(served.methods.noted) == 5000


async def test_after_every_line_others_have_a_turn() -> None:
    async with serving() as served, await served.connect() as line:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(others())
        line.writer.write(b"nonsense\n" * 1000)
        for _ in range(1000):
            await line.receive()
        counting.cancel()
        assert turns >= 1000


async def test_connections_that_break_at_any_byte_leave_nothing_behind() -> None:
    request = b'[{"jsonrpc":"2.0","id":1,"method":"large","params":[70000]},{"jsonrpc":"2.0","id":2,"method":"follow"}]\n'
    async with serving() as served:
        for end in range(0, len(request) + 1, 3):
            async with await served.connect() as line:
                line.writer.write(request[:end])
                await asyncio.sleep(0)
        await until(lambda: served.server.connections == 0)
        assert not served.publisher.is_wanted("fact")
        assert (served.server._backlog.unsent_bytes, served.server._backlog._queues, served.publisher._connections) == (
            0,
            set(),
            {},
        )
        assert served.faults == []


async def test_open_files_and_tasks_are_given_back() -> None:
    async with serving() as served:
        await assert_well(served)
        await until(lambda: served.server.connections == 0)
        files, tasks = psutil.Process().num_fds(), len(asyncio.all_tasks())
        for _ in range(50):
            async with await served.connect() as line:
                await line.call("follow")
                line.send("wait", 2)
        await until(lambda: served.server.connections == 0)
        await asyncio.sleep(0.01)
        assert (psutil.Process().num_fds(), len(asyncio.all_tasks())) == (files, tasks)
        assert served.publisher._connections == {}


async def test_silent_peers_cost_no_time() -> None:
    """No timer is set for them, and the loop has nothing to do for them."""
    async with serving() as served, contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_MOST_OF_ONE - 1):
            await stack.enter_async_context(await served.connect())
        await assert_well(served)
        await until(lambda: served.server.connections == CONNECTIONS_MOST_OF_ONE - 1)
        await asyncio.sleep(0.01)
        loop: Any = asyncio.get_running_loop()
        assert [timer for timer in loop._scheduled if not timer.cancelled()] == []
        assert list(loop._ready) == []


LINES = st.lists(
    st.binary(max_size=60)
    | st.sampled_from([b'{"jsonrpc":"2.0","method":"broken"}', b"[]", b"[1]", b'{"jsonrpc":"2.0","id":1,"method":"sum"}']),
    max_size=20,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES, st.integers(1, 50))
async def test_no_garbage_in_any_pieces_stops_the_server(lines: list[bytes], piece: int) -> None:
    garbage = b"\n".join(lines) + b"\n"
    async with serving() as served, await served.connect() as line:
        for start in range(0, len(garbage), piece):
            line.writer.write(garbage[start : start + piece])
            await asyncio.sleep(0)
        line.writer.write_eof()
        async with asyncio.timeout(20):
            answers = [json.loads(each) async for each in line.reader]
        assert all(answer["jsonrpc"] == "2.0" for each in answers for answer in (each if isinstance(each, list) else [each]))
        await assert_well(served)


# --- the same on uvloop, which the daemon runs on


@contextlib.asynccontextmanager
async def calling(served: Served, name: str) -> AsyncIterator[Line]:
    async with await served.connect() as line:
        line.send("wait", 1, name=name)
        line.writer.write_eof()
        await until(lambda: served.methods.at_work == 1)
        yield line


async def story() -> None:
    async with serving() as served, await served.connect() as slow:
        await slow.call("follow")
        async with calling(served, "left"):
            pass
        await until(lambda: served.methods.ended == ["cancelled left"])
        for number in range(5000):
            served.publisher.publish("fact", {"number": number, "more": "x" * 500})
        assert served.server.notifications_dropped > 1000
        assert (await refused(served, b"x" * 3 * MEBIBYTE))["error"]["code"] == -32600
        await assert_well(served)
        async with calling(served, "kept") as line:
            stopping = asyncio.create_task(served.server.stop(limit_s=10))
            await until(lambda: not served.path.exists())
            served.methods.may_end.set()
            assert (await line.receive())["result"] == "kept"
            await stopping


def test_the_same_holds_on_uvloop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())
