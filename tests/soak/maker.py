"""A program at a box that makes files, and a ledger of them: what a home is held to in the end."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from tests.soak.versions import origin
from tests.support.site import contents, staged


class Maker(threading.Thread):
    """Creates files, small and large, at once and in steps; puts others in their places; deletes some. Until it is told to stop."""

    def __init__(self, box: Path, seed: int, pause_s: float) -> None:
        super().__init__(name=f"maker {box.name}", daemon=True)
        self._box, self._chance, self._pause_s = box, random.Random(seed), pause_s
        self._made = 0
        self.now: dict[str, str] = {}
        """Path to sha256. A file that is not at the box although it is here was removed by forged."""
        self.ever: dict[str, set[str]] = defaultdict(set)
        """Every content that was ever there, to the eyes of others, too."""
        self.made_at: dict[str, datetime] = {}
        self.did = Counter[str]()
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self._ended.set()
            self.join()

    def run(self) -> None:
        deeds = [self.create] * 8 + [self.create_in_steps] * 2 + [self.replace, self.delete]
        while not self._ended.wait(self._pause_s * 2 * self._chance.random()):
            deed = self._chance.choice(deeds)
            with suppress(FileNotFoundError, IndexError):  # forged has removed it meanwhile, or there is none yet
                deed()
                self.did[deed.__name__] += 1

    def create(self) -> None:
        """As careful programs do: under its name it is whole."""
        self._put(self._new_path())

    def create_in_steps(self) -> None:
        """As a program that flushes in the middle of a picture."""
        path, data = self._new_path(), self._chance.randbytes(self._chance.randrange(80_000))
        with (self._box / path).open("wb", buffering=0) as file:
            for end in (len(data) // 3, len(data) // 2, len(data)):
                self._note(path, data[:end])
                file.write(data[file.tell() : end])
                time.sleep(self._chance.random() * 0.02)

    def replace(self) -> None:
        self._put(self._chance.choice(list(self.now)))

    def delete(self) -> None:
        path = self._chance.choice(list(self.now))
        (self._box / path).unlink()
        del self.now[path]

    def _put(self, path: str) -> None:
        data, aside = self._bytes(), self._box.parent / f"aside of {self._box.name}"
        aside.write_bytes(data)
        self._note(path, data)
        aside.replace(self._box / path)

    def _note(self, path: str, data: bytes) -> None:
        """Before it is there: forged may be quicker than a note afterwards."""
        self.made_at[path] = datetime.now(UTC)
        self.now[path] = hashlib.sha256(data).hexdigest()
        self.ever[path].add(self.now[path])

    def _new_path(self) -> str:
        self._made += 1
        folder = self._chance.choice(["", "", f"day{self._made // 50}/", f"day{self._made // 50}/grids/"])
        (self._box / folder).mkdir(parents=True, exist_ok=True)
        return f"{folder}{self._made:06}.bin"

    def _bytes(self) -> bytes:
        kind = self._chance.random()
        size = 0 if kind < 0.03 else self._chance.randrange(2_000_000, 9_000_000) if kind > 0.98 else self._chance.randrange(80_000)
        return self._chance.randbytes(size)

    def _about(self, path: str, home: Path, here: Mapping[str, str]) -> str:
        """A file that is not home: when it was made, and what lies there under its name, or under another with its content."""
        stem, sha256 = path.rsplit(".", 1)[0], self.now[path]
        beside = [f"{name} {there[:8]} {(home / name).stat()}" for name, there in here.items() if name.startswith(stem)]
        elsewhere = [name for name, there in here.items() if there == sha256]
        made = f"{self.made_at[path]:%H:%M:%S}"
        at_box = "there" if (self._box / path).exists() else "removed"
        return f"{path} {sha256[:8]}, made {made}, {at_box} at the box; beside it {beside}, the same content in {elsewhere}"

    # --- the end ----------------------------------------------------------------------------------------------------------

    def compare(self, home: Path, owned: Mapping[str, str]) -> int:
        """Ledger, box and home after all has come to rest; answers how many files forged has removed at the box.

        `owned`: what the owner had at home from the beginning, path to sha256. Raises AssertionError.
        """
        box, here = contents(self._box), contents(home)
        for path, sha256 in owned.items():
            assert here.get(path) == sha256, f"overwritten or gone: {path} of the owner"
            if sha256 not in self.ever[path]:
                del here[path]  # else it may have been adopted
        came = Counter((origin(path, sha256), sha256) for path, sha256 in here.items())
        lost = [self._about(path, home, here) for path, sha256 in self.now.items() if not came[path, sha256]]
        assert not lost, f"not home: {lost}; at the box are {len(box)} files"
        for path, sha256 in came:
            assert sha256 in self.ever[path], f"{path} came home with a content that it never had"
        assert max(came.values(), default=1) == 1, f"twice: {[one for one, times in came.items() if times > 1]}"
        assert staged(home) == []
        return len(self.now.keys() - box.keys())
