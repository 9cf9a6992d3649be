"""Keeping secrets out of what is shown: the last line of defence, for texts whose origin nobody knows any more.

It masks shapes, so it masks too much rather than too little: of `sort_key=3` the 3 is lost as well.
"""

from __future__ import annotations

import re

HIDDEN = "***"

_NAME = r"(?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|private[_-]?key|credential|authorization|cookie)"

_VALUE = r"""(?:"[^"]*"|'[^']*'|[^&\s]+)"""

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A private key, also when its end was cut off (RFC 7468, OpenSSH's PROTOCOL.key).
    (re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY-----.*?(?:-----END [^\n]*|\Z)", re.DOTALL), HIDDEN),
    # The password of a URL. Greedy on purpose: of `://user:p@ss@host` nothing of the password may stay.
    (re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}://[^/@:\s]*):\S*@"), rf"\1:{HIDDEN}@"),
    # The value of a parameter that sounds like a secret: `token=...`, `X-Api-Key=...`, `password='...'`.
    (
        re.compile(rf"(?i)((?:password|passwd|pwd|secret|token|key|sig|signature|auth|credential)[\w-]{{0,60}}=){_VALUE}"),
        rf"\1{HIDDEN}",
    ),
    # The same in JSON, YAML and HTTP headers: `"api_key": "..."`, `Authorization: Basic ...`.
    (re.compile(rf"(?i)({_NAME}[\w-]{{0,60}}[\"']?: ?)(?:(?:basic|bearer) )?{_VALUE}"), rf"\1{HIDDEN}"),
    (re.compile(r"(?i)\b(bearer) [\w.~+/=-]+"), rf"\1 {HIDDEN}"),
    # JSON Web Tokens (RFC 7519): three parts of base64url, the first two being JSON objects.
    (re.compile(r"\beyJ[\w-]{5,}\.eyJ[\w-]{5,}\.[\w-]*"), HIDDEN),
)

_SECRET_NAME = re.compile(rf"(?i){_NAME}(?!.*_file$)")


def masked(text: str) -> str:
    """`text` without what looks like a secret: passwords of URLs, named tokens and keys, private keys; `***` in their places."""
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return text


def names_a_secret(name: str) -> bool:
    """Whether a value of this name must not be shown, whatever it looks like. `..._file` names a file, not a secret."""
    return _SECRET_NAME.search(name) is not None
