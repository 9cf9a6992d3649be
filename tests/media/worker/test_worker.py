"""Real workers: they keep the contract, die in every way, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from forged.media.base import Found, Opened, Wanted
from forged.media.worker.examiner import WorkerExaminer
from forged.media.worker.limits import Limits
from forged.model.errors import WorkerMissing
from tests.media.contract import ExaminerContract, Open

LOOKER = "tests.media.worker.lookers:look"
QUICK = Limits(wall_s=2, cpu_s=1)

Make = Callable[..., WorkerExaminer]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[WorkerExaminer] = []

    def examiner(workers: int = 1, looker: str = LOOKER, limits: Limits = QUICK) -> WorkerExaminer:
        made.append(WorkerExaminer(workers, looker, limits))
        return made[-1]

    before = descriptors()
    yield examiner
    for each in made:
        await each.aclose()
    ends_s = time.monotonic() + 20  # a killed process may take its time on a busy machine; aclose does not wait for ever
    while children() and time.monotonic() < ends_s:
        await asyncio.sleep(0.05)
    assert children() == []
    assert descriptors() <= before + 1  # the loop's own, the first time


_OTHERS: frozenset[int] = frozenset()


@pytest.fixture(autouse=True)
def _nobody_elses() -> Iterator[None]:
    """Tests of other rooms in this process may have children that live on. (A patch of its own: a test may undo its own ones.)"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}._OTHERS", frozenset(child.pid for child in psutil.Process().children()))
        yield


def children() -> list[int]:
    """Of this process, zombies included."""
    return [child.pid for child in psutil.Process().children() if child.pid not in _OTHERS]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def read(examiner: WorkerExaminer, file: Opened, wanted: Wanted | None = None) -> Found:
    return await examiner.examine(file, (), wanted or Wanted())


async def insisting(examiner: WorkerExaminer, file: Opened) -> Found:
    """As the daemon does: a file whose worker did not start waits for the next one."""
    while True:
        try:
            return await read(examiner, file)
        except WorkerMissing:
            continue


@pytest.fixture
async def examiner(make: Make) -> WorkerExaminer:
    return make()


class TestOneWorker(ExaminerContract):
    pass


class TestThreeWorkers(ExaminerContract):
    @pytest.fixture
    async def examiner(self, make: Make) -> WorkerExaminer:
        return make(3)


# --- ways to die ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("deed", "words"),
    [
        (b"crash", "ended by SIGSEGV"),
        (b"hang", "took more than 2 s"),
        (b"stop", "took more than 2 s"),
        (b"bloat", "ended by SIGABRT"),
        (b"rubbish", "rubbish"),
        (b"flood", "rubbish"),
        (b"leave", "ended by itself (status 7)"),
    ],
)
async def test_each_way_to_die_has_its_words(examiner: WorkerExaminer, fresh: Open, deed: bytes, words: str) -> None:
    await read(examiner, fresh("first.png", b"a dog"))  # what follows is asked of a worker that idles
    found = await read(examiner, fresh("bad.png", deed))
    assert len(found.info.problems) == 1 and words in found.info.problems[0]
    assert (await read(examiner, fresh("good.png", b"a cat"))).info.problems == ()


async def test_time_of_the_processor_is_bounded_for_each_file(make: Make, fresh: Open) -> None:
    examiner = make(limits=Limits(wall_s=60, cpu_s=1))
    for _ in range(2):
        found = await read(examiner, fresh("bad.png", b"picture spin"), Wanted(thumbnail=True))
        assert "more time of the processor" in found.info.problems[0] and found.info.generation is not None


async def test_a_worker_that_has_little_of_the_processor_is_waited_for(make: Make, fresh: Open) -> None:
    found = await read(make(limits=Limits(wall_s=0.5, cpu_s=20)), fresh("slow.png", b"crawl"))
    assert found.info.problems == ()


async def test_and_yet_not_for_ever(make: Make, fresh: Open) -> None:
    examiner = make(limits=Limits(wall_s=0.5, busy_wall_s=1, cpu_s=20))
    found = await read(examiner, fresh("slow.png", b"crawl"))
    assert found.info.problems == ("the process that read it took more than 1 s and was ended",)


