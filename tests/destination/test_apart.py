"""The helper process: it dies, it is killed with its owner, it tells its errors, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.destination.apart import process
from forged.destination.apart.hands import ApartHands
from forged.destination.apart.process import Helper
from forged.destination.desk import Desk
from forged.destination.posix import PosixDestination
from forged.kit.budget import Budget
from forged.model.errors import DestinationError, DestinationMissing, DiskFull, MarkerMissing
from forged.model.paths import home_path
from forged.model.target import HomePolicy
from forged.model.transfer import Landed, Wholeness
from tests.destination.places import budget, landing, pieces, pour, request, tree, unknown


def raises(fd: int, size_bytes: int, beginning: bytes) -> Wholeness:
    """A mistake of ours."""
    raise LookupError("a mistake of ours")


def dies(fd: int, size_bytes: int, beginning: bytes) -> Wholeness:
    """The machine runs out of memory in this moment."""
    if beginning.startswith(b"deadly"):
        os.kill(os.getpid(), signal.SIGKILL)
    return Wholeness.UNKNOWN


@pytest.fixture
async def helper() -> AsyncIterator[Helper]:
    made = Helper()
    yield made
    await made.aclose()


@pytest.fixture
def room() -> Budget:
    return budget()


Make = Callable[..., PosixDestination]


@pytest.fixture
async def make(helper: Helper, room: Budget, tmp_path: Path) -> AsyncIterator[Make]:
    """Destinations that one helper serves."""
    made: list[PosixDestination] = []

    def destination(name: str = "box", inspect: Callable[..., Wholeness] = unknown, min_free_bytes: int = 0) -> PosixDestination:
        hands = ApartHands(helper, HomePolicy(tmp_path / "home"), name, min_free_bytes, inspect)
        made.append(PosixDestination(hands, room.share(name)))
        return made[-1]

    yield destination
    for each in made:
        await each.aclose()


def pid_of(helper: Helper) -> int:
    assert helper._process is not None
    return helper._process.pid


async def brings(home: PosixDestination, name: bytes, data: bytes) -> bool:
    receipts = await pour(home, (name, data))
    return all(isinstance(answer, Landed) for answer in await home.land([landing(receipt) for receipt in receipts]))


# --- its death ------------------------------------------------------------------------------------------------------------


async def test_a_helper_that_dies_is_an_error_of_the_destination_and_comes_again(
    make: Make, helper: Helper, room: Budget, tmp_path: Path
) -> None:
    home, other = make(inspect=dies), make("other")
    known = (await home.ready(None)).id
    await other.ready(known)
    first = pid_of(helper)
    with pytest.raises(DestinationError, match="ended") as caught:
        await pour(home, (b"a.png", b"deadly"))
    assert caught.value.transient and "starts it again" in caught.value.hint
    assert room.held_bytes == 0
    with pytest.raises(DestinationError):
        await other.room_bytes()  # a helper has one life, whoever it dies for
    await home.ready(known)
    await other.ready(known)
    assert pid_of(helper) != first
    assert await brings(home, b"a.png", b"pixels") and await brings(other, b"b.png", b"more")
    await home.sweep(())
    assert tree(tmp_path / "home") == {"a.png": b"pixels", "b.png": b"more"}


async def test_before_it_was_made_ready_again_nothing_is_done(make: Make, helper: Helper) -> None:
    home = make()
    with pytest.raises(DestinationError):
        await home.room_bytes()
    await home.ready(None)
    os.kill(pid_of(helper), signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(DestinationError):
            await home.room_bytes()


async def test_a_sink_of_a_dead_helper_ends_well(make: Make, helper: Helper, room: Budget) -> None:
    home = make()
    known = (await home.ready(None)).id
    async with aclosing(home.sink()) as sink:
        await sink.reserve(6)
        os.kill(pid_of(helper), signal.SIGKILL)
        with pytest.raises(DestinationError):
            await sink.write(pieces(request(b"a.png", b"pixels"), b"pixels"))
        with pytest.raises(DestinationError):
            await sink.reserve(1)
        await home.ready(known)
        assert await home.hash(home_path(b"a.png")) is None
    assert room.held_bytes == 0


async def test_what_was_begun_at_a_dead_helper_does_not_go_on_at_the_next_one(
    make: Make, helper: Helper, room: Budget, tmp_path: Path
) -> None:
    """Else the pieces before would be missing for ever, and so would the answer."""
    home = make()
    known = (await home.ready(None)).id
    first, last = pieces(request(b"a.png", b"pixels"), b"pixels", 3)
    async with aclosing(home.sink()) as sink:
        await sink.reserve(len(b"pixels"))
        assert await sink.write([first]) == []
        os.kill(pid_of(helper), signal.SIGKILL)
        with pytest.raises(DestinationError):
            await home.room_bytes()
        await home.ready(known)  # for somebody else
        async with aclosing(home.sink()) as other:
            with pytest.raises(DestinationError, match="let go of"):
                await sink.write([last])
            await sink.aclose()
            await other.reserve(len(b"pixels"))
            assert await other.write([first, last])
    assert tree(tmp_path / "home").keys() == {f".forged/staging/box/{first.request.staging}.part"}
    assert room.held_bytes == 0


async def test_it_ends_when_what_was_begun_is_finished(make: Make, tmp_path: Path) -> None:
    """Else another one at the same place would find files that get their names beside it."""
    home = make()
    await home.ready(None)
    receipts = await pour(home, *((b"%03d.png" % number, b"pixels") for number in range(500)))
    landings = asyncio.create_task(home.land([landing(receipt) for receipt in receipts]))
    await asyncio.sleep(0)
    landings.cancel()
    await home.aclose()
    assert len(tree(tmp_path / "home")) == 500 and not list((tmp_path / "home" / ".forged" / "staging" / "box").iterdir())


async def test_an_opening_that_is_cancelled_leaves_no_socket(make: Make, helper: Helper) -> None:
    await make().ready(None)
    before = sockets(pid_of(helper))
    for ticks in range(12):
        other = make("other")
        opening = asyncio.create_task(other.ready(None))
        for _ in range(ticks):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        await other.aclose()
    deadline_s = time.monotonic() + 10
    while sockets(pid_of(helper)) > before and time.monotonic() < deadline_s:
        await asyncio.sleep(0.01)
    assert sockets(pid_of(helper)) == before


def sockets(pid: int) -> int:
    """How many are open."""
    return sum(os.readlink(fd).startswith("socket:") for fd in Path(f"/proc/{pid}/fd").iterdir())


async def test_a_mistake_of_ours_stops_who_asked_and_nobody_else(make: Make, helper: Helper) -> None:
    home, other = make(inspect=raises), make("other")
    known = (await home.ready(None)).id
    await other.ready(known)
    pid = pid_of(helper)
    with pytest.raises(DestinationError, match="ended"):
        await pour(home, (b"a.png", b"pixels"))
    assert await brings(other, b"b.png", b"pixels")
    await home.ready(known)
    assert await home.look([home_path(b"b.png")]) != [None]
    assert pid_of(helper) == pid


async def test_no_helper_can_be_started(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(DestinationError, match="no process can be started"):
        await make().ready(None)


# --- what crosses -----------------------------------------------------------------------------------------------------------


async def test_errors_keep_their_kind_their_words_and_their_hint(make: Make, tmp_path: Path) -> None:
    full, home = make(min_free_bytes=1 << 60), make()
    with pytest.raises(DiskFull, match="min_free") as caught:
        await full.ready(None)
    assert caught.value.hint == DiskFull.default_hint
    assert caught.value.free_bytes is not None  # the number crosses as well
    await home.ready(None)
    (tmp_path / "home/.forged/id").unlink()
    with pytest.raises(MarkerMissing):
        await home.room_bytes()
    hands = make("third")._hands
    await hands.open()
    with pytest.raises(DestinationMissing, match="not looked at yet"):
        await hands.landing(Desk.room_bytes)


@pytest.mark.parametrize("arena_bytes", [4096, 1 << 20])
async def test_bytes_that_find_no_room_in_shared_memory_come_all_the_same(
    arena_bytes: int, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "ARENA_BYTES", arena_bytes)
    home = make()
    await home.ready(None)
    large = os.urandom(300_000)
    async with aclosing(home.sink()) as sink:
        await sink.reserve(len(large) + sum(999 * len(b"%d" % n) for n in range(50)))
        wanted = request(b"large", large)
        asked = [asyncio.create_task(sink.write([piece])) for piece in pieces(wanted, large, 10_000)]
        asked += [asyncio.create_task(sink.write(pieces(request(b"%d" % n, b"%d" % n * 999), b"%d" % n * 999))) for n in range(50)]
        await asyncio.gather(*asked)
    staged = {path.name: path.read_bytes() for path in (tmp_path / "home/.forged/staging/box").iterdir()}
    assert staged[f"{wanted.staging}.part"] == large
    assert sorted(data for name, data in staged.items() if name != f"{wanted.staging}.part") == sorted(
        b"%d" % n * 999 for n in range(50)
    )


async def test_shared_memory_is_given_back(make: Make, helper: Helper) -> None:
    home = make()
    await home.ready(None)
    assert helper.arena is not None
    free_bytes = helper.arena.free_bytes
    for _ in range(3):
        await pour(home, (b"a", os.urandom(3_000_000)), (b"b", b""))
    assert helper.arena.free_bytes == free_bytes == process.ARENA_BYTES


# --- its end ----------------------------------------------------------------------------------------------------------------


async def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    before, helper = set(os.listdir("/proc/self/fd")), Helper()
    home = PosixDestination(ApartHands(helper, HomePolicy(tmp_path / "home"), "box", 0, unknown), budget().share("box"))
    await home.ready(None)
    pid = pid_of(helper)
    await brings(home, b"a", b"a")
    await home.aclose()
    await helper.aclose()
    await asyncio.sleep(0)
    assert not os.path.exists(f"/proc/{pid}")
    assert set(os.listdir("/proc/self/fd")) - before == set()


async def test_a_desk_whose_target_is_gone_is_gone(make: Make, helper: Helper) -> None:
    home = make()
    await home.ready(None)
    threads = len(os.listdir(f"/proc/{pid_of(helper)}/task"))
    for _ in range(5):
        another = make("another")
        await another.ready(None)
        await another.aclose()
    for _ in range(200):
        if len(os.listdir(f"/proc/{pid_of(helper)}/task")) == threads:
            break
        await asyncio.sleep(0.05)
    assert len(os.listdir(f"/proc/{pid_of(helper)}/task")) == threads


async def test_signals_for_the_daemon_are_not_for_it(make: Make, helper: Helper) -> None:
    """Ctrl-C goes to all of a terminal, and systemd's SIGTERM to all of a unit; what is under way must still be ended."""
    home = make()
    await home.ready(None)
    pid = pid_of(helper)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert await brings(home, b"a", b"a")
    assert pid_of(helper) == pid


OWNER = """
import asyncio, sys, pathlib
from forged.destination.apart.process import Helper
from forged.destination.apart.hands import ApartHands
from forged.destination.posix import PosixDestination
from forged.kit.budget import Unbounded
from forged.model.target import HomePolicy
from tests.destination.places import unknown

async def main():
    helper = Helper()
    home = PosixDestination(ApartHands(helper, HomePolicy(pathlib.Path(sys.argv[1])), "box", 0, unknown), Unbounded())
    await home.ready(None)
    print(helper._process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_it_does_not_outlive_its_owner(tmp_path: Path) -> None:
    """Or it would go on writing beside the next daemon."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, tmp_path / "home"], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert os.path.exists(f"/proc/{pid}")
    owner.kill()
    owner.wait()
    owner.stdout.close()
    deadline_s = time.monotonic() + 20
    while _lives(pid) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not _lives(pid)


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
