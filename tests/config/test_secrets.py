"""Secrets stay out of what is shown, and come from files when they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.config.secrets import masked, reveal
from forged.model.errors import ConfigError
from forged.model.settings import Secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:pw@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:pw@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:p@w/x@h/d", "postgresql://u:***@h/d"),
        ("https://h/x?token=abc&y=1", "https://h/x?token=***&y=1"),
        ("postgresql://u@h/d?sslpassword=x", "postgresql://u@h/d?sslpassword=***"),
        ("API_KEY=abc", "API_KEY=***"),
        ("ssh://root@box:22/x", "ssh://root@box:22/x"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_credentials_are_masked_and_the_rest_stays(text: str, shown: str) -> None:
    assert masked(text) == shown


@given(st.text(alphabet="abc123@:/?&=%é", min_size=6, max_size=12))
def test_no_password_of_a_url_is_shown_whatever_it_is_made_of(password: str) -> None:
    assert password not in masked(f"postgresql://user:{password}@host/database").replace("***", "")


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
