"""Draw Things: a JSON object as exif:UserComment, in EXIF or (PNG) inside an XMP packet."""

from __future__ import annotations

import html

from forged.media.generation import dialects, loose
from forged.media.generation.blocks import Blocks
from forged.model.media import Generation

MAX_PACKET_CHARS = 1 << 20
"""Of an XMP packet that is searched."""

XMP_KEYS = ("XML:com.adobe.xmp", "xmp")


def read(blocks: Blocks) -> Generation | None:
    """From the comment, or from the packet's comment."""
    for block in blocks.called(*XMP_KEYS):
        data = loose.mapping(user_comment(block.text) or "")
        if data is not None and dialects.DRAW_THINGS.claims(data):
            return dialects.DRAW_THINGS.read(data, block.place)
    return dialects.read(dialects.DRAW_THINGS, blocks)


def user_comment(packet: str) -> str | None:
    """The text of the first `exif:UserComment` of a packet. The packet is searched, not parsed: no entity is looked up."""
    text = packet[:MAX_PACKET_CHARS]
    begin = text.find("exif:UserComment>")
    item = text.find("<rdf:li", begin) if begin >= 0 else -1
    start, end = (text.find(">", item) + 1, text.find("</rdf:li>", item)) if item >= 0 else (0, -1)
    return html.unescape(text[start:end]) if 0 < start <= end else None
