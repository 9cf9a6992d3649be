"""A real Prometheus for tests: own ports, own folder; ends only what it started."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.sshd import free_port

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (apt install prometheus)")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus here (apt install prometheus)")

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: forged
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

LONGEST_WAIT_S = 40.0
"""The first sample comes after some 5 s (its discovery waits that long); much longer means never."""


def complaints(page: bytes) -> str:
    """What `promtool check metrics` has to say about a page in the text format; empty = nothing."""
    assert PROMTOOL is not None
    checked = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True, timeout=30)
    return (checked.stdout + checked.stderr).decode() or ("" if checked.returncode == 0 else f"exit {checked.returncode}")


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
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        with contextlib.suppress(urllib.error.URLError):  # not ready yet
            with urllib.request.urlopen(url, timeout=10) as answer:
                result: list[dict[str, list[str]]] = json.load(answer)["data"]["result"]
                return result
        return []


@contextlib.asynccontextmanager
async def prometheus(folder: Path, scraped_port: int) -> AsyncIterator[Prometheus]:
    """A server that scrapes one page every second."""
    assert PROMETHEUS is not None
    (folder / "prometheus.yml").write_text(CONFIG.format(port=scraped_port))
    port = free_port()
    command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log, cwd=folder)
    try:
        yield Prometheus(port)
    finally:
        server.kill()
        server.wait(timeout=10)
