"""Which file is the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.config.load import find
from forged.model.errors import ConfigError


class Machine:
    """The places that are looked at, in their order."""

    def __init__(self, folder: Path) -> None:
        self.cwd, self.home, self.system = folder / "cwd", folder / "home", folder / "etc/forged"
        self.named = folder / "named.toml"
        self.places = [self.cwd / "forged.toml", self.home / ".config/forged/forged.toml", self.system / "forged.toml"]
        for place in (*self.places, self.named):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("")

    def find(self, argument: Path | None = None, **env: str) -> Path:
        return find(argument, env, self.cwd, self.home, self.system)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_first_place_that_has_a_file_wins(machine: Machine) -> None:
    for place in machine.places:
        assert machine.find() == place
        place.unlink()


def test_the_argument_wins_over_the_environment_and_both_over_the_places(machine: Machine) -> None:
    assert machine.find(FORGED_CONFIG=str(machine.named)) == machine.named
    assert machine.find(machine.places[2], FORGED_CONFIG=str(machine.named)) == machine.places[2]
    assert machine.find(FORGED_CONFIG="") == machine.places[0]


def test_a_relative_name_starts_at_the_working_directory(machine: Machine) -> None:
    assert machine.find(Path("../named.toml")).samefile(machine.named)


def test_a_named_file_that_is_missing_is_not_silently_replaced(machine: Machine) -> None:
    with pytest.raises(ConfigError, match="--config names it"):
        machine.find(Path("/nowhere.toml"))
    with pytest.raises(ConfigError, match=r"\$FORGED_CONFIG names it"):
        machine.find(FORGED_CONFIG="/nowhere.toml")


def test_without_a_file_every_place_looked_at_is_listed(machine: Machine) -> None:
    for place in machine.places:
        place.unlink()
    with pytest.raises(ConfigError) as caught:
        machine.find()
    assert all(str(place) in str(caught.value) for place in machine.places)
    assert "forged probe" in str(caught.value)
