"""The handlers of etc/doc/handlers.md, as they stand there: each is given real events, and a forged one is refused."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import aclosing
from pathlib import Path

import pytest

from forged.config.load import load
from forged.daemon.bodies import handler_of
from forged.ingest.base import Handler
from forged.kit.clock import SystemClock
from forged.model.errors import IngestRefused
from tests.config.loading import ENV
from tests.ingest.contract import homes, synced
from tests.support.daemon import until
from tests.support.sshd import free_port

PAGE = (Path(__file__).parents[2] / "etc" / "doc" / "handlers.md").read_text()

EVENTS = [synced(number) for number in (1, 2)]


def written(folder: Path) -> dict[str, Handler]:
    """The page's programs in this folder, and its tables as forged reads them, with the places of the page moved there."""
    (folder / "webhook.secret").write_text("correct horse\n")
    port = str(free_port())

    def moved(text: str) -> str:
        text = re.sub(r"/srv/media|/etc/forged|/usr/local/bin", str(folder), text).replace("8080", port)
        return text.replace("/usr/bin/env python3", sys.executable)

    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        name = re.search(r"^# (\S+)$", code, re.MULTILINE)
        assert name is not None
        (folder / name[1]).write_text(moved(code))
        (folder / name[1]).chmod(0o755)
    tables = "".join(re.findall(r"^    (\[\[ingest\]\]\n(?:    .*\n)+)", PAGE, re.MULTILINE))
    (folder / "forged.toml").write_text(moved(re.sub(r"^    ", "", tables, flags=re.MULTILINE)))
    config = load(folder / "forged.toml", ENV, is_root=False)
    return {one.name: handler_of(one, SystemClock()) for one in config.ingests}


async def test_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    async with aclosing(written(tmp_path)["prompts"]) as handler:
        assert await handler.try_out() == "archive:Archive can be loaded"
        await handler.deliver(EVENTS)
    assert (tmp_path / "prompts.txt").read_text().splitlines() == [
        f"{home}\tsdxl\ta cat {n}" for n, home in enumerate(homes(EVENTS), 1)
    ]


async def test_the_program(tmp_path: Path) -> None:
    async with aclosing(written(tmp_path)["arrived"]) as handler:
        assert await handler.try_out() == f"{tmp_path}/on-media can be run"
        await handler.deliver(EVENTS)
    assert (tmp_path / "arrived.txt").read_text().splitlines() == homes(EVENTS)


async def test_the_web_service_takes_what_is_signed_and_nothing_else(tmp_path: Path) -> None:
    handler = written(tmp_path)["notify"]
    url = re.search(r"http://\S+(?=\")", (tmp_path / "forged.toml").read_text())
    assert url is not None
    command = [sys.executable, "-u", str(tmp_path / "receiver.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as receiver:
        try:
            async with aclosing(handler):
                until(lambda: answer(url[0]) == 401)
                assert "answers (no event was sent" in await handler.try_out()
                await handler.deliver(EVENTS)
                (tmp_path / "webhook.secret").write_text("another")
                with pytest.raises(IngestRefused, match="401"):
                    await handler.deliver(EVENTS)
        finally:
            receiver.kill()
            assert receiver.stdout is not None
            told = receiver.stdout.read().splitlines()
    assert told == [f"{event.id} file_synced {event.key}" for event in EVENTS]


def answer(url: str) -> int | None:
    """Of a stranger without a signature; None: nobody listens yet."""
    try:
        with urllib.request.urlopen(url, data=b"{}") as reply:
            return int(reply.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code
    except urllib.error.URLError:
        return None
