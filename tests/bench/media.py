"""`python -m tests.bench.media`: how fast files are looked into, and whether the daemon's loop stays free meanwhile.

Metadata and thumbnails are measured as CPU seconds in one process, as a worker takes them; sidecars as they leave exiftool; the
loop in a real daemon, by a task that sleeps for 5 ms and notes how late it wakes up.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from forged.demo.recipes import Recipe, graph, invented, parameters
from forged.kit.clock import SystemClock
from forged.media.base import Found, Opened, Wanted
from forged.media.looker import look
from forged.media.xmp.sidecars import ExifToolSidecars, Standing
from forged.model.media import MediaInfo
from forged.model.sidecars import SidecarFacts
from tests.bench.beating import late_file
from tests.support.daemon import daemon
from tests.support.sshd import sshd

PICTURES, SIDECARS, LANDING = 60, 300, 400
SIDE_PX = 1024
"""What SDXL and Flux make."""


def main() -> int:
    rng = random.Random(7)
    recipes = [invented(rng, 64) for _ in range(PICTURES)]
    with tempfile.TemporaryDirectory(prefix="forged-bench-") as folder:
        files = {kind: [made(Path(folder), recipe, kind) for recipe in recipes] for kind in ("png", "jpeg", "webp")}
        infos = metadata([file for kind in files.values() for file in kind])
        for kind, paths in files.items():
            thumbnails(kind, paths)
        asyncio.run(sidecars(infos, Path(folder)))
        loop(files["png"])
    return 0


def made(folder: Path, recipe: Recipe, kind: str) -> Path:
    """A picture of 1 Mpx with its prompt, as A1111 saves it; PNG with ComfyUI's graph instead for every second one."""
    picture, file = recipe.paint().resize((SIDE_PX, SIDE_PX)), folder / f"{recipe.seed}.{kind}"
    noise = Image.effect_noise((SIDE_PX, SIDE_PX), 12).convert("RGB")
    picture = Image.blend(picture, noise, 0.06)  # as much detail as real ones have: a PNG of 1.5 MB
    if kind == "png":
        info = PngInfo()
        info.add_text(*(("prompt", graph(recipe)) if recipe.seed % 2 else ("parameters", parameters(recipe))))
        picture.save(file, pnginfo=info, compress_level=4)
    else:
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + parameters(recipe).encode("utf-16-be")
        picture.save(file, quality=90, exif=exif)
    return file


def looked(file: Path, wanted: Wanted) -> Found:
    fd = os.open(file, os.O_RDONLY)
    try:
        return look(Opened(file.name, fd, file.stat().st_size), (), wanted)
    finally:
        os.close(fd)


def metadata(files: list[Path]) -> list[MediaInfo]:
    """All of them, three times; the median of the best."""
    found, best_s = [], []
    for file in files:
        taken_s = []
        for _ in range(3):
            began_s = time.process_time()
            info = looked(file, Wanted()).info
            taken_s.append(time.process_time() - began_s)
        best_s.append(min(taken_s))
        assert info.generation is not None, file
        found.append(info)
    say("metadata", f"{statistics.median(best_s) * 1e3:.2f} ms a file (median of {len(files)})", "<= 1 ms")
    return found


def thumbnails(kind: str, files: list[Path]) -> None:
    began_s = time.process_time()
    for file in files:
        assert looked(file, Wanted(metadata=False, thumbnail=True)).thumbnail
    taken_s = time.process_time() - began_s
    size = statistics.mean(file.stat().st_size for file in files) / 1e6
    say(f"thumbnails of {kind}", f"{len(files) / taken_s:.0f} a second a core (1 Mpx, {size:.1f} MB)", ">= 15")


async def sidecars(infos: list[MediaInfo], folder: Path) -> None:
    writer = ExifToolSidecars(folder / "xmp", SystemClock())
    try:
        if await writer.standing() is not Standing.READY:
            say("sidecars", "no exiftool here", ">= 120 a second")
            return
        began_s = time.perf_counter()
        for number in range(SIDECARS):
            facts = SidecarFacts("x.png", "box", number.to_bytes(32), time.time_ns())
            assert isinstance(await writer.render(infos[number % len(infos)], facts, None), bytes)
        say("sidecars", f"{SIDECARS / (time.perf_counter() - began_s):.0f} a second", ">= 120 a second")
    finally:
        await writer.aclose()


def loop(files: list[Path]) -> None:
    """A daemon brings pictures home and looks into them, thumbnails and sidecars and all."""
    with sshd() as server, daemon(server, box="[target.media]\nthumbnails = true\nphash = true") as house:
        house.module = "tests.bench.beating"
        house.spawn()
        house.told("READY=1")
        began_s = time.monotonic()
        for number in range(LANDING):
            (house.box() / f"{number:05}.png").write_bytes(files[number % len(files)].read_bytes() + number.to_bytes(4))
        while len(list(house.home().glob("*.xmp"))) < LANDING:
            assert time.monotonic() - began_s < 600, house.log()[-2_000:]
            time.sleep(0.2)
        taken_s = time.monotonic() - began_s
        house.stop()
        late_ms = sorted(float(line) for line in late_file(house.root).read_text().split())
    say("the loop", f"blocked {late_ms[-1]:.0f} ms at most, {late_ms[-len(late_ms) // 100]:.0f} ms in 99 of 100 looks", "<= 50 ms")
    say("meanwhile", f"{LANDING} pictures came home and were looked into in {taken_s:.0f} s: {LANDING / taken_s:.0f} a second")


def say(what: str, told: str, goal: str = "") -> None:
    print(f"{what:22} {told}" + (f"   (goal: {goal})" if goal else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
