"""The catalog is there unless somebody wants another or none, and `media.find` reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from forged.control.errors import InvalidParams
from forged.daemon.methods_find import FindMethods
from forged.ingest.catalog.handler import Sqlite
from forged.ingest.catalog.reading import Finder
from forged.model.settings import Config, DaemonSettings, IngestSettings, PythonIngest, SqliteIngest, StateSettings
from tests.ingest.contract import media, synced

STATE = Path("/var/lib/forged")
CONFIG = Config(Path("/f.toml"), DaemonSettings(STATE, Path("/s")), StateSettings(STATE / "forged.db"))


def configured(*ingests: IngestSettings) -> Config:
    return replace(CONFIG, ingests=ingests)


def test_nobody_has_to_ask_for_the_catalog() -> None:
    own = IngestSettings("own", PythonIngest("a:B"))
    config = configured(own)
    assert config.handlers == (IngestSettings("catalog", SqliteIngest(STATE / "catalog.db")), own)
    assert config.catalog == STATE / "catalog.db"
    taken = configured(replace(own, name="catalog"))
    assert len({one.name for one in taken.handlers}) == 2


def test_another_takes_its_place_and_it_can_be_switched_off() -> None:
    mine = IngestSettings("mine", SqliteIngest(Path("/srv/c.db")), targets=("a",))
    assert configured(mine).handlers == (mine,)
    assert configured(mine).catalog == Path("/srv/c.db")
    off = configured(replace(mine, handler=SqliteIngest(Path("/srv/c.db"), enabled=False)))
    assert (off.handlers, off.catalog) == ((), None)


@pytest.fixture
async def methods(tmp_path: Path) -> FindMethods:
    handler = Sqlite("catalog", SqliteIngest(tmp_path / "catalog.db"))
    await handler.deliver([synced(n, landed_at_ns=n * 10**9, media=media(n, "a fox")) for n in range(1, 6)])
    large = media(6, "many words " * 100_000 + "\x01" * 50_000)
    await handler.deliver([synced(n, landed_at_ns=n * 10**9, media=large) for n in range(6, 60)])
    await handler.aclose()
    return FindMethods(Finder(lambda: tmp_path / "catalog.db"))


async def every(methods: FindMethods, limit: int = 3, **wanted: str) -> list[str]:
    cursor, paths = None, list[str]()
    while True:
        page = await methods.find(limit=limit, cursor=cursor, **wanted)  # type: ignore[arg-type]
        paths += [file["path"] for file in page["files"]]
        if (cursor := page["next_cursor"]) is None:
            return paths


async def test_pages_hold_everything_once_newest_first_and_fit(methods: FindMethods) -> None:
    assert await every(methods) == [f"{n:05}.png" for n in range(59, 0, -1)]
    assert await every(methods, 1_000) == [f"{n:05}.png" for n in range(59, 0, -1)]
    assert await every(methods, query="fox", since="1970-01-01T01:00:03+01:00") == ["00005.png", "00004.png", "00003.png"]
    assert await every(methods, query="fox", kind="video") == []
    [file] = (await methods.find(query="fox", limit=1))["files"]
    facts = (file["landed_at"], file["home"], file["model"], file["prompt"])
    assert facts == ("1970-01-01T00:00:05.000+00:00", "/media/studio/00005.png", "sdxl", "a fox 5")


@pytest.mark.parametrize(
    "wrong", [{"since": "2026-11-23"}, {"since": "9" * 30}, {"kind": "poem"}, {"cursor": "-1"}, {"cursor": "²"}]
)
async def test_mistakes_are_told(methods: FindMethods, wrong: dict[str, str]) -> None:
    with pytest.raises(InvalidParams):
        await methods.find(**wrong)  # type: ignore[arg-type]
