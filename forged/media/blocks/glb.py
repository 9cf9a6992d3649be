"""Binary glTF: `asset` in its JSON chunk (Khronos, glTF 2.0, sections 3.3 and 4.4).

ComfyUI's SaveGLB puts prompt and workflow into `asset.extras`, as JSON in strings (comfy_extras/nodes_hunyuan3d.py).
"""

from __future__ import annotations

import msgspec

from forged.media.blocks.findings import Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_CHUNK_AT = 12


class _Asset(msgspec.Struct):
    generator: str = ""
    copyright: str = ""
    extras: dict[str, msgspec.Raw] = msgspec.field(default_factory=dict)


class _Document(msgspec.Struct):
    """What else there is, is stepped over and takes no memory."""

    asset: _Asset


def read(reader: Reader, findings: Findings) -> None:
    """The first chunk, where it is JSON and can be a text's size."""
    head = reader.at(_CHUNK_AT, 8)
    size = int.from_bytes(head[:4], "little")
    if head[4:] != b"JSON" or not findings.admits("glb/JSON", size):
        return
    try:
        asset = msgspec.json.decode(reader.bulk(_CHUNK_AT + 8, size), type=_Document).asset
        extras = {key: _text(bytes(value)) for key, value in asset.extras.items()}
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):  # the last of what was stepped over unlooked at
        findings.problem("glb: its JSON cannot be read")
        return
    for key, text in {"generator": asset.generator, "copyright": asset.copyright, **extras}.items():
        findings.text(f"glb/{key}", text)


def _text(value: bytes) -> str:
    """A string's text; of anything else the JSON."""
    return msgspec.json.decode(value, type=str) if value.startswith(b'"') else decoded(value)
