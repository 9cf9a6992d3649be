"""What a name of the source becomes at home, and back again.

A name at home is the name at the source, except where it would hurt: then single characters are written as `%XX`, one for each
byte, in upper case. `%` itself is written `%25` only where two upper-case hex digits follow it, so `100%.png` stays readable
and every name still has exactly one way back. Unicode is never normalised: NFC and NFD names stay the bytes they are.

Some names belong to forged in both modes, on every level of the tree (one destination may lie inside another):

- `.forged`, the folder of markers and staging, in any case, and `FORGED~1`, by which a Windows server would find it as well;
- `<file>.xmp`, the sidecar of a file. A source's own `x.png.xmp` lands as `x.png~source.xmp`, and every other `*.xmp` likewise,
  because `x` may be a file too. That no other name ends in `~source` makes both unmistakable: exiftool never opens the wrong one.
  Nor does `x.png.xmp.`, which FAT and SMB would take for the same name: it lands as `x.png.xmp%2E`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forged.model.errors import BadPath
from forged.model.paths import MAX_COMPONENT_BYTES, MAX_PATH_BYTES, HomePath, SourcePath, below, home_path, source_path
from forged.model.target import NamesMode

MAX_HOME_BYTES = MAX_PATH_BYTES - 512
"""Longest path `path_to_home` gives. What is left is for the destination's own path, a version's mark and `.xmp`."""

_SHORT_HASH_HEX = 16
"""64 bits tell shortened names apart. A collision would cost nothing: the second file lands as a version."""

_VERSION_HEX = (8, 16, 64)
"""Eight digits (`stem~1a2b3c4d.ext`), then more; the whole sha256 cannot be taken by other content."""

MARK_BYTES = 1 + _VERSION_HEX[-1]
"""So much longer than the wanted name a version's may be."""

# Each match is the one character that has to be escaped; the rest of the name only gives it away. `.` and `..` cannot come from a
# SourcePath, but a layout could put them together.
_OURS = r"\A(?=\.\.?\Z|\.forged\Z)\.|\A(?=forged~[0-9]\Z)f|~(?=source\Z)|(?<=\.xmp)[. ](?=[. ]*\Z)"

# `%` where it could be taken for an escape.
_AMBIGUOUS = r"%(?=(?-i:[0-9A-F]{2}))"

# C0, DEL and C1 (a terminal obeys U+009B as it obeys ESC [), then Unicode's format characters, which reorder or hide what a person
# reads. The ranges are written out, since unicodedata grows with Python and a name must not change with it. Last: bytes that are
# not UTF-8, as surrogateescape shows them.
_UNSEEN = (
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\udc80-\udcff]"
)

# What Windows, SMB, NTFS and exFAT refuse: Microsoft, "Naming Files, Paths, and Namespaces". Trailing dots and spaces are dropped
# there without a word, and a device name is one with any extension, too.
_WINDOWS = r'[<>:"\\|?*]|[. ]\Z|\A(?=(?:CON|PRN|AUX|NUL|COM[0-9¹²³]|LPT[0-9¹²³]) *(?:\.|\Z))[CPANL]'

# Most names mean nothing to anybody and stay as they are. Seen at once, they cost a tenth; a test holds the two ways equal.
_PLAIN = re.compile(
    rb"(?!(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z))[A-Za-z0-9_-][A-Za-z0-9._-]{0,249}\Z(?<!\.)(?<!\.(?i:xmp))"
)

_RESERVED = re.compile(_OURS, re.IGNORECASE)
_ESCAPED = {
    NamesMode.EXACT: re.compile(f"{_AMBIGUOUS}|{_OURS}", re.IGNORECASE),
    NamesMode.PORTABLE: re.compile(f"{_AMBIGUOUS}|{_OURS}|{_UNSEEN}|{_WINDOWS}", re.IGNORECASE),
}

_QUOTED = re.compile(rb"%([0-9A-F]{2})")
_SIDECAR = re.compile(rb"(?=\.xmp\Z)", re.IGNORECASE)
_SOURCE_SIDECAR = re.compile(rb"~source(?=\.xmp\Z)", re.IGNORECASE)

# The ending that a shortened name and a version keep: the last suffix. A name that begins with its only dot has none, and 32 bytes
# after a dot are a sentence rather than a suffix.
_SUFFIX = re.compile(rb"~source\.xmp\Z|(?!\A)\.[^.]{1,32}\Z", re.IGNORECASE)

# What a shortened name looks like; the cut may lose the four bytes of a last character.
_SHORTENED = re.compile(rb"(?s:.{200,})~[0-9a-f]{16}(?:~source\.xmp|\.[^.]{1,32})?\Z", re.IGNORECASE)
_SHORTENED_FROM_BYTES = MAX_COMPONENT_BYTES - 4

# Half of an escape or of a UTF-8 character, as a cut may leave it. A whole last character may go as well; nobody will miss it.
# Never more than four bytes: in EXACT a name need not be UTF-8, and one cut further would no longer look shortened.
_RAGGED = re.compile(rb"(?:%[0-9A-F]?|[\xc0-\xff][\x80-\xbf]{0,3})\Z")


