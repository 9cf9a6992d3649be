"""Everything that a daemon lives through in a year, in a hurry: each of these is a thread that does one thing over and over."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
from collections import Counter
from contextlib import suppress
from http.client import HTTPException

from forged.model.errors import ForgedError
from tests.support.daemon import Daemon
from tests.support.sshd import Sshd

NAMES = 150
"""Files of one box: the same names again and again, so that what is remembered of them has an end."""


MOST_WAITING = 10
"""Jobs that are not done yet; on a busy machine more would only pile up."""


class Load(threading.Thread):
    """Does `once` over and over, with a pause, until it is ended. `done` counts; what goes wrong in `once` ends it and is kept."""

    pause_s = 0.0

    def __init__(self, house: Daemon, seed: int = 1) -> None:
        super().__init__(name=type(self).__name__, daemon=True)
        self.house, self.chance = house, random.Random(seed)
        self.done = Counter[str]()
        self.error: BaseException | None = None
        self._ended = threading.Event()

    def once(self) -> None:
        """One round of it."""
        raise TypeError(f"{type(self).__name__} does not say how")

    def run(self) -> None:
        try:
            while not self._ended.wait(self.pause_s):
                self.once()
        except BaseException as error:
            self.error = error

    def end(self) -> None:
        self._ended.set()
        self.join()
        if self.error is not None:
            raise self.error


CONTENTS = (b"one" * 300, b"another" * 500)
"""Of all files, whatever their names: what comes home lies there under its name or beside, so that home has an end as well."""


class Churn(Load):
    """A box where files are made, rewritten, renamed and removed all the time, and where more come and go that nobody wants."""

    pause_s = 0.05

    def __init__(self, house: Daemon, box: str, seed: int) -> None:
        super().__init__(house, seed)
        self._box = house.box(box)

    def once(self) -> None:
        for _ in range(10):
            self._noise()
        file = self._box / f"folder{self.chance.randrange(5)}" / f"{self.chance.randrange(NAMES)}.bin"
        file.parent.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # forged removes, too
            if self.chance.random() < 0.2:
                file.unlink()
            elif self.chance.random() < 0.2:
                file.rename(file.with_name(f"{self.chance.randrange(NAMES)}.bin"))
            else:
                file.write_bytes(self.chance.choice(CONTENTS))
            self.done["changes"] += 1

    def _noise(self) -> None:
        """As the programs' own temporary files: made, renamed, gone. Three notices of the kernel, and nothing to bring."""
        file = self._box / f"{self.chance.randrange(1_000)}.tmp"
        file.write_bytes(b"")
        file.rename(file.with_suffix(".tmp2")).unlink()
        self.done["changes"] += 3


class Calls(Load):
    """A client that connects, asks a lot in batches, and goes away; now and then without waiting for the answers."""

    METHODS: tuple[tuple[str, dict[str, object]], ...] = (
        ("daemon.status", {}),
        ("target.list", {}),
        ("target.status", {"target": "box"}),
        ("sync.list", {"limit": 20}),
        ("sync.active", {}),
        ("manifest.list", {"target": "box", "limit": 20}),
        ("daemon.config", {}),
        ("sync.status", {"job_id": "nobody"}),
        ("no.method", {}),
        ("transfer.limit", {}),
    )
    BATCH, BATCHES = 50, 6
    pause_s = 0.02

    def once(self) -> None:
        with socket.socket(socket.AF_UNIX) as connection, suppress(ConnectionError, TimeoutError):
            connection.settimeout(120)
            connection.connect(self.house.control)
            with connection.makefile("rb") as answers:
                for _ in range(self.BATCHES):
                    asked = [self.chance.choice(self.METHODS) for _ in range(self.BATCH)]
                    batch = [{"jsonrpc": "2.0", "id": n, "method": m, "params": p} for n, (m, p) in enumerate(asked)]
                    connection.sendall(json.dumps(batch).encode() + b"\n")
                    if self.chance.random() < 0.05:
                        return
                    assert len(json.loads(answers.readline())) == self.BATCH
                    self.done["calls"] += self.BATCH


class Syncs(Load):
    """People who sync by hand and listen for a while, and a Prometheus."""

    pause_s = 0.1

    def once(self) -> None:
        with self.house.client(120) as client, suppress(ForgedError):
            client.call("events.subscribe")
            client.call("sync.subscribe")
            for _ in range(self.chance.randrange(1, 12)):
                if len(client.call("sync.active")["jobs"]) < MOST_WAITING:
                    client.call("sync.start", target=self.chance.choice(["box", *["still"] * 9]))
                    self.done["jobs"] += 1
            for _ in client.notifications(self.chance.random()):
                self.done["events"] += 1
        with suppress(OSError, HTTPException):  # the page has a patience of 10 s, and a busy machine may need more
            self.house.page()
            self.done["calls"] += 1


class Steers(Load):
    """People who clean up, verify, pause and go on."""

    pause_s = 2.0

    def once(self) -> None:
        with self.house.client(120) as client, suppress(ForgedError):
            for method, target in (("cleanup.run", "box"), ("target.verify", "still"), ("target.pause", "local")):
                client.call(method, target=target)
                client.call("target.resume", target=target)
                self.done["calls"] += 2


class Reloads(Load):
    """An owner who edits: a target comes, goes, changes; some files have mistakes."""

    pause_s = 1.5

    def once(self) -> None:
        targets = self.house.targets
        if "guest" in targets:
            del targets["guest"]
        else:
            targets["guest"] = f'poll = "{self.chance.randint(1, 9)}s"'
        self.house.write()
        if self.chance.random() < 0.2:
            with self.house.config.open("a") as file:
                file.write("\n[[mistake")
        assert self.house.process is not None
        self.house.process.send_signal(signal.SIGHUP)
        self.done["reloads"] += 1


class Cuts(Load):
    """A line that breaks: the server's processes for one connection are ended."""

    pause_s = 60.0

    def __init__(self, house: Daemon, sshd: Sshd) -> None:
        super().__init__(house)
        self._sshd = sshd

    def once(self) -> None:
        if children := self._sshd.children():
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(children), signal.SIGKILL)
            self.done["cuts"] += 1


def local_source(house: Daemon, name: str) -> None:
    """Makes this target one that reads a folder of this machine."""
    house.sources[name] = str(house.box(name))
