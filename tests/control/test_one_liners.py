"""What people type: one line of JSON through socat or nc, as themselves or as somebody else."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import Any

import pytest

from tests.control.serving import Served, serving, until

NC = ("nc.openbsd", "-N", "-U")
SOCAT = ("socat", "-t", "20", "-")
TOOLS = [NC, SOCAT]

needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")


def command(tool: tuple[str, ...], served: Served) -> list[str]:
    if shutil.which(tool[0]) is None:
        pytest.skip(f"{tool[0]} is not installed")
    return [*tool, f"UNIX-CONNECT:{served.path}" if tool[0] == "socat" else str(served.path)]


async def piped(text: str, *argv: str) -> list[Any]:
    """`printf text | argv`, and what it prints, line by line."""
    child = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        out, _ = await child.communicate(text.encode())
    return [json.loads(line) for line in out.splitlines()]


@pytest.mark.parametrize("tool", TOOLS, ids=["nc", "socat"])
async def test_one_line_gets_its_answer(tool: tuple[str, ...]) -> None:
    async with serving() as served:
        answers = await piped(
            '{"jsonrpc":"2.0","id":1,"method":"subtract","params":{"minuend":5,"subtrahend":2}}\n', *command(tool, served)
        )
    assert answers == [{"jsonrpc": "2.0", "id": 1, "result": 3}]


@pytest.mark.parametrize("tool", TOOLS, ids=["nc", "socat"])
async def test_batches_and_notifications_go_through(tool: tuple[str, ...]) -> None:
    lines = (
        '{"jsonrpc":"2.0","method":"update","params":["x"]}\n'
        '[{"jsonrpc":"2.0","id":1,"method":"get_data"},{"jsonrpc":"2.0","method":"update","params":["y"]}]\n'
    )
    async with serving() as served:
        assert await piped(lines, *command(tool, served)) == [[{"jsonrpc": "2.0", "id": 1, "result": ["hello", 5]}]]
        assert served.methods.noted == ["x", "y"]


async def test_who_only_sends_is_heard() -> None:
    async with serving() as served:
        request = '{"jsonrpc":"2.0","method":"update","params":["sent"]}'
        assert await piped(request, *command(("socat", "-u", "-"), served)) == []
        await until(lambda: served.methods.noted == ["sent"])


@pytest.mark.parametrize("tool", TOOLS, ids=["nc", "socat"])
async def test_a_follower_prints_until_there_is_no_more(tool: tuple[str, ...]) -> None:
    async with serving() as served:
        following = asyncio.create_task(
            piped('{"jsonrpc":"2.0","id":1,"method":"follow","params":["job"]}\n', *command(tool, served))
        )
        await until(lambda: served.publisher.is_wanted("fact", "job"))
        served.publisher.publish("fact", "half", key="job")
        served.publisher.publish("fact", "done", key="job", last=True)
        told = [answer.get("params", answer.get("result")) for answer in await following]
        told.remove(True)  # the answer itself may come before or after the first notification
        assert told == ["half", "done"]


ALL_LEVELS = "".join(f'{{"jsonrpc":"2.0","id":"{method}","method":"{method}"}}\n' for method in ("whoami", "steer", "rule"))


async def levels(served: Served, *, uid: int, groups: str) -> dict[str, Any]:
    """What somebody else is answered; nothing where the socket does not let them in."""
    become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", *(["--clear-groups"] if not groups else [f"--groups={groups}"])]
    answers = await piped(ALL_LEVELS, *become, *command(NC, served))
    return {answer["id"]: answer.get("result") or answer["error"]["data"]["type"] for answer in answers}


@pytest.mark.root
@needs_root
async def test_a_foreign_user_may_look_only_where_the_mode_lets_it_in() -> None:
    async with serving(mode=0o660) as served:
        assert await levels(served, uid=65534, groups="") == {}
    async with serving(mode=0o666) as served:
        answers = await levels(served, uid=65534, groups="")
        assert (answers["steer"], answers["rule"]) == ("not_permitted", "not_permitted")
        assert answers["whoami"] == {"uid": 65534, "gid": 65534, "groups": [], "level": "LOOK"}


@pytest.mark.root
@needs_root
async def test_members_of_the_sockets_group_may_steer_but_not_rule() -> None:
    async with serving(mode=0o660, group="54321") as served:
        answers = await levels(served, uid=12345, groups="7,54321")
        assert (answers["steer"], answers["rule"]) == ("steered", "not_permitted")
        assert answers["whoami"] == {"uid": 12345, "gid": 12345, "groups": [7, 54321], "level": "STEER"}
        assert (await levels(served, uid=0, groups=""))["rule"] == "ruled"
