"""What the campaign of kills relies on can fail: each instrument is shown what it is there for."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forged.model.files import Stat
from forged.model.manifest import AtSource, Hold, ManifestName, ManifestRow
from forged.model.paths import home_path, source_path
from forged.store.sqlite import open_store
from tests.soak.keeper import Keeper
from tests.soak.ledger import MUTABLE, Ledger
from tests.soak.proof import Proof
from tests.soak.remembered import Memory
from tests.soak.verdict import ANOTHER, Verdict
from tests.soak.witness import Witness

AGE_S = 60.0
NAME = ManifestName("box")
PICTURE = b"a picture"


@dataclass
class Scene:
    """A box, a home, a state database, and the instruments around them; files are two ages old."""

    root: Path
    ledger: Ledger = field(default_factory=Ledger)

    def __post_init__(self) -> None:
        self.box, self.home = self.root / "box", self.root / "home"
        self.box.mkdir()
        self.home.mkdir()
        memory = Memory(self.root)
        self.keeper = Keeper(self.box, self.home, self.ledger, memory)
        self.verdict = Verdict(self.keeper)
        self.witness = Witness(self.box, self.ledger, Proof(self.home, memory, AGE_S).missing)

    def write(self, path: str, data: bytes = PICTURE, old_s: float = 2 * AGE_S) -> None:
        """As the writer does."""
        (self.box / path).write_bytes(data)
        os.utime(self.box / path, (time.time() - old_s,) * 2)
        self.ledger.note(path, data)
        self.witness.watch(path)

    def land(self, path: str, data: bytes = PICTURE, *, home: str = "", old_s: float = 2 * AGE_S) -> None:
        """As forged does, long ago."""
        (self.home / (home or path)).write_bytes(data)
        self.remember(path, data, home=home, old_s=old_s)

    def remember(
        self, path: str, data: bytes = PICTURE, *, home: str = "", old_s: float = 2 * AGE_S, at_source: AtSource = AtSource.PRESENT
    ) -> None:
        file = self.box / path
        stat = Stat(len(data), 0, file.stat().st_ino if file.exists() else None, 0)
        sha256, landed_ns = hashlib.sha256(data).digest(), time.time_ns() - int(old_s * 1e9)
        names = source_path(path.encode()), home_path((home or path).encode())
        asyncio.run(self._record(ManifestRow(names[0], stat, sha256, names[1], landed_ns, at_source=at_source)))

    async def _record(self, row: ManifestRow) -> None:
        store = await open_store(self.root / "forged.db")
        await store.manifest.record(NAME, [row])
        await store.close()

    def hold(self) -> None:
        async def held() -> None:
            store = await open_store(self.root / "forged.db")
            await store.flags.set_hold(NAME, Hold("emptied", "nothing is there", 1))
            await store.close()

        asyncio.run(held())

    def removed(self, path: str = "a.bin") -> list[str]:
        """As forged does: aside, and gone. Answers what was not proven."""
        os.rename(self.box / path, self.box / ".forged-aside")
        os.unlink(self.box / ".forged-aside")
        self.witness.look()
        return self.witness.unproven

    def broken(self) -> list[str]:
        self.keeper.look()
        return self.keeper.broken


@pytest.fixture
def scene(quick_path: Path) -> Scene:
    return Scene(quick_path)


def test_a_proven_removal(scene: Scene) -> None:
    scene.write("a.bin")
    scene.land("a.bin")
    assert scene.removed() == []
    assert [gone.path for gone in scene.witness.removals] == ["a.bin"]


def _nothing(scene: Scene) -> None:
    scene.write("a.bin")


def _only_remembered(scene: Scene) -> None:
    scene.write("a.bin")
    scene.remember("a.bin")


def _other_content(scene: Scene) -> None:
    scene.write("a.bin")
    scene.land("a.bin", b"A PICTURE")


def _damaged(scene: Scene) -> None:
    scene.write("a.bin")
    scene.land("a.bin")
    (scene.home / "a.bin").write_bytes(PICTURE[:-1])


def _just_landed(scene: Scene) -> None:
    scene.write("a.bin")
    scene.land("a.bin", old_s=1)


def _just_written(scene: Scene) -> None:
    scene.write("a.bin", old_s=1)
    scene.land("a.bin")


def _preserved(scene: Scene) -> None:
    scene.write("a.important")
    scene.land("a.important")
    os.rename(scene.box / "a.important", scene.box / "a.bin")


@pytest.mark.parametrize(
    ("happens", "doubt"),
    [
        (_nothing, "nobody remembers"),
        (_only_remembered, "not at home"),
        (_other_content, "nobody remembers"),
        (_damaged, "something else"),
        (_just_landed, "had landed"),
        (_just_written, "was written"),
        (_preserved, "preserved"),
    ],
)
def test_a_removal_without_proof(scene: Scene, happens: Callable[[Scene], None], doubt: str) -> None:
    happens(scene)
    (told,) = scene.removed()
    assert doubt in told


def test_what_came_home_only_afterwards_is_no_proof(scene: Scene) -> None:
    scene.write("a.bin")
    os.unlink(scene.box / "a.bin")
    time.sleep(0.1)
    scene.land("a.bin")
    scene.witness.look()
    assert "came home after" in scene.witness.unproven[0]


def test_the_writers_own_deeds_need_no_proof(scene: Scene) -> None:
    scene.write("a.bin")
    scene.write("b.bin")
    inode = (scene.box / "a.bin").stat().st_ino
    with scene.ledger.lock:
        os.unlink(scene.box / "a.bin")
        scene.witness.taken(inode)
        scene.witness.taken((scene.box / "b.bin").stat().st_ino)
    scene.witness.look()
    assert scene.witness.removals == []
    assert scene.witness.paths() == ["b.bin"]


def test_what_was_home_stays_home(scene: Scene) -> None:
    for path in ("a.bin", "b.bin", "c.bin"):
        scene.ledger.note(path, PICTURE)
        (scene.home / path).write_bytes(PICTURE)
    assert scene.broken() == []
    os.unlink(scene.home / "a.bin")
    (scene.home / "b.bin").write_bytes(b"another")
    (scene.home / "letter.txt").write_bytes(b"")
    assert sorted(scene.broken()) == [
        "promise 2: a.bin was deleted at home",
        "promise 2: b.bin was touched at home",
        "promise 2: letter.txt was touched at home",
    ]


def test_what_the_owner_and_his_disk_do_is_not_forgeds_fault_but_bringing_it_back_is(scene: Scene) -> None:
    for path in ("a.bin", "b.bin"):
        scene.ledger.note(path, PICTURE)
        scene.land(path)
    scene.keeper.look()
    os.unlink(scene.home / "a.bin")
    (scene.home / "b.bin").write_bytes(b"")
    scene.keeper.deleted["a.bin"] = hashlib.sha256(PICTURE).hexdigest()
    scene.keeper.damaged.add("b.bin")
    assert scene.broken() == []
    (scene.home / "a.bin").write_bytes(PICTURE)
    assert scene.broken() == ["promise 7: a.bin was brought back"]


def test_half_a_file_at_home(scene: Scene) -> None:
    scene.ledger.note("a.bin", PICTURE)
    (scene.home / "a.bin").write_bytes(PICTURE[:4])
    assert "a content that it never had" in scene.broken()[0]


def test_a_memory_that_is_not_true(scene: Scene) -> None:
    scene.write("a.bin")
    scene.remember("a.bin", at_source=AtSource.GONE)
    assert scene.broken() == [
        f"promise 5: a.bin ({hashlib.sha256(PICTURE).hexdigest()[:8]}) is remembered, and not at home",
        "promise 4: a.bin counts as gone, and is at the box",
    ]


def test_a_hold_without_a_reason(scene: Scene) -> None:
    scene.hold()
    assert scene.broken() == ["promise 4: held, though nothing was wrong: nothing is there"]


def test_a_log_goes_on_beside_itself_and_keeps_the_mark_of_what_it_held_then(scene: Scene) -> None:
    scene.ledger.may_show(MUTABLE, b"older")
    scene.write(MUTABLE, PICTURE)
    for name, data in ((MUTABLE, b"older"), ("log~0123abcd.csv", PICTURE)):
        (scene.home / name).write_bytes(data)
    scene.keeper.look_at_home()
    assert (scene.keeper.broken, scene.verdict.lost([])) == ([], [])
    (scene.home / "log~0123abcd.csv").write_bytes(PICTURE[:4])
    scene.keeper.look_at_home()
    assert scene.verdict.lost([]) == [f"{MUTABLE} {hashlib.sha256(PICTURE).hexdigest()[:8]}"]


def test_the_comparison_in_the_end(scene: Scene) -> None:
    sha256 = hashlib.sha256(PICTURE).hexdigest()
    scene.write("a.bin")
    scene.keeper.look()
    assert scene.verdict.lost([]) == [f"a.bin {sha256[:8]}"]
    (scene.home / "a.bin").write_bytes(PICTURE)
    scene.keeper.look()
    assert (scene.verdict.lost([]), scene.verdict.twice(), scene.verdict.strays([])) == ([], [], [])
    (scene.home / f"a~{sha256[:8]}.bin").write_bytes(PICTURE)
    (scene.box / "stray").write_bytes(b"")
    (scene.home / ANOTHER).rename(scene.home / ".forged" / "left.part")
    scene.ledger.note("never.bin", b"there")
    scene.keeper.look()
    assert scene.verdict.twice() == [f"a.bin {sha256[:8]}"]
    assert [line.split(":")[0] for line in scene.verdict.strays([])] == [
        "at the box",
        "not at the box",
        "in forged's folder",
        "another forged's half file is gone",
    ]
