"""What goes to a desk and comes back, in plain tuples of what `marshal` takes: they may cross the border of a process, a hundred
thousand of them in one sync."""

from __future__ import annotations

from typing import TypeAlias

from forged.model.paths import HomePath

Chunk: TypeAlias = bytes | memoryview
"""Some bytes of a file, as they came."""

Pour: TypeAlias = tuple[str, int, int, int, tuple[Chunk, ...], bool]
"""A piece of a file: its staging name, the number of the attempt that it belongs to, the offset at which that attempt began, the
offset of these bytes, the bytes, and whether the file ends with them."""

Whole: TypeAlias = tuple[str, int, bytes, str]
"""A staged file that is whole now: its staging name, size in bytes, sha256, and what its format says of its end (`Wholeness`)."""

Written: TypeAlias = tuple[list[Whole], list[str]]
"""What a step of writing led to, and the staging names of files whose hash has yet to follow (`Desk.catch_up` goes on with it)."""

Wish: TypeAlias = tuple[str, int, bytes, int, HomePath, bytes | None, HomePath, int]
"""A file to land: its staging name, size in bytes and sha256, its mtime (ns), the name it should get, the sha256 of what it may
replace there, the name that versions of it carry their mark beside, and the size in bytes of what it may replace."""

Fate: TypeAlias = tuple[HomePath, str] | str
"""The name that a file got, and how (`LandedAs`); or why it could not land."""

Seen: TypeAlias = tuple[int, int] | bool
"""A regular file at home: its size in bytes and its mtime (ns). False where there is none, True where we may not look."""

Opened: TypeAlias = tuple[int, int, int] | bool
"""A regular file at home that was opened: its descriptor, size in bytes and mtime (ns). Else as `Seen`. Never crosses a border."""

Told: TypeAlias = tuple[str, str]
"""How something ended (a word of `SidecarPut` or `Linked`, empty: it could not be done with this file), and why."""
