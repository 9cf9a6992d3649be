"""What looks like a secret is not shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forged.kit.masking import masked, names_a_secret

KEY_KIND = "OPENSSH PRIVATE KEY"
KEY = f"-----BEGIN {KEY_KIND}-----\nb3BlbnNzaC1r\nZXktdjEAAAAA\n-----END {KEY_KIND}-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:pw@h/d", "postgresql://u:***@h/d"),
        ("postgresql://:pw@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:p@w/x@h/d", "postgresql://u:***@h/d"),
        ("https://h/x?token=abc&y=1", "https://h/x?token=***&y=1"),
        ("postgresql://u@h/d?sslpassword=x", "postgresql://u@h/d?sslpassword=***"),
        ("host=h password='two words' user=u", "host=h password=*** user=u"),
        ("API_KEY=abc", "API_KEY=***"),
        ('{"api_key": "two words", "x": 1}', '{"api_key": ***, "x": 1}'),
        ("Authorization: Basic dXNlcjpwdw==", "Authorization: ***"),
        ("authorization: Bearer abc.def", "authorization: ***"),
        ("sent Bearer abc.def to h", "sent Bearer *** to h"),
        ("x eyJhbGciOiJI.eyJzdWIiOiIx.SflKxw-_ y", "x *** y"),
        (f"before\n{KEY}\nafter", "before\n***\nafter"),
        (f"before {KEY[:50]}", "before ***"),
    ],
)
def test_secrets_are_masked_and_the_rest_stays(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "ssh://root@box:22/x",
        "nothing to hide",
        "the host key is SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "forged.toml:15: target.0.port: Input should be less than or equal to 65535",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ",
        "sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ],
)
def test_what_people_need_is_not_masked(text: str) -> None:
    assert masked(text) == text


@given(st.text(alphabet="abc123@:/?&=%é", min_size=6, max_size=12))
def test_no_password_of_a_url_is_shown_whatever_it_is_made_of(password: str) -> None:
    assert password not in masked(f"postgresql://user:{password}@host/database").replace("***", "")


@given(st.text())
def test_masking_twice_is_masking_once(text: str) -> None:
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize("name", ["token", "api_key", "DB_PASSWORD", "vast_api_key", "passphrase", "jupyter_token", "Set-Cookie"])
def test_names_of_secrets(name: str) -> None:
    assert names_a_secret(name)


@pytest.mark.parametrize("name", ["passphrase_file", "api_key_file", "target", "kind", "host_key", "key", "hint", "path"])
def test_names_of_what_may_be_shown(name: str) -> None:
    assert not names_a_secret(name)
