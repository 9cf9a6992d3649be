"""Promise 5 for media: SIGKILL in the middle of it, again and again, and then everything is done once, and no edit is lost."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

from forged.model.media import Owed
from forged.model.paths import source_path
from forged.rules.media import MOST_TRIES
from forged.store.sqlite import open_store
from tests.destination.places import tree
from tests.sync.enriching import EDITED, FILES, target

KILLS = 8


def live(folder: Path, files: int | None, *deadly: str) -> list[str]:
    """One life, killed after so many files have been looked into."""
    command = [sys.executable, "-m", "tests.sync.enriching", str(folder), *deadly]
    told: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.strip())
            if len(told) == files:
                process.kill()
    return told


async def test_killed_in_the_middle_everything_is_done_in_the_end(tmp_path: Path) -> None:
    for _ in range(KILLS):
        assert "done" not in live(tmp_path, random.randrange(4, 10))
    told = live(tmp_path, None)
    assert told[-1] == "done"
    assert len(told) < len(FILES)  # what was done before is not done again
    store, mine = await open_store(tmp_path / "state/forged.db"), target(tmp_path)
    assert await store.media.count_waiting() == {}
    assert [await store.media.owing(mine.manifest, what, None, 10) for what in Owed] == [[], []]
    for path, data in FILES.items():
        known = await store.media.info(mine.manifest, source_path(path))
        assert known is not None
        assert known.info.raw[0].text == data[:100].decode()
    await store.close()
    at_home(tmp_path / "home")


async def test_what_takes_the_program_along_is_given_up_and_nothing_else_is(tmp_path: Path) -> None:
    deadly = "013.png"
    for _ in range(MOST_TRIES):
        assert live(tmp_path, None, deadly)[-1] == deadly
    assert live(tmp_path, None, deadly)[-1] == "done"
    store, mine = await open_store(tmp_path / "state/forged.db"), target(tmp_path)
    found = {path: await store.media.info(mine.manifest, source_path(path)) for path in FILES}
    await store.close()
    assert [os.fsdecode(path) for path, known in found.items() if known is None or not known.info.raw] == [deadly]
    given_up = found[os.fsencode(deadly)]
    assert given_up is not None
    assert "3 times" in given_up.info.problems[0]


def at_home(home: Path) -> None:
    found = tree(home)
    for number, (path, data) in enumerate(FILES.items()):
        name, sha256 = os.fsdecode(path), hashlib.sha256(data).hexdigest()
        assert found.pop(name) == data
        ours = f"forged {sha256} ".encode() + data[:100].rstrip()
        lines = found.pop(f"{name}.xmp").splitlines()
        assert [line.rstrip() for line in lines] == ([ours, EDITED] if number % 5 == 0 else [ours])
        assert found.pop(f".forged/thumbs/{sha256[:2]}/{sha256[2:4]}/{sha256}_512.webp", b"thumb of").startswith(b"thumb of")
        if number % 2:
            assert (home / name).stat().st_nlink == 2
    assert found == {}
