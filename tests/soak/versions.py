"""The names of versions beside (promise 2), read by somebody who shares no code with forged: `stem~<beginning of sha256>.ext`."""

from __future__ import annotations

import re

_VERSION = re.compile(r"(.*)~([0-9a-f]{8,64})((?:\.[^./]*)?)", re.DOTALL)


def unmarked(path: str) -> str:
    """The path without a version's mark, whatever content it is of."""
    match = _VERSION.fullmatch(path)
    return match[1] + match[3] if match else path


def origin(path: str, sha256: str) -> str:
    """The path at the box: a version beside carries the beginning of its own hash."""
    match = _VERSION.fullmatch(path)
    return unmarked(path) if match and sha256.startswith(match[2]) else path


def version(path: str, sha256: str) -> str:
    """The name beside, for a content whose own name is taken."""
    stem, dot, suffix = path.rpartition(".")
    return f"{stem}~{sha256[:8]}{dot}{suffix}"
