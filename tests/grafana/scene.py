"""A real forged with something to show, watched by a real Prometheus: two boxes at work, one that is off, one that is held, one
that is paused, one that a discovery found and that ends soon; a handler that takes nothing, a refused reload.

What is asked of it is what a Grafana would ask.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from forged.demo.recipes import invented, parameters
from tests.grafana.panels import Look, Panel
from tests.metrics.prometheus import Prometheus, serving
from tests.support.daemon import Daemon, until
from tests.support.sshd import Sshd, free_port

RULES = Path(__file__).parents[2] / "etc" / "prometheus"
SEEN_S = 6.0
"""Of history, at least: a rate over 5 s of a page that is read every second."""

HAPPENS = ("forged_cleanup_files_total > 0", "forged_target_held == 1", "forged_media_processed_total > 5", "forged_discovery_up")

CLEANUP = '[target.cleanup]\nage = "2s"\nevery = "2s"\nmax_files_per_batch = 100\npreserve = ["*-7.png"]'
FILMS = 'bandwidth = "2MB/s"\nwatch = "off"'
"""Found by its polls, so that there are syncs that bring something."""

HELD_FILES = 12
"""More than rules/safety takes for a person's tidying up."""

BOXES = """\
import datetime
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=5)
print('{"id": "4711", "host": "127.0.0.1", "port": %d, "user": "%s", "end": "' + end.isoformat() + '"}')
print('{"count": 1}')
"""


@dataclass(slots=True)
class Scene:
    """`began_s`: since when there is something to see."""

    forged: Daemon
    prometheus: Prometheus
    began_s: float
    scrape_s: float = 1.0

    def told(self, expr: str) -> str:
        """A query as Grafana would send it, with everything chosen."""
        long_s = max(round(time.time() - self.began_s), 5)
        chosen = {"$__rate_interval": "5s", "$__range": f"{long_s}s", "$__interval": "1s", "$instance": ".*", "$target": ".*"}
        for variable, value in chosen.items():
            expr = expr.replace(variable, value)
        assert "$" not in expr, expr
        return expr

    def series(self, panel: Panel, step_s: float = 1.0) -> list[list[dict[str, Any]]]:
        """What each query of a panel answers: over all that was seen, or as it is now, as the panel asks it."""
        return [self.answer(expr, now=panel.look in (Look.TABLE, Look.BARS), step_s=step_s) for expr in panel.queries]

    def answer(self, expr: str, *, now: bool, step_s: float = 1.0) -> list[dict[str, Any]]:
        if now:
            return self.prometheus.get("query", query=self.told(expr))["result"]  # type: ignore[no-any-return]
        span = {"start": self.began_s, "end": time.time(), "step": step_s}
        return self.prometheus.get("query_range", query=self.told(expr), **span)["result"]  # type: ignore[no-any-return]


@contextlib.contextmanager
def scene(sshd: Sshd, seconds: float = SEEN_S) -> Iterator[Scene]:
    """Stands when `seconds` of it have been seen; goes on until it is left."""
    place = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="forged-g-", dir=place))
    folder.chmod(0o755)
    (folder / "p").mkdir()
    port = free_port()
    forged = House(folder, sshd, port)
    rules = [RULES / "forged.rules.yml", RULES / "forged.alerts.yml"]
    try:
        with serving(folder / "p", port, *rules) as prometheus, Maker(forged):
            forged.start()
            forged.troubles()
            prometheus.until("forged_target_up")
            began_s = time.time()
            for happened in HAPPENS:
                prometheus.until(happened)
            time.sleep(max(began_s + seconds - time.time(), 0))
            yield Scene(forged, prometheus, began_s)
    finally:
        forged.close()
        shutil.rmtree(folder, ignore_errors=True)


class House(Daemon):
    """A daemon with all of that in its configuration."""

    def __init__(self, folder: Path, sshd: Sshd, port: int) -> None:
        self.broken = ""
        super().__init__(folder, sshd, forge=CLEANUP, films=FILMS, lost="", studio="", rests="")
        self.sources["lost"] = f"ssh://{sshd.user}@127.0.0.1:{free_port()}/nothing"
        self.daemon_lines = f'metrics = "127.0.0.1:{port}"'
        self.transfer_lines = 'min_free = "1MB"\nbandwidth = "5MB/s"'
        (folder / "boxes.py").write_text(BOXES % (sshd.port, sshd.user))
        (folder / "rented").mkdir()
        (self.box("studio") / "batch").mkdir()
        for n in range(HELD_FILES):
            (self.box("studio") / "batch" / f"{n}.txt").write_bytes(b"kept")
        self.write()

    def toml(self) -> str:
        found = json.dumps([sys.executable, str(self.root / "boxes.py")])
        template = {"source": self.root / "rented", "dest": self.home("forge"), "identity_file": self.sshd.identity}
        lines = "".join(f"{key} = {json.dumps(str(value))}\n" for key, value in template.items())
        discovery = f'[[discovery]]\ntype = "command"\nname = "cloud"\nevery = "5s"\ncommand = {found}\n[discovery.target]\n{lines}'
        handlers = '[[ingest]]\ntype = "command"\nname = "broken"\ncommand = ["/bin/false"]\n'
        return f"{super().toml()}\n{discovery}\n{handlers}\n{self.broken}"

    def troubles(self) -> None:
        """A pause, a reload that is refused, one that is not, and a box whose files are all gone at once."""
        self.call("target.pause", target="rests")
        for self.broken in ("nonsense = 1", ""):
            self.write()
            self.call("daemon.reload")
        until(lambda: len(list(self.home("studio").rglob("*.txt"))) == HELD_FILES, self.log)
        (self.box("studio") / "batch").rename(self.root / "swept")  # in one step: files that go by and by are nothing to doubt


class Maker:
    """Pictures of several sizes at one box, films at another, until it is left."""

    def __init__(self, forged: Daemon) -> None:
        self._forged = forged
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._make, daemon=True)
        rng = random.Random(1)
        self._recipes = [invented(rng) for _ in range(4)]

    def __enter__(self) -> Maker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(10)

    def _make(self) -> None:
        rng, n = random.Random(2), 0
        pictures = self._pictures()
        while not self._ended.wait(0.2 + 0.3 * rng.random()):
            n += 1
            busy = 1 + round(2 * abs((n % 120) / 60 - 1))  # a program that works in bursts
            for one in range(busy):
                self._put(self._forged.box("forge") / f"{n:05}-{one}-{n % 10}.png", rng.choice(pictures) + rng.randbytes(64))
            if n % 4 == 0:
                self._put(self._forged.box("films") / f"{n:05}.bin", rng.randbytes(rng.randrange(1_000_000, 3_000_000)))

    def _pictures(self) -> Sequence[bytes]:
        made = []
        for n, recipe in enumerate(self._recipes):
            info = PngInfo()
            info.add_text("parameters", parameters(recipe))
            path = self._forged.root / f"picture{n}.png"
            recipe.paint().save(path, pnginfo=info)
            made.append(path.read_bytes())
        return made

    def _put(self, path: Path, data: bytes) -> None:
        """As such programs do it: under another name first."""
        fresh = path.with_name(f".{path.name}.tmp")
        with contextlib.suppress(OSError):
            fresh.write_bytes(data)
            fresh.rename(path)
