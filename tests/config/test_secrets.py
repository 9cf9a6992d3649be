"""Secrets do not show themselves, and come from files when they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from forged.config.secrets import reveal
from forged.model.errors import ConfigError
from forged.model.settings import Secret


def test_a_secret_never_shows_itself() -> None:
    assert "hunter2" not in repr(Secret("hunter2"))


def test_a_secret_file_is_read_at_the_moment_of_use(tmp_path: Path) -> None:
    secret = Secret(file=tmp_path / "key")
    for text in ("first", "second"):
        (tmp_path / "key").write_text(f"{text}\n")
        assert reveal(secret) == text


@pytest.mark.parametrize("raw", [b"", b" \n", b"\xff\xfe", b"x" * 100_000])
def test_a_file_that_holds_no_secret_is_told_by_its_name(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(raw)
    with pytest.raises(ConfigError, match="is it the right file"):
        reveal(Secret(file=tmp_path / "key"))


def test_a_secret_file_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key: it cannot be read: No such file"):
        reveal(Secret(file=tmp_path / "key"))