@pytest.mark.parametrize("deed", [b"crash", b"stop"])
async def test_a_picture_that_kills_its_decoder_does_not_cost_the_prompt(
    examiner: WorkerExaminer,
    fresh: Open,
    deed: bytes,
) -> None:
    found = await read(examiner, fresh("bad.png", b"picture " + deed), Wanted(thumbnail=True))
    assert found.info.generation is not None and found.info.generation.prompt == "picture " + deed.decode()
    assert len(found.info.problems) == 1 and found.thumbnail is None


async def test_what_a_library_prints_is_no_answer(examiner: WorkerExaminer, fresh: Open) -> None:
    assert (await read(examiner, fresh("a.png", b"print"))).info.problems == ()


async def test_an_answer_too_large_says_so(make: Make, fresh: Open) -> None:
    examiner = make(limits=Limits(answer_bytes=100_000))
    assert (await read(examiner, fresh("a.png", b"large 90000"))).info.problems == ()
    found = await read(examiner, fresh("b.png", b"large 110000"))
    assert "too much" in found.info.problems[0] and found.info.raw == ()


async def test_an_answer_that_is_no_text_says_so(examiner: WorkerExaminer, fresh: Open) -> None:
    assert (await read(examiner, fresh("a.png", b"surrogate"))).info.problems == ("what was read of it is no text",)


async def test_an_answer_with_a_number_that_none_can_carry_says_so(examiner: WorkerExaminer, fresh: Open) -> None:
    pid = (await read(examiner, fresh("a.png", b"pid"))).info.raw[0].text
    assert (await read(examiner, fresh("a.png", b"number"))).info.problems == ("what was read of it is no number that can be told",)
    assert (await read(examiner, fresh("a.png", b"pid"))).info.raw[0].text == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV])
async def test_killed_at_any_moment_every_file_has_its_own_answer(make: Make, fresh: Open, number: int) -> None:
    examiner = make(2, limits=Limits(wall_s=0.5, start_s=2))
    files = [fresh(f"{n}.png", f"cat {n}".encode()) for n in range(300)]
    tasks = [asyncio.create_task(insisting(examiner, file)) for file in files]
    for _ in range(6):
        await asyncio.sleep(0.11)
        for pid in examiner.pids:
            os.kill(pid, number)
    found = await asyncio.gather(*tasks)
    for n, each in enumerate(found):
        assert each.info.problems or (each.info.generation is not None and each.info.generation.prompt == f"cat {n}")


def pauses(pids: Sequence[int]) -> bool:
    """Whether the worker has come as far as the deed `pause`: before that it is being started, and reads no file."""
    try:
        return "nanosleep" in Path(f"/proc/{pids[0]}/wchan").read_text()
    except (IndexError, OSError):
        return False


async def test_a_worker_that_somebody_kills_costs_its_file_nothing_the_first_time(make: Make, fresh: Open) -> None:
    """As the kernel does when memory is short, whoever took it: the picture is not to blame yet."""
    examiner = make()
    await read(examiner, fresh("first.png", b"a dog"))
    for kills, problems in ((1, ()), (2, ("the process that read it was ended by SIGKILL",))):
        task = asyncio.create_task(read(examiner, fresh(f"{kills}.png", b"picture pause"), Wanted(thumbnail=True)))
        for _ in range(kills):
            while not pauses(examiner.pids):
                await asyncio.sleep(0.02)
            os.kill(examiner.pids[0], signal.SIGKILL)
        found = await task
        assert found.info.problems == problems and (found.thumbnail is not None) == (kills == 1)


async def test_one_of_a_thousand_crashes(make: Make, fresh: Open) -> None:
    examiner = make(2, limits=Limits(files=150))
    shared = fresh("good.png", b"a cat")
    bad = fresh("bad.png", b"crash")
    found = await asyncio.gather(*(read(examiner, bad if n == 500 else shared) for n in range(1000)))
    assert [n for n, each in enumerate(found) if each.info.problems] == [500]
    assert all(each.info.generation is not None for n, each in enumerate(found) if n != 500)
    assert len(children()) <= 2 + 1  # one may be about to end


# --- starts and ends ------------------------------------------------------------------------------------------------------


async def pid(examiner: WorkerExaminer, fresh: Open, wait_s: float = 0) -> str:
    await asyncio.sleep(wait_s)
    return (await read(examiner, fresh("pid.png", b"pid "))).info.raw[0].text


