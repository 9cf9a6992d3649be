"""Safetensors: `__metadata__` in the JSON at its beginning (Hugging Face, safetensors, "Format").

ComfyUI's SaveLatent puts prompt and workflow there, each as JSON in a string (nodes.py).
"""

from __future__ import annotations

import msgspec

from forged.media.blocks.findings import Findings
from forged.media.containers.reader import Reader

_LENGTH_BYTES = 8


class _Header(msgspec.Struct):
    """The tensors beside it are stepped over and take no memory."""

    metadata: dict[str, str] = msgspec.field(name="__metadata__", default_factory=dict)


def claims(head: bytes) -> bool:
    """A length below 4 GiB, and JSON."""
    return head[4:_LENGTH_BYTES] == bytes(4) and head[_LENGTH_BYTES : _LENGTH_BYTES + 2] == b'{"'


def read(reader: Reader, findings: Findings) -> None:
    """Texts alone are allowed there."""
    size = int.from_bytes(reader.at(0, _LENGTH_BYTES), "little")
    if not findings.admits("safetensors", size):
        return
    try:
        header = msgspec.json.decode(reader.bulk(_LENGTH_BYTES, size), type=_Header)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        findings.problem("safetensors: its JSON cannot be read")
        return
    for key, text in header.metadata.items():
        findings.text(f"safetensors/{key}", text)