def to_home(component: bytes, mode: NamesMode) -> bytes:
    """The name at home of one component of a path: at most 255 bytes, never `.`, `..` or one of forged's own. Total.

    `PORTABLE` is also UTF-8 without control or format characters, and possible on Windows file systems. `EXACT` keeps every
    byte of every name that is not forged's own. A name that gets too long is cut to `<beginning>~<hash><.ext>`.
    """
    if _PLAIN.match(component):
        return component
    return _fitting(_quote(_SIDECAR.sub(b"~source", component, count=1), mode), component)


def from_home(component: bytes, mode: NamesMode) -> bytes | None:
    """The component that `to_home` turned into this one.

    None where there is no way back by the name alone: names that are or look shortened (only the manifest knows), forged's own
    sidecars, and names that forged never gives. A version's name is taken for a name of the source; the manifest knows better.
    """
    if len(component) >= _SHORTENED_FROM_BYTES and _SHORTENED.match(component):
        return None
    raw = _SOURCE_SIDECAR.sub(b"", _unquote(component, mode), count=1)
    return raw if to_home(raw, mode) == component else None


def path_to_home(path: bytes, mode: NamesMode) -> HomePath:
    """`to_home` for each component; empty ones are dropped. At most MAX_HOME_BYTES: inner folders of a longer path are left out
    and its name is marked with a hash of all of it. Raises BadPath only for a path of no components, or with NUL in EXACT."""
    parts = [to_home(part, mode) for part in path.split(b"/") if part]
    if sum(len(part) + 1 for part in parts) <= MAX_HOME_BYTES:
        return home_path(b"/".join(parts))
    room_bytes = MAX_HOME_BYTES - MAX_COMPONENT_BYTES
    folders = [part for at, part in enumerate(parts[:-1], 1) if sum(map(len, parts[:at])) + at <= room_bytes]
    return home_path(b"/".join([*folders, _marked(parts[-1], _short_hash(path))]))


def path_from_home(home: HomePath, mode: NamesMode) -> SourcePath | None:
    """The way back from `path_to_home`, by the names alone. None where there is none, as for `from_home`."""
    parts = [from_home(part, mode) for part in home.split(b"/")]
    try:
        return source_path(b"/".join(part for part in parts if part is not None)) if None not in parts else None
    except BadPath:
        return None


@dataclass(frozen=True, slots=True)
class VersionNames:
    """The names for other content under a taken name, in the order to try: `stem~<8 hex>.ext`, then 16, then all 64.

    Only the last suffix counts as `.ext` (`a.tar~12345678.gz`), a dotfile is all stem, and a source's sidecar stays one
    (`x.png~12345678~source.xmp`). Every component stays within 255 bytes. A name is made when it is looked at: nearly no file
    needs one. That raises BadPath where `home` is longer than `path_to_home` makes paths and the mark does not fit.
    """

    home: HomePath
    sha256: bytes

    def __iter__(self) -> Iterator[HomePath]:
        folder, _, name = self.home.rpartition(b"/")
        digits = self.sha256.hex()
        return (below(folder, _marked(name, digits[:length])) for length in _VERSION_HEX)


def _quote(name: bytes, mode: NamesMode) -> bytes:
    if mode is NamesMode.EXACT and not _is_claimed(name):
        return name
    return _ESCAPED[mode].sub(_as_escape, _text(name)).encode("utf-8", "surrogateescape")


def _unquote(name: bytes, mode: NamesMode) -> bytes:
    if mode is NamesMode.EXACT and not _is_claimed(name):
        return name
    return _unescape(name)


def _is_claimed(name: bytes) -> bool:
    """Whether EXACT has to escape here: names of forged's own, and names that only escapes keep apart from those.

    Escaping does not change the answer, which is what makes the way back exact: `.forged` -> `%2Eforged` -> `%252Eforged`.
    """
    while (bare := _unescape(name)) != name:
        name = bare
    return _RESERVED.search(_text(name)) is not None


def _unescape(name: bytes) -> bytes:
    return _QUOTED.sub(lambda match: bytes.fromhex(match[1].decode("ascii")), name)


def _as_escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _fitting(name: bytes, raw: bytes) -> bytes:
    return name if len(name) <= MAX_COMPONENT_BYTES else _marked(name, _short_hash(raw))


def _short_hash(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:_SHORT_HASH_HEX]


def _marked(name: bytes, digits: str) -> bytes:
    """`stem~<digits>.ext`, with as much of the stem as 255 bytes allow."""
    suffix = match[0] if (match := _SUFFIX.search(name)) else b""
    stem = name[: len(name) - len(suffix)]
    ending = b"~" + digits.encode("ascii") + suffix
    room_bytes = MAX_COMPONENT_BYTES - len(ending)
    return (stem if len(stem) <= room_bytes else _RAGGED.sub(b"", stem[:room_bytes])) + ending
