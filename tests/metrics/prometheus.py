"""A real Prometheus for tests: own ports, own folder; ends only what it started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.sshd import free_port

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (apt install prometheus)")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus here (apt install prometheus)")

CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: {rules}
scrape_configs:
  - job_name: forged
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

LONGEST_WAIT_S = 80.0
"""The first sample comes after some 5 s (its discovery waits that long); much longer, on a busy machine too, means never."""


def complaints(page: bytes) -> str:
    """What `promtool check metrics` has to say about a page in the text format; empty = nothing."""
    assert PROMTOOL is not None
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, timeout=30)
    return (checked.stdout + checked.stderr).decode() or ("" if checked.returncode == 0 else f"exit {checked.returncode}")


def promtool(*arguments: str) -> tuple[int, str]:
    """Its exit status, and all it says."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=100)
    return done.returncode, done.stdout + done.stderr


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    port: int

    async def value(self, query: str) -> float:
        """The one value of a query, as soon as there is one."""
        async with asyncio.timeout(LONGEST_WAIT_S):
            while not (result := await asyncio.to_thread(self._ask, query)):
                await asyncio.sleep(0.2)
        assert len(result) == 1, result
        return float(result[0]["value"][1])

    def _ask(self, query: str) -> list[dict[str, list[str]]]:
        with contextlib.suppress(urllib.error.URLError):  # not ready yet
            return self.get("query", query=query)["result"]  # type: ignore[no-any-return]
        return []

    def get(self, what: str, **parameters: str | float) -> Any:
        """The data of an answer of its HTTP API (/api/v1). AssertionError with its words for a query that is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{what}?" + urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            if refused.code == 503:
                raise  # not ready yet, as no connection is
            raise AssertionError(f"{parameters}: {refused.read().decode()}") from refused

    def until(self, query: str, within_s: float = LONGEST_WAIT_S) -> list[Any]:
        """Waits until a query answers something."""
        deadline_s = time.monotonic() + within_s
        while not (found := self._ask(query)):
            assert time.monotonic() < deadline_s, f"waited in vain for {query}"
            time.sleep(0.2)
        return found


@contextlib.contextmanager
def serving(folder: Path, scraped_port: int, *rules: Path) -> Iterator[Prometheus]:
    """A server that scrapes one page every second, and works out these files of rules as often."""
    assert PROMETHEUS is not None
    (folder / "prometheus.yml").write_text(CONFIG.format(port=scraped_port, rules=json.dumps([str(path) for path in rules])))
    port = free_port()
    command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder)
    try:
        yield Prometheus(port)
    finally:
        server.kill()
        server.wait(timeout=10)


@contextlib.asynccontextmanager
async def prometheus(folder: Path, scraped_port: int) -> AsyncIterator[Prometheus]:
    """The same, for a test that runs on a loop."""
    with serving(folder, scraped_port) as server:
        yield server
