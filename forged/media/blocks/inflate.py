"""zlib and gzip within bounds: 256 KiB may hold 256 MiB."""

from __future__ import annotations

import zlib

from forged.media.blocks.findings import MOST_TEXT_BYTES, Findings

GZIP = 31
"""What zlib calls a stream with gzip's header (zlib.h, inflateInit2)."""


class Inflated(Exception):
    """It is broken, or becomes too large."""


def inflated(data: bytes, window_bits: int = zlib.MAX_WBITS) -> tuple[bytes, bool]:
    """The bytes, and whether the stream ended with them. Raises Inflated over MOST_TEXT_BYTES, and for what is no such stream."""
    stream = zlib.decompressobj(window_bits)
    try:
        found = stream.decompress(data, MOST_TEXT_BYTES + 1)
    except zlib.error as e:
        raise Inflated("its compression is broken") from e
    if len(found) > MOST_TEXT_BYTES:
        raise Inflated(f"it inflates to more than {MOST_TEXT_BYTES} bytes")
    return found, stream.eof


def text_bytes(findings: Findings, place: str, data: bytes) -> bytes:
    """A zlib stream's bytes, counted; empty with a problem where there is no text in it. Raises Enough."""
    try:
        found, ended = inflated(data)
    except Inflated as e:
        findings.charge(MOST_TEXT_BYTES)
        findings.problem(f"{place}: {e}")
        return b""
    findings.charge(len(found))
    if not ended:
        findings.problem(f"{place}: its compressed text has no end")
    return found
