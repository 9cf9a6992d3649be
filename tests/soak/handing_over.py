"""A campaign: a daemon that is killed while everybody whom it tells of files misbehaves; and the verdict in the end."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import struct
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.soak.receivers import Class, Misbehaviour, Program, Receiver, Site, Told
from tests.support.daemon import Daemon, until
from tests.support.postgres import PostgresServer

LINES = 'mutable = ["log.csv"]\n[target.cleanup]\nage = "5s"\nevery = "1s"'

STARTS_S, REST_S = 120.0, 1_800.0
"""How long a start, and coming to rest, may take on a machine that is busy with other things."""

BURSTS = (*12 * [1], *5 * [2], 40)
"""Files that come at once: some eight a second in the mean. With ten times as many a campaign spends its time on looking into
pictures, not on telling of them."""

HANDLERS = ("catalog", "archive", "site", "program", "own")


@dataclass(frozen=True)
class Figures:
    """What a campaign did, for the person who ran it."""

    minutes: float
    kills: int
    kills_of_children_alone: int
    restarts: dict[str, int]
    locks: int
    misdeeds: dict[str, dict[str, int]]
    files_home: int
    files_removed: int
    events: int
    told: dict[str, int]
    told_again: dict[str, int]
    landed_and_not_remembered: int
    missing: int


class Writer(threading.Thread):
    """Puts pictures with a prompt into a box, replaces some, and lets a log grow."""

    def __init__(self, box: Path, seed: int, replaces: bool) -> None:
        super().__init__(name="writer", daemon=True)
        self._box, self._chance = box, random.Random(seed)
        self._ended, self._replaces = threading.Event(), replaces
        self.made = 0

    def run(self) -> None:
        while not self._ended.wait(self._chance.uniform(0.01, 0.8)):
            for _ in range(self._chance.choice(BURSTS)):
                self._put(f"{self.made:06}.png")
                self.made += 1
            if self._replaces and self._chance.random() < 0.2:
                self._put(f"{self._chance.randrange(self.made):06}.png")
            with (self._box / "log.csv").open("a") as log:
                log.write(f"{self.made}\n")

    def _put(self, name: str) -> None:
        aside = self._box.parent / "fresh"
        aside.write_bytes(picture(f"picture {self._chance.getrandbits(64)}"))
        aside.replace(self._box / name)

    def end(self) -> None:
        self._ended.set()
        self.join()


def picture(prompt: str) -> bytes:
    """A PNG of one pixel, as A1111 would sign it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    told = f"{prompt}\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 1x1, Model: m"
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"tEXt", b"parameters\0" + told.encode())
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")


