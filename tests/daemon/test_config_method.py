"""`daemon.config`: pages of the configuration in force."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forged.control.errors import InvalidParams
from forged.daemon.methods_config import ROOM_BYTES, ConfigMethods
from forged.model import rpc
from tests.config.loading import TARGET, loaded


@dataclass
class Daemon:
    """What a start and reloads of this text answer."""

    folder: Path
    text: str
    methods: ConfigMethods = field(init=False)

    def __post_init__(self) -> None:
        self.reload(self.text)
        self.methods = ConfigMethods(lambda: self.config)

    def reload(self, text: str) -> None:
        self.config = loaded(text, self.folder)

    async def all(self, limit: int = 1_000) -> list[rpc.ConfigValue]:
        """Over as many pages as it takes."""
        values: list[rpc.ConfigValue] = []
        cursor = None
        while True:
            page = await self.methods.config(limit, cursor)
            assert len(page["values"]) <= limit
            values += page["values"]
            if (cursor := page["next_cursor"]) is None:
                return values

    async def value(self, key: str) -> tuple[object, str]:
        """The value, and the end of its origin."""
        (found,) = [one for one in await self.all() if one["key"] == key]
        return found["value"], found["origin"].rpartition("/")[2]


async def test_pages_of_any_size_add_up_to_the_whole(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, TARGET)
    whole = await daemon.all()
    assert [one["key"] for one in whole] == [one.key for one in daemon.config.effective]
    for limit in (1, 7, len(whole) - 1, len(whole), len(whole) + 1):
        assert await daemon.all(limit) == whole


async def test_values_are_what_json_knows(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, TARGET + 'include = ["*.png"]\n')
    assert json.loads(json.dumps(await daemon.all())) == await daemon.all()
    assert await daemon.value("target.studio.include") == (["*.png"], "forged.toml:5")
    assert await daemon.value("target.studio.verify") == (True, "default")
    assert await daemon.value("target.studio.group") == (None, "default")
    assert (await daemon.methods.config())["path"] == str(tmp_path / "forged.toml")


async def test_a_page_of_the_largest_values_fits_into_an_answer(tmp_path: Path) -> None:
    many = ", ".join(f"'{n:03}{'é' * 4_000}'" for n in range(200))
    daemon = Daemon(tmp_path, TARGET + f"exclude = [{many}]\ninclude = [{many}]\n")
    for cursor in range(0, 40):
        page = await daemon.methods.config(cursor=str(cursor))
        assert len(json.dumps(page["values"], ensure_ascii=False).encode()) < 2**20 - 1_000
    assert await daemon.all() == await daemon.all(1)
    assert ROOM_BYTES < 2**20


async def test_a_reload_shows_at_once_what_it_put_in_force_and_not_what_needs_a_restart(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path, '[daemon]\nsocket = "old"\nlog_level = "info"\n')
    daemon.reload('# a remark\n[daemon]\nsocket = "new"\nlog_level = "debug"\nmetrics = ""\n[state]\nurl = "postgresql://h/d"\n')
    assert await daemon.value("daemon.socket") == (str(tmp_path / "old"), "forged.toml:2")
    assert await daemon.value("daemon.log_level") == ("debug", "forged.toml:4")
    assert await daemon.value("daemon.metrics") == ("127.0.0.1:9750", "default")
    assert await daemon.value("state.url") == ("sqlite", "default")


@pytest.mark.parametrize("cursor", ["", "x", "-1", "١", "9" * 30])
async def test_a_cursor_that_is_none_of_ours_is_refused(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(InvalidParams):
        await Daemon(tmp_path, "").methods.config(cursor=cursor)


async def test_behind_the_end_there_is_nothing(tmp_path: Path) -> None:
    page = await Daemon(tmp_path, "").methods.config(cursor="999999")
    assert (page["values"], page["next_cursor"]) == ([], None)
