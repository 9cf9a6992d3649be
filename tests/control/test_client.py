"""forgectl's client: light, exact about what went wrong, and at home with notifications."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from forged.control.client import RUN_SOCKET, CallFailed, Client, NoAnswer, NoDaemon, NoPermission, Notification, reach, sockets
from tests.control.serving import Served, serving, until

T = TypeVar("T")


async def asked(served: Served, question: Callable[[Client], T]) -> T:
    """Lets a client ask in a thread, as it would in a program of its own."""

    def ask() -> T:
        with Client(str(served.path), timeout_s=20) as client:
            return question(client)

    return await asyncio.to_thread(ask)


def test_importing_it_loads_neither_asyncio_nor_pydantic() -> None:
    program = (
        "import sys, forged.control.client; print(*sorted({'asyncio', 'pydantic', 'pydantic_core', 'inspect'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


async def test_a_call_gives_its_result_however_long() -> None:
    async with serving() as served:
        assert await asked(served, lambda client: client.call("subtract", minuend=3, subtrahend=1)) == 2
        assert len(await asked(served, lambda client: client.call("large", size_bytes=1_000_000))) == 1_000_000
        assert await asked(served, lambda client: [client.call("subtract", minuend=n, subtrahend=0) for n in range(50)]) == list(
            range(50)
        )


async def test_an_error_keeps_its_code_message_hint_and_type() -> None:
    async with serving() as served:
        with pytest.raises(CallFailed) as caught:
            await asked(served, lambda client: client.call("changed"))
        error = caught.value
        assert (error.code, error.type) == (-32000, "host_key_changed")
        assert error.message.startswith("The source's host key has changed")
        assert "forgectl trust" in error.hint


async def test_a_huge_question_is_told_why_it_failed() -> None:
    async with serving() as served:
        with pytest.raises(CallFailed) as caught:
            await asked(served, lambda client: client.call("update", text="x" * (5 << 20)))
        assert "1 MiB" in caught.value.hint


async def test_notifications_come_while_waiting_and_after() -> None:
    def follow(client: Client) -> list[Notification]:
        client.call("follow")
        client.call("wait")  # three come meanwhile, before the answer
        notifications = client.notifications()
        return [next(notifications) for _ in range(5)]

    async with serving() as served:
        following = asyncio.create_task(asked(served, follow))
        await until(lambda: served.methods.at_work == 1)
        for number in range(3):
            served.publisher.publish("fact", number)
        served.methods.may_end.set()
        await until(lambda: served.methods.ended)
        for number in range(3, 5):
            served.publisher.publish("fact", number)
        assert await following == [("fact", number) for number in range(5)]


async def test_the_end_of_the_daemon_is_told() -> None:
    async with serving() as served:
        following = asyncio.create_task(asked(served, lambda client: (client.call("follow"), list(client.notifications()))))
        await until(lambda: served.publisher.is_wanted("fact"))
        await served.server.stop(limit_s=5)
        with pytest.raises(NoDaemon, match="closed the connection"):
            await following


def test_no_socket_and_a_dead_one_are_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon, match="does not exist"):
        Client(str(tmp_path / "forged.sock"))
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(NoDaemon, match="Connection refused"):
        Client(str(path))
    with pytest.raises(NoDaemon, match="path too long"):
        Client(str(tmp_path / ("x" * 200)))


def test_a_daemon_that_accepts_or_answers_nothing_is_no_answer(tmp_path: Path) -> None:
    path = str(tmp_path / "stuck.sock")
    with socket.socket(socket.AF_UNIX) as stuck:
        stuck.bind(path)
        stuck.listen(0)
        with Client(path, timeout_s=0.01) as client:
            with pytest.raises(NoAnswer, match=r"for 0\.01 s"):
                client.call("status")
            with pytest.raises(NoAnswer, match="accepts no connection"):
                Client(path, timeout_s=0.01)


def test_a_full_queue_of_connections_is_waited_for(tmp_path: Path) -> None:
    """Somebody else's flood of connections fills it for a moment; that is no reason to say that the daemon does not answer."""
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as stack:
        server.bind(path)
        server.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                flood = stack.enter_context(socket.socket(socket.AF_UNIX))
                flood.setblocking(False)
                flood.connect(path)
        let_in = threading.Timer(0.3, lambda: stack.enter_context(server.accept()[0]))
        let_in.start()
        Client(path, timeout_s=20).close()
        let_in.join()


def test_an_answer_in_pieces_is_put_together(tmp_path: Path) -> None:
    path = str(tmp_path / "slow.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                for byte in b'{"method":"fact","params":1}\n{"jsonrpc":"2.0","id":1,"result":"\xc3\xa9"}\n':
                    connection.send(bytes([byte]))

        thread = threading.Thread(target=serve)
        thread.start()
        with Client(path, timeout_s=20) as client:
            assert client.call("anything") == "é"
            assert next(client.notifications()) == Notification("fact", 1)
        thread.join()


@pytest.mark.root
@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
async def test_a_foreign_user_is_told_that_it_may_not() -> None:
    program = """
import os, sys
from forged.control.client import Client, NoPermission
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    Client(sys.argv[1])
except NoPermission as e:
    print(e.hint)
"""
    async with serving(mode=0o660) as served:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, str(served.path), stdout=asyncio.subprocess.PIPE
        )
        told, _ = await child.communicate()
    assert told.decode().strip() == NoPermission.default_hint


def test_the_socket_is_looked_for_in_this_order(tmp_path: Path) -> None:
    env = {"FORGED_SOCKET": "/from/env", "XDG_RUNTIME_DIR": "/run/user/1"}
    own = "/run/user/1/forged/forged.sock"
    assert sockets("/given", env) == ("/given",)
    assert sockets(None, env) == ("/from/env",)
    assert sockets(None, {**env, "FORGED_SOCKET": ""}) == (own, RUN_SOCKET)
    assert sockets(None, {}) == (RUN_SOCKET,)


async def test_a_socket_that_a_dead_daemon_left_is_passed_over(tmp_path: Path) -> None:
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left))

    def asked(*paths: Path) -> str:
        with reach([str(path) for path in paths]) as client:
            return str(client.call("rpc.discover")["openrpc"])

    async with serving() as served:
        assert await asyncio.to_thread(asked, tmp_path / "none", left, served.path)
    with pytest.raises(NoDaemon, match=f"on {tmp_path}/none or on {left}"):
        reach((str(tmp_path / "none"), str(left)))