@dataclass
class HandingOver:
    """Everybody who takes part."""

    house: Daemon
    server: PostgresServer
    seed: int
    replaces: bool
    """Other pictures take the names of some."""
    kills: int = 0
    alone: int = 0
    receivers: Sequence[Receiver] = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.writer = Writer(self.house.box(), self.seed, self.replaces)
        self.site, own = Site(self.house.root), Class(self.house.root)
        self.receivers = (self.site, Program(self.house.root), own)
        self.database = self.server.database()
        self.catalog = self.house.root / "state" / "catalog.db"
        self.misbehaviour = Misbehaviour(self.receivers, self.server, self.catalog, self.seed)
        self.house.within = lambda command: ["env", f"PYTHONPATH={own.folder}", *command]

    def run(self, goes_on: Callable[[int], bool]) -> Figures:
        """Kills until `goes_on(kills)` says no, then lets all come to rest. Raises AssertionError for what is wrong."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            stack.enter_context(self.site.open())
            self._configure()
            self.writer.start()
            with self.misbehaviour.at_work():
                while goes_on(self.kills):
                    self._live_and_die()
            self.writer.end()
            self._come_to_rest()
        return self._judged((time.monotonic() - began_s) / 60)

    def _configure(self) -> None:
        tables = {one.name: one.table for one in self.receivers}
        tables["archive"] = f'type = "postgres"\ndsn = "{self.server.dsn(self.database)}"'
        ingests = "\n".join(f'[[ingest]]\nname = "{name}"\n{table}' for name, table in tables.items())
        self.house.transfer_lines += f"\n[media]\nxmp = false\n{ingests}"
        self.house.targets["box"] = LINES
        self.house.write()

    # --- lives ------------------------------------------------------------------------------------------------------------

    def _live_and_die(self) -> None:
        self.house.spawn()
        if self.chance.random() < 0.2:
            time.sleep(self.chance.uniform(0.05, 2.0))
        else:
            self.house.told("READY=1", within_s=STARTS_S)
            time.sleep(self.chance.uniform(0.2, 5.0))
        children = self._children()
        if children and self.chance.random() < 0.3:
            with suppress(psutil.NoSuchProcess):
                self.chance.choice(children).kill()
                self.alone += 1
            time.sleep(self.chance.uniform(0.0, 2.0))
        self.house.kill()
        self.kills += 1

    def _children(self) -> list[psutil.Process]:
        assert self.house.process is not None
        try:
            return psutil.Process(self.house.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    # --- the end ----------------------------------------------------------------------------------------------------------

    def _come_to_rest(self) -> None:
        """Lives in which everybody is well, until nothing of files waits."""
        while True:
            self.house.spawn()
            self.house.told("READY=1", within_s=REST_S)
            with self.house.client(REST_S) as client:
                answer = client.call("target.drain", target="box", timeout="10m")
                assert answer["safe_to_destroy"], answer
                while client.call("cleanup.run", target="box")["files_deleted"]:
                    pass
                for handler in HANDLERS:  # as a person does with what was not taken ten times
                    client.call("ingest.retry", handler=handler)
            until(lambda: not self._waiting(), lambda: f"{self._waiting()}\n{self.house.log()[-3000:]}", REST_S)
            self.house.stop(within_s=REST_S)
            if not self._waiting():
                return

    def _waiting(self) -> dict[str, int]:
        """Events of files that a handler has not taken, or that were set aside, and files to look into, as forged remembers it."""
        question = (
            "select count(*) from outbox where kind like 'file_%'"
            " and id > coalesce((select upto from positions where handler = ?), 0)"
        )
        with closing(sqlite3.connect(f"file:{self.house.root}/state/forged.db?mode=ro", uri=True, timeout=30)) as memory:
            counts = {name: int(memory.execute(question, (name,)).fetchone()[0]) for name in HANDLERS}
            aside = memory.execute("select handler, count(*) from set_aside where kind like 'file_%' group by handler")
            counts |= {f"set aside for {handler}": count for handler, count in aside}
            counts["the look inside"] = int(memory.execute("select count(*) from media_queue").fetchone()[0])
        return {name: count for name, count in counts.items() if count}

    # --- the verdict ------------------------------------------------------------------------------------------------------

    def _judged(self, minutes: float) -> Figures:
        known = self._remembered()
        there = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in self._files()}
        home = {path: sha256 for path, sha256 in there.items() if path in known}
        # A kill between the landing and its row, and another picture under that name at the box before the next life: then nobody
        # can know any more whose the one at home is.
        assert len(there) - len(home) <= (self.kills if self.replaces else 0), sorted(set(there) - set(home))
        told = {one.name: one.told() for one in self.receivers}
        every = {one for lines in told.values() for one in lines}
        missing = {name: every - set(lines) for name, lines in told.items()}
        assert not any(missing.values()), {name: sorted(lines, key=lambda one: one.id)[:10] for name, lines in missing.items()}
        for name, lines in told.items():
            assert not (wrong := out_of_order(lines)), f"{name}: {wrong[:5]}"
        last = {one.home: one for one in sorted(every, key=lambda one: one.id)}
        unlike = {(path, one.sha256) for path, one in last.items()} ^ set(home.items())
        assert not unlike, sorted(unlike)[:10]
        gone = {path for path, one in last.items() if one.kind == "file_removed"}
        assert self._archive() == self._cataloged() == [(path, sha, path in gone) for path, sha in sorted(home.items())]
        pictures = sum(path.endswith(".png") for path in home)
        # Also of versions that others overtook before they were looked into.
        assert self._prompts() == self._prompts_cataloged() == pictures
        return self._figures(minutes, there, told, every, len(there) - len(home))

    def _remembered(self) -> set[str]:
        """Where what forged remembers lies at home."""
        with closing(sqlite3.connect(self.house.root / "state" / "forged.db")) as memory:
            homes = memory.execute("select cast(home as text) from versions").fetchall()
        return {f"{self.house.home()}/{home}" for (home,) in homes}

    def _files(self) -> list[Path]:
        home = self.house.home()
        return [path for path in home.rglob("*") if path.is_file() and path.relative_to(home).parts[0] != ".forged"]

    def _archive(self) -> list[tuple[str, str, bool]]:
        question = 'select home, sha256, removed_at is not null from forged.files order by home collate "C"'
        rows = self.server.sql(question, self.database)
        return [(home, sha256, removed == "t") for home, sha256, removed in rows]

    def _prompts(self) -> int:
        pictures = "select count(*) from forged.library where prompt like 'picture %' and kind = 'image'"
        return int(self.server.sql(pictures, self.database)[0][0])

    def _cataloged(self) -> list[tuple[str, str, bool]]:
        with closing(sqlite3.connect(self.catalog)) as catalog:
            rows = catalog.execute("select home, sha256, removed_at is not null from forged_files order by home")
            return [(home, sha256, bool(removed)) for home, sha256, removed in rows]

    def _prompts_cataloged(self) -> int:
        with closing(sqlite3.connect(self.catalog)) as catalog:
            [count] = catalog.execute("select count(*) from forged_generations where prompt like 'picture %'").fetchone()
            return int(count)

    def _figures(
        self, minutes: float, home: dict[str, str], told: dict[str, list[Told]], every: set[Told], strange: int
    ) -> Figures:
        return Figures(
            minutes=round(minutes, 1),
            kills=self.kills,
            kills_of_children_alone=self.alone,
            restarts=dict(self.misbehaviour.restarts),
            locks=self.misbehaviour.locked,
            misdeeds={one.name: dict(one.misdeeds()) for one in self.receivers},
            files_home=len(home),
            files_removed=sum(one.kind == "file_removed" for one in every),
            events=len(every),
            told={name: len(lines) for name, lines in told.items()},
            told_again={name: len(lines) - len(set(lines)) for name, lines in told.items()},
            landed_and_not_remembered=strange,
            missing=0,
        )


def out_of_order(lines: Sequence[Told]) -> list[str]:
    """Files of which an event came before an earlier one had, or whose last word is not the last."""
    ids_of: dict[str, list[int]] = defaultdict(list)
    for one in lines:
        ids_of[one.home].append(one.id)
    return [f"{home}: {ids}" for home, ids in ids_of.items() if [*dict.fromkeys(ids)] != sorted({*ids}) or ids[-1] != max(ids)]
