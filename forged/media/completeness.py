"""Is a media file whole, by what its container says of its end? Headers and tails are read; nothing is decoded.

Half of what settles a file (DESIGN section 9): most generators write straight to the final name, and a file that rests for two
seconds may still be half a film. The other half is that it stays unchanged, because room that was reserved and filled only in
part is seen for PNG, JPEG, GIF, FLAC and most WebP, and not for MP4 with `moov` in front, AVIF, WebM and Ogg.
"""

from __future__ import annotations

from collections.abc import Callable

from forged.media.containers import bmff, flac, gif, glb, jpeg, matroska, mp3, ogg, png, riff
from forged.media.containers.reader import HEAD_BYTES, OutOfSteps, Reader
from forged.model.transfer import Wholeness

# By how often they are seen; no two claim the same file, except MP3, whose magic is the weakest and comes last.
_CONTAINERS: tuple[tuple[Callable[[bytes], bool], Callable[[Reader], Wholeness]], ...] = (
    (png.claims, png.inspect),
    (jpeg.claims, jpeg.inspect),
    (riff.claims, riff.inspect),
    (bmff.claims, bmff.inspect),
    (gif.claims, gif.inspect),
    (matroska.claims, matroska.inspect),
    (ogg.claims, ogg.inspect),
    (flac.claims, flac.inspect),
    (glb.claims, glb.inspect),
    (mp3.claims, mp3.inspect),
)


def inspect(fd: int, size_bytes: int) -> Wholeness:
    """WHOLE: the announced end is there. BROKEN: it is missing. UNKNOWN: the format does not tell, or is none of ours.

    Known by content, never by name: an empty file, a text, a log are UNKNOWN; the first bytes of a PNG are BROKEN. Never trusts
    a length: time and memory stay bounded for hostile bytes, and a file of too many steps is UNKNOWN (`reader.MAX_STEPS`). Blocks
    on the disk for mostly under 100 µs, for a JPEG as long as reading it takes: call it in a thread. Raises OSError when the
    disk is in trouble.
    """
    reader = Reader(fd, size_bytes)
    try:
        head = reader.at(0, HEAD_BYTES)
        return next((check(reader) for claims, check in _CONTAINERS if claims(head)), Wholeness.UNKNOWN)
    except OutOfSteps:
        return Wholeness.UNKNOWN
