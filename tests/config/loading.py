"""Loading a text as if it were a file, in surroundings that a test names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from forged.config.load import load
from forged.model.errors import ConfigError
from forged.model.settings import Config

ENV = {"HOME": "/home/user", "XDG_RUNTIME_DIR": "/run/user/1000", "EMPTY": ""}

TARGET = '[[target]]\nname = "studio"\nsource = "ssh://box/outputs"\ndest = "/srv/media"\n'


def loaded(text: str, folder: Path, env: Mapping[str, str] = ENV, *, is_root: bool = False) -> Config:
    path = folder / "forged.toml"
    path.write_text(text)
    return load(path, env, is_root=is_root)


def mistakes(text: str, folder: Path, env: Mapping[str, str] = ENV) -> list[str]:
    """What is wrong with the text, each without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, folder, env)
    prefix = f"{folder / 'forged.toml'}:"
    assert all(problem.startswith(prefix) for problem in caught.value.problems)
    return [problem.removeprefix(prefix) for problem in caught.value.problems]
