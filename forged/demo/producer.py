"""The throw-away box's generators, as a process of its own: `python -m forged.demo.producer FOLDER [--seed N]`.

It keeps making pictures and films, the way a busy Forge and a busy ComfyUI would, until SIGTERM, SIGINT or the end of its standard
input. Then it does what an interrupted box does: it leaves one last picture half-written. For each file, when it is closed, it
says one JSON line on standard output (see `Made`): all lines together are the ledger that home is compared with at the end.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from forged.demo import writers
from forged.demo.recipes import invented

FORGE_OUTPUTS = "stable-diffusion-webui-forge/outputs"
COMFYUI_OUTPUT = "ComfyUI/output"
"""Where the two programs keep their files below /workspace on a rented box."""

FIRST_BURST = 8
"""Pictures made without a pause at the start, so that there is something to bring home at once."""

PACE_S = 0.27
"""From one picture to the next: between three and four a second."""

PICTURES_PER_FILM = 9

FAVOURITE = "favourite.png.important"
"""What the box's owner is fond of: a copy of an early picture, under a name that cleanup preserves by default."""

FAVOURITE_AFTER = 4
"""Pictures; early, so that it is old enough for cleanup and stays for no other reason than its name."""


@dataclass(frozen=True, slots=True)
class Made:
    """One file that is closed. `whole` is False for the last one, which is cut half-way. `path` is relative to the box's folder."""

    path: str
    size_bytes: int
    closed_ns: int
    """Time of day right after the writer closed or renamed it."""
    sha256: str
    """Hexadecimal; read back from the box's disk."""
    whole: bool = True

    def line(self) -> str:
        return json.dumps(asdict(self))


def made(line: str) -> Made:
    """Reads back what `Made.line` wrote."""
    return Made(**json.loads(line))


@dataclass(slots=True)
class Box:
    """The rented machine: its folder, its dice, and how many files each program has numbered so far."""

    root: Path
    rng: random.Random
    forge_pictures: int = 0
    comfyui_pictures: int = 0
    films: int = 0

    def work(self, stop: threading.Event) -> Iterator[Path | None]:
        """Makes one file after the other until `stop`: the path of each when it is whole, None where a film has grown a bit."""
        while not stop.is_set():
            film = self.film()
            for number in range(PICTURES_PER_FILM):
                if stop.is_set():
                    break
                picture = self.picture()
                yield picture
                if self.films == 1 and number == FAVOURITE_AFTER - 1:
                    yield self.favourite(picture)
                if number >= 2:  # the film begins after the first pictures and grows between the next ones
                    yield next(film, None)
            yield from film

    def picture(self) -> Path:
        """Two in three are Forge's, the third is ComfyUI's."""
        if self.rng.random() < 2 / 3:
            self.forge_pictures += 1
            folder = self.root / FORGE_OUTPUTS / "txt2img-images" / time.strftime("%Y-%m-%d")
            return writers.a1111_picture(folder, self.forge_pictures - 1, invented(self.rng))
        self.comfyui_pictures += 1
        return writers.comfyui_picture(self.root / COMFYUI_OUTPUT, self.comfyui_pictures, invented(self.rng, seed_bits=64))

    def film(self) -> Iterator[Path | None]:
        """ComfyUI's next film, step by step."""
        self.films += 1
        return writers.comfyui_film(self.root / COMFYUI_OUTPUT / "video", self.films, invented(self.rng, seed_bits=64))

    def favourite(self, picture: Path) -> Path:
        """Copies it aside, as its owner would."""
        copy = self.root / COMFYUI_OUTPUT / FAVOURITE
        copy.parent.mkdir(parents=True, exist_ok=True)
        return shutil.copyfile(picture, copy)

    def interrupted(self) -> Path:
        """The last picture, which nobody will finish."""
        return writers.cut_picture(self.root / COMFYUI_OUTPUT, self.comfyui_pictures + 1, invented(self.rng, seed_bits=64))


def produce(box: Box, stop: threading.Event) -> None:
    """Works until `stop`, at the pace of a good graphics card."""
    files = 0
    for path in box.work(stop):
        if path is not None:
            tell(box, path)
            files += 1
            stop.wait(0 if files <= FIRST_BURST else PACE_S)
    tell(box, box.interrupted(), whole=False)


def tell(box: Box, path: Path, *, whole: bool = True) -> None:
    """Says that a file is closed. A reader that has gone away is no reason to fail."""
    closed_ns = time.time_ns()
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    line = Made(str(path.relative_to(box.root)), len(content), closed_ns, sha256, whole).line()
    try:
        print(line, flush=True)  # noqa: T201  # this is the process's interface
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stop_on_signals(stop: threading.Event) -> None:
    """SIGTERM, SIGINT and the end of standard input all end the work; the last one, so that no orphan is left behind."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=stop_at_end_of_input, args=(stop,), daemon=True).start()


def stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="forged.demo.producer", description="Keeps making real pictures and films.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=None, help="the same seed makes the same pictures")
    options = parser.parse_args()
    stop = threading.Event()
    stop_on_signals(stop)
    produce(Box(options.folder.absolute(), random.Random(options.seed)), stop)


if __name__ == "__main__":
    main()
