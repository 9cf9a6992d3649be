"""API keys: read from their files before each question, so that a new one needs no restart."""

from __future__ import annotations

import asyncio
import re
import stat
from dataclasses import dataclass, field

from forged.config.secrets import reveal
from forged.model.errors import ApiKeyUnusable, ConfigError
from forged.model.settings import Secret

_KEY = re.compile(
    r"[\x21-\x7e]+"
)  # what a Bearer header can carry (RFC 6750 allows less); the providers' are hexadecimal or base62


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it goes into a header, and what should be mended about its file."""

    text: str = field(repr=False)
    warnings: tuple[str, ...] = ()


async def read_key(secret: Secret) -> ApiKey:
    """The key, without white space around it. Raises ApiKeyUnusable, which names the file and never shows what is in it."""
    return await asyncio.to_thread(_read, secret)


def _read(secret: Secret) -> ApiKey:
    try:
        text = reveal(secret)
    except ConfigError as error:
        raise ApiKeyUnusable(error.message) from None
    where = f"{secret.file}: " if secret.file else "the API key: "
    if len(text.split()) > 1:
        raise ApiKeyUnusable(f"{where}it holds more than one word: put the API key into it, alone, on one line")
    if not _KEY.fullmatch(text):
        raise ApiKeyUnusable(f"{where}it holds a character that no API key has: was it copied whole, as plain text?")
    return ApiKey(text, _warnings(secret))


def _warnings(secret: Secret) -> tuple[str, ...]:
    if secret.file is None:
        return ()
    try:
        mode = secret.file.stat().st_mode
    except OSError:  # gone since it was read: the next question says so
        return ()
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return (f"{secret.file}: everybody on this machine may read this API key: chmod 600 {secret.file}",)
    return ()
