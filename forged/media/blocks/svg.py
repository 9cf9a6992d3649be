"""SVG: what stands in `<metadata>`, and the size of the first element (W3C, SVG 2). Searched, not parsed: no entity is looked up.

ComfyUI's SaveSVG writes its JSON there as CDATA (comfy_extras/nodes_images.py).
"""

from __future__ import annotations

import re

from forged.media.blocks.findings import MOST_BLOCK_BYTES, Findings
from forged.media.blocks.text import decoded
from forged.media.containers.reader import Reader

_MOST_HEAD_BYTES = 1 << 14
"""In which the first element has to begin. Inkscape's comment in front of it has a hundred bytes."""

_MOST_METADATA = 8
"""There is one, or none."""

_BEGINS = re.compile(rb"<(?:\w{1,20}:)?svg[\s>/]")
_OPENS = re.compile(rb"<(?:\w{1,20}:)?metadata(?:\s[^<>]{0,1000})?>")
_CLOSES = re.compile(rb"</(?:\w{1,20}:)?metadata\s{0,9}>")
_SIDE = re.compile(rb"\s(width|height)\s{0,9}=\s{0,9}[\"']\s{0,9}([0-9]{1,9})(?:\.[0-9]{0,20})?\s{0,9}(?:px)?\s{0,9}[\"']")
_VIEW_BOX = re.compile(
    rb"\sviewBox\s{0,9}=\s{0,9}[\"']\s{0,9}[-+.0-9e]{1,20}[\s,]{1,9}[-+.0-9e]{1,20}[\s,]{1,9}([0-9]{1,9})[.0-9]{0,20}[\s,]{1,9}([0-9]{1,9})"
)
_BEFORE = ((b"<?", b"?>"), (b"<!--", b"-->"), (b"<!DOCTYPE", b">"))
"""How declarations and comments begin and end."""


def claims(head: bytes) -> bool:
    """May be one: it begins as XML does. `begins` says whether it is."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def begins(reader: Reader) -> int | None:
    """Where the first element begins, if that is `<svg>`; before it only declarations and comments may stand."""
    head = reader.at(0, _MOST_HEAD_BYTES)
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    while True:
        at = len(head) - len(head[at:].lstrip())
        if _BEGINS.match(head, at):
            return at
        end = next((end for start, end in _BEFORE if head.startswith(start, at)), None)
        if end == b">" and -1 < head.find(b"[", at) < head.find(b">", at):
            end = b"]>"
        found = head.find(end, at) if end else -1
        if end is None or found < 0:
            return None
        at = found + len(end)


def read(reader: Reader, findings: Findings) -> None:
    """All that lies within MOST_BLOCK_BYTES."""
    start = begins(reader) or 0
    findings.charge(min(reader.size_bytes, MOST_BLOCK_BYTES))
    data = reader.bulk(0, MOST_BLOCK_BYTES)
    _size(findings, data[start : data.find(b">", start) + 1][:_MOST_HEAD_BYTES])
    at = start
    for _ in range(_MOST_METADATA):
        opening = _OPENS.search(data, at)
        closing = _closing(data, opening.end()) if opening else None
        if opening is None or closing is None:
            return
        findings.text("svg/metadata", decoded(_without_marks(data[opening.end() : closing.start()])))
        at = closing.end()


def _closing(data: bytes, at: int) -> re.Match[bytes] | None:
    """The end of the element; what stands in CDATA does not end it."""
    while True:
        closing, marked = _CLOSES.search(data, at), data.find(b"<![CDATA[", at)
        if closing is None or not -1 < marked < closing.start():
            return closing
        end = data.find(b"]]>", marked)
        if end < 0:
            return None
        at = end + 3


def _without_marks(inside: bytes) -> bytes:
    """CDATA alone, where there is some; else all, markup included."""
    pieces = re.findall(rb"<!\[CDATA\[(.*?)\]\]>", inside, re.DOTALL)
    return b"".join(pieces) if pieces else inside.strip()


def _size(findings: Findings, element: bytes) -> None:
    """By width and height in pixels; where they are missing or in other units, by the view box."""
    sides = {name: int(number) for name, number in _SIDE.findall(element)}
    box = _VIEW_BOX.search(element)
    if len(sides) == 2:
        findings.width, findings.height = sides[b"width"], sides[b"height"]
    elif box:
        findings.width, findings.height = int(box[1]), int(box[2])
