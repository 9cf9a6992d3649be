"""Reading a secret at the moment of its use. How secrets stay out of what is shown: kit/masking."""

from __future__ import annotations

from forged.model.errors import ConfigError
from forged.model.settings import Secret

MAX_SECRET_BYTES = 65_536
"""A key or an address is far shorter; a secret file that is larger is the wrong file."""


def reveal(secret: Secret) -> str:
    """The secret itself, read from its file at this moment, without the line end that editors leave. Raises ConfigError."""
    if secret.text is not None:
        return secret.text
    if secret.file is None:
        raise ConfigError(("a secret is given neither as text nor as a file",))
    try:
        with secret.file.open("rb") as file:
            raw = file.read(MAX_SECRET_BYTES + 1)
        text = raw.decode().strip()
    except OSError as e:
        raise ConfigError((f"{secret.file}: it cannot be read: {e.strerror}; check the path and its permissions",)) from e
    except UnicodeDecodeError:
        raise ConfigError((f"{secret.file}: this is not UTF-8 text: is it the right file?",)) from None
    if not text or len(raw) > MAX_SECRET_BYTES:
        raise ConfigError((f"{secret.file}: it is empty or far too large for a secret: is it the right file?",))
    return text
