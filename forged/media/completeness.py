"""Is a media file whole, by what its container says of its end? Headers and tails are read; nothing is decoded.

Half of what settles a file: most generators write straight to the final name, and a file that rests for two
seconds may still be half a film. The other half is that it stays unchanged, because room that was reserved and filled only in
part is seen for PNG, JPEG, GIF, FLAC and most WebP, and not for MP4 with `moov` in front, AVIF, WebM and Ogg.
"""

from __future__ import annotations

from collections.abc import Callable

from forged.media.containers import bmff, flac, gif, glb, jpeg, matroska, mp3, ogg, png, riff
from forged.media.containers.reader import HEAD_BYTES, OutOfSteps, Reader
from forged.model.transfer import Wholeness

_Family = tuple[Callable[[bytes], bool], Callable[[Reader], Wholeness]]

# The bytes that a family begins with, and the family. No two claim the same file, except MP3, whose magic is the weakest and comes
# last.
_FAMILIES: tuple[tuple[bytes, _Family], ...] = (
    (b"\x89", (png.claims, png.inspect)),
    (b"\xff", (jpeg.claims, jpeg.inspect)),
    (b"R", (riff.claims, riff.inspect)),
    (b"\0", (bmff.claims, bmff.inspect)),
    (b"G", (gif.claims, gif.inspect)),
    (b"\x1a", (matroska.claims, matroska.inspect)),
    (b"O", (ogg.claims, ogg.inspect)),
    (b"f", (flac.claims, flac.inspect)),
    (b"g", (glb.claims, glb.inspect)),
    (b"I\xff", (mp3.claims, mp3.inspect)),
)

_BEGINNING_WITH = {
    first: tuple(family for firsts, family in _FAMILIES if first in firsts) for firsts, _ in _FAMILIES for first in firsts
}
"""Most files are asked about once and by one family, or by none: nearly all of what looking at a small file costs."""


def inspect(fd: int, size_bytes: int, beginning: bytes = b"") -> Wholeness:
    """WHOLE: the announced end is there. BROKEN: it is missing. UNKNOWN: the format does not tell, or is none of ours.

    `beginning` are the first bytes of the file, as many as are at hand: they are not read again.
    Known by content, never by name: an empty file, a text, a log are UNKNOWN; the first bytes of a PNG are BROKEN. Never trusts
    a length: time and memory stay bounded for hostile bytes, and a file of too many steps is UNKNOWN (`reader.MAX_STEPS`). Blocks
    on the disk for mostly under 100 µs, for a JPEG as long as reading it takes: call it in a thread. Raises OSError when the
    disk is in trouble.
    """
    if not size_bytes:
        return Wholeness.UNKNOWN
    try:
        reader = Reader(fd, size_bytes, beginning)
        head = reader.at(0, HEAD_BYTES)
        for claims, check in _BEGINNING_WITH.get(head[0], ()) if head else ():
            if claims(head):
                return check(reader)
    except OutOfSteps:
        pass
    return Wholeness.UNKNOWN
