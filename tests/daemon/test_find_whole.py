"""What comes home is found, by whoever asks, a moment later; and nothing is lost or there twice when forged is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import sshd

PROMPT = (
    "a {} fox in the snow\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: {}, Size: 64x64, Model: sdxl"
)


def picture(folder: Path, number: int) -> None:
    info = PngInfo()
    info.add_text("parameters", PROMPT.format("red" if number % 2 else "blue", 2**64 - number))
    Image.new("RGB", (64, 64), (number, 2 * number, 0)).save(folder / f"{number:03}.png", pnginfo=info)


def ctl(house: Daemon, *arguments: str) -> bytes:
    command = [str(Path(sys.executable).with_name("forgectl")), "--socket", house.control, "find", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_picture_is_found_by_its_prompt_when_it_is_home_also_after_a_kill() -> None:
    with sshd() as box, daemon(box) as house:
        house.start()
        for number in range(1, 61):
            picture(house.box(), number)
            if number % 20 == 0:
                house.kill()
                house.start()
        until(lambda: len(json.loads(ctl(house, "fox", "--limit", "0", "--json"))["files"]) >= 60, house.log)
        assert len(json.loads(ctl(house, "--limit", "0", "--json"))["files"]) == 60
        red = ctl(house, '"red fox"', "--paths0").split(b"\0")[:-1]
        assert sorted(red) == [bytes(house.home()) + f"/{number:03}.png".encode() for number in range(1, 61, 2)]
        [one] = json.loads(ctl(house, "--seed", str(2**64 - 7), "--model", "SDXL", "--json"))["files"]
        assert one["path"] == "007.png"
        assert b"a red fox in" in ctl(house, "red", "--limit", "1")
