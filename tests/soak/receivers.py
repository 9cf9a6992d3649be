"""Those who are told of files, of every kind that forged knows: each misbehaves as it is told, and keeps a ledger on disk.

A line of a ledger is `[id, kind, home, sha256]`, written in one go; one that a kill has cut off was not taken. Moods are read anew
for each delivery; whoever hangs does so until the mood is another.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.http_server import Close, CutInTheMiddle, Hang, Html, Redirect, Reply, Request, http_server_aside
from tests.support.postgres import PostgresServer

WELL = "well"

WEBHOOK = ("answers 500", "keeps and answers 500", "hangs", "keeps and hangs", "lies", "closes", "redirects", "answers 429")
COMMAND = ("exits 1", "keeps and exits 1", "hangs", "is killed", "keeps and is killed", "is slow", "reads nothing")
PYTHON = ("raises", "blocks", "exits", "keeps and exits", "keeps half and raises", "says no", "is slow")
DATABASE = ("fast", "fast", "immediate", "immediate", "killed", "frozen", "connections ended")

PROGRAM = """
import json, os, sys, time
folder = sys.argv[1]
def mood():
    with open(folder + "/mood") as file: return file.read()
def keep(path, text):
    fd = os.open(folder + path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode())
now = mood()
if now != "well": keep("/misdeeds", now + "\\n")
if now == "exits 1": sys.exit("the disk is full")
if now == "reads nothing": os.close(0); sys.exit(1)
events = [json.loads(line) for line in sys.stdin]
while now == "hangs" == mood(): time.sleep(0.05)
if now == "hangs": sys.exit("it took too long")
if now == "is slow": time.sleep(0.7)
if now == "is killed": os.kill(os.getpid(), 9)
files = [one for one in events if one["kind"].startswith("file_")]
keep("/ledger", "".join("\\n" + json.dumps([one["id"], one["kind"], one["data"]["home"], one["data"]["sha256"]]) for one in files))
if now == "keeps and is killed": os.kill(os.getpid(), 9)
if now == "keeps and exits 1": sys.exit("it is kept, but")
"""

CLASS = """
import json, os, pathlib, time
HERE = pathlib.Path(__file__).parent
def mood(): return (HERE / "mood").read_text()
def keep(path, text):
    fd = os.open(HERE / path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(fd, text.encode())
    os.close(fd)
def write(events):
    keep("ledger", "".join("\\n" + json.dumps([one.id, one.event.value, one.file_path, one.file_hash]) for one in events))
def take(events):
    now = mood()
    if now != "well": keep("misdeeds", now + "\\n")
    if now == "raises": raise RuntimeError("the disk is full")
    if now == "exits": os._exit(3)
    if now == "says no": return False
    while now == "blocks" == mood(): time.sleep(0.05)
    if now == "blocks": raise TimeoutError("it took too long")
    if now == "is slow": time.sleep(0.7)
    write(events[:len(events) // 2] if now == "keeps half and raises" else events)
    if now == "keeps and exits": os._exit(0)
    if now == "keeps half and raises": raise RuntimeError("half of it")
class Own:
    def on_batch_synced(self, events): return take(events)
    def on_file_removed(self, event): return take([event])
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A line of a ledger."""

    id: int
    kind: str
    home: str
    sha256: str


class Receiver:
    """A handler's other side, in a folder of its own."""

    def __init__(self, folder: Path, name: str, moods: Sequence[str]) -> None:
        self.folder, self.name, self.moods = folder / name, name, moods
        self.folder.mkdir()
        self.is_in(WELL)

    def is_in(self, mood: str) -> None:
        """A mood, from now on."""
        fresh = self.folder / "mood.new"
        fresh.write_text(mood)
        fresh.replace(self.folder / "mood")

    @property
    def mood(self) -> str:
        return (self.folder / "mood").read_text()

    def misdeeds(self) -> Counter[str]:
        with suppress(FileNotFoundError):
            return Counter((self.folder / "misdeeds").read_text().split("\n")[:-1])
        return Counter()

    def told(self) -> list[Told]:
        """In the order in which it came."""
        try:
            lines = (self.folder / "ledger").read_text().split("\n")
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with suppress(json.JSONDecodeError):
                found.append(Told(*json.loads(line)))
        return found

    def keep(self, name: str, text: str) -> None:
        fd = os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(fd, text.encode())
        os.close(fd)


class Program(Receiver):
    """`command`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "program", COMMAND)
        (self.folder / "program.py").write_text(PROGRAM)

    @property
    def table(self) -> str:
        command = json.dumps([sys.executable, "-S", str(self.folder / "program.py"), str(self.folder)])
        return f'type = "command"\ncommand = {command}\ntimeout = "5s"'


class Class(Receiver):
    """`python`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "own", PYTHON)
        (self.folder / "soak_own.py").write_text(CLASS)

    @property
    def table(self) -> str:
        return 'type = "python"\nhandler = "soak_own:Own"\ntimeout = "5s"'


class Site(Receiver):
    """`webhook`; answers as long as it is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "site", WEBHOOK)
        self.url = ""

    @contextmanager
    def open(self) -> Iterator[None]:
        with http_server_aside(self.answer) as server:
            self.url = server.url
            yield

    @property
    def table(self) -> str:
        return f'type = "webhook"\nurl = "{self.url}/hook"\ntimeout = "1s"'

    def answer(self, request: Request) -> Reply:
        mood = self.mood
        if mood != WELL:
            self.keep("misdeeds", f"{mood}\n")
        if mood in (WELL, "lies") or mood.startswith("keeps"):
            files = [one for one in json.loads(request.body)["events"] if one["kind"].startswith("file_")]
            lines = [json.dumps([one["id"], one["kind"], one["data"]["home"], one["data"]["sha256"]]) for one in files]
            self.keep("ledger", "".join(f"\n{line}" for line in lines))
        replies: dict[str, Callable[[], Reply]] = {
            "answers 500": lambda: Html(500),
            "keeps and answers 500": lambda: Html(500),
            "hangs": Hang,
            "keeps and hangs": Hang,
            "lies": lambda: CutInTheMiddle(200, b'{"ok": tru'),
            "closes": Close,
            "redirects": lambda: Redirect("http://127.0.0.1:9/"),
            "answers 429": lambda: Html(429),
        }
        return replies.get(mood, Reply)()


class Misbehaviour(threading.Thread):
    """Everybody's moods change, PostgreSQL is restarted, and somebody looks into the catalog, until all is well again."""

    def __init__(self, receivers: Sequence[Receiver], server: PostgresServer, catalog: Path, seed: int) -> None:
        super().__init__(name="misbehaviour", daemon=True)
        self._receivers, self._server, self._catalog, self._chance = receivers, server, catalog, random.Random(seed)
        self._ended = threading.Event()
        self.restarts = Counter[str]()
        self.locked = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        self.start()
        try:
            yield
        finally:
            self._ended.set()
            self.join()

    def run(self) -> None:
        next_s = time.monotonic() + self._chance.uniform(1, 4)
        while not self._ended.wait(self._chance.uniform(0.1, 1.0)):
            for one in self._receivers:
                one.is_in(self._chance.choice(one.moods) if self._chance.random() < 0.6 else WELL)
            if self._chance.random() < 0.1:
                self._lock()
            if time.monotonic() > next_s:
                self._disturb(self._chance.choice(DATABASE))
                next_s = time.monotonic() + self._chance.uniform(2, 8)
        for one in self._receivers:
            one.is_in(WELL)

    def _disturb(self, how: str) -> None:
        self.restarts[how] += 1
        if how == "connections ended":
            self._server.sql("select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()")
            return
        if how == "frozen":
            self._server.freeze()
            self._ended.wait(self._chance.uniform(0.1, 2.0))
            self._server.freeze(False)
            return
        if how == "killed":
            self._server.kill()
        else:
            self._server.stop(how)
        self._ended.wait(self._chance.uniform(0.0, 2.0))
        self._server.start()

    def _lock(self) -> None:
        """As a person's sqlite3 shell."""
        if not self._catalog.exists():
            return
        with closing(sqlite3.connect(self._catalog, isolation_level=None)) as shell, suppress(sqlite3.OperationalError):
            shell.execute("begin immediate")
            self.locked += 1
            self._ended.wait(self._chance.uniform(0.0, 0.5))
            shell.execute("rollback")
