"""What `forgectl config` shows: every key as it holds, and who said so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from forged.config.schema import (
    CleanupTable,
    DaemonTable,
    DiscoveredTable,
    MediaTable,
    StateTable,
    Table,
    TargetTable,
    TransferTable,
)
from forged.config.schema_extras import FinderTable, PostgresTable, WebhookTable
from forged.model.settings import Shown
from tests.config.loading import ENV, TARGET, loaded


def effective(text: str, folder: Path, env: Mapping[str, str] = ENV, *, is_root: bool = False) -> dict[str, tuple[Shown, str]]:
    """Key to (value, origin); the file is called F."""
    config = loaded(text, folder, env, is_root=is_root)
    told = {one.key: (one.value, one.origin.replace(str(folder / "forged.toml"), "F")) for one in config.effective}
    assert len(told) == len(config.effective)
    return told


EVERYTHING = (
    TARGET
    + """
  [target.cleanup]
[[ingest]]
type = "postgres"
name = "catalog"
dsn = "postgresql://me:geheim1@host/db"
[[ingest]]
type = "webhook"
name = "hook"
url = "https://host/services/geheim2"
[[discovery]]
type = "command"
name = "mine"
command = ["boxes", "--token", "geheim3", "--api-key=geheim4", "--all"]
  [discovery.target]
  source = "/out"
  dest = "/srv/found"
  [discovery.target.cleanup]
"""
)


def test_every_key_of_every_table_is_there(tmp_path: Path) -> None:
    tables: dict[str, type[Table]] = {
        "daemon": DaemonTable,
        "state": StateTable,
        "transfer": TransferTable,
        "media": MediaTable,
        "target.studio": TargetTable,
        "target.studio.cleanup": CleanupTable,
        "target.studio.media": MediaTable,
        "ingest.catalog": PostgresTable,
        "ingest.hook": WebhookTable,
        "discovery.mine": FinderTable,
        "discovery.mine.target": DiscoveredTable,
        "discovery.mine.target.cleanup": CleanupTable,
        "discovery.mine.target.media": MediaTable,
    }
    inner = {"cleanup", "media", "target"}
    keys = {f"{prefix}.{key}" for prefix, table in tables.items() for key in table.model_fields if key not in inner}
    assert set(effective(EVERYTHING, tmp_path)) == keys


def test_a_written_value_is_shown_as_written_with_its_line(tmp_path: Path) -> None:
    told = effective(TARGET + 'poll = "1h30m"\n[transfer]\nbandwidth = "08:00,5MB/s 23:00,off"\n', tmp_path)
    assert told["target.studio.poll"] == ("1h30m", "F:5")
    assert told["transfer.bandwidth"] == ("08:00,5MB/s 23:00,off", "F:7")
    assert told["target.studio.settle"] == ("2s", "default")
    assert told["daemon.socket_mode"] == ("0660", "default")
    assert told["target.studio.schedule"] == (None, "default")


def test_paths_are_absolute_and_those_of_the_surroundings_name_their_variable(tmp_path: Path) -> None:
    text = '[daemon]\nsocket = "run/s"\n' + TARGET.replace('dest = "/srv/media"\n', "")
    env = ENV | {"STATE_DIRECTORY": "/var/lib/forged:/other", "MEDIA_BASE": "/mnt/media"}
    told = effective(text, tmp_path, env)
    assert told["daemon.state_dir"] == ("/var/lib/forged", "$STATE_DIRECTORY")
    assert told["daemon.socket"] == (f"{tmp_path}/run/s", "F:2")
    assert told["target.studio.dest"] == ("/mnt/media", "$MEDIA_BASE")


@pytest.mark.parametrize(
    ("env", "is_root", "origin"),
    [
        ({"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}, False, "$HOME"),
        ({"HOME": "/h", "XDG_RUNTIME_DIR": "/r", "XDG_STATE_HOME": "/s"}, False, "$XDG_STATE_HOME"),
        ({"HOME": "/h"}, True, "default"),
    ],
)
def test_the_state_directory_says_which_rule_chose_it(tmp_path: Path, env: dict[str, str], is_root: bool, origin: str) -> None:
    assert effective("", tmp_path, env, is_root=is_root)["daemon.state_dir"][1] == origin


def test_what_the_type_of_a_target_adds_is_shown_as_the_presets(tmp_path: Path) -> None:
    told = effective(TARGET.replace("/outputs", "") + 'type = "fooocus"\nexclude = ["*.log"]\n', tmp_path)
    assert told["target.studio.source"] == ("ssh://box/workspace/Fooocus/outputs", "F:3")
    assert told["target.studio.mutable"] == (("log.html",), "preset")
    assert told["target.studio.folders"] == ((), "default")
    value, origin = told["target.studio.exclude"]
    assert isinstance(value, tuple)
    assert (value[0], value[-1], origin) == ("*.tmp", "*.log", "F:6")


def test_a_target_inherits_from_media_with_the_line_there(tmp_path: Path) -> None:
    told = effective("[media]\nxmp = false\n" + TARGET + "media.phash = true\nmedia.xmp = true\n" + _second(), tmp_path)
    assert told["target.studio.media.phash"] == (True, "F:7")
    assert told["target.studio.media.xmp"] == (True, "F:8")
    assert told["target.studio.media.thumbnails"] == (False, "default")
    assert told["target.other.media.xmp"] == (False, "F:2")


def _second() -> str:
    return TARGET.replace("studio", "other").replace("/srv/media", "/srv/other")


def test_a_target_without_cleanup_says_so(tmp_path: Path) -> None:
    told = effective(TARGET, tmp_path)
    assert told["target.studio.cleanup"] == (None, "default")
    assert "target.studio.cleanup.age" not in told
    told = effective(TARGET + 'cleanup = { age = "3h" }\n', tmp_path)
    assert told["target.studio.cleanup.age"] == ("3h", "F:5")
    assert told["target.studio.cleanup.preserve"] == (("*.important",), "default")


def test_no_secret_is_shown(tmp_path: Path) -> None:
    told = effective('[state]\nurl = "postgresql://me:geheim@host/db"\n' + EVERYTHING, tmp_path)
    assert "geheim" not in str(told)
    assert told["state.url"] == ("***", "F:2")
    assert told["ingest.catalog.dsn"][0] == told["ingest.hook.url"][0] == "***"
    assert told["discovery.mine.command"][0] == ("boxes", "--token", "***", "--api-key=***", "--all")
    assert effective(TARGET, tmp_path)["state.url"] == ("sqlite", "default")


def test_a_file_that_systemd_hands_over_is_told_as_a_credential(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("geheim")
    text = TARGET + 'identity_file = "$CREDENTIALS_DIRECTORY/key"\n'
    told = effective(text, tmp_path, ENV | {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert told["target.studio.identity_file"] == (f"{tmp_path}/key", "F:5 (credential)")


def test_a_value_that_fills_an_answer_is_shown_in_part(tmp_path: Path) -> None:
    many = ", ".join(f'"{n}.png"' for n in range(1_000))
    told = effective(TARGET + f"exclude = [{many}]\ninclude = ['{'x' * 100_000}']\n", tmp_path)
    exclude, include = told["target.studio.exclude"][0], told["target.studio.include"][0]
    assert isinstance(exclude, tuple)
    assert (len(exclude), exclude[-1]) == (101, "… and 904 more")
    assert include == ("x" * 4_096 + "…",)


def test_where_a_value_was_said_is_no_difference(tmp_path: Path) -> None:
    """A reload of a file that only moved its lines restarts no target."""
    assert loaded(TARGET, tmp_path) == loaded("# a remark\n" + TARGET, tmp_path)
