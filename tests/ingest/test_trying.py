"""What `forged check --connect` is told of handlers that would take nothing: its cause and its cure, and nothing is sent."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from forged.daemon.bodies import handler_of
from forged.kit.clock import SystemClock
from forged.model.errors import IngestError
from forged.model.settings import (
    CommandIngest,
    Handler,
    IngestSettings,
    PostgresIngest,
    PythonIngest,
    Secret,
    SqliteIngest,
    WebhookFormat,
    WebhookIngest,
)
from tests.support.http_server import Reply, http_server
from tests.support.postgres import PostgresServer, postgres_server


async def told(handler: Handler) -> str:
    async with aclosing(handler_of(IngestSettings("own", handler), SystemClock())) as made:
        return await made.try_out()


async def refused(handler: Handler, *words: str) -> None:
    with pytest.raises(IngestError) as error:
        await told(handler)
    assert error.value.hint
    for word in words:
        assert word in error.value.message + error.value.hint, (error.value.message, error.value.hint)


async def test_a_command(tmp_path: Path) -> None:
    script = tmp_path / "on-media"
    await refused(CommandIngest((str(script),)), "is not there", "whole path")
    script.write_text("#!/nowhere/python3\n")
    await refused(CommandIngest((str(script),)), "may not run it")
    script.chmod(0o755)
    await refused(CommandIngest((str(script),)), "/nowhere/python3, which is not there", "first line")
    script.write_text(f"#!{sys.executable} -S\nopen('{tmp_path}/ran', 'w')\n")
    assert await told(CommandIngest((str(script),))) == f"{script} can be run"
    assert "true can be run" in await told(CommandIngest(("true",)))
    assert not (tmp_path / "ran").exists()


async def test_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "archive_of_mine.py").write_text("class Archive: pass\nclass Broken:\n    def __init__(self): open('/nowhere')\n")
    await refused(PythonIngest("archive_of_mine:Archive"), "No module named 'archive_of_mine'", "PYTHONPATH")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # what $PYTHONPATH does when forged starts
    assert "can be loaded" in await told(PythonIngest("archive_of_mine:Archive"))
    await refused(PythonIngest("archive_of_mine:Achive"), "Achive")
    await refused(PythonIngest("archive_of_mine:Broken"), "/nowhere", "line 3")
    await refused(PythonIngest("no-such-entry-point"), "entry point")


async def test_a_webhook(tmp_path: Path) -> None:
    async with http_server(lambda _: Reply(405)) as server:
        assert "answers (no event was sent; HEAD: 405)" in await told(WebhookIngest(Secret(server.url)))
        secret = tmp_path / "secret"
        secret.write_text("whsec_###")
        await refused(WebhookIngest(Secret(server.url), Secret(file=secret)), "no base64")
        await refused(WebhookIngest(Secret(server.url), Secret(file=tmp_path / "none")), "none: it cannot be read")
        assert {one.method for one in server.requests} == {"HEAD"}
        url = server.url
    await refused(WebhookIngest(Secret(url + "?token=geheim")), "no connection", "check url")
    await refused(WebhookIngest(Secret("http://nobody.invalid/hook")), "no connection", "check url")
    await refused(WebhookIngest(Secret("https://ntfy.sh"), format=WebhookFormat.NTFY), "no topic")


async def test_a_catalog(tmp_path: Path) -> None:
    assert "made with the first file" in await told(SqliteIngest(tmp_path / "deep" / "catalog.db"))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    await refused(SqliteIngest(tmp_path / "file" / "catalog.db"), "may not write")
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("create table theirs (a)")
    await refused(SqliteIngest(other), "of another program")
    other.write_bytes(b"SQLite format 3\0" + os.urandom(4096))
    await refused(SqliteIngest(other), "is damaged", "replay")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "other.db"]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


async def test_a_database(server: PostgresServer) -> None:
    name = server.database()
    well = PostgresIngest(Secret(server.dsn(name)))
    assert "its tables can be made" in await told(well)
    assert server.sql("select count(*) from pg_namespace where nspname = 'forged'", name) == [["0"]], "taken back"
    await refused(PostgresIngest(Secret(server.dsn("nowhere"))), "nowhere", "createdb")
    await refused(PostgresIngest(Secret(server.dsn(name, "wrong"))), "pg_hba.conf")
    server.sql("create user reader password 'x'")
    reading = PostgresIngest(Secret(f"postgresql://reader:x@127.0.0.1:{server.port}/{name}"))
    await refused(reading, "grant create on database")
    server.stop()
    await refused(well, "check that PostgreSQL runs there")


async def test_who_lacks_the_driver_is_told_the_pip_of_this_very_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pip that is first on somebody's PATH would install it where no daemon looks."""
    monkeypatch.setitem(sys.modules, "forged.ingest.postgres_link", None)
    monkeypatch.setattr(sys, "executable", "/opt/my forged/bin/python3")
    with pytest.raises(IngestError, match="asyncpg is not installed") as error:
        await told(PostgresIngest(Secret("postgresql://forged@127.0.0.1/media")))
    assert error.value.hint.startswith("'/opt/my forged/bin/python3' -m pip install asyncpg, ")
