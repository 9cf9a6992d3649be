"""Real pictures and films, damaged in every way, in a real worker: each has an answer, and the worker goes on."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from forged.media.base import Wanted
from forged.media.looker import LOOKER
from forged.media.worker.examiner import WorkerExaminer
from tests.media.contract import Open
from tests.media.pictures.drawing import drawn, file_of, saved
from tests.media.pictures.test_films import filmed
from tests.media.pictures.test_pictures import bomb
from tests.media.test_samples import FILES, SAMPLES

ALL = Wanted(thumbnail=True, likeness=True)

CAMPAIGN_S = 600

FORMS = ("PNG", "JPEG", "WEBP", "GIF", "AVIF")


@pytest.fixture
async def examiner() -> AsyncIterator[WorkerExaminer]:
    made = WorkerExaminer(1, "tests.media.worker.standin:look")
    yield made
    await made.aclose()


def samples() -> dict[str, bytes]:
    frames = [drawn(seed, (96, 64)) for seed in range(4)]
    stills = {form: saved(drawn(1, (160, 120)), form) for form in FORMS}
    moving = {f"moving {form}": saved(frames[0], form, save_all=True, append_images=frames[1:]) for form in ("PNG", "WEBP", "GIF")}
    return {**stills, **moving, "mp4": filmed(frames * 4), "webm": filmed(frames * 4, "webm", "libvpx-vp9")}


def real() -> list[bytes]:
    """Files of the wild, where there are any."""
    return [data for sample in FILES if (data := (SAMPLES / sample["file"]).read_bytes())]


def mutated(data: bytes, dice: random.Random) -> bytes:
    """Bits turned, bytes put in, taken out, repeated, and numbers made huge."""
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        at = dice.randrange(max(len(changed) // dice.choice((1, 1, 8)), 1)) if changed else 0
        match dice.randrange(5):
            case 0 if changed:
                changed[at] ^= 1 << dice.randrange(8)
            case 1:
                changed[at:at] = dice.randbytes(dice.randrange(1, 9))
            case 2:
                del changed[at : at + dice.randrange(1, 9)]
            case 3:
                changed[at : at + 4] = dice.choice((b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"))
            case _:
                changed[at:at] = changed[at : at + dice.randrange(1, 200)]
    return bytes(changed)


async def answered(examiner: WorkerExaminer, data: bytes) -> tuple[str, ...]:
    """Its problems."""
    with file_of(data) as file:
        found = await examiner.examine(file, (), ALL)
    assert found.thumbnail is None or found.thumbnail.startswith(b"RIFF")
    assert all(len(problem) < 600 for problem in found.info.problems)
    return found.info.problems


async def test_cut_at_twenty_places(examiner: WorkerExaminer) -> None:
    for whole in samples().values():
        for part in range(20):
            await answered(examiner, whole[: len(whole) * part // 20])
    with file_of(saved(drawn(1), "PNG")) as file:
        assert (await examiner.examine(file, (), ALL)).info.problems == ()


async def test_mutations(examiner: WorkerExaminer) -> None:
    dice = random.Random(7)
    for whole in samples().values():
        await asyncio.gather(*(answered(examiner, mutated(whole, dice)) for _ in range(15)))


@pytest.mark.campaign
@pytest.mark.timeout(CAMPAIGN_S + 120)
async def test_many_mutations() -> None:
    """Ten minutes of it, of all that is looked into and by all that looks; prints what it saw."""
    examiner = WorkerExaminer(1, LOOKER)
    seed = random.randrange(1 << 32)
    dice, known, count, most_bytes, slowest_s = random.Random(seed), [*samples().values(), *real()], 0, 0, 0.0
    pids: set[int] = set()
    kinds: Counter[str] = Counter()
    end_s = time.monotonic() + CAMPAIGN_S
    while time.monotonic() < end_s:
        whole = dice.choice(known)
        began_s, changed = time.monotonic(), mutated(whole, dice)
        problems = await answered(examiner, changed)
        slowest_s = max(slowest_s, time.monotonic() - began_s)
        kinds.update({kind_of(problem) for problem in problems})
        if any("the process that read it" in problem or " at " in problem for problem in problems):
            kept = Path(tempfile.mkdtemp(prefix="forged-mutant-")) / "it"
            kept.write_bytes(changed)
            print(kept, problems)
        count += 1
        pids |= set(examiner.pids)
        most_bytes = max(most_bytes, *(psutil.Process(pid).memory_info().rss for pid in examiner.pids), 0)
    await examiner.aclose()
    print(f"seed {seed}: {count} files, {len(pids)} workers, slowest {slowest_s:.2f} s, at most {most_bytes >> 20} MiB")
    print("\n".join(f"{times:7} {kind}" for kind, times in kinds.most_common(60)))
    assert not [kind for kind in kinds if "the process that read it" in kind or " at " in kind]


def kind_of(problem: str) -> str:
    """Without what differs from file to file."""
    return re.sub(r"0x[0-9a-f]+|\d+|'[^']*'|\"[^\"]*\"", "#", problem)[:90]


async def test_bombs_cost_a_problem(examiner: WorkerExaminer, fresh: Open) -> None:
    for name, data in (
        ("wide", bomb(60_000, 60_000)),
        ("gif", b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\0\0;"),
    ):
        found = await examiner.examine(fresh(name, data), (), ALL)
        assert "pixels" in found.info.problems[0] and found.thumbnail is None
    assert psutil.Process(examiner.pids[0]).memory_info().rss < 150 << 20


@pytest.mark.campaign
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF"])
async def test_the_largest_picture_that_is_allowed_fits(examiner: WorkerExaminer, form: str) -> None:
    """64 million pixels with alpha, where the format has it. Prints the memory of the worker."""
    image = Image.effect_noise((256, 256), 60).resize((8192, 8192), Image.Resampling.BICUBIC).convert("RGB")
    if form != "JPEG":
        image.putalpha(200)
    options = {"PNG": {"compress_level": 1}, "WEBP": {"quality": 20, "method": 0}, "AVIF": {"speed": 10, "quality": 40}}
    data = saved(image, form, **options.get(form, {}))
    with file_of(data) as file:
        found = await examiner.examine(file, (), ALL)
    status = Path(f"/proc/{examiner.pids[0]}/status").read_text().split("\n")
    print(form, [line.replace("\t", " ") for line in status if line.startswith(("VmPeak", "VmHWM"))], found.info.problems)
    assert found.thumbnail and found.info.problems == ()