async def test_a_worker_starts_when_it_is_needed_and_ends_when_it_idles(make: Make, fresh: Open) -> None:
    examiner = make(limits=Limits(idle_s=0.2))
    assert children() == []
    first = await pid(examiner, fresh)
    assert children() == [int(first)]
    while children():
        await asyncio.sleep(0.05)
    assert await pid(examiner, fresh) != first


async def test_after_so_many_files_a_fresh_one_takes_its_place(make: Make, fresh: Open) -> None:
    examiner = make(limits=Limits(files=3))
    pids = [await pid(examiner, fresh) for _ in range(7)]
    assert [pids.count(each) for each in dict.fromkeys(pids)] == [3, 3, 1]


async def test_the_number_of_workers_can_change(make: Make, fresh: Open) -> None:
    examiner = make(1)
    files = [fresh(f"{n}.png", f"cat {n}".encode()) for n in range(400)]
    tasks = [asyncio.create_task(read(examiner, file)) for file in files]
    await asyncio.sleep(0)
    assert len(children()) == 1
    examiner.resize(3)
    assert len(children()) == 3
    examiner.resize(1)
    found = await asyncio.gather(*tasks)
    assert [each.info.raw[0].text for each in found] == [f"cat {n}" for n in range(400)]
    while len(children()) > 1:
        await asyncio.sleep(0.02)


async def test_where_no_worker_starts_nobody_blames_a_file(make: Make, fresh: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkerMissing, match="status 1"):
        await read(make(looker="tests.media.worker.lookers:missing"), fresh("a.png", b"a cat"))
    examiner = make()
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(WorkerMissing, match="No such file"):
        await read(examiner, fresh("b.png", b"a cat"))
    monkeypatch.undo()
    assert (await read(examiner, fresh("c.png", b"a cat"))).info.problems == ()


async def test_a_file_that_was_closed_meanwhile_is_never_another_one(make: Make, tmp_path: Path) -> None:
    """A cancelled caller closes its descriptor, and the number is given to the next file at once."""
    examiner = make()
    (tmp_path / "wrong").write_bytes(b"wrong")
    (tmp_path / "right").write_bytes(b"right")
    for _ in range(50):
        wrong = os.open(tmp_path / "wrong", os.O_RDONLY)
        tasks = [asyncio.create_task(read(examiner, Opened("wrong", wrong, 5))) for _ in range(5)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        os.close(wrong)
        right = os.open(tmp_path / "right", os.O_RDONLY)
        assert right == wrong
        assert (await read(examiner, Opened("right", right, 5))).info.raw[0].text == "right"
        os.close(right)


async def test_descriptors_and_processes_stay_few_over_thousands_of_files(make: Make, fresh: Open) -> None:
    examiner = make(2, limits=Limits(files=200))
    file, bad = fresh("a.png", b"a cat"), fresh("bad.png", b"leave")
    await read(examiner, file)
    before = descriptors()
    for n in range(20):
        await asyncio.gather(*(read(examiner, file) for _ in range(100)), read(examiner, bad if n % 5 == 0 else file))
        assert descriptors() <= before + 8 and len(children()) <= 6
    worker = psutil.Process(examiner.pids[0])
    assert worker.num_fds() <= 8


OWNER = """
import asyncio, os, sys
from forged.media.base import Opened, Wanted
from forged.media.worker.examiner import WorkerExaminer
async def main():
    examiner = WorkerExaminer(2, "tests.media.worker.lookers:look")
    good, hang = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_RDONLY)
    tasks = [asyncio.create_task(examiner.examine(Opened("h", hang, 4), (), Wanted()))]
    await examiner.examine(Opened("g", good, 5), (), Wanted())
    print(*examiner.pids, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_killed_the_daemon_takes_its_workers_along(tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"a cat")
    (tmp_path / "hang").write_bytes(b"hang")
    command = [sys.executable, "-c", OWNER, str(tmp_path / "good"), str(tmp_path / "hang")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2 and all(psutil.pid_exists(pid) for pid in pids)
        workers = [psutil.Process(pid) for pid in pids]
        owner.kill()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert [each.pid for each in alive if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
