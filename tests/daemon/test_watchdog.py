"""A task that stands still starves systemd's watchdog, and is named; one that moves again is told once."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import cast

import pytest

from forged.daemon.freespace import FreeSpace
from forged.daemon.main import _Daemon as Life
from forged.daemon.reload import Reloader
from forged.daemon.watchdog import HINT, STANDS_STILL, STILL_S, Watchdog
from forged.kit.clock import HandClock
from forged.kit.notify import Notifier
from forged.kit.signs import Alive
from tests.daemon.grounds import Heard, config, grounds, target
from tests.support.virtual import LoopClock, virtual


class Systemd:
    """What it heard since it was asked last."""

    def __init__(self) -> None:
        self.name = f"@forged-test-{uuid.uuid4()}"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + self.name[1:])

    def heard(self) -> list[str]:
        told = []
        while True:
            try:
                told.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return told


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    made = Systemd()
    yield made
    made.socket.close()


def notifier(systemd: Systemd, watchdog_s: float) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": systemd.name, "WATCHDOG_USEC": str(round(watchdog_s * 1e6))})


@virtual
async def test_one_task_that_stands_still_starves_it_and_is_named_with_the_place_where_it_stands(systemd: Systemd) -> None:
    heard = Heard()
    notify = notifier(systemd, 60)
    watchdog = Watchdog(notify, LoopClock(), heard)
    told: list[str] = []
    asyncio.get_running_loop().add_reader(systemd.socket, lambda: told.extend(systemd.heard()))

    async def moves() -> None:
        alive = watchdog.sign_of("moves")
        while True:
            alive()
            await asyncio.sleep(60)

    async def hangs() -> None:
        alive = watchdog.sign_of("hangs")
        alive()
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(moves(), name="moves"), asyncio.create_task(hangs(), name="hangs")]
    tasks.append(asyncio.create_task(watchdog.keep_telling(lambda: "1 target, all well")))
    await asyncio.sleep(STILL_S - 1)
    assert told[:2] == ["WATCHDOG=1", "STATUS=1 target, all well"]
    assert told.count("WATCHDOG=1") == STILL_S / 10
    told.clear()
    await asyncio.sleep(3 * 60)
    assert "WATCHDOG=1" not in told[4:]  # right at the end of its patience it may still be told once
    assert told[-1] == "STATUS=hangs has stood still for 7 min 50 s; 1 target, all well"
    (problem,) = watchdog.conditions.problems
    assert problem.kind == STANDS_STILL
    assert "hangs has stood still" in problem.message
    assert "test_watchdog.py:" in problem.message and "hangs >" in problem.message
    assert problem.hint == HINT
    assert len(heard.said) == 1, "it is logged once"
    for task in tasks:
        task.cancel()
    asyncio.get_running_loop().remove_reader(systemd.socket)
    notify.close()


async def test_one_that_moves_again_is_told_once_and_the_watchdog_lives(systemd: Systemd) -> None:
    clock, heard, notify = HandClock(), Heard(), notifier(systemd, 60)
    watchdog = Watchdog(notify, clock, heard)
    alive = watchdog.sign_of("slow")
    clock.advance(STILL_S + 1)
    watchdog.tell("all well")
    assert systemd.heard() == ["STATUS=slow has stood still for 5 min 1 s; all well"]
    alive()
    watchdog.tell("all well")
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=all well"]
    assert watchdog.conditions.problems == ()
    assert len(heard.said) == 2
    notify.close()


@virtual
async def test_each_of_forgeds_own_tasks_gives_signs_for_as_long_as_it_is_well() -> None:
    """One that is well and forgets to would have a healthy daemon aborted. (That which prunes events: test_couriers.)"""
    async with grounds(target()) as world:
        life = Life(lambda: config(), {}, Path("/"))
        works: dict[str, Callable[[Alive], Coroutine[None, None, None]]] = {
            "telling progress": world.jobs.keep_telling,
            "watching for alarms": world.watchman.watch,
            "looking for exiftool": world.enriching.watch,
            "asking what is free": FreeSpace(world.fleet, world.clock).watch,
            "reloading": lambda alive: life._keep_reloading(cast("Reloader", None), world.heard, alive),  # there is no SIGHUP
        }
        watchdog = Watchdog(Notifier({}), LoopClock(), world.heard)
        tasks = [asyncio.create_task(work(watchdog.sign_of(name)), name=name) for name, work in works.items()]
        await asyncio.sleep(10 * STILL_S)
        watchdog.tell("")
        assert watchdog.conditions.problems == ()
        for task in tasks:
            task.cancel()
